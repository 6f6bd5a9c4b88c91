"""Frames through OpenCV: a USB camera, or a video file played at its own pace."""

from ..records import Event, Image, Jpeg
from ..sources import Device
from ..timing.clock import Clock
from .video import VideoFile
from .webcam import Webcam


class OpenCVCamera(Device):
    """A camera or a video file, open; a context manager.

    Args:
        source: a device number (0 is /dev/video0) or a path that starts with /dev/, best one under /dev/v4l/by-id,
            which stays when plugs are swapped; else the path of a video file.
        clock: stamps a device's frames where its driver does not, and paces a file's.
        size: (width, height) asked of a device; a file keeps its own.
        rate: frames/s asked of a device; a file keeps its own.

    Attributes:
        size: (width, height) of its frames, pixels.
        frame_ns: from one frame to the next, by the rate that the device agreed to or the file has.
        stamps: whose time stamps the frames bear: "kernel", the driver's; "arrival", ours when a frame had come;
            "file". They are all of the rig's clock.

    Raises:
        RigError: no such device or file, or nothing in it that OpenCV can read.
    """

    def __init__(self, source: int | str, clock: Clock, size: tuple[int, int] = (640, 480), rate: float = 30.0) -> None:
        is_device = isinstance(source, int) or source.startswith("/dev/")
        self._source = Webcam(source, clock, size, rate) if is_device else VideoFile(str(source), clock)
        self.size: tuple[int, int] = self._source.size
        self.frame_ns: int = self._source.frame_ns
        self.stamps: str = self._source.stamps
        self.poll_period_ns: int = self._source.poll_period_ns

    def poll(self) -> list[Image | Jpeg]:
        """The frames that are new since the last poll; a device is waited for.

        Returns:
            A camera's or a Motion JPEG file's own JPEG bytes, or uint8 (H, W, 3) RGB. A bad frame is left out with its
            number, and an event tells.

        Raises:
            SourceEnded: the file has no more frames.
            RigError: the device is gone, has given nothing for 3 s, or nothing good.
        """
        return self._source.poll()

    def take_events(self) -> list[Event]:
        """What went wrong since this was last asked; reading went on."""
        return self._source.take_events()

    def close(self) -> None:
        """Let go of the device or file."""
        self._source.close()
