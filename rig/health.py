"""Is the rig healthy? What the last ten seconds say, in words a technician can act upon: green, amber, red."""

import os
import shutil
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .computer import Computer, read_computer
from .jpeg import decode_jpeg
from .records import Event, Heatmap, Jpeg
from .settings import Rig, RigSettings
from .timing.clock import SECOND_NS
from .timing.pairing import pair_nearest
from .timing.stamps import fit_stamps
from .timing.wall import is_synchronised

GREEN, AMBER, RED = LEVELS = ("green", "amber", "red")
WINDOW_S = 10.0
_LOOK_NS = 2 * SECOND_NS  # from one look at the picture itself to the next
_SLOW_READ_MS = 8.0  # 3.0 at 400 kHz, 11.8 at 100 kHz
_DARK, _GLARING = 4.0, 250.0  # mean of a picture behind a lens cap, and of one that is all sky; 0 to 255
_APART_NS = 3 * SECOND_NS  # streams that have run for so long and never at the same time have two clocks
_FEW_MINUTES = 20.0  # a visit
_HOT_C = 80.0  # a Pi slows down from here on
_BYTES_A_FRAME = 48_000  # 640x480 at quality 90, until it has been measured


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        what: it is about, a word or two.
        level: green, amber (it will do, but) or red (nothing should be recorded like this).
        says: what was found.
        do: the one thing to do; empty if green.
    """

    what: str
    level: str
    says: str
    do: str = ""


@dataclass(frozen=True)
class Health:
    """The report; its level is the worst of its findings."""

    findings: tuple[Finding, ...]

    @property
    def level(self) -> str:
        """green, amber or red."""
        return max((finding.level for finding in self.findings), key=LEVELS.index, default=GREEN)

    def as_dict(self) -> dict[str, Any]:
        """Level, advice and findings, in values that JSON can hold."""
        return {"level": self.level, "advice": self.advice, "findings": [asdict(each) for each in self.findings]}

    @property
    def advice(self) -> str:
        """The one thing to do first; empty if all is well."""
        worst = [finding for finding in self.findings if finding.level == self.level and finding.do]
        return worst[0].do if worst and self.level != GREEN else ""


class Watch:
    """Remembers the last ten seconds of a station; give its `see` to the station's listeners.

    Args:
        rig: open.
        seconds: how long it remembers.
    """

    def __init__(self, rig: Rig, seconds: float = WINDOW_S) -> None:
        self._rig, self._window_ns = rig, round(seconds * SECOND_NS)
        self._lock = threading.Lock()
        self._since_ns = rig.clock.now_ns()
        self._heat: deque[tuple[Heatmap, int]] = deque()  # with the torn reads until then
        self._images: deque[tuple[int, int, int]] = deque()  # stamp, sequence, bytes
        self._events: deque[Event] = deque()
        self._looks: deque[tuple[int, float]] = deque()  # stamp, mean brightness of the picture

    def see(self, record: Heatmap | Jpeg | Event) -> None:
        """Take notice of a record."""
        now_ns = self._rig.clock.now_ns()
        brightness = None
        if isinstance(record, Jpeg) and (not self._looks or record.timestamp_ns - self._looks[-1][0] >= _LOOK_NS):
            try:
                brightness = float(decode_jpeg(record.data, reduce=8, gray=True).mean())
            except ValueError:
                brightness = 0.0
        with self._lock:
            if isinstance(record, Heatmap):
                self._heat.append((record, self._rig.thermal.tell("torn_reads", 0)))
            elif isinstance(record, Jpeg):
                self._images.append((record.timestamp_ns, record.sequence, len(record.data)))
                if brightness is not None:
                    self._looks.append((record.timestamp_ns, brightness))
            else:
                self._events.append(record)
            oldest_ns = now_ns - self._window_ns
            for kept, stamp in (
                (self._heat, lambda each: each[0].timestamp_ns),
                (self._images, lambda each: each[0]),
                (self._events, lambda each: each.timestamp_ns),
                (self._looks, lambda each: each[0]),
            ):
                while kept and stamp(kept[0]) < oldest_ns:
                    kept.popleft()

    def judge(self, folder: Path) -> Health:
        """What is to be said of the rig now.

        Args:
            folder: of the clips; need not be there yet.
        """
        with self._lock:
            heat, images = list(self._heat), list(self._images)
            events, looks = list(self._events), list(self._looks)
        now_ns = self._rig.clock.now_ns()
        watched_s = min(self._window_ns, now_ns - self._since_ns) / SECOND_NS
        settings = self._rig.settings
        findings = [
            *_judge_sensor(self._rig, heat, now_ns, watched_s),
            *_judge_heat(heat, events),
            *_judge_camera(self._rig, images, looks, now_ns, watched_s),
            *_judge_pairing(heat, images),
            *_judge_sync(settings),
            *_judge_clock(settings),
            *_judge_disk(settings, folder, sum(size for _, _, size in images) / max(watched_s, 1.0)),
            *_judge_computer(read_computer()),
            *judge_permissions(settings),
        ]
        return Health(tuple(findings))

    def minutes_left(self, folder: Path) -> float:
        """How long can be recorded before the disk has only its reserve left.

        Args:
            folder: of the clips; need not be there yet.
        """
        with self._lock:
            size = sum(size for _, _, size in self._images)
        watched_s = min(self._window_ns, self._rig.clock.now_ns() - self._since_ns) / SECOND_NS
        there = folder.absolute()
        while not there.exists():
            there = there.parent
        return _minutes_left(self._rig.settings, there, size / max(watched_s, 1.0))


def _judge_sensor(rig: Rig, heat: list[tuple[Heatmap, int]], now_ns: int, watched_s: float) -> Iterator[Finding]:
    problem = rig.thermal.problem
    if problem or not heat:
        yield _lost("sensor", problem, watched_s)
        return
    made = heat[-1][0].sequence - heat[0][0].sequence + 1
    missed, torn = made - len(heat), heat[-1][1] - heat[0][1]
    same = sum(np.array_equal(one.raw, two.raw) for (one, _), (two, _) in pairwise(heat))
    stamps_ns = np.array([each.timestamp_ns for each, _ in heat])
    rate = (made - 1) / max((stamps_ns[-1] - stamps_ns[0]) / SECOND_NS, 1e-9) if made > 1 else 0.0
    read_ms = rig.thermal.tell("read_ms")
    says = f"{rate:.1f} heatmaps/s, {torn} torn reads caught, {same} repeated, {missed} missed"
    if read_ms is not None:
        says += f"; a read takes {read_ms:.1f} ms"
    if (board := rig.thermal.tell("board")) is not None:
        says += f"; board {board.board_id}, firmware {board.firmware}"
    age_s = (now_ns - int(stamps_ns[-1])) / SECOND_NS
    if age_s > max(1.0, 3 * rig.thermal.frame_ns / SECOND_NS):
        yield Finding("sensor", RED, f"the last heatmap is {age_s:.1f} s old", "check the sensor's cable")
    elif missed > 0.02 * made or same:
        yield Finding("sensor", AMBER, says, "stop other programs on this computer, or shorten the sensor's wires")
    elif read_ms is not None and read_ms > _SLOW_READ_MS:
        yield Finding("sensor", AMBER, says, "set i2c_arm_baudrate=400000 in /boot/firmware/config.txt and restart")
    else:
        yield Finding("sensor", GREEN, says)


def _judge_heat(heat: list[tuple[Heatmap, int]], events: list[Event]) -> Iterator[Finding]:
    if len(heat) < 5:
        return
    raw = np.stack([each.raw for each, _ in heat])
    celsius = np.stack([each.celsius for each, _ in heat])
    dead = int((raw.std(0) == 0).sum())
    stray = sum(bool(each.glitches.any()) for each, _ in heat)
    low, middle, high = celsius.min(), np.median(celsius), celsius.max()
    says = f"{low:.1f} to {high:.1f} degC, median {middle:.1f}"
    warming = [event for event in events if event.kind == "warming-up"]
    if dead:
        yield Finding("heat", AMBER, f"{dead} pixels never change", "switch the sensor off and on, or replace it")
    elif stray > 0.02 * len(heat):
        yield Finding("heat", AMBER, f"{stray} of {len(heat)} heatmaps have stray pixels", "check the sensor's wires")
    elif any(event.kind == "overflow" for event in events):
        yield Finding("heat", AMBER, "the sensor says that a value overflowed", "keep hot things out of its view")
    elif warming:
        yield Finding("heat", AMBER, f"{says}; still settling", "wait 15 s after switching on")
    else:
        yield Finding("heat", GREEN, says)


def _judge_camera(
    rig: Rig, images: list[tuple[int, int, int]], looks: list[tuple[int, float]], now_ns: int, watched_s: float
) -> Iterator[Finding]:
    problem = rig.camera.problem
    if problem or not images:
        yield _lost("camera", problem, watched_s)
        return
    made = images[-1][1] - images[0][1] + 1
    missing = made - len(images)
    seconds = (images[-1][0] - images[0][0]) / SECOND_NS
    rate = (made - 1) / seconds if seconds > 0 else 0.0
    asked = rig.settings.camera.rate
    says = f"{rate:.1f} images/s, {missing} missing"
    stamps = rig.camera.tell("stamps")
    if stamps == "arrival":
        says += "; stamped on arrival, for the driver's stamps are of no use"
    age_s = (now_ns - images[-1][0]) / SECOND_NS
    brightness = looks[-1][1] if looks else None
    if age_s > 1.0 + 1 / max(asked, 1):
        yield Finding("camera", RED, f"the last image is {age_s:.1f} s old", "check the camera's cable")
    elif brightness is not None and brightness < _DARK:
        yield Finding("camera", AMBER, f"the picture is black; {says}", "take off the lens cap, or switch on a light")
    elif brightness is not None and brightness > _GLARING:
        yield Finding("camera", AMBER, f"the picture is all white; {says}", "turn the rig away from the light")
    elif missing > 0.02 * made:
        yield Finding("camera", AMBER, says, "stop other programs, or lower [camera] rate in the rig file")
    elif seconds > 1 and rate < 0.9 * asked and not rig.settings.camera.file:
        yield Finding("camera", AMBER, f"{says}; {asked:g}/s were asked for", "give the room more light")
    else:
        yield Finding("camera", GREEN, says)


def _judge_pairing(heat: list[tuple[Heatmap, int]], images: list[tuple[int, int, int]]) -> Iterator[Finding]:
    if len(heat) < 5 or len(images) < 5:
        return
    bounds = np.array([(h.sequence, h.earliest_ns, h.latest_ns) for h, _ in heat], np.int64).T
    heat_ns = fit_stamps(*bounds)
    image_ns = np.sort(np.array([stamp for stamp, _, _ in images], np.int64))
    both = heat_ns[(heat_ns >= image_ns[0]) & (heat_ns <= image_ns[-1])]
    if not both.size and min(np.ptp(heat_ns), np.ptp(image_ns)) > _APART_NS:
        yield Finding("pairing", RED, "heat and picture do not overlap in time", "restart the rig")
    if not both.size:
        return
    _, _, error_ns = pair_nearest(both, image_ns, SECOND_NS)
    worst_ms = float(np.percentile(np.abs(error_ns), 95)) / 1e6
    says = f"95 % of heatmaps have an image within {worst_ms:.0f} ms"
    if worst_ms > 50:
        yield Finding("pairing", RED, says, "raise [camera] rate in the rig file: 30/s gives 17 ms")
    elif worst_ms > 35:
        yield Finding("pairing", AMBER, says, "raise [camera] rate in the rig file: 30/s gives 17 ms")
    else:
        yield Finding("pairing", GREEN, says)


def _judge_sync(settings: RigSettings) -> Iterator[Finding]:
    sync = settings.sync
    if sync.measured:
        says = f"heat comes {sync.offset_ms:.0f} +- {sync.spread_ms:.0f} ms after the picture ({sync.measured})"
        yield Finding("time offset", GREEN, says)
    else:
        yield Finding("time offset", GREEN, "never measured on this rig; `lrt sync-check` measures it")


def _judge_clock(settings: RigSettings) -> Iterator[Finding]:
    if settings.synthetic:
        return
    synchronised = is_synchronised()
    if synchronised is False:
        yield Finding(
            "clock",
            AMBER,
            "the time of day is not set by the network; clips keep their own time, but their dates may be wrong",
            "connect the computer to a network once after switching on, or to a phone's hotspot",
        )
    else:
        yield Finding("clock", GREEN, "the time of day is set by the network" if synchronised else "not known")


def _minutes_left(settings: RigSettings, there: Path, bytes_a_second: float) -> float:
    """How long can be recorded before only the reserve is left."""
    free = shutil.disk_usage(there).free - settings.record.reserve_bytes
    return max(0.0, free / max(bytes_a_second or settings.camera.rate * _BYTES_A_FRAME, 1.0) / 60)


def _judge_disk(settings: RigSettings, folder: Path, bytes_a_second: float) -> Iterator[Finding]:
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK):
        yield Finding("disk", RED, f"{folder} cannot be written", f"sudo chown $USER {there}")
        return
    free = shutil.disk_usage(there).free - settings.record.reserve_bytes
    minutes = _minutes_left(settings, there, bytes_a_second)
    says = f"{minutes:.0f} minutes left" if minutes < 600 else f"{minutes / 60:.0f} hours left"
    if free <= 0:
        yield Finding("disk", RED, f"less than the reserve of {settings.record.reserve_mb} MB is left", "make room")
    elif minutes < _FEW_MINUTES:
        yield Finding("disk", AMBER, says, "make room: `lrt clips list`, copy clips away, `lrt clips remove`")
    else:
        yield Finding("disk", GREEN, says)


def _judge_computer(computer: Computer) -> Iterator[Finding]:
    at = "" if computer.celsius is None else f"{computer.celsius:.0f} degC"
    if computer.now:
        do = "use the Pi's own power supply" if "power" in computer.now[0] else "give it air"
        yield Finding("computer", RED if "power" in computer.now[0] else AMBER, "; ".join((*computer.now, at)), do)
    elif computer.celsius is not None and computer.celsius > _HOT_C:
        yield Finding("computer", AMBER, at, "give it air")
    elif computer.before:
        says = f"{at}; since it was started: {', '.join(computer.before)}"
        yield Finding("computer", AMBER, says, "use the Pi's own power supply, and give it air")
    elif at:
        yield Finding("computer", GREEN, at)


def judge_permissions(settings: RigSettings) -> Iterator[Finding]:
    """Whether the device files may be opened; those that are not there are no matter of rights."""
    sensor, camera = settings.sensor, settings.camera
    wanted = {
        "amg8833": (f"/dev/i2c-{sensor.bus}", "i2c"),
        "mcu": (sensor.port, "dialout"),
        "serial": (sensor.port, "dialout"),
    }
    files = [wanted[sensor.kind]] if sensor.kind in wanted else []
    if camera.kind == "opencv" and not camera.file:
        device = camera.device if isinstance(camera.device, str) else f"/dev/video{camera.device}"
        files.append((device, "video"))
    refused = [(path, group) for path, group in files if Path(path).exists() and not os.access(path, os.R_OK | os.W_OK)]
    for path, group in refused:
        yield Finding("rights", RED, f"no right to open {path}", f"sudo usermod -aG {group} $USER, then log in again")
    if files and not refused:
        yield Finding("rights", GREEN, ", ".join(path for path, _ in files))


def _lost(name: str, problem: str | None, watched_s: float) -> Finding:
    says = problem or f"nothing has come in {watched_s:.0f} s"
    told, _, remedy = says.partition("; ")  # our errors say what was found, then what to do
    return Finding(name, RED, told, remedy or f"check the {name}'s cable")
