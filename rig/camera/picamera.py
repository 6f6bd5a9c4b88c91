"""Frames of a Raspberry Pi camera, through picamera2.

`pre_callback` is called for every frame that libcamera completes; `capture_request` would keep only the newest. It
runs in the camera's thread, under its lock, and what it raises ends that thread: so it copies out and returns.

The camera is configured once, before it starts: changing its mode later breaks up the memory that it needs in one
piece, until ENOMEM (picamera2's issues 1102 and 1125).
"""

import errno
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ..records import Event, Image, RigError
from ..sources import Device
from ..timing.clock import SECOND_NS, Clock
from .frames import FrameCounter, Troubles

_FORMAT = "BGR888"  # libcamera names it by its word: in memory the bytes are R, G, B
_BUFFERS = 6  # 200 ms at 30/s, and what picamera2 takes by itself; more is memory that a Pi of 1 GB lacks
_FROZEN = ("ExposureTime", "AnalogueGain", "ColourGains")
_SETTLE_NS = 3 * SECOND_NS  # at most, for exposure and white balance, before they are frozen
_STEADY_FRAMES = 10
_STEADY = 0.01  # how far apart values of steady frames may be, of the smallest
_AE_CONVERGED = 2  # of AeState, which newer libcameras tell in place of AeLocked
_JUDGED_STAMPS = 5
_OLDEST_NS = SECOND_NS  # a stamp older than this when its frame arrives is not of CLOCK_MONOTONIC
_WAITING_BYTES = 64 * 1024 * 1024  # then the oldest is let go, which shows as a jump of the sequence
_CLOSING_S = 3.0


