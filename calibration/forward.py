"""What the sensor would read, given masks and a pose: the model that the fit compares with the heat.

    T_ij(t) = b_ij + e(t) + sum_k a_k P_kij(t) + noise

P_kij(t) is the share of pixel (i, j)'s Gaussian footprint that body zone k covers in frame t; a_k how much warmer the
zone is than what it hides; b_ij the background of a clip as that pixel sees it, fixed pattern included; e(t) the level
of the room in that frame. b, e and a follow in closed form from the pose, so that only the pose is searched.
"""

from dataclasses import dataclass

import numpy as np

from .geometry import GRID

FWHM_TO_SIGMA = 1 / 2.3548


@dataclass(frozen=True)
class Pose:
    """Where the sensor lies in the image: (tx, ty) its centre and s one thermal pixel, px of the recorded image."""

    tx: float
    ty: float
    s: float


def guess_pose(image_size: tuple[int, int]) -> Pose:
    """The pose of a rig nobody calibrated: sensor centred, a camera of 66 degrees (Camera Module 3) across.

    A thermal pixel is 7.5 degrees wide (AMG8833 datasheet: 60 degrees over 8 pixels).
    """
    width, height = image_size
    focal_px = width / 2 / np.tan(np.radians(66) / 2)
    return Pose(width / 2, height / 2, float(focal_px * np.tan(np.radians(60 / GRID))))


@dataclass(frozen=True, eq=False)
class Evidence:
    """Heat and zones of the frames that a fit rests on.

    Attributes:
        heat: (N, 8, 8) float32, degC.
        zones: (N, K, rows, columns) float32, 0..1, share of each cell.
        group: (N,) int, 0..G-1: frames that share one background (a clip, or a state of the light).
        weight: (N,) float, 0..1: how far a frame is trusted.
        cell_px: (width, height) of one cell, px of the recorded image.
    """

    heat: np.ndarray
    zones: np.ndarray
    group: np.ndarray
    weight: np.ndarray
    cell_px: tuple[float, float]

    def select(self, chosen: np.ndarray) -> "Evidence":
        """The same for some frames; groups keep their numbers."""
        return Evidence(self.heat[chosen], self.zones[chosen], self.group[chosen], self.weight[chosen], self.cell_px)


