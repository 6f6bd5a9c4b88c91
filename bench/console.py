"""What the phone's page costs and how fresh it is: a real daemon in a process of its own, real sockets, four phones.

`python -m bench.console --json` prints one object; `--seconds 300` is the length that is promised. The rig is the
sensor's driver on the twin's bus before an even scene, and a camera of 640x480 at 30/s whose pictures are there
already: what a rig costs, without what drawing a twin costs. `--rig twin`, or a rig file, takes another.
`recorder_loss_alone` is what is lost with nobody watching, on the same machine and just before.

Live drawing is by the run that ships; `--draw RUN`, repeatable, has others draw too. For what SPADE-SR-64 costs, any
weights do: `lrt train DATASET --out runs/full --batch 2 --gan-steps 1 --inversion-steps 1`, and `lrt export` of it.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bench.__main__ import machine
from bench.rig_sources import PictureCamera, make_bus, make_rig, noisy_pictures
from lrt.console.people import admit_clip
from lrt.console.web.server import PageConfig, open_page
from lrt.rig.clip import open_clip
from lrt.rig.daemon import Daemon as RigDaemon
from lrt.rig.settings import RecordSettings
from lrt.rig.timing.clock import SystemClock

SECONDS = 300.0
PICTURES = "pictures"  # the rig of this benchmark
NICE = -5  # as hardware/lrt.service has it, where we may
PHONES = 4
TAGS = {"clothing": "red", "lighting": "bright", "occupants": 1, "consent": "BENCH", "phone": "bench"}
HEAT, DRAWN = 1, 2


def serve_pictures(folder: Path) -> None:
    """Be the daemon, with the rig of this benchmark, until SIGTERM."""
    with suppress(PermissionError):
        os.nice(NICE)
    clock, stop = SystemClock(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    pictures, bus = noisy_pictures((640, 480)), make_bus(clock)
    rig = make_rig(clock, bus, lambda: PictureCamera(clock, pictures), RecordSettings(reserve_mb=0))
    daemon = RigDaemon(rig, folder / "clips", admit_clip, lambda _line: None)
    with open_page(daemon, PageConfig(port=0), lambda line: print(line, file=sys.stderr, flush=True), folder):
        daemon.run(stop)


class Daemon:
    """A daemon with its page, in a folder and a process of its own."""

    def __init__(self, folder: Path, rig: str) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "bench.console", "--serve", str(folder)]
        if rig != PICTURES:
            command = [sys.executable, "-c", "from lrt.cli import main; main()", "serve", "--rig", rig, "--port", "0"]
            command += ["--out", str(folder / "clips")]
        own = {"LRT_SOCKET": str(folder / "door"), "XDG_STATE_HOME": str(folder), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, env={**os.environ, **own}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        self.said: list[str] = []
        for line in self.process.stderr:
            self.said.append(line)
            if found := re.search(r"page (http://\S+)/", line):
                self.url = found[1]
                break
        else:
            raise SystemExit("".join(self.said))
        threading.Thread(target=self.said.extend, args=(self.process.stderr,), daemon=True).start()
        self.client = httpx.Client(base_url=self.url, headers={"Origin": self.url}, timeout=60)
        self.client.get("/")

    @property
    def rss_mb(self) -> float:
        """What it holds in memory, without its children."""
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0

    def is_fit(self) -> bool:
        """Whether something may be recorded."""
        state = self.client.get("/api/state").json()
        return max(state["sensor"]["age_s"], state["camera"]["age_s"]) < 0.5 and not state["sensor"]["problem"]

    def record(self, clip_id: str, seconds: float) -> dict[str, Any]:
        """Record for so long, and what was lost of it."""
        asked = {**TAGS, "clip_id": clip_id}
        ends_s = time.monotonic() + 120
        while (answer := self.client.post("/api/record", json=asked)).status_code != 200:
            if time.monotonic() > ends_s:
                raise SystemExit(f"no recording could be begun: {answer.text}")
            time.sleep(1)
        time.sleep(seconds)
        return self.client.post("/api/stop", json={}).json()

    def close(self) -> None:
        """End it."""
        self.client.close()
        self.process.terminate()
        self.process.wait()


class Phone:
    """One phone that watches heat, drawings and camera, and notes how old each frame is when it is there.

    Attributes:
        heat: {sequence: CLOCK_MONOTONIC ns at which it came}.
        camera_ms: ages of the pictures.
        drawn: (ns at which it came, latency in ms as the daemon has it) of drawn pictures.
    """

    def __init__(self, daemon: Daemon) -> None:
        self.heat: dict[int, int] = {}
        self.camera_ms: list[float] = []
        self.drawn: list[tuple[int, float]] = []
        self._url, self._stop = daemon.url, threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._listen, self._look)]
        for thread in self._threads:
            thread.start()

    def _listen(self) -> None:
        address = f"ws{self._url[4:]}/api/stream"
        with suppress(ConnectionClosed), connect(address, origin=self._url, max_queue=None) as line:  # pyright: ignore[reportArgumentType]
            line.send(json.dumps({"want": ["heat", "drawn"]}))
            while not self._stop.is_set():
                said = line.recv()
                now_ns = time.monotonic_ns()
                if isinstance(said, str):
                    continue
                sequence = int.from_bytes(said[4:8], "little")
                if said[0] == HEAT:
                    self.heat[sequence] = now_ns
                elif said[0] == DRAWN:
                    self.drawn.append((now_ns, float(np.frombuffer(said[8:16], "<f8")[0])))

    def _look(self) -> None:
        with (
            suppress(httpx.HTTPError),
            httpx.Client(base_url=self._url, timeout=60) as client,
            client.stream("GET", "/api/camera.mjpg") as film,
        ):
            for chunk in film.iter_raw():
                now_ns = time.monotonic_ns()
                for stamp in re.findall(rb"X-Timestamp-Ns: (\d+)", chunk):
                    self.camera_ms.append((now_ns - int(stamp)) / 1e6)
                if self._stop.is_set():
                    return

    def close(self) -> None:
        """Put it away."""
        self._stop.set()
        for thread in self._threads:
            thread.join(10)


@contextmanager
def watching(daemon: Daemon) -> Iterator[list[Phone]]:
    """Four phones, for as long as the block."""
    phones = [Phone(daemon) for _ in range(PHONES)]
    try:
        yield phones
    finally:
        for phone in phones:
            phone.close()


def page_ready_ms(daemon: Daemon) -> tuple[float, str]:
    """From asking for the page to heat in it, and by what it was told."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        return _get_ms(daemon), "GET"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
            )
            times = []
            for _ in range(3):
                page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
                begun_s = time.perf_counter()
                with page.expect_websocket() as opened:
                    page.goto(daemon.url, wait_until="commit")
                with opened.value.expect_event("framereceived", lambda frame: isinstance(frame, bytes)):
                    pass
                times.append((time.perf_counter() - begun_s) * 1e3)
                page.context.close()
            browser.close()
            return float(np.median(times)), "Chromium, to the first heat"
    except Error:
        return _get_ms(daemon), "GET"


