"""The fit of shift, scale and time offset: from heatmaps and person masks to a calibration and how far to trust it.

Exhaustive search finds the basin, a simplex refines it, and the uncertainty comes from how much blocks of a few
seconds disagree, plus a floor for what all of them share (see `FitConfig`).
"""

from dataclasses import dataclass, field, replace

import numpy as np

from .forward import Evidence, Pose, explain, guess_pose, see
from .geometry import GRID, Calibration, CalibrationError
from .lag import HeatmapSeries
from .overlap import heat_above_background, overlap
from .refine import frame_rms, refine_lag, refine_pose, trust_frames
from .search import ORIENTATIONS, Search, search_poses
from .uncertainty import number_blocks, sandwich
from .verdict import Findings, judge
from .zones import ZONES, cut_zones

FEWEST_FRAMES = 12  # below this there is nothing to estimate an error from
LEAST_CHANGE_C = 0.1  # sd of the heat over time; the sensor's own noise is twice that
WARM_C, WARM_PIXELS = 2.0, 4  # a person at 4 m, in a coat, is more


@dataclass(frozen=True)
class FitConfig:
    """How a rig is fitted; every field with its reason.

    Attributes:
        columns: cells across the image; 80 makes a thermal pixel about 8 cells wide, finer gains nothing.
        fwhm: footprint to start from, thermal pixels; two real sensors gave 0.95 to 1.05.
        candidates: peaks of the search that are refined; the right one was always among the best two.
        block_s: frames this near in time share their faults (clothes, stance), so they count as one.
        offset_reach_s: the time offset is sought this far either way.
        tx_floor, ty_floor: thermal pixels; s_floor: share of s. What every frame has in common (clothes warmer than
            bare arms, hair over face) moved real fits that far without showing in their scatter; added in quadrature.
        offset_floor_ms: the same for the time offset.
    """

    columns: int = 80
    fwhm: float = 1.05
    candidates: int = 3
    block_s: float = 5.0
    offset_reach_s: float = 0.5
    tx_floor: float = 0.015
    ty_floor: float = 0.06
    s_floor: float = 0.02
    offset_floor_ms: float = 5.0


@dataclass(frozen=True, eq=False)
class Fit:
    """A calibration and what shows whether to believe it.

    Attributes:
        calibration: the result.
        before: the pose of an uncalibrated rig, for comparison.
        fwhm: footprint of a thermal pixel, thermal pixels.
        zone_c: degC above what it hides, for each body zone.
        search: score of every pose on the coarse grid.
        orientation_r2: best coarse score of each way to mount the sensor, keyed (quarter turns, mirrored).
        residual_c: (N,) rms of each frame's unexplained heat, degC.
        weight: (N,) how far each frame was trusted in the end, 0..1.
        coverage: (8, 8) share of the frames in which a person filled a third of the pixel's footprint.
        halves: the pose from either half of the recording.
        one_zone: the pose, were a person of one temperature.
        lag_r2: (n, 2) seconds of offset and score; empty without times.
    """

    calibration: Calibration
    before: Pose
    fwhm: float
    zone_c: dict[str, float]
    search: Search
    orientation_r2: dict[tuple[int, bool], float]
    residual_c: np.ndarray
    weight: np.ndarray
    coverage: np.ndarray
    halves: tuple[Pose, Pose]
    one_zone: Pose
    lag_r2: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))


