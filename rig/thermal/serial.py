"""A microcontroller that prints the sensor's frames as text over a serial port, as the paper's authors' sketch does.

One line a frame: 64 pixels row by row, then the thermistor, in degC, comma separated; about 390 bytes, 34 ms at
115200 baud. Nothing in the line proves it whole, so every value must be one that the sensor can give.
"""

import math

import numpy as np

from ..records import QUARTER_C, SENSOR_SHAPE, SIXTEENTH_C, Heatmap
from ..timing.clock import SECOND_NS, Clock
from .port import PortSensor

_FIELDS = 65
_RANGE_C = (-20.0, 100.0)  # the datasheet's 0..80 and what a sensor at fault has been seen to give
_PRINT_C = 0.0051  # Arduino's print(float) gives two digits: 25.0625 is printed 25.06
_BITS_A_BYTE = 10  # start, eight, stop


class SerialSensor(PortSensor):
    """The port, open; a context manager.

    Args:
        port: /dev/serial/by-id/... or the like.
        clock: stamps the arrival of a line.
        baud: as the sketch sets it. USB ports ignore it; the stamp then is early by the line's 34 ms, which the
            calibration's time offset takes up.

    Attributes:
        warm_ns: when it was opened: the board's power-up is not known to us.
        damaged_lines: dropped.

    Raises:
        RigError: no such port, no right to open it, or another program holds it.
    """

    def __init__(self, port: str, clock: Clock, baud: int = 115200) -> None:
        super().__init__(port, clock, baud)
        self._byte_ns = _BITS_A_BYTE * SECOND_NS / baud
        self._sequence = 0
        self.warm_ns = clock.now_ns()
        self.damaged_lines = 0

    def _take(self, chunk: bytes, now_ns: int) -> list[Heatmap]:
        """The heatmaps of the lines that bytes complete.

        All three stamps are the moment the board began to send the line, for a line says nothing of when the sensor
        made the frame. A damaged line is dropped and its sequence number left out.
        """
        heatmaps = []
        for line, waiting in self._pieces(chunk, b"\n"):
            values = parse_line(line)
            if values is None:
                self.damaged_lines += 1
                self._say("bus-error", f"damaged line of {len(line)} bytes dropped")
                self._sequence += max(1, round((line.count(b",") + 1) / _FIELDS))  # a lost line end joins two
                continue
            stamp_ns = now_ns - round(waiting * self._byte_ns)  # every byte from its first on took its time on the wire
            heatmaps.append(Heatmap(stamp_ns, *values, self._sequence, stamp_ns, stamp_ns))
            self._sequence += 1
            self._heard_ns = now_ns
        return heatmaps

    def _complaint(self) -> str:
        return "does the board run, at this baud?"


def parse_line(line: bytes) -> tuple[np.ndarray, int] | None:
    """The line's pixels and thermistor, or None if any of it cannot have come from the sensor.

    Args:
        line: without its end.

    Returns:
        raw: (8, 8) int16, quarter-degrees.
        thermistor_raw: sixteenths of a degree.
    """
    fields = line.strip().split(b",")
    if len(fields) == _FIELDS + 1 and not fields[-1].strip():
        fields.pop()  # a sketch may end its line with a comma
    if len(fields) != _FIELDS:
        return None
    try:
        celsius = [float(field) for field in fields]
    except ValueError:
        return None
    steps = [QUARTER_C] * (_FIELDS - 1) + [SIXTEENTH_C]
    raw = []
    for value, step in zip(celsius, steps, strict=True):
        if not (math.isfinite(value) and _RANGE_C[0] <= value <= _RANGE_C[1]):
            return None
        raw.append(round(value / step))
        if abs(value - raw[-1] * step) > _PRINT_C:
            return None
    return np.array(raw[:-1], np.int16).reshape(SENSOR_SHAPE), raw[-1]
