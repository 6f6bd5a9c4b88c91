"""The exponential moving average of a network: what is evaluated, exported and drawn with."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


class Ema(Generic[Network]):
    """A frozen copy whose weights trail the live network's: average <- decay average + (1 - decay) live.

    It starts at the initial weights, without correction, as the authors' does. Buffers (batch normalisation's running
    statistics) are averages already and are copied.

    Attributes:
        network: the copy, in evaluation mode.
    """

    def __init__(self, live: Network, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(live).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, live: Network) -> None:
        """Take one step towards the live network."""
        for average, weight in zip(self.network.parameters(), live.parameters(), strict=True):
            average.lerp_(weight, 1 - self.decay)
        for average, buffer in zip(self.network.buffers(), live.buffers(), strict=True):
            average.copy_(buffer)
