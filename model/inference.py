"""The generator for drawing alone: the same pictures from weights that stand still, for a quarter less work.

Training folds kernels anew at each call, for they move, and keeps batch normalisation apart, for its statistics do.
When nothing moves any more, three things can be done once and for all:

- Batch normalisation is a x + b with fixed a and b, so (a x + b)(1 + gamma) + beta = x scale + shift, with
  scale = a (1 + gamma) and shift = b (1 + gamma) + beta. Gamma and beta are convolutions, hence so are scale and
  shift, of other kernels: the normalisation itself costs nothing.
- All scales and shifts that are read off the same features become one convolution.
- A 3x3 convolution of a doubled image meets, at each of its places, 2 x 2 different values. Four kernels of 2 x 2, one
  for each place within a doubled pixel, give the same numbers by 16 products where there were 36.

Tests compare `inference_form` with the generator itself in float64.
"""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .generator import Generator
from .layers import Modulation, SpadeNorm, UpConv, leaky

# Which entries of a kernel's row meet at either tap of the window: for the left and for the right of a doubled pixel.
WINDOWS = torch.tensor([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])


def inference_form(generator: Generator) -> "InferenceGenerator":
    """A copy of the generator, of any dtype and on any device, that draws what it draws in `eval` mode, for less."""
    return InferenceGenerator(copy.deepcopy(generator).eval().requires_grad_(False)).eval()


class InferenceGenerator(nn.Module):
    """What `inference_form` gives: takes and gives what `Generator` does.

    Args:
        generator: taken over, and left without what is computed here.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        up1, up2, up3 = generator.up1, generator.up2, generator.up3
        by_resolution = ([up1.norm1], [up1.norm2, up2.norm1], [up2.norm2, up3.norm1], [up3.norm2, generator.norm])
        one_map = generator.norm.shared is None  # SPADE-SR: all norms of one resolution convolve the very same map
        grouped = [[norms] if one_map else [[norm] for norm in norms] for norms in by_resolution]
        self.resolution = [k for k, groups in enumerate(grouped) for _ in groups]
        self.sayings = nn.ModuleList([Saying(group) for groups in grouped for group in groups])
        for name, module in list(generator.named_modules()):
            if isinstance(module, SpadeNorm):
                for part in ("norm", "gamma", "beta", "shared"):  # what a saying took in
                    setattr(module, part, nn.Identity())
            elif isinstance(module, UpConv) and module.kernel_size == (3, 3):
                generator.set_submodule(name, WindowConv(module))
        self.generator = generator

    def forward(self, z: Tensor, heatmaps: Tensor) -> Tensor:  # (N, z), (N, 1, h, w) -> (N, 3, 8h, 8w)
        features = self.generator.semantic(heatmaps)
        modulations: list[Modulation] = []
        for k, say in zip(self.resolution, self.sayings, strict=True):
            modulations += say(features[k])
        return self.generator.draw(z, tuple(modulations))


class Saying(nn.Module):
    """What one map says to some normalisations, their statistics taken in: (N, _, H, W) -> a `Modulation` for each.

    Args:
        norms: of one resolution; of SPADE, whose norms have a first convolution of their own, a single one.
    """

    def __init__(self, norms: Sequence[SpadeNorm]) -> None:
        super().__init__()
        self.shared = norms[0].shared
        kernels, biases = zip(*(part for norm in norms for part in take_in(norm)), strict=True)
        self.channels = [len(bias) for bias in biases]
        self.conv = conv_of(torch.cat(kernels), torch.cat(biases), padding=1)

    def forward(self, m: Tensor) -> list[Modulation]:
        maps = self.conv(leaky(m) if self.shared is None else F.relu(self.shared(m))).split(self.channels, dim=1)
        return [Modulation(scale, shift) for scale, shift in zip(maps[::2], maps[1::2], strict=True)]


class WindowConv(nn.Module):
    """An `UpConv` of 3x3, the plain convolution of a doubled image: (N, I, H, W) -> (N, O, 2H, 2W)."""

    def __init__(self, conv: UpConv) -> None:
        super().__init__()
        self.outputs = conv.out_channels
        kernels = torch.einsum("amk,oikl,bnl->aboimn", WINDOWS.to(conv.weight), conv.weight, WINDOWS.to(conv.weight))
        bias = None if conv.bias is None else conv.bias.repeat(4)
        self.conv = conv_of(kernels.flatten(0, 2), bias, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[2:]
        windows = self.conv(x).permute(0, 2, 3, 1).unflatten(3, (2, 2, self.outputs))  # (N, H + 1, W + 1, 2, 2, O)
        places = [windows[:, a : a + rows, b : b + columns, a, b] for a in (0, 1) for b in (0, 1)]
        doubled = torch.stack(places, dim=3).unflatten(3, (2, 2)).transpose(2, 3)  # (N, H, 2, W, 2, O)
        return doubled.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


def take_in(norm: SpadeNorm) -> list[tuple[Tensor, Tensor]]:
    """Kernel and bias of the convolutions that give the scale and the shift of x itself, not of BN(x)."""
    bn, gamma, beta = norm.norm, norm.gamma, norm.beta
    assert bn.running_mean is not None
    assert bn.running_var is not None
    assert gamma.bias is not None
    assert beta.bias is not None
    a = torch.rsqrt(bn.running_var + bn.eps)
    b = -bn.running_mean * a
    by_output = (-1, 1, 1, 1)
    scale = a.view(by_output) * gamma.weight, a * (1 + gamma.bias)
    shift = b.view(by_output) * gamma.weight + beta.weight, b * (1 + gamma.bias) + beta.bias
    return [scale, shift]


def conv_of(kernel: Tensor, bias: Tensor | None, padding: int) -> nn.Conv2d:
    """The convolution with this kernel, (O, I, rows, columns), and bias; neither learns."""
    outputs, inputs, rows, columns = kernel.shape
    conv = nn.Conv2d(inputs, outputs, (rows, columns), padding=padding, bias=bias is not None, device="meta")
    conv.weight = nn.Parameter(kernel, requires_grad=False)
    if bias is not None:
        conv.bias = nn.Parameter(bias, requires_grad=False)
    return conv
