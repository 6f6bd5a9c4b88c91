"""A USB camera through OpenCV's V4L2: its own JPEG bytes where it has them, the kernel's time stamps where it has them.

What cap_v4l.cpp of OpenCV 5.0.0 does, and what we make of it:

    set(FOURCC)     true even if the driver took another format that was tried in its stead: ask what it is now
    get(POS_MSEC)   the buffer's stamp: CLOCK_MONOTONIC, unless the driver was told otherwise or has none
    grab()          false at once where the device is gone (ENODEV) or fails; else after 10 s without a frame, or what
                    OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT said, in seconds, when it was first looked at in this process
                    (CAP_PROP_READ_TIMEOUT_MSEC is for other backends)
    retrieve()      true and no pixels for an empty buffer, and for a JPEG that cannot be decoded
    the first grab  starts the stream and throws its first frame away; 4 buffers hold what came since the last grab
"""

import os
import sys
from pathlib import Path

import cv2
import numpy as np

from ..jpeg import EOI, SOI, trim_jpeg
from ..records import Event, Image, Jpeg, RigError
from ..sources import SILENCE_NS, Device
from ..timing.clock import SECOND_NS, Clock
from .frames import FrameCounter, Troubles

_MJPG = cv2.VideoWriter.fourcc(*"MJPG")
_SELECT_TIMEOUT_S = "1"  # a stuck camera then holds up whoever stops the recording for no longer
_PROBED = 5  # frames, read at once when the camera is opened
_START_NS = 5 * SECOND_NS  # some cameras take 2 s to their first frame
_RETRY_NS = 10_000_000
_OLDEST_NS = SECOND_NS  # a stamp older than this when its frame arrives is of another clock
_BUFFERS = 4
_LINUX = sys.platform == "linux"


