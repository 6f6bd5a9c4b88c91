"""The board's work, apart from its pins and ports: reading the AMG8833, and packing what was read.

Plain Python without any of the board's own modules: the very file that runs on CircuitPython is tested on a computer.

A packet is COBS(kind, protocol, fields, CRC) between two zero bytes; numbers are little-endian, times are microseconds
of the board's own clock. Kind, protocol and CRC keep their places in every version to come.

    kind        fields
    C  clock    now u64: made just before it is sent, so that the computer can match the two clocks
    H  heat     sequence u16, earliest u64, latest - earliest u32, STAT u8, torn reads u8, thermistor i16 (1/16 degC),
                64 x i16 (1/4 degC, the sensor's own order): the registers changed after the one and before the other
    I  hello    I2C address u8, frames/s u8, moving average u8, ms since the sensor was reset u32 (0: it is not ready),
                length u8 and board's id, firmware's version as text to the end
    E  error    what went wrong since the start u32, the last of it as text to the end

The sensor has no data-ready line and no latch. Its pixels are read whole in one transaction, a change of any byte means
a new frame (noise changes some pixel in every frame), and the read is repeated until two agree, which a torn one never
does. rig/thermal/amg8833.py does the same on a computer and has the table of registers.
"""

import struct

PROTOCOL = 1
FIRMWARE = "1.0"
CLOCK, HEAT, HELLO, ERROR = b"CHIE"

_PIXELS, _STATUS, _THERMISTOR = 0x80, 0x04, 0x0E
_CLEAR_STATUS = 0x05
_NORMAL_MODE = ((0x00, 0x00),)
_RESET = ((0x01, 0x3F),)
_RESET_FLAGS = ((0x01, 0x30),)
_AVERAGE = ((0x1F, 0x50), (0x1F, 0x45), (0x1F, 0x57), (0x07, 0x20), (0x1F, 0x00))  # unlock, twice-average, lock
_WAKE_S, _RESET_S = 0.05, 0.002
_SILENCE_US = 1_000_000  # of the bus; a sensor gone for longer may have lost its power and with it its settings
_FROZEN_FRAMES = 30  # without a change: the sensor hangs
_MOST_TORN = 4  # of one poll; more are noise on the bus, not torn frames


def crc16(data):
    """CRC-16/CCITT of bytes: polynomial 0x1021, begun with 0xFFFF, as `binascii.crc_hqx(data, 0xFFFF)` has it.

    Begun with 0 it would not see zeros that were lost at the front. CircuitPython's binascii lacks it; this form takes
    a byte a step, without a table.
    """
    crc = 0xFFFF
    for byte in data:
        x = (crc >> 8) ^ byte
        x ^= x >> 4
        crc = ((crc << 8) ^ (x << 12) ^ (x << 5) ^ x) & 0xFFFF
    return crc


def cobs_encode(data):
    """Bytes without any zero that stand for `data` (Consistent Overhead Byte Stuffing, Cheshire and Baker 1999).

    Each run between zeros is preceded by its length + 1; 0xFF precedes 254 bytes that no zero follows. A last run of
    254 gets an empty one after it, which decodes to nothing: some encoders leave it out.
    """
    encoded = bytearray()
    for run in bytes(data).split(b"\0"):  # split and slices run in C: a loop over bytes takes ms on a board
        while len(run) > 253:
            encoded.append(0xFF)
            encoded += run[:254]
            run = run[254:]
        encoded.append(len(run) + 1)
        encoded += run
    return bytes(encoded)


def packet(kind, fields):
    """A whole packet. The zero in front ends whatever the computer heard before, even half a packet."""
    body = bytes((kind, PROTOCOL)) + fields
    return b"\0" + cobs_encode(body + struct.pack("<H", crc16(body))) + b"\0"


def clock_packet(now_us):
    """What the board's clock says."""
    return packet(CLOCK, struct.pack("<Q", now_us))


def heat_packet(sequence, earliest_us, latest_us, status, torn, thermistor, pixels):
    """A frame, as `Reader.poll` gives it."""
    width_us = latest_us - earliest_us
    head = struct.pack("<HQIBBh", sequence & 0xFFFF, earliest_us, width_us, status, torn, thermistor)
    return packet(HEAT, head + pixels)


def hello_packet(address, frames_per_second, moving_average, age_ms, board_id):
    """Who the board is, and how its sensor is set."""
    head = struct.pack("<BBBIB", address, frames_per_second, moving_average, age_ms, len(board_id))
    return packet(HELLO, head + bytes(board_id) + FIRMWARE.encode())


def error_packet(count, text):
    """How often something went wrong since the start, and what it was last."""
    return packet(ERROR, struct.pack("<I", count & 0xFFFFFFFF) + text.encode()[:80])


def decode_thermistor(word):
    """Registers 0x0E, 0x0F as sixteenths of a degree: bit 11 is the sign, the 11 below it the magnitude."""
    value = word[0] | word[1] << 8
    return -(value & 0x07FF) if value & 0x0800 else value & 0x07FF


