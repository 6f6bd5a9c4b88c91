"""One GAN step as the equations and tables write it, with nothing folded, shared or left out: the measure of faster.

So do the published code and its ports step: R1 by autograd, twice differentiated, on a pass of D of its own; G in full
for D's step and for its own; gradients of D's weights in G's step, thrown away; torch's plain memory format.
"""

import torch
from torch import Tensor

from lrt.model import losses
from lrt.model.adam import Adam
from lrt.model.config import TrainConfig
from lrt.model.ema import Ema
from lrt.model.folding import plain
from lrt.model.networks import Networks


class PlainGanStep:
    """`GanPhase`, to be read beside the paper.

    Args:
        networks: G and D, from now on in their plain form; of a port, anything with these two.
    """

    def __init__(self, networks: Networks, config: TrainConfig) -> None:
        self.config = config
        self.G, self.D = plain(networks.generator).train(), plain(networks.discriminator).train()
        self.G_ema, self.D_ema = Ema(self.G, config.ema), Ema(self.D, config.ema)
        self.G_adam = Adam(self.G.parameters(), config.lr_generator, config.adam_betas, config.adam_eps)
        self.D_adam = Adam(self.D.parameters(), config.lr_discriminator, config.adam_betas, config.adam_eps)

    def step(self, images: Tensor, heatmaps: Tensor, noise: torch.Generator) -> Tensor:
        """D once, then G once; the losses that `GanPhase.metrics` names."""
        d_metrics = self._discriminator_step(images, heatmaps, self._noise(images, noise))
        g_metrics = self._generator_step(heatmaps, self._noise(images, noise))
        self.D_ema.update(self.D)
        self.G_ema.update(self.G)
        return torch.stack(d_metrics + g_metrics).detach()

    def _discriminator_step(self, images: Tensor, heatmaps: Tensor, z: Tensor) -> list[Tensor]:
        config = self.config
        with torch.no_grad():
            fake = self.G(z, heatmaps)
        real_scores, real_inferred = self.D(images)
        fake_scores, fake_inferred = self.D(fake)
        adversarial = losses.adversarial_discriminator(fake_scores, real_scores)
        real_error = losses.heatmap_error(heatmaps, real_inferred, config.heatmap_band)
        fake_error = losses.heatmap_error(heatmaps, fake_inferred, config.heatmap_band)
        mi = losses.mutual_information(fake_error, real_error)

        images = images.detach().requires_grad_()
        scores, _ = self.D(images)
        (gradients,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
        penalty = config.r1_factor * losses.r1(gradients)

        loss = losses.total_discriminator(adversarial, mi, penalty, config.heatmap_weight, config.r1_weight)
        self.D_adam.zero_grad()
        loss.backward()
        self.D_adam.step()
        return [adversarial, real_error, fake_error, penalty, loss]

    def _generator_step(self, heatmaps: Tensor, z: Tensor) -> list[Tensor]:
        config = self.config
        scores, inferred = self.D(self.G(z, heatmaps))
        adversarial = losses.adversarial_generator(scores)
        error = losses.heatmap_error(heatmaps, inferred, config.heatmap_band)
        loss = losses.total_generator(adversarial, config.generator_heatmap_factor * error, config.heatmap_weight)
        self.G_adam.zero_grad()
        loss.backward()
        self.G_adam.step()
        return [adversarial, error, loss]

    def _noise(self, images: Tensor, noise: torch.Generator) -> Tensor:
        return torch.randn(len(images), self.G.z, generator=noise).to(images)
