"""The phases of training: what one step of each does. The loop around them is `loop.py`."""

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from . import losses
from .adam import Adam
from .compiling import compiled
from .config import TrainConfig
from .discriminator import Discriminator
from .ema import Ema
from .generator import Generator
from .inversion import InversionEncoder
from .layers import Modulation
from .networks import Networks
from .ranks import ALONE, Ranks


class Phase(Protocol):
    """What the loop needs of a phase."""

    name: str
    metrics: tuple[str, ...]  # names of what `step` returns

    def __init__(self, networks: Networks, config: TrainConfig, ranks: Ranks = ALONE) -> None: ...

    def step(self, images: Tensor, heatmaps: Tensor, noise: torch.Generator) -> Tensor:
        """Train on this rank's share of a batch; (len(metrics),) of its losses, still on the device."""
        ...

    def state(self) -> dict[str, Any]: ...

    def load_state(self, state: dict[str, Any]) -> None: ...

    def finish(self, networks: Networks) -> dict[str, nn.Module]:
        """Put the averages in the place of what was trained; what is to be kept, by name."""
        ...


class RegressionPhase:
    """G alone: x = f(h) by the L1 error, which the paper argues from (section 3.1)."""

    name = "regression"
    metrics: tuple[str, ...] = ("g_reconstruction",)

    def __init__(self, networks: Networks, config: TrainConfig, ranks: Ranks = ALONE) -> None:
        self.config, self.ranks = config, ranks
        self.G = networks.generator.train()
        self.G_ema = Ema(self.G, config.ema)
        self.G_adam = _adam(self.G, config.lr_generator, config)
        self._loss = compiled(regression_loss, config)

    def step(self, images: Tensor, heatmaps: Tensor, noise: torch.Generator) -> Tensor:  # noqa: ARG002  no noise here
        """G once."""
        loss = self._loss(self.G, images, heatmaps, self.config)
        self.G_adam.zero_grad(set_to_none=True)
        loss.backward()
        self.ranks.average_gradients(self.G)
        self.G_adam.step()
        self.G_ema.update(self.G)
        return loss.detach()[None]

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def finish(self, networks: Networks) -> dict[str, nn.Module]:
        """As `Phase`; with an I that says nothing, so that whatever draws opens this run like any other."""
        networks.generator = self.G_ema.network
        return {"generator-last": self.G, "generator": networks.generator, "inversion": networks.inversion}

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        return {"generator": self.G, "generator_ema": self.G_ema.network, "generator_adam": self.G_adam}


class GanPhase:
    """G and D against each other (equations 1 to 4)."""

    name = "gan"
    metrics: tuple[str, ...] = (
        "d_adversarial",
        "d_heatmap_real",
        "d_heatmap_fake",
        "d_r1",
        "d_total",
        "g_adversarial",
        "g_heatmap",
        "g_total",
    )

    def __init__(self, networks: Networks, config: TrainConfig, ranks: Ranks = ALONE) -> None:
        self.config, self.ranks = config, ranks
        self.G, self.D = networks.generator.train(), networks.discriminator.train()
        self.G_ema, self.D_ema = Ema(self.G, config.ema), Ema(self.D, config.ema)
        self.G_adam = _adam(self.G, config.lr_generator, config)
        self.D_adam = _adam(self.D, config.lr_discriminator, config)
        self._modulate, self._draw = compiled(modulate, config), compiled(draw, config)
        self._discriminator_loss = compiled(discriminator_loss, config)
        self._generator_loss = compiled(generator_loss, config)

    def step(self, images: Tensor, heatmaps: Tensor, noise: torch.Generator) -> Tensor:
        """D once, then G once, each with fresh noise.

        G runs in training mode for D's sake too, so its running statistics move twice a step, as the authors' do.
        What the heat says to G is worked out once: neither heatmaps nor G's weights change between the two. (The
        statistics of a semantic branch that has any move once for it, towards the same batch's.)
        """
        modulations = self._modulate(self.G, heatmaps, self.config)
        d_metrics = self._discriminator_step(images, heatmaps, self._noise(images, noise), modulations)
        g_metrics = self._generator_step(heatmaps, self._noise(images, noise), modulations)
        self.D_ema.update(self.D)
        self.G_ema.update(self.G)
        return torch.stack(d_metrics + g_metrics)

    def _discriminator_step(
        self, images: Tensor, heatmaps: Tensor, z: Tensor, modulations: tuple[Modulation, ...]
    ) -> list[Tensor]:
        with torch.no_grad():
            fake = self._draw(self.G, z, modulations, self.config)
        loss, metrics = self._discriminator_loss(self.D, images, fake, heatmaps, self.config)
        self.D_adam.zero_grad(set_to_none=True)
        loss.backward()
        self.ranks.average_gradients(self.D)
        self.D_adam.step()
        return metrics

    def _generator_step(self, heatmaps: Tensor, z: Tensor, modulations: tuple[Modulation, ...]) -> list[Tensor]:
        self.D.requires_grad_(False)  # no gradients for weights that do not move now
        loss, metrics = self._generator_loss(self.G, self.D, z, modulations, heatmaps, self.config)
        self.D.requires_grad_(True)
        self.G_adam.zero_grad(set_to_none=True)
        loss.backward()
        self.ranks.average_gradients(self.G)
        self.G_adam.step()
        return metrics

    def _noise(self, images: Tensor, noise: torch.Generator) -> Tensor:
        # drawn on the CPU, so that a seed gives the same codes on any device, and for all ranks
        codes = torch.randn(len(images) * self.ranks.size, self.G.z, generator=noise)
        return self.ranks.share(codes).to(images.device, non_blocking=True)

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        return {
            "generator": self.G,
            "discriminator": self.D,
            "generator_ema": self.G_ema.network,
            "discriminator_ema": self.D_ema.network,
            "generator_adam": self.G_adam,
            "discriminator_adam": self.D_adam,
        }

    def finish(self, networks: Networks) -> dict[str, nn.Module]:
        """As `Phase`."""
        networks.generator, networks.discriminator = self.G_ema.network, self.D_ema.network
        return {
            "generator-last": self.G,
            "discriminator-last": self.D,
            "generator": networks.generator,
            "discriminator": networks.discriminator,
        }