def _get_ms(daemon: Daemon) -> float:
    times = []
    for _ in range(5):
        begun_s = time.perf_counter()
        daemon.client.get("/")
        times.append((time.perf_counter() - begun_s) * 1e3)
    return float(np.median(times))


def lost(done: dict[str, Any]) -> int:
    """Frames that were made and are not in the clip."""
    return done["missed"] + done["lost_images"] + done["dropped"]


def draw_live(daemon: Daemon, phones: list[Phone], seconds: float, model: str = "twin") -> dict[str, Any]:
    """Rate and latency of live drawing with a run; why not, where it cannot."""
    told = daemon.client.get("/api/draw").json()
    source = next((each["name"] for each in told["sources"] if each["kind"] == "shipped"), "")
    asked = daemon.client.post("/api/draw", json={"model": model, "source": source})
    if asked.status_code != 200:
        return {"live_fps": None, "live_why": asked.json()["error"]}
    time.sleep(3)
    begun = len(phones[0].drawn)
    time.sleep(seconds)
    drawn = phones[0].drawn[begun:]
    state = daemon.client.get("/api/state").json()["drawing"]
    daemon.client.post("/api/draw/stop", json={})
    if len(drawn) < 2:
        return {"live_fps": 0.0, "live_why": daemon.client.get("/api/draw").json()["error"]}
    latency = [latency_ms for _, latency_ms in drawn]
    return {
        "live_fps": (len(drawn) - 1) / ((drawn[-1][0] - drawn[0][0]) / 1e9),
        "live_latency_ms_p50": float(np.percentile(latency, 50)),
        "live_latency_ms_p95": float(np.percentile(latency, 95)),
        "live_runtime": state["runtime"] if state else None,
    }


