"""Training steps of the public ports, from checkouts outside this repository: `--peer tzuti=PATH` of bench.training.

Nothing of theirs is here. A port's own files are imported from its checkout, its networks built at the paper's sizes,
and one of its steps taken on our data. Neither is the paper's model to the letter (docs/training.md), so the ratios
compare the work of a step, not equal arithmetic.

| name | checkout | step |
| --- | --- | --- |
| acqxi | github.com/acqxi/PAIR-LRT-Human (`spadesr/`) | none is published: ours in plain form, on their networks |
| tzuti | github.com/Tzu-Ti/SPADE-SR-pytorch | their `train_D` and `train_G` themselves; needs einops and torch_ema |
"""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from lrt import LrtError
from lrt.model.config import TrainConfig

from .plain_step import PlainGanStep

NEVER_CALLED = {  # plots, progress bars and scores: imported by the ports' scripts, and no part of a step
    "visdom": (),
    "tqdm": ("tqdm",),
    "torchmetrics": (),
    "torchmetrics.image": (),
    "torchmetrics.image.fid": ("FrechetInceptionDistance",),
}


Step = Callable[[], object]


class PeerError(LrtError, ValueError):
    """A checkout that is not there, is not the port's, or lacks a package."""


def peer_step(name: str, checkout: Path, config: TrainConfig, images: Tensor, heatmaps: Tensor) -> Step:
    """One GAN step of a port, on the CPU, ready to be called again and again.

    Args:
        name: acqxi or tzuti.
        checkout: the folder of its files.
        config: batch and rates; the model is spade-sr-64.
        images: (N, 3, 40, 64) float32 in [-1, 1].
        heatmaps: (N, 1, 5, 8) float32 in [-1, 1].

    Raises:
        PeerError: no such port or checkout, or what it imports is not installed.
    """
    if name not in STEPS:
        raise PeerError(f"no peer '{name}'; give one of {', '.join(STEPS)}, as {name}=PATH")
    if config.model.name != "spade-sr-64":
        raise PeerError(f"the peers are built as spade-sr-64, not as {config.model.name}; leave --peer or --model out")
    try:
        return STEPS[name](checkout, config, images, heatmaps)
    except ImportError as error:
        raise PeerError(f"peer {name}: {error}; give the folder of its checkout and install what it needs") from error


def _acqxi_step(checkout: Path, config: TrainConfig, images: Tensor, heatmaps: Tensor) -> Step:
    theirs = _load(checkout, "spadesr")
    sizes = {
        "G_Z_DIM": 128, "G_CONV_CH": 128, "G_CONV_THERMAL_CH": 64, "D_CONV_CH": 128, "D_CONV_THERMAL_CH": 128,
        "IMG_SHAPE_X": 64, "IMG_SHAPE_Y": 40, "RELU_NEG_SLOPE": 0.01, "D_USE_GSP": False,
    }  # fmt: skip

    class HeatLast(nn.Module):
        """Their G takes the heat first."""

        z = sizes["G_Z_DIM"]

        def __init__(self) -> None:
            super().__init__()
            self.G = theirs.Generator(sizes)

        def forward(self, z: Tensor, heatmaps: Tensor) -> Tensor:
            return self.G(heatmaps, z)

    step = PlainGanStep(SimpleNamespace(generator=HeatLast(), discriminator=theirs.Discriminator(sizes)), config)
    noise = torch.Generator().manual_seed(0)
    return lambda: step.step(images, heatmaps, noise)


def _tzuti_step(checkout: Path, config: TrainConfig, images: Tensor, heatmaps: Tensor) -> Step:
    theirs = _load(checkout, "train")
    ema = importlib.import_module("torch_ema").ExponentialMovingAverage
    trainer = theirs.Model_factory.__new__(theirs.Model_factory)  # its __init__ opens data, a GPU and a visdom server
    trainer.args = SimpleNamespace(z_dim=128, d_rec_weight=2, d_gp_weight=5, g_rec_weight=2)
    trainer.device = "cpu"
    trainer.G = theirs.Generator(ther_conv_dim=64).train()  # the rest as its defaults have it: the paper's sizes
    trainer.D = theirs.Discriminator().train()
    trainer.G_ema = ema(trainer.G.parameters(), decay=0.995)
    trainer.D_ema = ema(trainer.D.parameters(), decay=0.995)
    trainer.G_optimizer = torch.optim.AdamW(trainer.G.parameters(), lr=config.lr_generator)
    trainer.D_optimizer = torch.optim.AdamW(trainer.D.parameters(), lr=config.lr_discriminator)
    trainer.D_adv_criterion = theirs.D_Criterion_adv()
    trainer.D_h_rec_criterion = trainer.G_h_rec_criterion = theirs.Criterion_h_rec()
    trainer.D_gp_criterion = theirs.R1_Penalty()
    trainer.G_adv_criterion = theirs.G_Criterion_adv()

    def step() -> None:
        trainer.rgb, trainer.thermal = images.clone(), heatmaps  # their R1 marks the images for gradients
        with patch.object(Tensor, "cuda", lambda self: self):  # it also names the GPU outright
            trainer.train_D()
            trainer.train_G()

    return step


STEPS: dict[str, Callable[[Path, TrainConfig, Tensor, Tensor], Step]] = {
    "acqxi": _acqxi_step,
    "tzuti": _tzuti_step,
}


def _load(checkout: Path, name: str) -> Any:
    """A module of the checkout, which is found before all others; afterwards its name is free again."""
    before = set(sys.modules)
    sys.modules.update({each: _stand_in(each, has) for each, has in NEVER_CALLED.items() if each not in before})
    sys.path.insert(0, str(checkout.resolve()))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(checkout.resolve()))
        for each in set(sys.modules) - before:
            file = getattr(sys.modules[each], "__file__", None)
            if each in NEVER_CALLED or (file and Path(file).is_relative_to(checkout.resolve())):
                del sys.modules[each]


def _stand_in(name: str, has: tuple[str, ...]) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(dict.fromkeys(has), __path__=[])
    return module
