"""One writer at a time: a lock on a folder, gone with the process that holds it, however that ends."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from .run import RunError

NAME = "lock"


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold the folder, which is made when it is not there, until the block ends.

    The kernel holds the lock (flock) on the file `lock`, and lets it go when the process dies, by kill -9 too; the
    file stays, and means nothing by itself. Over NFS it holds between machines where the server has its lock daemon.
    A file system that knows no locks is written unlocked.

    Raises:
        RunError: another process holds it, and which; or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise RunError(f"cannot begin a run in {folder}: {error.strerror}; give another --out") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(file, 200, 0).decode(errors="replace").strip() or "another process"
            raise RunError(f"{folder} is being written by {holder}; stop that first, or give another --out") from error
        except OSError:
            pass  # no locks here
        with contextlib.suppress(OSError):  # on a full disk it is held all the same
            os.ftruncate(file, 0)
            os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield
    finally:
        os.close(file)
