"""Which frames are worth a mask: masks are dear, and a person standing still says everything once."""

import numpy as np

from .geometry import GRID
from .overlap import heat_above_background

EMPTY_SHARE = 0.06  # of the frames chosen, without anyone: they settle the background
SOMEONE_C = 1.5  # rise of the warmest pixels that means someone is there
PLACES = 12  # cells along either side of the field, for telling places apart


def choose_frames(heatmaps: np.ndarray, count: int, clip: np.ndarray | None = None) -> np.ndarray:
    """Indices of frames to segment: people everywhere they went, near and far, and a few frames without anyone.

    Frames are sorted into kinds by where the warmth is and how much of the field it fills; each kind gives one frame
    in turn, at times as far apart as it has.

    Args:
        heatmaps: (N, 8, 8) float32, degC, in order of time.
        count: how many to choose; all are taken when there are no more.
        clip: (N,) int, the clip of each; one clip if None.

    Returns:
        (min(count, N),) int64, rising.
    """
    number = len(heatmaps)
    if number <= count:
        return np.arange(number)
    rise = np.maximum(heat_above_background(heatmaps, clip) - 0.5, 0)
    total = rise.sum(axis=(1, 2))
    strongest = np.sort(rise.reshape(number, -1), axis=1)[:, -3]
    someone = strongest > SOMEONE_C
    places = np.arange(GRID)
    x = np.einsum("nij,j->n", rise, places) / np.maximum(total, 1e-6)
    y = np.einsum("nij,i->n", rise, places) / np.maximum(total, 1e-6)
    size = np.sqrt((rise > 0.5 * rise.max(axis=(1, 2), keepdims=True)).sum(axis=(1, 2)))
    kind = np.stack([np.floor(x / GRID * PLACES), np.floor(y / GRID * PLACES), np.floor(size)], axis=1)
    empty = _in_turn([_far_first(np.flatnonzero(~someone))])[: max(1, round(EMPTY_SHARE * count))]
    kinds = np.unique(kind[someone], axis=0, return_inverse=True)[1].reshape(-1) if someone.any() else np.zeros(0)
    members = [_far_first(np.flatnonzero(someone)[kinds == one]) for one in np.unique(kinds)]
    chosen = (empty + _in_turn(members))[:count]
    rest = _far_first(np.setdiff1d(np.arange(number), chosen))  # nobody much about: fill up evenly
    return np.sort(np.array((chosen + list(rest))[:count], dtype=np.int64))


def _far_first(frames: np.ndarray) -> list[int]:
    """The frames in an order whose every beginning is spread out over them (van der Corput's)."""
    bits = max(1, int(len(frames) - 1).bit_length())
    order = [int(format(position, f"0{bits}b")[::-1], 2) for position in range(1 << bits)]
    return [int(frames[position]) for position in order if position < len(frames)]


def _in_turn(members: list[list[int]]) -> list[int]:
    """One of each kind, then a second of each, until all are taken."""
    longest = max((len(kind) for kind in members), default=0)
    return [kind[turn] for turn in range(longest) for kind in members if turn < len(kind)]
