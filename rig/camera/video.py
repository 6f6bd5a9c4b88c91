"""A video file as a camera, played at its own pace; of Motion JPEG, the file's own bytes."""

from pathlib import Path

import cv2
import numpy as np

from ..jpeg import trim_jpeg
from ..records import Event, Image, Jpeg, RigError
from ..sources import Device, SourceEnded
from ..timing.clock import SECOND_NS, Clock
from .frames import Troubles

_MJPG = cv2.VideoWriter.fourcc(*"MJPG")
_USUAL_RATE = 30.0  # frames/s, of a file that does not tell


class VideoFile(Device):
    """A video file, open; a context manager.

    Args:
        path: the file.
        clock: paces it.

    Attributes:
        size: (width, height) of its frames, pixels.
        frame_ns: from one frame to the next by the file's rate.
        stamps: "file".

    Raises:
        RigError: there is none, or nothing in it that OpenCV can read.
    """

    stamps = "file"

    def __init__(self, path: str, clock: Clock) -> None:
        self._name = f"video {path}"
        self._clock = clock
        self._troubles = Troubles(self._name, clock)
        self.poll_period_ns = 5_000_000
        if not Path(path).is_file():
            raise RigError(f"{self._name} is not there; check the path")
        self._capture = self._open(path)
        self.size = (
            int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.frame_ns = round(SECOND_NS / (rate if rate > 0 else _USUAL_RATE))
        self._compressed = int(self._capture.get(cv2.CAP_PROP_FOURCC)) == _MJPG
        self._compressed = self._compressed and self._capture.set(cv2.CAP_PROP_FORMAT, -1)  # packets, not pixels
        self._sequence = 0
        self._start_ns: int | None = None  # the clock at the first poll
        self._first_ms = 0.0
        self._ahead = self._read_ahead()  # the next frame and its ns from the first one
        if self._compressed and not self._is_whole(self._ahead):  # no EOI, or two fields a frame: FFmpeg sees to it
            self._capture.release()
            self._capture = self._open(path)
            self._compressed = False
            self._ahead = self._read_ahead()

    def poll(self) -> list[Image | Jpeg]:
        """The frames that fell due since the last poll; the first poll starts the film.

        Raises:
            SourceEnded: there are no more.
        """
        now_ns = self._clock.now_ns()
        if self._start_ns is None:
            self._start_ns = now_ns
        if self._ahead is None:
            raise SourceEnded(f"{self._name} has ended")
        frames: list[Image | Jpeg] = []
        while self._ahead is not None and self._start_ns + self._ahead[0] <= now_ns:
            after_ns, pixels = self._ahead
            try:
                frames.append(self._frame(self._start_ns + after_ns, pixels))
                self._troubles.good()
            except ValueError as error:
                self._troubles.bad(str(error))
            self._sequence += 1
            self._ahead = self._read_ahead(after_ns)
        if not frames:
            self._troubles.check()
        return frames

    def take_events(self) -> list[Event]:
        """What went wrong since this was last asked; reading went on."""
        return self._troubles.take_events()

    def close(self) -> None:
        """Let go of the file."""
        self._capture.release()

    def _open(self, path: str) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise RigError(f"{self._name} is not a video that OpenCV can read")
        return capture

    def _frame(self, stamp_ns: int, pixels: np.ndarray) -> Image | Jpeg:
        if not self._compressed:
            return Image(stamp_ns, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), self._sequence)
        data, size = trim_jpeg(pixels.tobytes())
        if size != self.size:
            raise ValueError(f"of {size[0]}x{size[1]} instead of {self.size[0]}x{self.size[1]} pixels")
        return Jpeg(stamp_ns, data, self._sequence, size)

    def _is_whole(self, ahead: tuple[int, np.ndarray] | None) -> bool:
        try:
            return ahead is None or bool(self._frame(0, ahead[1]))
        except ValueError:
            return False

    def _read_ahead(self, last_ns: int | None = None) -> tuple[int, np.ndarray] | None:
        found, pixels = self._capture.read()
        if not found:
            return None
        stamp_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)  # of the frame just read
        if last_ns is None:
            self._first_ms = stamp_ms
            return 0, pixels
        after_ns = round((stamp_ms - self._first_ms) * 1_000_000)
        return (after_ns if after_ns > last_ns else last_ns + self.frame_ns), pixels  # some containers have no stamps
