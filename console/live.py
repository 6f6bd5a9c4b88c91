"""Live synthesis: the sensor's heat drawn as it comes, with no camera opened, into a window, a terminal or a folder."""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..model.drawer import SHIPPED, SHIPPED_FOLDER, find_shipped
from .drawing import open_drawing
from .results import Result, StageError, Update, plain, silent
from .terminal import Terminal
from .window import Window, WindowError

if TYPE_CHECKING:
    from ..model.live import Heat, Shown
    from ..rig.settings import RigSettings

SCALE = 6  # a picture of 64 x 40 is shown as 384 x 240
SETTLING = "the sensor was switched on just now; its readings settle within 15 s"


class Screen(Protocol):
    """Where pictures go."""

    def show(self, shown: "Shown") -> None: ...


def live(
    model: str | Path,
    source: str | Path | None = None,
    rig: str | None = None,
    heatmaps: Path | None = None,
    calibration: Path | None = None,
    out: Path | None = None,
    seconds: float | None = None,
    device: str = "auto",
    stop: threading.Event | None = None,
    on_progress: Update = silent,
    say: Callable[[str], None] = lambda _: None,
) -> Result:
    """Draw the newest heatmap again and again: of the rig's sensor, or of a clip at the pace at which it was recorded.

    Args:
        model: a finished run, an export, or "twin", the run that comes with lrt.
        source: who lends clothing and light, see `Drawing.source`; None: the twin, for the run that comes with lrt.
        rig: "twin" or a rig file; None: the twin for the run that comes with lrt, else as for `capture`.
        heatmaps: a clip, in place of a sensor.
        calibration: of the rig, where it is not the one that the run's data was recorded with.
        out: a new folder for the pictures; None: a window, or the terminal where there is no screen.
        seconds: how long; None: until `stop`, the clip's end, or the window is closed.

    Returns:
        `model.live.Tally.summary`, and model, runtime, out.

    Raises:
        DrawingError, RunError, StageError, CalibrationError, SettingsError, RigError, ClipError: see there.
    """
    from ..model.live import Tally, draw_newest

    stop = stop or threading.Event()
    shipped = find_shipped(model) == SHIPPED_FOLDER
    if source is None and not shipped:
        raise StageError("whose clothing and light? give --source: a picture, or a clip to take one from")
    if heatmaps is not None and rig is not None:
        raise StageError("heat comes from --rig or from --heatmaps, not from both; leave one away")
    if out is not None and out.exists():
        raise StageError(f"{out} exists already; choose another --out")
    tally = Tally()
    with ExitStack() as opened:
        drawing = open_drawing(model, calibration, device)
        drawer = drawing.live(drawing.source(SHIPPED if source is None else source))
        if heatmaps is not None:
            heat = _replay(heatmaps, stop)
        else:
            heat = _sense(SHIPPED if shipped and rig is None else rig, stop, say)
        screen: Screen = opened.enter_context(_open_folder(out) if out is not None else _open_screen(stop))
        for shown in draw_newest(heat, drawer, stop, seconds):
            screen.show(shown)
            tally.add(shown)
            done = tally.summary()
            on_progress(
                done["seconds"], seconds or done["seconds"], f"{shown.latency_ms:.0f} ms, {shown.dropped} dropped"
            )
    about = {"model": drawing.about.model, "runtime": drawing.runtime, "synthetic": True}
    return plain({**tally.summary(), **about, "out": out})


# --------------------------------------------------------------------------------------------------- where heat is from


def _sense(rig: str | None, stop: threading.Event, say: Callable[[str], None]) -> "Iterator[Heat]":
    """The heat of a rig's sensor, which alone is opened, when the first heatmap is asked for.

    Raises:
        StageError: the rig daemon holds it.
    """
    from ..rig.door import daemon_runs
    from .recording import find_rig

    if rig is None and daemon_runs():
        raise StageError("the rig daemon holds the sensor; draw on its page, stop it, or name a rig with --rig")
    return _poll(find_rig(rig), stop, say)


