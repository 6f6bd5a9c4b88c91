"""Exhaustive search of the pose: every shift and scale on a grid, in all eight orientations of the sensor.

For a pose x the best explanation of the heat needs only m_k = sum_t T_ij(t) P_kij(t) and V_kl = sum_t P_k P_l. Both are
looked up in maps that are summed over the frames once, so that a pose costs the same for ten frames and a thousand,
and no first guess is needed.
"""

from dataclasses import dataclass

import numpy as np

from .forward import FWHM_TO_SIGMA, Evidence, Pose, footprints, trust
from .geometry import centred
from .temperatures import solve_zones

# How a grid may be mounted: quarter turns anticlockwise, then left and right swapped (as rig.toml has them).
ORIENTATIONS = tuple((turns, mirror) for mirror in (False, True) for turns in range(4))
SHIFTS = 25  # grid lines along either shift
SCALES = 15
SHIFT_REACH = 0.3  # of the image's width and of its height, either way from its centre
FIELD_RANGE = (0.48, 1.12)  # sensor's field / image width: cameras of 95 to 50 degrees, the AMG8833's 60
LEAST_HEAT_INSIDE = 0.25  # share of the heat's variance that must fall on pixels within the image


def orientations(grid: tuple[int, int]) -> tuple[tuple[int, bool], ...]:
    """The ways a grid of (rows, columns) may be mounted and keep its shape: all eight if it is square, else four."""
    return tuple(way for way in ORIENTATIONS if grid[0] == grid[1] or way[0] % 2 == 0)


def orient(heat: np.ndarray, orientation: tuple[int, bool]) -> np.ndarray:
    """(..., R, C) turned anticlockwise by so many quarters, then mirrored if asked."""
    turned = np.rot90(heat, orientation[0], axes=(-2, -1))
    return turned[..., ::-1] if orientation[1] else turned


@dataclass(frozen=True, eq=False)
class Search:
    """Score of every pose tried, in the heatmaps' own orientation.

    Attributes:
        tx, ty, s: the grid's lines, px.
        r2: (s, ty, tx) float32, 0..1; -1 where too little of the heat lies in the image.
        best: the best r2 of each orientation, (quarter turns anticlockwise, mirrored).
        best_pose: where that is.
    """

    tx: np.ndarray
    ty: np.ndarray
    s: np.ndarray
    r2: np.ndarray
    best: dict[tuple[int, bool], float]
    best_pose: dict[tuple[int, bool], Pose]

    def peaks(self, count: int) -> list[Pose]:
        """The best poses that are not neighbours of a better one, best first."""
        left = self.r2.copy()
        found = []
        while len(found) < count and left.max() > 0:
            k, i, j = np.unravel_index(int(left.argmax()), left.shape)
            found.append(Pose(float(self.tx[j]), float(self.ty[i]), float(self.s[k])))
            left[max(k - 2, 0) : k + 3, max(i - 2, 0) : i + 3, max(j - 2, 0) : j + 3] = -1
        return found

    def on_border(self, pose: Pose) -> bool:
        """Whether a pose is at the edge of what was searched: the best may lie beyond."""
        for value, line in ((pose.tx, self.tx), (pose.ty, self.ty), (pose.s, self.s)):
            if not line[1] <= value <= line[-2]:
                return True
        return False


