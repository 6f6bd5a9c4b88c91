"""The twin's AMG8833: registers on an I2C bus, as the chip's datasheet and real recordings have them.

The bus looks like a `busio.I2C`, so Adafruit's driver and our block reader talk to it unchanged. Transfers take real
time on the virtual clock and the chip refreshes its registers by a clock of its own, without a latch: a read that
spans a refresh gets bytes of both frames.

    register  what                        here
    0x00      PCTL  power                 0x00 normal, 0x10 sleep, 0x20 / 0x21 stand-by: frames are made in normal mode
    0x01      RST   reset                 0x3F initial reset (registers to default), 0x30 flags
    0x02      FPSC  frame rate            bit 0: 1 frame/s instead of 10
    0x04      STAT  status                0x04 a pixel overflowed, 0x08 the thermistor: sticky until SCLR clears them
    0x05      SCLR  clears bits of STAT
    0x07      AVE   moving average        0x20: mean of two frames; taken only while 0x1F has been given 50, 45, 57
    0x03, 06, 08-0D  INTC, limits: held as written; no interrupt is raised
    0x0E-0F   TTH   thermistor            sign and magnitude, 11 bits, 1/16 degC, low byte first
    0x80-FF   T01-64 pixels               two's complement, 12 bits, 1/4 degC, low byte first
"""

import errno
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from ..records import QUARTER_C, SENSOR_SHAPE, SIXTEENTH_C
from ..timing.clock import SECOND_NS, Clock
from .faults import Faults
from .scene import FINE, GRID, HEAT_CELLS, MARGIN, Scene

PCTL, RST, FPSC, STAT, SCLR, AVE, KEY = 0x00, 0x01, 0x02, 0x04, 0x05, 0x07, 0x1F
_AVERAGE_KEY = [0x50, 0x45, 0x57]
THERMISTOR, PIXELS = 0x0E, 0x80
NORMAL, INITIAL_RESET, FLAG_RESET = 0x00, 0x3F, 0x30
_TIMEOUT_NS = 1_000_000_000  # Linux's I2C adapters give up after one second


@dataclass(frozen=True)
class SensorSettings:
    """One AMG8833; the defaults are what five groups' recordings show (about 300,000 frames).

    Attributes:
        seed: the chip: its fixed pattern, its clock, its noise.
        address: 7 bits; 0x68 with AD_SELECT tied to ground.
        bus_hz: 400 kHz is the chip's fast mode.
        period_ns: of its own clock; median seen 101 ms.
        drift_ppm: of that clock, beside the period.
        footprint: (across, down) full width at half maximum of what one pixel sees, thermal pixels.
        noise_c: (centre 4x4, edge, corner) of one pixel over time before rounding, degC.
        noise_memory: lag-1 autocorrelation of that noise.
        common_c: noise that all pixels share, degC.
        pattern_c: fixed pattern, degC.
        drift_c: slow drift of single pixels over minutes, degC.
        board_c: the thermistor over the room: the board is warm, degC.
    """

    seed: int = 0
    address: int = 0x69
    bus_hz: int = 400_000
    period_ns: int = 101_000_000
    drift_ppm: float = 80.0
    footprint: tuple[float, float] = (0.97, 1.05)
    noise_c: tuple[float, float, float] = (0.21, 0.27, 0.32)
    noise_memory: float = 0.15
    common_c: float = 0.05
    pattern_c: float = 0.25
    drift_c: float = 0.1
    board_c: float = 5.5


