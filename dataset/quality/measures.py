"""What a clip's numbers say of it: how evenly its streams came, which pixels are dead, where somebody warm is.

Plain functions on arrays; judges.py holds what they find against the rules.
"""

from dataclasses import dataclass

import cv2
import numpy as np

_WINDOW = 300  # heatmaps, 30 s: within it a room keeps its warmth and a body does not keep its place
_QUARTER = 25  # per cent: below it a pixel shows the room, even with somebody before it half of the time
_LIVELY_C = 1.0  # standard deviation of a pixel's surroundings above which it has to follow; noise alone is 0.1
_IDLE, _ALONE = (
    0.3,
    0.2,
)  # of that deviation, and correlation: below both it does not; a good one has 0.33 and 0.6 at least
_LEAST_LAGS = 10  # heatmaps in each of the two quarters that are compared
_LOOK_WIDTH = 80  # px: the published pictures are 64 wide, and a blur that they do not show is none
_WHITE = 250  # of 255


@dataclass(frozen=True)
class Pace:
    """How evenly a stream came.

    Attributes:
        period_ms: usual distance of two frames; 0 of fewer than two.
        gaps: places where the distance is more than `gap` periods.
        longest_ms: longest distance.
        missing: share of the frames due within the clip that are not there, 0..1, lost at its ends too.
        backwards: frames that are no later than the one before, or later and counted before it.
    """

    period_ms: float = 0.0
    gaps: int = 0
    longest_ms: float = 0.0
    missing: float = 1.0
    backwards: int = 0


