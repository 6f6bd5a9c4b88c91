"""Looking after clips: what is there, is it whole, mend what was cut."""

import hashlib
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from .compressed import decode_pixels
from .header import FINISHED, HEADER_NAME, LOG_NAME, PARTIAL, RECORDING, RECOVERED, ClipError, ClipHeader
from .log import EVENTS, RGB, THERMAL, Entry, LogWriter, decode_heatmap, is_being_written, read_data, read_index
from .read import count_entries
from .write import rename_durably

_UNFINISHED_BYTES = 1024 * 1024  # behind a cut recording's last chunk: one chunk and one large image
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
    return [_summarise(folder) for folder in sorted(root.iterdir()) if (folder / HEADER_NAME).is_file()]


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
    if header.state not in (FINISHED, RECOVERED) and is_being_written(log):
        problems.append("It is being recorded at this moment.")
    elif header.state not in (FINISHED, RECOVERED):
        problems.append(f"The recording was cut short; `lrt clips recover {folder}` mends it.")
    else:
        if index.problem is not None:
            problems.append(f"{LOG_NAME} is damaged: {index.problem}.")
        if _sha256(log) != header.sha256:
            problems.append(f"{LOG_NAME} is not the file that was recorded: its SHA-256 is another.")
        found = count_entries(index.entries)
        if found != header.counts:
            problems.append(f"{LOG_NAME} holds {found}, {HEADER_NAME} says {header.counts}.")
    return _report(folder, header, index.entries, problems)


def recover_clip(folder: Path) -> ClipReport:
    """Mend a clip that was cut short or damaged: every whole chunk of it, with a new index, under its own name.

    The new file replaces the old in one step, once the disk holds all of it. Where more than the unfinished end of a
    cut recording is left out, the old file is kept beside it as `clip.mcap.damaged`.

    Returns:
        The report on the mended clip; `problems` says what was left out.

    Raises:
        ClipError: it is no clip; it is whole already; nothing whole is in it; or its name is taken.
    """
    folder = Path(folder)
    header = ClipHeader.read(folder)
    log, mended = folder / LOG_NAME, folder / f"{LOG_NAME}.mended"
    target = folder.with_name(folder.name.removesuffix(PARTIAL))
    if target != folder and target.exists():
        raise ClipError(f"clip {target.name} is in {target.parent} already; move one of the two away")
    try:
        if is_being_written(log):
            raise ClipError(f"clip {target.name} is being recorded at this moment; stop the recording first")
        index = read_index(log)
        ended = header.state in (FINISHED, RECOVERED)
        if index.problem is None and ended and _sha256(log) == header.sha256 and target == folder:
            raise ClipError(f"clip {folder.name} is whole; there is nothing to recover")
        if not index.entries:
            raise ClipError(
                f"clip {folder.name}: not one second of it was whole, so nothing can be recovered; delete {folder}"
            )
        mended.unlink(missing_ok=True)  # of an attempt that was itself cut
        sha256 = _copy_entries(log, index.entries, mended)
        counts = count_entries(index.entries)
        lost = f"{index.damaged_chunks} damaged chunks left out, {index.lost_bytes} bytes lost at the end"
        kept = folder / f"{LOG_NAME}.damaged"
        if (ended or index.damaged_chunks or index.lost_bytes > _UNFINISHED_BYTES) and not kept.exists():
            log.rename(kept)
        mended.replace(log)
        header = replace(
            header,
            state=RECOVERED,
            ended=f"recovered: {lost}",
            counts=counts,
            image_size=header.image_size or _image_size(log, index.entries),
            sha256=sha256,
        )
        header.write(folder)
        if target != folder:
            rename_durably(folder, target)
    except OSError as error:
        mended.unlink(missing_ok=True)
        raise ClipError(f"clip {folder.name} could not be recovered: {error.strerror or error}") from error
    problems = [f"Recovered: {lost}."] if index.problem is not None else []
    return _report(target, header, read_index(target / LOG_NAME).entries, problems)


def _sha256(log: Path) -> str:
    with log.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy_entries(source: Path, entries: list[Entry], target: Path) -> str:
    writer = LogWriter(target)
    with source.open("rb") as file:
        for entry in entries:
            writer.write(entry.topic, entry.time_ns, entry.sequence, read_data(file, entry))
    return writer.finish()


def _image_size(log: Path, entries: list[Entry]) -> tuple[int, int] | None:
    for entry in entries:
        if entry.topic == RGB:
            with log.open("rb") as file:
                height, width = decode_pixels(read_data(file, entry)).shape[:2]
            return width, height
    return None


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


def _report(folder: Path, header: ClipHeader, entries: list[Entry], problems: list[str]) -> ClipReport:
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
