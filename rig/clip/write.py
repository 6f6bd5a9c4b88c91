"""Writing a clip, so that a pulled plug costs a second of it and nothing else.

clips/<clip-id>.partial/    while recording: clip.json (state "recording"), clip.mcap, on disk once a second
clips/<clip-id>/            once finished: the same two, renamed in one step
"""

import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from ... import LrtError
from ..jpeg import compress
from ..records import Event, Heatmap, Image, Jpeg
from ..timing.clock import Clock
from ..timing.wall import read_clocks
from .compressed import encode_message
from .header import FINISHED, LOG_NAME, PARTIAL, ClipError, ClipHeader
from .log import EVENTS, RGB, THERMAL, LogWriter, encode_event, encode_heatmap

# From where one sync begins to where the next ends: a power cut then costs a second, with the devices' delay and the
# writer's own period in it. Between syncs that take long there is this much of one, or nothing else would be done.
_SYNC_NS = 800_000_000
_SYNC_REST = 0.5


class ClipWriter:
    """A clip being recorded; a context manager, used by one thread at a time.

    Leaving the `with` block finishes the clip; so do Ctrl-C and an error of the rig, for what was recorded until then
    is good. After any other error the `.partial` folder stays, with all that was synced, for `lrt clips recover`.
    A clip in which nothing was recorded at all is taken away again.

    Args:
        root: the folder of clips; made if need be.
        header: the tags and settings; counts, clocks, image size and state are filled in here.
        clock: the rig's.

    Raises:
        ClipError: the clip, finished or cut, is there already; or the disk refuses. Nothing is ever overwritten.
    """

    def __init__(self, root: Path, header: ClipHeader, clock: Clock) -> None:
        self.folder = root / header.clip_id
        self._partial = root / f"{header.clip_id}{PARTIAL}"
        self._clock = clock
        self._counts = {"heatmaps": 0, "images": 0, "events": 0}
        self._image_size: tuple[int, int] | None = None
        if self.folder.exists():
            raise ClipError(f"clip {header.clip_id} is in {root} already; choose another --clip-id")
        if self._partial.exists():
            raise ClipError(
                f"clip {header.clip_id} was cut short and is still in {root}; `lrt clips recover {self._partial}`, "
                "or choose another --clip-id"
            )
        self._header = replace(header, clocks={"start": read_clocks(clock)}, counts=self._counts)
        refusal = f"clip {header.clip_id} cannot be written in {root}"
        try:
            self._partial.mkdir(parents=True)
        except OSError as error:
            raise ClipError(f"{refusal}: {error.strerror}") from error
        try:
            self._header.write(self._partial)
            _sync_folder(root)  # a folder's name is not on disk because its files are
            self._log = LogWriter(self._partial / LOG_NAME)
        except OSError as error:
            shutil.rmtree(self._partial, ignore_errors=True)  # it is ours, and empty
            raise ClipError(f"{refusal}: {error.strerror}") from error
        self._sync_began_ns, self._sync_took_ns = clock.now_ns(), 0
        self._open = True
        self._disk_failed = False

    def write_heatmap(self, heatmap: Heatmap) -> None:
        """Add a heatmap.

        Raises:
            ClipError: the disk is full or gone; from every method that writes.
        """
        self._write(THERMAL, heatmap.timestamp_ns, heatmap.sequence, encode_heatmap(heatmap))
        self._counts["heatmaps"] += 1

    def write_image(self, image: Image | Jpeg) -> None:
        """Add an image: a JPEG as it is, any other as a JPEG of quality 90.

        Raises:
            ClipError: it has another size than the first.
        """
        jpeg = compress(image) if isinstance(image, Image) else image
        if self._image_size is None:
            self._image_size = jpeg.size
        elif self._image_size != jpeg.size:
            raise ClipError(f"the camera went from {self._image_size} to {jpeg.size} pixels within the clip")
        self._write(RGB, jpeg.timestamp_ns, jpeg.sequence, encode_message(jpeg))
        self._counts["images"] += 1

    def write_event(self, event: Event) -> None:
        """Add an event."""
        self._write(EVENTS, event.timestamp_ns, self._counts["events"], encode_event(event))
        self._counts["events"] += 1

    @property
    def size_bytes(self) -> int:
        """How large the log is by now."""
        return self._log.size_bytes

    def sync(self) -> None:
        """Have the disk hold everything written so far. Done by itself once a second, when something is written."""
        self._sync_began_ns = self._clock.now_ns()
        try:
            self._log.sync()
        except OSError as error:
            raise self._refused(error) from error
        self._sync_took_ns = self._clock.now_ns() - self._sync_began_ns

    def finish(self, ended: str = "stopped") -> ClipHeader:
        """End the clip and give it its name.

        Args:
            ended: why, a phrase.

        Returns:
            The header as it now stands in `folder`.
        """
        try:
            self._open = False
            header = replace(
                self._header,
                state=FINISHED,
                ended=ended,
                image_size=self._image_size,
                counts=dict(self._counts),
                clocks={**self._header.clocks, "stop": read_clocks(self._clock)},
                sha256=self._log.finish(),
            )
            header.write(self._partial)
            rename_durably(self._partial, self.folder)
        except OSError as error:
            self._log.abandon()
            raise self._refused(error) from error
        return header

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._open:
            return
        if error is not None and not (self._counts["heatmaps"] or self._counts["images"]):
            self._open = False
            self._log.abandon()
            shutil.rmtree(self._partial)
        elif error is None:
            self.finish()
        elif isinstance(error, KeyboardInterrupt):
            self.finish("Ctrl-C")
        elif isinstance(error, LrtError) and not isinstance(error, ClipError):
            self.finish(str(error))
        else:
            self._open = False
            if not self._disk_failed:  # else half a chunk may be in the file already, and more would not mend it
                with suppress(OSError):
                    self._log.sync()
            self._log.abandon()

    def _write(self, topic: str, time_ns: int, sequence: int, data: bytes) -> None:
        try:
            self._log.write(topic, time_ns, sequence, data)
        except OSError as error:
            raise self._refused(error) from error
        took_ns = self._sync_took_ns
        if self._clock.now_ns() - self._sync_began_ns >= max(_SYNC_NS - took_ns, (1 + _SYNC_REST) * took_ns):
            self.sync()

    def _refused(self, error: OSError) -> ClipError:
        self._disk_failed = True
        return ClipError(
            f"clip {self._header.clip_id} could not be written on: {error.strerror or error}; what was recorded stays "
            f"in {self._partial}: make room, then `lrt clips recover {self._partial}`"
        )


def rename_durably(old: Path, new: Path) -> None:
    """Rename a folder so that the name outlives a power cut; `new` must not exist."""
    if new.exists():
        raise FileExistsError(17, f"{new} is there already")
    old.rename(new)
    _sync_folder(new.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
