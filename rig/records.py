"""What the rig yields, live or from a clip on disk: heatmaps, images and pairs."""

from dataclasses import dataclass

import numpy as np

from .. import LrtError

SENSOR_SHAPE = (8, 8)
QUARTER_C = 0.25  # one step of a pixel, degC (AMG8833 datasheet, register 0x80)
SIXTEENTH_C = 0.0625  # one step of the thermistor, degC (register 0x0E)


class RigError(LrtError, OSError):
    """A device of the rig is missing, silent or refuses what it was asked."""


@dataclass(frozen=True, eq=False)
class Heatmap:
    """One frame of the thermopile sensor, as the sensor gave it.

    Attributes:
        timestamp_ns: CLOCK_MONOTONIC; when the frame became readable, best estimate.
        raw: (8, 8) int16, quarter-degrees, the sensor's own order: never turned, never edited.
        thermistor_raw: sixteenths of a degree; the sensor's own temperature, not the room's.
        sequence: counts the frames of one recording from 0; a jump is a frame that was missed.
        earliest_ns, latest_ns: the frame changed after the one and before the other.
    """

    timestamp_ns: int
    raw: np.ndarray
    thermistor_raw: int
    sequence: int
    earliest_ns: int
    latest_ns: int

    @property
    def celsius(self) -> np.ndarray:
        """(8, 8) float32, degC, the sensor's own order."""
        return self.raw.astype(np.float32) * np.float32(QUARTER_C)

    @property
    def thermistor_c(self) -> float:
        """The sensor's own temperature, degC."""
        return self.thermistor_raw * SIXTEENTH_C


@dataclass(frozen=True, eq=False)
class Image:
    """One camera frame.

    Attributes:
        timestamp_ns: CLOCK_MONOTONIC, as the camera or its driver stamped it.
        pixels: (H, W, 3) uint8, RGB.
        sequence: counts the frames of one recording from 0; a jump is a frame that was missed.
    """

    timestamp_ns: int
    pixels: np.ndarray
    sequence: int


@dataclass(frozen=True, eq=False)
class Pair:
    """A heatmap and the image nearest to it in time."""

    heatmap: Heatmap
    image: Image

    @property
    def error_ns(self) -> int:
        """How much later the image is than the heatmap, ns; negative when it is earlier."""
        return self.image.timestamp_ns - self.heatmap.timestamp_ns


@dataclass(frozen=True)
class Event:
    """Something that happened while recording and that a reader of the clip should know.

    Attributes:
        timestamp_ns: CLOCK_MONOTONIC.
        kind: `warming-up`, `bus-error`, `thermal-gap`, `image-gap` or `dropped`.
        detail: one sentence.
    """

    timestamp_ns: int
    kind: str
    detail: str
