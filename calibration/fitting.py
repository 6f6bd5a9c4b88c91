"""The fit of shift, scale, lens term and time offset: from heatmaps and person masks to a calibration and its worth.

Exhaustive search finds the basin, damped least squares refine it, and the uncertainty comes from how much blocks of a
few seconds disagree, plus a floor for what all of them share (see `FitConfig`), plus what the choice of pixels moves.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from .figures import (
    halves_apart,
    map_residual,
    note_cut,
    profile_scale,
    share_missing,
    spread_of,
    wandered,
)
from .forward import Evidence, Pose, explain, foretell, guess_pose
from .geometry import Calibration, CalibrationError, equal_angles
from .heldout import ANGLES_NOISE, GAIN_NOISE, LEAST_BEND, Halves, fit_halves, weigh_gain
from .inputs import Inputs, check_inputs, replace_beyond, share_cut
from .lag import HeatmapSeries
from .objectives import OBJECTIVES, find_pose
from .overlap import overlap
from .refine import frame_rms, refine_lag, refine_pose, trust_frames
from .search import FIELD_RANGE, Search, orient, search_poses
from .uncertainty import number_blocks, sandwich
from .verdict import Findings, judge
from .zones import PARTS, WANDER_C, cut_zones

RIVAL_R2 = 0.12  # orientations this near the best of the coarse search are refined before one is believed
ENOUGH_FOR_BASIN = 80  # frames that choose between peaks of the search
TURNS = 3  # of weights and pose
LEAST_INTERIOR = 2  # rows and columns of whole pixels; fewer cannot tell shift from scale


@dataclass(frozen=True)
class FitConfig:
    """How a rig is fitted; every field with its reason.

    Attributes:
        columns: cells across the image; 80 makes a thermal pixel about 8 cells wide, finer gains nothing. Finer sensors
            get three cells a pixel at least.
        field_range: the sensor's field that is sought, smallest and largest, in widths of the image.
        lens: whether lens terms are tried: that of pixels of equal angles, which stays if it explains the heat better
            than pixels of equal size, and a free one, which stays only if it foretells frames kept out of the fit much
            better than either. A free one left s 1.5 % off in simulation, where the right one of the two left 1.1.
        lens_k: where the lens term starts; without `lens` it stays there.
        bend_range: the lens term at the edge of the sensor's field, as a share of its distance from the centre. Equal
            angles over 60 degrees make 0.09, a camera's own distortion some hundredths; a sensor of 110 degrees 0.35.
        fwhm: footprint to start from, thermal pixels; two real sensors gave 0.95 to 1.05.
        candidates: peaks of the search that are refined; the right one was always among the best two.
        block_s: frames this near in time share their faults (clothes, stance), so they count as one.
        offset_reach_s: the time offset is sought this far either way.
        tx_floor, ty_floor: thermal pixels; s_floor: share of s. What every frame has in common (clothes warmer than
            bare arms, hair over face) moved real fits that far without showing in their scatter; added in quadrature.
        offset_floor_ms: the same for the time offset; one simulated walk in ten was 22 ms off.
    """

    columns: int = 80
    field_range: tuple[float, float] = FIELD_RANGE
    lens: bool = True
    lens_k: float = 0.0
    bend_range: tuple[float, float] = (-0.05, 0.14)
    fwhm: float = 1.05
    candidates: int = 3
    block_s: float = 5.0
    offset_reach_s: float = 0.5
    tx_floor: float = 0.015
    ty_floor: float = 0.06
    s_floor: float = 0.02
    offset_floor_ms: float = 12.0


@dataclass(frozen=True, eq=False)
class Fit:
    """A calibration and what shows whether to believe it.

    Attributes:
        calibration: the result.
        before: the pose of an uncalibrated rig, for comparison.
        fwhm: footprint of a thermal pixel, thermal pixels.
        zone_c: degC above what it hides, for each part of the body.
        search: score of every pose on the coarse grid.
        orientation_r2: best score of each way to mount the sensor, keyed (quarter turns, mirrored): of the coarse
            search, refined for those near the best.
        residual_c: (N,) rms of each frame's unexplained heat, degC.
        weight: (N,) how far each frame was trusted in the end, 0..1.
        coverage: (R, C) share of the frames in which a person filled a third of the pixel's footprint.
        halves: the pose from either half of the recording.
        one_zone: the pose, were a person of one temperature.
        interior: the pose from the pixels whose footprint lies well inside the image.
        systematic: half of what lies between the outermost of pose, `one_zone` and `interior`: tx, ty, s in px.
        residual_map: (R, C) rms of each thermal pixel's unexplained heat, degC; NaN where it sees past the image.
        s_profile: (n, 2) s in px and r2 there, at the fitted shift.
        held_out_r2: fitted on one half of the recording, scored on the other; the mean of both ways.
        lens_r2: the same with the better of the two known lens terms and with a free one; equal where none was tried.
        notes: what was put right or is worth knowing, and is no reason to warn.
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
    interior: Pose
    systematic: tuple[float, float, float]
    residual_map: np.ndarray
    s_profile: np.ndarray
    held_out_r2: float
    lens_r2: tuple[float, float]
    notes: tuple[str, ...] = ()
    lag_r2: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))