def measure_pace(times_ns: np.ndarray, sequence: np.ndarray, span_ns: int, gap: float) -> Pace:
    """How evenly a stream came.

    Args:
        times_ns: (N,) int64, ns, as they ascend or as the frames were counted.
        sequence: (N,) int64, the device's count.
        span_ns: from the clip's first frame of any stream to its last.
        gap: periods above which a distance is a gap.
    """
    if len(times_ns) < 2:
        return Pace()
    distances, counted = np.diff(times_ns), np.diff(sequence)
    period_ns = float(np.median(distances / np.maximum(counted, 1)))
    due = max(span_ns // max(period_ns, 1.0), 1.0)  # without the last one: streams do not begin and end together
    return Pace(
        period_ms=period_ns / 1e6,
        gaps=int((distances > gap * period_ns).sum()),
        longest_ms=float(distances.max()) / 1e6,
        missing=max(0.0, 1 - len(times_ns) / due),
        backwards=int(((distances <= 0) | (counted <= 0)).sum()),
    )


def measure_shift(
    heat_ns: np.ndarray, heat_places: np.ndarray, image_ns: np.ndarray, image_places: np.ndarray
) -> tuple[float, float] | None:
    """How far one stream's stamps move against the other's while the clip lasts.

    Both stand on the rig's one clock, so stamps alone cannot tell; but frames lie in the file in the order in which
    they came. Where a camera's driver stamps by a clock of its own, the image before a heatmap in the file is an ever
    older or younger one. The order is known to one image, so that no less than an image's period can be told.

    Args:
        heat_ns, image_ns: (N,) and (M,) int64, ns.
        heat_places, image_places: likewise, where they stand in the file.

    Returns:
        How much later heat is against the image in the clip's last quarter than in its first, ms, and the seconds
        between the two; None of a clip too short.
    """
    order = np.argsort(image_places)
    came_ns = image_ns[order]
    before = np.searchsorted(image_places[order], heat_places) - 1
    usual_ns = np.median(np.diff(image_ns)) if len(image_ns) > 1 else 0
    known = (before >= 0) & (before < len(came_ns) - 1)
    known[known] = np.abs(np.diff(came_ns))[before[known]] < 2 * usual_ns  # not where the camera was gone
    times_ns, lag_ns = heat_ns[known], heat_ns[known] - came_ns[before[known]]
    quarter = len(times_ns) // 4
    if quarter < _LEAST_LAGS:
        return None
    shift_ns = np.median(lag_ns[-quarter:]) - np.median(lag_ns[:quarter])
    return float(shift_ns / 1e6), float((times_ns[-quarter:].mean() - times_ns[:quarter].mean()) / 1e9)


def find_repeats(heatmaps: np.ndarray) -> np.ndarray:
    """(N,) bool: heatmaps of which all values are those of the one before; noise alone changes some of 64.

    Args:
        heatmaps: (N, 8, 8), in any unit.
    """
    repeats = np.zeros(len(heatmaps), bool)
    repeats[1:] = (heatmaps[1:] == heatmaps[:-1]).all(axis=(1, 2))
    return repeats


def find_dead_pixels(celsius: np.ndarray) -> np.ndarray:
    """(8, 8) bool: pixels that never change, or stay still while all around them somebody passes.

    Args:
        celsius: (N, 8, 8) float32, degC, N >= 1.
    """
    level = celsius - np.median(celsius, axis=(1, 2), keepdims=True)
    around = np.zeros_like(level)
    neighbours = np.zeros(level.shape[1:], np.float32)
    padded, there = np.pad(level, ((0, 0), (1, 1), (1, 1))), np.pad(np.ones(level.shape[1:], np.float32), 1)
    rows, columns = level.shape[1:]
    for down, across in ((down, across) for down in range(3) for across in range(3) if (down, across) != (1, 1)):
        around += padded[:, down : down + rows, across : across + columns]
        neighbours += there[down : down + rows, across : across + columns]
    around /= neighbours
    own, others = level.std(axis=0), around.std(axis=0)
    product = ((level - level.mean(axis=0)) * (around - around.mean(axis=0))).mean(axis=0)
    idle = (others > _LIVELY_C) & (own < _IDLE * others) & (np.abs(product) <= _ALONE * own * others)
    return idle | (np.ptp(celsius, axis=0) == 0)


def measure_drift(values: np.ndarray) -> float:
    """How far a slow quantity wanders: between the extremes of the medians of ten stretches.

    Args:
        values: (N,), N >= 1.
    """
    medians = [np.median(part) for part in np.array_split(values, min(10, len(values)))]
    return float(max(medians) - min(medians))


def find_warmth(celsius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where somebody may be: the warmest two by two pixels of every heatmap, against the rest and against before.

    A body stands out from its surroundings; so does a radiator, which stays where it is. A body that moves is warmth
    where within the same half minute there was none; one that sits still is not.

    Args:
        celsius: (N, 8, 8) float32, degC, N >= 1.

    Returns:
        contrast: (N,) float32, K above the coolest quarter of the heatmap.
        moving: (N,) float32, K above the coolest quarter of the half minute at the same place, the room's own changes
            taken off. In empty rooms of the twin 1.4 and 0.9 at most; a person has 2 to 5.
    """
    squares = (celsius[:, 1:, 1:] + celsius[:, :-1, 1:] + celsius[:, 1:, :-1] + celsius[:, :-1, :-1]) / 4
    contrast = squares.max(axis=(1, 2)) - np.percentile(celsius, _QUARTER, axis=(1, 2))
    level = squares - np.median(celsius, axis=(1, 2))[:, None, None]
    moving = [
        (part - np.percentile(part, _QUARTER, axis=0)).max(axis=(1, 2))
        for part in np.array_split(level, max(1, round(len(level) / _WINDOW)))
    ]
    return contrast.astype(np.float32), np.concatenate(moving).astype(np.float32)


@dataclass(frozen=True)
class Look:
    """What a picture looks like, whoever is in it.

    Attributes:
        bright: brightness below which 95 % of it lie, 0..255.
        white: share of it that is as good as white, 0..1.
        sharp: how much of its contrast is between neighbours, at the size it is published in.
    """

    bright: float
    white: float
    sharp: float


def look_at(gray: np.ndarray) -> Look:
    """What a picture looks like.

    Args:
        gray: (H, W) uint8, best as small as a decoder makes it, and 80 wide or more (`reduction`).
    """
    height, width = gray.shape
    if width > _LOOK_WIDTH:
        size = (_LOOK_WIDTH, max(1, round(height * _LOOK_WIDTH / width)))
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    values = gray.astype(np.float32)
    return Look(
        bright=float(np.percentile(values, 95)),
        white=float((gray >= _WHITE).mean()),
        sharp=float(cv2.Laplacian(values, cv2.CV_32F).var() / max(values.var(), 1.0)),
    )


def reduction(width: int) -> int:
    """How many times smaller a JPEG of this width may be decoded to be looked at: 1, 2, 4 or 8."""
    return max(times for times in (1, 2, 4, 8) if times == 1 or width >= times * _LOOK_WIDTH)
