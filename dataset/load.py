"""A dataset in memory: the form in which a model takes it."""

from dataclasses import dataclass

import numpy as np

COLDEST_C, WARMEST_C = 19.0, 30.0  # paper, section 4.2: this range becomes [-1, 1]


@dataclass(frozen=True, eq=False)
class PairSet:
    """Pairs of one split, in the order of their clips and frames.

    Attributes:
        images: (N, H, W, 3) uint8, RGB; 40 x 64 in the paper.
        heatmaps: (N, h, w) float32, degC; 5 x 8 in the paper.
        clip: (N,) int32, index into `clip_ids`.
        frame: (N,) int32, counts the pairs of one clip from 0.
        clothing, lighting: (N,) int16, class labels (`dataset.tags`).
        occupants: (N,) int16.
        clip_ids: name of each clip.
        synthetic: True when a twin made any of it.
    """

    images: np.ndarray
    heatmaps: np.ndarray
    clip: np.ndarray
    frame: np.ndarray
    clothing: np.ndarray
    lighting: np.ndarray
    occupants: np.ndarray
    clip_ids: tuple[str, ...]
    synthetic: bool

    def __len__(self) -> int:
        return len(self.images)


def normalise_heatmap(celsius: np.ndarray) -> np.ndarray:
    """Heat as the networks take it: 19..30 degC linear to [-1, 1], clipped outside (paper, section 4.2)."""
    scaled = (celsius - COLDEST_C) / (WARMEST_C - COLDEST_C) * 2 - 1
    return np.clip(scaled, -1, 1).astype(np.float32)
