"""Does an old calibration still hold on new clips? A knock, a new case or another lens shows here before it costs a
dataset."""

from dataclasses import dataclass, replace

import numpy as np

from .fitting import Fit, FitConfig, fit_calibration
from .forward import Evidence, Pose, explain
from .geometry import Calibration, CalibrationError
from .lag import HeatmapSeries
from .overlap import overlap
from .verdict import MOST_SD
from .zones import cut_zones

HOLDS_SDS, MOVED_SDS = 2.0, 3.0  # of four parameters one passes 2 by chance in six checks, 3 in a hundred
OTHER_RIG_PX, OTHER_RIG_SCALE = 1.0, 0.1  # thermal pixels, share of s: no knock moves a bolted bracket so far
NAMES = ("tx", "ty", "s", "offset_ms")


@dataclass(frozen=True, eq=False)
class Check:
    """What new clips say of an old calibration.

    Attributes:
        calibration: the old one.
        fit: a whole fit of the new clips alone; its calibration holds the best pose and how sure that is.
        moved: best less old, of tx, ty, s (px) and offset_ms (ms; left out where either was not fitted).
        sds: the same in standard deviations of the difference (old and new in quadrature), no sign.
        r2, overlap: of the new clips at the old pose, as `Calibration` has `score` and `overlap`.
        best_r2, best_overlap: at the best pose.
        verdict: "HOLDS", "MOVED" or "UNSURE".
        advice: the one thing to do.
        notes: what else a reader must know, one sentence each.
    """

    calibration: Calibration
    fit: Fit
    moved: dict[str, float]
    sds: dict[str, float]
    r2: float
    best_r2: float
    overlap: float
    best_overlap: float
    verdict: str
    advice: str
    notes: tuple[str, ...] = ()


def check_calibration(
    calibration: Calibration,
    heatmaps: np.ndarray,
    masks: np.ndarray,
    image_size: tuple[int, int],
    config: FitConfig | None = None,
    *,
    clip: np.ndarray | None = None,
    image_times_ns: np.ndarray | None = None,
    series: HeatmapSeries | None = None,
    masks_name: str = "given",
    clips: dict[str, str] | None = None,
    synthetic: bool = False,
    mounted: tuple[int, bool] | None = None,
) -> Check:
    """Fit new clips by themselves, and compare with what the calibration says.

    The search is as wide as a calibration's, so that a turned sensor or another rig is found too. People nearer or
    further away than before move the heat by parallax as well (`distance`): walk as then.

    Args:
        calibration: the old one; the other arguments are those of `fit_calibration`, of the new clips.

    Raises:
        CalibrationError: images of another size; a twin's calibration on a real rig's clips, or the other way; clips
            that cannot be fitted at all (see `fit_calibration`).
    """
    # Neither lens has changed, and a short clip could not tell which it is: s would seem to have moved by 4 %
    config, clips = replace(config or FitConfig(), lens=False, lens_k=calibration.lens_k), clips or {}
    refuse_other_rigs(calibration, image_size, synthetic, f"clip {next(iter(clips), 'given')}")
    fit = fit_calibration(
        heatmaps,
        masks,
        image_size,
        config,
        clip=clip,
        image_times_ns=image_times_ns,
        series=series,
        masks_name=masks_name,
        clips=clips,
        synthetic=synthetic,
        mounted=mounted,
    )
    found = fit.calibration
    moved, sds = _compare(calibration, found)
    verdict, advice = _judge(calibration, fit, moved, sds)
    zones = cut_zones(masks, max(config.columns, 3 * found.grid[1]))
    cell_px = (image_size[0] / zones.shape[3], image_size[1] / zones.shape[2])
    group = np.zeros(len(heatmaps), np.int64) if clip is None else np.asarray(clip)

    def score(of: Calibration) -> float:
        heat = np.asarray(heatmaps, np.float32)
        if series is not None and image_times_ns is not None:
            heat = series.at(image_times_ns + round(of.offset_ms * 1e6), group)
        evidence = Evidence(heat, zones, group, fit.weight, cell_px)
        return float(np.clip(explain(evidence, Pose(of.tx, of.ty, of.s, of.lens_k), fit.fwhm).r2, 0, 1))

    return Check(
        calibration=calibration,
        fit=fit,
        moved=moved,
        sds=sds,
        r2=score(calibration),
        best_r2=score(found),
        overlap=overlap(heatmaps, masks, calibration, image_size),
        best_overlap=found.overlap,
        verdict=verdict,
        advice=advice,
        notes=_note(calibration, clips),
    )


