"""What reading the AMG8833, pairing and recording cost, and how true they are: against the twin's bus, frame by frame.

`python -m bench rig` prints tables; `python -m bench.rig --json` prints the figures that are promised, as one object.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from adafruit_amg88xx import AMG88XX

from bench.__main__ import machine
from bench.rig_sources import Still, begin, make_bus, make_header, make_rig, noisy_pictures, tell_of
from lrt.rig.clip import ClipWriter, open_clip
from lrt.rig.recorder import Recording
from lrt.rig.records import Heatmap, Image
from lrt.rig.settings import RecordSettings
from lrt.rig.station import record
from lrt.rig.thermal.amg8833 import AMG8833, decode_pixels
from lrt.rig.timing.clock import SECOND_NS, Task, VirtualClock
from lrt.rig.timing.stamps import fit_stamps
from lrt.rig.twin.camera import CameraSettings, TwinCamera
from lrt.rig.twin.sensor import SensorSettings, TwinBus

SECONDS = 600  # of the twin's time
REAL_SECONDS = 600.0  # of ours, for the figures that are promised
HOURS = 3.0  # of the twin's, for the memory
PERIOD_NS = 100_000_000


def read_for(seconds: int, read: Callable, bus_hz: int, period_ns: int = 101_000_000) -> dict:
    """Read the twin's sensor, and tell every frame read from the frames that were made."""
    clock = VirtualClock(start_ns=10**9)
    bus = make_bus(clock, SensorSettings(bus_hz=bus_hz, period_ns=period_ns))
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
    images = noisy_pictures(size)
    clock = VirtualClock()
    with tempfile.TemporaryDirectory() as folder:
        spent = {Image: 0.0, Heatmap: 0.0}
        with ClipWriter(Path(folder), make_header(), clock) as writer:
            for number in range(300):
                clock.advance(33_333_333)
                now = clock.now_ns()
                records: list[Image | Heatmap] = [Image(now, images[number % 10], number)]
                if number % 3 == 0:
                    raw = random.integers(80, 120, (8, 8)).astype(np.int16)
                    records.append(Heatmap(now, raw, 400, number // 3, now, now))
                for each in records:
                    start = time.perf_counter()
                    (writer.write_image if isinstance(each, Image) else writer.write_heatmap)(each)  # pyright: ignore[reportArgumentType]
                    spent[type(each)] += time.perf_counter() - start
        start = time.perf_counter()
        open_clip(writer.folder)
        opened = time.perf_counter() - start
        size_bytes = (writer.folder / "clip.mcap").stat().st_size
    return {
        "image_ms": spent[Image] / 300 * 1e3,
        "heatmap_ms": spent[Heatmap] / 100 * 1e3,
        "mb_min": size_bytes * 6 / 1e6,
        "open_ms": opened * 1e3,
    }


def record_pairs(seconds: int) -> Recording:
    """A recording of the twin's time with a camera of 30 frames/s whose clock drifts and whose stamps jitter."""
    clock = VirtualClock(start_ns=SECOND_NS)
    bus = make_bus(clock)
    picture = noisy_pictures((64, 48), 1)[0]
    camera = TwinCamera(Still(picture), clock, CameraSettings(rate=30.0))  # pyright: ignore[reportArgumentType]
    rig = make_rig(clock, bus, camera.reopen, RecordSettings(reserve_mb=0))
    with tempfile.TemporaryDirectory() as folder:
        return record(rig, Path(folder), make_header(), seconds, threading.Event())


def record_live(seconds: float) -> dict[str, Any]:
    """What recording 640x480 at 30/s in real time costs and loses, as the daemon does it."""
    with tempfile.TemporaryDirectory() as folder, begin("live", folder, "--seconds", seconds) as process:
        tell_of(process)
        return tell_of(process)


def memory_growth(hours: float) -> float:
    """MB an hour that a recording holds more at its end than after its first hour."""
    with tempfile.TemporaryDirectory() as folder, begin("hours", folder, "--hours", hours) as process:
        told = tell_of(process)
    after_one, after_all = np.interp([60, 60 * hours], told["minutes"], told["held_mb"])
    return float(after_all - after_one) / (hours - 1)


def measure(real_seconds: float) -> dict[str, Any]:
    """The figures that are promised."""
    pixels_found = read_for(SECONDS, every_100_ms(pixels), 400_000)
    raw, fitted = (read_for(SECONDS, ours(23_000_000, fitted), 400_000) for fitted in (False, True))
    paired = record_pairs(SECONDS)
    growth = memory_growth(HOURS)
    live = record_live(real_seconds)
    return {
        "machine": machine(),
        "twin_seconds": SECONDS,
        "torn": fitted["torn"],
        "duplicate": fitted["twice"],
        "missed": fitted["missed"],
        "pixels_torn": pixels_found["torn"],
        "pixels_duplicate": pixels_found["twice"],
        "pixels_missed": pixels_found["missed"],
        "stamp_error_ms_p95": fitted["error_p95"],
        "stamp_error_raw_ms_p95": raw["error_p95"],
        "pairs": paired.pairs,
        "pair_error_ms_mean": paired.pair_error_ms_mean,
        "pair_error_ms_max": paired.pair_error_ms_max,
        "real_seconds": real_seconds,
        "cpu_share": live["cpu_share"],
        "rss_mb": live["rss_mb"],
        "torch_imported": live["torch_imported"],
        "frames_lost": live["images_lost"] + live["heatmaps_lost"],
        **{name: live[name] for name in ("images", "heatmaps", "images_lost", "heatmaps_lost", "dropped")},
        "longest_stall_ms": live["longest_stall_ms"],  # 133 ms and a camera's driver has let an image go
        "nice": live["nice"],
        "load_average": live["load_average"],  # of the machine over 15 minutes: ours alone is 0.1
        "memory_hours": HOURS,
        "memory_growth_mb_per_hour": growth,
    }


def main(arguments: Sequence[str] = ()) -> None:
    """Print the tables, or the JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.rig", description=__doc__)
    parser.add_argument("--json", action="store_true", help="the promised figures alone, as one JSON object")
    parser.add_argument("--real-seconds", type=float, help="how long to record in real time (60; with --json 600)")
    told = parser.parse_args(arguments)
    real_seconds = told.real_seconds or (REAL_SECONDS if told.json else 60.0)
    with redirect_stdout(sys.stderr) if told.json else nullcontext():
        if not told.json:
            print_tables()
        found = measure(real_seconds)
    if told.json:
        print(json.dumps(found))
        return
    print(
        f"\nrecording: {found['pairs']} pairs of {SECONDS} s of the twin's time at 30 images/s are "
        f"{found['pair_error_ms_mean']:.1f} ms off in the mean, {found['pair_error_ms_max']:.1f} ms at most\n"
        f"in real time, {real_seconds:g} s of 640x480 at 30/s: {found['cpu_share']:.1%} of a core, "
        f"{found['rss_mb']:.0f} MB, {found['frames_lost']} frames lost\n"
        f"memory grows by {found['memory_growth_mb_per_hour']:.2f} MB an hour ({HOURS:g} hours)"
    )


def print_tables() -> None:
    """What the ways to read the sensor give, and what writing costs."""
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


if __name__ == "__main__":
    main(sys.argv[1:])