class Optics:
    """Heat map in, noisy raw frames out; every frame follows from the seed and its number."""

    def __init__(self, settings: SensorSettings) -> None:
        self._settings = settings
        across, down = (footprint_weights(fwhm) for fwhm in settings.footprint)
        self._across, self._down = across, down
        rng = np.random.default_rng([settings.seed, 31])
        self._pattern = rng.normal(0.0, settings.pattern_c, SENSOR_SHAPE)
        self._phases = rng.uniform(0, 2 * np.pi, (3, *SENSOR_SHAPE))
        centre, edge, corner = settings.noise_c
        row, column = np.meshgrid(np.arange(GRID), np.arange(GRID), indexing="ij")
        outer = np.maximum(np.abs(row - 3.5), np.abs(column - 3.5)) > 2
        in_corner = np.isin(row, (0, GRID - 1)) & np.isin(column, (0, GRID - 1))
        self.noise_sd = np.where(in_corner, corner, np.where(outer, edge, centre))
        # e(n) + b e(n-1) has the lag-1 autocorrelation b / (1 + b^2)
        rho = settings.noise_memory
        self._memory = (1 - np.sqrt(1 - 4 * rho**2)) / (2 * rho) if rho else 0.0

    def blur(self, heat: np.ndarray) -> np.ndarray:
        """(8, 8) float64, degC: what the pixels see of a heat map (K, K)."""
        return self._down @ heat @ self._across.T

    def disturb(self, seen: np.ndarray, frame: int, time_s: float) -> np.ndarray:
        """(8, 8) float64, degC: with the fixed pattern, slow drift, and the noise of one frame."""
        now, before = self._draw(frame), self._draw(frame - 1)
        scale = 1 / np.sqrt(1 + self._memory**2)
        noise = self.noise_sd * scale * (now[0] + self._memory * before[0])
        rates = 2 * np.pi / np.array([170.0, 430.0, 1100.0])[:, None, None]
        drift = self._settings.drift_c * np.sqrt(2 / 3) * np.sin(rates * time_s + self._phases).sum(0)
        return seen + self._pattern + drift + noise + self._settings.common_c * now[1]

    def _draw(self, frame: int) -> tuple[np.ndarray, float]:
        drawn = np.random.default_rng([self._settings.seed, 37, frame + 1]).standard_normal(GRID * GRID + 1)
        return drawn[:-1].reshape(SENSOR_SHAPE), float(drawn[-1])


