"""Pictures that show a calibration: heat laid over the image, before and after."""

import cv2
import numpy as np

from .fit import Fit
from .forward import Pose
from .geometry import Calibration
from .overlap import lay_heat, overlap

COLDEST_SHARE, SPAN_C = 0.3, 4.5  # the colour map begins at that quantile of a frame and spans this much
INK, PAPER, GREY, MARK = (32, 34, 38), (255, 255, 255), (112, 116, 124), (176, 96, 0)
FONT = cv2.FONT_HERSHEY_DUPLEX
MARGIN, GAP = 28, 12


def draw_overlay(
    image: np.ndarray, celsius: np.ndarray, pose: Pose | Calibration, mask: np.ndarray | None = None
) -> np.ndarray:
    """The image with the heat over it where the sensor sees, its outline, and the person's.

    Args:
        image: (H, W, 3) uint8, RGB.
        celsius: (8, 8) float32, degC, after the rig's rotation.
        pose: where the sensor lies in images of this size.
        mask: (h, w) bool or float 0..1 over the whole image; its outline is drawn.

    Returns:
        (H, W, 3) uint8, RGB.
    """
    height, width = image.shape[:2]
    heat, field = lay_heat(celsius, pose, (width, height), (width, height))
    level = np.clip((heat - np.quantile(celsius, COLDEST_SHARE)) / SPAN_C, 0, 1)
    colours = cv2.applyColorMap((level * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1].astype(np.float32)
    share = (0.15 + 0.6 * level)[..., None] * field[..., None]
    grey = image.astype(np.float32).mean(axis=-1, keepdims=True)
    drawn = np.where(field[..., None], 0.4 * image + 0.6 * grey, 0.45 * image + 0.2 * grey)
    drawn = np.ascontiguousarray(np.clip(drawn * (1 - share) + colours * share, 0, 255).astype(np.uint8))
    thick = max(1, round(width / 320))
    left, top = pose.tx - 4 * pose.s, pose.ty - 4 * pose.s
    corner, opposite = (round(left), round(top)), (round(left + 8 * pose.s), round(top + 8 * pose.s))
    cv2.rectangle(drawn, corner, opposite, (235, 235, 235), thick, cv2.LINE_AA)
    if mask is not None:
        full = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
        outlines, _ = cv2.findContours(full.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, outlines, -1, (64, 255, 160), thick, cv2.LINE_AA)
    return drawn


def draw_report(fit: Fit, images: list[np.ndarray], heatmaps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """A picture: the heat over the best, a middling and the worst frame, before and after, and the figures.

    Args:
        fit: of these frames.
        images: N images (H, W, 3) uint8, RGB, one for each frame of the fit.
        heatmaps: (N, 8, 8) float32, degC, after the rig's rotation.
        masks: (N, h, w) bool or float 0..1.

    Returns:
        (h, w, 3) uint8, RGB.
    """
    c = fit.calibration
    shown = _telling_frames(fit, heatmaps, masks)
    tile_width = 480
    tile = (tile_width, round(tile_width * c.image_size[1] / c.image_size[0]))
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
    before = overlap(heatmaps, masks, fit.before, c.image_size)
    _write(
        page,
        f"{c.frames} frames, masks: {c.masks}.  Heat explained {c.score:.0%}.  Warm region over person (IoU): "
        f"before {before:.2f}, after {c.overlap:.2f}.  Footprint {fit.fwhm:.2f} pixels.",
        (MARGIN, 116),
        0.6,
        INK,
    )
    _write(page, "Box: what the sensor sees.  Green line: person mask.  Bright: warm.", (MARGIN, 146), 0.55, GREY)
    if c.advice:
        _write(page, c.advice, (MARGIN, 178), 0.6, MARK)
    for row, (pose, label) in enumerate(((fit.before, "before"), (c, "after"))):
        top = head + row * (tile[1] + 34)
        for column, (frame, kind) in enumerate(shown):
            left = MARGIN + column * (tile[0] + GAP)
            overlay = draw_overlay(images[frame], heatmaps[frame], pose, masks[frame])
            page[top : top + tile[1], left : left + tile[0]] = cv2.resize(overlay, tile, interpolation=cv2.INTER_AREA)
            left_over = f", {fit.residual_c[frame]:.2f} degC unexplained" if pose is c else ""
            caption = f"{label}: {kind} frame{left_over}"
            _write(page, caption, (left, top + tile[1] + 22), 0.5, GREY)
    if c.synthetic:
        _stamp_ribbon(page)
    return page


def _telling_frames(fit: Fit, heatmaps: np.ndarray, masks: np.ndarray) -> list[tuple[int, str]]:
    """The best, median and worst explained frame of those with someone well in the sensor's view."""
    rise = np.sort((heatmaps - np.quantile(heatmaps, 0.2, axis=0)).reshape(len(heatmaps), -1), axis=1)[:, -6:]
    strength = rise.mean(axis=1) * [float(np.mean(mask)) > 0.02 for mask in masks]
    well = np.flatnonzero(strength >= np.quantile(strength, 0.6))
    order = well[np.argsort(fit.residual_c[well])]
    kinds = ((0, "best"), (len(order) // 2, "median"), (len(order) - 1, "worst"))
    return [(int(order[place]), kind) for place, kind in kinds]


def _write(page: np.ndarray, text: str, place: tuple[int, int], size: float, colour: tuple[int, int, int]) -> None:
    cv2.putText(page, text, place, FONT, size, colour, 1, cv2.LINE_AA)


def _stamp_ribbon(page: np.ndarray) -> None:
    """Say at the top that no person and no sensor made this."""
    text = "synthetic: made by a twin"
    (width, height), _ = cv2.getTextSize(text, FONT, 0.55, 1)
    right = page.shape[1] - MARGIN
    cv2.rectangle(page, (right - width - 20, 62), (right, 62 + height + 16), (255, 226, 150), -1)
    _write(page, text, (right - width - 10, 62 + height + 8), 0.55, INK)
