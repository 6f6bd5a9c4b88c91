"""Exhaustive search of the pose: every shift and scale on a grid, in all eight orientations of the sensor.

For a pose x the best explanation of the heat needs only m_k = sum_t T_ij(t) P_kij(t) and V_kl = sum_t P_k P_l. Both are
looked up in maps that are summed over the frames once, so that a pose costs the same for ten frames and a thousand,
and no first guess is needed.
"""

from dataclasses import dataclass

import numpy as np

from .forward import FWHM_TO_SIGMA, Evidence, Pose, footprints, solve_zones, trust
from .geometry import GRID

# How a grid may be mounted: quarter turns anticlockwise, then left and right swapped (as rig.toml has them).
ORIENTATIONS = tuple((turns, mirror) for mirror in (False, True) for turns in range(4))
SHIFTS = 25  # grid lines along either shift
SCALES = 15
SHIFT_REACH = 0.3  # of the image's width and of its height, either way from its centre
SCALE_RANGE = (0.06, 0.14)  # s / image width: cameras of 95 to 50 degrees across, with the AMG8833's 7.5 a pixel
LEAST_HEAT_INSIDE = 0.25  # share of the heat's variance that must fall on pixels within the image


def orient(heat: np.ndarray, orientation: tuple[int, bool]) -> np.ndarray:
    """(..., 8, 8) turned anticlockwise by so many quarters, then mirrored if asked."""
    turned = np.rot90(heat, orientation[0], axes=(-2, -1))
    return turned[..., ::-1] if orientation[1] else turned


@dataclass(frozen=True, eq=False)
class Search:
    """Score of every pose tried, in the heatmaps' own orientation.

    Attributes:
        tx, ty, s: the grid's lines, px.
        r2: (s, ty, tx) float32, 0..1; -1 where too little of the heat lies in the image.
        best: (8,) float, the best r2 of each of `ORIENTATIONS`.
    """

    tx: np.ndarray
    ty: np.ndarray
    s: np.ndarray
    r2: np.ndarray
    best: np.ndarray

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


def search_poses(evidence: Evidence, image_size: tuple[int, int], fwhm: float) -> Search:
    """Score every pose on the grid.

    Args:
        evidence: N frames; few zones make it quick, and it only has to find the basin.
        image_size: (width, height), px.
        fwhm: of a pixel's footprint, in thermal pixels.
    """
    width, height = image_size
    tx = width * (0.5 + np.linspace(-SHIFT_REACH, SHIFT_REACH, SHIFTS))
    ty = height * (0.5 + np.linspace(-SHIFT_REACH, SHIFT_REACH, SHIFTS))
    scales = width * np.geomspace(*SCALE_RANGE, SCALES)
    heat = _less_background(evidence.heat.reshape(len(evidence.heat), -1), evidence)
    zones = evidence.zones
    count, K, rows, columns = zones.shape
    weighted = heat * evidence.weight[:, None].astype(np.float32)
    raw = weighted.T @ zones.reshape(count, -1)
    raw = raw.reshape(GRID, GRID, K, rows, columns)
    energy = (weighted * heat).sum(axis=0).reshape(GRID, GRID)
    turned = [
        (np.ascontiguousarray(_orient_first(raw, o)), orient(energy, o))  # turning T is turning its statistics
        for o in ORIENTATIONS
    ]
    r2 = np.empty((SCALES, SHIFTS, SHIFTS), dtype=np.float32)
    best = np.full(len(ORIENTATIONS), -1.0)
    for number, s in enumerate(scales):
        sigma = fwhm * FWHM_TO_SIGMA * s / np.array(evidence.cell_px)
        V_map = _pair_map(evidence, sigma)
        steps = s * (np.arange(GRID) - (GRID - 1) / 2)
        across, share_x = footprints((tx[:, None] + steps) / evidence.cell_px[0], sigma[0], columns)
        down, share_y = footprints((ty[:, None] + steps) / evidence.cell_px[1], sigma[1], rows)
        count_x, count_y = trust(share_x), trust(share_y)  # (shift, 8)
        V = np.einsum(
            "ay,klyx,bx->abkl",
            np.einsum("ai,aiy->ay", count_y, _between(ty[:, None] + steps, evidence.cell_px[1], rows)),
            V_map,
            np.einsum("bj,bjx->bx", count_x, _between(tx[:, None] + steps, evidence.cell_px[0], columns)),
            optimize=True,
        )
        down = np.ascontiguousarray((down * count_y[..., None]).transpose(1, 0, 2))  # (8, shift, rows)
        across = np.ascontiguousarray((across * count_x[..., None]).transpose(1, 2, 0))  # (8, columns, shift)
        for o, (M, E) in enumerate(turned):
            looked_up = down[:, None, None] @ M @ across[None, :, None]  # (8, 8, K, ty, tx)
            m = looked_up.sum(axis=(0, 1)).transpose(1, 2, 0)
            inside = np.einsum("ai,ij,bj->ab", count_y, E, count_x)
            gained = np.einsum("abk,abk->ab", m, solve_zones(V, m)) / np.maximum(inside, 1e-9)
            score = np.where(inside >= LEAST_HEAT_INSIDE * E.sum(), gained, -1)
            best[o] = max(best[o], float(score.max()))
            if o == 0:
                r2[number] = score
    return Search(tx, ty, scales, r2, best)


def _orient_first(maps: np.ndarray, orientation: tuple[int, bool]) -> np.ndarray:
    """(8, 8, ...) turned over its first two axes."""
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
