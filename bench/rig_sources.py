"""What the rig's figures are taken with: devices that cost next to nothing, disks and lines that fail when told to, and
recordings in a process of their own.

`python -m bench.rig_sources live FOLDER` records as the rig daemon does, in real time, and `hours FOLDER` for hours of
a virtual clock. Both tell in lines of JSON how they fare, and end by themselves.
"""

import argparse
import fcntl
import importlib.util
import json
import os
import resource
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from lrt.console.people import admit_clip
from lrt.rig.clip import ClipHeader
from lrt.rig.daemon import Daemon
from lrt.rig.records import Event, Image
from lrt.rig.reopen import Reopening
from lrt.rig.settings import CameraSettings, RecordSettings, Rig, load_rig
from lrt.rig.station import Progress, record
from lrt.rig.thermal.amg8833 import AMG8833
from lrt.rig.timing.clock import SECOND_NS, Clock, SystemClock, VirtualClock
from lrt.rig.twin.camera import TwinCamera
from lrt.rig.twin.faults import Faults
from lrt.rig.twin.scene import HEAT_CELLS
from lrt.rig.twin.sensor import SensorSettings, TwinBus

CLIP_ID = "bench"
_BUFFERS = 4  # pictures that a camera's driver keeps (V4L2's usual number): asked later, it has lost some
_NICE = -5  # as hardware/lrt.service has it, where we may
_ROOT = Path(__file__).parents[1]


class Gradient:
    """The least that a bus can look at: the twin's people would cost 10 ms a frame and change nothing here."""

    class room:  # noqa: N801
        air_c = 21.0

    def heat(self, time_s: float) -> np.ndarray:
        """(K, K) float64, degC: a slow wave."""
        return 22 + 6 * np.sin(np.linspace(0, 4, HEAT_CELLS)[:, None] + np.linspace(0, 3, HEAT_CELLS) + time_s / 3)


class Still:
    """The least that a twin's camera can look at: one picture, always."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image

    def look(self, _time_s: float) -> "Still":
        """What a `Scene` would show."""
        return self


class PictureCamera:
    """A camera whose pictures were made beforehand, by the clock; frames that are not fetched in time are gone.

    Attributes:
        longest_ns: that it was left alone between two polls.
    """

    def __init__(self, clock: Clock, pictures: list[np.ndarray], rate: float = 30.0) -> None:
        self.frame_ns = round(SECOND_NS / rate)
        self.poll_period_ns = self.frame_ns // 4
        self._clock, self._pictures, self._next = clock, pictures, 0
        self._start_ns = self._polled_ns = clock.now_ns()
        self.longest_ns = 0

    def poll(self) -> list[Image]:
        """The frames that are new since the last poll, four at the most."""
        now_ns = self._clock.now_ns()
        self.longest_ns, self._polled_ns = max(self.longest_ns, now_ns - self._polled_ns), now_ns
        newest = (now_ns - self._start_ns) // self.frame_ns
        first, self._next = max(self._next, newest + 1 - _BUFFERS), newest + 1
        return [Image(self.stamp_ns(n), self._pictures[n % len(self._pictures)], n) for n in range(first, newest + 1)]

    def stamp_ns(self, number: int) -> int:
        """When it takes a frame."""
        return self._start_ns + number * self.frame_ns

    def made(self, start_ns: int, end_ns: int) -> int:
        """How many frames it takes from a time on and before another."""
        first, end = (-((self._start_ns - at_ns) // self.frame_ns) for at_ns in (start_ns, end_ns))
        return end - max(0, first)

    def take_events(self) -> list[Event]:
        """None."""
        return []

    def close(self) -> None:
        """Nothing."""


class WatchedCamera(TwinCamera):
    """A twin's camera that remembers which frame it gave with which stamp."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.given: dict[int, int] = {}

    def poll(self) -> list[Image]:
        """As a `TwinCamera`."""
        images = super().poll()
        self.given.update({image.timestamp_ns: image.sequence for image in images})
        return images


