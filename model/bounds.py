"""A figure between its ceiling and its floor: what says whether a number is good, when nobody has published one."""

from dataclasses import dataclass

import numpy as np

from .reconstruction import interval_over_clips


@dataclass(frozen=True)
class Bounded:
    """A figure between what real pictures give and what chance gives.

    Attributes:
        value: of the drawn pictures, mean over clips.
        low, high: its 95 % interval for other clips like these (bootstrap over clips); None where there is one.
        real: of real pictures with what belongs to them.
        shuffled: of pictures with what belongs to others.
    """

    value: float
    low: float | None
    high: float | None
    real: float
    shuffled: float


def bounded(values: np.ndarray, clip: np.ndarray, real: float, shuffled: float, seed: int) -> Bounded:
    """Mean of the values of pictures, its interval over the clips that they belong to.

    Args:
        values: (n,) float.
        clip: (n,) int, the clip of each; those of a grid's pictures are their sources'.
        real, shuffled: the bounds.
        seed: of the interval.
    """
    of_clips = np.array([values[clip == one].mean() for one in np.unique(clip)])
    low, high = interval_over_clips(of_clips, seed)
    return Bounded(float(of_clips.mean()), low, high, real, shuffled)
