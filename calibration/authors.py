"""The published way to align heat and masks, for comparison: count where thresholded heat and mask agree.

Heat is stretched to 0..255 over 19..30 degC, enlarged to 128x128 by cubic interpolation, resized by area to the scale
tried and cut at a threshold; the mask is reduced to 128 columns. Both become -1 and +1, and the score of a shift is
the mean over frames of the sum of their product. The search here gives every shift at once by Fourier transform and
finds the very optimum that trying each would.
"""

import cv2
import numpy as np

from .forward import Pose

COLUMNS = 128  # of the mask's picture, and of the enlarged heatmap before scaling
COLDEST_C, WARMEST_C = 19.0, 30.0
SIZES = tuple(range(82, 148, 6))  # of the scaled heatmap; then steps of 2 about the best
RISES_C = (1.5, 2.0, 2.5)  # thresholds over the recording's median; the paper's code has 24, 24.5 and 25 degC


def authors_score_fit(heatmaps: np.ndarray, masks: np.ndarray, image_size: tuple[int, int]) -> Pose:
    """The pose with the greatest agreement, over all shifts, the scales and three thresholds.

    Kinder than the original in two ways: thresholds stand over the recording's median and not at one temperature for
    every room; and what the heatmap does not cover counts as cold, so that a larger heatmap does not score for its
    size alone (with those places left out, scales came out 24 to 70 % too large in the simulator of our tests).

    Args:
        heatmaps: (N, R, C) float32, degC, after the rig's rotation.
        masks: (N, h, w) bool or float 0..1, over the whole image.
        image_size: (width, height) of the recorded image, px.
    """
    from scipy import fft

    width, height = image_size
    rows = round(COLUMNS * height / width)
    small = (cv2.resize(mask.astype(np.float32), (COLUMNS, rows), interpolation=cv2.INTER_AREA) for mask in masks)
    signs = np.stack([np.where(mask > 0.5, 1, -1) for mask in small]).astype(np.float32)
    room_c = float(np.median(heatmaps))
    scaled = np.clip((heatmaps - COLDEST_C) / (WARMEST_C - COLDEST_C) * 255, 0, 255)
    grid_rows, grid_columns = heatmaps.shape[1:]
    tall = grid_rows / grid_columns  # 1 for the sensor that the method is of
    enlarged = (COLUMNS, round(COLUMNS * tall))
    large = [cv2.resize(frame.astype(np.uint8), enlarged, interpolation=cv2.INTER_CUBIC) for frame in scaled]
    largest = SIZES[-1] + 4
    span = tuple(
        int(fft.next_fast_len(side + round(largest * part)) or 0) for side, part in ((rows, tall), (COLUMNS, 1))
    )
    mask_waves = np.stack([np.asarray(fft.rfft2(frame, span)) for frame in signs])

    def best_shift(size: int, rise_c: float) -> tuple[float, Pose]:
        threshold = (room_c + rise_c - COLDEST_C) / (WARMEST_C - COLDEST_C) * 255
        product = np.zeros(mask_waves.shape[1:], dtype=np.complex64)
        for frame, wave in zip(large, mask_waves, strict=True):
            heat = cv2.resize(frame, (size, round(size * tall)), interpolation=cv2.INTER_AREA)
            product += wave * np.conj(np.asarray(fft.rfft2((heat > threshold).astype(np.float32), span)))
        score = np.asarray(fft.irfft2(product, span))
        down, right = np.unravel_index(int(score.argmax()), score.shape)
        top = down if down < rows else down - span[0]  # the transform wraps round
        left = right if right < COLUMNS else right - span[1]
        px = width / COLUMNS
        centre = float((left + size / 2) * px), float((top + round(size * tall) / 2) * px)
        return float(score.max()), Pose(*centre, size * px / grid_columns)

    tried = [(*best_shift(size, rise), size, rise) for size in SIZES for rise in RISES_C]
    _, _, size, rise = max(tried, key=lambda one: one[0])
    tried += [(*best_shift(near, rise), near, rise) for near in (size - 4, size - 2, size + 2, size + 4)]
    return max(tried, key=lambda one: one[0])[1]
