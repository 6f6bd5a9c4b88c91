"""A rig that serves its page, in a process of its own, and phones that look at it: Debian's Chromium."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SIZES = {"phone": (390, 844), "desktop": (1280, 800), "narrow": (360, 640)}
# A twin that a busy machine keeps up with: small pictures, and not many
LIGHT_TWIN = """
[sensor]
kind = "twin"
[camera]
kind = "twin"
size = [320, 180]
rate = 10.0
"""
PATIENCE_MS = 45_000  # other tests may be at work on the same cores
# The pixels of an image or canvas, small, as one string
LOOK = """selector => {
  const seen = document.querySelector(selector), small = document.createElement("canvas");
  small.width = 32; small.height = 24;
  small.getContext("2d").drawImage(seen, 0, 0, 32, 24);
  return Array.from(small.getContext("2d").getImageData(0, 0, 32, 24).data).join();
}"""
LRT = (sys.executable, "-c", "from lrt.cli import main; main()")
QUIET = (
    "--no-sandbox",  # Chromium refuses to run as root with it
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Rig:
    """`lrt serve` of the rig file in a folder, and where its page is."""

    def __init__(self, folder: Path, arguments: tuple[str, ...] = ()) -> None:
        self.folder, self.arguments = folder, arguments
        self.clips = folder / "clips"
        self.clips.mkdir(parents=True, exist_ok=True)
        self.said: list[str] = []
        self._address = threading.Event()
        self.url, self.port = "", 0
        self._start(0)

    def _start(self, port: int) -> None:
        command = [
            "serve",
            "--rig",
            str(self.folder / "rig.toml"),
            "--out",
            str(self.clips),
            "--port",
            str(port),
            *self.arguments,
        ]
        self.process = subprocess.Popen(
            [*LRT, *command],
            cwd=self.folder,
            env=os.environ
            | {
                "LRT_SOCKET": str(self.folder / "door"),
                "XDG_STATE_HOME": str(self.folder / "state"),
                "OMP_NUM_THREADS": "1",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._address.clear()
        self._reader = threading.Thread(target=self._listen, args=(self.process,), daemon=True)
        self._reader.start()
        if not self._address.wait(60):
            self.stop()
            raise AssertionError(f"no page after 60 s: {self.said}")

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.said.append(line.rstrip())
            if found := re.search(r"page http://[^ ,]+:([0-9]+)/", line):
                self.port = int(found[1])
                self.url = f"http://127.0.0.1:{self.port}/"
                self._address.set()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it as a power cut (SIGKILL) or as systemd does."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(5)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def start_again(self) -> None:
        """At the same address."""
        self._start(self.port)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for all tests of a file: while it runs, so does its event loop, and other files want their own.

    Where there is none, they are skipped; in CI they fail instead.
    """
    needed = bool(os.environ.get("CI") or os.environ.get("LRT_REQUIRE_BROWSER"))
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    missing = "" if path else "no Chromium here; `make browser` installs Debian's"
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing = "playwright is not installed; `pip install -e '.[dev]'` does"
    if missing:
        assert not needed, missing
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


