"""What reading the AMG8833 and writing a clip cost, and how true they are: against the twin's bus, frame by frame."""

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from adafruit_amg88xx import AMG88XX

from lrt.rig.clip import ClipHeader, ClipWriter, open_clip
from lrt.rig.records import Heatmap, Image
from lrt.rig.thermal.amg8833 import AMG8833, decode_pixels
from lrt.rig.timing.clock import Task, VirtualClock
from lrt.rig.timing.stamps import fit_stamps
from lrt.rig.twin.scene import HEAT_CELLS
from lrt.rig.twin.sensor import SensorSettings, TwinBus

SECONDS = 300
PERIOD_NS = 100_000_000


class Gradient:
    """The least that a bus can look at: the twin's people would cost 10 ms a frame and change nothing here."""

    class room:  # noqa: N801
        air_c = 21.0

    def heat(self, time_s: float) -> np.ndarray:
        return 22 + 6 * np.sin(np.linspace(0, 4, HEAT_CELLS)[:, None] + np.linspace(0, 3, HEAT_CELLS) + time_s / 3)


def read_for(seconds: int, read: Callable, bus_hz: int, period_ns: int = 101_000_000) -> dict:
    """Read the twin's sensor, and tell every frame read from the frames that were made."""
    clock = VirtualClock(start_ns=10**9)
    bus = TwinBus(Gradient(), clock, SensorSettings(bus_hz=bus_hz, period_ns=period_ns))  # pyright: ignore[reportArgumentType]
    start_ns = clock.now_ns() + 10**9
    frames, stamps = read(clock, bus, seconds)
    last = max(n for n in range(seconds * 11) if bus.frame_ns(n) < clock.now_ns())
    first = min(n for n in range(40) if bus.frame_ns(n) > start_ns)
    made = {bus.measure(n).tobytes(): n for n in range(last + 1)}
    known = [made.get(frame.astype(np.int16).tobytes()) for frame in frames]
    whole = [n for n in known if n is not None]
    error_ms = [
        (stamp - bus.frame_ns(n)) / 1e6 for stamp, n in zip(stamps, known, strict=True) if n is not None and n >= first
    ]
    return {
        "read": len(frames),
        "torn": known.count(None),
        "twice": len(whole) - len(set(whole)),
        "missed": len(set(range(first, last)) - set(whole)),
        "error_p50": float(np.percentile(np.abs(error_ms), 50)),
        "error_p95": float(np.percentile(np.abs(error_ms), 95)),
        "error_max": float(np.abs(error_ms).max()),
    }


def every_100_ms(one: Callable) -> Callable:
    """A loop as most programs have it: read, wait out the rest of 100 ms."""

    def read(clock: VirtualClock, bus: TwinBus, seconds: int) -> tuple[list, list]:
        sensor = AMG88XX(bus)
        clock.advance(10**9)
        frames, stamps = [], []

        def step() -> None:
            frames.append(one(sensor))
            stamps.append(clock.now_ns())

        clock.run([Task("read", PERIOD_NS, step)], seconds, threading.Event())
        return frames, stamps

    return read


def pixels(sensor: AMG88XX) -> np.ndarray:
    return np.array(sensor.pixels) * 4


def block(sensor: AMG88XX) -> np.ndarray:
    data = bytearray(128)
    with sensor.i2c_device as device:
        device.write_then_readinto(bytes([0x80]), data)
    return decode_pixels(data)


def ours(poll_ns: int, fitted: bool) -> Callable:
    def read(clock: VirtualClock, bus: TwinBus, seconds: int) -> tuple[list, list]:
        sensor = AMG8833(clock, bus)
        heatmaps: list[Heatmap] = []
        task = Task("poll", poll_ns, lambda: heatmaps.extend(sensor.poll()))
        clock.run([task], seconds, threading.Event())
        sequence, earliest, latest = np.array([(h.sequence, h.earliest_ns, h.latest_ns) for h in heatmaps]).T
        stamps = fit_stamps(sequence, earliest, latest) if fitted else (earliest + latest) // 2
        return [heatmap.raw for heatmap in heatmaps], list(stamps)

    return read