class Line:
    """A serial line with us at both ends: what is sent at one waits at the other when `send` returns."""

    def __init__(self, hello: bytes) -> None:
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self.port = os.ttyname(self._theirs)
        self._hello, self._closed = hello, threading.Event()
        self._answering = threading.Thread(target=self._answer, daemon=True)
        self._answering.start()

    def _answer(self) -> None:
        while not self._closed.is_set():
            if select.select([self._ours], [], [], 0.01)[0] and b"?" in os.read(self._ours, 100):
                os.write(self._ours, self._hello)

    @property
    def waiting(self) -> int:
        """Bytes that nobody has read."""
        return int.from_bytes(fcntl.ioctl(self._theirs, termios.FIONREAD, bytes(4)), sys.byteorder)

    def send(self, data: bytes) -> None:
        """Send; the kernel hands it over in its own time."""
        through = self.waiting + len(data)
        os.write(self._ours, data)
        while self.waiting < through:
            time.sleep(0.00005)

    def close(self) -> None:
        """Close both ends."""
        self._closed.set()
        self._answering.join()
        os.close(self._ours)
        os.close(self._theirs)


def noisy_pictures(size: tuple[int, int], count: int = 10) -> list[np.ndarray]:
    """Pictures of a room as a cheap camera sees it, with noise of 4 gray levels: what JPEG likes least."""
    random = np.random.default_rng(0)
    width, height = size
    room = np.linspace(40, 200, width)[None, :, None] + np.linspace(0, 40, height)[:, None, None] * np.array(
        [1, 0.5, 0]
    )
    return [np.clip(room + random.normal(0, 4, (height, width, 3)), 0, 255).astype(np.uint8) for _ in range(count)]


def make_bus(clock: Clock, settings: SensorSettings | None = None, faults: Faults | None = None) -> TwinBus:
    """The twin's sensor on its bus, with next to nothing before it."""
    return TwinBus(Gradient(), clock, settings, faults)  # pyright: ignore[reportArgumentType]


def make_rig(clock: Clock, bus: TwinBus, open_camera: Any, settings: RecordSettings) -> Rig:
    """The real driver on the twin's bus, and a camera, as `open_rig` puts them together."""
    rig = replace(load_rig("twin"), camera=CameraSettings(kind="twin", rate=30.0), record=settings)
    sensor = Reopening("sensor", lambda: AMG8833(clock, bus), clock, silent_ns=None)
    return Rig(sensor, Reopening("camera", open_camera, clock), clock, rig)


def make_header(clip_id: str = CLIP_ID) -> ClipHeader:
    """Tags of nobody."""
    return ClipHeader(clip_id, "red", "dim", 1, "none", {}, synthetic=True)


def load_firmware() -> ModuleType:
    """hardware/firmware/core.py, which no package holds."""
    spec = importlib.util.spec_from_file_location("firmware_core", _ROOT / "hardware/firmware/core.py")
    assert spec is not None
    assert spec.loader is not None
    core = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(core)
    return core


# ------------------------------------------------------------------------------------------------ disks that misbehave


class Disk:
    """A small ext4 on a loop device, mounted; made by `small_disk`."""

    # linux/fs/ext4/ext4.h: EXT4_IOC_SHUTDOWN is _IOR('X', 125, __u32); EXT4_GOING_FLAGS_NOLOGFLUSH is 2
    _SHUTDOWN = 2 << 30 | 4 << 16 | ord("X") << 8 | 125
    _NO_LOG_FLUSH = struct.pack("I", 2)

    def __init__(self, image: Path) -> None:
        self._image, self.folder = image, image.with_suffix("")

    def mount(self) -> None:
        """Have it at `folder`."""
        self.folder.mkdir(exist_ok=True)
        _run("mount", "-o", "loop", self._image, self.folder)

    def unmount(self) -> None:
        """Take it away, if it is there; the loop device goes with it."""
        for _ in range(50):
            if not self.folder.is_mount():
                return
            if subprocess.run(["umount", self.folder], check=False, capture_output=True).returncode:
                time.sleep(0.1)  # it is busy until a killed process is gone

    def remount(self) -> None:
        """As after the power has come back: the journal is read."""
        self.unmount()
        self.mount()

    def cut_power(self) -> None:
        """Let go of all that is not on the disk, its journal included, and refuse the rest."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, self._SHUTDOWN, self._NO_LOG_FLUSH)
        finally:
            os.close(descriptor)

    def clear(self) -> None:
        """Remove what is on it."""
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    @property
    def free_bytes(self) -> int:
        """What is left."""
        return shutil.disk_usage(self.folder).free


@contextmanager
def small_disk(megabytes: int) -> Iterator[Disk]:
    """A disk of its own; needs root and loop devices.

    Raises:
        OSError: these are not there.
    """
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "disk.img"
        with image.open("wb") as file:
            file.truncate(megabytes * 1_000_000)
        _run("mkfs.ext4", "-q", "-F", "-m", 0, "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
        disk = Disk(image)
        try:
            disk.mount()
            disk.clear()
            yield disk
        finally:
            disk.unmount()


def _run(*command: object) -> None:
    done = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)
    if done.returncode:
        raise OSError(done.stderr.strip() or f"{command[0]} failed")


def why_no_disk() -> str | None:
    """Why this machine lets us have no disk of our own whose power we can cut; None if it does."""
    try:
        with small_disk(16) as disk:
            disk.cut_power()
    except OSError as error:
        return str(error)
    return None


@contextmanager
def limited_files(most_bytes: int) -> Iterator[None]:
    """The kernel refuses to let any file of ours grow beyond this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# -------------------------------------------------------------------------------------- recordings in their own process