class Phone:
    """A page in a browser of its own (its own cookies), and what went wrong in it."""

    def __init__(self, browser: Any, url: str, size: str, scheme: str) -> None:
        self.url = url
        width, height = SIZES[size]
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=size != "desktop"
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.foreign: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("console", self._heed)
        self.page.on("request", self._watch)
        self.page.on("websocket", lambda socket: self._check(socket.url))

    def _heed(self, message: Any) -> None:
        # the browser's own line about a refusal or a connection that is lost; the page shows those to its reader
        if message.type in ("error", "warning") and not re.search(
            r"Failed to load resource|WebSocket connection to", message.text
        ):
            self.faults.append(f"{message.type}: {message.text}")

    def _watch(self, request: Any) -> None:
        self._check(request.url)

    def _check(self, url: str) -> None:
        if url.startswith(("data:", "blob:")):
            return
        if re.sub(r"^(http|ws)", "", url).split("/")[2] != self.url.split("/")[2]:
            self.foreign.append(url)

    def open(self, tab: str = "live") -> Any:
        """The page, connected, with a tab shown."""
        self.page.goto(f"{self.url}#{tab}", wait_until="commit")
        self.page.wait_for_selector(f"#{tab}:not([hidden])")
        self.page.wait_for_selector("body:not(.away) #light.green, body:not(.away) #light.amber, #light.red")
        return self.page

    def until(self, expression: str, argument: Any = None, patience_ms: float = PATIENCE_MS) -> None:
        """Wait until an expression of the page holds. (Playwright's own waiting would need what our CSP forbids.)"""
        ends_s = time.monotonic() + patience_ms / 1000
        while not self.page.evaluate(expression, argument):
            said = " ".join(self.page.locator(".refused, #live-advice").all_text_contents())
            assert time.monotonic() < ends_s, f"never came true: {expression}; the page says: {said}"
            self.page.wait_for_timeout(100)

    def moves(self, selector: str) -> None:
        """Wait until the pixels of an image or canvas differ from what they are now."""
        before = self.page.evaluate(LOOK, selector)
        self.until(f"([selector, before]) => ({LOOK})(selector) !== before", [selector, before])

    def start(self, press: Callable[[], None], refused: str = "") -> None:
        """Press Record until it runs, or is refused for this very reason.

        On a busy machine the twin may fall silent for a moment; a phone that left keeps its seat for ten seconds, if it
        is not taken over. Both are refused, and pressed again.
        """
        ends_s = time.monotonic() + PATIENCE_MS / 1000
        while time.monotonic() < ends_s:
            self.page.wait_for_selector("#light.green, #light.amber")
            press()
            self.until("document.querySelector('#refused').textContent || !document.querySelector('#running').hidden")
            said = self.page.text_content("#refused")
            if refused in said and bool(refused) != self.page.is_visible("#running"):
                return
            assert re.search(r"sensor|AMG8833|camera|in hand", said), said
            if "in hand" in said and self.page.is_visible("#seat-take"):
                self.page.click("#seat-take")
            self.page.wait_for_timeout(500)
        raise AssertionError(f"never fit to record: {said}")


@pytest.fixture
def phone(chromium: Any) -> Iterator[Callable[..., Phone]]:
    """`phone(rig.url, size="phone", scheme="light")`; in the end no page may have had an error or asked others."""
    made: list[Phone] = []

    def make(url: str, size: str = "phone", scheme: str = "light") -> Phone:
        made.append(Phone(chromium, url, size, scheme))
        return made[-1]

    yield make
    for each in made:
        each.context.close()
    assert [fault for each in made for fault in each.faults] == []
    assert [url for each in made for url in each.foreign] == []


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Rig]]:
    """`serve("--listen", folder=None, faults="")` starts a light twin; all are stopped at the end of the file."""
    made: list[Rig] = []

    def start(*arguments: str, folder: Path | None = None, faults: str = "") -> Rig:
        folder = folder or tmp_path_factory.mktemp("rig")
        (folder / "rig.toml").write_text(LIGHT_TWIN + faults)
        made.append(Rig(folder, arguments))
        return made[-1]

    yield start
    for rig in made:
        rig.stop()


@pytest.fixture(scope="module")
def record_clip() -> Callable[..., None]:
    """`record_clip(folder, "walk", "red", seconds=6)` records a clip of the light twin, faster than its time goes."""

    def record(folder: Path, clip_id: str, clothing: str, seconds: float, occupants: int = 1) -> None:
        (folder / "rig.toml").write_text(LIGHT_TWIN)
        tags = ["--clothing", clothing, "--lighting", "bright", "--consent", "P07", "--occupants", str(occupants)]
        subprocess.run(
            [
                *LRT,
                "capture",
                "--rig",
                "rig.toml",
                "--out",
                "clips",
                "--clip-id",
                clip_id,
                *tags,
                "--seconds",
                str(seconds),
            ],
            cwd=folder,
            check=True,
            capture_output=True,
        )

    return record


@pytest.fixture(scope="module")
def rig(serve: Callable[..., Rig]) -> Rig:
    """One twin for a whole file."""
    return serve()


# ------------------------------------------------------------------------- the server alone, with devices of numbers


class Source:
    """A device that gives a record a period by the system's clock, however late it is asked, until it is pulled out."""

    warm_ns = 0
    poll_period_ns = 5_000_000

    def __init__(self, clock: Any, frame_ns: int, make: Callable[[int, int], Any]) -> None:
        self.clock, self.frame_ns, self.make = clock, frame_ns, make
        self.pulled = False
        self.number, self.start_ns = 0, clock.now_ns()

    def open(self) -> "Source":
        from lrt.rig.records import RigError

        if self.pulled:
            raise RigError("it is not there; plug it in")
        self.start_ns, self.number = self.clock.now_ns(), 0
        return self

    def poll(self) -> list[Any]:
        from lrt.rig.records import RigError

        if self.pulled:
            raise RigError("it was pulled out; plug it in")
        records = []
        while self.start_ns + self.number * self.frame_ns <= self.clock.now_ns():
            records.append(self.make(self.start_ns + self.number * self.frame_ns, self.number))
            self.number += 1
        return records

    def take_events(self) -> list[Any]:
        return []

    def close(self) -> None:
        pass