def fit_calibration(
    heatmaps: np.ndarray,
    masks: np.ndarray,
    image_size: tuple[int, int],
    config: FitConfig = FitConfig(),
    *,
    objective: str = "forward",
    clip: np.ndarray | None = None,
    image_times_ns: np.ndarray | None = None,
    series: HeatmapSeries | None = None,
    offset_ms: float = 0.0,
    masks_name: str = "given",
    clips: dict[str, str] | None = None,
    synthetic: bool = False,
    mounted: tuple[int, bool] | None = None,
) -> Fit:
    """Fit where the sensor lies in the image, on arrays alone; `lrt.calibration.fit` is this function.

    The time offset is fitted when the images' times and the whole series of heatmaps are given; else `offset_ms` is
    taken over as it stands, and `offset_ms_sd` is 0.

        fit = lrt.calibration.fit(heatmaps, masks, (640, 480))
        fit.calibration.tx, fit.calibration.tx_sd, fit.calibration.verdict

    Args:
        heatmaps: (N, R, C), degC, after the rig's rotation, each paired with a mask; 8x8, 24x32 or any grid from 4x4;
            N >= 20 with someone in view, 200 is good.
        masks: (N, h, w) bool or float 0..1, union of the people in view, over the whole image at any resolution.
        image_size: (width, height) of the recorded image, px; every length of the result is in these.
        config: see `FitConfig`.
        objective: what the pose maximises. "forward": the heat's variance that masks seen through the sensor explain.
            For comparison: "authors", the published agreement of thresholded heat and mask (see `authors.py`); "iou",
            the overlap of two soft regions. The standard deviations know nothing of those two's own bias.
        clip: (N,) int, which clip each frame is of: each has its own background; one clip if None.
        image_times_ns: (N,) int64, when each image was taken.
        series: all heatmaps of the clips, on the same clock; `clip` numbers its clips too.
        offset_ms: image time + offset = heatmap time, measured elsewhere.
        masks_name, clips, synthetic: written into the calibration.
        mounted: (rotation in degrees clockwise, mirror) of the rig file, which the heatmaps went through; with it the
            advice for a turned sensor names the values to write there, without it the change.

    Raises:
        CalibrationError: see `inputs.check_inputs`; heat and masks that share nothing; no such objective.
    """
    if objective not in OBJECTIVES:
        raise CalibrationError(f"no such objective: '{objective}'; it is one of {', '.join(OBJECTIVES)}")
    given = check_inputs(heatmaps, masks, image_size)
    count, grid = len(given.heatmaps), (given.heatmaps.shape[1], given.heatmaps.shape[2])
    clip = np.zeros(count, dtype=np.int64) if clip is None else np.asarray(clip)
    evidence = _gather(given, clip, image_size, config)
    whole = evidence.merge_zones()
    search = _search(evidence, image_size, config)
    ways = _refine_orientations(evidence, search, config.fwhm)

    def locate(chosen: np.ndarray, part: Evidence) -> tuple[Pose, float]:
        """The pose of some frames by a plainer objective, and the footprint there."""
        found = find_pose(objective, given.heatmaps[chosen], given.masks[chosen], image_size, part)
        return found, _fit_footprint(part, found, config.fwhm)

    if objective == "forward":
        pose, fwhm = _refine_peaks(evidence, search, config)
    else:
        pose, fwhm = locate(np.ones(count, dtype=bool), evidence)

    lag_r2 = np.zeros((0, 2))
    rate = None
    if series is not None and image_times_ns is not None:
        series = replace(series, celsius=replace_beyond(series.celsius))
        for _ in range(2):
            offset_s, lag_r2 = refine_lag(evidence, series, image_times_ns, pose, fwhm, config.offset_reach_s)
            evidence = replace(evidence, heat=series.at(image_times_ns + round(offset_s * 1e9), clip))
            if objective == "forward":
                pose, fwhm, _ = refine_pose(evidence, pose, fwhm)
            offset_ms = 1e3 * offset_s
        rate = series.rate_at(image_times_ns + round(offset_ms * 1e6), clip)
    blocks = number_blocks(clip, image_times_ns, config.block_s)
    second = blocks % 2 == 1
    if objective == "forward":
        evidence, pose, fwhm = _settle(evidence, given.usable, pose, fwhm, blocks if config.lens else None)
        known_k = pose.lens_k
        pose, fwhm, halves, lens_r2, bent = _try_lens(
            evidence, pose, fwhm, blocks, config.bend_range if config.lens else None
        )
    else:
        evidence = replace(evidence, weight=given.usable * trust_frames(explain(evidence, pose, fwhm)))
        halves = fit_halves(evidence, (pose, fwhm), second, evidence.optics(pose, fwhm).counts, locate)
        lens_r2, bent, known_k = (halves.r2, halves.r2), pose, pose.lens_k
    explained = explain(evidence, pose, fwhm)

    one_zone = refine_pose(evidence.merge_zones(), pose, fwhm)[0]
    interior = _refine_interior(evidence, pose, fwhm)
    systematic = spread_of((pose, one_zone, interior))
    spread = sandwich(evidence, explained, pose, fwhm, blocks, rate, free_lens=pose.lens_k != known_k)
    # What the choice of pixels and of the lens term moves counts; a person of one temperature is known to be wrong
    choices = spread_of((pose, interior, bent))
    floors = (config.tx_floor * pose.s, config.ty_floor * pose.s, config.s_floor * pose.s)
    tx_sd, ty_sd, s_sd = (float(np.linalg.norm(parts)) for parts in zip(spread[:3], floors, choices, strict=True))
    coverage = (whole.see(evidence.optics(pose, fwhm))[:, 0] > 0.3).mean(axis=0)
    findings = Findings(
        frames=int((given.occupied & given.usable).sum()),
        coverage=coverage,
        counts=explained.counts,
        r2=explained.r2,
        held_out_r2=halves.r2,
        fwhm=fwhm,
        sd_share=(tx_sd / pose.s, ty_sd / pose.s),
        halves_apart=halves_apart(halves.poses, (tx_sd, ty_sd, s_sd)),
        orientation_r2=ways,
        on_border=search.on_border(pose),
        missing_masks=share_missing(given, clip),
        moved=wandered(whole.zones[given.occupied, 0], evidence.cell_px, pose.s),
        masks_out_of_place=masks_name == "small" and not synthetic,
        mounted=mounted,
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
        overlap=overlap(given.heatmaps, given.masks, pose, image_size),
        verdict=verdict,
        advice=advice,
        masks=masks_name,
        frames=count,
        clips=clips or {},
        synthetic=synthetic,
        grid=grid,
        lens_k=pose.lens_k,
        objective=objective,
        systematic=systematic,
    )
    return Fit(
        calibration=calibration,
        before=guess_pose(image_size, grid),
        fwhm=fwhm,
        zone_c=dict(zip(PARTS, explained.zone_c.tolist(), strict=False)),
        search=search,
        orientation_r2=ways,
        residual_c=frame_rms(explained),
        weight=evidence.weight,
        coverage=coverage,
        halves=halves.poses,
        one_zone=one_zone,
        interior=interior,
        systematic=systematic,
        residual_map=map_residual(explained, evidence.weight),
        s_profile=profile_scale(evidence, pose, fwhm),
        held_out_r2=halves.r2,
        lens_r2=lens_r2,
        notes=(*given.notes, *note_cut(share_cut(given.masks, given.occupied))),
        lag_r2=lag_r2,
    )


