"""Every network restated from the paper's layer tables, plainly: a line a layer, sharing no code with `lrt.model`.

The restatement resizes before or after each convolution exactly as the tables have it, works out every gamma and
beta by itself, and keeps running statistics by their definition: whatever `lrt.model` folds, merges or moves must
give the same numbers.
"""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lrt.model.config import MODELS, ModelConfig
from lrt.model.networks import build_networks

SIZES = [(5, 8), (12, 16)]
MODES = [False, True]
MODE_NAMES = ["eval", "train"]


def small(name: str, heatmap_shape: tuple[int, int]) -> ModelConfig:
    """A model of the registry with few channels, of counts that are hard to confuse."""
    registered = MODELS[name]
    return replace(
        registered,
        semantic_width=registered.semantic_width // 16 + 1,  # 3, 5 or 9
        width=7,
        z=6,
        heatmap_shape=heatmap_shape,
        discriminator_width=4,
        heatmap_head_width=3,
        inversion_width=2,
    )


class Restatement:
    """What the layer tables are made of, on a network's weights by name.

    Attributes:
        w: the weights; its running statistics move when a forward pass in training mode is done.
    """

    def __init__(self, weights: dict[str, Tensor], training: bool) -> None:
        self.w = {name: tensor.clone() for name, tensor in weights.items()}
        self.training = training

    def conv(self, name: str, x: Tensor) -> Tensor:
        kernel = self.w[f"{name}.weight"]
        return F.conv2d(x, kernel, self.w.get(f"{name}.bias"), padding=kernel.shape[2] // 2)

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.w[f"{name}.weight"], self.w.get(f"{name}.bias"))

    def bn(self, name: str, x: Tensor) -> Tensor:
        """Keras' batch normalisation: eps 1e-3, momentum 0.99; the running variance of maps is the unbiased one."""
        others = [0, *range(2, x.ndim)]  # all but the channels
        shape = [1, -1] + [1] * (x.ndim - 2)
        mean, var = self.w[f"{name}.running_mean"], self.w[f"{name}.running_var"]
        if self.training:
            of_batch = x.mean(others), x.var(others, correction=0)
            count = x.numel() / x.shape[1]
            kept = of_batch[1] * count / (count - 1) if x.ndim == 4 else of_batch[1]
            self.w[f"{name}.running_mean"] = 0.99 * mean + 0.01 * of_batch[0]
            self.w[f"{name}.running_var"] = 0.99 * var + 0.01 * kept
            mean, var = of_batch
        x = (x - mean.reshape(shape)) / (var.reshape(shape) + 1e-3).sqrt()
        if f"{name}.weight" in self.w:
            x = x * self.w[f"{name}.weight"].reshape(shape) + self.w[f"{name}.bias"].reshape(shape)
        return x


def lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.01)


def up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def pool(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2)


def by_place(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H W C), the order in which the authors' fully connected layers read a map."""
    return x.permute(0, 2, 3, 1).flatten(1)


