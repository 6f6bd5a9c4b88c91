"""What is lost, and what is wrong and not said, when a rig is treated badly: each fault many times, at random moments.

`python -m bench faults` prints a table; `python -m bench.faults --json` prints one object. The faults repeat with their
seed, but for the moments of kills and power cuts, which the machine's own time decides.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np

from bench.__main__ import machine
from bench.rig_sources import (
    CLIP_ID,
    Disk,
    Line,
    PictureCamera,
    Still,
    WatchedCamera,
    begin,
    limited_files,
    load_firmware,
    make_bus,
    make_header,
    make_rig,
    noisy_pictures,
    small_disk,
    tell_of,
    why_no_disk,
)
from lrt import LrtError
from lrt.rig.clip import LOG_NAME, Clip, ClipError, ClipHeader, open_clip, recover_clip, verify_clip
from lrt.rig.records import Event, Heatmap, Image
from lrt.rig.settings import RecordSettings
from lrt.rig.station import record
from lrt.rig.thermal import port
from lrt.rig.thermal.mcu import MCUSensor
from lrt.rig.thermal.port import PortSensor
from lrt.rig.thermal.serial import SerialSensor
from lrt.rig.timing.clock import SECOND_NS, VirtualClock
from lrt.rig.twin.camera import CameraSettings
from lrt.rig.twin.faults import Faults
from lrt.rig.twin.sensor import SensorSettings

SIZES = ((640, 480), (64, 48))  # of pictures: chunks of the log fill in 0.2 s, or wait for the second to be over
PARTIAL = f"{CLIP_ID}.partial"
Random = np.random.Generator


@dataclass
class Tally:
    """What came of one kind of fault.

    Attributes:
        times: how often it struck.
        given: records that were held against the truth.
        wrong: records given out, unannounced, that are not what was measured.
        unreported: records lost that no event, number, state or error mentions.
        unsound: clips, finished or recovered, that do not verify.
        tracebacks: exceptions that are no `LrtError`.
        refused: what lrt said in one line instead of a result.
        missed: records that were made and are not there, said or not.
        lost_s: from the newest record that was kept to the moment of the fault, of each time.
        header_wrong: changes of clip.json that are not noticed; it has no check sum.
    """

    times: int
    given: int = 0
    wrong: int = 0
    unreported: int = 0
    unsound: int = 0
    tracebacks: int = 0
    refused: list[str] = field(default_factory=list)
    missed: int = 0
    lost_s: list[float] = field(default_factory=list)
    header_wrong: int = 0


def strike(name: str, times: int, trial: Callable[[Random, Tally], None]) -> Tally:
    """Have a fault happen so many times; its name is the seed."""
    tally = Tally(times)
    for number in range(times):
        try:
            trial(np.random.default_rng([number, *name.encode()]), tally)
        except LrtError as error:
            tally.refused.append(str(error))
        except Exception:
            traceback.print_exc(file=sys.stderr)
            tally.tracebacks += 1
    return tally


# ------------------------------------------------------------------------------------------------ a recording cut short


def kill(random: Random, tally: Tally) -> None:
    """SIGKILL of the recording process."""

    def pull(process: subprocess.Popen[str]) -> None:
        process.kill()
        process.wait()

    with tempfile.TemporaryDirectory() as folder:
        cut_short(random, tally, Path(folder), pull)


def cut_power(random: Random, tally: Tally, disk: Disk) -> None:
    """The disk is gone from one moment to the next, with all that the system had not yet put on it."""

    def pull(process: subprocess.Popen[str]) -> None:
        disk.cut_power()
        process.kill()
        process.wait()
        disk.remount()

    disk.clear()
    cut_short(random, tally, disk.folder, pull)


def cut_short(random: Random, tally: Tally, root: Path, pull: Callable[[subprocess.Popen[str]], None]) -> None:
    """Pull the plug of a recording in its first four seconds, and see what can be recovered.

    What is lost counts from the newest record that was recovered to the pulling: the devices' own delay (a heatmap is
    up to 125 ms old when it is read, an image 40 ms) is part of it. Where nothing is recovered, all of it is lost, what
    was kept from before the button included.
    """
    size = SIZES[random.integers(len(SIZES))]
    with begin("live", root, "--size", *size, "--seconds", 30, "--preroll", 1) as process:
        newest_ns = tell_of(process)["start_ns"]
        time.sleep(random.uniform(0, 4))
        pulled_ns = time.monotonic_ns()
        pull(process)
    try:
        newest_ns = recover_newest(root, tally)
    finally:
        tally.lost_s.append((pulled_ns - newest_ns) / SECOND_NS)


def recover_newest(root: Path, tally: Tally) -> int:
    """The stamp of the newest record in the cut clip of a folder, once that is recovered, verified and opened.

    Raises:
        ClipError: nothing is recovered.
    """
    recover_clip(root / PARTIAL)
    tally.unsound += bool(verify_clip(root / CLIP_ID).problems)
    clip = open_clip(root / CLIP_ID)
    tally.unreported += clip.header.state != "recovered"
    return newest_of(clip)


def newest_of(clip: Clip) -> int:
    """The stamp of a clip's newest record, ns."""
    return int(np.concatenate([clip.image_times_ns, clip.heat_times_ns]).max())


