"""What a person may change about a clip afterwards: its tags, and that it is there at all."""

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from .header import FINISHED, HEADER_NAME, LOG_NAME, RECOVERED, ClipError, ClipHeader
from .log import is_being_written
from .write import rename_durably

_REMOVING = ".removing"


def mend_tags(folder: Path, by: str, **tags: Any) -> ClipHeader:
    """Correct a clip's tags; what stood there before stays in the header's history.

    Args:
        folder: the clip, whole.
        by: who says so.
        tags: `clothing`, `lighting`, `occupants`, `consent`, `room`, `tags` (all the free ones) and `vocabulary`;
            those that are as they were change nothing.

    Returns:
        The header as it now stands.

    Raises:
        ClipError: it is missing, is being recorded or was cut, cannot be written, or no tag changes.
    """
    header = ClipHeader.read(folder)
    if header.state not in (FINISHED, RECOVERED):
        raise ClipError(f"clip {folder.name} is not finished; end its recording, or `lrt clips recover {folder}`")
    changed = {name: value for name, value in tags.items() if value != getattr(header, name)}
    if not changed:
        raise ClipError(f"clip {folder.name} has these tags already")
    now_ns = time.time_ns()
    history = header.history + [
        {"tag": name, "old": getattr(header, name), "new": value, "real_ns": now_ns, "by": by}
        for name, value in changed.items()
    ]
    mended = replace(header, history=history, **changed)
    try:
        mended.write(folder)
    except OSError as error:
        raise ClipError(f"{folder / HEADER_NAME} cannot be written ({error.strerror})") from error
    return mended


def remove_clip(folder: Path) -> None:
    """Remove a clip, whole or cut, from the disk. There is no way back: ask first.

    Raises:
        ClipError: it is no clip, or is being recorded, or the disk refuses.
    """
    folder = Path(folder)
    if not (folder / HEADER_NAME).is_file():
        ClipHeader.read(folder)  # says which way it is none
    log = folder / LOG_NAME
    if log.is_file() and is_being_written(log):
        raise ClipError(f"clip {folder.name} is being recorded at this moment; stop the recording first")
    doomed = folder.with_name(f".{folder.name}{_REMOVING}")  # cut off in the middle, it must not look like a clip
    try:
        if doomed.exists():
            shutil.rmtree(doomed)
        rename_durably(folder, doomed)
        shutil.rmtree(doomed)
    except OSError as error:
        raise ClipError(f"clip {folder.name} could not be removed: {error.strerror or error}") from error


def finish_removals(root: Path) -> int:
    """Take away what is left of clips whose removal was cut off, and say of how many.

    Raises:
        ClipError: the disk refuses.
    """
    left = [folder for folder in Path(root).glob(f".*{_REMOVING}") if folder.is_dir()]
    for folder in left:
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise ClipError(f"{folder} could not be removed: {error.strerror or error}") from error
    return len(left)
