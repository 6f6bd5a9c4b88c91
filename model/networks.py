"""The networks of one model, built together and counted."""

from dataclasses import dataclass

import torch
from torch import nn

from .config import MODELS, ModelConfig
from .discriminator import Discriminator
from .generator import Generator
from .inversion import InversionEncoder, NoCode
from .layers import count_parameters


@dataclass
class Networks:
    """G, D and I of one config; a regression leaves D as it is."""

    generator: Generator
    discriminator: Discriminator
    inversion: InversionEncoder | NoCode

    @property
    def trained(self) -> dict[str, nn.Module]:
        """Name -> network, of those that a training changes."""
        if isinstance(self.inversion, NoCode):
            return {"generator": self.generator}
        return {"generator": self.generator, "discriminator": self.discriminator, "inversion": self.inversion}


def build_networks(config: ModelConfig, seed: int) -> Networks:
    """Fresh networks on the CPU, their weights drawn from the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inversion = NoCode if config.regression else InversionEncoder
        return Networks(Generator(config), Discriminator(config), inversion(config))


def model_table() -> dict[str, int]:
    """Name -> exact parameter count of every network at the paper's sizes: the generators of Table 3, those of
    the baselines, D and I.
    """
    with torch.device("meta"):  # shapes without memory
        table = {name: count_parameters(Generator(config)) for name, config in MODELS.items()}
        standard = MODELS["spade-sr-64"]
        table["discriminator"] = count_parameters(Discriminator(standard))
        table["inversion-encoder"] = count_parameters(InversionEncoder(standard))
    return table
