"""How much later the heat is than the image, from somebody who moves before both.

How fast each stream changes is one number a moment; the two curves have the same shape, and the shift at which they
lie on each other best is the offset. Of the images nothing else is kept.

A thermal frame's noise is as large as what an arm changes from one frame to the next: the sum of plain differences
shows no arm. So the rate of change is taken over a good half second, about as long as an arm takes, and the pixels of
the sensor count by how much they stand out of the noise. Then 25 s of waving are enough (on the twin:
tests/rig_twin/test_twin_wave.py).
"""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from ... import LrtError
from ..records import QUARTER_C
from .clock import SECOND_NS

HOW_TO_MOVE = "stand alone, two steps (1.4 m) away, and raise and lower an arm ten times in 25 s, not in rhythm"
SIGMA_S, REACH_S = 0.2, 0.6  # of the Gaussian whose derivative takes the rate of change, and where it is cut
MAX_HOLE_S = 0.25  # frames further apart than this say nothing of what moved between them
SMALL_PX = 80  # images are shrunk to this width first: less noise, less work
SHORTEST_S = 8.0
LEAST_CORRELATION = 0.6  # waving gives 0.7 to 0.95; two unrelated motions reach 0.6 only in a short recording
MOST_SPREAD_MS = 20.0  # a slow steady motion correlates well and still tells the time badly; 25 s of waving give 6 ms

_MOST_FRAMES = 36_000  # of an image stream, 20 minutes at 30/s; older ones are let go
_STRAY = round(15.0 / QUARTER_C)  # a pixel so far from its own median is no body
_STANDS_OUT = 2.2  # the four liveliest thermal pixels over the median one; noise alone seldom gives as much in 10 s
_NOISE = 1.3  # of the median pixel's rate of change, squared: below it a pixel counts nothing
_STILL = 0.05  # degC/s or gray levels/s: a stream that changes by no more than this stands still
_STEP_NS = 10_000_000
_STEP_S = _STEP_NS / SECOND_NS
_SEARCH = 100  # steps to either side
_SMOOTH_S = 0.05  # over the grid, so that its corners do not show in the peak
_NEARBY_S = 2.5  # two moves of an arm
_QUIET = 0.4  # of the whole's spread: a pause is not blown up to a move
_TOP = 5  # steps to either side of the peak that the parabola goes through
_RIVAL = 0.8  # of the peak's height, outside its own hill: then the offset may be either
_BLOCKS = 10  # of time, left out one by one for the spread


class SyncError(LrtError, ValueError):
    """What was recorded does not tell the time offset."""


@dataclass(frozen=True)
class Offset:
    """How heat and image lie in time.

    Attributes:
        offset_ms: image time + offset = heatmap time; positive when the heat comes later.
        spread_ms: its standard error, from leaving out a tenth of the time at a time.
        correlation: of the two rates of change at that offset, 0..1.
        seconds: of both streams that told it; shorter than the recording by its ends and gaps.
    """

    offset_ms: float
    spread_ms: float
    correlation: float
    seconds: float


class ImageMotion:
    """How fast the image changes, frame by frame, and nothing else of it.

    The images of the last 1.2 s are held, shrunk to 80 px; then one number of each remains.
    """

    def __init__(self) -> None:
        self._slope = _Slope()
        self._times_ns: deque[int] = deque(maxlen=_MOST_FRAMES)
        self._energy: deque[float] = deque(maxlen=_MOST_FRAMES)

    def add(self, timestamp_ns: int, gray: np.ndarray) -> None:
        """Take the next image; one that is not later than the last is passed over.

        Args:
            timestamp_ns: ns.
            gray: (H, W) uint8, always of one size.
        """
        height, width = gray.shape
        if width > SMALL_PX:
            small = (SMALL_PX, max(1, round(height * SMALL_PX / width)))
            gray = cv2.resize(gray, small, interpolation=cv2.INTER_AREA)
        for time_ns, rate in self._slope.add(timestamp_ns, gray):
            self._times_ns.append(time_ns)
            self._energy.append(_image_energy(rate))

    def measured(self) -> tuple[np.ndarray, np.ndarray]:
        """((M,) int64, ns; (M,) float64, gray levels/s): when, and how fast the image changed."""
        return np.array(self._times_ns, np.int64), np.array(self._energy, np.float64)