def fit_calibration(
    heatmaps: np.ndarray,
    masks: np.ndarray,
    image_size: tuple[int, int],
    config: FitConfig = FitConfig(),
    *,
    clip: np.ndarray | None = None,
    image_times_ns: np.ndarray | None = None,
    series: HeatmapSeries | None = None,
    offset_ms: float = 0.0,
    masks_name: str = "given",
    clips: dict[str, str] | None = None,
    synthetic: bool = False,
) -> Fit:
    """Fit where the sensor lies in the image.

    The time offset is fitted when the images' times and the whole series of heatmaps are given; else `offset_ms` is
    taken over as it stands, and `offset_ms_sd` is 0.

    Args:
        heatmaps: (N, 8, 8) float32, degC, after the rig's rotation; each paired with a mask.
        masks: (N, h, w) bool or float 0..1, union of the people in view, over the whole image at any resolution.
        image_size: (width, height) of the recorded image, px.
        config: see `FitConfig`.
        clip: (N,) int, which clip each frame is of: each has its own background; one clip if None.
        image_times_ns: (N,) int64, when each image was taken.
        series: all heatmaps of the clips, on the same clock; `clip` numbers its clips too.
        offset_ms: image time + offset = heatmap time, measured elsewhere.
        masks_name, clips, synthetic: written into the calibration.

    Raises:
        CalibrationError: shapes that do not match, too few frames, heat that never changes, masks without anyone.
    """
    heatmaps = _check(heatmaps, masks)
    count = len(heatmaps)
    clip = np.zeros(count, dtype=np.int64) if clip is None else np.asarray(clip)
    zones = cut_zones(masks, config.columns)
    occupied = zones.sum(axis=(1, 2, 3)) > 0.01 * zones.shape[2] * zones.shape[3]
    if not occupied.any():
        raise CalibrationError(
            f"no person in any of {count} masks; record someone walking in view, or try other --masks"
        )
    cell_px = (image_size[0] / zones.shape[3], image_size[1] / zones.shape[2])
    evidence = Evidence(heatmaps, zones, clip, np.ones(count), cell_px)

    # Whole people are enough to find the basin; the bias of doing so is a small part of it.
    whole = zones.sum(axis=1, keepdims=True)
    search = search_poses(replace(evidence, zones=whole), image_size, config.fwhm)
    peaks = search.peaks(config.candidates)
    if not peaks:
        raise CalibrationError("heat and masks share nothing at any pose; check that they are of the same clips")
    refined = [refine_pose(evidence, peak, config.fwhm, evaluations=70) for peak in peaks]
    pose, fwhm, _ = max(refined, key=lambda found: found[2])

    lag_r2 = np.zeros((0, 2))
    rate = None
    if series is not None and image_times_ns is not None:
        for _ in range(2):
            offset_s, lag_r2 = refine_lag(evidence, series, image_times_ns, pose, fwhm, config.offset_reach_s)
            evidence = replace(evidence, heat=series.at(image_times_ns + round(offset_s * 1e9), clip))
            pose, fwhm, _ = refine_pose(evidence, pose, fwhm, evaluations=60)
            offset_ms = 1e3 * offset_s
        rate = series.rate_at(image_times_ns + round(offset_ms * 1e6), clip)
    evidence = replace(evidence, weight=trust_frames(explain(evidence, pose, fwhm)))
    pose, fwhm, _ = refine_pose(evidence, pose, fwhm, evaluations=150)
    explained = explain(evidence, pose, fwhm)

    blocks = number_blocks(clip, image_times_ns, config.block_s)
    spread = sandwich(evidence, explained, pose, fwhm, blocks, rate)
    halves = _fit_halves(evidence, pose, fwhm, blocks % 2 == 1)
    one_zone = refine_pose(replace(evidence, zones=whole), pose, fwhm, evaluations=80)[0]

    tx_sd = float(np.hypot(spread[0], config.tx_floor * pose.s))
    ty_sd = float(np.hypot(spread[1], config.ty_floor * pose.s))
    s_sd = float(np.hypot(spread[2], config.s_floor * pose.s))
    filled = see(evidence.zones, cell_px, pose, fwhm)[0].sum(axis=1)
    coverage = (filled > 0.3).mean(axis=0)
    findings = Findings(
        frames=int(occupied.sum()),
        coverage=coverage,
        counts=explained.counts,
        r2=explained.r2,
        fwhm=fwhm,
        sd_share=(tx_sd / pose.s, ty_sd / pose.s),
        halves_apart=_halves_apart(halves, (tx_sd, ty_sd, s_sd)),
        orientation_r2=dict(zip(ORIENTATIONS, search.best.tolist(), strict=True)),
        on_border=search.on_border(pose),
        missing_masks=_share_missing(heatmaps, clip, occupied),
        masks_out_of_place=masks_name == "small" and not synthetic,
    )
    verdict, advice = judge(findings)
    calibration = Calibration(
        tx=pose.tx,
        ty=pose.ty,
        s=pose.s,
        offset_ms=float(offset_ms),
        tx_sd=tx_sd,
        ty_sd=ty_sd,
        s_sd=s_sd,
        offset_ms_sd=float(np.hypot(1e3 * spread[3], config.offset_floor_ms)) if rate is not None else 0.0,
        image_size=(int(image_size[0]), int(image_size[1])),
        score=float(np.clip(explained.r2, 0, 1)),
        overlap=overlap(heatmaps, masks, pose, image_size),
        verdict=verdict,
        advice=advice,
        masks=masks_name,
        frames=count,
        clips=clips or {},
        synthetic=synthetic,
    )
    return Fit(
        calibration=calibration,
        before=guess_pose(image_size),
        fwhm=fwhm,
        zone_c=dict(zip(ZONES, explained.zone_c.tolist(), strict=True)),
        search=search,
        orientation_r2=findings.orientation_r2,
        residual_c=frame_rms(explained),
        weight=evidence.weight,
        coverage=coverage,
        halves=halves,
        one_zone=one_zone,
        lag_r2=lag_r2,
    )