def fit_pose(
    heatmaps: np.ndarray, masks: np.ndarray, image_size: tuple[int, int], config: FitConfig = FitConfig()
) -> Pose:
    """The pose alone, as the forward model has it: no uncertainty, no free lens term, no verdict; half the cost.

    Args:
        heatmaps, masks, image_size, config: see `fit_calibration`.
    """
    given = check_inputs(heatmaps, masks, image_size)
    evidence = _gather(given, np.zeros(len(given.heatmaps), dtype=np.int64), image_size, config)
    pose, fwhm = _refine_peaks(evidence, _search(evidence, image_size, config), config)
    blocks = number_blocks(evidence.group, None, config.block_s)
    return _settle(evidence, given.usable, pose, fwhm, blocks if config.lens else None)[1]


def _gather(given: Inputs, clip: np.ndarray, image_size: tuple[int, int], config: FitConfig) -> Evidence:
    """Heat and body zones of frames that passed."""
    zones = cut_zones(given.masks, max(config.columns, 3 * given.heatmaps.shape[2]))
    cell_px = (image_size[0] / zones.shape[3], image_size[1] / zones.shape[2])
    return Evidence(given.heatmaps, zones, clip, given.usable.astype(np.float64), cell_px, WANDER_C)


def _search(evidence: Evidence, image_size: tuple[int, int], config: FitConfig) -> Search:
    """The coarse search: whole people are enough to find the basin; the bias of doing so is a small part of it."""
    return search_poses(evidence.merge_zones().coarsen(), image_size, config.fwhm, config.field_range)


