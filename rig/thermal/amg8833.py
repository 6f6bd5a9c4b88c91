"""The AMG8833 on an I2C bus: Adafruit's driver to set it up, one block read a poll to read it.

The sensor has no data-ready line and no latch: a read that meets the 10 Hz update mixes two frames. So its
pixels are read whole every 23 ms in one transaction, a change of any byte means a new frame (noise changes some pixel
in every frame), and the read is repeated until two agree, which a torn one never does.

    register  what                                      as it is used here
    0x00      PCTL   power: 0x00 normal                 written by the driver; then 50 ms to wake
    0x01      RST    0x3F initial reset, 0x30 flags     0x3F by the driver, 0x30 by us; then two frames to fill
    0x02      FPSC   0 = 10 frames/s, 1 = 1 frame/s     written by the driver, and by us for the slow rate
    0x03      INTC   0 = interrupt pin off              written by the driver
    0x04      STAT   bit 2, 3: a value overflowed       read once a frame; sticky, so cleared when it is set
    0x05      SCLR   clears the bits of STAT
    0x07      AVE    bit 5: mean of two frames          unlocked by 0x1F <- 50, 45, 57, locked again by 0x1F <- 00
    0x0E-0F   TTH    thermistor, low byte first         sign and magnitude, 11 bits, 1/16 degC; read once a frame
    0x80-FF   T01-64 pixels, low byte first             two's complement, 12 bits, 1/4 degC
"""

import fcntl
import os
from collections import deque
from typing import Any

import numpy as np

from ..records import OVERFLOWS, SENSOR_SHAPE, Event, Heatmap, RigError
from ..sources import FRAME_NS, SILENCE_NS, WARM_UP_NS, Device
from ..timing.clock import Clock

_PIXELS, _STATUS, _THERMISTOR = bytes([0x80]), bytes([0x04]), bytes([0x0E])
_RESET_FLAGS = bytes([0x01, 0x30])
_SLOW = bytes([0x02, 0x01])
_CLEAR = 0x05
_AVERAGE = tuple(map(bytes, ((0x1F, 0x50), (0x1F, 0x45), (0x1F, 0x57), (0x07, 0x20), (0x1F, 0x00))))
_WAKE_NS = 50_000_000  # datasheet: 50 ms from power-up until it may be talked to
_MOST_READS = 5  # of one poll; more that all differ are noise on the bus, not torn frames
_TIMED_READS = 200  # the last of which `read_ms` is the median


