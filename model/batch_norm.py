"""Batch normalisation over a batch of which every rank holds a share."""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from .inversion import CodeNorm
from .ranks import Ranks, sum_over_ranks


class WholeBatchNorm(nn.BatchNorm2d):
    """The layer it replaces, of maps or of codes, with the whole batch's mean and variance in training.

    torch's SyncBatchNorm does so on GPUs alone, and knows nothing of codes, whose variance is averaged as it is.

    Args:
        of_share: the layer, whose weights and running statistics it takes over under the same names.
    """

    def __init__(self, of_share: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        super().__init__(of_share.num_features, of_share.eps, of_share.momentum, of_share.affine)
        self.weight, self.bias = of_share.weight, of_share.bias
        self.running_mean, self.running_var = of_share.running_mean, of_share.running_var
        self.num_batches_tracked = of_share.num_batches_tracked
        self.correction = 0 if isinstance(of_share, CodeNorm) else 1
        self.train(of_share.training)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  (N / ranks, C, ...), the same
        mean, var = self.running_mean, self.running_var
        assert mean is not None
        assert var is not None
        if not self.training:
            return F.batch_norm(x, mean, var, self.weight, self.bias, eps=self.eps)
        per_channel = (1, -1, *[1] * (x.dim() - 2))
        wide = x.to(mean.dtype)  # autocast's are short
        var, mean = torch.var_mean(wide, [0, *range(2, x.dim())], correction=0)
        of_ranks = _Gather.apply(torch.stack([mean, var]))  # (ranks, 2, C)
        mean = of_ranks[:, 0].mean(0)
        var = of_ranks[:, 1].mean(0) + of_ranks[:, 0].var(0, correction=0)
        self._follow(mean.detach(), var.detach(), len(of_ranks) * x.numel() // x.shape[1])
        normal = (wide - mean.view(per_channel)) * (var + self.eps).rsqrt().view(per_channel)
        if self.affine:
            normal = torch.addcmul(self.bias.view(per_channel), normal, self.weight.view(per_channel))
        return normal.to(x.dtype)

    def _follow(self, mean: Tensor, var: Tensor, count: int) -> None:
        """Move the running statistics towards those of a batch of so many values a channel."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var * (count / (count - self.correction)), self.momentum)
        if self.correction and self.num_batches_tracked is not None:  # CodeNorm does not count
            self.num_batches_tracked.add_(1)


class _Gather(torch.autograd.Function):
    """A tensor of every rank, stacked, on each of them; its gradient adds up what all of them made of it."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:  # (...) -> (ranks, ...)
        ctx.rank = dist.get_rank()
        of_ranks = own.new_zeros(dist.get_world_size(), *own.shape)
        of_ranks[ctx.rank] = own
        return sum_over_ranks(of_ranks)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return sum_over_ranks(gradient.contiguous().clone())[ctx.rank]


def normalise_whole_batch(network: nn.Module, ranks: Ranks) -> None:
    """Let a network's batch normalisations see the shares of all ranks; for one there is nothing to do."""
    if ranks.size == 1:
        return
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(module, name, WholeBatchNorm(child))