def refuse_other_rigs(calibration: Calibration, image_size: tuple[int, int], synthetic: bool, found_in: str) -> None:
    """Refuse what cannot be compared; quick, so that it can be asked before people are looked for.

    Args:
        calibration: the old one.
        image_size, synthetic: of the new clips.
        found_in: what has them, for the message.

    Raises:
        CalibrationError: images of another size; a twin's calibration on a real rig's clips, or the other way.
    """
    calibration.check_image_size(image_size, found_in)
    if calibration.synthetic != synthetic:
        made, found = ("the twin's", "a real rig's") if calibration.synthetic else ("a real rig's", "the twin's")
        raise CalibrationError(f"the calibration is {made} and the clips are {found}: give clips of the same rig")


def _compare(old: Calibration, new: Calibration) -> tuple[dict[str, float], dict[str, float]]:
    """How far each parameter moved, and that in standard deviations."""
    moved, sds = {}, {}
    for name in NAMES:
        spreads = [getattr(each, f"{name}_sd") for each in (old, new)]
        if name == "offset_ms" and min(spreads) <= 0:  # one of them took the offset over as it stood
            continue
        moved[name] = getattr(new, name) - getattr(old, name)
        sds[name] = float(abs(moved[name]) / max(np.hypot(*spreads), 1e-9))
    return moved, sds


def _judge(old: Calibration, fit: Fit, moved: dict[str, float], sds: dict[str, float]) -> tuple[str, str]:
    """Verdict and the one thing to do."""
    if max(old.tx_sd, old.ty_sd) > MOST_SD * old.s:
        return "UNSURE", "the calibration is too uncertain to be checked: record a longer walk and calibrate again"
    if fit.calibration.verdict != "PASS":
        return "UNSURE", fit.calibration.advice
    most = max(sds, key=lambda name: sds[name])
    if sds[most] <= HOLDS_SDS:
        return "HOLDS", "nothing to do: go on with this calibration"
    if sds[most] <= MOVED_SDS:
        return "UNSURE", f"{_say_move(most, moved, old)}, which may be chance: record a longer walk and check again"
    apart = float(np.hypot(moved["tx"], moved["ty"])) / old.s
    if apart > OTHER_RIG_PX or abs(moved["s"]) > OTHER_RIG_SCALE * old.s:
        return "MOVED", (
            f"the heat lies {apart:.1f} thermal pixels from where this calibration has it, and "
            f"{fit.calibration.s / old.s:.0%} as large, as another rig's would: take that rig's calibration, or "
            "calibrate again with these clips"
        )
    return "MOVED", f"{_say_move(most, moved, old)}: calibrate again with these clips, and tighten the bracket"


def _say_move(name: str, moved: dict[str, float], old: Calibration) -> str:
    """One parameter's move, in words."""
    by = moved[name]
    if name == "offset_ms":
        return f"heat comes {abs(by):.0f} ms {'later' if by > 0 else 'earlier'} after the picture than it did"
    if name == "s":
        return f"the heat is {abs(by) / old.s:.1%} {'larger' if by > 0 else 'smaller'} in the picture than it was"
    way = ("right", "left") if name == "tx" else ("below", "above")
    there = f"to the {way[by < 0]} of" if name == "tx" else way[by < 0]
    return f"the heat lies {abs(by):.1f} px ({abs(by) / old.s:.0%} of a thermal pixel) {there} its place"


def _note(calibration: Calibration, clips: dict[str, str]) -> tuple[str, ...]:
    """What else must be known to read the verdict."""
    known = set(calibration.clips.values())
    used = [clip_id for clip_id, sha256 in clips.items() if sha256 in known]
    notes = []
    if used:
        names = ", ".join(used)
        was = "clip" if len(used) == 1 else "clips"
        only = " Record a new one." if len(used) == len(clips) else ""
        notes.append(f"The calibration was made with {was} {names}: agreement there says nothing about later.{only}")
    if calibration.verdict != "PASS":
        notes.append(f"The calibration itself was a {calibration.verdict}: {calibration.advice}.")
    return tuple(notes)
