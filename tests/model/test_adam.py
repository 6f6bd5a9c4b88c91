import numpy as np
import pytest
import torch

from lrt.model.adam import Adam

LR, B1, B2, EPS = 0.1, 0.3, 0.9, 1e-7


def gradients(steps: int) -> np.ndarray:
    """(steps, 3), from far above eps to far below it."""
    return np.random.default_rng(0).normal(size=(steps, 3)) * (1.0, 1e-6, 1e-9)


def kerass_path(gradients: np.ndarray) -> list[np.ndarray]:
    """Weights after each step from 0, by the update rule as Keras documents it."""
    w, m, v, path = np.zeros(3), np.zeros(3), np.zeros(3), []
    for t, g in enumerate(gradients, start=1):
        m, v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g**2
        w = w - LR * np.sqrt(1 - B2**t) / (1 - B1**t) * m / (np.sqrt(v) + EPS)
        path.append(w)
    return path


def take(adam: Adam, weights: torch.Tensor, gradients: np.ndarray) -> list[np.ndarray]:
    path = []
    for gradient in gradients:
        weights.grad = torch.from_numpy(gradient)
        adam.step()
        path.append(weights.detach().numpy().copy())
    return path


def zeros() -> torch.Tensor:
    return torch.zeros(3, dtype=torch.float64, requires_grad=True)


def test_every_step_is_kerass_whatever_the_gradients_size():
    weights = zeros()
    path = take(Adam([weights], LR, (B1, B2), EPS), weights, gradients(6))
    np.testing.assert_allclose(path, kerass_path(gradients(6)), rtol=1e-12)


def test_torchs_own_adam_takes_other_steps_where_gradients_are_small():
    weights = zeros()
    adam = torch.optim.Adam([weights], lr=LR, betas=(B1, B2), eps=EPS)
    weights.grad = torch.from_numpy(gradients(1)[0])
    adam.step()
    expected = kerass_path(gradients(1))[0]
    assert weights[0].item() == pytest.approx(expected[0], rel=1e-5)
    assert weights[2].item() != pytest.approx(expected[2], rel=0.5)


def test_a_state_that_was_saved_goes_on_as_if_nothing_had_happened():
    weights = zeros()
    first = Adam([weights], LR, (B1, B2), EPS)
    take(first, weights, gradients(6)[:3])
    again = Adam([weights], LR, (B1, B2), EPS)
    again.load_state_dict(first.state_dict())
    np.testing.assert_allclose(take(again, weights, gradients(6)[3:]), kerass_path(gradients(6))[3:], rtol=1e-12)