def measure_heat(heat_ns: np.ndarray, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """When, and how fast the heat changed.

    Args:
        heat_ns: (N,) int64, ns, the heatmaps' fitted stamps (`fit_stamps`), ascending.
        raw: (N, 8, 8) int16, quarter-degrees.

    Returns:
        times_ns: (K,) int64, ns; K < N: a rate of change needs frames to either side.
        energy: (K,) float64, degC/s; all 0 where no pixel stands out of the noise.
    """
    raw = np.asarray(raw, np.float32)
    if len(raw):
        usual = np.median(raw, axis=0)
        raw = np.where(np.abs(raw - usual) > _STRAY, usual, raw)
    slope = _Slope()
    found = [item for time_ns, frame in zip(heat_ns, raw, strict=True) for item in slope.add(int(time_ns), frame)]
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.float64)
    square = np.square([rate.ravel() * QUARTER_C for _, rate in found])  # (K, 64)
    liveliness = square.mean(axis=0)
    noise = max(float(np.median(liveliness)), 1e-6)
    # most pixels see no arm, so the median one tells the noise (corners have a little more)
    weight = np.maximum(1 - _NOISE * noise / np.maximum(liveliness, noise), 0)
    if np.sort(liveliness)[-4:].mean() < _STANDS_OUT * noise:
        weight[:] = 0
    return np.array([time_ns for time_ns, _ in found], np.int64), np.sqrt(square @ weight)


def find_offset(heat_ns: np.ndarray, heat_energy: np.ndarray, image_ns: np.ndarray, image_energy: np.ndarray) -> Offset:
    """The time offset between heat and image, up to a second either way.

    Args:
        heat_ns, heat_energy: (N,) int64, ns, and (N,) float64, as from `measure_heat`.
        image_ns, image_energy: (M,) int64, ns, and (M,) float64, as from `ImageMotion.measured`.

    Raises:
        SyncError: too short, nothing moves, the two do not move alike, or they do so at several offsets.
    """
    grid_ns = _common_grid(heat_ns, image_ns)
    heat, heat_known = _resample(grid_ns, heat_ns, heat_energy)
    image, image_known = _resample(grid_ns, image_ns, image_energy)
    seconds = float((heat_known & image_known).sum() * _STEP_S)
    if seconds < SHORTEST_S:
        raise SyncError(
            f"heat and image were seen together for {seconds:.1f} s, and {SHORTEST_S:g} s at least are needed; "
            f"record 30 s, and meanwhile {HOW_TO_MOVE}"
        )
    for name, energy, known in (("heat", heat, heat_known), ("image", image, image_known)):
        low, high = np.quantile(energy[known], (0.05, 0.95))
        if high - low < _STILL:
            raise SyncError(f"nothing moves in the {name}; {HOW_TO_MOVE}")
    correlations = _correlate(heat, heat_known, image, image_known)
    whole = correlations[:, 0]
    best = int(whole.argmax())
    if whole[best] < LEAST_CORRELATION:
        raise SyncError(
            f"heat and image do not move alike (correlation {max(whole[best], 0.0):.2f}, {LEAST_CORRELATION} is "
            f"needed); {HOW_TO_MOVE}"
        )
    if not _TOP <= best < len(whole) - _TOP:
        raise SyncError(
            "heat and image are a second apart, or more: as far as is searched; mend the stamps of one of them, or "
            f"{HOW_TO_MOVE}"
        )
    rival = _find_rival(whole, best)
    if rival is not None:
        raise SyncError(
            f"heat and image match at {_at(best):+.0f} ms and at {_at(rival):+.0f} ms (correlation {whole[best]:.2f} "
            f"and {whole[rival]:.2f}): the motion repeats itself; {HOW_TO_MOVE}"
        )
    peaks = np.array([_peak_ms(column) for column in correlations.T])
    without = peaks[1:]
    spread = float(np.sqrt((_BLOCKS - 1) / _BLOCKS * np.square(without - without.mean()).sum()))
    if spread > MOST_SPREAD_MS:
        raise SyncError(
            f"the offset is {peaks[0]:+.0f} ms, but only to +-{spread:.0f} ms ({MOST_SPREAD_MS:g} ms is allowed); "
            f"{HOW_TO_MOVE}"
        )
    return Offset(float(peaks[0]), spread, float(min(whole[best], 1.0)), seconds)