class InversionPhase:
    """I learns to find the code of an image; D goes on learning, G stands still (equations 5 and 6).

    Args:
        networks: I fresh; G and D the averages at the end of the GAN phase. G is frozen, in evaluation mode; D starts
            again with a fresh Adam.
    """

    name = "inversion"
    metrics: tuple[str, ...] = (
        "i_reconstruction",
        "i_adversarial",
        "i_total",
        "d_adversarial",
        "d_heatmap_real",
        "d_heatmap_fake",
        "d_r1",
        "d_total",
    )

    def __init__(self, networks: Networks, config: TrainConfig, ranks: Ranks = ALONE) -> None:
        assert isinstance(networks.inversion, InversionEncoder), "a regression has no inversion phase"
        self.config, self.ranks = config, ranks
        self.I = networks.inversion.train()
        self.G = networks.generator.eval().requires_grad_(False)
        self.D = networks.discriminator.train().requires_grad_(True)
        self.I_ema = Ema(self.I, config.inversion_ema)
        self.I_adam = _adam(self.I, config.lr_inversion, config)
        self.D_adam = _adam(self.D, config.lr_inversion_discriminator, config)
        self._discriminator_loss = compiled(discriminator_loss, config)
        self._inversion_loss = compiled(inversion_loss, config)

    def step(self, images: Tensor, heatmaps: Tensor, noise: torch.Generator) -> Tensor:  # noqa: ARG002  no noise here
        """I and D once, both from the same reconstruction and from each other's weights before the step."""
        self.D.requires_grad_(False)
        i_loss, reconstructed, i_metrics = self._inversion_loss(self.I, self.G, self.D, images, heatmaps, self.config)
        self.D.requires_grad_(True)
        self.I_adam.zero_grad(set_to_none=True)
        i_loss.backward()

        d_loss, d_metrics = self._discriminator_loss(self.D, images, reconstructed, heatmaps, self.config)
        self.D_adam.zero_grad(set_to_none=True)
        d_loss.backward()

        self.ranks.average_gradients(self.I)
        self.ranks.average_gradients(self.D)
        self.I_adam.step()
        self.D_adam.step()
        self.I_ema.update(self.I)
        return torch.stack(i_metrics + d_metrics)

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, the frozen G included."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        return {
            "generator": self.G,
            "discriminator": self.D,
            "inversion": self.I,
            "inversion_ema": self.I_ema.network,
            "inversion_adam": self.I_adam,
            "discriminator_adam": self.D_adam,
        }

    def finish(self, networks: Networks) -> dict[str, nn.Module]:
        """As `Phase`."""
        networks.inversion = self.I_ema.network
        return {"inversion-last": self.I, "inversion": networks.inversion}


def phases_of(config: TrainConfig) -> tuple[type[Phase], ...]:
    """What a training goes through, in order."""
    return (RegressionPhase,) if config.model.regression else (GanPhase, InversionPhase)


