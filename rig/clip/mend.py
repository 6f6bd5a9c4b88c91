"""Mending clips whose recording was cut, or whose file was damaged."""

from dataclasses import replace
from pathlib import Path

from ..jpeg import jpeg_size
from .care import ClipReport, report_on, sha256_of
from .compressed import decode_message
from .header import FINISHED, HEADER_NAME, LOG_NAME, PARTIAL, RECOVERED, ClipError, ClipHeader
from .log import RGB, Entry, LogWriter, complete_log, is_being_written, read_data, read_index
from .read import count_entries
from .write import rename_durably

_UNFINISHED_BYTES = 1024 * 1024  # behind a cut recording's last chunk: one chunk and one large image


def recover_clip(folder: Path) -> ClipReport:
    """Mend a clip that was cut short or damaged: every whole chunk of it, with a new index, under its own name.

    A log that was merely cut is completed where it lies, so that a full disk or a large clip is no hindrance. Where
    more is wrong, a new file replaces the old in one step, once the disk holds all of it, and the old one is kept
    beside it as `clip.mcap.damaged`.

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
    if not log.is_file():
        raise ClipError(f"clip {target.name}: {LOG_NAME} is missing, so nothing can be recovered; `lrt clips remove`")
    try:
        if is_being_written(log):
            raise ClipError(f"clip {target.name} is being recorded at this moment; stop the recording first")
        index = read_index(log)
        ended = header.state in (FINISHED, RECOVERED)
        if index.problem is None and ended and sha256_of(log) == header.sha256 and target == folder:
            raise ClipError(f"clip {folder.name} is whole; there is nothing to recover")
        if not index.entries:
            raise ClipError(
                f"clip {folder.name}: not one second of it was whole, so nothing can be recovered; `lrt clips remove`"
            )
        mended.unlink(missing_ok=True)  # of an attempt that was itself cut
        counts = count_entries(index.entries)
        image_size = header.image_size or _image_size(log, index.entries)
        lost = f"{index.damaged_chunks} damaged chunks left out, {index.lost_bytes} bytes lost at the end"
        merely_cut = not (ended or index.damaged_chunks or index.lost_bytes > _UNFINISHED_BYTES)
        sha256 = complete_log(log, index) if merely_cut else None
        if sha256 is None:
            sha256 = _copy_entries(log, index.entries, mended)
            kept = folder / f"{LOG_NAME}.damaged"
            if not kept.exists():
                log.rename(kept)
            mended.replace(log)
        header = replace(
            header,
            state=RECOVERED,
            ended=f"recovered: {lost}",
            counts=counts,
            image_size=image_size,
            sha256=sha256,
        )
        header.write(folder)
        if target != folder:
            rename_durably(folder, target)
    except OSError as error:
        mended.unlink(missing_ok=True)
        raise ClipError(f"clip {folder.name} could not be recovered: {error.strerror or error}") from error
    problems = [f"Recovered: {lost}."] if index.problem is not None else []
    return report_on(target, header, read_index(target / LOG_NAME).entries, problems)


def recover_cut_clips(root: Path) -> tuple[list[ClipReport], list[ClipError]]:
    """Mend every clip of a folder whose recording was cut and is not going on.

    Returns:
        What was mended, and why the rest could not be; both empty if there is no such folder.
    """
    reports, refusals = [], []
    for folder in sorted(Path(root).glob(f"*{PARTIAL}")):
        log = folder / LOG_NAME
        if not (folder / HEADER_NAME).is_file() or (log.is_file() and is_being_written(log)):
            continue
        try:
            reports.append(recover_clip(folder))
        except ClipError as error:
            refusals.append(error)
    return reports, refusals


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
                return jpeg_size(decode_message(read_data(file, entry)))
    return None