# --------------------------------------------------------------------------------------------------------- a full disk


def fill(random: Random, tally: Tally, disk: Disk | None, reserve_mb: int) -> None:
    """Record on a disk that has 3 to 8 MB left beyond the reserve, until it is full.

    Without a disk of our own, the system is told to let no file grow beyond so much.
    """
    room = int(random.uniform(3e6, 8e6))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) if disk is None else disk.folder
        if disk is not None:
            disk.clear()
            ballast = max(0, disk.free_bytes - room - reserve_mb * 1_000_000)
            (root / "ballast").write_bytes(bytes(ballast))
        clock = VirtualClock(SECOND_NS)
        bus = make_bus(clock)
        pictures = noisy_pictures((320, 240), 3)
        rig = make_rig(clock, bus, lambda: PictureCamera(clock, pictures), RecordSettings(reserve_mb=reserve_mb))
        try:
            with limited_files(room) if disk is None else nullcontext():
                done = record(rig, root, make_header(), 600, threading.Event())
        except ClipError as error:
            full_ns = clock.now_ns()
            tally.refused.append(str(error))
            with limited_files(room) if disk is None else nullcontext():
                newest_ns = recover_on_full(root, tally)
        else:
            full_ns, clip = clock.now_ns(), open_clip(done.clips[-1])
            newest_ns = newest_of(clip)
            tally.unsound += any(verify_clip(each).problems for each in done.clips)
            tally.unreported += not done.ended.startswith("disk low")
        tally.lost_s.append((full_ns - newest_ns) / SECOND_NS)


def recover_on_full(root: Path, tally: Tally) -> int:
    """As `recover_newest`; where the disk has no room for that, it is made, as lrt then asks for."""
    try:
        return recover_newest(root, tally)
    except ClipError as error:
        tally.refused.append(str(error))
        (root / "ballast").unlink(missing_ok=True)
        return recover_newest(root, tally)


# ---------------------------------------------------------------------------------------- devices that come and go

MINUTE_S = 60.0
NEAR_NS = 4_000_000  # a read of the pixels takes 3 ms: a heatmap whose bounds are further off bears another's time


def unplug(random: Random, tally: Tally) -> None:
    """Sensor and camera are pulled and put back, up to three times each, for 50 ms to 12 s."""
    gone = [
        tuple((random.uniform(1, MINUTE_S), float(np.exp(random.uniform(-3, 2.5)))) for _ in range(random.integers(4)))
        for _ in range(2)
    ]
    record_badly(random, tally, Faults(sensor_gone=gone[0], camera_gone=gone[1]))


