"""Sample sheets: the same pairs and the same codes, drawn again as training goes on."""

from pathlib import Path

import numpy as np
import torch

from ..dataset.batches import Batches, to_pixels
from ..dataset.loading import PairSet
from .config import TrainConfig
from .phases import GanPhase, InversionPhase, Phase, RegressionPhase
from .pictures import paint_heat, sheet, write_png

COLUMNS = 10


class SampleSheet:
    """Ten pairs spread over the dataset, with a code each that the seed fixes."""

    def __init__(self, pairs: PairSet, config: TrainConfig, device: torch.device) -> None:
        chosen = np.linspace(0, len(pairs) - 1, min(COLUMNS, len(pairs))).round().astype(int)
        picked = Batches(pairs.images[chosen], pairs.heatmaps[chosen], device)
        self.images, self.heatmaps = picked.take(torch.arange(len(chosen)))
        self.z = torch.randn(len(chosen), config.model.z, generator=torch.Generator().manual_seed(config.seed)).to(
            device
        )

    @torch.no_grad()
    def write(self, phase: Phase, path: Path) -> None:
        """Draw the sheet with the phase's averaged networks and write it as PNG.

        Rows of the GAN phase: the heatmap, the real image, the heatmap that D reads off it, the image that G draws
        from the heatmap, and the heatmap D reads off that. Of the inversion phase: the same, G's code being I's. Of a
        regression: the same without D.
        """
        if isinstance(phase, GanPhase):
            D = phase.D_ema.network
            fake, name = phase.G_ema.network(self.z, self.heatmaps), "drawn by G"
        elif isinstance(phase, InversionPhase):
            D = phase.D
            fake, name = phase.G(phase.I_ema.network(self.images), self.heatmaps), "G of I(image)"
        else:
            assert isinstance(phase, RegressionPhase), "there are three phases"
            D = None
            fake, name = phase.G_ema.network(self.z, self.heatmaps), "drawn by f"
        rows = [("heatmap", self._heat(self.heatmaps))]
        for row, images in (("real image", self.images), (name, fake)):
            rows.append((row, to_pixels(images)))
            if D is not None:
                rows.append(("D's heat of it", self._heat(D(images)[1])))
        write_png(path, sheet(rows), f"lrt sample sheet; the row '{name}' is synthetic: a network drew it")

    def _heat(self, heatmaps: torch.Tensor) -> np.ndarray:
        rows, columns = self.images.shape[2:]
        return paint_heat(heatmaps[:, 0].cpu().numpy(), (rows, columns))
