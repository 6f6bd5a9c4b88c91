"""Where a dataset is put: made beside its name, given the name when it is whole."""

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path

from .. import LrtError
from .info import CALIBRATION_NAME, CARD_NAME, CROISSANT_NAME, DATA_NAME, INFO_NAME, read_info
from .schema import DatasetError

PROGRESS_NAME = "progress"  # what each finished shard was made from, while others are being made
SYNCS_AT_ONCE = 32  # they share the journal's writes: 8,000 files of PNG take 1 s instead of 20
CONTENTS = {DATA_NAME, INFO_NAME, CALIBRATION_NAME, CARD_NAME, CROISSANT_NAME, PROGRESS_NAME}


@contextmanager
def new_folder(out: Path, replace: bool, resume: bool = False, contents: Collection[str] = CONTENTS) -> Iterator[Path]:
    """A folder `<out>.partial` to fill, which becomes `out` at the end of the block.

    An error or Ctrl-C in the block takes it away again, and what stood at `out` stays. What a killed build left in it
    is taken away too, or kept for the block to go on with.

    Args:
        out: must not exist, or be a dataset of ours if `replace`.
        replace: take the place of the dataset that stands there.
        resume: keep what a killed build left.
        contents: what a killed build may have left, and is no one else's; patterns.

    Raises:
        DatasetError: something else is in the way, another process is at it, or the disk refuses.
    """
    partial = out.with_name(f"{out.name}.partial")
    try:
        mend_swap(out)
        _check_target(out, replace)
        _check_partial(partial, contents)
        partial.mkdir(parents=True, exist_ok=True)
        with _hold(partial):
            try:
                if not resume:
                    _clear(partial)
                yield partial
                shutil.rmtree(partial / PROGRESS_NAME, ignore_errors=True)
                _put_in_place(partial, out)
            except BaseException:  # Ctrl-C too: half a dataset is no use to anybody
                _discard(partial)
                raise
    except OSError as error:
        if isinstance(error, LrtError):
            raise
        raise DatasetError(f"{out}: cannot be written ({error.strerror or error})") from error


def _check_target(out: Path, replace: bool) -> None:
    """Refuse to build over anything but a dataset of ours that may be replaced."""
    if not out.exists():
        return
    if not replace or out.name in ("", ".."):
        raise DatasetError(f"{out}: exists already; name another folder or move this one away")
    try:
        read_info(out)
    except DatasetError as error:
        raise DatasetError(f"{out}: will not be replaced, since it is not a dataset of lrt") from error


def _check_partial(partial: Path, contents: Collection[str]) -> None:
    """Refuse a folder of that name that no build made."""
    if not partial.exists():
        return
    names = sorted(entry.name for entry in partial.iterdir()) if partial.is_dir() else [partial.name]
    strange = [name for name in names if not any(fnmatch(name, pattern) for pattern in contents)]
    if strange:
        raise DatasetError(f"{partial}: in the way, and holds {strange[0]}, which no build made; move it away")


def _discard(partial: Path) -> None:
    """Take the folder away, while workers that have not heard of it yet may be writing there.

    Under another name none of them finds it; else one would make files between those that are being removed.
    """
    gone = partial.with_name(f".{partial.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)  # of a process that was killed at this
    with suppress(OSError):
        partial = partial.rename(gone)
    shutil.rmtree(partial, ignore_errors=True)


def _clear(partial: Path) -> None:
    """Take away what a killed build left in the folder, not the folder: it is held."""
    for entry in partial.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


@contextmanager
def _hold(partial: Path) -> Iterator[None]:
    """Keep a second build out of the folder; a killed process lets go of it by itself.

    Raises:
        DatasetError: another process holds it.
    """
    held = os.open(partial, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DatasetError(f"{partial}: another process is building there; wait for it, or stop it") from error
        yield
    finally:
        os.close(held)


def _put_in_place(partial: Path, out: Path) -> None:
    """Give the finished folder its name, the old one's if there is one; every byte is on the disk by then."""
    with ThreadPoolExecutor(SYNCS_AT_ONCE) as threads:
        list(threads.map(_sync, [*partial.rglob("*"), partial]))
    if not out.exists():
        partial.rename(out)
    else:
        old = _old_name(out)
        out.rename(old)
        try:
            partial.rename(out)
        except OSError:
            old.rename(out)
            raise
        shutil.rmtree(old)
    _sync(out.parent)


def _sync(path: Path) -> None:
    """Have the disk hold a file, or a folder's list of names."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def mend_swap(out: Path) -> None:
    """Finish what a process left that was killed between the renames: the dataset there, or the one before it."""
    old = _old_name(out)
    if not old.exists():
        return
    if not out.exists():
        old.rename(out)
    elif {entry.name for entry in old.iterdir()} <= CONTENTS:
        shutil.rmtree(old)
    else:
        raise DatasetError(f"{old}: left by a build that was cut off, with other files in it; move it away")


def _old_name(out: Path) -> Path:
    """Where the old dataset stands for the moment between two renames."""
    return out.with_name(f".{out.name}.old")
