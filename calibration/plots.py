"""The figures of a calibration's page, as SVG: what the fit rests on, and where it may be wrong."""

from collections.abc import Iterable

import cv2
import numpy as np
from markupsafe import Markup

from .charts import Chart, Figure, draw_bars, draw_svg
from .fitting import Fit
from .forward import Pose, lay_footprints
from .geometry import Calibration

DISTRUSTED = 0.5  # weight below which a frame is marked
UNSCORED = (128, 128, 128)
SMALLEST_NUMBERED = 24  # units of a figure 340 wide: a smaller square has no room for its number


def draw_figures(fit: Fit) -> list[Figure]:
    """All of the page's figures, each with what a reader should see in it."""
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
            f"finished model about the fit, {give(c.s, c.s_sd, 'px', 2)} (dashed). Both should have one clear summit "
            "there.",
            _draw_scales(fit),
        ),
        Figure(
            "Where people were",
            "Share of the frames in which somebody filled each thermal pixel. Walk where the field is pale. Hatched "
            "pixels look past the picture and do not count.",
            _draw_map(100 * fit.coverage, "{:.0f}", "% of the frames", ~(see_pixels(fit) > 0.5)),
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
            f"{give(c.offset_ms, c.offset_ms_sd, 'ms', 0)}. A flat curve means that people hardly moved.",
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


def give(value: float, sd: float, unit: str, digits: int = 1) -> str:
    """A value with its standard deviation, or that nobody knows it."""
    spread = f"+- {sd:.{digits}f}" if np.isfinite(sd) else "+- ?"
    return f"{value:.{digits}f} {spread} {unit}"


def pose_of(c: Calibration) -> Pose:
    """Where it lays the heat."""
    return Pose(c.tx, c.ty, c.s, c.lens_k)


def see_pixels(fit: Fit) -> np.ndarray:
    """(R, C) 0..1, how far each thermal pixel lies in the image."""
    width, height = fit.calibration.image_size
    cells = (max(1, round(80 * height / width)), 80)
    cell_px = (width / cells[1], height / cells[0])
    return lay_footprints(cells, cell_px, pose_of(fit.calibration), fit.fwhm, fit.calibration.grid).counts
