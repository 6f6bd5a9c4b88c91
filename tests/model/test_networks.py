import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from lrt.model.config import MODELS, ConfigError, ModelConfig
from lrt.model.generator import Generator
from lrt.model.networks import build_networks, model_table

TINY = ModelConfig(
    "tiny", semantic_width=4, width=4, z=8, discriminator_width=4, heatmap_head_width=4, inversion_width=4
)
SPADE = replace(TINY, self_resampling=False)
NORMALISED = replace(TINY, semantic_norm=True)
REGRESSION = replace(TINY, regression=True)
ALL = pytest.mark.parametrize(
    "config", [TINY, SPADE, NORMALISED, REGRESSION], ids=["spade-sr", "spade", "normalised", "regression"]
)


def test_parameter_counts_are_those_of_table_3_to_the_digit():
    assert model_table() == {
        "spade-sr-32": 11381315,
        "spade-sr-64": 12911875,
        "spade-sr-128": 16378499,
        "spade-64": 12644611,
        "spade-128": 15303299,
        "spade-sr-64-bn": 12911875 + 898 - 768,  # scales and shifts for biases
        "regression-64": 12911875 - 127 * 5 * 8 * 512,  # of z one constant is left
        "discriminator": 5566338,
        "inversion-encoder": 5384070,
    }


def test_running_statistics_of_the_standard_generator_are_the_4608_of_the_authors():
    with torch.device("meta"):
        generator = Generator(MODELS["spade-sr-64"])
    statistics = [b for name, b in generator.named_buffers() if "running" in name]
    assert sum(b.numel() for b in statistics) == 4608


def test_the_semantic_branch_has_no_normalisation_but_where_a_baseline_asks_for_it():
    def norms(config: ModelConfig) -> list[int]:
        branch = build_networks(config, 0).generator.semantic
        return [m.num_features for m in branch.modules() if isinstance(m, torch.nn.BatchNorm2d)]

    assert norms(TINY) == norms(REGRESSION) == []
    assert norms(NORMALISED) == [1, *[4] * 7]  # before each convolution but the skips'
    with pytest.raises(ConfigError, match="SPADE has no semantic branch"):
        replace(SPADE, semantic_norm=True)


@ALL
@pytest.mark.parametrize("heatmap_shape", [(5, 8), (12, 16)])
def test_images_are_eight_times_their_heatmaps_at_both_sizes(config, heatmap_shape):
    config = replace(config, heatmap_shape=heatmap_shape)
    networks = build_networks(config, 0)
    rows, columns = heatmap_shape
    heatmaps = torch.rand(2, 1, rows, columns) * 2 - 1
    images = networks.generator(torch.randn(2, config.z), heatmaps)
    scores, inferred = networks.discriminator(images)
    assert images.shape == (2, 3, 8 * rows, 8 * columns) == (2, 3, *config.image_shape)
    assert images.abs().max() <= 1
    assert scores.shape == (2,)
    assert inferred.shape == heatmaps.shape
    assert networks.inversion(images).shape == (2, config.z)


@ALL
def test_gradients_reach_every_parameter(config):
    networks = build_networks(config, 0)
    images = torch.rand(4, 3, 40, 64) * 2 - 1
    heatmaps = torch.rand(4, 1, 5, 8) * 2 - 1
    scores, inferred = networks.discriminator(networks.generator(networks.inversion(images), heatmaps))
    (scores.sum() + inferred.sum()).backward()
    for network in networks.trained.values():
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


def test_the_picture_depends_on_the_heat_and_on_the_code():
    generator = build_networks(TINY, 0).generator.eval()
    z, heatmaps = torch.randn(1, 8, requires_grad=True), torch.zeros(1, 1, 5, 8, requires_grad=True)
    generator(z, heatmaps).square().sum().backward()
    assert (z.grad != 0).all()
    assert (heatmaps.grad != 0).all()


def test_a_regression_depends_on_the_heat_alone_and_its_encoder_says_nothing():
    networks = build_networks(REGRESSION, 0)
    assert list(networks.trained) == ["generator"]
    assert networks.inversion.state_dict() == {}
    assert torch.equal(networks.inversion(torch.rand(2, 3, 40, 64)), torch.zeros(2, 8))
    generator = networks.generator.eval()
    heatmaps = torch.rand(2, 1, 5, 8)
    drawn = generator(torch.randn(2, 8), heatmaps)
    assert torch.equal(drawn, generator(torch.empty(2, 0), heatmaps))
    assert not torch.allclose(drawn, generator(torch.empty(2, 0), heatmaps.flip(3)))


def test_a_seed_repeats_and_another_differs_and_the_callers_randomness_is_untouched():
    before = torch.random.get_rng_state()
    first, again, other = (build_networks(TINY, seed).generator.start.weight for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_weights_are_glorot_uniform_and_biases_zero():
    conv = build_networks(replace(TINY, width=16), 0).generator.up1.conv1  # 64 -> 64, 3x3
    bound = (6 / (64 * 9 + 64 * 9)) ** 0.5
    assert conv.weight.abs().max() <= bound
    assert conv.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert conv.bias is None
    assert not build_networks(TINY, 0).discriminator.down1.conv1.bias.any()


def test_importing_the_package_and_its_configs_leaves_torch_alone():
    code = "import sys, lrt.model, lrt.model.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
