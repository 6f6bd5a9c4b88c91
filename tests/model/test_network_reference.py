"""The forward passes restated in NumPy from the layer tables, one line a layer, sharing no code with `lrt`."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lrt.model.config import ModelConfig
from lrt.model.networks import build_networks

CONFIG = ModelConfig(
    "tiny", semantic_width=3, width=4, z=6, discriminator_width=4, heatmap_head_width=3, inversion_width=2
)


def conv(weights, name, x):
    """Correlation with zero padding, by the definition of it: a sum over the kernel's places."""
    kernel = weights[f"{name}.weight"]
    side = kernel.shape[2]
    padded = np.pad(x, ((0, 0), (0, 0), (side // 2, side // 2), (side // 2, side // 2)))
    rows, columns = x.shape[2:]
    out = sum(
        np.einsum("oi,nihw->nohw", kernel[:, :, i, j], padded[:, :, i : i + rows, j : j + columns])
        for i in range(side)
        for j in range(side)
    )
    return out + weights[f"{name}.bias"][:, None, None] if f"{name}.bias" in weights else out


def lrelu(x):
    return np.where(x > 0, x, 0.01 * x)


def up(x):
    return np.kron(x, np.ones((1, 1, 2, 2)))


def pool(x):
    x = x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]
    return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4


def bn(weights, name, x):
    mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    shape = (-1,) + (1,) * (x.ndim - 2)
    x = (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + 1e-3)
    if f"{name}.weight" in weights:
        x = x * weights[f"{name}.weight"].reshape(shape) + weights[f"{name}.bias"].reshape(shape)
    return x


def generator(w, z, h, self_resampling):
    def spade(name, x, m):
        m = lrelu(m) if self_resampling else np.maximum(conv(w, f"{name}.shared", m), 0)
        return bn(w, f"{name}.norm", x) * (1 + conv(w, f"{name}.gamma", m)) + conv(w, f"{name}.beta", m)

    def up_block(name, x, a, b):  # skip and main on the upsampled input, as the layer table has it
        skip = conv(w, f"{name}.skip", up(x))
        main = conv(w, f"{name}.conv1", up(lrelu(spade(f"{name}.norm1", x, a))))
        return skip + conv(w, f"{name}.conv2", lrelu(spade(f"{name}.norm2", main, b)))

    def semantic_block(name, x):
        main = conv(w, f"{name}.conv1", up(lrelu(x)))
        return conv(w, f"{name}.skip", up(x)) + conv(w, f"{name}.conv2", lrelu(main))

    if self_resampling:
        main = conv(w, "semantic.block1.conv2", lrelu(conv(w, "semantic.block1.conv1", h)))
        f1 = conv(w, "semantic.block1.skip", h) + main
        f2 = semantic_block("semantic.block2", f1)
        f3 = semantic_block("semantic.block3", f2)
        f4 = semantic_block("semantic.block4", f3)
    else:
        f1 = h * 0.5 + 0.5
        f2, f3, f4 = up(f1), up(up(f1)), up(up(up(f1)))
    x = (z @ w["start.weight"].T).reshape(len(z), 5, 8, -1).transpose(0, 3, 1, 2)
    x = up_block("up1", x, f1, f2)
    x = up_block("up2", x, f2, f3)
    x = up_block("up3", x, f3, f4)
    return np.tanh(conv(w, "to_rgb", lrelu(spade("norm", x, f4))))


def discriminator(w, x):
    def main(name, x):
        return conv(w, f"{name}.conv2", lrelu(conv(w, f"{name}.conv1", x)))

    x = conv(w, "down1.skip", pool(x)) + pool(main("down1", x))
    x = pool(conv(w, "down2.skip", x)) + pool(main("down2", lrelu(x)))
    x = pool(conv(w, "down3.skip", x)) + pool(main("down3", lrelu(x)))
    flat = lrelu(x).transpose(0, 2, 3, 1).reshape(len(x), -1)
    score = flat @ w["realness.weight"].T + w["realness.bias"]
    y = conv(w, "heatmap_block.skip", x) + main("heatmap_block", lrelu(x))
    return score[:, 0], np.tanh(conv(w, "heatmap_conv", lrelu(y)))


def inversion(w, x):
    for number in (1, 2, 3, 4):
        name = f"down{number}"
        main = bn(w, f"{name}.norm1", x)
        main = conv(w, f"{name}.conv1", main if number == 1 else lrelu(main))
        main = conv(w, f"{name}.conv2", lrelu(bn(w, f"{name}.norm2", main)))
        x = conv(w, f"{name}.skip", pool(x)) + pool(main)
    flat = lrelu(bn(w, "norm", x)).transpose(0, 2, 3, 1).reshape(len(x), -1)
    return bn(w, "norm_z", flat @ w["to_z.weight"].T)


def shaken(network):
    """The network with every weight, bias and running statistic made its own, in float64, evaluation mode; as NumPy."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2, generator=generator)
            elif tensor.is_floating_point():
                tensor.add_(0.1 * torch.randn(tensor.shape, generator=generator))
    return network.eval().double(), {name: tensor.numpy() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("self_resampling", [True, False], ids=["spade-sr", "spade"])
def test_generator_agrees_with_its_layer_table(self_resampling):
    network, weights = shaken(build_networks(replace(CONFIG, self_resampling=self_resampling), 0).generator)
    z, h = torch.randn(2, 6).double(), torch.rand(2, 1, 5, 8).double() * 2 - 1
    with torch.no_grad():
        ours = network(z, h).numpy()
    restated = generator(weights, z.numpy(), h.numpy(), self_resampling)
    assert ours.std() > 0.05
    np.testing.assert_allclose(ours, restated, atol=1e-10)


def test_discriminator_agrees_with_its_layer_table():
    network, weights = shaken(build_networks(CONFIG, 0).discriminator)
    images = torch.rand(2, 3, 40, 64).double() * 2 - 1
    with torch.no_grad():
        scores, heatmaps = network(images)
    restated_scores, restated_heatmaps = discriminator(weights, images.numpy())
    np.testing.assert_allclose(scores.numpy(), restated_scores, atol=1e-10)
    np.testing.assert_allclose(heatmaps.numpy(), restated_heatmaps, atol=1e-10)


def test_inversion_encoder_agrees_with_its_layer_table():
    network, weights = shaken(build_networks(CONFIG, 0).inversion)
    images = torch.rand(2, 3, 40, 64).double() * 2 - 1
    with torch.no_grad():
        ours = network(images).numpy()
    np.testing.assert_allclose(ours, inversion(weights, images.numpy()), atol=1e-10)
