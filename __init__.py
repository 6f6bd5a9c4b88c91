"""lrt: from a thermopile and a camera to a picture drawn from heat alone.

Two rules of the house stand here because every room keeps them: what a user can mend is an `LrtError`, and a
file is whole or it is not there (`write_whole`).
"""

import os
from pathlib import Path

__version__ = "0.1.0"


class LrtError(Exception):
    """What a user can mend: the command prints it as one line and exits with code 1."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a power cut, meets the old content or the new and nothing between.

    Args:
        path: the file; its folder must exist. A neighbour `.<name>.partial` is used on the way.
        content: all of it.

    Raises:
        OSError: the folder is missing, read-only or full; the old content still stands.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself must survive a power cut
    finally:
        os.close(folder)
