"""The discriminator D: how real an image is, and which heatmap it shows (paper, section 3.3)."""

import torch.nn.functional as F
from torch import Tensor, nn

from .config import ModelConfig
from .layers import Conv, DownBlock, Linear, leaky, leaky_adjoint


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
        return self._read(self.down3(self.down2(self.down1(images))))

    def forward_with_gradient(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What `forward` says, and the gradient of each image's realness by the image, written out.

        D is piecewise linear, so the gradient is the same convolutions transposed, with each LeakyReLU as it fell. It
        is a function of D's weights like any other: an ordinary backward pass goes through it, where a gradient from
        autograd needs to be differentiated twice.

        Returns:
            (N,) realness, (N, 1, h, w) heatmaps, and (N, 3, 8h, 8w) float32, the gradients.
        """
        x, adjoint1 = self.down1.linearised(images)
        x, adjoint2 = self.down2.linearised(x)
        x, adjoint3 = self.down3.linearised(x)
        scores, heatmaps = self._read(x)
        by_leaky = self.realness.weight.view(1, *x.shape[2:], -1).permute(0, 3, 1, 2)  # (1, 4d, h, w)
        return scores, heatmaps, adjoint1(adjoint2(adjoint3(leaky_adjoint(by_leaky, x))))

    def _read(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The two heads on features (N, 4d, h, w)."""
        flat = leaky(x).permute(0, 2, 3, 1).flatten(1)  # (N, h w 4d): the authors' order of weights
        heatmaps = F.tanh(self.heatmap_conv(leaky(self.heatmap_block(x))))
        return self.realness(flat).squeeze(1), heatmaps
