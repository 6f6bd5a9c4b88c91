"""Where a dataset is put: made beside its name, given the name when it is whole."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import LrtError
from .info import CALIBRATION_NAME, CARD_NAME, DATA_NAME, INFO_NAME, read_info
from .schema import DatasetError

CONTENTS = {DATA_NAME, INFO_NAME, CALIBRATION_NAME, CARD_NAME}


@contextmanager
def new_folder(out: Path, replace: bool) -> Iterator[Path]:
    """An empty folder `<out>.partial` to fill, which becomes `out` at the end of the block.

    An error or Ctrl-C in the block takes it away again, and what stood at `out` stays.

    Args:
        out: must not exist, or be a dataset of ours if `replace`.
        replace: take the place of the dataset that stands there.

    Raises:
        DatasetError: something else is in the way, or the disk refuses.
    """
    _check_target(out, replace)
    partial = out.with_name(f"{out.name}.partial")
    _clear_partial(partial)
    try:
        partial.mkdir(parents=True)
        yield partial
        _put_in_place(partial, out)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, LrtError):
            raise
        raise DatasetError(f"{out}: cannot be written ({error.strerror or error})") from error
    except BaseException:  # Ctrl-C too: half a dataset is no use to anybody
        shutil.rmtree(partial, ignore_errors=True)
        raise


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
    if _old_name(out).exists():
        raise DatasetError(f"{_old_name(out)}: left by a build that was cut off; move it away or delete it")


def _clear_partial(partial: Path) -> None:
    """Take away what a build left that was killed, and nothing else."""
    if not partial.exists():
        return
    strange = sorted({entry.name for entry in partial.iterdir()} - CONTENTS) if partial.is_dir() else [partial.name]
    if strange:
        raise DatasetError(f"{partial}: in the way, and holds {strange[0]}, which no build made; move it away")
    shutil.rmtree(partial)


def _put_in_place(partial: Path, out: Path) -> None:
    """Give the finished folder its name, the old one's if there is one; every byte is on the disk by then."""
    for path in partial.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    if not out.exists():
        partial.rename(out)
        return
    old = _old_name(out)
    out.rename(old)
    try:
        partial.rename(out)
    except OSError:
        old.rename(out)
        raise
    shutil.rmtree(old)


def _old_name(out: Path) -> Path:
    """Where the old dataset stands for the moment between two renames."""
    return out.with_name(f".{out.name}.old")
