"""The whole dataset on the device, and batches picked out of it."""

import numpy as np
import torch
from torch import Tensor

from ..dataset.loading import normalise_heatmap


class Batches:
    """All pairs as one uint8 tensor on the device: 22,000 of them are 169 MB, and a batch is one index_select.

    Args:
        images: (N, H, W, 3) uint8, RGB.
        heatmaps: (N, h, w) float32, degC.

    Attributes:
        images: (N, H, W, 3) uint8.
        heatmaps: (N, 1, h, w) float32 in [-1, 1].
    """

    def __init__(self, images: np.ndarray, heatmaps: np.ndarray, device: torch.device) -> None:
        self.images = torch.tensor(images, device=device)
        self.heatmaps = torch.tensor(normalise_heatmap(heatmaps), device=device)[:, None]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The pairs of `index`, (n,) int64: images (n, 3, H, W) in [-1, 1] and heatmaps (n, 1, h, w) in [-1, 1]."""
        index = index.to(self.images.device, non_blocking=True)
        return to_network(self.images.index_select(0, index)), self.heatmaps.index_select(0, index)

    def order(self, seed: int, phase: str, epoch: int) -> Tensor:
        """(N,) int64, the shuffle of one epoch: a function of its arguments, so that a resumed run finds it again."""
        shuffle = np.random.default_rng([seed, phase == "inversion", epoch])  # torch's seeds count in 32 bits only
        return torch.from_numpy(shuffle.permutation(len(self)))


def to_network(images: Tensor) -> Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) float32 in [-1, 1], in channels-last memory."""
    return images.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def to_pixels(images: Tensor) -> np.ndarray:
    """(N, 3, H, W) in [-1, 1] -> (N, H, W, 3) uint8, rounded."""
    pixels = images.detach().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
