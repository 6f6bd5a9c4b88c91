"""What a ridge regression finds: heat in the codes, where it should not be, and clothing in the heat, where it is.

Each half of the clips is told by what the other taught, so that a clip is never recognised as itself.
"""

from collections.abc import Callable

import numpy as np

from ..dataset.loading import PairSet
from .bounds import Bounded
from .measures import shuffle_within
from .reconstruction import interval_over_clips

PROBED = 2000  # frames, of all clips
RIDGES = (0.01, 0.1, 1.0, 10.0)  # times the number of frames; the one that finds most counts


def probe_code(pairs: PairSet, code: Callable[[np.ndarray], np.ndarray], seed: int) -> Bounded | None:
    """How much of a clip's changes of heat a linear look at its codes finds: R^2; None with one clip.

    Args:
        pairs: of one split.
        code: (n,) indices of pairs -> (n, z) float32.
        seed: of the frames.
    """
    if len(np.unique(pairs.clip)) < 2:
        return None
    frames = np.sort(np.random.default_rng(seed).permutation(len(pairs))[:PROBED])
    clip = pairs.clip[frames]
    heat = pairs.heatmaps[frames].reshape(len(frames), -1).astype(np.float64)
    codes = code(frames).astype(np.float64)
    rows, columns = pairs.heatmaps.shape[1:]
    images = pairs.images[frames].reshape(len(frames), rows, 8, columns, 8, 3).mean(axis=(2, 4))
    changes = np.empty_like(images)  # of a cell's colour from the clip's usual one: shirts are brighter or darker
    for one in np.unique(clip):
        changes[clip == one] = np.abs(images[clip == one] - np.median(images[clip == one], axis=0))
    found, total = _explained(codes, heat, clip)
    low, high = interval_over_clips(found, seed, total)

    def of(x: np.ndarray) -> float:
        return float(np.average(_explained(x, heat, clip)[0], weights=total))

    return Bounded(
        float(np.average(found, weights=total)),
        low,
        high,
        of(changes.reshape(len(frames), -1)),
        of(codes[shuffle_within(clip, seed)]),
    )


def probe_clothing(pairs: PairSet, seed: int) -> float | None:
    """Share of heatmaps of people whose clothing a ridge regression tells from the heat alone, in clips it never saw.

    Cloth lets heat through in its own way, and a person warms up over a day of recordings: data in which heat tells
    the shirt lets a generator take the shirt from the heat, whatever its source wears.

    Returns:
        0 to 1, the best of RIDGES; None where there are not two clips of each of two labels.
    """
    rng = np.random.default_rng(seed)
    worn = np.flatnonzero((pairs.clothing >= 0) & (pairs.occupants > 0))
    frames = np.sort(rng.permutation(worn)[:PROBED])
    label, clip = pairs.clothing[frames], pairs.clip[frames]
    second = np.zeros(len(frames), bool)  # every label's clips are dealt to both halves
    known = []
    for one in np.unique(label):
        clips = rng.permutation(np.unique(clip[label == one]))
        if len(clips) > 1:
            known.append(one)
        second |= np.isin(clip, clips[::2]) & (label == one)
    usable = np.isin(label, known)
    if len(known) < 2:
        return None
    label, second = label[usable], second[usable]
    heat = pairs.heatmaps[frames[usable]].reshape(usable.sum(), -1).astype(np.float64)
    heat -= np.median(heat, axis=1, keepdims=True)  # how warm a room was is no clothing
    x = np.concatenate([heat, np.sort(heat, axis=1)], axis=1)  # where the warmth is, and how much of it
    y = (label[:, None] == np.array(known)) - 1 / len(known)
    best = 0.0
    for ridge in RIDGES:
        right = np.zeros(len(x), bool)
        for told in (second, ~second):
            centre, scale = x[~told].mean(axis=0), x[~told].std(axis=0) + 1e-6
            told_as = _ridge((x[~told] - centre) / scale, y[~told], ridge, (x[told] - centre) / scale)
            right[told] = np.array(known)[told_as.argmax(axis=1)] == label[told]
        best = max(best, float(right.mean()))
    return best


def _explained(x: np.ndarray, y: np.ndarray, clip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R^2 (clips,) of a ridge regression y = x W about each clip's mean, and the y^2 (clips,) that it is a share of.

    A clip in which nothing changes is left out.
    """
    x, y = _about_mean(x, clip), _about_mean(y, clip)
    clips = np.unique(clip)
    totals = np.array([(y[clip == one] ** 2).sum() for one in clips])
    best = np.full(len(clips), -np.inf)
    for ridge in RIDGES:
        left = np.zeros_like(y)
        for half in (clips[::2], clips[1::2]):
            told = np.isin(clip, half)
            scale = max(x[~told].std(), 1e-9)  # one scale: what never changed in one half may change in the other
            left[told] = y[told] - _ridge(x[~told] / scale, y[~told], ridge, x[told] / scale)
        found = 1 - np.array([(left[clip == one] ** 2).sum() for one in clips]) / np.maximum(totals, 1e-12)
        if (found * totals).sum() > (best * totals).sum():
            best = found
    return best[totals > 0], totals[totals > 0]


def _ridge(x: np.ndarray, y: np.ndarray, ridge: float, asked: np.ndarray) -> np.ndarray:
    """y = x W, learned from (n, d) x and (n, k) y, for (m, d) asked."""
    gram = x.T @ x + ridge * len(x) * np.eye(x.shape[1])
    return asked @ np.linalg.solve(gram, x.T @ y)


def _about_mean(values: np.ndarray, clip: np.ndarray) -> np.ndarray:
    """(n, d) minus the mean of each clip."""
    centred = values.astype(np.float64)
    for one in np.unique(clip):
        centred[clip == one] -= centred[clip == one].mean(axis=0)
    return centred
