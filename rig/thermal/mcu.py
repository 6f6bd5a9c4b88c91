"""A microcontroller that runs our firmware: packets over a serial port, each proved whole by its CRC.

hardware/firmware/core.py has the table of packets and makes them; this is their other end. A packet that is damaged in
any way is dropped and said; one that was lost leaves a jump of the sequence.
"""

import binascii
import struct
from dataclasses import dataclass

import numpy as np

from ..records import OVERFLOWS, SENSOR_SHAPE, Heatmap, RigError
from ..sources import WARM_UP_NS
from ..timing.clock import SECOND_NS, Clock
from ..timing.envelope import Envelope
from .port import PortSensor

PROTOCOL = 1
_CLOCK, _HEAT, _HELLO, _ERROR = b"CHIE"
_CLOCK_FIELDS = struct.Struct("<Q")
_HEAT_FIELDS = struct.Struct("<HQIBBh64h")
_HELLO_FIELDS = struct.Struct("<BBBIB")
_ERROR_FIELDS = struct.Struct("<I")
_HELLO_READS = 20  # of 50 ms: a board that runs answers within 23 ms


@dataclass(frozen=True)
class Board:
    """Who sends, as its hello packet says.

    Attributes:
        firmware: the version of its program.
        board_id: the chip's own number, hexadecimal.
        address: of the sensor on the board's I2C bus.
        rate: of the sensor, frames/s: 10 or 1.
        average: the sensor's moving average of two frames is on.
    """

    firmware: str
    board_id: str
    address: int
    rate: int
    average: bool


