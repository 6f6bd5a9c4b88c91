import pytest
import torch

from lrt.model import losses

SCORES = torch.tensor([-2.0, 0.5])


def test_generators_adversarial_loss_is_minus_the_mean_score():
    assert losses.adversarial_generator(SCORES).item() == 0.75


def test_discriminators_hinge_lets_go_of_what_is_a_unit_clear():
    # relu(1 - 2), relu(1 + 0.5) -> mean 0.75;   relu(1 - 3), relu(1 - 0.2) -> mean 0.4
    assert losses.adversarial_discriminator(SCORES, torch.tensor([3.0, 0.2])).item() == pytest.approx(1.15)


def test_r1_of_a_linear_discriminator_is_the_square_of_its_weights():
    weights = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    images = torch.randn(6, 3, 4, 5, requires_grad=True)
    scores = (images * weights).sum(dim=(1, 2, 3))
    penalty = losses.r1(*torch.autograd.grad(scores.sum(), images, create_graph=True))
    assert penalty.item() == pytest.approx(weights.square().sum().item(), rel=1e-6)
    (slope,) = torch.autograd.grad(penalty, weights)
    torch.testing.assert_close(slope, 2 * weights)


def test_heatmap_error_is_nothing_inside_the_band_and_linear_outside():
    h = torch.zeros(1, 1, 2, 2)
    inferred = torch.tensor([[[[0.05, -0.05], [0.25, -0.45]]]])
    assert losses.heatmap_error(h, inferred, 0.05).item() == pytest.approx((0.2 + 0.4) / 4)
    assert losses.heatmap_error(h, inferred, 0.0).item() == pytest.approx(0.8 / 4)


def test_totals_weigh_their_parts_as_equation_4_says():
    adversarial, fake, real, penalty = (torch.tensor(v) for v in (1.0, 0.2, 0.4, 0.01))
    mi = losses.mutual_information(fake, real)
    assert mi.item() == pytest.approx(0.3)
    assert losses.total_discriminator(adversarial, mi, penalty, 2.0, 5.0).item() == pytest.approx(1 + 0.6 + 0.05)
    assert losses.total_generator(adversarial, mi, 2.0).item() == pytest.approx(1.6)


def test_inversion_minimises_the_error_and_raises_realness():
    images, made = torch.tensor([[1.0, -1.0]]), torch.tensor([[0.5, 0.5]])
    rec = losses.reconstruction(images, made)
    realness = losses.adversarial_inversion(SCORES)
    assert rec.item() == 1.0
    assert realness.item() == -0.75
    assert losses.total_inversion(rec, realness, 0.1).item() == pytest.approx(1.075)
