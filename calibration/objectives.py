"""Plainer scores that a pose can be found by, for comparison with the forward model."""

from functools import partial

import numpy as np

from .authors import authors_score_fit
from .forward import Evidence, Pose
from .geometry import CalibrationError
from .overlap import heat_above_background
from .search import FIELD_RANGE, LEAST_HEAT_INSIDE, SHIFT_REACH

OBJECTIVES = ("forward", "authors", "iou")
FWHM = 1.05  # thermal pixels, of the blur that the mask is given before it is compared
WARMEST_SHARE = 0.98  # quantile of the rise that counts as wholly warm at gain 1
GAIN_RANGE = (0.7, 3.0)
ROUNDS, CROWD = 30, 12  # of differential evolution: generations, members for each parameter


def find_pose(
    objective: str, heatmaps: np.ndarray, masks: np.ndarray, image_size: tuple[int, int], evidence: Evidence
) -> Pose:
    """The pose by one of the plainer scores.

    Args:
        objective: "authors" (see `authors.py`) or "iou".
        heatmaps: (N, R, C) float32, degC.
        masks: (N, h, w) bool or float 0..1.
        image_size: (width, height), px.
        evidence: the same frames.
    """
    if objective == "authors":
        return authors_score_fit(heatmaps, masks, image_size)
    if objective == "iou":
        return soft_iou_fit(evidence, image_size)
    raise CalibrationError(f"no such objective: '{objective}'; it is one of {', '.join(OBJECTIVES)}")


def soft_iou_fit(evidence: Evidence, image_size: tuple[int, int], seed: int = 0) -> Pose:
    """The pose where blurred masks and warmth overlap most, by differential evolution over shift, scale and gain.

    The intersection of two soft regions is the sum of their lesser values, the union that of the greater. Warmth is
    the rise over each pixel's background, in its 98th percentile, times the gain, cut at 1.

    Args:
        evidence: N frames.
        image_size: (width, height), px.
        seed: of the evolution.
    """
    from scipy.optimize import differential_evolution

    width, height = image_size
    whole = evidence.merge_zones()
    rise = np.maximum(heat_above_background(evidence.heat, evidence.group), 0)
    warm = rise / max(float(np.quantile(rise.max(axis=(1, 2)), WARMEST_SHARE)), 1e-6)
    total = float(warm.sum())
    rows, columns = evidence.grid
    scales = width * np.array(FIELD_RANGE) / np.sqrt(rows * columns)
    bounds = [
        (width * (0.5 - SHIFT_REACH), width * (0.5 + SHIFT_REACH)),
        (height * (0.5 - SHIFT_REACH), height * (0.5 + SHIFT_REACH)),
        (float(np.log(scales[0])), float(np.log(scales[1]))),
        GAIN_RANGE,
    ]

    def loss(theta: np.ndarray) -> float:
        optics = whole.optics(Pose(theta[0], theta[1], float(np.exp(theta[2]))), FWHM)
        seen, counts = whole.see(optics)[:, 0], optics.counts
        if float((warm * counts).sum()) < LEAST_HEAT_INSIDE * total:
            return 0.0
        hot = np.minimum(theta[3] * warm, 1)
        least, most = np.minimum(seen, hot), np.maximum(seen, hot)
        return -float((least * counts).sum() / max(float((most * counts).sum()), 1e-9))

    # Before scipy 1.15 the seed had that name alone, and its stubs have forgotten it
    evolve = partial(differential_evolution, seed=seed)  # pyright: ignore[reportCallIssue]
    found = evolve(loss, bounds, maxiter=ROUNDS, popsize=CROWD, tol=1e-6, polish=False)
    return Pose(float(found.x[0]), float(found.x[1]), float(np.exp(found.x[2])))
