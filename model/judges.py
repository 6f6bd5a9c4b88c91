"""A small network that reads warmth, clothing and light off a picture: an opinion independent of G, D and I.

It learns from real pairs alone, and judges drawn pictures by what it learned there.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..dataset.batches import Batches, to_network
from ..dataset.loading import PairSet
from .device import cpu_threads

STEPS, BATCH = 500, 32  # six seconds of one core; width 24 takes twice as long and reads drawn figures no better
RATE = 3e-3
WIDTH = 16
NOISE = 0.03  # of [-1, 1]: fine grain that real pictures have and drawn ones lack must not decide
READ_AT_ONCE = 256


@dataclass(frozen=True)
class Reading:
    """What the judge sees in pictures.

    Attributes:
        warmth: (N, h, w) float32, degC above the heatmap's median (`warmth`).
        clothing, lighting: (N,) int64, class labels.
    """

    warmth: np.ndarray
    clothing: np.ndarray
    lighting: np.ndarray


def warmth(heatmaps: np.ndarray) -> np.ndarray:
    """Heat above each heatmap's median, degC: no picture shows how warm its room is.

    Args:
        heatmaps: (N, h, w) float32, degC.
    """
    return heatmaps - np.median(heatmaps, axis=(1, 2), keepdims=True)


class Judge:
    """The trained network; see `train_judge`."""

    def __init__(self, network: nn.Module, scale_c: float, device: torch.device) -> None:
        self._network, self._scale_c, self._device = network, scale_c, device

    @torch.no_grad()
    def read(self, images: np.ndarray) -> Reading:
        """Read (N, H, W, 3) uint8 RGB pictures."""
        found = []
        with cpu_threads(1):
            for first in range(0, len(images), READ_AT_ONCE):
                part = torch.from_numpy(images[first : first + READ_AT_ONCE]).to(self._device)
                heat, clothing, lighting = self._network(to_network(part))
                found.append((heat * self._scale_c, clothing.argmax(dim=1), lighting.argmax(dim=1)))
        heat, clothing, lighting = (torch.cat(part).cpu().numpy() for part in zip(*found, strict=True))
        return Reading(heat, clothing, lighting)


def train_judge(pairs: PairSet, seed: int, device: torch.device, steps: int | None = None) -> Judge:
    """A judge that learned from real pairs; the same seed, pairs and device give the same judge.

    Clothing is learned where somebody is in the clip; pairs without a label teach the rest.

    Args:
        pairs: real ones.
        seed: of its first weights, its noise and its batches.
        device: where it computes; one thread of a CPU, for layers this small gain nothing from a second.
        steps: of Adam, the rate falling to zero; STEPS when left out.
    """
    steps = STEPS if steps is None else steps
    rng = np.random.default_rng(seed)
    heat = warmth(pairs.heatmaps)
    scale_c = float(max(heat.std(), 1e-3))
    targets = torch.from_numpy(heat / scale_c).to(device)
    clothing = torch.from_numpy(np.where(pairs.occupants > 0, pairs.clothing, -1).astype(np.int64)).to(device)
    lighting = torch.from_numpy(pairs.lighting.astype(np.int64)).to(device)
    data = Batches(pairs.images, pairs.heatmaps, device)
    noise = torch.Generator(device).manual_seed(seed)
    with torch.random.fork_rng(devices=[]), cpu_threads(1):
        torch.manual_seed(seed)
        network = _Network(len(pairs.vocabulary.clothing), len(pairs.vocabulary.lighting)).to(device)
        optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
        schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, steps)
        for _ in range(steps):
            index = torch.from_numpy(rng.integers(len(pairs), size=BATCH))
            x, _ = data.take(index)
            x = x + NOISE * torch.randn(x.shape, generator=noise, device=device)
            there = index.to(device)
            heat_read, clothing_read, lighting_read = network(x)
            loss = F.smooth_l1_loss(heat_read, targets[there])
            loss = loss + _of_labelled(clothing_read, clothing[there]) + _of_labelled(lighting_read, lighting[there])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return Judge(network.eval().requires_grad_(False), scale_c, device)


class _Network(nn.Module):
    """(N, 3, 8h, 8w) in [-1, 1] -> warmth (N, h, w) in standard deviations, clothing and lighting as logits."""

    def __init__(self, clothing: int, lighting: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(3, WIDTH, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, 2 * WIDTH, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * WIDTH, 2 * WIDTH, 4, stride=2, padding=1),
            nn.ReLU(),
        )
        self.heat = nn.Sequential(
            nn.Conv2d(2 * WIDTH, 2 * WIDTH, 3, padding=1), nn.ReLU(), nn.Conv2d(2 * WIDTH, 1, 3, padding=1)
        )
        # The greatest sees a shirt that fills two cells; the mean sees the light.
        self.clothing = nn.Linear(4 * WIDTH, clothing)
        self.lighting = nn.Linear(4 * WIDTH, lighting)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        seen = self.trunk(x)  # (N, 2 WIDTH, h, w)
        pooled = torch.cat([seen.amax(dim=(2, 3)), seen.mean(dim=(2, 3))], dim=1)
        return self.heat(seen)[:, 0], self.clothing(pooled), self.lighting(pooled)


def _of_labelled(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of the labelled; 0 when there are none."""
    total = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
    return total / (labels >= 0).sum().clamp(min=1)
