"""What shows a calibration: heat laid over the image before and after, and a page with all that it rests on.

The page is one file without any reference to another, with figures drawn here as SVG: it can be read offline, on a
phone and on paper, kept beside a paper's data, and cited.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import cv2
import jinja2
import numpy as np
from markupsafe import Markup

from . import verdict
from .charts import Chart, Figure, data_uri, draw_bars, draw_svg
from .check import NAMES, Check
from .distance import DistanceConfig, tabulate_shifts, usable_range
from .fitting import Fit
from .forward import Pose, lay_footprints
from .geometry import Calibration, CalibrationError, equal_angles, find_view
from .overlay import Shown

INK, PAPER, GREY, MARK = (32, 34, 38), (255, 255, 255), (112, 116, 124), (176, 96, 0)
FONT = cv2.FONT_HERSHEY_DUPLEX
MARGIN, GAP = 28, 12
DISTRUSTED = 0.5  # weight below which a frame is marked
UNSCORED = (128, 128, 128)
SMALLEST_NUMBERED = 24  # units of a figure 340 wide: a smaller square has no room for its number


def draw_report(fit: Fit, shown: Shown) -> np.ndarray:
    """A picture: the heat over the best, a middling and the worst frame, before and after, and the figures.

    Args:
        fit: what was found.
        shown: of its frames.

    Returns:
        (h, w, 3) uint8, RGB.
    """
    c = fit.calibration
    tile = shown.frames[0].after.shape[1::-1]
    page_width = 3 * tile[0] + 2 * MARGIN + 2 * GAP
    head = 210 if c.advice else 176
    page_height = head + 2 * (tile[1] + 34) + MARGIN
    page = np.full((page_height, page_width, 3), 255, np.uint8)
    _write(page, "Calibration: where the heat lies in the picture", (MARGIN, 44), 0.95, INK)
    colour = (0, 120, 60) if c.verdict == "PASS" else MARK
    _write(page, c.verdict, (page_width - MARGIN - 120, 44), 0.95, colour)
    figures = (
        f"centre x {c.tx:.1f} +- {c.tx_sd:.1f} px    centre y {c.ty:.1f} +- {c.ty_sd:.1f} px    "
        f"one thermal pixel {c.s:.2f} +- {c.s_sd:.2f} px"
    )
    if c.offset_ms_sd > 0:
        figures += f"    offset {c.offset_ms:.0f} +- {c.offset_ms_sd:.0f} ms"
    _write(page, figures, (MARGIN, 84), 0.6, INK)
    _write(
        page,
        f"{c.frames} frames, masks: {c.masks}.  Heat explained {c.score:.0%}.  Warm region over person (IoU): "
        f"before {shown.overlap_before:.2f}, after {c.overlap:.2f}.  Footprint {fit.fwhm:.2f} pixels.",
        (MARGIN, 116),
        0.6,
        INK,
    )
    _write(page, "Box: what the sensor sees.  Green line: person mask.  Bright: warm.", (MARGIN, 146), 0.55, GREY)
    if c.advice:
        _write(page, c.advice, (MARGIN, 178), 0.6, MARK)
    for row, label in enumerate(("before", "after")):
        top = head + row * (tile[1] + 34)
        for column, frame in enumerate(shown.frames):
            left = MARGIN + column * (tile[0] + GAP)
            page[top : top + tile[1], left : left + tile[0]] = frame.before if label == "before" else frame.after
            left_over = f", {frame.residual_c:.2f} degC unexplained" if label == "after" else ""
            caption = f"{label}: {frame.kind} frame{left_over}"
            _write(page, caption, (left, top + tile[1] + 22), 0.5, GREY)
    if c.synthetic:
        _stamp_ribbon(page)
    return page


def _write(page: np.ndarray, text: str, place: tuple[int, int], size: float, colour: tuple[int, int, int]) -> None:
    cv2.putText(page, text, place, FONT, size, colour, 1, cv2.LINE_AA)


def _stamp_ribbon(page: np.ndarray) -> None:
    """Say at the top that no person and no sensor made this."""
    text = "synthetic: made by a twin"
    (width, height), _ = cv2.getTextSize(text, FONT, 0.55, 1)
    right = page.shape[1] - MARGIN
    cv2.rectangle(page, (right - width - 20, 62), (right, 62 + height + 16), (255, 226, 150), -1)
    _write(page, text, (right - width - 10, 62 + height + 8), 0.55, INK)


# ------------------------------------------------------------------------------------------------------------ the page


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
        figures=_draw_figures(fit),
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
    offset = f", time offset {_give(c.offset_ms, c.offset_ms_sd, 'ms', 0)}" if c.offset_ms_sd > 0 else ""
    twin = " The clips are synthetic: a rig's digital twin made them, no sensor and no person." if c.synthetic else ""
    return (
        f"AMG8833 to camera calibration of {made.isoformat()} by lrt {c.software}: sensor centre "
        f"x {_give(c.tx, c.tx_sd, 'px')}, y {_give(c.ty, c.ty_sd, 'px')}, one thermal pixel "
        f"{_give(c.s, c.s_sd, 'px', 2)} of images of {c.image_size[0]}x{c.image_size[1]} px{offset} (+- one standard "
        f"deviation, systematic floors included); {c.frames} frames of {_count(c.clips)}, person masks: {c.masks}; "
        f"heat explained r2 = {c.score:.2f}, overlap of warm region and person IoU = {c.overlap:.2f}; verdict "
        f"{c.verdict}.{twin} calibration.json SHA-256 {_identify(c)}."
    )


def _count(clips: dict[str, str]) -> str:
    return "1 clip" if len(clips) == 1 else f"{len(clips)} clips"


def _give(value: float, sd: float, unit: str, digits: int = 1) -> str:
    """A value with its standard deviation, or that nobody knows it."""
    spread = f"+- {sd:.{digits}f}" if np.isfinite(sd) else "+- ?"
    return f"{value:.{digits}f} {spread} {unit}"


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
        return name, meaning, _give(getattr(c, name), sd, "px", digits), share, f"{systematic:.{digits}f} px"

    rows = [
        row("tx", "sensor's centre, from the image's left edge", c.tx_sd, fit.systematic[0], 1),
        row("ty", "sensor's centre, from the image's top edge", c.ty_sd, fit.systematic[1], 1),
        row("s", "one thermal pixel in the image", c.s_sd, fit.systematic[2], 2),
    ]
    about = "image time + offset = heatmap time" + ("" if c.offset_ms_sd > 0 else "; taken over, not fitted")
    offset = _give(c.offset_ms, c.offset_ms_sd, "ms") if c.offset_ms_sd > 0 else f"{c.offset_ms:.1f} ms"
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
            _give(getattr(each, name), getattr(each, f"{name}_sd"), unit, digits)
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
    visible, visited = _see_pixels(fit) > 0.5, fit.coverage > verdict.VISITED
    # Axis 0 leaves the columns
    columns, rows = (int(np.any(visited, axis=axis).sum()) for axis in (0, 1))
    in_view = [int(np.any(visible, axis=axis).sum()) for axis in (0, 1)]
    high, wide = c.grid
    least_columns = int(np.ceil(min(verdict.LEAST_COLUMNS * wide, in_view[0])))
    least_rows = int(np.ceil(min(verdict.LEAST_ROWS * high, in_view[1])))
    least, most = verdict.FWHM_RANGE
    kept_out = verdict.LEAST_HELD_OUT * c.score
    outside = fit.search.on_border(_pose(c))
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


def _pose(c: Calibration) -> Pose:
    return Pose(c.tx, c.ty, c.s, c.lens_k)


def _see_pixels(fit: Fit) -> np.ndarray:
    """(R, C) 0..1, how far each thermal pixel lies in the image."""
    width, height = fit.calibration.image_size
    cells = (max(1, round(80 * height / width)), 80)
    cell_px = (width / cells[1], height / cells[0])
    return lay_footprints(cells, cell_px, _pose(fit.calibration), fit.fwhm, fit.calibration.grid).counts


# ------------------------------------------------------------------------------------------------------------- figures


def _draw_figures(fit: Fit) -> list[Figure]:
    c = fit.calibration
    doubted = int((fit.weight < DISTRUSTED).sum())
    best = max(fit.orientation_r2, key=lambda key: fit.orientation_r2[key])
    return [
        Figure(
            "Search over place",
            "Share of heat explained for every place of the sensor's centre, at the scale nearest the fit. Bright is "
            "good. The cross is the fit: it should stand in one bright patch, off the edges. "
            f"Black is 0, the brightest {max(0.0, float(fit.search.r2.max())):.2f}; grey was not scored: too "
            "little of the heat falls in the picture there.",
            _draw_search(fit),
        ),
        Figure(
            "Search over scale",
            "Dots: the best share of heat explained at each size of a thermal pixel, in the search. Curve: the "
            f"finished model about the fit, {_give(c.s, c.s_sd, 'px', 2)} (dashed). Both should have one clear summit "
            "there.",
            _draw_scales(fit),
        ),
        Figure(
            "Where people were",
            "Share of the frames in which somebody filled each thermal pixel. Walk where the field is pale. Hatched "
            "pixels look past the picture and do not count.",
            _draw_map(100 * fit.coverage, "{:.0f}", "% of the frames", ~(_see_pixels(fit) > 0.5)),
        ),
        Figure(
            "What is left, pixel by pixel",
            "Heat that the fit does not explain (rms over the frames). One dark pixel points to something warm that "
            "comes and goes there, or to a bad pixel; a dark edge to masks that end too early.",
            _draw_map(fit.residual_map, "{:.2f}", "degC", ~np.isfinite(fit.residual_map)),
        ),
        Figure(
            "What is left, frame by frame",
            f"Heat that the fit does not explain (rms), frames in the order of the clips. Median "
            f"{np.median(fit.residual_c):.2f} degC. {doubted} of {len(fit.weight)} frames (triangles) fitted "
            "worse than most and counted less than half: a missed person, a false mask, something warm.",
            _draw_residuals(fit),
        ),
        Figure(
            "Time between heat and picture",
            "Share of heat explained when the heat is taken so much later than the picture; the line is the fit, "
            f"{_give(c.offset_ms, c.offset_ms_sd, 'ms', 0)}. A flat curve means that people hardly moved.",
            _draw_lag(fit),
        )
        if len(fit.lag_r2)
        else Figure("Time between heat and picture", "Not fitted here: times were not given.", Markup()),
        Figure(
            "How warm each part of the body is",
            "Above what it hides, as the sensor sees it. Face and arms are warmest, legs coolest; negative or wild "
            "values point to wrong masks.",
            draw_bars([(zone, value, f"{value:.1f} degC", "cool") for zone, value in fit.zone_c.items()]),
        ),
        Figure(
            "How the sensor is mounted",
            "Best share of heat explained with the heatmap turned and mirrored each way. The first bar, as rig.toml "
            f"has it, must be the longest; here {'it is' if best == (0, False) else 'it is not'}.",
            draw_bars(
                [
                    (_name_orientation(key), r2, f"{r2:.2f}", "cool" if key == (0, False) else "soft")
                    for key, r2 in fit.orientation_r2.items()
                ]
            ),
        ),
        Figure(
            "How far the answer depends on the question",
            "The fit again from part of the evidence, or with a plainer model: thermal pixels away from the result "
            "(scale: share of s). Grey is the +- given above. Points far outside say that the +- is too small.",
            _draw_spread(fit),
        ),
    ]


def _name_orientation(key: tuple[int, bool]) -> str:
    turns, mirror = key
    name = f"turned {90 * turns}°" if turns else "as it is"
    return name if not mirror else f"{90 * turns}° mirrored" if turns else "mirrored"


def _draw_search(fit: Fit) -> Markup:
    search, c = fit.search, fit.calibration
    layer = search.r2[int(np.abs(search.s - c.s).argmin())]
    scored = layer >= 0
    level = np.where(scored, layer / max(float(search.r2.max()), 1e-6), 0)
    colours = cv2.applyColorMap((np.clip(level, 0, 1) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    alpha = np.where(scored, 255, 40).astype(np.uint8)
    pixels = np.dstack([np.where(scored[..., None], colours, UNSCORED).astype(np.uint8), alpha])
    half_x, half_y = (search.tx[1] - search.tx[0]) / 2, (search.ty[1] - search.ty[0]) / 2
    x, y = (search.tx[0] - half_x, search.tx[-1] + half_x), (search.ty[-1] + half_y, search.ty[0] - half_y)
    chart = Chart((float(x[0]), float(x[1])), (float(y[0]), float(y[1])), "tx, px", "ty, px")
    chart.picture(pixels)
    across, down = chart.place(c.tx, c.ty)
    chart.parts.append(f'<path class="cross" d="M{across - 7:.1f} {down:.1f}h14M{across:.1f} {down - 7:.1f}v14"/>')
    return chart.svg("Search score over tx and ty")


def _draw_scales(fit: Fit) -> Markup:
    best = fit.search.r2.max(axis=(1, 2))
    searched = [(float(s), float(r2)) for s, r2 in zip(fit.search.s, best, strict=True) if r2 >= 0]
    profile = [(float(s), float(r2)) for s, r2 in fit.s_profile]
    x = (min(s for s, _ in searched + profile), max(s for s, _ in searched + profile))
    chart = Chart(x, _span([r2 for _, r2 in searched + profile]), "one thermal pixel, px", "r2")
    for point in searched:
        chart.dot(*point, style="soft")
    chart.line(profile)
    chart.rule(fit.calibration.s)
    return chart.svg("Search score over scale")


def _draw_lag(fit: Fit) -> Markup:
    milliseconds = 1e3 * fit.lag_r2[:, 0]
    low, high = _span(fit.lag_r2[:, 1])
    chart = Chart((float(milliseconds[0]), float(milliseconds[-1])), (low, high), "offset, ms", "r2")
    chart.line(zip(milliseconds, fit.lag_r2[:, 1], strict=True))
    chart.rule(fit.calibration.offset_ms)
    return chart.svg("Score over time offset")


def _draw_residuals(fit: Fit) -> Markup:
    chart = Chart((0, len(fit.residual_c)), (0, 1.08 * float(fit.residual_c.max()) + 1e-3), "frame", "degC unexplained")
    for frame, (residual, weight) in enumerate(zip(fit.residual_c, fit.weight, strict=True)):
        chart.dot(frame, float(residual), "warm" if weight < DISTRUSTED else "cool")
    return chart.svg("Residual of each frame")


def _draw_spread(fit: Fit) -> Markup:
    c = fit.calibration
    poses = {
        "first half": fit.halves[0],
        "second half": fit.halves[1],
        "one body zone": fit.one_zone,
        "inner pixels": fit.interior,
    }
    names = {"tx": 1.0, "ty": 1.0, "s": 1.0}
    sds = [getattr(c, f"{name}_sd") / c.s for name in names]
    away = {kind: [(getattr(pose, name) - getattr(c, name)) / c.s for name in names] for kind, pose in poses.items()}
    reach = 1.15 * max(0.02, *(abs(each) for row in away.values() for each in row), *filter(np.isfinite, sds))
    chart = Chart((-reach, reach), (3, 0), "thermal pixels (s: share of s)", "", height=40 + 3 * (18 * len(away) + 14))
    parts = [part for part in chart.parts if 'text-anchor="end"' not in part and "H" not in part]
    chart.parts = parts  # rows are named below, not numbered
    for row, (name, sd) in enumerate(zip(names, sds, strict=True)):
        left, top = chart.place(-min(sd, reach), row + 0.04)
        right, bottom = chart.place(min(sd, reach), row + 0.96)
        band = (
            f'<rect class="band" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"/>'
        )
        chart.parts.append(band)
        chart.parts.append(f'<text class="name" x="8" y="{(top + bottom) / 2 + 4:.1f}">{name}</text>')
        for number, (kind, values) in enumerate(away.items()):
            y = row + (number + 0.8) / (len(away) + 0.6)  # a line each, or their names would lie on each other
            chart.dot(values[row], y)
            at, level = chart.place(values[row], y)
            anchor, step = ("start", 7) if values[row] < 0.1 * reach else ("end", -7)
            chart.parts.append(f'<text x="{at + step:.1f}" y="{level + 4:.1f}" text-anchor="{anchor}">{kind}</text>')
    chart.rule(0)
    return chart.svg("Poses from parts of the evidence")


def _draw_map(values: np.ndarray, form: str, unit: str, hatched: np.ndarray) -> Markup:
    """(R, C) values as shaded squares, with their numbers where those fit, as the sensor lies in the image."""
    rows, columns = values.shape
    side = 304 / columns
    most = max(1e-9, float(np.max(values, initial=0, where=~hatched)))
    parts = [f'<text x="18" y="{rows * side + 18:.1f}">{unit}, as the camera sees it; most {form.format(most)}</text>']
    for (row, column), value in np.ndenumerate(values):
        x, y, blank = 18 + column * side, 4 + row * side, bool(hatched[row, column])
        opacity = 0 if blank else 0.05 + 0.55 * float(value) / most
        parts.append(
            f'<rect class="{"hatched" if blank else "shade"}" x="{x:.1f}" y="{y:.1f}" width="{side - 2:.1f}" '
            f'height="{side - 2:.1f}" fill-opacity="{opacity:.2f}"/>'
        )
        if side >= SMALLEST_NUMBERED and np.isfinite(value):
            shown = form.format(value)
            parts.append(
                f'<text x="{x + side / 2 - 1:.1f}" y="{y + side / 2 + 3:.1f}" text-anchor="middle">{shown}</text>'
            )
    return draw_svg("Map over the sensor's pixels", Chart.WIDTH, round(rows * side + 26), parts)


def _span(values: Iterable[float]) -> tuple[float, float]:
    """A little more than the values cover."""
    values = list(values)
    low, high = float(min(values)), float(max(values))
    room = max(0.08 * (high - low), 0.005)
    return low - room, high + room
