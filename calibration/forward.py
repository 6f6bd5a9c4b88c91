"""What the sensor would read, given masks and a pose: the model that the fit compares with the heat.

    T_ij(t) = b_ij + e(t) + sum_k a_k P_kij(t) + noise

P_kij(t) is the share of pixel (i, j)'s Gaussian footprint that body zone k covers in frame t; a_k how much warmer the
zone is than what it hides; b_ij the background of a clip as that pixel sees it, fixed pattern included; e(t) the level
of the room in that frame. b, e and a follow in closed form from the pose, so that only the pose is searched.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .geometry import GRID, bend, centred
from .temperatures import draw_hair, find_slack, solve_ordered
from .zones import PARTS

FINE_CELLS = 10  # across a thermal pixel or so: half as many are enough to find the basin
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
        zones: (N, K, rows, columns) float32, 0..1, share of each cell; see `zones.ZONES`, or whole people alone.
        group: (N,) int, 0..G-1: frames that share one background (a clip, or a state of the light).
        weight: (N,) float, 0..1: how far a frame is trusted.
        cell_px: (width, height) of one cell, px of the recorded image.
        wander_c: (K,) degC, how far each zone's temperature is from its mean in one frame; () where it is the same in
            all frames.
    """

    heat: np.ndarray
    zones: np.ndarray
    group: np.ndarray
    weight: np.ndarray
    cell_px: tuple[float, float]
    wander_c: tuple[float, ...] = ()

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

    def mix(self, zone_c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(U,) which rows of cells hold anything, as row * N + frame; (U, columns) their warmth by zone_c (N, K)."""
        from scipy.sparse import csr_array  # here: a third of a second, which choosing frames does without

        index, filled = self._filled
        place, zone = np.divmod(index, self.zones.shape[1])
        first = np.flatnonzero(np.diff(place, prepend=-1))
        warmth = zone_c.astype(np.float32)[place % len(self.zones), zone]
        sums = csr_array((warmth, np.arange(len(place)), np.append(first, len(place))), shape=(len(first), len(place)))
        return place[first], sums @ filled

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
        heat, zones, group = self.heat[chosen], self.zones[chosen], self.group[chosen]
        return Evidence(heat, zones, group, self.weight[chosen], self.cell_px, self.wander_c)

    def coarsen(self) -> "Evidence":
        """The same in cells of twice the size, where these are small enough for it."""
        rows, columns = self.zones.shape[2:]
        if columns < FINE_CELLS * self.grid[1] or columns % 2:
            return self
        even = np.pad(self.zones, ((0, 0), (0, 0), (0, rows % 2), (0, 0)))
        zones = even.reshape(*self.zones.shape[:2], -1, 2, columns // 2, 2).mean(axis=(3, 5))
        return replace(self, zones=zones, cell_px=(2 * self.cell_px[0], 2 * self.cell_px[1]))

    def merge_zones(self) -> "Evidence":
        """The same with whole people in place of zones, of one temperature in all frames."""
        return replace(self, zones=self.zones[:, : len(PARTS)].sum(axis=1, keepdims=True), wander_c=())


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
    share = (counts / max(float(counts.sum()), 1e-12)).reshape(-1).astype(values.dtype)
    pixels = values.reshape(*values.shape[:-2], -1)
    flat = (pixels - (pixels @ share)[..., None]).reshape(len(values), -1)
    member, inverse = evidence._members
    return (flat - (member @ flat)[inverse]).reshape(values.shape)


@dataclass(frozen=True, eq=False)
class Explained:
    """How well a pose explains the heat.

    Attributes:
        r2: share of the heat's variance that the masks explain, each zone of one temperature in all frames; 0..1.
        merit: the same with each frame's own temperatures, less what these are from the mean against `wander_c`: what
            a fit maximises. r2 where nothing wanders.
        zone_c: (K,) degC, how much warmer each zone is than what it hides; the mean over frames.
        frame_c: (N, K) degC, the same in each frame.
        residual: (N, R, C) float32, degC, what is left by `zone_c`.
        seen: (N, K, R, C) float32, what the pixels see of the zones, levels removed.
        counts: (R, C), how far each pixel counted.
        slack: (N, K, K), how readily each frame's temperatures give way; zeros where nothing wanders.
        squares: sum of the heat's weighted squares, degC^2, of which r2 and merit are shares.
    """

    r2: float
    merit: float
    zone_c: np.ndarray
    frame_c: np.ndarray
    residual: np.ndarray
    seen: np.ndarray
    counts: np.ndarray
    slack: np.ndarray
    squares: float


def explain(evidence: Evidence, pose: Pose, fwhm: float, counts: np.ndarray | None = None) -> Explained:
    """Solve background, levels and zone temperatures at one pose, by weighted least squares.

    Where temperatures wander, those of a frame are drawn to the mean as `wander_c` and `UNEXPLAINED_C` have it (the
    best prediction of a mixed model), and the mean is the one that they are best drawn to.

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
    x, root = weigh(seen, evidence, counts)
    y = heat.reshape(len(heat), -1) * root
    V, m = (x @ x.transpose(0, 2, 1)).astype(np.float64), (x @ y[..., None])[..., 0].astype(np.float64)
    slack = find_slack(V, evidence.wander_c)
    taken = V @ slack
    zone_c = solve_ordered((V - taken @ V).sum(axis=0), (m - (taken @ m[..., None])[..., 0]).sum(axis=0))
    apart = (slack @ (m - V @ zone_c)[..., None])[..., 0]
    left = y - zone_c.astype(np.float32) @ x
    there, unexplained = float((y**2).sum()), float((left**2).sum())
    # What the frames' own temperatures win back, their distance from the mean paid for
    regained = float(np.einsum("nk,nk->", m - V @ zone_c, apart) - zone_c @ draw_hair(len(zone_c)) @ zone_c)
    if there <= 1e-6:  # no pixel in the image: nothing is explained
        there, unexplained, regained = 1.0, 1.0, 0.0
    r2 = 1 - unexplained / there
    residual = heat - (zone_c.astype(np.float32) @ seen.reshape(*seen.shape[:2], -1)).reshape(heat.shape)
    return Explained(r2, r2 + regained / there, zone_c, zone_c + apart, residual, seen, counts, slack, there)


def weigh(values: np.ndarray, evidence: Evidence, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, M, R * C) float32, values (N, M, R, C) times the (N, R * C) roots of their weights; and these roots."""
    root = np.sqrt(evidence.weight[:, None] * counts.reshape(1, -1)).astype(np.float32)
    return values.reshape(*values.shape[:2], -1) * root[:, None], root


def foretell(
    evidence: Evidence, pose: Pose, fwhm: float, zone_c: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How well a fit made elsewhere explains these frames: only backgrounds and levels are solved here.

    Args:
        evidence: frames that the fit has not seen.
        pose, fwhm, zone_c: of the fit.
        counts: (R, C), how far each pixel counts; the same for fits that are to be compared.

    Returns:
        (N,) float64, the squares left of each frame, degC^2; (N,), the squares there were; (N,), the squares left once
        the frame's own temperatures have won back what they may.
    """
    seen = evidence.see(evidence.optics(pose, fwhm))
    both = remove_levels(np.concatenate([seen, evidence.heat[:, None]], axis=1), evidence, counts)
    (x, root), heat = weigh(both[:, :-1], evidence, counts), both[:, -1]
    y = heat.reshape(len(heat), -1) * root
    rest = y - zone_c.astype(np.float32) @ x
    left, had = (np.einsum("np,np->n", part, part, dtype=np.float64) for part in (rest, y))
    m = (x @ rest[..., None]).astype(np.float64)
    slack = find_slack((x @ x.transpose(0, 2, 1)).astype(np.float64), evidence.wander_c)
    return left, had, left - (m.transpose(0, 2, 1) @ slack @ m)[:, 0, 0]
