"""How much of the people the warm region covers: the figure anyone can check by eye."""

import cv2
import numpy as np

from .forward import Pose
from .geometry import Calibration, unbend

COLUMNS = 160  # of the picture that regions are compared in
BACKGROUND_SHARE = 0.2  # quantile over time that stands for a pixel without anyone
LEAST_CONTRAST_C = 1.0  # below this nothing in the frame is warm


def overlap(
    heatmaps: np.ndarray,
    masks: np.ndarray,
    pose: Pose | Calibration,
    image_size: tuple[int, int],
) -> float:
    """Mean intersection over union of warm region and person mask, over the frames with someone in view.

    Warm is what is above half of the frame's greatest rise over each pixel's own background: a threshold nearer the
    background widens the region by the sensor's blur. The background is that of all frames together: the few chosen
    of one clip show somebody too often (true masks of the twin, true pose: 0.68 together, 0.55 clip by clip). Only
    the part of the image that the sensor sees is compared.

    Args:
        heatmaps: (N, R, C) float32, degC, after the rig's rotation.
        masks: (N, h, w) bool or float 0..1, over the whole image.
        pose: where the sensor lies.
        image_size: (width, height), px.

    Returns:
        0..1; 0 when no mask holds anyone where the sensor sees.
    """
    rise = heat_above_background(heatmaps)
    width, height = image_size
    size = (COLUMNS, max(1, round(COLUMNS * height / width)))
    scores = []
    for frame, mask in zip(rise, masks, strict=True):
        picture, field = lay_heat(frame, pose, image_size, size)
        person = (cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5) & field
        if person.sum() < 0.01 * person.size:
            continue
        peak = float(frame.max())
        warm = (picture > peak / 2) & field if peak >= LEAST_CONTRAST_C else np.zeros_like(person)
        scores.append(float((warm & person).sum() / (warm | person).sum()))
    return float(np.mean(scores)) if scores else 0.0


def heat_above_background(heatmaps: np.ndarray, clip: np.ndarray | None = None) -> np.ndarray:
    """(N, R, C) float32, degC above what each pixel shows without anyone, each clip by itself."""
    clip = np.zeros(len(heatmaps), dtype=np.int64) if clip is None else np.asarray(clip)
    rise = np.empty(heatmaps.shape, dtype=np.float32)
    for number in np.unique(clip):
        here = clip == number
        rise[here] = heatmaps[here] - np.quantile(heatmaps[here], BACKGROUND_SHARE, axis=0)
    return rise


def lay_heat(
    celsius: np.ndarray, pose: Pose | Calibration, image_size: tuple[int, int], size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """A heatmap over the whole image, smoothly.

    Args:
        celsius: (R, C) float32.
        pose: where the sensor lies.
        image_size: (width, height) of the recorded image, px.
        size: (width, height) of the picture to make.

    Returns:
        (h, w) float32, degC, the outermost pixels' values beyond the sensor; (h, w) bool, where the sensor sees.
    """
    x = (np.arange(size[0]) + 0.5) * image_size[0] / size[0]
    y = (np.arange(size[1]) + 0.5) * image_size[1] / size[1]
    rows, columns = celsius.shape
    j = (unbend((x - pose.tx) / pose.s, pose.lens_k) + (columns - 1) / 2).astype(np.float32)
    i = (unbend((y - pose.ty) / pose.s, pose.lens_k) + (rows - 1) / 2).astype(np.float32)
    map_x, map_y = np.meshgrid(j, i)
    picture = cv2.remap(
        np.ascontiguousarray(celsius, dtype=np.float32), map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    inside_x, inside_y = np.abs(j - (columns - 1) / 2) <= columns / 2, np.abs(i - (rows - 1) / 2) <= rows / 2
    return picture, inside_y[:, None] & inside_x[None, :]
