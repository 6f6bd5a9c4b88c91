"""Masks kept on disk, so that a calibration done again costs a second instead of minutes.

What is kept are people's silhouettes: personal data, like the clips they come from. Only their owner may read the
folder (0700) and the files in it (0600); `clear_masks` removes them all, and whoever removes a clip for someone's sake
should call it. The names say nothing but a SHA-256 of the image, the source, its weights and its settings.
"""

import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from .. import write_whole
from .masks import MaskError, MaskSource

LARGEST_BYTES = 200_000_000  # of the folder: some 10 000 masks of 640x360
LEVELS = 255  # a mask is soft, and the fit uses its edges: a bit per pixel would give another fit


def cache_folder() -> Path:
    """Where masks are kept: $XDG_CACHE_HOME/lrt/masks, ~/.cache/lrt/masks without it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lrt" / "masks"


def clear_masks(folder: Path) -> int:
    """Remove every mask kept there, and what a power cut left half written; says how many masks it were."""
    kept = list(folder.glob("*.mask"))
    for file in [*kept, *folder.glob(".*.mask.partial")]:
        file.unlink(missing_ok=True)
    return len(kept)


class CachedMasks:
    """A source of masks that makes each only once.

    A mask comes out the same, to the bit, on the day it is made and from the disk later. One that is damaged is made
    again. Beyond `largest_bytes` those that were not asked for longest are removed.

    Args:
        name: the source's.
        identity: all that decides its masks, but for the image.
        open_source: opens the source; called at the first mask that is not kept, if there is one.
        folder: made if need be.
        largest_bytes: of all files in it.

    Attributes:
        found, made: how many masks were there, and how many were not.
    """

    def __init__(
        self,
        name: str,
        identity: str,
        open_source: Callable[[], MaskSource],
        folder: Path,
        largest_bytes: int = LARGEST_BYTES,
    ) -> None:
        self.name = name
        self.found = self.made = 0
        self._identity = identity
        self._open_source = open_source
        self._source: MaskSource | None = None
        self._folder = folder
        self._largest_bytes = largest_bytes

    def masks(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """See `MaskSource`.

        Raises:
            MaskError: also when the folder cannot be written.
        """
        try:
            for image in images:
                yield self._mask(image)
        finally:
            _remove_oldest(self._folder, self._largest_bytes)

    def _mask(self, image: np.ndarray) -> np.ndarray:
        path = self._folder / f"{_key(self._identity, image)}.mask"
        levels = _read(path, image.shape[:2])
        if levels is not None:
            self.found += 1
        else:
            if self._source is None:
                self._source = self._open_source()
            mask = next(iter(self._source.masks([image])))
            levels = np.rint(mask * LEVELS).astype(np.uint8)
            self._write(path, levels)
            self.made += 1
        return levels.astype(np.float32) / LEVELS

    def _write(self, path: Path, levels: np.ndarray) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._folder.chmod(0o700)  # before anything is in it
            write_whole(path, zlib.compress(levels.tobytes()))
            path.chmod(0o600)
        except OSError as error:
            raise MaskError(
                f"{self._folder}: cannot keep masks here ({error.strerror}); go without the cache"
            ) from error


def _key(identity: str, image: np.ndarray) -> str:
    digest = hashlib.sha256(f"{identity} {image.shape} {image.dtype.str}\n".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """(H, W) uint8; None if it is not there, or damaged: zlib's checksum tells."""
    size = shape[0] * shape[1]
    unpack = zlib.decompressobj()
    try:
        content = unpack.decompress(path.read_bytes(), size + 1)
    except (OSError, zlib.error):
        return None
    if len(content) != size or not unpack.eof or unpack.unused_data:
        return None
    with suppress(OSError):  # a folder of someone else's
        os.utime(path)  # asked for now
    return np.frombuffer(content, np.uint8).reshape(shape)


def _remove_oldest(folder: Path, largest_bytes: int) -> None:
    files = []
    for path in folder.glob("*.mask"):
        try:
            status = path.stat()
        except OSError:  # removed by another process meanwhile
            continue
        files.append((status.st_mtime_ns, status.st_size, path))
    total = 0
    for _, size, path in sorted(files, reverse=True):
        total += size
        if total > largest_bytes:
            path.unlink(missing_ok=True)