def search_poses(
    evidence: Evidence, image_size: tuple[int, int], fwhm: float, field_range: tuple[float, float] = FIELD_RANGE
) -> Search:
    """Score every pose on the grid.

    Args:
        evidence: N frames; few zones make it quick, and it only has to find the basin.
        image_size: (width, height), px.
        fwhm: of a pixel's footprint, in thermal pixels.
        field_range: smallest and largest field of the sensor, in widths of the image.
    """
    width, height = image_size
    tx = width * (0.5 + np.linspace(-SHIFT_REACH, SHIFT_REACH, SHIFTS))
    ty = height * (0.5 + np.linspace(-SHIFT_REACH, SHIFT_REACH, SHIFTS))
    grid_rows, grid_columns = evidence.grid
    scales = width * np.geomspace(*field_range, SCALES) / np.sqrt(grid_rows * grid_columns)
    heat = _less_background(evidence.heat.reshape(len(evidence.heat), -1), evidence)
    zones = evidence.zones
    count, K, rows, columns = zones.shape
    weighted = heat * evidence.weight[:, None].astype(np.float32)
    raw = weighted.T @ zones.reshape(count, -1)
    raw = raw.reshape(grid_rows, grid_columns, K, rows, columns)
    energy = (weighted * heat).sum(axis=0).reshape(evidence.grid)
    ways = orientations(evidence.grid)
    turned = [
        (np.ascontiguousarray(_orient_first(raw, o)), orient(energy, o))  # turning T is turning its statistics
        for o in ways
    ]
    r2 = np.empty((SCALES, SHIFTS, SHIFTS), dtype=np.float32)
    best = dict.fromkeys(ways, -1.0)
    best_pose = dict.fromkeys(ways, Pose(width / 2, height / 2, float(scales[SCALES // 2])))
    for number, s in enumerate(scales):
        sigma = fwhm * FWHM_TO_SIGMA * s / np.array(evidence.cell_px)
        V_map = _pair_map(evidence, sigma)
        places_x, places_y = tx[:, None] + s * centred(grid_columns), ty[:, None] + s * centred(grid_rows)
        across, share_x = footprints(places_x / evidence.cell_px[0], float(sigma[0]), columns)
        down, share_y = footprints(places_y / evidence.cell_px[1], float(sigma[1]), rows)
        count_x, count_y = trust(share_x), trust(share_y)  # (shift, columns of the grid), (shift, rows of the grid)
        V = np.einsum(
            "ay,klyx,bx->abkl",
            np.einsum("ai,aiy->ay", count_y, _between(places_y, evidence.cell_px[1], rows)),
            V_map,
            np.einsum("bj,bjx->bx", count_x, _between(places_x, evidence.cell_px[0], columns)),
            optimize=True,
        )
        down = np.ascontiguousarray((down * count_y[..., None]).transpose(1, 0, 2))  # (R, shift, rows)
        across = np.ascontiguousarray((across * count_x[..., None]).transpose(1, 2, 0))  # (C, columns, shift)
        for o, (M, E) in zip(ways, turned, strict=True):
            looked_up = down[:, None, None] @ M @ across[None, :, None]  # (R, C, K, ty, tx)
            m = looked_up.sum(axis=(0, 1)).transpose(1, 2, 0)
            inside = np.einsum("ai,ij,bj->ab", count_y, E, count_x)
            gained = np.einsum("abk,abk->ab", m, solve_zones(V, m)) / np.maximum(inside, 1e-9)
            score = np.where(inside >= LEAST_HEAT_INSIDE * E.sum(), gained, -1)
            if score.max() > best[o]:
                best[o] = float(score.max())
                i, j = np.unravel_index(int(score.argmax()), score.shape)
                best_pose[o] = Pose(float(tx[j]), float(ty[i]), float(s))
            if o == (0, False):
                r2[number] = score
    return Search(tx, ty, scales, r2, best, best_pose)


def _orient_first(maps: np.ndarray, orientation: tuple[int, bool]) -> np.ndarray:
    """(R, C, ...) turned over its first two axes."""
    turned = np.rot90(maps, orientation[0], axes=(0, 1))
    return turned[:, ::-1] if orientation[1] else turned


def _less_background(flat: np.ndarray, evidence: Evidence) -> np.ndarray:
    """(N, ...) less its weighted mean over the frames of each group."""
    levels = np.empty_like(flat)
    for group in np.unique(evidence.group):
        chosen = evidence.group == group
        weight = evidence.weight[chosen]
        levels[chosen] = np.tensordot(weight / max(weight.sum(), 1e-12), flat[chosen], axes=1)
    return flat - levels


def _pair_map(evidence: Evidence, sigma: np.ndarray) -> np.ndarray:
    """(K, K, rows, columns): sum over frames of P_k P_l, as a pixel centred on each cell would see them."""
    rows, columns = evidence.zones.shape[-2:]
    blur_x, _ = footprints(np.arange(columns) + 0.5, float(sigma[0]), columns)
    blur_y, _ = footprints(np.arange(rows) + 0.5, float(sigma[1]), rows)
    seen = blur_y @ (evidence.zones @ blur_x.T)
    seen = _less_background(seen, evidence) * np.sqrt(evidence.weight).astype(np.float32)[:, None, None, None]
    return np.einsum("nkyx,nlyx->klyx", seen, seen, optimize=True)


def _between(places_px: np.ndarray, cell_px: float, cells: int) -> np.ndarray:
    """(..., cells) weights of linear interpolation between the centres of cells; the outermost hold beyond them."""
    place = np.clip(places_px / cell_px - 0.5, 0, cells - 1)
    return np.maximum(0, 1 - np.abs(place[..., None] - np.arange(cells)))
