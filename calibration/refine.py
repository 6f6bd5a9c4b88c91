"""From the right basin to the best pose, footprint and time offset; and which frames to trust on the way."""

from dataclasses import replace

import numpy as np

from .forward import Evidence, Explained, Pose, explain, remove_levels, weigh
from .lag import HeatmapSeries
from .slopes import find_slopes
from .temperatures import draw_hair, tie_zones

# How far a run goes, in the units of `SLOPES`: where heat and masks share nothing, it would wander off
FURTHEST = (2.0, 2.0, 0.3, 1.0)
LONGEST_STEP = (0.5, 0.5, 0.1, 0.25, 0.06)  # of the same: beyond it a slope says little
FWHM_LIMITS = (0.4, 2.5)  # thermal pixels; outside is no footprint of this sensor
STEPS = 15  # of a run at most; most take 4 to 8
SETTLED_R2 = 1e-6  # a step that gains less ends the run: a thousandth of a thermal pixel or so
DAMPING, LIGHTEST, HEAVIEST = 1e-3, 1e-6, 1e4  # of the first step; the least; of the last that is tried


def refine_pose(
    evidence: Evidence,
    pose: Pose,
    fwhm: float,
    *,
    bend_range: tuple[float, float] | None = None,
    interior: bool = False,
) -> tuple[Pose, float, float]:
    """The best pose and footprint near a pose, and the r2 there.

    Levenberg and Marquardt's damped least squares in two runs; what they raise is the merit, see `forward.Explained`.
    Backgrounds, levels and temperatures follow the pose in closed form, so they are projected out of its slopes
    (variable projection, Kaufman 1975). How far each thermal pixel counts stays still within a run, so that the score
    cannot gain by pushing a badly explained pixel out of the picture.

    Args:
        evidence: N frames.
        pose, fwhm: where to start.
        bend_range: frees the lens term within these, as a share of the edge's distance; else it stays what it is.
        interior: rest on the pixels whose footprint lies well inside the image alone.
    """
    r2 = -1.0
    for _ in range(2):
        optics = evidence.optics(pose, fwhm)
        counts = optics.interior() if interior else optics.counts
        pose, fwhm, r2 = _descend(evidence, pose, fwhm, counts, bend_range)
    return pose, fwhm, r2


def _descend(
    evidence: Evidence, pose: Pose, fwhm: float, counts: np.ndarray, bend_range: tuple[float, float] | None
) -> tuple[Pose, float, float]:
    """One run: the pixels' weights stand still."""
    free = 5 if bend_range else 4
    edge = max(evidence.grid) / 2
    ends = [_find_end(pose, fwhm, sign, bend_range, edge) for sign in (-1, 1)]
    explained = explain(evidence, pose, fwhm, counts)
    damping = DAMPING
    for _ in range(STEPS):
        H, g = _normal_equations(evidence, explained, pose, fwhm, free)
        least, most = (_measure_step(pose, fwhm, *end, edge)[:free] for end in ends)
        before = explained
        while explained is before and damping < HEAVIEST:
            step = _solve_within(H + np.diag(np.diag(H) * damping + 1e-12), g, least, most)
            if float(g @ step) < SETTLED_R2 * explained.squares:  # what it promises
                return pose, fwhm, explained.r2
            step = step / max(1.0, float(np.abs(step / LONGEST_STEP[:free]).max()))
            there = _shift(pose, fwhm, step, edge)
            tried = explain(evidence, *there, counts)
            if tried.merit >= explained.merit:
                (pose, fwhm), explained = there, tried
            else:
                damping *= 8
        damping = max(damping / 10, LIGHTEST)
        if explained.merit - before.merit < SETTLED_R2:
            break
    return pose, fwhm, explained.r2


def _normal_equations(
    evidence: Evidence, explained: Explained, pose: Pose, fwhm: float, free: int
) -> tuple[np.ndarray, np.ndarray]:
    """(F, F) curvature and (F,) pull of the first F of `SLOPES`, less what zone temperatures would make good."""
    counts = explained.counts
    slopes = remove_levels(find_slopes(evidence, pose, fwhm, explained.frame_c)[:, :free], evidence, counts)
    (x, root), (j, _) = (weigh(values, evidence, counts) for values in (explained.seen, slopes))
    apart = (explained.frame_c - explained.zone_c).astype(np.float32)
    left = explained.residual.reshape(len(root), -1) * root - np.einsum("nkp,nk->np", x, apart)
    # Of each frame first what its own temperatures take, then of all what the mean ones do
    V, m = ((x @ other.transpose(0, 2, 1)).astype(np.float64) for other in (x, j))
    given = explained.slack @ m
    H = np.einsum("nfp,ngp->fg", j, j, optimize=True) - np.einsum("nkf,nkg->fg", m, given)
    V, m = (V - V @ explained.slack @ V).sum(axis=0), (m - V @ given).sum(axis=0)
    tie = tie_zones(explained.zone_c)
    V, m = tie @ (V + draw_hair(len(V))) @ tie.T, tie @ m
    V += np.eye(len(V)) * (1e-6 * np.trace(V) + 1e-9)
    return H - m.T @ np.linalg.solve(V, m), np.einsum("nfp,np->f", j, left).astype(np.float64)


