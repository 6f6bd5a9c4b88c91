"""The page of a calibration: all that its verdict rests on, in one file.

It refers to no other file, and its figures are SVG: it can be read offline, on a phone and on paper, kept beside a
paper's data, and cited.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import date

import jinja2
import numpy as np

from . import verdict
from .charts import data_uri
from .check import NAMES, Check
from .distance import DistanceConfig, tabulate_shifts, usable_range
from .fitting import Fit
from .geometry import Calibration, CalibrationError, equal_angles, find_view
from .overlay import Shown
from .plots import draw_figures, give, pose_of, see_pixels


@dataclass(frozen=True)
class Gate:
    """One thing the verdict rests on: what was found, and what is asked for."""

    name: str
    found: str
    asked: str
    met: bool


def render_page(
    fit: Fit,
    shown: Shown,
    made: date,
    distance: DistanceConfig,
    check: Check | None = None,
) -> str:
    """The report as one HTML page that needs no other file.

    Args:
        fit: what was found; `check.fit` where an old calibration was checked.
        shown: of its frames, before as `check.calibration` has it where there is a check.
        made: the day that the page names.
        distance: the rig's baseline and where people stood, for the distance table.
        check: an old calibration held against these frames.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lrt", "calibration"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    c = fit.calibration
    why, do = _split_advice(check.advice if check else c.advice)
    near, far = usable_range(distance)
    try:
        cell: float | None = find_view(c).cell
    except CalibrationError:  # a fit gone astray: that is what the page has to show
        cell = None
    return environment.get_template("report.html.jinja").render(
        c=c,
        fit=fit,
        check=check,
        made=made,
        verdict=check.verdict if check else c.verdict,
        why=why,
        do=do,
        parameters=_list_parameters(fit),
        notes=[note[:1].upper() + note[1:].rstrip(".") + "." for note in (*(check.notes if check else ()), *fit.notes)],
        comparison=_list_moves(check) if check else [],
        quality=_list_quality(fit, shown.overlap_before, check),
        gates=_list_gates(fit, shown.with_someone),
        frames=[
            (frame.kind, frame.residual_c, data_uri(frame.before, ".jpg"), data_uri(frame.after, ".jpg"))
            for frame in shown.frames
        ],
        figures=draw_figures(fit),
        shifts=tabulate_shifts(distance, c.s, cell),
        distance=distance,
        near=near,
        far=far,
        citation=_cite(c, made),
        calibration_id=_identify(c),
        saved=_as_saved(c),
    )


def _as_saved(c: Calibration) -> str:
    """The calibration as calibration.json has it."""
    return json.dumps(c.to_json(), indent=2) + "\n"


def _identify(c: Calibration) -> str:
    """SHA-256 of calibration.json, by which a dataset names the calibration it was cut with."""
    return hashlib.sha256(_as_saved(c).encode()).hexdigest()


def _cite(c: Calibration, made: date) -> str:
    """Everything that a methods section needs, in one paragraph."""
    offset = f", time offset {give(c.offset_ms, c.offset_ms_sd, 'ms', 0)}" if c.offset_ms_sd > 0 else ""
    twin = " The clips are synthetic: a rig's digital twin made them, no sensor and no person." if c.synthetic else ""
    return (
        f"AMG8833 to camera calibration of {made.isoformat()} by lrt {c.software}: sensor centre "
        f"x {give(c.tx, c.tx_sd, 'px')}, y {give(c.ty, c.ty_sd, 'px')}, one thermal pixel "
        f"{give(c.s, c.s_sd, 'px', 2)} of images of {c.image_size[0]}x{c.image_size[1]} px{offset} (+- one standard "
        f"deviation, systematic floors included); {c.frames} frames of {_count(c.clips)}, person masks: {c.masks}; "
        f"heat explained r2 = {c.score:.2f}, overlap of warm region and person IoU = {c.overlap:.2f}; verdict "
        f"{c.verdict}.{twin} calibration.json SHA-256 {_identify(c)}."
    )


def _count(clips: dict[str, str]) -> str:
    return "1 clip" if len(clips) == 1 else f"{len(clips)} clips"


def _split_advice(advice: str) -> tuple[str, str]:
    """(why, what to do): advice says the finding, a colon, and the deed."""
    if not advice:
        return "", "Nothing to record again: use this calibration."
    why, colon, do = advice.partition(": ")
    why, do = (why, do) if colon else ("", why)
    return why[:1].upper() + why[1:], do[:1].upper() + do[1:] + "."


def _list_parameters(fit: Fit) -> list[tuple[str, str, str, str, str]]:
    """(name, meaning, value with sd, the sd in thermal pixels, systematic part of it) of every parameter."""
    c = fit.calibration

    def row(name: str, meaning: str, sd: float, systematic: float, digits: int) -> tuple[str, str, str, str, str]:
        share = f"{sd / c.s:.1%}" if np.isfinite(sd) else "not known"
        return name, meaning, give(getattr(c, name), sd, "px", digits), share, f"{systematic:.{digits}f} px"

    rows = [
        row("tx", "sensor's centre, from the image's left edge", c.tx_sd, fit.systematic[0], 1),
        row("ty", "sensor's centre, from the image's top edge", c.ty_sd, fit.systematic[1], 1),
        row("s", "one thermal pixel in the image", c.s_sd, fit.systematic[2], 2),
    ]
    about = "image time + offset = heatmap time" + ("" if c.offset_ms_sd > 0 else "; taken over, not fitted")
    offset = give(c.offset_ms, c.offset_ms_sd, "ms") if c.offset_ms_sd > 0 else f"{c.offset_ms:.1f} ms"
    rows.append(("offset", about, offset, "", ""))
    known, free = fit.lens_r2
    about = f"how pixels grow outwards; r2 in frames kept out {known:.3f} as known, {free:.3f} with any"
    named = {0.0: "0, equal sizes", equal_angles(c.grid): f"{c.lens_k:.4f}, equal angles"}
    rows.append(("lens k", about, named.get(c.lens_k, f"{c.lens_k:.4f}"), "", ""))
    return rows


