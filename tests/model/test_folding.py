"""The fast forms against the plain ones, in float64: the same outputs and the same gradients."""

import copy
import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from lrt.model import folding, losses
from lrt.model.config import ModelConfig, train_config
from lrt.model.layers import DownConv, UpConv, double, halve
from lrt.model.networks import build_networks
from lrt.model.phases import GanPhase, InversionPhase

TINY = ModelConfig(
    "tiny", semantic_width=3, width=4, z=6, discriminator_width=4, heatmap_head_width=3, inversion_width=2
)
SPADE = replace(TINY, self_resampling=False)


@pytest.fixture(autouse=True)
def _double():
    """These tests' tensors and networks are float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def gradients(network, outputs):
    """Of a loss that weighs every number of the outputs differently, by parameter."""
    weights = torch.Generator().manual_seed(2)
    loss = sum((output * torch.randn(output.shape, generator=weights)).sum() for output in outputs)
    return dict(
        zip(
            dict(network.named_parameters()),
            torch.autograd.grad(loss, list(network.parameters()), allow_unused=True),
            strict=True,
        )
    )


def test_a_convolution_of_a_doubled_image_folds_at_every_border():
    x, kernel, bias = torch.randn(2, 3, 5, 4), torch.randn(6, 3, 3, 3), torch.randn(6)
    close(folding.conv_doubled(x, kernel, bias), F.conv2d(double(x), kernel, bias, padding=1))


@pytest.mark.parametrize("rows", [4, 5, 7])
def test_a_convolution_that_is_halved_folds_and_drops_an_odd_row(rows):
    x, kernel, bias = torch.randn(2, 3, rows, 6), torch.randn(6, 3, 3, 3), torch.randn(6)
    close(folding.conv_halved(x, kernel, bias), halve(F.conv2d(x, kernel, bias, padding=1)))


@pytest.mark.parametrize("layer", [UpConv, DownConv])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_both_forms_of_a_resizing_convolution_have_the_same_gradients(layer, kernel, bias):
    fast = layer(3, 5, kernel, bias=bias)
    slow = folding.plain(copy.deepcopy(fast))
    x = torch.randn(3, 3, 6, 8, requires_grad=True)
    ours, theirs = fast(x), slow(x)
    close(ours, theirs)
    weights = torch.randn_like(ours)
    for a, b in zip(
        torch.autograd.grad(ours, [x, *fast.parameters()], weights),
        torch.autograd.grad(theirs, [x, *slow.parameters()], weights),
        strict=True,
    ):
        close(a, b)


def test_convolutions_of_one_map_fold_into_one():
    convs = [UpConv(3, 4), torch.nn.Conv2d(3, 2, 3, padding=1)]
    x = torch.randn(2, 3, 5, 8)
    for ours, conv in zip(folding.conv_together(x, convs), convs, strict=True):
        close(ours, F.conv2d(x, conv.weight, conv.bias, padding=1))


@pytest.mark.parametrize("config", [TINY, SPADE], ids=["spade-sr", "spade"])
@pytest.mark.parametrize("heatmap_shape", [(5, 8), (12, 16)])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_every_network_is_its_plain_form(config, heatmap_shape, training):
    networks = build_networks(replace(config, heatmap_shape=heatmap_shape), 0)
    rows, columns = heatmap_shape
    images, heatmaps = torch.rand(3, 3, 8 * rows, 8 * columns) * 2 - 1, torch.rand(3, 1, rows, columns) * 2 - 1
    for fast, inputs in (
        (networks.generator, (torch.randn(3, config.z), heatmaps)),
        (networks.discriminator, (images,)),
        (networks.inversion, (images,)),
    ):
        fast.train(training)
        for parameter in fast.parameters():  # biases too are other than zero then
            parameter.data += 0.1 * torch.randn_like(parameter)
        slow = folding.plain(copy.deepcopy(fast))
        ours, theirs = fast(*inputs), slow(*inputs)
        ours, theirs = (out if isinstance(out, tuple) else (out,) for out in (ours, theirs))
        close(ours, theirs)
        close(gradients(fast, ours), gradients(slow, theirs))
        close(dict(fast.named_buffers()), dict(slow.named_buffers()))


def test_the_plain_form_folds_nothing(monkeypatch):
    monkeypatch.setattr(folding, "fold", lambda *_: pytest.fail("a folded kernel"))
    networks = build_networks(TINY, 0)
    images = folding.plain(networks.generator)(torch.randn(2, 6), torch.zeros(2, 1, 5, 8))
    folding.plain(networks.discriminator)(images)
    folding.plain(networks.inversion)(images)


def test_weights_of_the_plain_form_are_the_folded_ones():
    fast = build_networks(TINY, 0).generator
    slow = folding.plain(copy.deepcopy(fast))
    assert [(name, tensor.shape) for name, tensor in slow.state_dict().items()] == [
        (name, tensor.shape) for name, tensor in fast.state_dict().items()
    ]
    assert fast.up1.conv1.weight.shape == (16, 16, 3, 3)


@pytest.mark.parametrize("heatmap_shape", [(5, 8), (12, 16)])
def test_the_written_out_gradient_of_d_is_autograds_and_so_is_its_own_gradient(heatmap_shape):
    D = build_networks(replace(TINY, heatmap_shape=heatmap_shape), 0).discriminator
    for parameter in D.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    rows, columns = heatmap_shape
    images = torch.rand(3, 3, 8 * rows, 8 * columns, requires_grad=True) * 2 - 1
    scores, heatmaps, written = D.forward_with_gradient(images)
    plain_scores, plain_heatmaps = folding.plain(D)(images)
    (by_autograd,) = torch.autograd.grad(plain_scores.sum(), images, create_graph=True)
    close((scores, heatmaps, written), (plain_scores, plain_heatmaps, by_autograd))

    weights = [weight for name, weight in D.named_parameters() if name.endswith("weight")]
    for ours, theirs in zip(
        torch.autograd.grad(losses.r1(written), weights, materialize_grads=True),
        torch.autograd.grad(losses.r1(by_autograd), weights, materialize_grads=True),
        strict=True,
    ):
        close(ours, theirs)


@pytest.mark.parametrize("config", [TINY, SPADE], ids=["spade-sr", "spade"])
def test_gan_steps_are_the_plain_steps(config):
    """Losses, and every weight, average, statistic and moment of Adam, after three steps of either form."""
    path = Path(__file__).parents[2] / "bench" / "plain_step.py"
    spec = importlib.util.spec_from_file_location("lrt_bench_plain_step", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    settings = replace(train_config("authors"), model=config)
    images, heatmaps = torch.rand(4, 3, 40, 64) * 2 - 1, torch.rand(4, 1, 5, 8) * 2 - 1
    fast = GanPhase(build_networks(config, 0), settings)
    slow = module.PlainGanStep(build_networks(config, 0), settings)
    ours, theirs = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    for _ in range(3):
        close(fast.step(images, heatmaps, ours), slow.step(images, heatmaps, theirs))
    for name in ("G", "D", "G_adam", "D_adam"):
        a, b = getattr(fast, name).state_dict(), getattr(slow, name).state_dict()
        a, b = (x["state"] if name.endswith("adam") else x for x in (a, b))
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)
    for name in ("G_ema", "D_ema"):
        a, b = getattr(fast, name).network, getattr(slow, name).network
        torch.testing.assert_close(a.state_dict(), b.state_dict(), rtol=1e-7, atol=1e-9)


def test_bf16_shortens_the_networks_alone():
    """Losses near those of float32, those of D's pass of real images its very own; weights and moments stay in it."""
    torch.set_default_dtype(torch.float32)
    settings = train_config("smoke")
    images, heatmaps = torch.rand(4, 3, 40, 64) * 2 - 1, torch.rand(4, 1, 5, 8) * 2 - 1
    losses_of = {}
    for bf16 in (False, True):
        networks = build_networks(settings.model, 0)
        gan = GanPhase(networks, replace(settings, bf16=bf16))
        found = gan.step(images, heatmaps, torch.Generator().manual_seed(1))
        networks.generator, networks.discriminator = gan.G_ema.network, gan.D_ema.network
        inversion = InversionPhase(networks, replace(settings, bf16=bf16))
        then = inversion.step(images, heatmaps, torch.Generator())
        losses_of[bf16] = torch.cat([found, then])
        states = [part.state_dict() for phase in (gan, inversion) for part in phase._parts().values()]
        kept = [t for state in states for t in state.get("state", state).values() if isinstance(t, torch.Tensor)]
        assert all(tensor.dtype in (torch.float32, torch.int64) for tensor in kept)
    assert losses_of[True].dtype == torch.float32
    assert not torch.equal(losses_of[True], losses_of[False])
    torch.testing.assert_close(losses_of[True], losses_of[False], rtol=0.05, atol=0.02)
    for name in ("d_heatmap_real", "d_r1"):
        assert losses_of[True][GanPhase.metrics.index(name)] == losses_of[False][GanPhase.metrics.index(name)]