def unplug_at_end(random: Random, tally: Tally) -> None:
    """Sensor or camera is pulled in the last five seconds of a recording, and is not there again before its end."""
    gone = ((random.uniform(10, 15), 60.0),)
    faults = Faults(sensor_gone=gone) if random.random() < 0.5 else Faults(camera_gone=gone)
    record_badly(random, tally, faults, seconds=15)


def nack_storm(random: Random, tally: Tally) -> None:
    """A loose wire: sixty times in a minute the sensor does not answer, for 0.1 to 400 ms."""
    bursts = tuple((random.uniform(1, MINUTE_S), float(np.exp(random.uniform(-9.2, -0.9)))) for _ in range(60))
    record_badly(random, tally, Faults(nack_bursts=bursts))


def record_badly(random: Random, tally: Tally, faults: Faults, seconds: float = MINUTE_S) -> None:
    """Record some of the twin's time with faults, and hold the clip against what the devices made."""
    clock = VirtualClock(SECOND_NS)
    seed = int(random.integers(2**31))
    sensor = SensorSettings(seed=seed, drift_ppm=random.normal(0, 80))
    bus = make_bus(clock, sensor, faults)
    still = Still(noisy_pictures((64, 48), 1)[0])
    camera = WatchedCamera(still, clock, CameraSettings(seed=seed, rate=30.0), faults)
    rig = make_rig(clock, bus, camera.reopen, RecordSettings(reserve_mb=0))
    start_ns = clock.now_ns()
    end_ns = start_ns + round(seconds * SECOND_NS)
    with tempfile.TemporaryDirectory() as folder:
        done = record(rig, Path(folder), make_header(), seconds, threading.Event())
        tally.unsound += bool(verify_clip(done.clips[0]).problems)
        clip = open_clip(done.clips[0])
        heatmaps, events = clip.heatmaps(), clip.events()
        images = [clip.image(index) for index in range(len(clip.image_times_ns))]
    made = {bus.measure(number).tobytes(): number for number in range(round(seconds * 11))}
    heat_numbers = [made.get(each.raw.tobytes()) for each in heatmaps]
    image_numbers = [camera.given.get(each.timestamp_ns) for each in images]
    hold_against(tally, heat_numbers, heatmaps)
    hold_against(tally, image_numbers, images)
    tally.wrong += sum(
        not each.earliest_ns - NEAR_NS <= bus.frame_ns(number) <= each.latest_ns + NEAR_NS
        for each, number in zip(heatmaps, heat_numbers, strict=True)
        if number is not None
    )
    for records, device, gap, frame_ns in (
        (heatmaps, "sensor", "thermal-gap", rig.thermal.frame_ns),
        (images, "camera", "image-gap", rig.camera.frame_ns),
    ):
        jumps = int(sum(np.diff([each.sequence for each in records]) - 1))
        told = sum(int(each.detail.split()[0]) for each in events if each.kind == gap and not is_at_end(each))
        tally.unreported += abs(jumps - told)
        stamps_ns = [each.timestamp_ns for each in records]
        troubles_ns = [event.timestamp_ns for event in events if is_trouble_of(device, event)]
        for one_ns, two_ns in ((start_ns, stamps_ns[0]), (stamps_ns[-1], end_ns)):
            missing = round((two_ns - one_ns) / frame_ns) - 1
            if missing > 2 and not any(one_ns <= trouble_ns for trouble_ns in troubles_ns):
                tally.unreported += missing  # the first and the last that are there have no number beyond them


def is_at_end(event: Event) -> bool:
    """Whether a gap is one that no later frame shows."""
    return event.detail.endswith("at the end.")


def is_trouble_of(device: str, event: Event) -> bool:
    """Whether an event tells that the sensor, or the camera, gave nothing."""
    if event.kind == "device-lost":
        return device in event.detail
    if is_at_end(event):
        return event.kind == ("thermal-gap" if device == "sensor" else "image-gap")
    return event.kind == "bus-error" and device == "sensor"