class MCUSensor(PortSensor):
    """The board's data port, open; a context manager.

    Args:
        port: the second of the board's two, usually /dev/serial/by-id/...-if02.
        clock: ours; the board's is matched to it (timing/envelope.py).
        baud: of a board on a real serial line; USB ignores it.

    Attributes:
        board: who sends; None until it has said so, which one that runs does while it is opened.
        warm_ns: when the sensor's readings have settled; 15 s from now while the board has not told.
        torn_reads: reads on the board that mixed two frames; caught, and read again.
        damaged_packets: dropped.

    Raises:
        RigError: no such port, no right to open it, another program holds it, or the board speaks another protocol.
    """

    def __init__(self, port: str, clock: Clock, baud: int = 115200) -> None:
        super().__init__(port, clock, baud)
        self.board: Board | None = None
        self.warm_ns = clock.now_ns() + WARM_UP_NS
        self.torn_reads = self.damaged_packets = 0
        self._envelope = Envelope()
        self._last: tuple[int, int, int] | None = None  # the board's number, ours, and the stamp of the last heatmap
        self._trouble = ""  # what the board said last of its sensor
        self._heard_packet = self._heard_byte = False
        self._readers = {
            _CLOCK: self._read_clock,
            _HEAT: self._read_heat,
            _HELLO: self._read_hello,
            _ERROR: self._read_error,
        }
        try:
            self._write(b"?")
            for _ in range(_HELLO_READS):
                self._take(self._read(), clock.now_ns())
                if self.board is not None:
                    break
        except RigError:
            self.close()
            raise

    def _take(self, chunk: bytes, now_ns: int) -> list[Heatmap]:
        """The heatmaps of the packets that bytes complete.

        raw is (8, 8) int16, quarter-degrees. The bounds are the board's in our time, late by the least time that a
        packet takes, about 1 ms over USB; the stamp lies halfway. The sequence counts from 0 on, and goes on by our
        clock when the board restarts. There are none before the clocks are matched, 0.2 s after the first packet.
        """
        self._heard_byte |= bool(chunk)
        heatmaps = []
        for packet, _ in self._pieces(chunk, b"\0"):
            if not packet:  # between the zero that ends a packet and the one that begins the next
                continue
            try:
                heatmap = self._take_packet(packet, now_ns)
            except (ValueError, struct.error) as error:  # struct.error: not as long as its kind is
                self.damaged_packets += 1
                self._say("bus-error", f"packet of {len(packet)} bytes dropped: {error}")
            else:
                heatmaps += [heatmap] if heatmap is not None else []
        return heatmaps

    def _complaint(self) -> str:
        if self._trouble:
            return f"the board runs, but not its sensor ({self._trouble}); check its wiring"
        if self._heard_packet:
            return "the board runs and sends other packets; press its reset button"
        if self._heard_byte:
            return 'it sends no packets of our firmware; flash it (hardware/firmware), or is it kind = "serial"?'
        return "nothing comes; does the board run, and is this the second of its two ports?"

    def _take_packet(self, packet: bytes, now_ns: int) -> Heatmap | None:
        kind, protocol, fields = open_packet(packet)
        if protocol != PROTOCOL and kind == _HELLO:
            raise RigError(
                f"{self._name}: the board's firmware speaks protocol {protocol} and this lrt speaks {PROTOCOL}; "
                "flash the firmware that came with it (hardware/firmware)"
            )
        if protocol != PROTOCOL or kind not in self._readers:
            raise ValueError(f"its kind is {kind}, its protocol {protocol}")
        heatmap = self._readers[kind](fields, now_ns)
        self._heard_packet = True
        return heatmap

    def _read_clock(self, fields: bytes, now_ns: int) -> None:
        (board_us,) = _CLOCK_FIELDS.unpack(fields)
        before_ns = self._envelope.newest_ns
        if not self._envelope.add(board_us * 1000, now_ns):
            jump_s = (board_us * 1000 - before_ns) / SECOND_NS
            self._say("bus-error", f"the board's clock jumped by {jump_s:+.1f} s, as when it restarts; matched anew")

    def _read_heat(self, fields: bytes, now_ns: int) -> Heatmap | None:
        sequence, earliest_us, width_us, status, torn, thermistor_raw, *pixels = _HEAT_FIELDS.unpack(fields)
        raw = np.array(pixels, np.int16).reshape(SENSOR_SHAPE)
        # 12 bits: the pixels in two's complement, the thermistor as sign and magnitude
        if raw.min() < -0x800 or raw.max() > 0x7FF or abs(thermistor_raw) > 0x7FF:
            raise ValueError("the sensor has no such values")
        self._heard_ns, self._trouble = now_ns, ""
        self.torn_reads += torn
        if not self._envelope.settled:
            return None
        latest_us = earliest_us + width_us
        if width_us * 1000 > self.frame_ns or abs(self._envelope.newest_ns - latest_us * 1000) > SECOND_NS:
            raise ValueError("its times are not of now")
        earliest_ns, latest_ns = (self._envelope.to_ours(us * 1000) for us in (earliest_us, latest_us))
        timestamp_ns = (earliest_ns + latest_ns) // 2
        number = self._number(sequence, timestamp_ns)
        if overflows := [text for bit, text in OVERFLOWS.items() if status & bit]:
            self._say("overflow", f"{' and '.join(overflows)} (STAT 0x{status:02x})")
        self._last = sequence, number, timestamp_ns
        return Heatmap(timestamp_ns, raw, thermistor_raw, number, earliest_ns, latest_ns, status)

    def _number(self, sequence: int, timestamp_ns: int) -> int:
        """Our number of a frame, from the board's 16 bits."""
        if self._last is None:
            return 0
        last_sequence, last_number, last_ns = self._last
        if timestamp_ns <= last_ns:
            raise ValueError("it is not later than the last")
        # The board counts by its own clock, so the two ways agree, unless it began anew from 0.
        step, frames = (sequence - last_sequence) & 0xFFFF, (timestamp_ns - last_ns) / self.frame_ns
        if abs(step - frames) > 2 + frames / 10:
            step = max(1, round(frames))
        return last_number + step

    def _read_hello(self, fields: bytes, now_ns: int) -> None:
        address, rate, average, age_ms, id_length = _HELLO_FIELDS.unpack(fields[: _HELLO_FIELDS.size])
        texts = fields[_HELLO_FIELDS.size :]
        board_id, firmware = texts[:id_length], texts[id_length:]
        if len(board_id) != id_length or rate not in (10, 1):
            raise ValueError("not what a board says of itself")
        warm_ns = now_ns - age_ms * 1_000_000 + WARM_UP_NS
        if self.board is not None and age_ms and warm_ns > self.warm_ns + SECOND_NS:
            self._say("warming-up", "the board has reset its sensor; its readings settle within 15 s")
        self.board = Board(firmware.decode(), board_id.hex(), address, rate, bool(average))
        self.warm_ns = warm_ns
        self.frame_ns = SECOND_NS // rate

    def _read_error(self, fields: bytes, _now_ns: int) -> None:
        (count,) = _ERROR_FIELDS.unpack(fields[: _ERROR_FIELDS.size])
        self._trouble = fields[_ERROR_FIELDS.size :].decode(errors="replace")
        self._say("bus-error", f"the board has met {count} errors, the last: {self._trouble}")


def open_packet(packet: bytes) -> tuple[int, int, bytes]:
    """Kind, protocol and fields of what stood between two zeros.

    Raises:
        ValueError: it is not as it was sent.
    """
    data = cobs_decode(packet)
    # crc_hqx is CRC-16/CCITT; begun with 0xFFFF it sees lost zeros at the front too
    if len(data) < 4 or binascii.crc_hqx(data[:-2], 0xFFFF) != int.from_bytes(data[-2:], "little"):
        raise ValueError("it is damaged")
    return data[0], data[1], data[2:-2]


def cobs_decode(encoded: bytes) -> bytes:
    """What a run of bytes without zeros stands for (Consistent Overhead Byte Stuffing).

    Raises:
        ValueError: its lengths do not add up.
    """
    data, at = bytearray(), 0
    while at < len(encoded):
        code = encoded[at]
        if code == 0 or at + code > len(encoded):
            raise ValueError("it is damaged")
        data += encoded[at + 1 : at + code]
        at += code
        if code < 0xFF and at < len(encoded):
            data.append(0)
    return bytes(data)
