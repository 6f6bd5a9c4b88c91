"""What a fit is worth on frames it has not seen: halves of a recording, and whether a lens term earns its keep."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .forward import Evidence, Pose, explain, foretell

FEWEST_IN_HALF = 10  # frames; a half with fewer says nothing
FEWEST_BLOCKS = 8  # below this the gain of a lens term cannot be told from chance
# Standard errors, over blocks of seconds, by which a free lens term must raise the held-out r2 over a known one, and
# the least bend between the two at the edge. Of 60 simulated rigs, all of a known kind, one gained more than 3.
GAIN_NOISE, LEAST_BEND = 3.0, 0.02
# The same, by which pixels of equal angles must explain the frames better than pixels of one size: 15 simulated rigs of
# either kind had 1.1 to 5.1 and -6.1 to -2.5, the twin, of one size, -1.4 to 0.2 of few frames.
ANGLES_NOISE = 0.5

Locate = Callable[[np.ndarray, Evidence], tuple[Pose, float]]  # (N,) bool and those frames -> pose, footprint


@dataclass(frozen=True, eq=False)
class Halves:
    """Two fits, each of every other block of seconds, and how each explains the other's frames.

    Attributes:
        poses, fwhm: of the two.
        left, had: (N,) float64, degC^2: squares of each frame that the other half's fit leaves, and that there were.
        own: (N,) float64, degC^2: the same left once the frame's own temperatures have won back what they may.
    """

    poses: tuple[Pose, Pose]
    fwhm: tuple[float, float]
    left: np.ndarray
    had: np.ndarray
    own: np.ndarray

    @property
    def r2(self) -> float:
        """Share of the heat's variance explained in frames that were kept out of the fit; below 0 when misled."""
        return float(1 - self.left.sum() / max(self.had.sum(), 1e-12))


def fit_halves(
    evidence: Evidence, whole: tuple[Pose, float], second: np.ndarray, counts: np.ndarray, locate: Locate
) -> Halves:
    """Fit either half, and score it on the other.

    Args:
        evidence: N frames.
        whole: pose and footprint from all of them; stands in for a half that holds nobody or nothing.
        second: (N,) bool, which frames are of the second half.
        counts: (R, C), how far each pixel counts in the score.
        locate: the fit.
    """
    left, had, own = np.zeros((3, len(evidence.heat)))
    found = []
    for half in (~second, second):
        part = evidence.select(half)
        someone = len(part.heat) >= FEWEST_IN_HALF and part.zones.any()
        pose, fwhm = locate(half, part) if someone else whole
        found.append((pose, fwhm))
        zone_c = explain(part if someone else evidence, pose, fwhm, counts).zone_c
        other = foretell(evidence.select(~half), pose, fwhm, zone_c, counts)
        left[~half], had[~half], own[~half] = other
    return Halves((found[0][0], found[1][0]), (found[0][1], found[1][1]), left, had, own)


def weigh_gain(without: np.ndarray, with_it: np.ndarray, blocks: np.ndarray) -> float:
    """By how many standard errors a lens term leaves less of the frames; the errors over blocks.

    Args:
        without, with_it: (N,) degC^2, squares that are left of each frame.
        blocks: (N,) int, 0..B-1; 0 comes back where they are too few to tell.
    """
    gain = np.bincount(blocks, without - with_it)
    if len(gain) < FEWEST_BLOCKS:
        return 0.0
    return float(gain.sum() / max(np.sqrt(len(gain)) * gain.std(ddof=1), 1e-12))