def hold_against(tally: Tally, numbers: Sequence[int | None], records: Sequence[Heatmap | Image]) -> None:
    """Count what is wrong among records, and what is missing between them without a jump of their sequence.

    A gap's length is told by the clock and may be one short; that there is one must always be told.

    Args:
        numbers: the true number of each record; None: no such record was ever made.
        records: in the order in which they were given out.
    """
    there = [(number, each.sequence) for number, each in zip(numbers, records, strict=True) if number is not None]
    steps, said = np.diff(np.array(there).reshape(-1, 2), axis=0).T
    short = steps - said
    tally.given += len(records)
    tally.wrong += len(records) - len(there) + int((steps <= 0).sum())
    tally.missed += int((steps - 1)[steps > 1].sum())
    tally.unreported += int(short[short > (said > 1)].sum())


# ------------------------------------------------------------------------------------------------------- rotten bits


@contextmanager
def finished_clip() -> Iterator[Path]:
    """A clip of four seconds, in chunks of one."""
    clock = VirtualClock(SECOND_NS)
    bus = make_bus(clock)
    pictures = noisy_pictures((64, 48))
    rig = make_rig(clock, bus, lambda: PictureCamera(clock, pictures), RecordSettings(reserve_mb=0))
    with tempfile.TemporaryDirectory() as folder:
        yield record(rig, Path(folder), make_header(), 4, threading.Event()).clips[0]


