"""What the board's firmware says of one made-up sensor, packet by packet, for whatever Python this is run by.

    python firmware_talk.py hardware/firmware      CPython, MicroPython or CircuitPython: each must print the same

Whole numbers, one clock that only the bus and the waits turn, nothing but `sys`: what is printed depends on core.py and
on how the interpreter does its arithmetic, its bytes and its structs, and on nothing else. In 16 s of the board's time
there are torn reads, negative and saturated pixels, a message that fails, a sensor away for 1.5 s, one that hangs, and
one that overflows.
"""

import sys

BYTE_US, PERIOD_US, POLL_US = (
    23,
    100370,
    23000,
)  # nine bits at 400 kHz; the sensor's own tenth of a second; the program's
ADDRESS = 0x69
LENGTH_US = 16000000
FAILS_US, AWAY_US, BACK_US, HANGS_US, RUNS_US, OVERFLOWS_US = 3000000, 5000000, 6500000, 9000000, 12500000, 14000000


class Board:
    """Clock and I2C bus of the board: an AMG8833's registers, each byte fetched at its own moment.

    Attributes:
        now_us: its clock.
    """

    def __init__(self):
        self.now_us = 1000000
        self._status = 0
        self._failed = False

    def clock(self):
        """The board's time."""
        return self.now_us

    def sleep(self, seconds):
        """Wait; seconds are multiples of a millisecond, whatever floats may make of them."""
        self.now_us += int(seconds * 1000 + 0.5) * 1000

    def writeto(self, address, data):
        """A write, which only the overflow's flag remembers."""
        self._start(address, len(data))
        if data[0] == 0x05:
            self._status = 0

    def writeto_then_readfrom(self, address, out, into):
        """A read from a register on."""
        self._start(address, len(out))
        for index in range(len(into)):
            self.now_us += BYTE_US
            into[index] = self._byte(out[0] + index)

    def _start(self, address, count):
        self.now_us += BYTE_US * (1 + count)
        if self.now_us > FAILS_US and not self._failed:
            self._failed = True
            raise OSError("the second byte was not acknowledged")
        if address != ADDRESS or AWAY_US <= self.now_us < BACK_US:
            raise OSError("no answer")
        if self.now_us > OVERFLOWS_US and self._status == 0 and self.now_us < OVERFLOWS_US + 200000:
            self._status = 0x04

    def _byte(self, register):
        if register < 0x80:
            return {0x04: self._status, 0x0E: 0xBB, 0x0F: 0x58}.get(register, 0)  # -11.6875 degC
        time_us = self.now_us
        if HANGS_US < time_us < RUNS_US:
            time_us = HANGS_US
        frame = time_us // PERIOD_US
        pixel = (register - 0x80) // 2
        value = (frame * 7919 + pixel * 104729 + frame * pixel * 31) % 613 - 100  # -25 to 128 degC, in quarters
        word = (value & 0x0FFF) | 0x5000  # the upper four bits are undefined
        return word >> 8 if register % 2 else word & 0xFF


def talk(core):
    """All packets that the board's program would send, without its ports.

    Args:
        core: hardware/firmware/core.py, as a module.

    Returns:
        A list of bytes.
    """
    board = Board()
    reader = core.Reader(board, ADDRESS, board.clock, board.sleep, 10, True)
    said, told = [core.hello_packet(ADDRESS, 10, True, reader.age_ms(), b"\xe6\x61\x00\x01")], 0
    while board.now_us < LENGTH_US:
        due_us = board.now_us + POLL_US
        frame = reader.poll()
        said.append(core.clock_packet(board.now_us))
        if frame is not None:
            said.append(core.heat_packet(*frame))
        if reader.errors != told:
            told = reader.errors
            said.append(core.error_packet(told, reader.last_error))
        board.now_us = max(board.now_us, due_us)
    said.append(core.hello_packet(ADDRESS, 10, True, reader.age_ms(), b"\xe6\x61\x00\x01"))
    for count in (0, 1, 252, 253, 254, 255, 507, 508, 509):  # runs as long as COBS counts
        said.append(core.packet(core.ERROR, bytes([1 + k % 255 for k in range(count)]) + b"\0" + bytes(count)))
    return said


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    import core

    for each in talk(core):
        print("".join([f"{byte:02x}" for byte in each]))