class Generator(Restatement):
    def __init__(self, weights: dict[str, Tensor], training: bool, config: ModelConfig) -> None:
        super().__init__(weights, training)
        self.config = config

    def norm(self, name: str, x: Tensor, m: Tensor) -> Tensor:
        m = lrelu(m) if self.config.self_resampling else F.relu(self.conv(f"{name}.shared", m))
        return self.bn(f"{name}.norm", x) * (1 + self.conv(f"{name}.gamma", m)) + self.conv(f"{name}.beta", m)

    def up_block(self, name: str, x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        main = self.conv(f"{name}.conv1", up(lrelu(self.norm(f"{name}.norm1", x, a))))
        main = self.conv(f"{name}.conv2", lrelu(self.norm(f"{name}.norm2", main, b)))
        return main + self.conv(f"{name}.skip", up(x))

    def normalised(self, name: str, f: Tensor) -> Tensor:
        return self.bn(name, f) if self.config.semantic_norm else f

    def semantic_block(self, name: str, f: Tensor) -> Tensor:
        main = self.conv(f"{name}.conv1", up(lrelu(self.normalised(f"{name}.norm1", f))))
        main = self.conv(f"{name}.conv2", lrelu(self.normalised(f"{name}.norm2", main)))
        return main + self.conv(f"{name}.skip", up(f))

    def semantic_branch(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        main = self.conv("semantic.block1.conv1", self.normalised("semantic.block1.norm1", h))
        main = self.conv("semantic.block1.conv2", lrelu(self.normalised("semantic.block1.norm2", main)))
        f1 = main + self.conv("semantic.block1.skip", h)
        f2 = self.semantic_block("semantic.block2", f1)
        f3 = self.semantic_block("semantic.block3", f2)
        f4 = self.semantic_block("semantic.block4", f3)
        return f1, f2, f3, f4

    def __call__(self, z: Tensor, h: Tensor) -> Tensor:
        rows, columns = h.shape[2:]
        if self.config.self_resampling:
            f1, f2, f3, f4 = self.semantic_branch(h)
        else:
            f1, f2, f3, f4 = (F.interpolate(h * 0.5 + 0.5, scale_factor=k, mode="nearest") for k in (1, 2, 4, 8))
        z = torch.ones(len(z), 1, dtype=z.dtype) if self.config.regression else z
        x = self.linear("start", z).reshape(len(z), rows, columns, -1).permute(0, 3, 1, 2)
        x = self.up_block("up1", x, f1, f2)
        x = self.up_block("up2", x, f2, f3)
        x = self.up_block("up3", x, f3, f4)
        return torch.tanh(self.conv("to_rgb", lrelu(self.norm("norm", x, f4))))


class Discriminator(Restatement):
    def main(self, name: str, x: Tensor) -> Tensor:
        return self.conv(f"{name}.conv2", lrelu(self.conv(f"{name}.conv1", x)))

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = pool(self.main("down1", x)) + self.conv("down1.skip", pool(x))
        x = pool(self.main("down2", lrelu(x))) + pool(self.conv("down2.skip", x))
        x = pool(self.main("down3", lrelu(x))) + pool(self.conv("down3.skip", x))
        score = self.linear("realness", by_place(lrelu(x)))
        y = self.main("heatmap_block", lrelu(x)) + self.conv("heatmap_block.skip", x)
        return score[:, 0], torch.tanh(self.conv("heatmap_conv", lrelu(y)))


class InversionEncoder(Restatement):
    def main(self, name: str, x: Tensor) -> Tensor:
        return self.conv(f"{name}.conv2", lrelu(self.bn(f"{name}.norm2", self.conv(f"{name}.conv1", x))))

    def __call__(self, x: Tensor) -> Tensor:
        x = pool(self.main("down1", self.bn("down1.norm1", x))) + self.conv("down1.skip", pool(x))
        for name in ("down2", "down3", "down4"):
            x = pool(self.main(name, lrelu(self.bn(f"{name}.norm1", x)))) + pool(self.conv(f"{name}.skip", x))
        return self.bn("norm_z", self.linear("to_z", by_place(lrelu(self.bn("norm", x)))))


def shaken(network: nn.Module, training: bool) -> dict[str, Tensor]:
    """Put the network in float64, make every weight, bias and running statistic its own; a copy of them by name."""
    network.double().train(training)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
            elif tensor.is_floating_point():
                tensor.add_(0.1 * torch.randn_like(tensor))
    return {name: tensor.clone() for name, tensor in network.state_dict().items() if tensor.is_floating_point()}


def agree(ours: Tensor, restated: Tensor) -> None:
    assert restated.std() > 0.01, "nothing is shown by two flat outputs"
    torch.testing.assert_close(ours, restated, atol=1e-10, rtol=1e-10)


def statistics_agree(network: nn.Module, restated: Restatement) -> None:
    running = {name: tensor for name, tensor in network.named_buffers() if "running" in name}
    torch.testing.assert_close(running, {name: restated.w[name] for name in running}, atol=1e-12, rtol=1e-12)


def draw_images(heatmap_shape: tuple[int, int]) -> Tensor:
    return torch.rand(3, 3, 8 * heatmap_shape[0], 8 * heatmap_shape[1], dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize("training", MODES, ids=MODE_NAMES)
@pytest.mark.parametrize("heatmap_shape", SIZES)
@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_generator_agrees_with_its_layer_table(name, heatmap_shape, training):
    config = small(name, heatmap_shape)
    network = build_networks(config, 0).generator
    restated = Generator(shaken(network, training), training, config)
    z = torch.randn(3, config.z, dtype=torch.float64)
    h = torch.rand(3, 1, *heatmap_shape, dtype=torch.float64) * 2 - 1
    agree(network(z, h), restated(z, h))
    statistics_agree(network, restated)


@pytest.mark.parametrize("heatmap_shape", SIZES)
@torch.no_grad()
def test_discriminator_agrees_with_its_layer_table(heatmap_shape):
    network = build_networks(small("spade-sr-64", heatmap_shape), 0).discriminator
    restated = Discriminator(shaken(network, True), True)
    images = draw_images(heatmap_shape)
    for ours, theirs in zip(network(images), restated(images), strict=True):
        agree(ours, theirs)


@pytest.mark.parametrize("training", MODES, ids=MODE_NAMES)
@pytest.mark.parametrize("heatmap_shape", SIZES)
@torch.no_grad()
def test_inversion_encoder_agrees_with_its_layer_table(heatmap_shape, training):
    network = build_networks(small("spade-sr-64", heatmap_shape), 0).inversion
    restated = InversionEncoder(shaken(network, training), training)
    images = draw_images(heatmap_shape)
    agree(network(images), restated(images))
    statistics_agree(network, restated)
