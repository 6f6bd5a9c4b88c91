"""Frames through OpenCV: a V4L2 camera by its number, or a video file played at its own pace."""

import sys
from pathlib import Path

import cv2
import numpy as np

from ..records import Image, RigError
from ..sources import Device, SourceEnded
from ..timing.clock import SECOND_NS, Clock

_MS_NS = 1_000_000
_STAMP_AGE_NS = SECOND_NS  # a driver's stamp older than this, or from the future, is not CLOCK_MONOTONIC


class OpenCVCamera(Device):
    """A camera or a video file, open; a context manager.

    Args:
        source: a device number (0 is /dev/video0), or the path of a video file.
        clock: stamps a device's frames, and paces a file's.
        size: (width, height) asked of a device; a file keeps its own.
        rate: frames/s asked of a device; a file keeps its own.

    Raises:
        RigError: no such device or file, or nothing in it that OpenCV can read.
    """

    def __init__(self, source: int | str, clock: Clock, size: tuple[int, int] = (640, 480), rate: float = 30.0) -> None:
        self._clock = clock
        self._sequence = 0
        if isinstance(source, int):
            self._name = f"camera /dev/video{source}"
            self._capture = self._open_device(source, size, rate)
            self.poll_period_ns = 1_000_000  # a poll waits for the next frame by itself
        else:
            self._name = f"video {source}"
            self._capture = self._open_file(source)
            self.poll_period_ns = 5_000_000
        self._is_file = not isinstance(source, int)
        self.size = (
            int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
        self._start_ns: int | None = None  # of a file: the clock at its first poll
        self._ahead: tuple[int, np.ndarray] | None = None  # of a file: the next frame and its ns from the first one
        self._first_ms = 0.0

    def poll(self) -> list[Image]:
        """The frames that are new since the last poll.

        Returns:
            Images, uint8 (H, W, 3) RGB. A device's are stamped by its driver where that is CLOCK_MONOTONIC (V4L2),
            else when the frame had been fetched; a file's by the file, from the first poll on.

        Raises:
            SourceEnded: the file has no more frames.
            RigError: the device gives no more.
        """
        return self._poll_file() if self._is_file else self._poll_device()

    def close(self) -> None:
        """Let go of the device or file."""
        self._capture.release()

    def _poll_device(self) -> list[Image]:
        found, frame = self._capture.read()
        now_ns = self._clock.now_ns()
        if not found:
            raise RigError(f"{self._name} gives no more frames; check its plug")
        driver_ns = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * _MS_NS)
        stamp_ns = driver_ns if 0 <= now_ns - driver_ns <= _STAMP_AGE_NS else now_ns
        return [self._image(stamp_ns, frame)]

    def _poll_file(self) -> list[Image]:
        now_ns = self._clock.now_ns()
        if self._start_ns is None:
            self._start_ns = now_ns
            self._ahead = self._read_ahead()
        if self._ahead is None:
            raise SourceEnded(f"{self._name} has ended")
        images = []
        while self._ahead is not None and self._start_ns + self._ahead[0] <= now_ns:
            after_ns, frame = self._ahead
            images.append(self._image(self._start_ns + after_ns, frame))
            self._ahead = self._read_ahead(after_ns)
        return images

    def _read_ahead(self, last_ns: int | None = None) -> tuple[int, np.ndarray] | None:
        found, frame = self._capture.read()
        if not found:
            return None
        stamp_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)  # of the frame just read
        if last_ns is None:
            self._first_ms = stamp_ms
            return 0, frame
        after_ns = round((stamp_ms - self._first_ms) * _MS_NS)
        if after_ns <= last_ns:  # a container without stamps: its rate has to do
            after_ns = last_ns + round(SECOND_NS / (self._capture.get(cv2.CAP_PROP_FPS) or 30.0))
        return after_ns, frame

    def _image(self, stamp_ns: int, frame: np.ndarray) -> Image:
        image = Image(stamp_ns, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), self._sequence)
        self._sequence += 1
        return image

    def _open_device(self, number: int, size: tuple[int, int], rate: float) -> cv2.VideoCapture:
        linux = sys.platform == "linux"
        if linux and not Path(f"/dev/video{number}").exists():
            raise RigError(f"{self._name} is not there; `v4l2-ctl --list-devices` lists what is")
        capture = cv2.VideoCapture(number, cv2.CAP_V4L2 if linux else cv2.CAP_ANY)
        if not capture.isOpened():
            raise RigError(f"{self._name} cannot be opened; is another program using it?")
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        capture.set(cv2.CAP_PROP_FPS, rate)
        return capture

    def _open_file(self, path: str) -> cv2.VideoCapture:
        if not Path(path).is_file():
            raise RigError(f"{self._name} is not there; check the path")
        capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise RigError(f"{self._name} is not a video that OpenCV can read")
        return capture
