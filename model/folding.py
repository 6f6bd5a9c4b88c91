"""The networks' arithmetic with the needless part left out: the same functions of the same weights, for less work.

A 3x3 convolution of a doubled image reads every value four times over. Adding up, once, the kernel's entries that
meet the same value leaves 16 products an input where there were 36; so does it where a convolution's output is halved
by averaging. The parameters stay the 3x3 kernels of the paper, so weights, counts and checkpoints know nothing of
this, and whatever is folded is folded anew at each call: training moves the kernels.

Each function names the plain form it equals. `plain` makes a network compute in that form; tests compare the two in
float64, outputs and gradients.
"""

from collections.abc import Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


# Which entries of a kernel's row meet at each tap of the folded row, and with which weight.
HALVING = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1]]) / 2
DOUBLING = torch.tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])  # back to front: for a transposed convolution


def fold(kernel: Tensor, row: Tensor) -> Tensor:
    """(O, I, 3, 3) -> (O, I, 4, 4): the entries added up as `row`, (4, 3), says, along rows and along columns.

    Written as a matrix product over channels-last kernels, it shuffles none of their millions of numbers about.
    """
    sums = torch.kron(row, row).to(kernel)  # (16, 9)
    entries = kernel.permute(0, 2, 3, 1).flatten(1, 2)  # (O, 9, I), a view where channels are last
    return (sums @ entries).unflatten(1, (4, 4)).permute(0, 3, 1, 2)


def conv_doubled(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """The 3x3 convolution of nearest-doubled x, as one transposed convolution of x: 16 taps in place of 36.

    Args:
        x: (N, I, H, W).
        kernel: (O, I, 3, 3).
        bias: (O,), or None.

    Returns:
        (N, O, 2H, 2W), equal to conv3x3(double(x)).
    """
    taps = fold(kernel.transpose(0, 1), DOUBLING)  # (I, O, 4, 4), as torch wants a transposed kernel
    return F.conv_transpose2d(x, taps, bias, stride=2, padding=1)


def conv_halved(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """The 2 x 2 means of x's 3x3 convolution, as one convolution of stride 2: 16 taps in place of 36.

    Args:
        x: (N, I, H, W).
        kernel: (O, I, 3, 3).
        bias: (O,), or None.

    Returns:
        (N, O, H // 2, W // 2), equal to halve(conv3x3(x)).
    """
    return F.conv2d(x, fold(kernel, HALVING), bias, stride=2, padding=1)


def conv_halved_adjoint(y: Tensor, kernel: Tensor) -> Tensor:
    """The gradient of `conv_halved` by its input, (N, I, 2H, 2W), given that by its output, (N, O, H, W)."""
    return F.conv_transpose2d(y, fold(kernel, HALVING), stride=2, padding=1)


def conv_together(x: Tensor, convs: Sequence[nn.Conv2d]) -> tuple[Tensor, ...]:
    """What each of some convolutions of one size makes of the same x, as a single convolution.

    Args:
        x: (N, I, H, W).
        convs: with bias, equal but for their output channels.

    Returns:
        as many (N, O of each, H, W), equal to conv(x) for conv in convs.
    """
    kernels = torch.cat([conv.weight for conv in convs])
    biases = torch.cat([conv.bias for conv in convs if conv.bias is not None])
    together = F.conv2d(x, kernels, biases, padding=convs[0].padding)  # type: ignore[arg-type]
    return together.split([conv.out_channels for conv in convs], dim=1)


def plain(network: Network) -> Network:
    """The network itself, from now on computing every layer as the paper's tables write it."""
    for module in network.modules():
        if hasattr(module, "folded"):
            vars(module)["folded"] = False  # its own, over its class's
    return network
