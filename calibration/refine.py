"""From the right basin to the best pose, footprint and time offset; and which frames to trust on the way."""

from dataclasses import replace

import numpy as np

from .forward import Evidence, Explained, Pose, explain, see
from .lag import HeatmapSeries

SIMPLEX_STEPS = (0.15, 0.15, 0.05, 0.1)  # tx, ty in thermal pixels; ln s, ln fwhm
FWHM_LIMITS = (0.4, 2.5)  # thermal pixels; outside is no footprint of this sensor


def refine_pose(evidence: Evidence, pose: Pose, fwhm: float, evaluations: int) -> tuple[Pose, float, float]:
    """The best pose and footprint near a pose, and the r2 there.

    Nelder-Mead in two runs; how far each thermal pixel counts stays still within a run, so that the score cannot gain
    by pushing a badly explained pixel out of the picture.

    Args:
        evidence: N frames.
        pose, fwhm: where to start.
        evaluations: of the model, both runs together.
    """
    from scipy.optimize import minimize

    r2 = -1.0
    for _ in range(2):
        counts = see(evidence.zones[:1], evidence.cell_px, pose, fwhm)[1]
        start, start_fwhm = pose, fwhm

        def unpack(u: np.ndarray, start: Pose = start, start_fwhm: float = start_fwhm) -> tuple[Pose, float]:
            moved = Pose(start.tx + start.s * u[0], start.ty + start.s * u[1], start.s * np.exp(np.clip(u[2], -1, 1)))
            return moved, float(np.clip(start_fwhm * np.exp(u[3]), *FWHM_LIMITS))

        def loss(u: np.ndarray, counts: np.ndarray = counts) -> float:
            return -explain(evidence, *unpack(u), counts).r2

        found = minimize(
            loss,
            np.zeros(4),
            method="Nelder-Mead",
            options={
                "maxfev": evaluations // 2,
                "initial_simplex": np.vstack([np.zeros(4), np.diag(SIMPLEX_STEPS)]),
                "xatol": 5e-4,
                "fatol": 1e-7,
            },
        )
        pose, fwhm = unpack(found.x)
        r2 = -float(found.fun)
    return Pose(float(pose.tx), float(pose.ty), float(pose.s)), fwhm, r2


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
