"""What draws in PyTorch: a finished run, which evaluation and synthesis share, or weights exported of one."""

from pathlib import Path

import numpy as np
import torch

from ..dataset.batches import to_network
from ..dataset.loading import normalise_heatmap
from .config import ModelConfig
from .device import cpu_threads
from .drawer import About, Drawer, DrawingError
from .exported import Card
from .inference import inference_form
from .networks import Networks, build_networks
from .run import Run
from .weights import WeightsError, decode_weights


class TorchDrawer(Drawer):
    """Trained networks, in float32.

    Attributes:
        device: where they are.
        generator: G, in its inference form.
        inversion: I.
    """

    def __init__(self, about: About, networks: Networks, device: torch.device, threads: int | None = None) -> None:
        self.about, self.device = about, device
        self.runtime = f"PyTorch {torch.__version__}, fp32"
        self._threads = threads
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


class Painter(TorchDrawer):
    """The averaged G, in its inference form, and I of a run.

    Attributes:
        run: where they come from.
        config: the model's.
    """

    def __init__(self, run: Path, device: torch.device, threads: int | None = None) -> None:
        """Read the weights.

        Raises:
            RunError: no run there, or one whose training is not finished.
        """
        self.run = Run.open(run)
        self.config = self.run.record.config.model
        networks = load_networks(self.run)
        super().__init__(about_run(self.run), networks, device, threads or self.run.record.config.cpu_threads)


def about_run(run: Run) -> About:
    """What a run draws, and where it comes from."""
    record = run.record
    model = record.config.model
    return About(model.name, model.heatmap_shape, model.z, record.synthetic, record.data_sha256, record.calibration)


def load_networks(run: Run) -> Networks:
    """The averaged G and I of a run; its D is as it was born.

    Raises:
        RunError: there are no weights yet.
    """
    networks = build_networks(run.record.config.model, seed=0)
    run.load_weights("generator", networks.generator)
    run.load_weights("inversion", networks.inversion)
    return networks


def open_bundle(
    folder: Path, card: Card, precision: str, device: torch.device, threads: int | None = None
) -> TorchDrawer:
    """The form `bundle` of an export.

    Args:
        folder: where it lies.
        card: the export's.
        precision: of the weights in the files.
        device, threads: as of `TorchDrawer`.

    Raises:
        DrawingError: the weights are of other networks than the card's.
    """
    try:
        config = ModelConfig(**{**card.config, "heatmap_shape": tuple(card.config["heatmap_shape"])})
        networks = build_networks(config, seed=0)
        for name, network in (("generator", networks.generator), ("inversion", networks.inversion)):
            network.load_state_dict(decode_weights((folder / f"{name}.safetensors").read_bytes()))
    except (WeightsError, RuntimeError, TypeError, KeyError, ValueError) as error:
        raise DrawingError(f"{folder}: card and weights do not belong together; export the run again") from error
    drawer = TorchDrawer(card.about, networks, device, threads)
    if precision != "fp32":
        drawer.runtime = f"PyTorch {torch.__version__}, fp32 of {precision} weights"
    return drawer
