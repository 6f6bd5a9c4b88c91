"""The generator G: a code z and a heatmap h become an image (paper, section 3.3, Fig. 4, Table 1)."""

import torch.nn.functional as F
from torch import Tensor, nn

from .config import ModelConfig
from .folding import conv_together
from .layers import Constant, Conv, Linear, Modulation, SemanticBlock, SpadeBlock, SpadeNorm, double, leaky


class SelfResampling(nn.Module):
    """SPADE-SR's semantic branch: the heatmap resized by learning, into features at four resolutions.

    Args:
        width: channels of the features.
        momentum: of the batch normalisation that the paper leaves out; None: left out.
    """

    def __init__(self, width: int, momentum: float | None = None) -> None:
        super().__init__()
        self.block1 = SemanticBlock(1, width, first=True, momentum=momentum)
        self.block2 = SemanticBlock(width, width, momentum=momentum)
        self.block3 = SemanticBlock(width, width, momentum=momentum)
        self.block4 = SemanticBlock(width, width, momentum=momentum)

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
    """SPADE-SR or SPADE, as `config.self_resampling` says; without a code, where it is a `config.regression`.

    The paper's Table 1 ends with a plain batch normalisation; the authors' code, and its parameter counts in
    Table 3, have a SPADE-SR normalisation there, and so has this.

    What the heat says is the same for every z, and drawing is in two parts for it: `modulate` once for a heatmap, then
    `draw` for each z.
    """

    folded = True  # gammas and betas of one resolution in one convolution

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.z, self.heatmap_shape = config.z, config.heatmap_shape
        c, ch, learned, momentum = (
            config.width,
            config.semantic_width,
            config.self_resampling,
            config.batch_norm_momentum,
        )
        places = config.heatmap_shape[0] * config.heatmap_shape[1]
        self.semantic = SelfResampling(ch, momentum if config.semantic_norm else None) if learned else Resizing()
        self.start = Constant(places * 4 * c) if config.regression else Linear(config.z, places * 4 * c, bias=False)
        self.up1 = SpadeBlock(4 * c, 4 * c, ch, learned, momentum)
        self.up2 = SpadeBlock(4 * c, 2 * c, ch, learned, momentum)
        self.up3 = SpadeBlock(2 * c, c, ch, learned, momentum)
        self.norm = SpadeNorm(c, ch, learned, momentum)
        self.to_rgb = Conv(c, 3)

    def forward(self, z: Tensor, heatmaps: Tensor) -> Tensor:
        """Images in the light and clothing of z, with a person where the heat is.

        Args:
            z: (N, z) float32; standard normal, or the inversion encoder's. A regression reads only how many there are.
            heatmaps: (N, 1, h, w) float32 in [-1, 1].

        Returns:
            (N, 3, 8h, 8w) float32 in [-1, 1], RGB.
        """
        return self.draw(z, self.modulate(heatmaps))

    def modulate(self, heatmaps: Tensor) -> tuple[Modulation, ...]:
        """What heatmaps (N, 1, h, w) say to the seven normalisations, from the first to the last."""
        f1, f2, f3, f4 = self.semantic(heatmaps)
        up1, up2, up3 = self.up1, self.up2, self.up3
        return (
            *self._say(f1, up1.norm1),
            *self._say(f2, up1.norm2, up2.norm1),
            *self._say(f3, up2.norm2, up3.norm1),
            *self._say(f4, up3.norm2, self.norm),
        )

    def _say(self, feature: Tensor, *norms: SpadeNorm) -> list[Modulation]:
        """norm.modulation(feature) of each; where all convolve the very same map, in one convolution."""
        if not self.folded or any(norm.shared is not None for norm in norms):
            return [norm.modulation(feature) for norm in norms]
        maps = conv_together(leaky(feature), [conv for norm in norms for conv in (norm.gamma, norm.beta)])
        return [Modulation(1 + gamma, beta) for gamma, beta in zip(maps[::2], maps[1::2], strict=True)]

    def draw(self, z: Tensor, modulations: tuple[Modulation, ...]) -> Tensor:
        """The images of codes z (N, z) under what `modulate` gave; (N, 3, 8h, 8w) as `forward`."""
        m1, m2, m3, m4, m5, m6, m7 = modulations
        x = self.start(z).unflatten(1, (*self.heatmap_shape, -1)).permute(0, 3, 1, 2)  # (N, 4c, h, w), channels last
        x = self.up1(x, m1, m2)  # (N, 4c, 2h, 2w)
        x = self.up2(x, m3, m4)  # (N, 2c, 4h, 4w)
        x = self.up3(x, m5, m6)  # (N, c, 8h, 8w)
        return F.tanh(self.to_rgb(leaky(self.norm(x, m7))))
