"""The small parts of the networks: convolutions, residual blocks, and SPADE's normalisation.

Keras' defaults reign here, for under them the published weights were trained: glorot-uniform weights, zero biases,
batch normalisation with eps 1e-3. LeakyReLU has slope 0.01 throughout.

The blocks read like the paper's tables. `UpConv` and `DownConv` are a convolution with the resizing beside it, and
know how to do both at once for less work (`folding.py`); `folded = False` gives their plain form.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import folding

BATCH_NORM_EPS = 1e-3
SLOPE = 0.01
FOLD_FROM = 100  # places of a batch: for fewer, folding a kernel costs more than it saves (one picture at 5 x 8)


class Conv(nn.Conv2d):
    """A convolution that keeps rows and columns; glorot-uniform weights, zero bias."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=bias)

    def reset_parameters(self) -> None:
        nn.init.xavier_uniform_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def adjoint(self, y: Tensor) -> Tensor:
        """The gradient by the input, given that by the output."""
        return F.conv_transpose2d(y, self.weight, padding=self.padding)  # type: ignore[arg-type]


class Linear(nn.Linear):
    """A fully connected layer; glorot-uniform weights, zero bias."""

    def reset_parameters(self) -> None:
        nn.init.xavier_uniform_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class Constant(Linear):
    """The layer of a code that is always 1, hence learned numbers: (N, _) -> (N, outputs), whatever it is given."""

    def __init__(self, outputs: int) -> None:
        super().__init__(1, outputs, bias=False)

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight)  # glorot-uniform would be all but 0, with no code to add it up

    def forward(self, z: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(z.new_ones(len(z), 1))


def leaky(x: Tensor) -> Tensor:
    """LeakyReLU with the authors' slope."""
    return F.leaky_relu(x, SLOPE)


def leaky_adjoint(y: Tensor, x: Tensor) -> Tensor:
    """The gradient by x of leaky(x), given that by leaky(x)."""
    return torch.where(x > 0, y, SLOPE * y)


def double(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 2H, 2W), each value repeated."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def halve(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, H // 2, W // 2), means of 2 x 2; an odd last row or column is dropped."""
    return F.avg_pool2d(x, 2)


class UpConv(Conv):
    """The convolution of a doubled image: conv(double(x)), (N, inputs, H, W) -> (N, outputs, 2H, 2W)."""

    folded = True

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        if self.folded and self.kernel_size == (1, 1):  # equal values stay equal under it
            return double(super().forward(x))
        if not self.folded or len(x) * x.shape[2] * x.shape[3] < FOLD_FROM:
            return super().forward(double(x))
        return folding.conv_doubled(x, self.weight, self.bias)


class DownConv(Conv):
    """A convolution, then means of 2 x 2: halve(conv(x)), (N, inputs, H, W) -> (N, outputs, H // 2, W // 2)."""

    folded = True

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        if not self.folded:
            return halve(super().forward(x))
        if self.kernel_size == (1, 1):  # a mean's image is the images' mean
            return super().forward(halve(x))
        return folding.conv_halved(x, self.weight, self.bias)

    def adjoint(self, y: Tensor) -> Tensor:
        """The gradient by the input, of even sides, given that by the output."""
        if self.kernel_size == (1, 1):
            return double(F.conv_transpose2d(y, self.weight / 4))
        return folding.conv_halved_adjoint(y, self.weight)


class SemanticBlock(nn.Module):
    """A residual block of the semantic branch: no batch normalisation, which would wash the heat out (section 3.2).

    Args:
        inputs, outputs: channels.
        first: the branch's first block takes the heatmap as it is: no activation before it, no doubling.
        momentum: of a batch normalisation before each convolution, as in `DownBlock`; None: neither, the paper's.
    """

    def __init__(self, inputs: int, outputs: int, first: bool = False, momentum: float | None = None) -> None:
        super().__init__()
        self.first = first
        biased, resizing = momentum is None, Conv if first else UpConv
        self.skip = resizing(inputs, outputs, 1, bias=biased)
        self.norm1 = nn.Identity() if momentum is None else batch_norm(inputs, momentum)
        self.conv1 = resizing(inputs, outputs, bias=biased)
        self.norm2 = nn.Identity() if momentum is None else batch_norm(outputs, momentum)
        self.conv2 = Conv(outputs, outputs, bias=biased)

    def forward(self, x: Tensor) -> Tensor:  # (N, inputs, H, W) -> (N, outputs, 2H, 2W), or H, W if first
        main = self.norm1(x) if self.first else leaky(self.norm1(x))
        return self.skip(x) + self.conv2(leaky(self.norm2(self.conv1(main))))


class Modulation(NamedTuple):
    """What the heat says to one normalisation: x becomes BN(x) scale + shift."""

    scale: Tensor  # (N, channels, H, W), 1 + gamma
    shift: Tensor  # (N, channels, H, W), beta


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

    def modulation(self, m: Tensor) -> Modulation:
        """What the semantic map m, (N, _, H, W), says to this layer."""
        semantic = leaky(m) if self.shared is None else F.relu(self.shared(m))
        return Modulation(1 + self.gamma(semantic), self.beta(semantic))

    def forward(self, x: Tensor, modulation: Modulation) -> Tensor:  # (N, channels, H, W), the same
        return torch.addcmul(modulation.shift, self.norm(x), modulation.scale)


class SpadeBlock(nn.Module):
    """The SPADE(-SR) residual block, which doubles rows and columns (Fig. 3d); its convolutions have no bias."""

    def __init__(self, inputs: int, outputs: int, semantic_width: int, self_resampling: bool, momentum: float) -> None:
        super().__init__()
        self.skip = UpConv(inputs, outputs, 1, bias=False)
        self.norm1 = SpadeNorm(inputs, semantic_width, self_resampling, momentum)
        self.conv1 = UpConv(inputs, outputs, bias=False)
        self.norm2 = SpadeNorm(outputs, semantic_width, self_resampling, momentum)
        self.conv2 = Conv(outputs, outputs, bias=False)

    def forward(self, x: Tensor, before: Modulation, after: Modulation) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, 2H, 2W); the heat modulates `before` the doubling and `after` it."""
        main = self.conv1(leaky(self.norm1(x, before)))
        main = self.conv2(leaky(self.norm2(main, after)))
        return main + self.skip(x)


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
        self.first = first
        biased, resizing = momentum is None, DownConv if pool else Conv
        self.skip = resizing(inputs, outputs, 1, bias=biased)
        self.norm1 = nn.Identity() if momentum is None else batch_norm(inputs, momentum)
        self.conv1 = Conv(inputs, outputs, bias=biased)
        self.norm2 = nn.Identity() if momentum is None else batch_norm(outputs, momentum)
        self.conv2 = resizing(outputs, outputs, bias=biased)

    def forward(self, x: Tensor) -> Tensor:  # (N, inputs, H, W) -> (N, outputs, H // 2, W // 2), or H, W
        main = self.norm1(x) if self.first else leaky(self.norm1(x))
        main = self.conv2(leaky(self.norm2(self.conv1(main))))
        return main + self.skip(x)

    def linearised(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The output, and the function from a gradient by it to that by x; for a block without normalisation."""
        hidden = self.conv1(x if self.first else leaky(x))

        def adjoint(y: Tensor) -> Tensor:
            main = self.conv1.adjoint(leaky_adjoint(self.conv2.adjoint(y), hidden))
            return self.skip.adjoint(y) + (main if self.first else leaky_adjoint(main, x))

        return self.conv2(leaky(hidden)) + self.skip(x), adjoint


def batch_norm(channels: int, momentum: float) -> nn.BatchNorm2d:
    """Batch normalisation with a learned scale and shift."""
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPS, momentum=momentum)


def count_parameters(network: torch.nn.Module) -> int:
    """How many numbers training changes; batch normalisation's running statistics are not among them."""
    return sum(parameter.numel() for parameter in network.parameters())
