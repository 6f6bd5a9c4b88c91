"""A microcontroller that prints the sensor's frames as text over a serial port, as the paper's authors' sketch does.

One line a frame: 64 pixels row by row, then the thermistor, in degC, comma separated; about 390 bytes, 34 ms at
115200 baud. Nothing in the line proves it whole, so every value must be one that the sensor can give.
"""

import math

import numpy as np
import serial

from ..records import QUARTER_C, SENSOR_SHAPE, SIXTEENTH_C, Heatmap, RigError
from ..sources import SILENCE_NS, Device
from ..timing.clock import SECOND_NS, Clock

_FIELDS = 65
_RANGE_C = (-20.0, 100.0)  # the datasheet's 0..80 and what a sensor at fault has been seen to give
_PRINT_C = 0.0051  # Arduino's print(float) gives two digits: 25.0625 is printed 25.06
_LONGEST_LINE = 4096  # bytes; more without an end of line is not this sketch
_BITS_A_BYTE = 10  # start, eight, stop
_BOOT_NS = 5 * SECOND_NS  # opening the port resets an Arduino: its loader and the sketch's set-up take some seconds


class SerialSensor(Device):
    """The port, open; a context manager.

    Args:
        port: /dev/serial/by-id/... or the like.
        clock: stamps the arrival of a line.
        baud: as the sketch sets it. USB ports ignore it; the stamp then is early by the line's 34 ms, which the
            calibration's time offset takes up.

    Raises:
        RigError: no such port, or no right to open it.
    """

    poll_period_ns = 1_000_000  # a poll waits for the next bytes by itself

    def __init__(self, port: str, clock: Clock, baud: int = 115200) -> None:
        self._clock = clock
        self._name = f"serial port {port}"
        self._byte_ns = _BITS_A_BYTE * SECOND_NS / baud
        try:
            self._port = serial.Serial(port, baud, timeout=0.05)
            self._port.reset_input_buffer()
        except (OSError, ValueError) as error:  # SerialException is an OSError; ValueError: a baud it cannot do
            raise RigError(f"{self._name} cannot be opened ({_reason(error)}); is it plugged in?") from error
        self._buffer = b""
        self._synchronised = False  # the first line is met somewhere in its middle
        self._sequence = 0
        self.warm_ns = clock.now_ns()  # the board's power-up is not known to us
        self._heard_ns = self.warm_ns + _BOOT_NS
        self._faults: list[str] = []
        self.damaged_lines = 0

    def poll(self) -> list[Heatmap]:
        """The frames whose lines ended since the last poll; waits up to 50 ms for a byte.

        Returns:
            Heatmaps; all three stamps are the moment the board began to send the line, for a line says nothing
            of when the sensor made the frame. A damaged line is dropped and its sequence number left out.

        Raises:
            RigError: the port was unplugged, or no whole line came for 3 s (at first 8 s).
        """
        try:
            self._buffer += self._port.read(max(1, self._port.in_waiting))
        except (OSError, TypeError) as error:  # pyserial meets a vanished port with either
            raise RigError(f"{self._name} was lost ({_reason(error)}); check its plug") from error
        now_ns = self._clock.now_ns()
        heatmaps = []
        while (end := self._buffer.find(b"\n")) >= 0:
            # every byte from the line's first on took its time on the wire
            stamp_ns = now_ns - round(len(self._buffer) * self._byte_ns)
            line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
            if not self._synchronised:
                self._synchronised = True
                continue
            values = parse_line(line)
            if values is None:
                self.damaged_lines += 1
                self._faults.append(f"damaged line of {len(line)} bytes dropped")
                self._sequence += max(1, round((line.count(b",") + 1) / _FIELDS))  # a lost line end joins two
                continue
            heatmaps.append(Heatmap(stamp_ns, *values, self._sequence, stamp_ns, stamp_ns))
            self._sequence += 1
            self._heard_ns = now_ns
        if len(self._buffer) > _LONGEST_LINE:
            self._faults.append(f"{len(self._buffer)} bytes without an end of line dropped")
            self._buffer = b""
        if now_ns - self._heard_ns > SILENCE_NS:
            raise RigError(f"{self._name} has given no whole line for 3 s; does the board run, at this baud?")
        return heatmaps

    def take_faults(self) -> list[str]:
        """The damaged lines since this was last asked, a sentence each."""
        faults, self._faults = self._faults, []
        return faults

    def close(self) -> None:
        """Close the port."""
        self._port.close()


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


def _reason(error: Exception) -> str:
    """pyserial wraps the system's words in its own: the system's are enough."""
    return getattr(error, "strerror", None) or str(error)