def _solve_within(H: np.ndarray, g: np.ndarray, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """The step H u = g; a parameter that would leave its range stops at its end, and the others make the best of it."""
    step, held = np.linalg.solve(H, g), np.zeros(len(g), dtype=bool)
    for _ in g:
        beyond = ~held & ((step < least) | (step > most))
        if not beyond.any():
            break
        step[beyond] = np.clip(step, least, most)[beyond]
        held |= beyond
        left = ~held
        step[left] = np.linalg.solve(H[np.ix_(left, left)], g[left] - H[np.ix_(left, held)] @ step[held])
    return step


def _shift(pose: Pose, fwhm: float, step: np.ndarray, edge: float) -> tuple[Pose, float]:
    """Pose and footprint a step away, in the units of `SLOPES`; four numbers leave the lens term where it is."""
    k = pose.lens_k + (float(step[4]) / edge**2 if len(step) > 4 else 0.0)
    moved = Pose(
        float(pose.tx + pose.s * step[0]), float(pose.ty + pose.s * step[1]), float(pose.s * np.exp(step[2])), k
    )
    return moved, float(fwhm * np.exp(step[3]))


def _measure_step(pose: Pose, fwhm: float, end: Pose, end_fwhm: float, edge: float) -> np.ndarray:
    """(5,) the step from one to the other, `_shift` turned about."""
    return np.array([
        (end.tx - pose.tx) / pose.s, (end.ty - pose.ty) / pose.s, np.log(end.s / pose.s), np.log(end_fwhm / fwhm),
        (end.lens_k - pose.lens_k) * edge**2,
    ])  # fmt: skip


def _find_end(
    pose: Pose, fwhm: float, sign: int, bend_range: tuple[float, float] | None, edge: float
) -> tuple[Pose, float]:
    """As far as a run may go one way."""
    end, width = _shift(pose, fwhm, sign * np.array(FURTHEST), edge)
    if bend_range:
        end = replace(end, lens_k=bend_range[(sign + 1) // 2] / edge**2)
    return end, float(np.clip(width, *FWHM_LIMITS))


def refine_lag(
    evidence: Evidence, series: HeatmapSeries, image_times_ns: np.ndarray, pose: Pose, fwhm: float, reach_s: float
) -> tuple[float, np.ndarray]:
    """How much later than the images the heat that fits them best was read.

    Args:
        evidence: N frames, of the images at `image_times_ns`.
        series: all heatmaps.
        image_times_ns: (N,) int64.
        pose, fwhm: of the sensor.
        reach_s: how far to look either way.

    Returns:
        offset in seconds; (n, 2) seconds and r2, the curve it is the summit of.
    """
    lags = np.linspace(-reach_s, reach_s, 4 * round(reach_s / 0.1) + 1)

    def score(lag_s: float) -> float:
        heat = series.at(image_times_ns + round(lag_s * 1e9), evidence.group)
        return explain(replace(evidence, heat=heat), pose, fwhm).r2

    curve = np.array([(lag, score(lag)) for lag in lags])
    # A quartic through the summit: r2 ripples with the sensor's period, and three points would follow the ripple.
    summit = lags[int(curve[:, 1].argmax())]
    near = np.abs(lags - summit) <= 0.2001
    shape = np.polynomial.Polynomial.fit(curve[near, 0], curve[near, 1], 4)
    fine = np.linspace(max(summit - 0.1, lags[0]), min(summit + 0.1, lags[-1]), 401)
    return float(fine[int(shape(fine).argmax())]), curve


def frame_rms(explained: Explained) -> np.ndarray:
    """(N,) rms of what is left of each frame, degC, over the pixels that count."""
    share = explained.counts / max(float(explained.counts.sum()), 1e-12)
    return np.sqrt(np.einsum("nij,ij->n", explained.residual**2, share))


def trust_frames(explained: Explained) -> np.ndarray:
    """(N,) weights 0..1: frames that fit worse than most count less (a missed person, a mask without its legs)."""
    rms = frame_rms(explained)
    middle = np.median(rms)
    spread = 1.4826 * np.median(np.abs(rms - middle))
    return 1 / (1 + (np.maximum(rms - middle, 0) / (spread + 1e-6)) ** 2)
