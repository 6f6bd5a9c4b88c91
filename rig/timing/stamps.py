"""Stamps that are truer than the polls they came from.

The sensor makes its frames by its own steady clock, so frame n stands at a + b n. A poll says only that the frame
changed between two reads, some 20 ms apart; a line through half a minute of such bounds says when to half a
millisecond (bench/rig.py).
"""

import numpy as np

_WINDOW = 300  # frames, 30 s: long enough to average the polls, short enough that the sensor's clock keeps its rate
_BREAK = 20  # missed frames after which the count of them is no longer sure: a new line begins
_FLOOR_NS = 1_000_000.0  # bounds nearer than 1 ms are not trusted 1/width^2 more


def fit_stamps(sequence: np.ndarray, earliest_ns: np.ndarray, latest_ns: np.ndarray) -> np.ndarray:
    """When each frame was made, by a line through its neighbours' bounds.

    Args:
        sequence: (N,) int, ascending; a jump is a frame that was missed.
        earliest_ns, latest_ns: (N,) int64, ns; the frame was made after the one and before the other.

    Returns:
        (N,) int64, ns, never outside the frame's own bounds and so ascending wherever they are.
    """
    sequence = np.asarray(sequence, np.int64)
    earliest_ns, latest_ns = np.asarray(earliest_ns, np.int64), np.asarray(latest_ns, np.int64)
    fitted = np.empty(len(sequence), np.int64)
    breaks = np.flatnonzero(np.diff(sequence) > _BREAK) + 1
    for part in np.split(np.arange(len(sequence)), breaks):
        if part.size:
            fitted[part] = _fit_unbroken(sequence[part], earliest_ns[part], latest_ns[part])
    # Bounds of no width (a serial line's arrival) bound nothing: the line stands as it is.
    bounded = latest_ns > earliest_ns
    fitted[bounded] = fitted[bounded].clip(earliest_ns[bounded], latest_ns[bounded])
    return fitted


def _fit_unbroken(sequence: np.ndarray, earliest_ns: np.ndarray, latest_ns: np.ndarray) -> np.ndarray:
    middle_ns = (earliest_ns + latest_ns) // 2
    if len(sequence) < 3:
        return middle_ns
    count = (sequence - sequence[0]).astype(np.float64)
    # Residuals of a rough line: small numbers, so that the windows' running sums keep their precision.
    rough_ns = (middle_ns[-1] - middle_ns[0]) / count[-1] * count
    residual_ns = (middle_ns - middle_ns[0]) - rough_ns
    weight = 1 / np.maximum(latest_ns - earliest_ns, _FLOOR_NS) ** 2
    weight /= weight.max()
    line_ns = _local_line(count, residual_ns, weight)
    for _ in range(2):  # a line that came late over USB is far off the rest: count it less (Huber's weights)
        off_ns = np.abs(residual_ns - line_ns)
        usual_ns = max(1.5 * float(np.median(off_ns)), 1.0)
        line_ns = _local_line(count, residual_ns, weight * np.minimum(1, usual_ns / np.maximum(off_ns, 1.0)))
    return middle_ns[0] + np.round(rough_ns + line_ns).astype(np.int64)


def _local_line(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """At each x, the weighted least-squares line through the points half a window to either side of it."""

    def window_sum(values: np.ndarray) -> np.ndarray:
        running = np.concatenate(([0.0], np.cumsum(values)))
        return running[last] - running[first]

    first = np.searchsorted(x, x - _WINDOW / 2)
    last = np.searchsorted(x, x + _WINDOW / 2, side="right")
    w, wx, wy = window_sum(weight), window_sum(weight * x), window_sum(weight * y)
    mean_x, mean_y = wx / w, wy / w
    spread = window_sum(weight * x * x) - wx * mean_x
    slope = (window_sum(weight * x * y) - wx * mean_y) / np.maximum(spread, 1e-9)
    return mean_y + slope * (x - mean_x)
