"""Which frames are worth a mask: masks are dear, and a person standing still says everything once."""

import numpy as np

from .overlap import heat_above_background

EMPTY_SHARE = 0.06  # of the frames chosen, without anyone: they settle the background
SOMEONE_C = 1.5  # rise of the warmest pixels that means someone is there
NOISE_C = 0.5  # rise that may be nobody's
# How far apart frames are, in thermal pixels, for what is not a place:
CLIPS_APART = 1.0  # the same place in another clip: every clip has its own background
RECORDING_APART = 1.0  # the same place at the other end of a clip: the room's temperature wanders
NEAR = 0.5  # thermal pixels within which a frame of someone moving stands for one of someone still
STEPS = 3  # heatmaps before and after that movement is measured between: 0.6 s


def choose_frames(heatmaps: np.ndarray, count: int, clip: np.ndarray | None = None) -> np.ndarray:
    """Indices of frames to segment: people everywhere they went, near and far, and a few frames without anyone.

    Each frame chosen is the one least like those chosen before (Gonzalez 1985), by where the warmth is and how far it
    spreads, or, if somebody moves more in a frame almost like it, that one. So no place visited is further from a
    chosen frame than twice what is the least possible, and two chosen frames are alike only when no others are left.

    Args:
        heatmaps: (N, R, C) float32, degC, in order of time.
        count: how many to choose; all are taken when there are no more.
        clip: (N,) int, the clip of each; one clip if None.

    Returns:
        (min(count, N),) int64, rising.
    """
    number = len(heatmaps)
    if number <= count:
        return np.arange(number)
    clip = np.zeros(number, dtype=np.int64) if clip is None else np.asarray(clip)
    rise = np.maximum(heat_above_background(heatmaps, clip) - NOISE_C, 0)
    strongest = np.sort(rise.reshape(number, -1), axis=1)[:, -3]
    someone = strongest > SOMEONE_C
    empty = _far_first(np.flatnonzero(~someone))[: max(1, round(EMPTY_SHARE * count))]
    people = np.flatnonzero(someone)
    spread = _spread_out(_describe(rise, clip)[people], _measure_movement(heatmaps, clip)[people], count - len(empty))
    chosen = empty + list(people[spread])
    rest = _far_first(np.setdiff1d(np.arange(number), chosen))  # nobody much about: fill up evenly
    return np.sort(np.array((chosen + rest)[:count], dtype=np.int64))


def _describe(rise: np.ndarray, clip: np.ndarray) -> np.ndarray:
    """(N, D) float64, thermal pixels: frames that would tell the same lie near each other."""
    total = np.maximum(rise.sum(axis=(1, 2)), 1e-6)
    rows, columns = np.arange(rise.shape[1]), np.arange(rise.shape[2])
    x = np.einsum("nij,j->n", rise, columns) / total
    y = np.einsum("nij,i->n", rise, rows) / total
    off_x, off_y = columns - x[:, None], rows - y[:, None]
    # Width and height, as of a box with that spread: near or far, arms out, one person or two.
    width = np.sqrt(12 * np.einsum("nij,nj->n", rise, off_x**2) / total)
    height = np.sqrt(12 * np.einsum("nij,ni->n", rise, off_y**2) / total)
    when = RECORDING_APART * np.arange(len(rise)) / len(rise)
    which = CLIPS_APART / np.sqrt(2) * (clip[:, None] == np.unique(clip))
    return np.column_stack([x, y, width, height, when, which])


def _measure_movement(heatmaps: np.ndarray, clip: np.ndarray) -> np.ndarray:
    """(N,) float32, degC: how much the heatmap changes from shortly before each frame to shortly after."""
    frames = np.arange(len(heatmaps))
    movement = np.zeros(len(heatmaps), dtype=np.float32)
    for one in np.unique(clip):
        here = frames[clip == one]
        place = np.arange(len(here))
        before, after = here[np.maximum(place - STEPS, 0)], here[np.minimum(place + STEPS, len(here) - 1)]
        movement[here] = np.sqrt(((heatmaps[after] - heatmaps[before]) ** 2).mean(axis=(1, 2)))
    return movement


def _spread_out(points: np.ndarray, movement: np.ndarray, count: int) -> np.ndarray:
    """Indices of `count` points, all if there are no more, that lie as far from each other as can be."""
    if len(points) <= count:
        return np.arange(len(points))
    chosen: list[int] = []
    apart = np.full(len(points), np.inf)  # from the nearest point chosen
    farthest = int(np.argmax(movement))
    while len(chosen) < count:
        # Half the way to the nearest chosen, at most: two chosen ones never come nearer than that.
        like = np.linalg.norm(points - points[farthest], axis=1) < min(NEAR, apart[farthest] / 2)
        like[farthest] = True
        best = int(np.flatnonzero(like)[np.argmax(movement[like])])
        chosen.append(best)
        apart = np.minimum(apart, np.linalg.norm(points - points[best], axis=1))
        apart[chosen] = -1
        farthest = int(np.argmax(apart))
    return np.array(chosen)


def _far_first(frames: np.ndarray) -> list[int]:
    """The frames in an order whose every beginning is spread out over them (van der Corput's)."""
    bits = max(1, int(len(frames) - 1).bit_length())
    order = [int(format(position, f"0{bits}b")[::-1], 2) for position in range(1 << bits)]
    return [int(frames[position]) for position in order if position < len(frames)]