def flip_bit(random: Random, tally: Tally, whole: Path) -> None:
    """One bit of a clip's log is another; so is, in a second copy, one of its clip.json."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(whole, Path(folder) / whole.name))
        flip_in(copy / LOG_NAME, random)
        before = contents(whole)
        for look in (verify_clip, open_clip):  # each says so, or all of it is as it was
            try:
                noticed = bool(getattr(look(copy), "problems", ()))
            except ClipError:
                noticed = True
            tally.wrong += not noticed and contents(copy) != before
        report = recover_clip(copy)
        after = contents(copy)
        tally.given += len(after)
        tally.wrong += len(after - before)
        tally.missed += len(before - after)
        tally.unreported += len(before - after) if not report.problems else 0
        tally.unsound += bool(verify_clip(copy).problems)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(whole, Path(folder) / whole.name))
        flip_in(copy / "clip.json", random)
        try:
            changed = ClipHeader.read(copy) != ClipHeader.read(whole)
            tally.header_wrong += changed and not verify_clip(copy).problems
        except ClipError:
            pass


def flip_in(path: Path, random: Random) -> None:
    """Turn one bit of a file over."""
    data = bytearray(path.read_bytes())
    data[random.integers(len(data))] ^= 1 << random.integers(8)
    path.write_bytes(data)


def contents(folder: Path) -> set[tuple[Any, ...]]:
    """All that a clip says, decoded, one tuple a record."""
    clip = open_clip(folder)
    heat = {
        (each.sequence, each.raw.tobytes(), each.thermistor_raw, each.status, each.earliest_ns, each.latest_ns)
        for each in clip.heatmaps()
    }
    images = [clip.image(index) for index in range(len(clip.image_times_ns))]
    events = {(each.timestamp_ns, each.kind, each.detail) for each in clip.events()}
    return heat | events | {(each.sequence, each.timestamp_ns, each.pixels.tobytes()) for each in images}


# ---------------------------------------------------------------------------------------------------- serial streams

TICK_NS = 25_000_000  # from one of a board's polls, and clock packets, to the next
LATE_NS = 1_200_000  # a packet takes so long
MOST_LATE_NS = 50_000_000  # a stamp that is further off names another frame
TICKS = 40  # of a stream, every fourth with a frame: enough for the clocks to be matched and seven frames


def send_stream(
    random: Random, tally: Tally, line: Line, sensor: PortSensor, clock: VirtualClock, pack: Callable[..., bytes]
) -> None:
    """Send ten frames or so, most of it damaged, and hold what the driver gives against what was sent.

    Args:
        pack: the bytes of a tick: given the clock, and a frame's number, raw pixels and thermistor or None.
    """
    sent: dict[tuple[bytes, int], int] = {}
    times_ns: list[int] = []
    found: list[Heatmap] = []
    sharpness = random.uniform(0, 0.5)  # the share of ticks that are damaged
    for tick in range(TICKS):
        frame = None
        if tick % 4 == 0:
            raw = random.integers(70, 130, (8, 8)).astype(np.int16)
            frame = len(sent), raw, int(random.integers(300, 500))
            sent[raw.tobytes(), frame[2]] = frame[0]
            times_ns.append(clock.now_ns())
        data = pack(clock.now_ns(), frame)
        if data and tick < TICKS - 8 and random.random() < sharpness:  # the last two frames show what is lost before
            data = damage(data, random)
        line.send(data)
        clock.advance(LATE_NS)
        try:
            found += sensor.poll() if line.waiting else []
        except LrtError as error:  # it has given the line up, in one sentence
            tally.refused.append(str(error))
            break
        clock.advance(TICK_NS - LATE_NS)
    numbers = [sent.get((each.raw.tobytes(), each.thermistor_raw)) for each in found]
    hold_against(tally, numbers, found)
    tally.wrong += sum(
        abs(each.timestamp_ns - times_ns[number]) > MOST_LATE_NS
        for each, number in zip(found, numbers, strict=True)
        if number is not None
    )


def damage(data: bytes, random: Random) -> bytes:
    """Bytes as a bad line hands them on: bits turned over, bytes lost or added, cut short, without their ends."""
    kind, at, count = random.integers(5), random.integers(len(data)), random.integers(1, 21)
    if kind == 0:
        damaged = bytearray(data)
        for _ in range(random.integers(1, 9)):
            damaged[random.integers(len(data))] ^= 1 << random.integers(8)
        return bytes(damaged)
    if kind == 1:
        return data[:at] + data[at + count :]
    if kind == 2:
        return data[:at] + random.bytes(count) + data[at:]
    if kind == 3:
        return data[:at]
    return data.replace(b"\0", b"").replace(b"\r\n", b"")


def damage_packets(random: Random, tally: Tally, line: Line, core: ModuleType) -> None:
    """A stream of our firmware's packets."""
    clock = VirtualClock(100 * SECOND_NS)

    def pack(now_ns: int, frame: tuple[int, np.ndarray, int] | None) -> bytes:
        now_us = now_ns // 1000
        packet = core.clock_packet(now_us)
        if frame is not None:
            number, raw, thermistor = frame
            pixels = raw.astype("<i2").tobytes()
            packet += core.heat_packet(number, now_us - 30_000, now_us - 10_000, 0, 0, thermistor, pixels)
        return packet

    with MCUSensor(line.port, clock) as sensor:
        sensor.poll()
        send_stream(random, tally, line, sensor, clock, pack)


def damage_lines(random: Random, tally: Tally, line: Line) -> None:
    """A stream of the authors' text lines, which carry nothing that could prove them whole."""
    clock = VirtualClock(100 * SECOND_NS)

    def pack(_now_ns: int, frame: tuple[int, np.ndarray, int] | None) -> bytes:
        if frame is None:
            return b""
        values = [*(frame[1].ravel() / 4), frame[2] / 16]
        return ",".join(f"{value:.2f}" for value in values).encode() + b"\r\n"

    with SerialSensor(line.port, clock) as sensor:
        sensor.poll()
        line.send(b"\n")
        send_stream(random, tally, line, sensor, clock, pack)


# ------------------------------------------------------------------------------------------------------ all of them


