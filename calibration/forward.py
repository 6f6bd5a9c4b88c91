"""What the sensor would read, given masks and a pose: the model that the fit compares with the heat.

    T_ij(t) = b_ij + e(t) + sum_k a_k P_kij(t) + noise

P_kij(t) is the share of pixel (i, j)'s Gaussian footprint that body zone k covers in frame t; a_k how much warmer the
zone is than what it hides; b_ij the background of a clip as that pixel sees it, fixed pattern included; e(t) the level
of the room in that frame. b, e and a follow in closed form from the pose, so that only the pose is searched.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .geometry import GRID, bend, centred
from .zones import ZONES

PULL = 1e-4
FWHM_TO_SIGMA = 1 / 2.3548


@dataclass(frozen=True)
class Pose:
    """Where the sensor lies in the image.

    Attributes:
        tx, ty: its centre, px of the recorded image.
        s: one thermal pixel at its centre, px.
        lens_k: how the pixels grow outwards, see `geometry`.
    """

    tx: float
    ty: float
    s: float
    lens_k: float = 0.0


def guess_pose(image_size: tuple[int, int], grid: tuple[int, int] = (GRID, GRID)) -> Pose:
    """The pose of a rig nobody calibrated: sensor centred, a camera of 66 degrees (Camera Module 3) across.

    A thermal pixel is 7.5 degrees wide (AMG8833 datasheet: 60 degrees over 8 pixels); one of another grid is taken for
    its share of the same field.
    """
    width, height = image_size
    focal_px = width / 2 / np.tan(np.radians(66) / 2)
    return Pose(width / 2, height / 2, float(focal_px * np.tan(np.radians(60 / max(grid)))))


@dataclass(frozen=True, eq=False)
class Evidence:
    """Heat and zones of the frames that a fit rests on.

    Attributes:
        heat: (N, R, C) float32, degC, of any grid.
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

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of the sensor."""
        return self.heat.shape[1], self.heat.shape[2]

    def optics(self, pose: Pose, fwhm: float) -> "Optics":
        """The footprints at a pose."""
        return lay_footprints((self.zones.shape[2], self.zones.shape[3]), self.cell_px, pose, fwhm, self.grid)

    def see(self, optics: "Optics") -> np.ndarray:
        """(N, K, R, C) float32, 0..1: as the function `see`, twice as fast: most rows of most zones are empty."""
        index, filled = self._filled
        count, K, rows, _ = self.zones.shape
        narrow = np.zeros((rows * count * K, self.grid[1]), dtype=np.float32)
        narrow[index] = filled @ optics.across.T
        seen = optics.down @ narrow.reshape(rows, -1)
        return seen.reshape(self.grid[0], count, K, self.grid[1]).transpose(1, 2, 0, 3)

    @cached_property
    def _filled(self) -> tuple[np.ndarray, np.ndarray]:
        """(F,) which rows of cells hold anything, as (row, frame, zone); (F, columns) those rows."""
        by_row = self.zones.transpose(2, 0, 1, 3)
        row, frame, zone = np.nonzero(by_row.any(axis=-1))
        return (row * len(self.zones) + frame) * self.zones.shape[1] + zone, self.zones[frame, zone, row]

    @cached_property
    def _members(self) -> tuple[np.ndarray, np.ndarray]:
        """(G, N) float32, each frame's share in the mean of its group; (N,) which group a frame is of."""
        groups, inverse = np.unique(self.group, return_inverse=True)
        member = (self.group[None, :] == groups[:, None]) * self.weight[None, :]
        return (member / np.maximum(member.sum(axis=1, keepdims=True), 1e-12)).astype(np.float32), inverse.reshape(-1)

    def select(self, chosen: np.ndarray) -> "Evidence":
        """The same for some frames; groups keep their numbers."""
        return Evidence(self.heat[chosen], self.zones[chosen], self.group[chosen], self.weight[chosen], self.cell_px)


