"""Marks on a logged disk: what had been promised when, written past the file system and past the page cache."""

import json
import mmap
import os
import threading
import time
from typing import Any

MARK_BYTES, MARK_S = 4096, 0.02


class Marks(threading.Thread):
    """Writes the disk's last 4 KiB 50 times a second; a context manager.

    Attributes:
        known: what a mark says besides the time; `tell` changes it.
    """

    def __init__(self, device: str, **known: Any) -> None:
        super().__init__(daemon=True)
        self._disk = os.open(device, os.O_WRONLY | os.O_DIRECT)
        self._at = os.lseek(self._disk, 0, os.SEEK_END) - MARK_BYTES
        self._block = mmap.mmap(-1, MARK_BYTES)  # O_DIRECT wants an aligned page
        self.known = known
        self._lock = threading.Lock()
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(MARK_S):
            self.write()

    def write(self) -> None:
        """Write a mark now."""
        with self._lock:
            content = json.dumps({"now_ns": time.monotonic_ns(), **self.known}).encode()
            self._block[:] = content.ljust(MARK_BYTES)
            os.pwrite(self._disk, self._block, self._at)

    def tell(self, **news: Any) -> None:
        """Change what the next mark says."""
        with self._lock:
            self.known.update(news)

    def __enter__(self) -> "Marks":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()
        self.write()
        os.close(self._disk)