class TwinBus:
    """An I2C bus with one AMG8833 on it, as a `busio.I2C`.

    Args:
        scene: what the sensor looks at; its time 0 is the clock's time when the bus is made.
        clock: moved on by every transfer.
        settings: the chip and the bus.
        faults: what goes wrong, and when.
    """

    def __init__(
        self,
        scene: Scene,
        clock: Clock,
        settings: SensorSettings | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.settings = settings or SensorSettings()
        self._faults = faults or Faults()
        self._scene, self._clock = scene, clock
        self._optics = Optics(self.settings)
        self._locked = False
        self._open_ns = clock.now_ns()
        self._byte_ns = 9 * SECOND_NS / self.settings.bus_hz  # eight bits and the acknowledgement
        rng = np.random.default_rng([self.settings.seed, 41])
        self._period_ns = self.settings.period_ns * (1 + self.settings.drift_ppm * 1e-6)
        self._phase_ns = rng.uniform(0, self._period_ns)
        self._registers = bytearray(0x80)
        self._pointer = 0
        self._woken_ns = self._open_ns  # power is on; the chip makes frames from the start
        self._asleep_ns: int | None = None
        self._keys: list[int] = []  # the last bytes written to KEY
        self._averages = False
        self._frames: OrderedDict[int, bytes] = OrderedDict()  # the last few made: torn reads need two
        self._held, self._held_until_ns = -1, self._open_ns  # the newest frame until then, where drawing it took long

    # -- busio.I2C -------------------------------------------------------------------------------------------------

    def try_lock(self) -> bool:
        """Take the bus; False when it is taken."""
        taken, self._locked = self._locked, True
        return not taken

    def unlock(self) -> None:
        """Give the bus back.

        Raises:
            ValueError: it was not taken.
        """
        if not self._locked:
            raise ValueError("Not locked")
        self._locked = False

    def scan(self) -> list[int]:
        """The addresses that acknowledge."""
        return [] if self._faults.nacks(self._time_s()) else [self.settings.address]

    def writeto(self, address: int, buffer: bytes, *, start: int = 0, end: int | None = None) -> None:
        """Write bytes: a register's number, then values for it and those after it.

        Raises:
            OSError: errno 121 when nothing acknowledges the address, 110 on a stuck bus.
        """
        self._address(address)
        self._take(memoryview(buffer)[start:end])

    def readfrom_into(self, address: int, buffer: bytearray, *, start: int = 0, end: int | None = None) -> None:
        """Fill a buffer from the register pointer on; each byte is what the register holds when it is sent.

        Raises:
            OSError: as `writeto`.
        """
        self._address(address)
        self._give(memoryview(buffer)[start:end])

    def writeto_then_readfrom(
        self,
        address: int,
        out_buffer: bytes,
        in_buffer: bytearray,
        *,
        out_start: int = 0,
        out_end: int | None = None,
        in_start: int = 0,
        in_end: int | None = None,
    ) -> None:
        """Write, then read after a repeated start: the bus is not let go in between.

        Raises:
            OSError: as `writeto`.
        """
        self._address(address)
        self._take(memoryview(out_buffer)[out_start:out_end])
        self._address(address)
        self._give(memoryview(in_buffer)[in_start:in_end])

    def deinit(self) -> None:
        """Let the bus go."""
        self._locked = False

    def show(self, scene: Scene) -> None:
        """Look at another scene from now on."""
        self._scene = scene

    # -- on the wire -----------------------------------------------------------------------------------------------

    def _time_s(self) -> float:
        return (self._clock.now_ns() - self._open_ns) / SECOND_NS

    def _address(self, address: int) -> None:
        if self._time_s() >= self._faults.bus_stuck_at:
            self._clock.advance(_TIMEOUT_NS)
            raise OSError(errno.ETIMEDOUT, "Connection timed out")
        self._clock.advance(round(self._byte_ns))
        if address != self.settings.address or self._faults.nacks(self._time_s()):
            raise OSError(errno.EREMOTEIO, "Remote I/O error")

    def _take(self, data: memoryview) -> None:
        self._clock.advance(round(self._byte_ns * len(data)))
        if not data:
            return
        self._pointer = data[0]
        for value in data[1:]:
            self._write(self._pointer, value)
            self._pointer = (self._pointer + 1) & 0xFF

    def _give(self, data: memoryview) -> None:
        start_ns = self._clock.now_ns()
        pointer = self._pointer
        first, last = self._frame_at(start_ns), self._frame_at(round(start_ns + self._byte_ns * len(data)))
        if start_ns < self._held_until_ns:
            first = last = self._held
        if first == last:
            held = self._memory(first)
            data[:] = bytes(held[(pointer + i) & 0xFF] for i in range(len(data)))
        else:
            for i in range(len(data)):  # a byte is latched when its transfer begins
                data[i] = self._memory(self._frame_at(round(start_ns + self._byte_ns * i)))[(pointer + i) & 0xFF]
        self._pointer = (pointer + len(data)) & 0xFF
        self._clock.advance(round(self._byte_ns * len(data)))

    def _write(self, register: int, value: int) -> None:
        if register >= 0x80 or register in (THERMISTOR, THERMISTOR + 1):
            return  # read only
        if register == PCTL:
            asleep = value != NORMAL
            if asleep and self._asleep_ns is None:
                self._asleep_ns = self._clock.now_ns()
            elif not asleep and self._asleep_ns is not None:
                self._asleep_ns, self._woken_ns = None, self._clock.now_ns()
        if register == RST:
            if value == INITIAL_RESET:
                power = self._registers[PCTL]
                self._registers[:] = bytes(len(self._registers))
                self._registers[PCTL] = power
                self._averages = False
            if value in (INITIAL_RESET, FLAG_RESET):
                self._registers[STAT] = 0
            return  # write only
        if register == SCLR:
            self._registers[STAT] &= ~value & 0xFF
            return  # write only
        if register == KEY:
            self._keys = [*self._keys, value][-3:]
        if register == AVE:
            self._averages = bool(value & 0x20) and self._keys == _AVERAGE_KEY
            return  # always read as 0, whatever was written (SparkFun's and nanoFramework's drivers say so)
        self._registers[register] = value

    # -- in the chip -----------------------------------------------------------------------------------------------

    def _frame_at(self, time_ns: int) -> int:
        """Number of the newest frame at a time; -1 before the first one after waking."""
        if self._asleep_ns is not None:
            time_ns = min(time_ns, self._asleep_ns)
        frozen_ns = self._open_ns + self._faults.frozen_at * SECOND_NS
        elapsed = min(float(time_ns), frozen_ns) - self._open_ns - self._phase_ns
        number = int(np.floor(elapsed / self._period_ns))
        slow = 10 if self._registers[FPSC] & 1 else 1
        number -= number % slow
        return number if self.frame_ns(number) >= self._woken_ns else -1

    def frame_ns(self, number: int) -> int:
        """When the registers took a frame, ns of the clock."""
        return round(self._open_ns + self._phase_ns + number * self._period_ns)

    def _memory(self, frame: int) -> bytes:
        """All 256 registers while a frame is the newest.

        A chip makes its frames beside whoever reads them; a twin on a busy computer draws them while it is read, and
        where that takes longer than a period, no two reads would ever find the same frame. So it stays for a while.
        """
        if frame not in self._frames:
            begun_ns = self._clock.now_ns()
            self._frames[frame] = self._make_frame(frame)
            drawn_ns = self._clock.now_ns()
            if drawn_ns - begun_ns > self._period_ns / 4:
                self._held, self._held_until_ns = frame, round(drawn_ns + self._period_ns / 2)
            if len(self._frames) > 4:
                self._frames.popitem(last=False)
        return bytes(self._registers[:THERMISTOR]) + self._frames[frame]

    def _make_frame(self, frame: int) -> bytes:
        """Registers 0x0E..0xFF."""
        if frame < 0:
            return bytes(0x100 - THERMISTOR)
        raw = self.measure(frame).astype(np.int16)
        if self._averages:
            before = self.measure(max(0, frame - (10 if self._registers[FPSC] & 1 else 1)))
            raw = np.rint((raw.astype(float) + before) / 2).astype(np.int16)
        time_s = max(0.0, (self.frame_ns(frame) - self._open_ns) / SECOND_NS)
        warm_up = 1.0 - 0.6 * np.exp(-time_s / 240.0)
        board = self._scene.room.air_c + self.settings.board_c * warm_up + 0.05 * np.sin(time_s / 90.0)
        thermistor = encode_thermistor(board)
        middle = bytes(self._registers[THERMISTOR + 2 : PIXELS])
        return thermistor + middle + (raw & 0x0FFF).astype("<u2").tobytes()

    def measure(self, frame: int) -> np.ndarray:
        """(8, 8) int16, quarter-degrees: a frame as the chip makes it, the mean over the period before it is ready."""
        ready_s = (self.frame_ns(frame) - self._open_ns) / SECOND_NS
        period_s = self._period_ns / SECOND_NS * (10 if self._registers[FPSC] & 1 else 1)
        instants = [max(0.0, ready_s - share * period_s) for share in (0.25, 0.75)]
        seen = np.mean([self._optics.blur(self._scene.heat(instant)) for instant in instants], axis=0)
        celsius = self._optics.disturb(seen, frame, ready_s)
        raw = np.clip(np.rint(celsius / QUARTER_C), -2048, 2047).astype(np.int16)
        rng = np.random.default_rng([self.settings.seed, 43, frame + 1])
        if rng.random() < self._faults.stray_pixels:
            raw[tuple(rng.integers(0, GRID, 2))] = 2  # 0.5 degC, as owners of the sensor report it
        return raw


def encode_thermistor(celsius: float) -> bytes:
    """Registers 0x0E, 0x0F: bit 11 is the sign, the 11 below it the magnitude in 1/16 degC."""
    steps = round(abs(celsius) / SIXTEENTH_C)
    return (min(steps, 0x7FF) | (0x800 if celsius < 0 else 0)).to_bytes(2, "little")


def footprint_weights(fwhm: float) -> np.ndarray:
    """(8, K) float64: the share of each heat map cell in each pixel's view, a Gaussian cut at the map's edge.

    Args:
        fwhm: full width at half maximum, thermal pixels.
    """
    cells = (np.arange(HEAT_CELLS) + 0.5) / FINE - MARGIN - 0.5  # where each cell's middle lies, thermal pixels
    off = cells[None, :] - np.arange(GRID)[:, None]
    weights = np.exp(-0.5 * np.square(off * 2.3548 / fwhm))
    return weights / weights.sum(1, keepdims=True)
