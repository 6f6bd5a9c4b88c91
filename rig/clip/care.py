"""Looking after clips: what is there, and is it whole."""

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from .header import FINISHED, HEADER_NAME, LOG_NAME, RECORDING, RECOVERED, ClipError, ClipHeader, is_as_written
from .log import EVENTS, RGB, THERMAL, Entry, decode_heatmap, is_being_written, read_data, read_index
from .read import count_entries

_GAP = 1.75  # of the usual distance between frames; above it one is missing


@dataclass(frozen=True)
class ClipSummary:
    """A clip in a list.

    Attributes:
        state: `finished`, `recovered`, `recording` (at this moment), `cut`, or `unreadable`.
        seconds: from its start to its stop; None if that is not known.
    """

    folder: Path
    clip_id: str
    state: str
    clothing: str
    lighting: str
    occupants: int
    synthetic: bool
    heatmaps: int
    images: int
    seconds: float | None
    bytes: int


@dataclass(frozen=True)
class ClipReport:
    """What was found in a clip.

    Attributes:
        state: as in the header.
        seconds: from the first record to the last.
        thermal_missed, image_missed: frames that the sequence numbers say were made and not recorded.
        thermal_gaps, image_gaps: places where the distance of two frames is more than 1.75 times the usual.
        duplicates: heatmaps equal to the one before, and images with the stamp of the one before.
        problems: plain sentences; none if the clip is whole. Gaps and duplicates are no damage and not among them.
    """

    clip_id: str
    state: str
    heatmaps: int
    images: int
    events: int
    seconds: float
    bytes: int
    thermal_missed: int
    image_missed: int
    thermal_gaps: int
    image_gaps: int
    duplicates: int
    problems: tuple[str, ...]


def list_clips(root: Path) -> list[ClipSummary]:
    """Every clip in the folder, cut ones too, by name. Only clip.json is read: `verify_clip` looks inside.

    Raises:
        ClipError: there is no such folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise ClipError(f"folder of clips {root} is not there; `lrt capture --out {root}` makes it")
    folders = [folder for folder in sorted(root.iterdir()) if not folder.name.startswith(".")]
    return [_summarise(folder) for folder in folders if (folder / HEADER_NAME).is_file()]


def verify_clip(folder: Path) -> ClipReport:
    """Check a clip, whole or cut, against its CRCs, its SHA-256 and its counts.

    Raises:
        ClipError: it is missing, or no clip at all.
    """
    folder = Path(folder)
    header = ClipHeader.read(folder)
    log = folder / LOG_NAME
    if not log.is_file():
        raise ClipError(f"clip {folder.name}: {LOG_NAME} is missing; restore a copy")
    index = read_index(log)
    problems = []
    if not is_as_written(folder):
        problems.append(f"{HEADER_NAME} was damaged, or changed by hand; `lrt clips tag` mends tags.")
    if header.state not in (FINISHED, RECOVERED) and is_being_written(log):
        problems.append("It is being recorded at this moment.")
    elif header.state not in (FINISHED, RECOVERED):
        problems.append(f"The recording was cut short; `lrt clips recover {folder}` mends it.")
    else:
        if index.problem is not None:
            problems.append(f"{LOG_NAME} is damaged: {index.problem}.")
        if sha256_of(log) != header.sha256:
            problems.append(f"{LOG_NAME} is not the file that was recorded: its SHA-256 is another.")
        found = count_entries(index.entries)
        if found != header.counts:
            problems.append(f"{LOG_NAME} holds {found}, {HEADER_NAME} says {header.counts}.")
    return report_on(folder, header, index.entries, problems)


def sha256_of(log: Path) -> str:
    """Of a log, hexadecimal."""
    with log.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _summarise(folder: Path) -> ClipSummary:
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    try:
        header = ClipHeader.read(folder)
    except ClipError:
        return ClipSummary(folder, folder.name, "unreadable", "", "", 0, False, 0, 0, None, size)
    clocks = header.clocks
    seconds = (clocks["stop"]["mono_ns"] - clocks["start"]["mono_ns"]) / 1e9 if "stop" in clocks else None
    return ClipSummary(
        folder,
        header.clip_id,
        _state(folder, header),
        header.clothing,
        header.lighting,
        header.occupants,
        header.synthetic,
        header.counts.get("heatmaps", 0),
        header.counts.get("images", 0),
        seconds,
        size,
    )


def _state(folder: Path, header: ClipHeader) -> str:
    if header.state in (FINISHED, RECOVERED):
        return header.state
    return RECORDING if (folder / LOG_NAME).is_file() and is_being_written(folder / LOG_NAME) else "cut"


def report_on(folder: Path, header: ClipHeader, entries: list[Entry], problems: list[str]) -> ClipReport:
    """The report on a clip whose log holds these entries."""
    thermal = sorted((entry for entry in entries if entry.topic == THERMAL), key=lambda entry: entry.sequence)
    images = sorted((entry for entry in entries if entry.topic == RGB), key=lambda entry: entry.time_ns)
    with (folder / LOG_NAME).open("rb") as file:
        pixels = [decode_heatmap(read_data(file, entry)).raw for entry in thermal]
    same_heat = sum(np.array_equal(one, two) for one, two in pairwise(pixels))
    same_stamp = sum(one.time_ns == two.time_ns for one, two in pairwise(images))
    times_ns = [entry.time_ns for entry in entries if entry.topic != EVENTS]
    return ClipReport(
        clip_id=header.clip_id,
        state=header.state,
        heatmaps=len(thermal),
        images=len(images),
        events=len(entries) - len(thermal) - len(images),
        seconds=(max(times_ns) - min(times_ns)) / 1e9 if times_ns else 0.0,
        bytes=(folder / LOG_NAME).stat().st_size,
        thermal_missed=_missed(thermal),
        image_missed=_missed(images),
        thermal_gaps=_gaps(thermal),
        image_gaps=_gaps(images),
        duplicates=same_heat + same_stamp,
        problems=tuple(problems),
    )


def _missed(entries: list[Entry]) -> int:
    return entries[-1].sequence - entries[0].sequence + 1 - len(entries) if entries else 0


def _gaps(entries: list[Entry]) -> int:
    distances = np.diff([entry.time_ns for entry in entries])
    return int((distances > _GAP * np.median(distances)).sum()) if distances.size else 0
