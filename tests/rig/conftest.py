"""An AMG8833 at the level of its registers, on a bus that takes the time a real one takes."""

import itertools

import numpy as np
import pytest

from lrt.rig.clip import ClipHeader
from lrt.rig.records import Heatmap, Image
from lrt.rig.timing.clock import VirtualClock

BYTE_NS = 22_500  # nine bits at 400 kHz


class FakeAMG8833:
    """`busio.I2C` with one sensor on it. Every byte is fetched at its own moment, so an update can fall within a read.

    Attributes:
        made_ns: when each frame since the start was made: the truth for stamps.
        frames: its 64 raw quarter-degrees.
        transactions: how often the bus was used.
        dead_from_ns, dead_until_ns: meanwhile nothing answers.
    """

    def __init__(self, clock, period_ns=100_370_000, noise=0.16, seed=1, address=0x69):
        self.clock, self.period_ns, self.noise, self.address = clock, period_ns, noise, address
        self.random = np.random.default_rng(seed)
        self.start_ns = clock.now_ns() - 61_000_000
        self.made_ns, self.frames = [], []
        self.thermistor = 0x8BB  # -11.6875 degC: bit 11 is a sign, not the top of a two's complement
        self.registers = {}
        self.writes = []
        self.transactions = 0
        self.dead_from_ns = self.dead_until_ns = -1
        self.pointer = 0

    def try_lock(self):
        return True

    def unlock(self):
        pass

    def writeto(self, address, buffer, *, start=0, end=None):
        self._start(address)
        data = bytes(buffer[start:end])
        self.clock.advance(BYTE_NS * len(data))
        if data:
            self.pointer = data[0]
            self.registers.update(enumerate(data[1:], self.pointer))
        if len(data) > 1:
            self.writes.append((data[0], data[1], self.clock.now_ns()))

    def readfrom_into(self, address, buffer, *, start=0, end=None):
        self._start(address)
        for index in range(start, len(buffer) if end is None else end):
            self.clock.advance(BYTE_NS)
            buffer[index] = self._byte(self.pointer)
            self.pointer += 1

    def writeto_then_readfrom(
        self, address, buffer_out, buffer_in, *, out_start=0, out_end=None, in_start=0, in_end=None
    ):
        self.writeto(address, buffer_out, start=out_start, end=out_end)
        self.transactions -= 1  # a repeated start, not a second transaction
        self.readfrom_into(address, buffer_in, start=in_start, end=in_end)

    def _start(self, address):
        self.clock.advance(BYTE_NS)
        if address != self.address or self.dead_from_ns <= self.clock.now_ns() < self.dead_until_ns:
            raise OSError(121, "Remote I/O error")
        self.transactions += 1

    def _byte(self, register):
        if register < 0x80:
            return {0x0E: self.thermistor & 0xFF, 0x0F: self.thermistor >> 8}.get(
                register, self.registers.get(register, 0)
            )
        while (made := self.start_ns + len(self.frames) * self.period_ns) <= self.clock.now_ns():
            scene = 4 * (22 + 8 * np.sin(np.arange(64) / 9 + len(self.frames) / 5))
            self.frames.append(np.round(scene + 4 * self.noise * self.random.standard_normal(64)).astype(int))
            self.made_ns.append(made)
        word = int(self.frames[-1][(register - 0x80) // 2]) & 0x0FFF | 0x5000  # the upper four bits are undefined
        return word >> 8 if register % 2 else word & 0xFF


@pytest.fixture
def clock():
    return VirtualClock(start_ns=1_000_000_000)


@pytest.fixture
def bus(clock):
    return FakeAMG8833(clock)


@pytest.fixture
def make_bus():
    return FakeAMG8833


@pytest.fixture
def header():
    return ClipHeader(
        clip_id="walk-01",
        clothing="red",
        lighting="dim",
        occupants=1,
        consent="C-7",
        rig={"sensor": {"kind": "amg8833", "rotation": 90, "mirror": True}, "camera": {"kind": "opencv"}},
    )


class Scene:
    """Heatmaps at 10/s and images at 30/s with known contents and stamps."""

    def __init__(self, seed=3, size=(64, 48)):
        self.random = np.random.default_rng(seed)
        self.size = size

    def heatmap(self, number, start_ns=0):
        made_ns = start_ns + number * 100_000_000
        raw = self.random.integers(60, 140, (8, 8)).astype(np.int16)
        return Heatmap(made_ns, raw, 400 + number, number, made_ns - 12_000_000, made_ns + 12_000_000)

    def image(self, number, start_ns=0):
        width, height = self.size
        across, down = np.meshgrid(np.arange(width), np.arange(height))
        pixels = np.stack([across * 3, down * 4, np.full_like(down, number * 7 % 256)], axis=-1).astype(np.uint8)
        return Image(start_ns + round(number * 1e9 / 30), pixels, number)

    def timeline(self, seconds, start_ns=0):
        """Heatmaps and images in the order of their stamps."""
        records = itertools.chain(
            (self.heatmap(number, start_ns) for number in range(round(seconds * 10))),
            (self.image(number, start_ns) for number in range(round(seconds * 30))),
        )
        return sorted(records, key=lambda record: record.timestamp_ns)


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def write_timeline():
    """Write records as they fall due by the clock."""

    def write(writer, clock, records):
        for record in records:
            clock.sleep_until(record.timestamp_ns)
            (writer.write_heatmap if isinstance(record, Heatmap) else writer.write_image)(record)

    return write


@pytest.fixture
def make_scene():
    return Scene


@pytest.fixture
def make_clock():
    return VirtualClock
