"""A copy of a clip for a phone: a ZIP file that is made while it is sent, and never lies on the disk or in memory."""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_CHUNK = 256 * 1024  # bytes


class Download(Iterator[bytes]):
    """Gives its place back when it is through, or let go of."""

    def __init__(self, pieces: Iterator[bytes], release: Callable[[], None]) -> None:
        self._pieces, self._release = pieces, release

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Give the place back; once."""
        release, self._release = self._release, lambda: None
        release()


class _Pipe:
    """What `zipfile` writes into, taken out piece by piece: it cannot be sought in, and holds no more than a piece."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: Any) -> int:
        self._written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        written, self._written = b"".join(self._written), []
        return written


def zip_folder(folder: Path) -> Iterator[bytes]:
    """The files of a folder as a ZIP file, in pieces; they are not compressed, for a clip is already."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:  # type: ignore[arg-type]
        for path in sorted(each for each in folder.iterdir() if each.is_file()):
            entry = zipfile.ZipInfo.from_file(path, f"{folder.name}/{path.name}")
            with path.open("rb") as file, archive.open(entry, "w", force_zip64=True) as packed:
                while piece := file.read(_CHUNK):
                    packed.write(piece)
                    yield pipe.take()
    yield pipe.take()