def _refine_peaks(evidence: Evidence, search: Search, config: FitConfig) -> tuple[Pose, float]:
    """The best pose and footprint from the search's peaks."""
    peaks = search.peaks(config.candidates)
    if not peaks:
        raise CalibrationError("heat and masks share nothing at any pose; check that they are of the same clips")
    some = _thin(evidence)
    starts = [replace(peak, lens_k=config.lens_k) for peak in peaks]
    pose, fwhm, _ = max((refine_pose(some, start, config.fwhm) for start in starts), key=lambda found: found[2])
    return refine_pose(evidence, pose, fwhm)[:2]


def _thin(evidence: Evidence) -> Evidence:
    """Some frames, evenly, each zone of one temperature in all: enough to tell one basin from another.

    Temperatures that may wander make good of a wrong basin too: a rig upright by 0.66 to 0.62 was upside down by 0.60.
    """
    some = np.arange(len(evidence.heat)) % max(1, len(evidence.heat) // ENOUGH_FOR_BASIN) == 0
    return replace(evidence.select(some), wander_c=())


def _refine_orientations(evidence: Evidence, search: Search, fwhm: float) -> dict[tuple[int, bool], float]:
    """The best r2 of every way to mount the sensor; where several come near the best, as refined with body zones."""
    least = max(search.best.values()) - RIVAL_R2
    rivals = [way for way, r2 in search.best.items() if r2 >= least]
    found = dict(search.best)
    some = _thin(evidence)
    for way in rivals if len(rivals) > 1 else ():
        turned = replace(some, heat=np.ascontiguousarray(orient(some.heat, way)))
        found[way] = refine_pose(turned, search.best_pose[way], fwhm)[2]
    return found


def _settle(
    evidence: Evidence, usable: np.ndarray, pose: Pose, fwhm: float, blocks: np.ndarray | None
) -> tuple[Evidence, Pose, float]:
    """Pose, footprint and each frame's weight, in turns; and, where blocks are given, which known lens term it is.

    A frame's weight rests on how it fits, and the fit on the weights: where one mask in ten lacks its legs, one turn of
    milder weights left ty 2 % of a thermal pixel further off.
    """
    for turn in range(TURNS):
        evidence = replace(evidence, weight=usable * trust_frames(explain(evidence, pose, fwhm)))
        pose, fwhm, _ = refine_pose(evidence, pose, fwhm)
        if blocks is not None and turn == TURNS - 2:
            pose, fwhm = _choose_lens(evidence, pose, fwhm, blocks)
    return evidence, pose, fwhm


def _choose_lens(evidence: Evidence, pose: Pose, fwhm: float, blocks: np.ndarray) -> tuple[Pose, float]:
    """The pose as it is, its pixels of one size, or one with pixels of equal angles where that explains more heat."""
    k = equal_angles(evidence.grid)
    halfway = max(evidence.grid) / 4  # where both start as one
    start = replace(pose, s=pose.s / (1 + k * halfway**2), lens_k=k)
    angles = refine_pose(evidence, start, fwhm)[:2]
    counts = evidence.optics(pose, fwhm).counts

    def left(pose: Pose, fwhm: float) -> np.ndarray:
        return foretell(evidence, pose, fwhm, explain(evidence, pose, fwhm, counts).zone_c, counts)[2]

    gain = weigh_gain(left(pose, fwhm), left(*angles), blocks)
    return angles if gain > ANGLES_NOISE else (pose, fwhm)


def _try_lens(
    evidence: Evidence, pose: Pose, fwhm: float, blocks: np.ndarray, bend_range: tuple[float, float] | None
) -> tuple[Pose, float, Halves, tuple[float, float], Pose]:
    """Pose and footprint, the halves, their held-out r2 as they are and with a free lens term, and the pose with that.

    The free term stays if the halves, fitted with it, foretell each other better than without by more than chance.
    """
    counts = evidence.optics(pose, fwhm).counts
    second = blocks % 2 == 1
    known = fit_halves(evidence, (pose, fwhm), second, counts, lambda _, part: refine_pose(part, pose, fwhm)[:2])
    if bend_range is None:
        return pose, fwhm, known, (known.r2, known.r2), pose
    bent_pose, bent_fwhm, _ = refine_pose(evidence, pose, fwhm, bend_range=bend_range)
    bent = fit_halves(
        evidence,
        (bent_pose, bent_fwhm),
        second,
        counts,
        lambda _, part: refine_pose(part, bent_pose, bent_fwhm, bend_range=bend_range)[:2],
    )
    lens_r2 = (known.r2, bent.r2)
    edge = (bent_pose.lens_k - pose.lens_k) * (max(evidence.grid) / 2) ** 2
    if abs(edge) >= LEAST_BEND and weigh_gain(known.own, bent.own, blocks) > GAIN_NOISE:
        return bent_pose, bent_fwhm, bent, lens_r2, bent_pose
    return pose, fwhm, known, lens_r2, bent_pose


def _fit_footprint(evidence: Evidence, pose: Pose, start: float) -> float:
    """The footprint's width at a pose that stands still, thermal pixels."""
    widths = start * np.geomspace(0.7, 1.6, 12)
    return float(max(widths, key=lambda fwhm: explain(evidence, pose, float(fwhm)).r2))


def _refine_interior(evidence: Evidence, pose: Pose, fwhm: float) -> Pose:
    """The pose from pixels well inside the image; the pose itself where there are too few."""
    inside = evidence.optics(pose, fwhm).interior()
    if min(inside.any(axis=0).sum(), inside.any(axis=1).sum()) < LEAST_INTERIOR:
        return pose
    return refine_pose(evidence, pose, fwhm, interior=True)[0]
