"""What goes wrong with a rig, on demand."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Faults:
    """Faults by the time since the twin was opened, s. The default is a rig without any.

    Attributes:
        nack_bursts: (start, length) spans in which the sensor does not acknowledge: a loose wire.
        bus_stuck_at: from then on every transfer times out: SDA held low.
        unplugged_at: from then on the sensor is gone and the camera gives no frames.
        sensor_gone, camera_gone: (start, length) spans in which the one or the other is unplugged.
        frozen_at: from then on the sensor answers but makes no new frames.
        stray_pixels: share of thermal frames in which one pixel reads 0.5 degC, as seen in the field.
        dropped_frames: share of camera frames that never arrive.
        late_frames: share of camera frames that arrive `late_s` after their time stamp.
        late_s: by how much those are late, s.
    """

    nack_bursts: tuple[tuple[float, float], ...] = ()
    bus_stuck_at: float = np.inf
    unplugged_at: float = np.inf
    sensor_gone: tuple[tuple[float, float], ...] = ()
    camera_gone: tuple[tuple[float, float], ...] = ()
    frozen_at: float = np.inf
    stray_pixels: float = 0.0
    dropped_frames: float = 0.0
    late_frames: float = 0.0
    late_s: float = 0.25

    def nacks(self, time_s: float) -> bool:
        """Whether the sensor leaves its address unacknowledged at a time."""
        return _within(self.nack_bursts, time_s) or _within(self.sensor_gone, time_s) or time_s >= self.unplugged_at

    def no_camera(self, time_s: float) -> bool:
        """Whether the camera is unplugged at a time."""
        return _within(self.camera_gone, time_s) or time_s >= self.unplugged_at


def _within(spans: tuple[tuple[float, float], ...], time_s: float) -> bool:
    return any(start <= time_s < start + length for start, length in spans)