def _list_moves(check: Check) -> list[tuple[str, str, str, str, str]]:
    """(name, old, new, moved, moved in sd) of every parameter that both have."""
    rows = []
    for name in NAMES:
        if name not in check.moved:
            continue
        unit, digits = ("ms", 1) if name == "offset_ms" else ("px", 2 if name == "s" else 1)
        old, new = (
            give(getattr(each, name), getattr(each, f"{name}_sd"), unit, digits)
            for each in (check.calibration, check.fit.calibration)
        )
        moved = f"{check.moved[name]:+.{digits}f} {unit}"
        rows.append((name.removesuffix("_ms"), old, new, moved, f"{check.sds[name]:.1f} sd"))
    return rows


def _list_quality(fit: Fit, overlap_before: float, check: Check | None) -> list[tuple[str, str]]:
    """(value, name) of the few figures that say how good the fit is."""
    c = fit.calibration
    explained = f"{check.r2:.2f} → {check.best_r2:.2f}" if check else f"{c.score:.2f}"
    way = "old pose → best" if check else "before → after"
    return [
        (explained, f"r2: share of the heat that the masks explain{f', {way}' if check else ''}"),
        (f"{fit.held_out_r2:.2f}", "r2 in the half of the frames kept out"),
        (f"{overlap_before:.2f} → {c.overlap:.2f}", f"overlap (IoU), {way}"),
        (f"{fit.fwhm:.2f}", "footprint of a pixel, in pixels (FWHM)"),
        (f"{c.frames}", f"frames of {_count(c.clips)}"),
    ]


def _list_gates(fit: Fit, someone: int) -> list[Gate]:
    """Each thing that the verdict asks for, measured."""
    c = fit.calibration
    margin = fit.orientation_r2[(0, False)] - max(r2 for key, r2 in fit.orientation_r2.items() if key != (0, False))
    worst_sd = max(c.tx_sd, c.ty_sd) / c.s
    worst = f"{worst_sd:.1%} of a thermal pixel" if np.isfinite(worst_sd) else "not known"
    apart = max(
        abs(getattr(fit.halves[0], name) - getattr(fit.halves[1], name)) / (2 * getattr(c, f"{name}_sd"))
        for name in ("tx", "ty", "s")
    )
    visible, visited = see_pixels(fit) > 0.5, fit.coverage > verdict.VISITED
    # Axis 0 leaves the columns
    columns, rows = (int(np.any(visited, axis=axis).sum()) for axis in (0, 1))
    in_view = [int(np.any(visible, axis=axis).sum()) for axis in (0, 1)]
    high, wide = c.grid
    least_columns = int(np.ceil(min(verdict.LEAST_COLUMNS * wide, in_view[0])))
    least_rows = int(np.ceil(min(verdict.LEAST_ROWS * high, in_view[1])))
    least, most = verdict.FWHM_RANGE
    kept_out = verdict.LEAST_HELD_OUT * c.score
    outside = fit.search.on_border(pose_of(c))
    gates = [
        ("Frames with someone in view", someone, f"{verdict.ENOUGH_FRAMES} or more", someone >= verdict.ENOUGH_FRAMES),
        ("Heat explained by the masks (r2)", f"{c.score:.2f}", f"{verdict.LEAST_R2:.2f} or more",
         c.score >= verdict.LEAST_R2),
        ("The same in frames kept out", f"{fit.held_out_r2:.2f}", f"{kept_out:.2f} or more",
         fit.held_out_r2 >= kept_out),
        ("Thermal columns visited", f"{columns} of {wide}", f"{least_columns} or more", columns >= least_columns),
        ("Thermal rows visited", f"{rows} of {high}", f"{least_rows} or more", rows >= least_rows),
        ("Mounting beats the next best by (r2)", f"{margin:+.2f}", f"{verdict.LEAST_MARGIN} or more",
         margin >= verdict.LEAST_MARGIN),
        ("Footprint of a pixel", f"{fit.fwhm:.2f}", f"{least} to {most}", least <= fit.fwhm <= most),
        ("Uncertainty of the centre", worst, f"{verdict.MOST_SD:.0%} or less", worst_sd <= verdict.MOST_SD),
        ("Halves of the frames are apart", f"{apart:.1f} sd", "2 sd or less", apart <= 2),
        ("Place within what was searched", "no" if outside else "yes", "yes", not outside),
    ]  # fmt: skip
    listed = [Gate(name, str(found), asked, met) for name, found, asked, met in gates]
    if c.verdict != "PASS":  # what is wrong stands first, measured above or not
        listed.insert(0, Gate(_split_advice(c.advice)[0] or c.advice, "", "", False))
    return listed