class PiCamera(Device):
    """The camera, running, its exposure and colour settled and frozen; a context manager.

    Exposure is frozen because a clip's light is one of its tags: it must not breathe while a person walks through.

    Args:
        clock: the system's; waits while the camera settles.
        size: (width, height), pixels; libcamera may round it.
        rate: frames/s.
        number: which camera, as `rpicam-hello --list-cameras` counts them.

    Attributes:
        size: of its frames.
        frame_ns: from one frame to the next by the rate that was asked for.
        stamps: "kernel": the sensor's own. They are checked against CLOCK_MONOTONIC, for libcamera's manual says
            CLOCK_BOOTTIME and its drivers MONOTONIC. Another clock is refused rather than replaced by arrival times,
            which would move every pair by an exposure and a readout without anybody noticing.

    Raises:
        RigError: picamera2 is not installed, or there is no camera, or its frames are not of use.
    """

    stamps = "kernel"

    def __init__(self, clock: Clock, size: tuple[int, int] = (640, 480), rate: float = 30.0, number: int = 0) -> None:
        try:
            from picamera2 import Picamera2
        except ImportError as error:
            raise RigError(
                f"picamera2 cannot be imported ({error}); on a Pi: sudo apt install python3-picamera2, and make the "
                "virtual environment with --system-site-packages"
            ) from error
        self._clock = clock
        self._name = f"camera {number}"
        self._troubles = Troubles(self._name, clock)
        self.frame_ns = round(SECOND_NS / rate)
        self.poll_period_ns = self.frame_ns // 2
        self._lock = threading.Lock()
        self._waiting: deque[Image] = deque()
        self._counter = FrameCounter(self.frame_ns)
        self._duration_ns: int | None = None  # from the last good frame to its successor, by its FrameDuration
        self._recent: deque[dict[str, Any]] = deque(maxlen=min(_STEADY_FRAMES, max(2, round(rate))))  # metadata
        self._ages_ns: list[int] = []  # of the first frames, when they arrived
        self._closed = False
        try:
            self._camera = Picamera2(number)
        except (IndexError, RuntimeError) as error:  # an empty list of cameras; one that another program holds
            raise RigError(f"{self._name} cannot be opened ({error}); see `rpicam-hello --list-cameras`") from error
        try:
            self._start(size, rate)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError) and error.errno == errno.ENOMEM:
                raise RigError(
                    f"{self._name} cannot be started: its memory is used up or in pieces; restart the Pi"
                ) from error
            if isinstance(error, (OSError, RuntimeError)) and not isinstance(error, RigError):  # libcamera's refusals
                raise RigError(f"{self._name} cannot be started with {size} at {rate:g}/s ({error})") from error
            raise

    def poll(self) -> list[Image]:
        """The frames that came since the last poll.

        Returns:
            Images, uint8 (H, W, 3) RGB; the stamp is the sensor's own (SensorTimestamp, end of the first row's
            exposure), the sequence jumps where a frame was lost or bad.

        Raises:
            RigError: it gives only frames that cannot be read.
        """
        with self._lock:
            images = list(self._waiting)
            self._waiting.clear()
        if not images:
            self._troubles.check()
        return images

    def take_events(self) -> list[Event]:
        """What went wrong since this was last asked; reading went on."""
        return self._troubles.take_events()

    def close(self) -> None:
        """Stop the camera and let go of it, or of the hope that it can be stopped, within 3 s.

        picamera2's `stop()` hands the work to the camera's thread and waits for it, for ever if that has died; its
        `close()` ends the thread and stops the camera itself. A camera that hangs may still hang there.
        """
        if self._closed:
            return
        self._closed = True
        self._camera.pre_callback = None
        closing = threading.Thread(target=self._close_camera, name="lrt-camera-close", daemon=True)
        closing.start()
        closing.join(_CLOSING_S)

    def _close_camera(self) -> None:
        with suppress(Exception):  # a dead camera's complaints help nobody any more
            self._camera.close()

    def _start(self, size: tuple[int, int], rate: float) -> None:
        frame_us = round(1_000_000 / rate)
        configuration = self._camera.create_video_configuration(
            main={"size": size, "format": _FORMAT},
            buffer_count=_BUFFERS,
            controls={"FrameDurationLimits": (frame_us, frame_us)},
        )
        self._camera.configure(configuration)
        granted = self._camera.camera_configuration()["main"]
        if granted["format"] != _FORMAT:  # libcamera adjusts what it cannot do, and says nothing
            raise RigError(
                f"{self._name} gives {granted['format']} instead of {_FORMAT} (RGB) frames, which lrt does not read; "
                'a USB camera is opened with kind = "opencv"'
            )
        self.size: tuple[int, int] = tuple(granted["size"])
        self._most_waiting = max(_BUFFERS, _WAITING_BYTES // (3 * self.size[0] * self.size[1]))
        self._camera.pre_callback = self._take  # pyright: ignore[reportAttributeAccessIssue]: picamera2 types it None
        self._camera.start()
        self._freeze(self._settle())
        with self._lock:
            self._waiting.clear()
            self._counter.restart()

    def _settle(self) -> dict[str, Any]:
        """The metadata of a frame at which exposure and colour no longer move, or of the one at the end of patience."""
        start_ns = self._clock.now_ns()
        while True:
            self._clock.sleep_until(self._clock.now_ns() + self.frame_ns)
            self._troubles.check()
            with self._lock:
                recent, ages_ns = list(self._recent), list(self._ages_ns)
            late = self._clock.now_ns() - start_ns >= _SETTLE_NS
            if late and not recent:
                raise RigError(f"{self._name} has given no frame within 3 s of its start; check its ribbon cable")
            if len(ages_ns) >= _JUDGED_STAMPS or late:
                self._judge_stamps(ages_ns)
                if len(recent) == self._recent.maxlen and _is_settled(recent):
                    return recent[-1]
            if late:
                detail = f"{self._name}: exposure and colour had not settled after 3 s and were frozen as they were."
                self._troubles.say("warming-up", detail)
                return recent[-1]

    def _judge_stamps(self, ages_ns: Sequence[int]) -> None:
        """Refuse stamps of another clock."""
        if not any(0 <= age_ns < _OLDEST_NS for age_ns in ages_ns):
            raise RigError(
                f"{self._name} stamps its frames {-ages_ns[0] / 1e9:+.3f} s from CLOCK_MONOTONIC, so they cannot be "
                'paired with heatmaps; update libcamera, and open a USB camera with kind = "opencv"'
            )

    def _freeze(self, metadata: dict[str, Any]) -> None:
        controls = {name: metadata[name] for name in _FROZEN if name in metadata}
        if "ExposureTime" in controls:
            controls["AeEnable"] = False
        if "ColourGains" in controls:  # a monochrome sensor has none, and refuses AwbEnable
            controls["AwbEnable"] = False
        if controls:
            self._camera.set_controls(controls)

    def _take(self, request: Any) -> None:
        """Called by picamera2 with every completed frame."""
        now_ns = self._clock.now_ns()
        try:
            metadata = request.get_metadata()
            stamp_ns = int(metadata["SensorTimestamp"])
            pixels = request.make_array("main")  # a copy: the buffer goes back to libcamera
            if pixels.shape != (self.size[1], self.size[0], 3):
                raise ValueError(f"of shape {pixels.shape}")
            with self._lock:
                sequence = self._counter.count(stamp_ns, self._duration_ns)
                self._duration_ns = int(metadata.get("FrameDuration", 0)) * 1000 or None
                if len(self._ages_ns) < _JUDGED_STAMPS:
                    self._ages_ns.append(now_ns - stamp_ns)
                self._recent.append(metadata)
                self._waiting.append(Image(stamp_ns, np.ascontiguousarray(pixels), sequence))
                if len(self._waiting) > self._most_waiting:
                    self._waiting.popleft()
            self._troubles.good()
        except Exception as error:  # raised here it would end the camera's thread
            self._troubles.bad(f"unreadable ({error!r})")


def _is_settled(recent: Sequence[dict[str, Any]]) -> bool:
    """Whether exposure and colour are steady over these frames; a camera that tells neither has nothing to settle."""
    exposures = [each["ExposureTime"] * each.get("AnalogueGain", 1.0) for each in recent if "ExposureTime" in each]
    gains = [each["ColourGains"] for each in recent if "ColourGains" in each]
    locked = all(each.get("AeLocked") or each.get("AeState") == _AE_CONVERGED for each in recent)  # bears with flicker
    return (locked or _are_steady(exposures)) and all(_are_steady(values) for values in zip(*gains, strict=True))


def _are_steady(values: Sequence[float]) -> bool:
    return not values or max(values) - min(values) <= _STEADY * min(values)