class Numbers:
    """A rig of numbers: 10 heatmaps/s with somebody at the left, and images; what is behind it can be pulled out."""

    def __init__(
        self, size: tuple[int, int] = (320, 240), synthetic: bool = True, period_ns: int = 50_000_000, **sensor: Any
    ) -> None:
        from dataclasses import replace

        import cv2
        import numpy as np

        from lrt.rig.records import Heatmap, Jpeg
        from lrt.rig.reopen import Reopening
        from lrt.rig.settings import CameraSettings, RecordSettings, Rig, RigSettings, SensorSettings, load_rig
        from lrt.rig.timing.clock import SystemClock

        clock, random = SystemClock(), np.random.default_rng(5)

        def heatmap(stamp_ns: int, number: int) -> Heatmap:
            raw = random.integers(84, 90, (8, 8)).astype(np.int16)
            raw[2:, :3] += 24  # 6 degC warmer
            return Heatmap(stamp_ns, raw, 400, number, stamp_ns - 10**7, stamp_ns + 10**7)

        pictures = [
            cv2.imencode(".jpg", random.integers(0, 255, (size[1], size[0], 3), np.uint8))[1].tobytes()
            for _ in range(4)
        ]
        self.sensor = Source(clock, 100_000_000, heatmap)
        self.camera = Source(clock, period_ns, lambda ns, number: Jpeg(ns, pictures[number % 4], number, size))
        record = RecordSettings(preroll_s=0.5, reserve_mb=0, patience_s=3)
        settings = RigSettings(SensorSettings(bus=99, **sensor), CameraSettings(size=size, rate=20.0), record)
        if synthetic:
            settings = replace(load_rig("twin"), record=record)
        self.rig = Rig(
            Reopening("sensor", self.sensor.open, clock, silent_ns=None),
            Reopening("camera", self.camera.open, clock),
            clock,
            settings,
        )


class Served:
    """A daemon of numbers at work in threads, with its page at `url`; `client()` is a phone with cookies of its own."""

    def __init__(self, folder: Path, numbers: Numbers, listen: str) -> None:
        from contextlib import ExitStack

        from lrt.console.people import admit_clip
        from lrt.console.web.server import PageConfig, open_page
        from lrt.rig.daemon import Daemon
        from lrt.rig.records import Heatmap, Jpeg

        self.numbers, self.clips = numbers, folder / "clips"
        self.said: list[str] = []
        self.daemon = Daemon(numbers.rig, self.clips, admit_clip, self.said.append)
        self._stop, self._open, self._clients = threading.Event(), ExitStack(), []
        self.url = self._open.enter_context(
            open_page(self.daemon, PageConfig(listen, 0), self.said.append, folder / "state")
        ).rstrip("/")
        self._thread = threading.Thread(target=self.daemon.run, args=(self._stop,))
        self._thread.start()
        until(lambda: self.daemon.station.newest.keys() >= {Heatmap, Jpeg})

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    @property
    def token(self) -> str:
        found = re.search(r"key ([A-Za-z0-9_-]+)", "\n".join(self.said))
        assert found, self.said
        return found[1]

    def client(self, **headers: str) -> Any:
        import httpx

        client = httpx.Client(base_url=self.url, headers={"Origin": self.url, **headers}, timeout=30)
        self._clients.append(client)
        client.get("/")
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self._stop.set()
        self._thread.join()
        self._open.close()


def until(true: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait until it is true, and say what it was."""
    ends_s = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < ends_s, "it never came"
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Served]]:
    """`page_server(size=..., listen="0.0.0.0", rotation=90)` serves a rig of numbers; all end with the file."""
    made: list[Served] = []

    def start(listen: str = "127.0.0.1", **numbers: Any) -> Served:
        made.append(Served(tmp_path_factory.mktemp("served"), Numbers(**numbers), listen))
        return made[-1]

    yield start
    for served in made:
        served.close()
