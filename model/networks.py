"""The networks of one model, built together and counted."""

from dataclasses import dataclass

import torch

from .config import MODELS, ModelConfig
from .discriminator import Discriminator
from .generator import Generator
from .inversion import InversionEncoder
from .layers import count_parameters


@dataclass
class Networks:
    """G, D and I of one config."""

    generator: Generator
    discriminator: Discriminator
    inversion: InversionEncoder


def build_networks(config: ModelConfig, seed: int) -> Networks:
    """Fresh networks on the CPU, their weights drawn from the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Networks(Generator(config), Discriminator(config), InversionEncoder(config))


def model_table() -> dict[str, int]:
    """Name -> exact parameter count of every network of the paper: five generators (Table 3), D and I."""
    with torch.device("meta"):  # shapes without memory
        table = {name: count_parameters(Generator(config)) for name, config in MODELS.items()}
        standard = MODELS["spade-sr-64"]
        table["discriminator"] = count_parameters(Discriminator(standard))
        table["inversion-encoder"] = count_parameters(InversionEncoder(standard))
    return table
