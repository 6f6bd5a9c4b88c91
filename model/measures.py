"""Measures of a generator: does the person stand where the heat is, and does the code change the picture?

All work on pictures in [0, 1] and heatmaps in degC, real or drawn, and know nothing of networks.
"""

import cv2
import numpy as np

QUIET = 0.25  # the share of a clip's frames in which a spot is taken to be empty, when its own background is estimated


def heat_image_correlation(pictures: np.ndarray, heatmaps: np.ndarray, group: np.ndarray) -> float:
    """Pearson correlation between what changes in the heat and what changes in the pictures, over all heatmap cells.

    Within a group (one clip, or one code) light, clothing and room stand still, so what changes is the person. A
    cell's change of picture is its distance from the median picture of the frames in the lower quartile of its heat,
    averaged over channels and over the cell: a person who stays for most of a clip would otherwise be its background.
    Heat and change are taken from their own mean in that cell, so that a place which is often warm proves nothing; the
    cells of all groups are pooled.

    Args:
        pictures: (N, 8h, 8w, 3) float32 in [0, 1].
        heatmaps: (N, h, w) float32, degC.
        group: (N,) int, which pictures belong together.

    Returns:
        -1 to 1; near 0 for pairs that do not belong together. 0 when nothing changes at all.
    """
    of_heat, of_pictures = [], []
    for one in np.unique(group):
        member = group == one
        heat, picture = heatmaps[member], _patches(pictures[member], heatmaps.shape[1:])
        quiet = np.quantile(heat, QUIET, axis=0)
        of_heat.append((heat - heat.mean(axis=0)).ravel())
        empty = np.where((heat <= quiet)[..., None], picture, np.nan)  # a cell's frames without anyone in it
        change = np.abs(picture - np.nanmedian(empty, axis=0)).mean(axis=-1)  # (n, h, w)
        of_pictures.append((change - change.mean(axis=0)).ravel())
    a, b = np.concatenate(of_heat), np.concatenate(of_pictures)
    scale = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / scale) if scale > 0 else 0.0


def shuffle_within(group: np.ndarray, seed: int) -> np.ndarray:
    """(N,) int64: an order in which every member of a group is replaced by one of its own group."""
    rng = np.random.default_rng(seed)
    order = np.arange(len(group))
    for one in np.unique(group):
        member = np.flatnonzero(group == one)
        order[member] = rng.permutation(member)
    return order


def diversity(pictures: np.ndarray) -> float:
    """Mean absolute difference between two pictures drawn from one heatmap with different codes.

    Args:
        pictures: (codes, heatmaps, H, W, 3) float32 in [0, 1]; two codes or more.

    Returns:
        0 (the code is ignored) to 1, the scale of the pictures.
    """
    codes = len(pictures)
    total = sum(np.abs(pictures[i] - pictures[j]).mean() for i in range(codes) for j in range(i))
    return float(total / (codes * (codes - 1) / 2))


def fine_detail(pictures: np.ndarray) -> float:
    """Mean square of what a blur of one pixel takes from pictures: edges, texture and grain.

    Args:
        pictures: (N, H, W, 3) uint8.

    Returns:
        On the scale of [0, 1] squared. A mean of many likely pictures has less of it than any of them.
    """
    total = 0.0
    for picture in pictures:
        grey = picture.mean(axis=-1, dtype=np.float32) / 255
        total += float(np.square(grey - cv2.GaussianBlur(grey, (0, 0), 1.0)).mean())
    return total / len(pictures)


def _patches(pictures: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(n, H, W, 3) -> (n, h, w, values): what lies over each thermal pixel."""
    n, height, width, channels = pictures.shape
    rows, columns = shape
    split = pictures.reshape(n, rows, height // rows, columns, width // columns, channels)
    return split.transpose(0, 1, 3, 2, 4, 5).reshape(n, rows, columns, -1)