def _check(heatmaps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The heatmaps as float32, once they can be fitted at all."""
    heatmaps = np.asarray(heatmaps, dtype=np.float32)
    if heatmaps.ndim != 3 or heatmaps.shape[1:] != (GRID, GRID) or masks.ndim != 3 or len(masks) != len(heatmaps):
        raise CalibrationError(
            f"heatmaps are {heatmaps.shape} and masks {masks.shape}; need (N, {GRID}, {GRID}) and (N, h, w)"
        )
    if len(heatmaps) < FEWEST_FRAMES:
        raise CalibrationError(f"{len(heatmaps)} frames; calibration needs {FEWEST_FRAMES} at least, 200 is good")
    if not np.isfinite(heatmaps).all():
        raise CalibrationError("a heatmap holds values that are not numbers; check the clip with `lrt clips verify`")
    change = heatmaps - heatmaps.mean(axis=0)
    if change.std() < LEAST_CHANGE_C:
        raise CalibrationError(
            f"the heat hardly changes over {len(heatmaps)} frames (sd {change.std():.2f} degC); "
            "record someone walking through the view"
        )
    return heatmaps


def _fit_halves(evidence: Evidence, pose: Pose, fwhm: float, second: np.ndarray) -> tuple[Pose, Pose]:
    """The pose from either half; the whole's, where a half holds nobody or nothing."""
    poses = []
    for half in (~second, second):
        part = evidence.select(half)
        someone = len(part.heat) >= FEWEST_FRAMES and part.zones.any()
        poses.append(refine_pose(part, pose, fwhm, evaluations=80)[0] if someone else pose)
    return poses[0], poses[1]


def _halves_apart(halves: tuple[Pose, Pose], sd: tuple[float, float, float]) -> float:
    """The largest difference of tx, ty or s between two halves, in its own standard deviations.

    Either half has twice the whole's variance, so their difference has four times it.
    """
    apart = np.abs(np.array([getattr(halves[0], name) - getattr(halves[1], name) for name in ("tx", "ty", "s")]))
    return float((apart / (2 * np.array(sd))).max())


def _share_missing(heatmaps: np.ndarray, clip: np.ndarray, occupied: np.ndarray) -> float:
    """Of the frames with clear warmth, the share whose mask is empty."""
    rise = heat_above_background(heatmaps, clip)
    warm = (rise > WARM_C).sum(axis=(1, 2)) >= WARM_PIXELS
    return float((warm & ~occupied).sum() / max(warm.sum(), 1))