def regression_loss(G: Generator, images: Tensor, heatmaps: Tensor, config: TrainConfig) -> Tensor:
    """Mean |x - f(h)| over images in [-1, 1] -> scalar; f is a G that reads no code."""
    with short(images, config):
        (drawn,) = _as(images, G(images.new_empty(len(images), 0), heatmaps))
    return losses.reconstruction(images, drawn)


def discriminator_loss(
    D: Discriminator, real: Tensor, fake: Tensor, heatmaps: Tensor, config: TrainConfig
) -> tuple[Tensor, list[Tensor]]:
    """D's total loss (eq. 4) on real images, made ones, and the heatmap that both show.

    Returns:
        scalar to descend; and adversarial, heatmap error on real and on fake, R1 (with the config's factor and without
        its weight: what the authors log) and the total, detached.
    """
    # never short: in bfloat16 enough LeakyReLUs fall the other way to put R1's gradient off by 7 percent
    real_scores, real_inferred, real_gradients = D.forward_with_gradient(real)
    with short(real, config):
        fake_scores, fake_inferred = _as(real, *D(fake))
    adversarial = losses.adversarial_discriminator(fake_scores, real_scores)
    real_error = losses.heatmap_error(heatmaps, real_inferred, config.heatmap_band)
    fake_error = losses.heatmap_error(heatmaps, fake_inferred, config.heatmap_band)
    mi = losses.mutual_information(fake_error, real_error)
    penalty = config.r1_factor * losses.r1(real_gradients)
    total = losses.total_discriminator(adversarial, mi, penalty, config.heatmap_weight, config.r1_weight)
    return total, [part.detach() for part in (adversarial, real_error, fake_error, penalty, total)]


def generator_loss(
    G: Generator,
    D: Discriminator,
    z: Tensor,
    modulations: tuple[Modulation, ...],
    heatmaps: Tensor,
    config: TrainConfig,
) -> tuple[Tensor, list[Tensor]]:
    """G's total loss (eq. 4) on what it draws.

    Returns:
        scalar to descend; and adversarial, heatmap error and the total, detached.
    """
    with short(heatmaps, config):
        scores, inferred = _as(heatmaps, *D(G.draw(z, modulations)))
    adversarial = losses.adversarial_generator(scores)
    error = losses.heatmap_error(heatmaps, inferred, config.heatmap_band)
    total = losses.total_generator(adversarial, config.generator_heatmap_factor * error, config.heatmap_weight)
    return total, [part.detach() for part in (adversarial, error, total)]


def inversion_loss(
    I: InversionEncoder,  # noqa: E741  the paper's name
    G: Generator,
    D: Discriminator,
    images: Tensor,
    heatmaps: Tensor,
    config: TrainConfig,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """I's total loss (eq. 6) on what G makes of its codes.

    Returns:
        scalar to descend; the reconstructed images, detached; and reconstruction, adversarial and the total, detached.
    """
    with short(images, config):
        reconstructed = G(I(images), heatmaps)
        scores, reconstructed = _as(images, D(reconstructed)[0], reconstructed)
    rec = losses.reconstruction(images, reconstructed)
    adversarial = losses.adversarial_inversion(scores)
    total = losses.total_inversion(rec, adversarial, config.inversion_adversarial_weight)
    return total, reconstructed.detach(), [part.detach() for part in (rec, adversarial, total)]


def modulate(G: Generator, heatmaps: Tensor, config: TrainConfig) -> tuple[Modulation, ...]:
    """What heatmaps say to G, in the config's precision."""
    with short(heatmaps, config):
        return G.modulate(heatmaps)


def draw(G: Generator, z: Tensor, modulations: tuple[Modulation, ...], config: TrainConfig) -> Tensor:
    """What G makes of codes, in the config's precision."""
    with short(z, config):
        return G.draw(z, modulations)


def short(data: Tensor, config: TrainConfig) -> torch.autocast:
    """Networks in it compute in bfloat16 where the config says so; the numbers they take and learn by are `data`'s."""
    return torch.autocast(data.device.type, torch.bfloat16, enabled=config.bf16)


def _as(data: Tensor, *outputs: Tensor) -> list[Tensor]:
    """What networks gave, in the data's precision: losses are worked out in it."""
    return [output.to(data.dtype) for output in outputs]


def _adam(network: nn.Module, rate: float, config: TrainConfig) -> Adam:
    return Adam(network.parameters(), rate, config.adam_betas, config.adam_eps)