def footprints(centres: np.ndarray, sigma: float, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian weights of cells in a row, and how much of each footprint lies within the row.

    Args:
        centres: (...,) centres of the footprints, in cells from the row's edge.
        sigma: of the Gaussian, in cells; 1 or more.
        cells: length of the row.

    Returns:
        (..., cells) float32, summing to 1 over the row; (...,) float32 share inside, 0..1.
    """
    offsets = (np.arange(cells) + 0.5 - np.asarray(centres)[..., None]) / sigma
    weights = np.exp(-0.5 * offsets**2)
    total = weights.sum(axis=-1, keepdims=True)
    share = total[..., 0] / (sigma * np.sqrt(2 * np.pi))
    return (weights / np.maximum(total, 1e-12)).astype(np.float32), np.minimum(share, 1).astype(np.float32)


def trust(share: np.ndarray) -> np.ndarray:
    """How far a pixel counts whose footprint lies in the image to that share: 0 below 0.55, 1 above 0.9.

    Smooth, so that a pixel that slides out of the picture does not jerk the score.
    """
    ramp = np.clip((share - 0.55) / 0.35, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def see(zones: np.ndarray, cell_px: tuple[float, float], pose: Pose, fwhm: float) -> tuple[np.ndarray, np.ndarray]:
    """What each thermal pixel sees of each zone.

    Args:
        zones: (N, K, rows, columns) float32.
        cell_px: size of a cell, px.
        pose: where the sensor lies.
        fwhm: full width of a pixel's footprint at half its height, in thermal pixels.

    Returns:
        (N, K, 8, 8) float32, 0..1; (8, 8) float32, how far each pixel counts.
    """
    rows, columns = zones.shape[-2:]
    steps = pose.s * (np.arange(GRID) - (GRID - 1) / 2)
    sigma = fwhm * FWHM_TO_SIGMA * pose.s
    across, share_x = footprints((pose.tx + steps) / cell_px[0], sigma / cell_px[0], columns)
    down, share_y = footprints((pose.ty + steps) / cell_px[1], sigma / cell_px[1], rows)
    seen = down @ (zones.reshape(-1, columns) @ across.T).reshape(*zones.shape[:3], GRID)
    return seen, (trust(share_y)[:, None] * trust(share_x)[None, :]).astype(np.float32)


def remove_levels(values: np.ndarray, evidence: Evidence, counts: np.ndarray) -> np.ndarray:
    """Values less what a background per group and pixel, and a level per frame, explain of them.

    Weighted by `counts` over pixels and by the evidence's weights over frames; exact in one pass, since the weights
    are a product.

    Args:
        values: (N, ..., 8, 8).
        evidence: whose groups and weights to use.
        counts: (8, 8), how far each pixel counts.
    """
    share = counts / max(float(counts.sum()), 1e-12)
    values = values - np.einsum("n...ij,ij->n...", values, share)[..., None, None]
    flat = values.reshape(len(values), -1)
    member = (evidence.group[None, :] == np.unique(evidence.group)[:, None]) * evidence.weight[None, :]
    member = (member / np.maximum(member.sum(axis=1, keepdims=True), 1e-12)).astype(np.float32)
    background = member @ flat
    return (flat - background[np.unique(evidence.group, return_inverse=True)[1]]).reshape(values.shape)


@dataclass(frozen=True, eq=False)
class Explained:
    """How well a pose explains the heat.

    Attributes:
        r2: share of the heat's variance that the masks explain, 0..1.
        zone_c: (K,) degC, how much warmer each zone is than what it hides.
        residual: (N, 8, 8) float32, degC, what is left.
        seen: (N, K, 8, 8) float32, what the pixels see of the zones, levels removed.
        counts: (8, 8), how far each pixel counted.
    """

    r2: float
    zone_c: np.ndarray
    residual: np.ndarray
    seen: np.ndarray
    counts: np.ndarray


def explain(evidence: Evidence, pose: Pose, fwhm: float, counts: np.ndarray | None = None) -> Explained:
    """Solve background, levels and zone temperatures at one pose, by weighted least squares.

    Args:
        evidence: N frames.
        pose, fwhm: the sensor's place and its footprint, in thermal pixels.
        counts: (8, 8) to hold the pixels' weights still while a pose is refined; found from the pose if None.
    """
    seen, own_counts = see(evidence.zones, evidence.cell_px, pose, fwhm)
    counts = own_counts if counts is None else counts
    seen = remove_levels(seen, evidence, counts)
    heat = remove_levels(evidence.heat, evidence, counts)
    root = np.sqrt(evidence.weight[:, None] * counts.reshape(1, -1)).astype(np.float32)
    y = (heat.reshape(len(heat), -1) * root).reshape(-1)
    x = (seen.reshape(*seen.shape[:2], -1) * root[:, None]).transpose(1, 0, 2).reshape(seen.shape[1], -1)
    zone_c = solve_zones((x @ x.T).astype(np.float64), (x @ y).astype(np.float64))
    residual = heat - np.einsum("nkij,k->nij", seen, zone_c.astype(np.float32))
    left = float((((residual.reshape(len(heat), -1)) * root) ** 2).sum())
    return Explained(1 - left / max(float(y @ y), 1e-12), zone_c, residual, seen, counts)


def solve_zones(V: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Zone temperatures a of V a = m, drawn faintly towards each other.

    The pull is worth a few pixels' evidence: it settles a zone that was hardly seen and moves no other.

    Args:
        V: (..., K, K); m: (..., K).
    """
    K = V.shape[-1]
    pull = np.eye(K) - 1 / K + 1e-3 * np.eye(K)
    scale = np.trace(V, axis1=-2, axis2=-1)[..., None, None] * 1e-4 + 1e-9
    return np.linalg.solve(V + scale * pull, m[..., None])[..., 0]