class _Slope:
    """The rate of change of a stream of frames: the derivative of a Gaussian, laid about each frame in turn."""

    def __init__(self) -> None:
        self._held: deque[tuple[int, np.ndarray]] = deque()
        self._middle = 0  # the next to be measured, in `_held`

    def add(self, timestamp_ns: int, frame: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """[(ns, change a second)] of frames about which all that is needed has now been seen; none about a gap."""
        held = self._held
        if held and timestamp_ns <= held[-1][0]:
            return []
        held.append((timestamp_ns, frame))
        done = []
        while timestamp_ns - held[self._middle][0] > REACH_S * SECOND_NS:
            measured = self._measure(held[self._middle][0])
            if measured is not None:
                done.append(measured)
            self._middle += 1
            while held[self._middle][0] - held[0][0] > REACH_S * SECOND_NS:
                held.popleft()
                self._middle -= 1
        return done

    def _measure(self, middle_ns: int) -> tuple[int, np.ndarray] | None:
        away_s = np.array([timestamp_ns - middle_ns for timestamp_ns, _ in self._held]) / SECOND_NS
        near = np.abs(away_s) <= REACH_S
        if np.diff(away_s[near], prepend=-REACH_S, append=REACH_S).max() > MAX_HOLE_S:
            return None
        weight = np.where(near, np.abs(away_s) * np.exp(-0.5 * np.square(away_s / SIGMA_S)), 0.0)
        later, earlier = weight * (away_s > 0), weight * (away_s < 0)
        later /= later.sum()
        earlier /= earlier.sum()
        # Where frames are missing, the two halves lie unevenly about the middle: their own middles count.
        later_s, earlier_s = later @ away_s, earlier @ away_s
        kernel = ((later - earlier) / (later_s - earlier_s)).astype(np.float32)
        rate = np.tensordot(kernel[near], np.stack([f for (_, f), n in zip(self._held, near, strict=True) if n]), 1)
        return middle_ns + round((later_s + earlier_s) / 2 * SECOND_NS), rate


def _image_energy(rate: np.ndarray) -> float:
    """Mean over an image of how far its rate of change, gray levels/s, stands out of noise and flicker."""
    rate = rate - np.median(rate)  # lamps that flicker and an exposure that adapts change all of it
    off = np.abs(rate)
    noise = 3 * 1.4826 * float(np.median(off))
    return float(np.maximum(off - max(noise, 2.0), 0).mean())


def _common_grid(heat_ns: np.ndarray, image_ns: np.ndarray) -> np.ndarray:
    """(G,) int64, ns: every 10 ms of the time that both streams cover."""
    if not len(heat_ns) or not len(image_ns):
        return np.empty(0, np.int64)
    return np.arange(max(heat_ns[0], image_ns[0]), min(heat_ns[-1], image_ns[-1]) + 1, _STEP_NS)


def _resample(grid_ns: np.ndarray, times_ns: np.ndarray, energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """((G,) float64 energy, smoothed; (G,) bool, whether its neighbours in time are near enough)."""
    if not grid_ns.size:
        return np.empty(0), np.empty(0, bool)
    start_ns = int(grid_ns[0])
    at = np.interp(grid_ns - start_ns, times_ns - start_ns, energy)
    after = np.searchsorted(times_ns, grid_ns).clip(1, len(times_ns) - 1)
    known = times_ns[after] - times_ns[after - 1] <= MAX_HOLE_S * SECOND_NS
    return _blur(at, _SMOOTH_S), known


def _correlate(heat: np.ndarray, heat_known: np.ndarray, image: np.ndarray, image_known: np.ndarray) -> np.ndarray:
    """(201, 11) correlation by lag, -1 to 1 s: of the whole, then with each tenth of the time left out."""
    heat, image = _standardise(heat, heat_known), _standardise(image, image_known)
    count = len(heat)
    edges = np.linspace(0, count, _BLOCKS + 1).astype(int)
    rows = []
    for lag in range(-_SEARCH, _SEARCH + 1):
        moved, moved_known = np.zeros(count), np.zeros(count, bool)  # the image, `lag` steps later
        into, out_of = slice(max(0, lag), count + min(0, lag)), slice(max(0, -lag), count + min(0, -lag))
        moved[into], moved_known[into] = image[out_of], image_known[out_of]
        known = heat_known & moved_known
        x, y = heat * known, moved * known
        blocks = np.add.reduceat(np.stack([known, x, y, x * x, y * y, x * y]), edges[:-1], axis=1)  # (6, blocks)
        whole = blocks.sum(axis=1, keepdims=True)
        n, sx, sy, sxx, syy, sxy = np.concatenate([whole, whole - blocks], axis=1)
        scale = np.maximum(n * sxx - sx * sx, 0) * np.maximum(n * syy - sy * sy, 0)
        enough = (n * _STEP_S > SHORTEST_S / 2) & (scale > 0)
        rows.append(np.where(enough, (n * sxy - sx * sy) / np.sqrt(np.where(enough, scale, 1.0)), -1.0))
    return np.array(rows)


def _standardise(energy: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The energy less its straight line, in its own spreads of those seconds.

    A sensor that warms up makes less and less noise: hence the line. An arm before a dark wall changes the image twice
    as much as the other before a bright one, and the heat just the same: hence the spread of those seconds.
    """
    x = np.arange(len(energy)) / len(energy)
    level = np.where(known, energy - np.polyval(np.polyfit(x[known], energy[known], 1), x), 0.0)
    spread = np.sqrt(_blur(np.square(level), _NEARBY_S) / np.maximum(_blur(known.astype(float), _NEARBY_S), 1e-6))
    return level / np.maximum(spread, max(_QUIET * float(level[known].std()), 1e-12))


def _blur(values: np.ndarray, sigma_s: float) -> np.ndarray:
    """The values of the grid, weighted by a Gaussian about each; beyond the ends as at the ends."""
    reach = round(3 * sigma_s / _STEP_S)
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) * _STEP_S / sigma_s))
    return np.convolve(np.pad(values, reach, mode="edge"), kernel / kernel.sum(), mode="valid")


def _find_rival(correlation: np.ndarray, best: int) -> int | None:
    """The highest lag beyond the valleys to either side of the peak, if it is nearly as high."""
    left = right = best
    while left > 0 and correlation[left - 1] <= correlation[left]:
        left -= 1
    while right < len(correlation) - 1 and correlation[right + 1] <= correlation[right]:
        right += 1
    beyond = np.where((np.arange(len(correlation)) < left) | (np.arange(len(correlation)) > right), correlation, -1.0)
    rival = int(beyond.argmax())
    return rival if beyond[rival] > _RIVAL * correlation[best] else None


def _peak_ms(correlation: np.ndarray) -> float:
    """Where the parabola through the top of the peak is highest."""
    best = int(correlation.argmax().clip(_TOP, len(correlation) - 1 - _TOP))
    around = np.arange(-_TOP, _TOP + 1)
    bend, slope, _ = np.polyfit(around, correlation[best - _TOP : best + _TOP + 1], 2)
    shift = float(np.clip(-slope / (2 * bend), -_TOP, _TOP)) if bend < 0 else 0.0
    return _at(best + shift)


def _at(index: float) -> float:
    """A lag's index as ms."""
    return (index - _SEARCH) * _STEP_S * 1e3
