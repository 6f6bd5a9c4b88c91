"""A finished run, ready to draw in PyTorch: what evaluation and synthesis share."""

from pathlib import Path

import numpy as np
import torch

from ..dataset.batches import to_network
from ..dataset.loading import normalise_heatmap
from .device import cpu_threads
from .drawer import About, Drawer
from .inference import inference_form
from .networks import build_networks
from .run import Run


class Painter(Drawer):
    """The averaged G, in its inference form, and I of a run.

    Attributes:
        run: where they come from.
        config: the model's.
        generator: G, in its inference form.
        inversion: I.
    """

    def __init__(self, run: Path, device: torch.device) -> None:
        """Read the weights.

        Raises:
            RunError: no run there, or one whose training is not finished.
        """
        self.run, self.device = Run.open(run), device
        self.config = self.run.record.config.model
        self.runtime = f"PyTorch {torch.__version__}"
        self._threads = self.run.record.config.cpu_threads
        networks = build_networks(self.config, seed=0)
        self.run.load_weights("generator", networks.generator)
        self.run.load_weights("inversion", networks.inversion)
        record = self.run.record
        self.about = About(
            self.config.name,
            self.config.heatmap_shape,
            self.config.z,
            record.synthetic,
            record.data_sha256,
            record.calibration,
        )
        self.generator = inference_form(networks.generator).to(device).to(memory_format=torch.channels_last)
        self.inversion = (
            networks.inversion.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
        )

    def _code(self, images: np.ndarray) -> np.ndarray:
        with cpu_threads(self._threads):
            return self.inversion(to_network(torch.from_numpy(images).to(self.device))).cpu().numpy()

    def _draw(self, z: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
        h = torch.from_numpy(normalise_heatmap(heatmaps))[:, None].to(self.device)
        with cpu_threads(self._threads):
            picture = self.generator(torch.tensor(z, device=self.device), h)
        return (picture.permute(0, 2, 3, 1) * 0.5 + 0.5).cpu().numpy()
