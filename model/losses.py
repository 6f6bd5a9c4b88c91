"""Equations 1 to 6 of the paper, a function each. What is weighted, and how, stands in `TrainConfig`.

Symbols: s is D's realness score, h a heatmap and h^ the one D infers, x an image, n the batch.
"""

import torch.nn.functional as F
from torch import Tensor


def adversarial_generator(fake_scores: Tensor) -> Tensor:
    """Eq. 1: L_adv^G = -mean(s_fake). Scores (N,) -> scalar."""
    return -fake_scores.mean()


def adversarial_discriminator(fake_scores: Tensor, real_scores: Tensor) -> Tensor:
    """Eq. 1: L_adv^D = mean(relu(1 + s_fake)) + mean(relu(1 - s_real)), the hinge. Scores (N,) -> scalar."""
    return F.relu(1 + fake_scores).mean() + F.relu(1 - real_scores).mean()


def r1(gradients: Tensor) -> Tensor:
    """Eq. 2: R1 = mean over images of ||grad_x D(x)||^2, the square summed over channels, rows and columns.

    Args:
        gradients: (N, 3, H, W), of each real image's score by the image.

    Returns:
        scalar, differentiable by what the gradients were made of.
    """
    return gradients.square().sum(dim=(1, 2, 3)).mean()


def heatmap_error(heatmaps: Tensor, inferred: Tensor, band: float) -> Tensor:
    """A term of eq. 3: mean(relu(|h - h^| - band)), over images and over the map.

    Args:
        heatmaps, inferred: (N, 1, h, w) in [-1, 1].
        band: an error up to this is the sensor's noise and costs nothing; 0.05 in the paper.
    """
    return F.relu((heatmaps - inferred).abs() - band).mean()


def mutual_information(fake_error: Tensor, real_error: Tensor) -> Tensor:
    """Eq. 3: L_mi = 1/2 (error on fake images + error on real images)."""
    return 0.5 * (fake_error + real_error)


def total_discriminator(adversarial: Tensor, mi: Tensor, penalty: Tensor, gamma: float, beta: float) -> Tensor:
    """Eq. 4: L_total^D = L_adv^D + gamma L_mi + beta R1."""
    return adversarial + gamma * mi + beta * penalty


def total_generator(adversarial: Tensor, mi: Tensor, gamma: float) -> Tensor:
    """Eq. 4: L_total^G = L_adv^G + gamma L_mi; what L_mi holds of real images moves no weight of G."""
    return adversarial + gamma * mi


def reconstruction(images: Tensor, reconstructed: Tensor) -> Tensor:
    """Eq. 5: L_rec^I = mean |x - G(z~, h)|, over images in [-1, 1]; half of it is the error on the scale [0, 1]."""
    return (images - reconstructed).abs().mean()


def adversarial_inversion(reconstructed_scores: Tensor) -> Tensor:
    """Eq. 5: L_adv^I = mean(s_rec)."""
    return reconstructed_scores.mean()


def total_inversion(rec: Tensor, adversarial: Tensor, lambda_: float) -> Tensor:
    """Eq. 6: L_total^I = L_rec^I - lambda L_adv^I."""
    return rec - lambda_ * adversarial
