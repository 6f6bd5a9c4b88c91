"""What is said of a model that copies its training pictures, and of one that copies nobody's."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lrt.model import memory
from lrt.model.features import Features
from lrt.model.memory import area_under_curve, measure_memory


class Pixels(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.float().flatten(1) / 255


CPU = torch.device("cpu")
PIXELS = Features("pixels", is_inception=False, network=Pixels(), device=CPU)


@pytest.fixture(scope="module")
def sides(make_pairs):
    return make_pairs(40, 12, seed=1), make_pairs(20, 12, seed=2)


@dataclass
class Model:
    """Draws a picture of its library for each heatmap: one by the code, or the one nearest in heat."""

    library: np.ndarray
    heatmaps: np.ndarray
    device: torch.device = CPU

    def noise(self, count, seed):
        return np.random.default_rng(seed).standard_normal((count, 1))

    def code(self, images):
        return np.zeros((len(images), 1))

    def picture(self, _, heatmaps):
        return self.library[np.random.default_rng(0).integers(len(self.library), size=len(heatmaps))]

    def draw(self, _, heatmaps):
        apart = ((heatmaps[:, None] - self.heatmaps) ** 2).sum(axis=(2, 3))
        return self.library[apart.argmin(axis=1)].astype(np.float32) / 255


@pytest.fixture(autouse=True)
def no_discriminator(monkeypatch):
    monkeypatch.setattr(memory.Run, "open", staticmethod(lambda _: SimpleNamespace()))


def test_a_model_that_copies_is_found_out(sides, tmp_path):
    trained, held_out = sides
    found = measure_memory(tmp_path, Model(trained.images, trained.heatmaps), trained, held_out, PIXELS)
    assert found.nearest_trained.value > 0.55
    assert found.distance_ratio.value < 0.97
    assert found.attack_by_reconstruction.value > 0.95
    assert found.attack_by_reconstruction.low > found.attack_by_reconstruction.chance
    assert found.attack_by_discriminator is None  # as in a bundle
    assert found.held_out == 20
    assert 20 <= found.trained <= 40  # three of its kind for each, some of them shared


def test_a_model_of_other_pictures_remembers_nothing(sides, make_pairs, tmp_path):
    trained, held_out = sides
    other = make_pairs(20, 12, seed=3)
    found = measure_memory(tmp_path, Model(other.images, other.heatmaps), trained, held_out, PIXELS)
    for figure in (found.nearest_trained, found.distance_ratio, found.attack_by_reconstruction):
        assert figure.low < figure.chance < figure.high
        assert figure.value == pytest.approx(figure.chance, abs=0.1)


def test_nothing_is_compared_across_clothing_and_light(sides, tmp_path):
    trained, held_out = sides
    model = Model(trained.images, trained.heatmaps)
    red = replace(held_out, clothing=np.full_like(held_out.clothing, 7))
    assert measure_memory(tmp_path, model, trained, red, PIXELS) is None


def test_the_area_counts_pairs_and_halves_ties():
    assert area_under_curve(np.array([2.0, 3.0]), np.array([1.0, 0.0])) == 1
    assert area_under_curve(np.array([1.0, 0.0]), np.array([1.0, 2.0])) == 0.125