def measure(times: int) -> dict[str, Any]:
    """Have everything happen, and print a row of each kind as it is done."""
    row = "{:<14}{:>6}{:>9}{:>7}{:>8}{:>9}{:>12}{:>9}{:>8}{:>13}{:>7}"
    heads = "fault times records wrong unsaid unsound tracebacks refused missed median most"
    print(row.format(*heads.split()) + "  (s lost)")
    tallies: dict[str, Tally] = {}

    def tell(name: str, count: int, trial: Callable[[Random, Tally], None]) -> None:
        tallies[name] = tally = strike(name, count, trial)
        lost = [f"{value:.2f}" for value in (np.median(tally.lost_s), max(tally.lost_s))] if tally.lost_s else ["", ""]
        counts = tally.given, tally.wrong, tally.unreported, tally.unsound, tally.tracebacks
        print(row.format(name, count, *counts, len(tally.refused), tally.missed, *lost), flush=True)

    no_disk = why_no_disk()
    tell("kill", times, kill)
    if no_disk is None:
        with small_disk(300) as disk:
            tell("power_cut", times, lambda random, tally: cut_power(random, tally, disk))
    with nullcontext() if no_disk else small_disk(32) as disk:
        tell("disk_full", times, lambda random, tally: fill(random, tally, disk, reserve_mb=0))
        if disk is not None:
            tell("reserve", times, lambda random, tally: fill(random, tally, disk, reserve_mb=5))
    tell("unplug", 2 * times, unplug)
    tell("unplug_at_end", times, unplug_at_end)
    tell("nack_storm", times, nack_storm)
    with finished_clip() as whole:
        tell("bit_flip", 10 * times, lambda random, tally: flip_bit(random, tally, whole))
    core = load_firmware()
    hello = core.hello_packet(0x69, 10, False, 60_000, b"bench")
    with closing(Line(hello)) as line, patch.object(port, "_WAIT_S", 0.002):  # nobody sends while the driver waits
        tell("packets", 50 * times, lambda random, tally: damage_packets(random, tally, line, core))
        tell("text_lines", 50 * times, lambda random, tally: damage_lines(random, tally, line))
    return summarise(tallies, no_disk)


def summarise(tallies: dict[str, Tally], no_disk: str | None) -> dict[str, Any]:
    """The promised figures, and those of each kind of fault."""
    text = tallies["text_lines"]
    rest = [tally for tally in tallies.values() if tally is not text]
    killed, cut = tallies["kill"], tallies.get("power_cut", Tally(0))
    return {
        "machine": machine(),
        "silently_wrong": sum(tally.wrong for tally in rest),
        "tracebacks": sum(tally.tracebacks for tally in tallies.values()),
        "unreported_losses": sum(tally.unreported for tally in rest),
        "unsound_clips": sum(tally.unsound for tally in rest),
        "kill_lost_s_max": max(killed.lost_s, default=None),
        "kill_lost_s_median": float(np.median(killed.lost_s)),
        "cut_lost_s_max": max(cut.lost_s, default=None),
        "cut_lost_s_median": float(np.median(cut.lost_s)) if cut.lost_s else None,
        "cut_not_possible": no_disk,
        "csv_silently_wrong": text.wrong,
        "csv_unreported_losses": text.unreported,
        "header_silently_wrong": tallies["bit_flip"].header_wrong,
        "times": {name: tally.times for name, tally in tallies.items()},
        "missed": {name: tally.missed for name, tally in tallies.items() if tally.missed},
        "refused": {name: len(tally.refused) for name, tally in tallies.items() if tally.refused},
    }


def main(arguments: Sequence[str] = ()) -> None:
    """Print the table, or the JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, the table on stderr")
    parser.add_argument("--times", type=int, default=20, help="how often each fault happens; streams 50 times as often")
    told = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # then mounts and processes are taken away too
    with redirect_stdout(sys.stderr) if told.json else nullcontext():
        found = measure(told.times)
    if told.json:
        print(json.dumps(found))
    elif found["cut_not_possible"]:
        print(f"the power was not cut: {found['cut_not_possible']}")


if __name__ == "__main__":
    main(sys.argv[1:])
