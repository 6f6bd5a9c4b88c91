"""The discriminator D: how real an image is, and which heatmap it shows (paper, section 3.3)."""

import torch.nn.functional as F
from torch import Tensor, nn

from .config import ModelConfig
from .layers import Conv, DownBlock, Linear, leaky


class Discriminator(nn.Module):
    """Two heads on three down-blocks; no normalisation. It never sees the heatmap: it reads one off the image."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d, head = config.discriminator_width, config.heatmap_head_width
        rows, columns = config.heatmap_shape
        self.down1 = DownBlock(3, d, first=True)
        self.down2 = DownBlock(d, 2 * d)
        self.down3 = DownBlock(2 * d, 4 * d)
        self.realness = Linear(rows * columns * 4 * d, 1)
        self.heatmap_block = DownBlock(4 * d, head, pool=False)
        self.heatmap_conv = Conv(head, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Realness and heatmap of each image.

        Args:
            images: (N, 3, 8h, 8w) float32 in [-1, 1], RGB.

        Returns:
            (N,) float32: above 0 means real, unbounded. (N, 1, h, w) float32 in [-1, 1]: the heatmap it infers.
        """
        x = self.down3(self.down2(self.down1(images)))  # (N, 4d, h, w)
        flat = leaky(x).permute(0, 2, 3, 1).flatten(1)  # (N, h w 4d): the authors' order of weights
        heatmaps = F.tanh(self.heatmap_conv(leaky(self.heatmap_block(x))))
        return self.realness(flat).squeeze(1), heatmaps
