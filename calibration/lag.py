"""Heatmaps between their own times: how late the heat is, against the images.

People move; a heatmap read 80 ms after its image lags behind the mask by a tenth of a step. The sensor's frames are
few and all at hand, masks are dear, so the heat is moved in time and never the masks.
"""

from dataclasses import dataclass

import numpy as np

SMOOTHING_S = 0.08  # of the Gaussian over the sensor's frames, 0.1 s apart: the noise left is the same at any offset
NS = 1e-9


@dataclass(frozen=True, eq=False)
class HeatmapSeries:
    """Every heatmap of the clips, chosen for the fit or not.

    Attributes:
        timestamps_ns: (M,) int64; rising within a clip.
        celsius: (M, R, C) float32, degC, after the rig's rotation.
        clip: (M,) int, which clip each is of.
    """

    timestamps_ns: np.ndarray
    celsius: np.ndarray
    clip: np.ndarray

    def at(self, times_ns: np.ndarray, clip: np.ndarray) -> np.ndarray:
        """The heat at any time, smoothed over about two sensor frames.

        Args:
            times_ns: (N,) int64, on the heatmaps' clock.
            clip: (N,) int, the clip of each.

        Returns:
            (N, R, C) float32, degC.
        """
        smoothed = np.empty((len(times_ns), *self.celsius.shape[1:]), dtype=np.float32)
        for number in np.unique(clip):
            here, wanted = self.clip == number, clip == number
            # Differences before floats: a monotonic clock's ns do not fit a float's 53 bits for ever.
            late_s = (self.timestamps_ns[here][None, :] - times_ns[wanted][:, None]) * NS
            weight = np.exp(-0.5 * np.minimum((late_s / SMOOTHING_S) ** 2, 1400))
            weight /= weight.sum(axis=1, keepdims=True)
            smoothed[wanted] = np.tensordot(weight.astype(np.float32), self.celsius[here], axes=1)
        return smoothed

    def rate_at(self, times_ns: np.ndarray, clip: np.ndarray) -> np.ndarray:
        """(N, R, C) float32, degC/s: how fast the heat changes at those times."""
        step_ns = 20_000_000
        later, earlier = self.at(times_ns + step_ns, clip), self.at(times_ns - step_ns, clip)
        return (later - earlier) / np.float32(2 * step_ns * NS)
