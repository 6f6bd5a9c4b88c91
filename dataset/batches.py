"""Pairs on a device, and batches picked out of them.

The one module of this folder that needs torch; `PairSet.on` imports it, when it is called.
"""

import numpy as np
import torch
from torch import Tensor

from .loading import normalise_heatmap


class Batches:
    """All pairs as one uint8 tensor on the device: 22,000 of them are 169 MB, and a batch is one index_select.

    Args:
        images: (N, H, W, 3) uint8, RGB; on the CPU they are shared, not copied.
        heatmaps: (N, h, w) float32, degC.

    Attributes:
        images: (N, H, W, 3) uint8.
        heatmaps: (N, 1, h, w) float32 in [-1, 1].
    """

    def __init__(self, images: np.ndarray, heatmaps: np.ndarray, device: torch.device) -> None:
        self.images = torch.from_numpy(images).to(device)
        self.heatmaps = torch.from_numpy(normalise_heatmap(heatmaps)).to(device)[:, None]

    def __len__(self) -> int:
        return len(self.images)

    def take(self, index: Tensor, out: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The pairs of `index` as the networks take them, normalised on the device.

        Args:
            index: (n,) int64, on any device.
            out: images of an earlier call, to write over if they are as many: asking for new memory is up to half of
                what a batch costs on a CPU.

        Returns:
            images (n, 3, H, W) float32 in [-1, 1], in channels-last memory, and heatmaps (n, 1, h, w) float32 in
            [-1, 1].
        """
        pixels, heatmaps = self.take_pixels(index)
        return to_network(pixels, out), heatmaps

    def take_pixels(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """The same with images (n, H, W, 3) uint8, a quarter of the bytes: for a step that normalises by itself."""
        index = index.to(self.images.device, non_blocking=True)
        return self.images.index_select(0, index), self.heatmaps.index_select(0, index)

    def order(self, *seed: int) -> Tensor:
        """(N,) int64, the shuffle of one epoch: a function of the seed, so that a resumed run finds it again."""
        return torch.from_numpy(np.random.default_rng(seed).permutation(len(self)))  # torch's seeds have 32 bits only


def to_network(images: Tensor, out: Tensor | None = None) -> Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) float32 in [-1, 1], in channels-last memory: that of `out` if it fits."""
    images = images.permute(0, 3, 1, 2)
    if out is None or out.shape != images.shape:
        out = torch.empty(images.shape, device=images.device, memory_format=torch.channels_last)
    # One pass (a scaled addition) is 1.5 times as fast, and 2e-7 off: a run begun earlier would not go on bit for bit
    return out.copy_(images).div_(127.5).sub_(1)


def to_pixels(images: Tensor) -> np.ndarray:
    """(N, 3, H, W) in [-1, 1] -> (N, H, W, 3) uint8, rounded."""
    pixels = images.detach().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