def decode_pixels(block):
    """Registers 0x80..0xFF as 64 x i16: bit 11 is the sign (two's complement), the four above it are undefined."""
    pixels = bytearray(block)
    for index in range(1, len(pixels), 2):
        high = pixels[index] & 0x0F
        pixels[index] = high | 0xF0 if high & 0x08 else high
    return bytes(pixels)


class Reader:
    """The sensor, read for ever: a bus error is counted, and a sensor that was away is set up anew.

    Args:
        bus: a locked `busio.I2C`, or what has its `writeto` and `writeto_then_readfrom`.
        address: 0x69, or 0x68 with AD_SELECT tied to ground.
        now_us: the board's clock.
        sleep_s: waits.
        frames_per_second: 10 or 1; the sensor knows no other.
        moving_average: the chip's own mean of two frames.

    Attributes:
        errors: what went wrong since the start.
        last_error: the last of it, a phrase.
    """

    def __init__(self, bus, address, now_us, sleep_s, frames_per_second=10, moving_average=False):
        self._bus, self._address, self._now_us, self._sleep_s = bus, address, now_us, sleep_s
        self._frame_us = 1_000_000 // frames_per_second
        self._settings = ((0x02, 0 if frames_per_second == 10 else 1), (0x03, 0x00))
        if moving_average:
            self._settings += _AVERAGE
        self._block, self._new, self._again = bytearray(128), bytearray(128), bytearray(128)
        self._word, self._byte = bytearray(2), bytearray(1)
        self._ready = False
        self._reset_us = self._answered_us = self._changed_us = self._old_us = now_us()
        self._last_us = None  # middle of the last frame's bounds
        self._sequence = 0
        self.errors = 0
        self.last_error = ""

    def poll(self):
        """The frame that is new since the last poll, for `heat_packet`; None when there is none, or no sensor.

        The first poll resets the sensor and takes as long as two frames and 50 ms. A frame is (sequence, earliest_us,
        latest_us, STAT, torn reads, thermistor, pixels as 128 bytes). The sequence counts by the time between frames,
        so that one that was missed is a jump.
        """
        try:
            frame = self._poll() if self._ready else self._set_up()
        except OSError as error:
            self._count(str(error))
            if self._now_us() - self._answered_us > _SILENCE_US:
                self._ready = False
            return None
        self._answered_us = self._now_us()
        if self._answered_us - self._changed_us > _FROZEN_FRAMES * self._frame_us:
            self._count("no new frame for long: the sensor is reset")
            self._ready = False
        return frame

    def age_ms(self):
        """How long ago the sensor was reset, ms; 0 while it is not ready."""
        return min(max(1, (self._now_us() - self._reset_us) // 1000), 0xFFFFFFFF) if self._ready else 0

    def _set_up(self):
        """Reset the sensor, with the waits that the chip needs before it may be talked to and before it has frames."""
        self._write(_NORMAL_MODE)
        self._sleep_s(_WAKE_S)
        self._write(_RESET)
        self._reset_us = self._now_us()
        self._sleep_s(_RESET_S)
        self._write(_RESET_FLAGS)
        self._write(self._settings)
        self._sleep_s(2 * self._frame_us / 1_000_000)
        self._read(_PIXELS, self._block)
        self._old_us = self._changed_us = self._now_us()
        self._ready = True

    def _poll(self):
        first_us = self._now_us()
        self._read(_PIXELS, self._new)
        end_us = self._now_us()
        if self._new == self._block:
            self._old_us = end_us
            return None
        earliest_us, latest_us = self._old_us, first_us  # between two whole reads, the old and the new
        torn = 0
        while True:
            self._read(_PIXELS, self._again)
            again_us = self._now_us()
            if self._again == self._new:
                break
            torn += 1
            if torn == _MOST_TORN:
                self._count("5 reads of the pixels in a row all differed: a disturbed bus?")
                return None
            earliest_us, latest_us = first_us, end_us  # during the torn read
            self._new, self._again = self._again, self._new
            end_us = again_us
        self._read(_THERMISTOR, self._word)
        self._read(_STATUS, self._byte)
        status = self._byte[0]
        if status:
            self._write(((_CLEAR_STATUS, status),))  # its bits stay set until they are cleared
        # Only now, when all of it has been read, does the frame count: after a bus error the next poll meets it again.
        self._block, self._new = self._new, self._block
        self._old_us = self._changed_us = again_us
        if latest_us - earliest_us > 3 * self._frame_us // 4:
            return None  # after such a silence it may be any of two: it only marks where the next one starts
        middle_us = (earliest_us + latest_us) // 2
        if self._last_us is not None:
            self._sequence += max(1, (middle_us - self._last_us + self._frame_us // 2) // self._frame_us)
        self._last_us = middle_us
        thermistor = decode_thermistor(self._word)
        return self._sequence, earliest_us, latest_us, status, torn, thermistor, decode_pixels(self._block)

    def _read(self, register, into):
        """Fill a buffer from a register on, in one transaction: what is read then belongs to one frame, or is torn."""
        self._bus.writeto_then_readfrom(self._address, bytes((register,)), into)

    def _write(self, commands):
        for register, value in commands:
            self._bus.writeto(self._address, bytes((register, value)))

    def _count(self, what):
        self.errors += 1
        self.last_error = what