def _poll(settings: "RigSettings", stop: threading.Event, say: Callable[[str], None]) -> "Iterator[Heat]":
    """Every heatmap of the sensor, upright; a loss and a return are said, and waited out.

    Raises:
        RigError: the sensor is missing or silent.
    """
    from ..model.live import Heat
    from ..rig.clip import orient
    from ..rig.settings import TwinScene, open_thermal

    mounted = settings.sensor
    with open_thermal(settings, TwinScene("red", "bright", seed_name="live")) as thermal:
        if thermal.sensor.warm_ns > thermal.clock.now_ns():
            say(SETTLING)
        while not stop.is_set():
            due_ns = thermal.clock.now_ns() + thermal.sensor.poll_period_ns
            for heatmap in thermal.sensor.poll():
                yield Heat(heatmap.timestamp_ns, orient(heatmap.celsius, mounted.rotation, mounted.mirror))
            for event in thermal.sensor.take_events():
                if event.kind in ("device-lost", "device-back"):
                    say(event.detail)
            stop.wait(max(due_ns - thermal.clock.now_ns(), 0) / 1e9)


def _replay(folder: Path, stop: threading.Event) -> "Iterator[Heat]":
    """The heat of a clip, upright, at its own pace, stamped as if it came now. Its images are not read.

    Raises:
        StageError: there is none in it.
    """
    from ..rig.clip import open_clip

    clip = open_clip(folder)
    found = clip.heatmaps()
    if not found:
        raise StageError(f"{folder}: the clip holds no heatmaps")
    celsius = clip.oriented(np.stack([heatmap.celsius for heatmap in found]))
    return _pace(clip.heat_times_ns, celsius, stop)


def _pace(times_ns: np.ndarray, celsius: np.ndarray, stop: threading.Event) -> "Iterator[Heat]":
    """(N,) int64 and (N, 8, 8): each at its time after the first."""
    from ..model.live import Heat

    shift_ns = time.monotonic_ns() - int(times_ns[0])
    for stamp_ns, one in zip(times_ns.tolist(), celsius, strict=True):
        due_ns = stamp_ns + shift_ns
        if stop.wait(max(due_ns - time.monotonic_ns(), 0) / 1e9):
            return
        yield Heat(due_ns, one)


# ---------------------------------------------------------------------------------------------------- where it is shown


class Folder:
    """Pictures as numbered PNG, and frames.csv, a line for each: its heatmap's time, and what the picture took."""

    def __init__(self, path: Path) -> None:
        self._path, self._count, self._first_ns = path, 0, 0
        self._table = (path / "frames.csv").open("w")
        self._table.write("picture,heat_s,latency_ms,drawing_ms,dropped\n")

    def show(self, shown: "Shown") -> None:
        """Write one; not forced to the disk, whose pauses would cost heatmaps: a power cut takes the last ones."""
        from ..model.live import encode_drawn

        self._first_ns = self._first_ns or shown.heat.timestamp_ns
        name = f"{self._count:06d}.png"
        partial = self._path / f".{name}.partial"
        partial.write_bytes(encode_drawn(shown.drawn.picture, SCALE))
        partial.replace(self._path / name)
        heat_s = (shown.heat.timestamp_ns - self._first_ns) / 1e9
        self._table.write(f"{name},{heat_s:.3f},{shown.latency_ms:.2f},{shown.drawn.ms:.2f},{shown.dropped}\n")
        self._table.flush()
        self._count += 1

    def close(self) -> None:
        """No more of them; a folder without any is taken away."""
        self._table.close()
        if self._count == 0:
            shutil.rmtree(self._path, ignore_errors=True)


@contextmanager
def _open_folder(path: Path) -> Iterator[Folder]:
    """A new folder to show pictures in.

    Raises:
        StageError: it cannot be written; the pictures before stay.
    """
    try:
        path.mkdir(parents=True)
        folder = Folder(path)
        try:
            yield folder
        finally:
            folder.close()
    except OSError as error:
        raise StageError(
            f"cannot write pictures into {path}: {error.strerror}; make room, or give another --out"
        ) from error


@contextmanager
def _open_screen(stop: threading.Event) -> Iterator[Window | Terminal]:
    """A window, whose closing sets `stop`; the terminal, where no window is to be had.

    Raises:
        StageError: there is neither.
    """
    try:
        screen = Window("lrt live", SCALE, stop)
    except WindowError as error:
        if not (sys.stderr.isatty() and sys.stderr.encoding.lower().startswith("utf")):
            raise StageError(f"{error}, and no terminal; give --out FOLDER to have the pictures as files") from error
        screen = Terminal(sys.stderr)
    try:
        yield screen
    finally:
        screen.close()
