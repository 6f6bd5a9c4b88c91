"""Heat laid over the image, and the frames of a fit that show best how well it lies."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .fitting import Fit
from .forward import Pose
from .geometry import Calibration, bend
from .overlap import lay_heat, overlap

COLDEST_SHARE, SPAN_C = 0.3, 4.5  # the colour map begins at that quantile of a frame and spans this much
TILE_PX = 480  # width of a frame on picture and page
SOMEONE = 0.01  # share of the image that a person in it covers at least


@dataclass(frozen=True, eq=False)
class Telling:
    """A frame worth looking at.

    Attributes:
        kind: "best", "median" or "worst", by what is left of it.
        residual_c: that, degC, rms.
        before, after: (TILE_PX wide) uint8, RGB: its heat over its image, at the pose before and at the fit.
    """

    kind: str
    residual_c: float
    before: np.ndarray
    after: np.ndarray


@dataclass(frozen=True, eq=False)
class Shown:
    """What the frames of a fit show of it.

    Attributes:
        frames: the telling ones.
        overlap_before: of warm region and masks at the pose before, 0..1; see `overlap`.
        with_someone: how many frames of all have someone in the mask.
    """

    frames: tuple[Telling, ...]
    overlap_before: float
    with_someone: int


def show_frames(
    fit: Fit,
    images: Sequence[np.ndarray],
    heatmaps: np.ndarray,
    masks: np.ndarray,
    before: Pose | Calibration | None = None,
) -> Shown:
    """Draw the telling frames of a fit, for picture and page alike.

    Args:
        fit: of these frames.
        images: N images (H, W, 3) uint8, RGB, one for each frame of the fit.
        heatmaps: (N, R, C) float32, degC, after the rig's rotation.
        masks: (N, h, w) bool or float 0..1.
        before: the pose to show beside the fit; None: the one that nobody has calibrated.
    """
    c, before = fit.calibration, before or fit.before
    tile = (TILE_PX, round(TILE_PX * c.image_size[1] / c.image_size[0]))
    frames = []
    for frame, kind in _find_telling(fit, heatmaps, masks):
        drawn = [draw_overlay(images[frame], heatmaps[frame], pose, masks[frame], tile) for pose in (before, c)]
        frames.append(Telling(kind, float(fit.residual_c[frame]), *drawn))
    with_someone = int((masks.reshape(len(masks), -1).mean(axis=1) > SOMEONE).sum())
    return Shown(tuple(frames), overlap(heatmaps, masks, before, c.image_size), with_someone)


def draw_overlay(
    image: np.ndarray,
    celsius: np.ndarray,
    pose: Pose | Calibration,
    mask: np.ndarray | None = None,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """The image with the heat over it where the sensor sees, its outline, and the person's.

    Args:
        image: (H, W, 3) uint8, RGB.
        celsius: (R, C) float32, degC, after the rig's rotation.
        pose: where the sensor lies in images of this size.
        mask: (h, w) bool or float 0..1 over the whole image; its outline is drawn.
        size: (width, height) of the picture to make; the image's own if None.

    Returns:
        (height, width, 3) uint8, RGB.
    """
    recorded = image.shape[1], image.shape[0]
    width, height = size or recorded
    if size:
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    heat, field = lay_heat(celsius, pose, recorded, (width, height))
    level = np.clip((heat - np.quantile(celsius, COLDEST_SHARE)) / SPAN_C, 0, 1)
    colours = cv2.applyColorMap((level * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1].astype(np.float32)
    share = (0.15 + 0.6 * level)[..., None] * field[..., None]
    shown = image.astype(np.float32)  # of 8 bits a product with a number has 64
    grey = shown.mean(axis=-1, keepdims=True)
    drawn = np.where(field[..., None], 0.4 * shown + 0.6 * grey, 0.45 * shown + 0.2 * grey)
    drawn = np.ascontiguousarray(np.clip(drawn * (1 - share) + colours * share, 0, 255).astype(np.uint8))
    thick = max(1, round(width / 320))
    down, across = (pose.s * float(bend(count / 2, pose.lens_k)) for count in celsius.shape)
    shrink = np.array([width, height]) / recorded
    corner, opposite = (
        np.rint(shrink * (pose.tx + side * across, pose.ty + side * down)).astype(int).tolist() for side in (-1, 1)
    )
    cv2.rectangle(drawn, corner, opposite, (235, 235, 235), thick, cv2.LINE_AA)
    if mask is not None:
        full = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
        outlines, _ = cv2.findContours(full.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, outlines, -1, (64, 255, 160), thick, cv2.LINE_AA)
    return drawn


def _find_telling(fit: Fit, heatmaps: np.ndarray, masks: np.ndarray) -> list[tuple[int, str]]:
    """The best, median and worst explained frame of those with someone well in the sensor's view."""
    rise = np.sort((heatmaps - np.quantile(heatmaps, 0.2, axis=0)).reshape(len(heatmaps), -1), axis=1)[:, -6:]
    size = np.array([float(np.mean(mask)) for mask in masks])
    strength = rise.mean(axis=1) * (size > 0.5 * np.median(size[size > SOMEONE]))
    well = np.flatnonzero(strength >= np.quantile(strength, 0.6))
    order = well[np.argsort(fit.residual_c[well])]
    kinds = ((0, "best"), (len(order) // 2, "median"), (len(order) - 1, "worst"))
    return [(int(order[place]), kind) for place, kind in kinds]
