"""Figures that a verdict and a report rest on, from a fit that is made."""

from dataclasses import replace

import numpy as np

from .forward import Evidence, Explained, Pose, explain
from .inputs import Inputs
from .overlap import heat_above_background

WARM_C, WARM_PIXELS = 2.0, 4  # a person at 4 m, in a coat, is more
CUT_SHARE = 0.5  # of the frames with someone: more is said


def spread_of(poses: tuple[Pose, ...]) -> tuple[float, float, float]:
    """Half of what lies between the outermost poses: tx, ty, s in px."""
    tx, ty, s = np.ptp([(pose.tx, pose.ty, pose.s) for pose in poses], axis=0) / 2
    return float(tx), float(ty), float(s)


def map_residual(explained: Explained, weight: np.ndarray) -> np.ndarray:
    """(R, C) rms over the frames of what is left, degC; NaN where the pixel does not count."""
    share = weight / max(float(weight.sum()), 1e-12)
    left = np.sqrt(np.einsum("n,nij->ij", share, explained.residual.astype(np.float64) ** 2))
    return np.where(explained.counts > 0, left, np.nan)


def profile_scale(evidence: Evidence, pose: Pose, fwhm: float) -> np.ndarray:
    """(n, 2): s about the fitted one, px, and r2 there; shift, footprint and the pixels that count stand still."""
    counts = evidence.optics(pose, fwhm).counts
    scales = pose.s * np.geomspace(0.8, 1.25, 17)
    return np.array([(s, explain(evidence, replace(pose, s=float(s)), fwhm, counts).r2) for s in scales])


def halves_apart(halves: tuple[Pose, Pose], sd: tuple[float, float, float]) -> float:
    """The largest difference of tx, ty or s between two halves, in its own standard deviations.

    Either half has twice the whole's variance, so their difference has four times it.
    """
    apart = np.abs(np.array([getattr(halves[0], name) - getattr(halves[1], name) for name in ("tx", "ty", "s")]))
    return float((apart / (2 * np.array(sd))).max())


def share_missing(given: Inputs, clip: np.ndarray) -> float:
    """Of the frames with clear warmth, the share whose mask is empty."""
    rise = heat_above_background(given.heatmaps, clip)
    pixels = WARM_PIXELS * rise.shape[1] * rise.shape[2] / 64
    warm = ((rise > WARM_C).sum(axis=(1, 2)) >= pixels) & given.usable
    return float((warm & ~given.occupied).sum() / max(warm.sum(), 1))


def wandered(whole: np.ndarray, cell_px: tuple[float, float], s: float) -> float:
    """How far the middle of the people wandered, thermal pixels: the wider of both ways, the outer tenths left out."""
    total = whole.sum(axis=(1, 2))
    x = whole.sum(axis=1) @ np.arange(whole.shape[2]) / total * cell_px[0]
    y = whole.sum(axis=2) @ np.arange(whole.shape[1]) / total * cell_px[1]
    return max(float(np.ptp(np.quantile(place, [0.1, 0.9]))) for place in (x, y)) / s


def note_cut(cut: dict[str, float]) -> list[str]:
    """What to say of people whom the picture's edges cut. No reason to warn: on the twin at 1 m it cost nothing."""
    said = []
    if cut["foot"] > CUT_SHARE:
        said.append(f"the lower edge cuts people in {cut['foot']:.0%} of the frames: ty rests on heads and shoulders")
    if cut["sides"] > CUT_SHARE:
        said.append(
            f"a side or the top cuts people in {cut['sides']:.0%} of the frames: step back to show more of them"
        )
    return said
