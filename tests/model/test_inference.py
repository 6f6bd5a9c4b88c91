"""The inference form of G against G itself."""

import copy
from dataclasses import replace

import pytest
import torch

from lrt.model.config import MODELS, ModelConfig
from lrt.model.generator import Generator
from lrt.model.inference import inference_form

TINY = ModelConfig("tiny", semantic_width=3, width=4, z=6)
SPADE = replace(TINY, self_resampling=False)
NORMALISED = replace(TINY, semantic_norm=True)
REGRESSION = replace(TINY, regression=True)


def lived_in(config: ModelConfig, dtype: torch.dtype = torch.float64) -> Generator:
    """A generator whose biases and running statistics are not those of the first day."""
    generator = Generator(config).to(dtype)
    for parameter in generator.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    for module in generator.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.2, 3)
    return generator.eval()


def given(config: ModelConfig, count: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes and heatmaps."""
    heatmaps = torch.rand(count, 1, *config.heatmap_shape, dtype=dtype) * 2 - 1
    return torch.randn(count, config.z, dtype=dtype), heatmaps


@pytest.mark.parametrize(
    "config", [TINY, SPADE, NORMALISED, REGRESSION], ids=["spade-sr", "spade", "normalised", "regression"]
)
@pytest.mark.parametrize("heatmap_shape", [(5, 8), (12, 16)])
@pytest.mark.parametrize("count", [1, 3])
def test_the_inference_form_is_the_generator(config: ModelConfig, heatmap_shape: tuple[int, int], count: int):
    config = replace(config, heatmap_shape=heatmap_shape)
    generator = lived_in(config)
    z, heatmaps = given(config, count)
    torch.testing.assert_close(inference_form(generator)(z, heatmaps), generator(z, heatmaps), rtol=1e-10, atol=1e-10)


def test_at_the_papers_size_in_float32_it_is_off_by_rounding_alone():
    config = MODELS["spade-sr-32"]
    generator = lived_in(config, torch.float32)
    z, heatmaps = given(config, 1, torch.float32)
    with torch.inference_mode():
        torch.testing.assert_close(inference_form(generator)(z, heatmaps), generator(z, heatmaps), rtol=0, atol=2e-5)


def test_it_leaves_the_generator_as_it_was_and_takes_no_gradients():
    generator = lived_in(TINY).train()
    before = copy.deepcopy(generator.state_dict())
    form = inference_form(generator)
    form(*given(TINY, 2))
    assert generator.training
    torch.testing.assert_close(generator.state_dict(), before, rtol=0, atol=0)
    assert not any(parameter.requires_grad for parameter in form.parameters())
    assert all(parameter.requires_grad for parameter in generator.parameters())


def test_it_does_a_quarter_less_than_the_papers_plain_form():
    """7.4 of 9.7 GFLOP at SPADE-SR-64, counted by torch; nothing of batch normalisation is left to do."""
    from torch.utils.flop_counter import FlopCounterMode

    from lrt.model.folding import plain

    config = MODELS["spade-sr-64"]
    counts = []
    with torch.device("meta"):
        generator = Generator(config).eval()
        z, heatmaps = torch.empty(1, config.z), torch.empty(1, 1, 5, 8)
    form = inference_form(generator)
    for network in (plain(generator), form):
        with FlopCounterMode(display=False) as counter:
            network(z, heatmaps)
        counts.append(counter.get_total_flops() / 1e9)
    assert counts == pytest.approx([9.70, 7.43], abs=0.01)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in form.modules())