class Webcam(Device):
    """A camera device, open and streaming; a context manager.

    Args:
        source: 0 for /dev/video0; or a path, best one under /dev/v4l/by-id, which stays when plugs are swapped.
        clock: the system's.
        size: (width, height) asked for, pixels.
        rate: frames/s asked for.

    Attributes:
        size: of its frames.
        frame_ns: from one frame to the next by the rate that the driver agreed to.
        stamps: "kernel" where frames bear the driver's stamps; "arrival" where those are of another clock, or none.
            Settled when it is opened.

    Raises:
        RigError: it is not there, cannot be opened, or gives no good frames.
    """

    def __init__(self, source: int | str, clock: Clock, size: tuple[int, int], rate: float) -> None:
        self._node = f"/dev/video{source}" if isinstance(source, int) else source
        self._name = f"camera {self._node}"
        self._clock = clock
        self._troubles = Troubles(self._name, clock)
        self.poll_period_ns = 1_000_000  # a poll waits for the next frame by itself
        self._capture, usual = self._open(source, size, rate)
        try:
            granted = self._capture.get(cv2.CAP_PROP_FPS)
            self.frame_ns = round(SECOND_NS / (granted if 0.1 < granted < 1000 else rate))
            self._counter = FrameCounter(self.frame_ns)
            granted = int(self._capture.get(cv2.CAP_PROP_FOURCC))
            self._compressed = _LINUX and granted == _MJPG and self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
            self._ending = b""  # put after a camera's own bytes
            self.stamps = "arrival"
            self.size = self._probe(usual)
        except BaseException:
            self.close()
            raise
        self._fresh = True  # nothing has been given out yet
        self._silent_since_ns: int | None = None
        self._returned_ns = clock.now_ns()

    def poll(self) -> list[Image | Jpeg]:
        """The next frame, waited for.

        Returns:
            One, or none after a second without, or where it was bad: an event tells, and its number is left out.

        Raises:
            RigError: the device is gone, has given nothing for 3 s, or nothing good.
        """
        polled_ns = self._clock.now_ns()
        self._pass_over_old(polled_ns)
        arrived = self._grab()
        now_ns = self._returned_ns = self._clock.now_ns()
        if not arrived:
            self._bear_silence(polled_ns, now_ns)
            return []
        self._silent_since_ns = None
        try:
            frame = self._take(now_ns)
        except ValueError as error:
            self._troubles.bad(str(error))
            self._troubles.check()
            return []
        self._troubles.good()
        self._fresh = False
        return [frame]

    def take_events(self) -> list[Event]:
        """What went wrong since this was last asked; reading went on."""
        return self._troubles.take_events()

    def close(self) -> None:
        """Let go of the device."""
        self._capture.release()

    def _take(self, now_ns: int) -> Image | Jpeg:
        """The frame that was grabbed; ValueError where it is bad."""
        stamp_ns = self._driver_ns() if self.stamps == "kernel" else now_ns
        if stamp_ns - now_ns > SECOND_NS:
            raise ValueError(f"stamped {(stamp_ns - now_ns) / 1e9:.1f} s ahead of the clock")
        sequence = self._counter.count(stamp_ns)  # a bad frame, too, has its number
        pixels = self._retrieve()
        if self._compressed:
            data, size = trim_jpeg(_flat_bytes(pixels) + self._ending)
            frame = Jpeg(stamp_ns, data, sequence, size)
        else:
            frame = Image(stamp_ns, _to_rgb(pixels), sequence)
            size = (frame.pixels.shape[1], frame.pixels.shape[0])
        if size != self.size:  # of a JPEG, more likely a damaged header than another size
            raise ValueError(f"of {size[0]}x{size[1]} instead of {self.size[0]}x{self.size[1]} pixels")
        return frame

    def _pass_over_old(self, polled_ns: int) -> None:
        """Let go of what has been waiting since long ago: before the first poll, or where arrival is all we know of it.

        One that bears a kernel stamp is as good late as at once.
        """
        waiting = min((polled_ns - self._returned_ns) // self._counter.period_ns, _BUFFERS)
        if self._fresh:
            self._counter.restart()
        if self._fresh or self.stamps == "arrival":
            for _ in range(waiting):
                if not self._grab():
                    break

    def _bear_silence(self, polled_ns: int, now_ns: int) -> None:
        if _LINUX and not Path(self._node).exists():
            raise RigError(f"{self._name} has been unplugged")
        if self._silent_since_ns is None:
            self._silent_since_ns = polled_ns
        if now_ns - self._silent_since_ns >= SILENCE_NS:
            raise RigError(f"{self._name} has given no frame for 3 s; check its plug")
        self._clock.sleep_until(polled_ns + self.frame_ns)  # a driver that fails at once would take a processor

    def _grab(self) -> bool:
        try:
            return self._capture.grab()
        except cv2.error:  # what it asserts of the driver did not hold
            return False

    def _retrieve(self) -> np.ndarray:
        try:
            _, pixels = self._capture.retrieve()
        except cv2.error as error:
            raise ValueError(f"refused by OpenCV: {error.err}") from error
        if pixels is None or not pixels.size:
            raise ValueError("empty, or not to be decoded")
        return pixels

    def _driver_ns(self) -> int:
        return round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1000) * 1000  # the kernel's, in whole us

    def _open(self, source: int | str, size: tuple[int, int], rate: float) -> tuple[cv2.VideoCapture, int]:
        """The device, set as asked as far as it can be, and the format it came with."""
        if _LINUX:
            if not Path(self._node).exists():
                raise RigError(f"{self._name} is not there; `v4l2-ctl --list-devices` lists what is")
            if not os.access(self._node, os.R_OK | os.W_OK):
                raise RigError(f"{self._name} is not for this user; `sudo adduser $USER video`, and log in again")
            os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", _SELECT_TIMEOUT_S)
        capture = cv2.VideoCapture(source, cv2.CAP_V4L2 if _LINUX else cv2.CAP_ANY)
        if not capture.isOpened():
            raise RigError(f"{self._name} cannot be opened; is another program using it, or is it no camera?")
        usual = int(capture.get(cv2.CAP_PROP_FOURCC))
        if _LINUX:  # first: many a camera has its large sizes and full rate in this format alone
            capture.set(cv2.CAP_PROP_FOURCC, _MJPG)
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        capture.set(cv2.CAP_PROP_FPS, rate)  # a driver takes this only until the stream starts
        return capture, usual

    def _probe(self, usual: int) -> tuple[int, int]:
        """Read the first frames and settle by them: JPEG or pixels, whose stamps, and the size, which is returned."""
        kept, ages_ns = self._read_first()
        if self._compressed and not any(_begins_as_jpeg(pixels) for pixels in kept):
            self._compressed = False  # it said MJPG and gives something else
            self._capture.set(cv2.CAP_PROP_FOURCC, usual)
            self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 1)
            self._counter = FrameCounter(self.frame_ns)
            kept, ages_ns = self._read_first()
        # some drivers stamp a frame with when it will have ended
        ahead_ns = max(self.frame_ns, self._counter.period_ns)
        if all(-ahead_ns <= age_ns <= _OLDEST_NS for age_ns in ages_ns):
            self.stamps = "kernel"
        if not self._compressed:
            height, width = kept[0].shape[:2]
            return width, height
        # a camera may never write EOI, without which libjpeg opens nothing; such a frame is not told from a cut one
        for ending in (b"", EOI):
            for pixels in kept:
                try:
                    _, size = trim_jpeg(_flat_bytes(pixels) + ending)
                except ValueError:
                    continue
                self._ending = ending
                return size
        raise RigError(f"{self._name} gives only damaged frames; try another cable or port")

    def _read_first(self) -> tuple[list[np.ndarray], list[int]]:
        """Frames, without empty ones, and how old each was by the driver's stamp when it arrived."""
        kept: list[np.ndarray] = []
        ages_ns: list[int] = []
        start_ns = self._clock.now_ns()
        while len(ages_ns) < _PROBED or not kept:
            arrived = self._grab()
            now_ns = self._clock.now_ns()
            if now_ns - start_ns > _START_NS:
                if kept:
                    break
                raise RigError(f"{self._name} is open and gives no frames; try another cable or port")
            if not arrived:
                self._clock.sleep_until(now_ns + _RETRY_NS)
                continue
            stamp_ns = self._driver_ns()
            ages_ns.append(now_ns - stamp_ns)
            try:
                self._counter.count(now_ns)
                kept.append(self._retrieve())
            except ValueError:
                continue
        return kept, ages_ns


def _flat_bytes(pixels: np.ndarray) -> bytes:
    """What the driver's buffer held, where nothing was converted."""
    if pixels.dtype != np.uint8 or pixels.size != max(pixels.shape):
        raise ValueError("pixels instead of the camera's JPEG")
    return pixels.tobytes()


def _begins_as_jpeg(pixels: np.ndarray) -> bool:
    return pixels.size == max(pixels.shape) and pixels.ravel()[:2].tobytes() == SOI


def _to_rgb(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError("in a format that OpenCV does not convert")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