def write_cost(size: tuple[int, int]) -> dict:
    """ms a frame and MB a minute of writing images of a noisy room, and ms to open the clip again."""
    random = np.random.default_rng(0)
    width, height = size
    room = np.linspace(40, 200, width)[None, :, None] + np.linspace(0, 40, height)[:, None, None] * np.array(
        [1, 0.5, 0]
    )
    images = [np.clip(room + random.normal(0, 4, (height, width, 3)), 0, 255).astype(np.uint8) for _ in range(10)]
    clock = VirtualClock()
    with tempfile.TemporaryDirectory() as folder:
        header = ClipHeader("bench", "red", "dim", 1, "none", {}, synthetic=True)
        spent = {Image: 0.0, Heatmap: 0.0}
        with ClipWriter(Path(folder), header, clock) as writer:
            for number in range(300):
                clock.advance(33_333_333)
                records: list[Image | Heatmap] = [Image(clock.now_ns(), images[number % 10], number)]
                if number % 3 == 0:
                    now = clock.now_ns()
                    records.append(
                        Heatmap(now, random.integers(80, 120, (8, 8)).astype(np.int16), 400, number // 3, now, now)
                    )
                for record in records:
                    start = time.perf_counter()
                    (writer.write_image if isinstance(record, Image) else writer.write_heatmap)(record)  # pyright: ignore[reportArgumentType]
                    spent[type(record)] += time.perf_counter() - start
        start = time.perf_counter()
        open_clip(Path(folder) / "bench")
        opened = time.perf_counter() - start
        size_bytes = (Path(folder) / "bench/clip.mcap").stat().st_size
    return {
        "image_ms": spent[Image] / 300 * 1e3,
        "heatmap_ms": spent[Heatmap] / 100 * 1e3,
        "mb_min": size_bytes * 6 / 1e6,
        "open_ms": opened * 1e3,
    }


def main() -> None:
    """Print the tables."""
    print(f"reading for {SECONDS} s of the twin's time, sensor period 101 ms; stamp error in ms")
    print(f"{'reader':<34}{'bus':>9}{'read':>7}{'torn':>6}{'twice':>7}{'missed':>8}{'p50':>7}{'p95':>7}{'max':>7}")
    for bus_hz in (400_000, 100_000):
        for name, read in (
            ("driver's .pixels, every 100 ms", every_100_ms(pixels)),
            ("block read, every 100 ms", every_100_ms(block)),
            ("lrt, 23 ms polls, middle of bounds", ours(23_000_000, fitted=False)),
            ("lrt, 23 ms polls, fitted", ours(23_000_000, fitted=True)),
        ):
            print_row(name, f"{bus_hz // 1000} kHz", read_for(SECONDS, read, bus_hz))
    print("\na sensor whose period is four polls of 25 ms to the microsecond (400 kHz, fitted)")
    for poll_ns in (25_000_000, 23_000_000):
        found = read_for(SECONDS, ours(poll_ns, fitted=True), 400_000, period_ns=99_992_000)  # with its drift: 100 ms
        print_row(f"lrt, {poll_ns // 10**6} ms polls", "400 kHz", found)
    print("\nwriting a clip: 10 s at 30 images and 10 heatmaps a second")
    print(f"{'images':<12}{'ms/image':>10}{'ms/heatmap':>12}{'MB/min':>9}{'ms to open':>12}")
    for size in ((640, 480), (640, 360)):
        cost = write_cost(size)
        print(
            f"{size[0]}x{size[1]:<8}{cost['image_ms']:>10.2f}{cost['heatmap_ms']:>12.3f}{cost['mb_min']:>9.0f}"
            f"{cost['open_ms']:>12.1f}"
        )


def print_row(name: str, bus: str, found: dict) -> None:
    print(
        f"{name:<34}{bus:>9}{found['read']:>7}{found['torn']:>6}{found['twice']:>7}{found['missed']:>8}"
        f"{found['error_p50']:>7.1f}{found['error_p95']:>7.1f}{found['error_max']:>7.1f}"
    )