class AMG8833(Device):
    """The sensor, open and running; a context manager.

    Args:
        clock: stamps the reads, and waits while the sensor wakes.
        i2c: a `busio.I2C` or anything that behaves like one; left open at the end. None: Linux bus number `bus`,
            opened here and closed at the end.
        bus: 1 is the one on a Pi's header, /dev/i2c-1.
        address: 0x69, or 0x68 with AD_SELECT tied to ground.
        rate: 10 or 1 frames/s; the slow rate is the chip's own mean of ten.
        average: the chip's moving average of two frames: less noise by the root of two, 50 ms later. Better left off
            while recording, for it can be had afterwards.

    Attributes:
        frame_ns: from one frame to the next.
        torn_reads: reads that mixed two frames; caught, and read again.

    Raises:
        RigError: no such bus, no right to open it, another program of lrt reads it, or no sensor at the address.
    """

    # 23 ms rather than 25: four polls of 25 ms fit a frame exactly, so that their phase would stand still and the
    # line through the stamps (timing/stamps.py) would carry it as a bias. 23 ms walks through every phase.
    poll_period_ns = 23_000_000

    def __init__(
        self, clock: Clock, i2c: Any = None, bus: int = 1, address: int = 0x69, rate: int = 10, average: bool = False
    ) -> None:
        from adafruit_amg88xx import AMG88XX  # here: Blinka looks for its board when imported, 0.1 s

        self._clock = clock
        self._name = f"AMG8833 at 0x{address:02x} of {f'I2C bus {bus}' if i2c is None else 'the I2C bus'}"
        self.frame_ns = FRAME_NS * 10 // rate
        self._own_bus = None
        if i2c is None:
            i2c = self._own_bus = _open_linux_bus(bus)
        try:
            self._device = AMG88XX(i2c, address).i2c_device
            clock.sleep_until(clock.now_ns() + _WAKE_NS)
            for command in (_RESET_FLAGS, *([_SLOW] if rate == 1 else []), *(_AVERAGE if average else ())):
                with self._device as device:
                    device.write(command)
            clock.sleep_until(clock.now_ns() + 2 * self.frame_ns)
            self._read_ns: deque[int] = deque(maxlen=_TIMED_READS)
            # its start: a first read that met the sensor's update is torn, and the new frame was made within it
            self._block, self._old_ns, _ = self._read_pixels()
        except (OSError, ValueError) as error:  # the driver's probe raises ValueError
            self.close()
            raise RigError(
                f"{self._name} does not answer ({error}); check its wiring, and `i2cdetect -y {bus}`"
            ) from error
        self.warm_ns = self._old_ns + WARM_UP_NS
        self._answered_ns = self._changed_ns = self._old_ns
        self._frame_ns: int | None = None  # middle of the last frame's bounds
        self._sequence = 0
        self._events: list[Event] = []
        self.torn_reads = 0

    def poll(self) -> list[Heatmap]:
        """The frame that is new since the last poll, if there is one.

        Returns:
            No heatmap or one: raw (8, 8) int16 quarter-degrees; earliest_ns is when the last read ended that gave
            the old frame, latest_ns when the first began that gave the new one (or the two ends of a torn read);
            timestamp_ns lies halfway. They are true to the transfer of a few pixels, 0.05 ms each at 400 kHz.

        Raises:
            RigError: nothing but bus errors, or never a new frame, for 3 s.
        """
        try:
            heatmap = self._poll()
        except OSError as error:
            now_ns = self._clock.now_ns()
            if now_ns - self._answered_ns > SILENCE_NS:
                raise RigError(f"{self._name} has not answered for 3 s ({error}); check its cable") from error
            self._say("bus-error", f"a read failed: {error}")
            return []
        self._answered_ns = self._clock.now_ns()
        silence_ns = max(SILENCE_NS, 5 * self.frame_ns)
        if heatmap is None and self._answered_ns - self._changed_ns > silence_ns:
            raise RigError(
                f"{self._name} answers but has made no new frame for {silence_ns / 1e9:.0f} s; "
                "switch its power off and on"
            )
        return [] if heatmap is None else [heatmap]

    def take_events(self) -> list[Event]:
        """Bus errors and overflows since this was last asked."""
        events, self._events = self._events, []
        return events

    @property
    def read_ms(self) -> float:
        """Median time of a read of all pixels, ms: 3.0 at 400 kHz, 11.8 at 100 kHz."""
        return float(np.median(self._read_ns)) / 1e6

    def close(self) -> None:
        """Close the bus if it was opened here."""
        if self._own_bus is not None:
            self._own_bus.deinit()
            self._own_bus = None

    def _poll(self) -> Heatmap | None:
        block, first_ns, end_ns = self._read_pixels()
        if block == self._block:
            self._old_ns = end_ns
            return None
        earliest_ns, latest_ns = self._old_ns, first_ns  # between two whole reads, the old and the new
        for _ in range(_MOST_READS - 1):
            again, _, again_ns = self._read_pixels()
            if again == block:
                break
            self.torn_reads += 1
            earliest_ns, latest_ns = first_ns, end_ns  # during the torn read
            block, end_ns = again, again_ns
        else:
            self._say("bus-error", f"{_MOST_READS} reads of the pixels in a row all differed: a disturbed bus?")
            return None
        thermistor_raw = decode_thermistor(self._read(_THERMISTOR, 2))
        status = self._read(_STATUS, 1)[0]
        if overflows := [text for bit, text in OVERFLOWS.items() if status & bit]:
            self._say("overflow", f"{' and '.join(overflows)} (STAT 0x{status:02x})")
            with self._device as device:
                device.write(bytes([_CLEAR, status]))
        # Only now, when all of it has been read, does the frame count: after a bus error the next poll meets it again.
        self._block, self._old_ns, self._changed_ns = block, again_ns, again_ns
        if latest_ns - earliest_ns > 3 * self.frame_ns // 4:
            return None  # after such a silence it may be any of two: it only marks where the next one starts
        middle_ns = (earliest_ns + latest_ns) // 2
        if self._frame_ns is not None:
            self._sequence += max(1, round((middle_ns - self._frame_ns) / self.frame_ns))
        self._frame_ns = middle_ns
        return Heatmap(middle_ns, decode_pixels(block), thermistor_raw, self._sequence, earliest_ns, latest_ns, status)

    def _read_pixels(self) -> tuple[bytes, int, int]:
        """The 128 bytes, and when their read began and ended."""
        start_ns = self._clock.now_ns()
        block = self._read(_PIXELS, 128)
        end_ns = self._clock.now_ns()
        self._read_ns.append(end_ns - start_ns)
        return block, start_ns, end_ns

    def _read(self, register: bytes, length: int) -> bytes:
        """Registers from one on, in one transaction: those of one value then belong to one frame."""
        answer = bytearray(length)
        with self._device as device:
            device.write_then_readinto(register, answer)
        return bytes(answer)

    def _say(self, kind: str, detail: str) -> None:
        self._events.append(Event(self._clock.now_ns(), kind, detail))


