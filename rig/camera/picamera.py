"""Frames of a Raspberry Pi camera, through picamera2.

`pre_callback` is called for every frame that libcamera completes; `capture_request` would keep only the newest. It
runs in the camera's thread, under its lock, and what it raises ends that thread: so it copies out and returns.
"""

import threading
import time
from collections import deque
from typing import Any

import numpy as np

from ..records import Image, RigError
from ..sources import Device
from ..timing.clock import SECOND_NS, Clock

_SETTLE_NS = 2 * SECOND_NS  # for exposure and white balance, before they are frozen
_FROZEN = ("ExposureTime", "AnalogueGain", "ColourGains")
_SUSPENDED_NS = 1_000_000  # libcamera's manual says CLOCK_BOOTTIME, its drivers say MONOTONIC: they must not differ
_MOST_WAITING = 60  # frames, 2 s at 30/s; then the oldest is let go, which shows as a jump of the sequence


class PiCamera(Device):
    """The camera, running, its exposure and colour settled and frozen; a context manager.

    Exposure is frozen because a clip's light is one of its tags: it must not breathe while a person walks through.

    Args:
        clock: the system's; waits while the camera settles.
        size: (width, height), pixels; libcamera may round the width to a multiple of 16.
        rate: frames/s.
        number: which camera, as `rpicam-hello --list-cameras` counts them.

    Raises:
        RigError: picamera2 is not installed, or there is no camera, or it gives no frames.
    """

    def __init__(self, clock: Clock, size: tuple[int, int] = (640, 480), rate: float = 30.0, number: int = 0) -> None:
        try:
            from picamera2 import Picamera2
        except ImportError as error:
            raise RigError(
                f"picamera2 cannot be imported ({error}); on a Pi: sudo apt install python3-picamera2, and make the "
                "virtual environment with --system-site-packages"
            ) from error
        suspended_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        if suspended_ns > _SUSPENDED_NS:
            raise RigError("this computer has slept since it was started, so camera time is not known; restart it")
        self._clock = clock
        self.poll_period_ns = round(SECOND_NS / rate / 2)
        self._lock = threading.Lock()
        self._waiting: deque[Image] = deque(maxlen=_MOST_WAITING)
        self._failure: Exception | None = None
        self._sequence = -1
        self._last_ns = 0
        self._metadata: dict[str, Any] = {}
        try:
            self._camera = Picamera2(number)
        except (IndexError, RuntimeError) as error:  # an empty list of cameras; one that another program holds
            raise RigError(f"camera {number} cannot be opened ({error}); see `rpicam-hello --list-cameras`") from error
        try:
            self._start(size, rate)
        except BaseException as error:
            self.close()
            if isinstance(error, RuntimeError):  # libcamera's own refusals
                raise RigError(f"camera {number} cannot be started with {size} at {rate:g}/s ({error})") from error
            raise

    def poll(self) -> list[Image]:
        """The frames that came since the last poll.

        Returns:
            Images, uint8 (H, W, 3) RGB; the stamp is the sensor's own (SensorTimestamp, end of the first row's
            exposure), the sequence jumps where a frame was lost.

        Raises:
            RigError: a frame could not be copied out.
        """
        with self._lock:
            images = list(self._waiting)
            self._waiting.clear()
        if self._failure is not None:
            raise RigError(f"a camera frame could not be read: {self._failure}") from self._failure
        return images

    def close(self) -> None:
        """Stop the camera and let go of it."""
        self._camera.pre_callback = None
        self._camera.stop()
        self._camera.close()

    def _start(self, size: tuple[int, int], rate: float) -> None:
        frame_us = round(1_000_000 / rate)
        configuration = self._camera.create_video_configuration(
            main={"size": size, "format": "BGR888"},  # libcamera names it by its word: in memory the bytes are R, G, B
            buffer_count=6,
            controls={"FrameDurationLimits": (frame_us, frame_us)},
        )
        self._camera.configure(configuration)
        self.size: tuple[int, int] = tuple(self._camera.camera_configuration()["main"]["size"])
        self._camera.pre_callback = self._take  # pyright: ignore[reportAttributeAccessIssue]: picamera2 types it None
        self._camera.start()
        self._clock.sleep_until(self._clock.now_ns() + _SETTLE_NS)
        with self._lock:
            metadata = self._metadata
        if not metadata and self._failure is None:
            raise RigError("the camera has given no frame within 2 s of its start; check its ribbon cable")
        settled = {name: metadata[name] for name in _FROZEN if name in metadata}  # a USB camera has none of them
        if settled:
            self._camera.set_controls({"AeEnable": False, "AwbEnable": False, **settled})
        with self._lock:
            self._waiting.clear()

    def _take(self, request: Any) -> None:
        """Called by picamera2 with every completed frame."""
        try:
            metadata = request.get_metadata()
            pixels = request.make_array("main")  # a copy: the buffer goes back to libcamera
            stamp_ns = int(metadata["SensorTimestamp"])
            frame_ns = int(metadata.get("FrameDuration", 0)) * 1000
            with self._lock:
                frames = round((stamp_ns - self._last_ns) / frame_ns) if frame_ns and self._sequence >= 0 else 1
                self._sequence += max(1, frames)
                self._last_ns = stamp_ns
                self._metadata = metadata
                self._waiting.append(Image(stamp_ns, np.ascontiguousarray(pixels[..., :3]), self._sequence))
        except Exception as error:  # raised here it would end the camera's thread; poll() raises it instead
            self._failure = error
