"""The small parts of the networks: convolutions, residual blocks, and SPADE's normalisation.

Keras' defaults reign here, for under them the published weights were trained: glorot-uniform weights, zero biases,
batch normalisation with eps 1e-3. LeakyReLU has slope 0.01 throughout.

A 1x1 convolution commutes with nearest-neighbour upsampling and with average pooling, so every skip path applies
it on the smaller side: the same numbers for a quarter of the work.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH_NORM_EPS = 1e-3


class Conv(nn.Conv2d):
    """A convolution that keeps rows and columns; glorot-uniform weights, zero bias."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=bias)

    def reset_parameters(self) -> None:
        nn.init.xavier_uniform_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class Linear(nn.Linear):
    """A fully connected layer; glorot-uniform weights, zero bias."""

    def reset_parameters(self) -> None:
        nn.init.xavier_uniform_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


def leaky(x: Tensor) -> Tensor:
    """LeakyReLU with the authors' slope."""
    return F.leaky_relu(x, 0.01)


def double(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 2H, 2W), each value repeated."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def halve(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, H // 2, W // 2), means of 2 x 2; an odd last row or column is dropped."""
    return F.avg_pool2d(x, 2)


class SemanticBlock(nn.Module):
    """A residual block of the semantic branch: no batch normalisation, which would wash the heat out (section 3.2).

    Args:
        inputs, outputs: channels.
        first: the branch's first block takes the heatmap as it is: no activation before it, no doubling.
    """

    def __init__(self, inputs: int, outputs: int, first: bool = False) -> None:
        super().__init__()
        self.first = first
        self.skip = Conv(inputs, outputs, 1)
        self.conv1 = Conv(inputs, outputs)
        self.conv2 = Conv(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:  # (N, inputs, H, W) -> (N, outputs, 2H, 2W), or H, W if first
        if self.first:
            skip, main = self.skip(x), x
        else:
            skip, main = double(self.skip(x)), double(leaky(x))
        return skip + self.conv2(leaky(self.conv1(main)))


class SpadeNorm(nn.Module):
    """Spatially adaptive denormalisation: BN(x) (1 + gamma(m)) + beta(m), gamma and beta maps read off the heat.

    Args:
        channels: of x.
        semantic_width: channels of the features from which gamma and beta are convolved.
        self_resampling: True (SPADE-SR): m is a feature map of the semantic branch, and LeakyReLU(m) is convolved.
            False (SPADE): m is the resized heatmap, and a 3x3 convolution and ReLU of this layer's own come first.
        momentum: of the batch normalisation.
    """

    def __init__(self, channels: int, semantic_width: int, self_resampling: bool, momentum: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=momentum, affine=False)
        self.shared = None if self_resampling else Conv(1, semantic_width)
        self.gamma = Conv(semantic_width, channels)
        self.beta = Conv(semantic_width, channels)

    def forward(self, x: Tensor, m: Tensor) -> Tensor:  # (N, channels, H, W), (N, _, H, W) -> (N, channels, H, W)
        semantic = leaky(m) if self.shared is None else F.relu(self.shared(m))
        return self.norm(x) * (1 + self.gamma(semantic)) + self.beta(semantic)


class SpadeBlock(nn.Module):
    """The SPADE(-SR) residual block, which doubles rows and columns (Fig. 3d); its convolutions have no bias."""

    def __init__(self, inputs: int, outputs: int, semantic_width: int, self_resampling: bool, momentum: float) -> None:
        super().__init__()
        self.skip = Conv(inputs, outputs, 1, bias=False)
        self.norm1 = SpadeNorm(inputs, semantic_width, self_resampling, momentum)
        self.conv1 = Conv(inputs, outputs, bias=False)
        self.norm2 = SpadeNorm(outputs, semantic_width, self_resampling, momentum)
        self.conv2 = Conv(outputs, outputs, bias=False)

    def forward(self, x: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, 2H, 2W); `before` is the semantic map at H, W and `after` at 2H, 2W."""
        main = self.conv1(double(leaky(self.norm1(x, before))))
        main = self.conv2(leaky(self.norm2(main, after)))
        return main + double(self.skip(x))


class DownBlock(nn.Module):
    """BigGAN's residual block of the discriminator and of the inversion encoder.

    Args:
        inputs, outputs: channels.
        first: the network's first block: no activation before its first convolution.
        pool: halve rows and columns.
        momentum: of a batch normalisation before each convolution, whose biases then go; None: neither.
    """

    def __init__(
        self, inputs: int, outputs: int, first: bool = False, pool: bool = True, momentum: float | None = None
    ) -> None:
        super().__init__()
        self.first, self.pool = first, pool
        biased = momentum is None
        self.skip = Conv(inputs, outputs, 1, bias=biased)
        self.norm1 = nn.Identity() if momentum is None else batch_norm(inputs, momentum)
        self.conv1 = Conv(inputs, outputs, bias=biased)
        self.norm2 = nn.Identity() if momentum is None else batch_norm(outputs, momentum)
        self.conv2 = Conv(outputs, outputs, bias=biased)

    def forward(self, x: Tensor) -> Tensor:  # (N, inputs, H, W) -> (N, outputs, H // 2, W // 2), or H, W
        main = self.norm1(x) if self.first else leaky(self.norm1(x))
        main = self.conv2(leaky(self.norm2(self.conv1(main))))
        if not self.pool:
            return main + self.skip(x)
        return halve(main) + self.skip(halve(x))


def batch_norm(channels: int, momentum: float) -> nn.BatchNorm2d:
    """Batch normalisation with a learned scale and shift."""
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=momentum)


def count_parameters(network: torch.nn.Module) -> int:
    """How many numbers training changes; batch normalisation's running statistics are not among them."""
    return sum(parameter.numel() for parameter in network.parameters())
