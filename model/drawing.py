"""A finished run, ready to draw: the networks that evaluation and synthesis share."""

from pathlib import Path

import numpy as np
import torch

from ..dataset.batches import to_network
from ..dataset.loading import normalise_heatmap
from .device import cpu_threads
from .networks import build_networks
from .run import Run, RunError

BATCH = 128  # pictures drawn at once


class Painter:
    """The averaged G and I of a run, taking and giving what people handle: pixels and degrees.

    Attributes:
        run: where they come from.
    """

    def __init__(self, run: Path, device: torch.device) -> None:
        """Read the weights.

        Raises:
            RunError: no run there, or one whose training is not finished.
        """
        self.run, self.device = Run.open(run), device
        self.config = self.run.record.config.model
        self._threads = self.run.record.config.cpu_threads
        networks = build_networks(self.config, seed=0)
        self.run.load_weights("generator", networks.generator)
        self.run.load_weights("inversion", networks.inversion)
        self._G = networks.generator.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
        self._I = networks.inversion.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)

    def code(self, images: np.ndarray) -> np.ndarray:
        """z~ = I(x): the light and the clothing of each image.

        Args:
            images: (N, 8h, 8w, 3) uint8, RGB.

        Returns:
            (N, z) float32.

        Raises:
            RunError: images of another size than the model's.
        """
        if images.shape[1:] != (*self.config.image_shape, 3):
            rows, columns = self.config.image_shape
            raise RunError(f"the picture is {images.shape[2]} x {images.shape[1]}; this run takes {columns} x {rows}")
        with cpu_threads(self._threads):
            return self._I(to_network(torch.from_numpy(images).to(self.device))).cpu().numpy()

    def noise(self, count: int, seed: int) -> np.ndarray:
        """(count, z) float32, standard normal, the seed's own: codes of nobody in particular."""
        return np.random.default_rng(seed).standard_normal((count, self.config.z), np.float32)

    def draw(self, z: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
        """G(z, h).

        Args:
            z: (N, z) float32, or (1, z): one code for all.
            heatmaps: (N, h, w) float32, degC.

        Returns:
            (N, 8h, 8w, 3) float32 in [0, 1], RGB, unrounded.

        Raises:
            RunError: heatmaps of another size than the model's.
        """
        if heatmaps.shape[1:] != self.config.heatmap_shape:
            rows, columns = self.config.heatmap_shape
            raise RunError(
                f"a heatmap is {heatmaps.shape[2]} x {heatmaps.shape[1]}; this run takes {columns} x {rows}: "
                "crop it as its calibration says"
            )
        z = np.broadcast_to(z, (len(heatmaps), self.config.z))
        drawn = []
        for first in range(0, len(heatmaps), BATCH):
            part = slice(first, first + BATCH)
            h = torch.from_numpy(normalise_heatmap(heatmaps[part]))[:, None].to(self.device)
            with cpu_threads(self._threads):
                picture = self._G(torch.tensor(z[part], device=self.device), h)
            drawn.append((picture.permute(0, 2, 3, 1) * 0.5 + 0.5).cpu().numpy())
        return np.concatenate(drawn)

    def picture(self, z: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
        """`draw`, rounded to pixels: (N, 8h, 8w, 3) uint8."""
        return np.rint(self.draw(z, heatmaps) * 255).astype(np.uint8)
