"""A dataset at a glance: pictures and the heat that belongs to them, a row a clip; and what all that shows shares."""

from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np

from .. import LrtError
from .loading import COLDEST_C, WARMEST_C, PairSet

PAPER = (250, 249, 247)
INK = (40, 40, 44)
QUIET = (110, 110, 118)
FONT = cv2.FONT_HERSHEY_SIMPLEX
MARGIN = 16
GAP = 8  # between columns, and between rows beside the label's line
LABEL = 24  # px above a row
LEGEND = 46  # px under the last row
SCALE_QUANTILES = (0.005, 0.995)  # of a clip's heat: a stray pixel does not stretch the scale
LEAST_SPAN_C = 4.0  # an empty room's noise is not blown up to all colours


class ShowError(LrtError, ValueError):
    """What is to be shown cannot be, or not where it was asked for."""


def check_new_file(out: Path, endings: Collection[str]) -> None:
    """Refuse before the work what could not be written after it.

    Raises:
        ShowError: `out` does not end in one of `endings`, exists already, or its folder does not.
    """
    if out.suffix.lower() not in endings:
        raise ShowError(f"{out}: give a name that ends in {' or '.join(endings)}")
    if out.exists():
        raise ShowError(f"{out}: exists already; name another file or move this one away")
    if not out.parent.is_dir():
        raise ShowError(f"{out}: there is no folder {out.parent}; make it first")


def draw_contact_sheet(pairs: PairSet, columns: int = 5, clips: int = 10, zoom: int = 2) -> np.ndarray:
    """Pairs of every clip, evenly spaced in time: the picture, and its heat beside it on one scale.

    Args:
        columns: pairs a row.
        clips: rows at most; of more clips, evenly spaced ones are shown and the title says so.
        zoom: sheet pixels along a picture's pixel.

    Returns:
        (H, W, 3) uint8, RGB.
    """
    _, rows, across, _ = pairs.images.shape
    height, width = rows * zoom, across * zoom
    shown = spread(len(pairs.clip_ids), clips)
    top = MARGIN + 2 * LABEL
    sheet = np.full(
        (
            top + len(shown) * (LABEL + height + GAP) + LEGEND + MARGIN,
            2 * MARGIN + columns * (2 * width + 2) + (columns - 1) * GAP,
            3,
        ),
        PAPER,
        np.uint8,
    )
    title = f"{len(pairs):,} pairs, {len(shown)} of {len(pairs.clip_ids)} clips"
    _write(sheet, title, MARGIN, MARGIN + 12, INK)
    if pairs.synthetic:
        _write(sheet, "made by the rig's digital twin: not data about people", MARGIN, MARGIN + 34, (176, 32, 32))
    for row, clip in enumerate(shown):
        y = top + row * (LABEL + height + GAP)
        members = np.flatnonzero(pairs.clip == clip)
        _write(sheet, _name_clip(pairs, clip, members), MARGIN, y + LABEL - 8, QUIET)
        for column, place in enumerate(spread(len(members), columns)):
            index = members[place]
            x = MARGIN + column * (2 * width + 2 + GAP)
            beside = x + width + 2
            sheet[y + LABEL : y + LABEL + height, x : x + width] = _enlarge(pairs.images[index], width, height)
            sheet[y + LABEL : y + LABEL + height, beside : beside + width] = _enlarge(
                colour_heat(pairs.heatmaps[index]), width, height
            )
    _draw_legend(sheet, sheet.shape[0] - MARGIN - LEGEND + 12)
    return sheet


def colour_heat(celsius: np.ndarray, coldest_c: float = COLDEST_C, warmest_c: float = WARMEST_C) -> np.ndarray:
    """Heat as colour, dark is cold, bright is warm; 19 to 30 degC, as a model sees it, unless told otherwise.

    Args:
        celsius: (h, w) float32, degC.
        coldest_c, warmest_c: the ends of the scale; beyond them the colour stays.

    Returns:
        (h, w, 3) uint8, RGB.
    """
    levels = np.rint(np.clip((celsius - coldest_c) / (warmest_c - coldest_c), 0, 1) * 255).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)


def scale_heat(celsius: np.ndarray) -> tuple[float, float]:
    """The ends of the colour scale for a clip's heat, whole degC; a model's 19 and 30 where there is none.

    Args:
        celsius: (..., h, w), degC.
    """
    if not celsius.size:
        return COLDEST_C, WARMEST_C
    low, high = (float(each) for each in np.quantile(celsius, SCALE_QUANTILES))
    middle = (low + high) / 2
    low, high = min(low, middle - LEAST_SPAN_C / 2), max(high, middle + LEAST_SPAN_C / 2)
    return float(np.floor(low)), float(np.ceil(high))


def spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` of `count` places, evenly spaced: the middle of each stretch."""
    wanted = min(wanted, count)
    return [int((number + 0.5) * count / wanted) for number in range(wanted)]


def _name_clip(pairs: PairSet, clip: int, members: np.ndarray) -> str:
    first = members[0]
    occupants = int(pairs.occupants[first])
    who = "nobody in view"
    if occupants:
        who = f"{_label(pairs.vocabulary.clothing, int(pairs.clothing[first]))} shirt"
    lighting = _label(pairs.vocabulary.lighting, int(pairs.lighting[first]))
    return f"{pairs.clip_ids[clip]}   {who}, {lighting} light, {len(members)} pairs"


def _label(names: tuple[str, ...], number: int) -> str:
    return names[number] if number >= 0 else "unknown"


def _enlarge(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Every pixel a square: what is shown is what is there."""
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_NEAREST)


def _draw_legend(sheet: np.ndarray, y: int) -> None:
    """The colours of heat, 19 to 30 degC."""
    length = min(240, sheet.shape[1] - 2 * MARGIN)
    scale = np.linspace(COLDEST_C, WARMEST_C, length, dtype=np.float32)[None]
    sheet[y : y + 10, MARGIN : MARGIN + length] = colour_heat(scale)
    _write(sheet, f"{COLDEST_C:.0f} degC", MARGIN, y + 28, QUIET)
    end = f"{WARMEST_C:.0f} degC"
    _write(sheet, end, MARGIN + length - cv2.getTextSize(end, FONT, 0.45, 1)[0][0], y + 28, QUIET)


def _write(sheet: np.ndarray, text: str, x: int, y: int, colour: tuple[int, int, int]) -> None:
    cv2.putText(sheet, text, (x, y), FONT, 0.45, colour, 1, cv2.LINE_AA)