def decode_pixels(block: bytes) -> np.ndarray:
    """Registers 0x80..0xFF as (8, 8) int16, quarter-degrees: 12 bits, two's complement, upper four undefined."""
    words = np.frombuffer(block, "<u2").astype(np.int16) & 0x0FFF
    return np.where(words & 0x0800, words - 0x1000, words).astype(np.int16).reshape(SENSOR_SHAPE)


def decode_thermistor(word: bytes | bytearray) -> int:
    """Registers 0x0E, 0x0F as sixteenths of a degree: bit 11 is the sign, the 11 below it the magnitude."""
    value = int.from_bytes(word, "little")
    return -(value & 0x07FF) if value & 0x0800 else value & 0x07FF


def _open_linux_bus(number: int) -> Any:
    """/dev/i2c-N as a `busio.I2C`: Blinka's own class for it opens only the bus its table has for the board's pins."""
    from adafruit_blinka import Lockable
    from adafruit_blinka.microcontroller.generic_linux.i2c import I2C

    class LinuxBus(I2C, Lockable):
        claim: int | None = None

        def deinit(self) -> None:
            self._i2c_bus.close()  # pyright: ignore[reportOptionalMemberAccess]: it is open
            if self.claim is not None:
                os.close(self.claim)

    claim = _claim(f"/dev/i2c-{number}")
    try:
        opened = LinuxBus(number)
        opened.claim = claim
        return opened
    except PermissionError as error:
        raise RigError(f"no right to open /dev/i2c-{number}; add the user to the group i2c and log in again") from error
    except (OSError, RuntimeError) as error:  # Blinka turns a missing device file into a RuntimeError
        raise RigError(
            f"I2C bus {number} is not there (/dev/i2c-{number}); switch it on with raspi-config, or try --rig twin"
        ) from error


def _claim(path: str) -> int | None:
    """A lock on the bus, held while the descriptor is open: a second recorder's reset would spoil the first one's heat.

    Raises:
        RigError: another program of lrt holds it.
    """
    try:
        claim = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # no such bus, or no right to it: opening it says so
        return None
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(claim)
        raise RigError(f"{path} is being read by another lrt; stop that one (`lrt serve`?) first") from None
    return claim