def measure(seconds: float, rig: str, draw: Sequence[Path] = ()) -> dict[str, Any]:
    """All figures.

    Args:
        seconds: of the watched recording.
        rig: what is recorded.
        draw: runs and exports that draw live after the run that ships has.
    """
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        runs.mkdir()
        for run in draw:
            (runs / run.name).symlink_to(run.resolve())
        daemon = Daemon(Path(folder), rig)
        try:
            ends_s = time.monotonic() + 60
            while not daemon.is_fit() and time.monotonic() < ends_s:
                time.sleep(0.5)
            alone = daemon.record("alone", min(seconds, 60.0))
            quiet_mb = daemon.rss_mb
            ready_ms, how = page_ready_ms(daemon)
            with watching(daemon) as phones:
                time.sleep(2)
                watched = daemon.record("watched", seconds)
                rss_mb = daemon.rss_mb
                heat = [dict(phone.heat) for phone in phones]
                camera_ms = [age for phone in phones for age in phone.camera_ms]
                live: dict[str, Any] = draw_live(daemon, phones, min(seconds, 20.0))
                if draw:
                    live["live_by_run"] = {
                        run.name: draw_live(daemon, phones, min(seconds, 20.0), run.name) for run in draw
                    }
            clip = open_clip(Path(folder) / "clips/watched")
            made_ns = {heatmap.sequence: heatmap.timestamp_ns for heatmap in clip.heatmaps()}
            thermal_ms = [
                (came_ns - made_ns[sequence]) / 1e6
                for phone in heat
                for sequence, came_ns in phone.items()
                if sequence in made_ns
            ]
        finally:
            daemon.close()
    return {
        "machine": machine(),
        "rig": rig,
        "phones": PHONES,
        "seconds": seconds,
        "load": os.getloadavg()[0],
        "recorder_loss": lost(watched),
        "recorder_loss_by_kind": {name: watched[name] for name in ("missed", "lost_images", "dropped")},
        "recorded": {"heatmaps": watched["heatmaps"], "images": watched["images"]},
        "recorder_loss_alone": lost(alone),
        "recorder_alone_seconds": min(seconds, 60.0),
        "page_ready_ms": ready_ms,
        "page_ready_by": how,
        "thermal_latency_ms_p50": float(np.percentile(thermal_ms, 50)),
        "thermal_latency_ms_p95": float(np.percentile(thermal_ms, 95)),
        "thermal_seen": len(thermal_ms) / PHONES / max(1, len(made_ns)),
        "camera_latency_ms_p50": float(np.percentile(camera_ms, 50)),
        "camera_latency_ms_p95": float(np.percentile(camera_ms, 95)),
        **live,
        "rss_mb": rss_mb,
        "rss_mb_before": quiet_mb,
    }


def main(arguments: Sequence[str] = ()) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of the watched recording")
    parser.add_argument("--rig", default=PICTURES, help=f"{PICTURES}, twin, or a rig file")
    parser.add_argument("--draw", type=Path, action="append", default=[], metavar="RUN", help="draw live with it too")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)  # what it starts itself with
    chosen = parser.parse_args(list(arguments))
    if chosen.serve is not None:
        serve_pictures(chosen.serve)
        return
    found = measure(chosen.seconds, chosen.rig, chosen.draw)
    if chosen.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:<26}{value:.1f}" if isinstance(value, float) else f"{name:<26}{value}")


if __name__ == "__main__":
    main(sys.argv[1:])
