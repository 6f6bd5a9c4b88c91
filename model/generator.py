"""The generator G: a code z and a heatmap h become an image (paper, section 3.3, Fig. 4, Table 1)."""

import torch.nn.functional as F
from torch import Tensor, nn

from .config import ModelConfig
from .layers import Conv, Linear, SemanticBlock, SpadeBlock, SpadeNorm, double, leaky


class SelfResampling(nn.Module):
    """SPADE-SR's semantic branch: the heatmap resized by learning, into features at four resolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block1 = SemanticBlock(1, width, first=True)
        self.block2 = SemanticBlock(width, width)
        self.block3 = SemanticBlock(width, width)
        self.block4 = SemanticBlock(width, width)

    def forward(self, heatmaps: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # (N, 1, h, w)
        f1 = self.block1(heatmaps)  # (N, ch, h, w)
        f2 = self.block2(f1)  # (N, ch, 2h, 2w)
        f3 = self.block3(f2)  # (N, ch, 4h, 4w)
        f4 = self.block4(f3)  # (N, ch, 8h, 8w)
        return f1, f2, f3, f4


class Resizing(nn.Module):
    """SPADE's way: the heatmap itself in [0, 1], its values repeated to the same four resolutions."""

    def forward(self, heatmaps: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # (N, 1, h, w)
        m1 = heatmaps * 0.5 + 0.5
        m2 = double(m1)
        m3 = double(m2)
        return m1, m2, m3, double(m3)  # (N, 1, 8h, 8w) the last


class Generator(nn.Module):
    """SPADE-SR or SPADE, as `config.self_resampling` says.

    The paper's Table 1 ends with a plain batch normalisation; the authors' code, and its parameter counts in
    Table 3, have a SPADE-SR normalisation there, and so has this.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.z, self.heatmap_shape = config.z, config.heatmap_shape
        c, ch, learned, momentum = (
            config.width,
            config.semantic_width,
            config.self_resampling,
            config.batch_norm_momentum,
        )
        rows, columns = config.heatmap_shape
        self.semantic = SelfResampling(ch) if learned else Resizing()
        self.start = Linear(config.z, rows * columns * 4 * c, bias=False)
        self.up1 = SpadeBlock(4 * c, 4 * c, ch, learned, momentum)
        self.up2 = SpadeBlock(4 * c, 2 * c, ch, learned, momentum)
        self.up3 = SpadeBlock(2 * c, c, ch, learned, momentum)
        self.norm = SpadeNorm(c, ch, learned, momentum)
        self.to_rgb = Conv(c, 3)

    def forward(self, z: Tensor, heatmaps: Tensor) -> Tensor:
        """Images in the light and clothing of z, with a person where the heat is.

        Args:
            z: (N, z) float32; standard normal, or the inversion encoder's.
            heatmaps: (N, 1, h, w) float32 in [-1, 1].

        Returns:
            (N, 3, 8h, 8w) float32 in [-1, 1], RGB.
        """
        f1, f2, f3, f4 = self.semantic(heatmaps)
        x = self.start(z).unflatten(1, (*self.heatmap_shape, -1)).permute(0, 3, 1, 2)  # (N, 4c, h, w), channels last
        x = self.up1(x, f1, f2)  # (N, 4c, 2h, 2w)
        x = self.up2(x, f2, f3)  # (N, 2c, 4h, 4w)
        x = self.up3(x, f3, f4)  # (N, c, 8h, 8w)
        return F.tanh(self.to_rgb(leaky(self.norm(x, f4))))
