"""How what the sensor would read changes as its pose does.

A footprint is a row's weights times a column's, so each slope is the same two products with one of them replaced by
its derivative. A fit that follows them needs 5 to 10 readings of the model where a simplex took 80 to 200.
"""

import numpy as np

from .forward import FWHM_TO_SIGMA, Evidence, Pose
from .geometry import bend, centred

SLOPES = (
    "tx",
    "ty",
    "ln s",
    "ln fwhm",
    "bend",
)  # in thermal pixels, thermal pixels, 1, 1, share of the edge's distance


def find_slopes(evidence: Evidence, pose: Pose, fwhm: float, zone_c: np.ndarray) -> np.ndarray:
    """What each thermal pixel gains as each parameter does, the zones' temperatures held still.

    Args:
        evidence: N frames.
        pose, fwhm: where, see `forward.lay_footprints`.
        zone_c: (N, K) degC, how much warmer each zone is than what it hides.

    Returns:
        (N, 5, R, C) float32, degC for one unit of each of `SLOPES`: tx and ty in thermal pixels at the sensor's
        centre; the lens term as the share by which the edge of the field moves outwards.
    """
    (height, width), count = evidence.grid, len(evidence.zones)
    cells = evidence.zones.shape[2]
    edge = max(evidence.grid) / 2
    down = _slope_footprints(height, cells, evidence.cell_px[1], pose.ty, pose, fwhm, edge)
    across = _slope_footprints(width, evidence.zones.shape[3], evidence.cell_px[0], pose.tx, pose, fwhm, edge)
    place, warmth = evidence.mix(zone_c)
    narrow = np.zeros((cells * count, 5 * width), dtype=np.float32)
    narrow[place] = warmth @ across.reshape(5 * width, -1).T
    narrow = narrow.reshape(cells, count, 5, width)
    first = np.ascontiguousarray(narrow[:, :, 0]).reshape(cells, -1)
    by_row = (down.reshape(5 * height, -1) @ first).reshape(5, height, count, width)
    by_column = (down[0] @ narrow[:, :, 1:].reshape(cells, -1)).reshape(height, count, 4, width)
    slopes = np.empty((count, 5, height, width), dtype=np.float32)
    slopes[:, 0] = by_column[:, :, 0].transpose(1, 0, 2)
    slopes[:, 1] = by_row[1].transpose(1, 0, 2)
    slopes[:, 2:] = (by_column[:, :, 1:] + by_row[2:].transpose(1, 2, 0, 3)).transpose(1, 2, 0, 3)
    return slopes


def _slope_footprints(
    count: int, cells: int, size: float, centre: float, pose: Pose, fwhm: float, edge: float
) -> np.ndarray:
    """(5, count, cells) float32: the weights along one side of the sensor, then their slopes in shift, s, fwhm, bend.

    The derivative of a weight is the weight times that of its logarithm, less the mean of this over the row, since the
    weights keep their sum.
    """
    u = centred(count)
    wider = 1 + 3 * pose.lens_k * u * u
    sigma = fwhm * FWHM_TO_SIGMA * pose.s * wider / size
    offsets = (np.arange(cells) + 0.5 - ((centre + pose.s * bend(u, pose.lens_k)) / size)[:, None]) / sigma[:, None]
    weights = np.exp(-0.5 * offsets**2)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    nothing, one = np.zeros(count), np.ones(count)
    moves = (  # of the centre, in cells, and of ln sigma
        (one * pose.s / size, nothing),
        (pose.s * bend(u, pose.lens_k) / size, one),
        (nothing, one),
        (pose.s * u**3 / size / edge**2, 3 * u * u / wider / edge**2),
    )
    laid = [weights]
    for moved, widened in moves:
        logarithm = offsets * (moved / sigma)[:, None] + offsets**2 * widened[:, None]
        laid.append(weights * (logarithm - (weights * logarithm).sum(axis=1, keepdims=True)))
    return np.stack(laid).astype(np.float32)
