"""From the right basin to the best pose, footprint and time offset; and which frames to trust on the way."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from .forward import Evidence, Explained, Pose, explain
from .lag import HeatmapSeries

SIMPLEX_STEPS = (0.15, 0.15, 0.05, 0.1, 0.05)  # tx, ty in thermal pixels; ln s, ln fwhm; bend at the edge
FURTHEST = (2.0, 2.0, 0.3, 1.0, 0.5)  # of the same: where heat and masks share nothing, a simplex wanders off
FWHM_LIMITS = (0.4, 2.5)  # thermal pixels; outside is no footprint of this sensor


@dataclass(frozen=True)
class _Vertex:
    """Steps of a simplex, read as a pose and a footprint about those it starts from."""

    pose: Pose
    fwhm: float
    edge: float
    bend_range: tuple[float, float] | None

    def unpack(self, u: np.ndarray) -> tuple[Pose, float]:
        far = np.array(FURTHEST[: len(u)])
        u = np.clip(u, -far, far)
        start, s, k = self.pose, self.pose.s * float(np.exp(u[2])), self.pose.lens_k
        if self.bend_range:
            # Halfway out stands still while the term moves, or the simplex would have to creep along a valley
            k = float(np.clip(k * self.edge**2 + u[4], *self.bend_range)) / self.edge**2
            s *= (1 + start.lens_k * self.edge**2 / 4) / (1 + k * self.edge**2 / 4)
        moved = Pose(float(start.tx + start.s * u[0]), float(start.ty + start.s * u[1]), s, k)
        return moved, float(np.clip(self.fwhm * np.exp(u[3]), *FWHM_LIMITS))


def _misfit(evidence: Evidence, vertex: _Vertex, counts: np.ndarray, u: np.ndarray) -> float:
    return -explain(evidence, *vertex.unpack(u), counts).r2


def refine_pose(
    evidence: Evidence,
    pose: Pose,
    fwhm: float,
    evaluations: int,
    *,
    bend_range: tuple[float, float] | None = None,
    interior: bool = False,
) -> tuple[Pose, float, float]:
    """The best pose and footprint near a pose, and the r2 there.

    Nelder-Mead in two runs; how far each thermal pixel counts stays still within a run, so that the score cannot gain
    by pushing a badly explained pixel out of the picture.

    Args:
        evidence: N frames.
        pose, fwhm: where to start.
        evaluations: of the model, both runs together.
        bend_range: frees the lens term within these, as a share of the edge's distance; else it stays what it is.
        interior: rest on the pixels whose footprint lies well inside the image alone.
    """
    from scipy.optimize import minimize

    free = 5 if bend_range else 4
    edge = max(evidence.grid) / 2
    r2 = -1.0
    for _ in range(2):
        optics = evidence.optics(pose, fwhm)
        vertex = _Vertex(pose, fwhm, edge, bend_range)
        loss = partial(_misfit, evidence, vertex, optics.interior() if interior else optics.counts)
        found = minimize(
            loss,
            np.zeros(free),
            method="Nelder-Mead",
            options={
                "maxfev": evaluations // 2,
                "initial_simplex": np.vstack([np.zeros(free), np.diag(SIMPLEX_STEPS[:free])]),
                "xatol": 5e-4,
                "fatol": 1e-7,
            },
        )
        pose, fwhm = vertex.unpack(found.x)
        r2 = -float(found.fun)
    return pose, fwhm, r2


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
    """(N,) weights 0..1: frames that fit much worse than most count less (a missed person, a wrong mask)."""
    rms = frame_rms(explained)
    middle = np.median(rms)
    spread = 1.4826 * np.median(np.abs(rms - middle))
    return 1 / (1 + (np.maximum(rms - middle - spread, 0) / (1.5 * spread + 1e-6)) ** 2)