def footprints(centres: np.ndarray, sigma: np.ndarray | float, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian weights of cells in a row, and how much of each footprint lies within the row.

    Args:
        centres: (...,) centres of the footprints, in cells from the row's edge.
        sigma: of the Gaussian, in cells; 1 or more; one, or one for each centre.
        cells: length of the row.

    Returns:
        (..., cells) float32, summing to 1 over the row; (...,) float32 share inside, 0..1.
    """
    width = np.broadcast_to(sigma, np.shape(centres))
    offsets = (np.arange(cells) + 0.5 - np.asarray(centres)[..., None]) / width[..., None]
    weights = np.exp(-0.5 * offsets**2)
    total = weights.sum(axis=-1, keepdims=True)
    share = total[..., 0] / (width * np.sqrt(2 * np.pi))
    return (weights / np.maximum(total, 1e-12)).astype(np.float32), np.minimum(share, 1).astype(np.float32)


def trust(share: np.ndarray) -> np.ndarray:
    """How far a pixel counts whose footprint lies in the image to that share: 0 below 0.55, 1 above 0.9.

    Smooth, so that a pixel that slides out of the picture does not jerk the score.
    """
    ramp = np.clip((share - 0.55) / 0.35, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


@dataclass(frozen=True, eq=False)
class Optics:
    """The footprints of a grid's rows and columns at one pose.

    Attributes:
        down: (R, rows) float32, weights of the cells of a column; across: (C, columns), of a row.
        share_y: (R,), share_x: (C,), how much of each footprint lies in the image, 0..1.
    """

    down: np.ndarray
    across: np.ndarray
    share_y: np.ndarray
    share_x: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """(R, C) float32, 0..1: how far each thermal pixel counts."""
        return (trust(self.share_y)[:, None] * trust(self.share_x)[None, :]).astype(np.float32)

    def interior(self, least: float = 0.97) -> np.ndarray:
        """(R, C) float32: 1 for the pixels whose footprint lies well inside the image, else 0."""
        return ((self.share_y >= least)[:, None] & (self.share_x >= least)[None, :]).astype(np.float32)


def lay_footprints(
    cells: tuple[int, int], cell_px: tuple[float, float], pose: Pose, fwhm: float, grid: tuple[int, int]
) -> Optics:
    """Where the footprints of all pixels lie over the cells of the image.

    Args:
        cells: (rows, columns) of cells.
        cell_px: size of a cell, px.
        pose: where the sensor lies.
        fwhm: full width of a pixel's footprint at half its height, in thermal pixels; wider where the lens term makes
            the pixels wider.
        grid: (rows, columns) of the sensor.
    """
    laid = []
    for count, at, centre, size in zip(grid, cells, (pose.ty, pose.tx), cell_px[::-1], strict=True):
        u = centred(count)
        sigma = fwhm * FWHM_TO_SIGMA * pose.s * (1 + 3 * pose.lens_k * u * u)
        laid.append(footprints((centre + pose.s * bend(u, pose.lens_k)) / size, sigma / size, at))
    (down, share_y), (across, share_x) = laid
    return Optics(down, across, share_y, share_x)


def see(
    zones: np.ndarray, cell_px: tuple[float, float], pose: Pose, fwhm: float, grid: tuple[int, int] = (GRID, GRID)
) -> tuple[np.ndarray, np.ndarray]:
    """What each thermal pixel sees of each zone.

    Args:
        zones: (N, K, rows, columns) float32.
        cell_px, pose, fwhm, grid: see `lay_footprints`.

    Returns:
        (N, K, R, C) float32, 0..1; (R, C) float32, how far each pixel counts.
    """
    optics = lay_footprints((zones.shape[2], zones.shape[3]), cell_px, pose, fwhm, grid)
    return optics.down @ (zones @ optics.across.T), optics.counts


def remove_levels(values: np.ndarray, evidence: Evidence, counts: np.ndarray) -> np.ndarray:
    """Values less what a background per group and pixel, and a level per frame, explain of them.

    Weighted by `counts` over pixels and by the evidence's weights over frames; exact in one pass, since the weights
    are a product.

    Args:
        values: (N, ..., R, C).
        evidence: whose groups and weights to use.
        counts: (R, C), how far each pixel counts.
    """
    share = counts / max(float(counts.sum()), 1e-12)
    values = values - np.einsum("n...ij,ij->n...", values, share)[..., None, None]
    flat = values.reshape(len(values), -1)
    member, inverse = evidence._members
    return (flat - (member @ flat)[inverse]).reshape(values.shape)


@dataclass(frozen=True, eq=False)
class Explained:
    """How well a pose explains the heat.

    Attributes:
        r2: share of the heat's variance that the masks explain, 0..1.
        zone_c: (K,) degC, how much warmer each zone is than what it hides.
        residual: (N, R, C) float32, degC, what is left.
        seen: (N, K, R, C) float32, what the pixels see of the zones, levels removed.
        counts: (R, C), how far each pixel counted.
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
        counts: (R, C) to hold the pixels' weights still while a pose is refined; found from the pose if None.
    """
    optics = evidence.optics(pose, fwhm)
    counts = optics.counts if counts is None else counts
    seen = evidence.see(optics)
    both = remove_levels(np.concatenate([seen, evidence.heat[:, None]], axis=1), evidence, counts)
    seen, heat = both[:, :-1], both[:, -1]
    root = np.sqrt(evidence.weight[:, None] * counts.reshape(1, -1)).astype(np.float32)
    y = (heat.reshape(len(heat), -1) * root).reshape(-1)
    x = (seen.reshape(*seen.shape[:2], -1) * root[:, None]).transpose(1, 0, 2).reshape(seen.shape[1], -1)
    zone_c = solve_ordered((x @ x.T).astype(np.float64), (x @ y).astype(np.float64))
    residual = heat - np.einsum("nkij,k->nij", seen, zone_c.astype(np.float32))
    left = float((((residual.reshape(len(heat), -1)) * root) ** 2).sum())
    there = float(y @ y)
    r2 = 1 - left / there if there > 1e-6 else 0.0  # no pixel in the image: nothing is explained
    return Explained(r2, zone_c, residual, seen, counts)


def solve_ordered(V: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Temperatures of the five body zones, hair no warmer than face; of any other number, as they come.

    Nobody's hair is: where faulty masks say so, it is because that lets the whole fit slide upwards. The two are given
    one temperature then. In a simulator with faulty masks that halved the bias of ty, and changed nothing in another.

    Args:
        V: (K, K); m: (K,).
    """
    zone_c = solve_zones(V, m)
    if len(zone_c) != len(ZONES) or zone_c[0] <= zone_c[1]:
        return zone_c
    tied = np.vstack([np.eye(len(ZONES))[:2].sum(axis=0), np.eye(len(ZONES))[2:]])
    return solve_zones(tied @ V @ tied.T, tied @ m) @ tied


def foretell(
    evidence: Evidence, pose: Pose, fwhm: float, zone_c: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How well a fit made elsewhere explains these frames: only backgrounds and levels are solved here.

    Args:
        evidence: frames that the fit has not seen.
        pose, fwhm, zone_c: of the fit.
        counts: (R, C), how far each pixel counts; the same for fits that are to be compared.

    Returns:
        (N,) float64, the squares left of each frame, degC^2; (N,), the squares there were.
    """
    told = np.einsum("nkij,k->nij", evidence.see(evidence.optics(pose, fwhm)), zone_c.astype(np.float32))
    heat = remove_levels(evidence.heat, evidence, counts)
    left = heat - remove_levels(told, evidence, counts)
    return tuple(
        evidence.weight * np.einsum("nij,ij->n", part.astype(np.float64) ** 2, counts) for part in (left, heat)
    )


def solve_zones(V: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Zone temperatures a of V a = m, drawn faintly towards each other.

    The pull is worth a few pixels' evidence: it settles a zone that was hardly seen and moves no other.

    Args:
        V: (..., K, K); m: (..., K).
    """
    K = V.shape[-1]
    pull = np.eye(K) - 1 / K + 1e-3 * np.eye(K)
    scale = np.trace(V, axis1=-2, axis2=-1)[..., None, None] * PULL + 1e-9
    return np.linalg.solve(V + scale * pull, m[..., None])[..., 0]
