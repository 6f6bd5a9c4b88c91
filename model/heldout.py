"""The error on pairs that training never sees: what chooses the best inversion encoder.

The generator has no such choice: its own losses are against a moving opponent, so the last average is kept, as the
paper does.
"""

import numpy as np
import torch

from ..dataset.batches import Batches
from ..dataset.loading import PairSet
from . import losses
from .phases import InversionPhase

PAIRS = 64  # enough to rank steps by the same pairs, and a twelfth of what the steps between two looks cost


class HeldOut:
    """Pairs spread over the held-out clips, the same at every look."""

    def __init__(self, pairs: PairSet, device: torch.device) -> None:
        chosen = np.linspace(0, len(pairs) - 1, min(PAIRS, len(pairs))).round().astype(int)
        picked = Batches(pairs.images[chosen], pairs.heatmaps[chosen], device)
        self.images, self.heatmaps = picked.take(torch.arange(len(chosen)))

    @torch.no_grad()
    def error(self, phase: InversionPhase) -> float:
        """Mean absolute error of G(I(x), h) against x with the averaged I, on the scale of the losses: [-1, 1]."""
        drawn = phase.G(phase.I_ema.network(self.images), self.heatmaps)
        return losses.reconstruction(self.images, drawn).item()
