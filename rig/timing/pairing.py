"""Which image belongs to which heatmap: the nearest in time."""

import numpy as np


def pair_nearest(
    heat_ns: np.ndarray, image_ns: np.ndarray, max_gap_ns: int, offset_ns: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest image of every heatmap that has one near enough. The slow thermal sensor is the master.

    Args:
        heat_ns: (N,) int64, ns.
        image_ns: (M,) int64, ns, ascending.
        max_gap_ns: a heatmap whose nearest image is further off than this has no pair.
        offset_ns: image time + offset = heatmap time.

    Returns:
        heat_index: (K,) int64, ascending, K <= N.
        image_index: (K,) int64; of two images as near as each other, the earlier.
        error_ns: (K,) int64; image time + offset - heatmap time.
    """
    heat_ns, image_ns = np.asarray(heat_ns, np.int64), np.asarray(image_ns, np.int64) + np.int64(offset_ns)
    if image_ns.size == 0 or heat_ns.size == 0:
        empty = np.empty(0, np.int64)
        return empty, empty, empty
    after = np.searchsorted(image_ns, heat_ns).clip(0, image_ns.size - 1)
    before = (after - 1).clip(0)
    nearest = np.where(np.abs(image_ns[after] - heat_ns) < np.abs(image_ns[before] - heat_ns), after, before)
    error_ns = image_ns[nearest] - heat_ns
    kept = np.flatnonzero(np.abs(error_ns) <= max_gap_ns)
    return kept, nearest[kept], error_ns[kept]
