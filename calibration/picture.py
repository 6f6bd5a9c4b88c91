"""The picture of a calibration: heat laid over the image, before and after, to be judged at a glance."""

import cv2
import numpy as np

from .fitting import Fit
from .overlay import Shown

INK, GREY, MARK = (32, 34, 38), (112, 116, 124), (176, 96, 0)
FONT = cv2.FONT_HERSHEY_DUPLEX
MARGIN, GAP = 28, 12


def draw_picture(fit: Fit, shown: Shown) -> np.ndarray:
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
