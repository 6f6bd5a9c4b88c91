"""What the rig yields, live or from a clip on disk: heatmaps, images and pairs."""

from dataclasses import dataclass

import numpy as np

from .. import LrtError

SENSOR_SHAPE = (8, 8)
QUARTER_C = 0.25  # one step of a pixel, degC (AMG8833 datasheet, register 0x80)
SIXTEENTH_C = 0.0625  # one step of the thermistor, degC (register 0x0E)
OVERFLOWS = {0x04: "a pixel overflowed", 0x08: "the thermistor overflowed"}  # bits of STAT (register 0x04)
_GLITCH_C, _FAR_C = 0.5, 20.0


class RigError(LrtError, OSError):
    """A device of the rig is missing, silent or refuses what it was asked."""


@dataclass(frozen=True, eq=False)
class Heatmap:
    """One frame of the thermopile sensor, as the sensor gave it.

    Attributes:
        timestamp_ns: CLOCK_MONOTONIC; when the frame became readable, best estimate.
        raw: (8, 8) int16, quarter-degrees, the sensor's own order: never turned, never edited.
        thermistor_raw: sixteenths of a degree; the sensor's own temperature, not the room's.
        sequence: counts the sensor's frames from its opening on; a jump is a frame that was missed.
        earliest_ns, latest_ns: the frame changed after the one and before the other.
        status: the sensor's STAT register with this frame (OVERFLOWS); 0 from a board that does not tell.
    """

    timestamp_ns: int
    raw: np.ndarray
    thermistor_raw: int
    sequence: int
    earliest_ns: int
    latest_ns: int
    status: int = 0

    @property
    def celsius(self) -> np.ndarray:
        """(8, 8) float32, degC, the sensor's own order."""
        return self.raw.astype(np.float32) * np.float32(QUARTER_C)

    @property
    def thermistor_c(self) -> float:
        """The sensor's own temperature, degC."""
        return self.thermistor_raw * SIXTEENTH_C

    @property
    def glitches(self) -> np.ndarray:
        """(8, 8) bool: pixels that no room has, 0.5 degC or less, or 20 degC from the median of all. Never edited.

        Stray readings of 0, 0.25 and 0.5 degC are what owners of the sensor report.
        """
        off = np.abs(self.raw - np.median(self.raw))
        return (self.raw <= round(_GLITCH_C / QUARTER_C)) | (off > round(_FAR_C / QUARTER_C))


@dataclass(frozen=True, eq=False)
class Image:
    """One camera frame.

    Attributes:
        timestamp_ns: CLOCK_MONOTONIC, as the camera or its driver stamped it.
        pixels: (H, W, 3) uint8, RGB.
        sequence: counts the camera's frames from its opening on; a jump is a frame that was missed.
    """

    timestamp_ns: int
    pixels: np.ndarray
    sequence: int


@dataclass(frozen=True, eq=False)
class Jpeg:
    """One camera frame, compressed: by us, or by the camera, whose bytes are then kept as they came.

    Attributes:
        timestamp_ns, sequence: as of an `Image`.
        data: a JPEG file.
        size: (width, height), pixels.
    """

    timestamp_ns: int
    data: bytes
    sequence: int
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Pair:
    """A heatmap and the image nearest to it in time."""

    heatmap: Heatmap
    image: Image

    @property
    def error_ns(self) -> int:
        """How much later the image is than the heatmap, ns; negative when it is earlier."""
        return self.image.timestamp_ns - self.heatmap.timestamp_ns


EVENT_KINDS = {
    "warming-up": "the sensor was switched on less than 15 s ago, or the camera's exposure had not settled",
    "bus-error": "a read failed, and reading went on",
    "glitch": "pixels that no room has",
    "overflow": "the sensor says that a value left its range",
    "device-lost": "the sensor or the camera is gone",
    "device-back": "it is there again",
    "thermal-gap": "heatmaps that were made and not read",
    "image-gap": "images that were taken and not had",
    "dropped": "images let go because the disk was too slow",
    "clock": "the time of day, beside the rig's clock",
    "clock-step": "the time of day was set",
    "throttled": "the computer slowed down: heat, or a weak power supply",
    "split": "the recording goes on in another clip",
}


@dataclass(frozen=True)
class Event:
    """Something that happened while recording and that a reader of the clip should know.

    Attributes:
        timestamp_ns: CLOCK_MONOTONIC.
        kind: one of EVENT_KINDS.
        detail: one sentence.
    """

    timestamp_ns: int
    kind: str
    detail: str