@contextmanager
def begin(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """One of this module's recordings, begun in a fresh process; killed at the end if it is still there."""
    command = [sys.executable, "-m", "bench.rig_sources", *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=_ROOT, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()


def tell_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next line that a recording tells.

    Raises:
        RuntimeError: it has ended without one.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args} ended without a word:\n{process.stderr.read()}")
    return json.loads(line)


def record_live(root: Path, size: tuple[int, int], seconds: float, preroll_s: float) -> None:
    """Record as the daemon does; tell when it has begun, and at the end what came of it and what it cost."""
    with suppress(PermissionError):
        os.nice(_NICE)
    clock, stop = SystemClock(), threading.Event()
    pictures = noisy_pictures(size)
    cameras: list[PictureCamera] = []

    def open_camera() -> PictureCamera:
        cameras.append(PictureCamera(clock, pictures))
        return cameras[-1]

    bus = make_bus(clock)
    rig = make_rig(clock, bus, open_camera, RecordSettings(preroll_s=preroll_s, reserve_mb=0))
    daemon = Daemon(rig, root, admit_clip, lambda _line: None)
    at_work = threading.Thread(target=daemon.run, args=(stop,), daemon=True)
    at_work.start()
    time.sleep(preroll_s + 0.5)
    wall_s, cpu_s = time.monotonic(), _cpu_s()
    daemon.start(make_header(), seconds)
    recorder = daemon.station.recorder
    assert recorder is not None
    assert recorder.until_ns is not None
    _tell(start_ns=recorder.start_ns)
    daemon.station.recorded.wait(seconds + 30)
    wall_s, cpu_s = time.monotonic() - wall_s, _cpu_s() - cpu_s
    done = daemon.station.result()
    stop.set()
    at_work.join()
    made = sum(camera.made(recorder.start_ns, recorder.until_ns) for camera in cameras)
    _tell(
        seconds=done.seconds,
        heatmaps=done.heatmaps,
        images=done.images,
        heatmaps_lost=done.missed,
        images_lost=made - done.images,
        dropped=done.dropped,
        longest_stall_ms=max(camera.longest_ns for camera in cameras) / 1e6,
        nice=os.nice(0),
        load_average=os.getloadavg()[2],
        cpu_share=cpu_s / wall_s,
        rss_mb=_most_resident_mb(),
        torch_imported="torch" in sys.modules,
    )


def record_hours(root: Path, hours: float) -> None:
    """Record small pictures for hours of a virtual clock, in clips of 12 minutes; tell the memory held, by minutes."""
    clock = VirtualClock(SECOND_NS)
    pictures = noisy_pictures((64, 48))
    bus = make_bus(clock)
    rig = make_rig(clock, bus, lambda: PictureCamera(clock, pictures), RecordSettings(reserve_mb=0, split_mb=32))
    minutes, held_mb = [0.0], [_resident_mb()]

    def see(progress: Progress) -> None:
        if progress.seconds >= 60 * len(minutes):
            minutes.append(progress.seconds / 60)
            held_mb.append(_resident_mb())

    done = record(rig, root, make_header(), hours * 3600, threading.Event(), see)
    _tell(minutes=minutes, held_mb=held_mb, clips=len(done.clips), images=done.images, heatmaps=done.heatmaps)


def _tell(**said: Any) -> None:
    print(json.dumps(said), flush=True)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def _most_resident_mb() -> float:
    """The peak; unlike getrusage's it does not begin with that of the parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def main() -> None:
    """Record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("live", "hours"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--preroll", type=float, default=3.0)
    parser.add_argument("--hours", type=float, default=3.0)
    told = parser.parse_args()
    if told.what == "live":
        record_live(told.folder, tuple(told.size), told.seconds, told.preroll)
    else:
        record_hours(told.folder, told.hours)


if __name__ == "__main__":
    main()
