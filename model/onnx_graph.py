"""The networks as ONNX graphs, written node by node: what onnxruntime and OpenVINO read, on machines without PyTorch.

The graphs take and give what people handle: degrees and pixels. The generator's is its inference form
(`inference.py`), without batch normalisation and with doublings folded into kernels of 2 x 2. Writing the nodes takes
milliseconds where PyTorch's own exporter takes half a minute a network, and needs nothing but the `onnx` package.

    generator   z (N, z) float32, heatmap (N, h, w) float32 degC -> picture (N, 8h, 8w, 3) float32 RGB in [0, 1]
    encoder     image (N, 8h, 8w, 3) uint8 RGB -> z (N, z) float32

Operators are of opset 17 (github.com/onnx/onnx, docs/Operators.md).
"""

from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from .. import __version__
from ..dataset.loading import COLDEST_C, WARMEST_C
from .config import ModelConfig
from .folding import HALVING, fold
from .generator import Resizing, SelfResampling
from .inference import InferenceGenerator, Saying, WindowConv
from .inversion import InversionEncoder
from .layers import SLOPE, DownBlock, DownConv, SemanticBlock, SpadeBlock, UpConv
from .mark import SYNTHETIC

SEMANTIC = "semantic"  # begins the names of the semantic branch's nodes
OPSET, IR_VERSION = 17, 8  # what onnxruntime has read since 1.13, of 2022


def generator_graph(generator: InferenceGenerator, config: ModelConfig) -> onnx.ModelProto:
    """G as a graph: z, heatmap -> picture.

    Args:
        generator: float32, on the CPU.
        config: of the model.
    """
    rows, columns = config.heatmap_shape
    graph = Graph()
    network = generator.generator
    graph.part = SEMANTIC
    features = _semantic(graph, network.semantic, graph.normalised("heatmap"))
    graph.part = "drawing"
    says: list[tuple[str, str]] = []
    for k, saying in zip(generator.resolution, generator.sayings, strict=True):
        assert isinstance(saying, Saying)
        says += _say(graph, saying, features[k])
    grid = graph.reshape(graph.add("MatMul", "z", graph.weight(network.start.weight.T)), 0, rows, columns, -1)
    x = graph.add("Transpose", grid, perm=[0, 3, 1, 2])
    for number, block in enumerate((network.up1, network.up2, network.up3)):
        x = _spade_block(graph, block, x, *says[2 * number : 2 * number + 2])
    x = graph.conv(_modulate(graph, x, *says[6]), network.to_rgb)
    picture = graph.add("Transpose", graph.add("Tanh", x), perm=[0, 2, 3, 1])
    graph.add("Add", graph.add("Mul", picture, graph.number(0.5)), graph.number(0.5), output="picture")
    shape = ("N", *config.image_shape, 3)
    return graph.model(
        "generator",
        {"z": (TensorProto.FLOAT, ("N", config.z)), "heatmap": (TensorProto.FLOAT, ("N", rows, columns))},
        {"picture": (TensorProto.FLOAT, shape)},
    )


def encoder_graph(inversion: InversionEncoder, config: ModelConfig) -> onnx.ModelProto:
    """I as a graph: image -> z.

    Args:
        inversion: float32, on the CPU, in eval mode.
        config: of the model.
    """
    graph = Graph()
    pixels = graph.add("Cast", "image", to=TensorProto.FLOAT)
    scaled = graph.add("Sub", graph.add("Div", pixels, graph.number(127.5)), graph.number(1))
    x = graph.add("Transpose", scaled, perm=[0, 3, 1, 2])
    for block in (inversion.down1, inversion.down2, inversion.down3, inversion.down4):
        x = _down_block(graph, block, x)
    x = graph.add("Transpose", graph.leaky(graph.batch_norm(x, inversion.norm)), perm=[0, 2, 3, 1])
    flat = graph.reshape(x, 0, -1)
    scale, shift = _scale_and_shift(inversion.norm_z)
    kernel = graph.weight(inversion.to_z.weight.T * scale)
    graph.add("Add", graph.add("MatMul", flat, kernel), graph.weight(shift), output="z")
    return graph.model(
        "encoder",
        {"image": (TensorProto.UINT8, ("N", *config.image_shape, 3))},
        {"z": (TensorProto.FLOAT, ("N", config.z))},
    )


class Graph:
    """A graph under construction: each method adds nodes and gives the name of what they compute.

    Attributes:
        part: of the network, with which the names of nodes begin.
    """

    def __init__(self) -> None:
        self.part = "network"
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """One node with one output."""
        output = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"{self.part}/{output}", **attributes))
        return output

    def weight(self, values: Tensor | np.ndarray) -> str:
        """A constant."""
        array = values.detach().numpy() if isinstance(values, Tensor) else values
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def number(self, value: float) -> str:
        """A constant float32 without axes."""
        return self.weight(np.array(value, np.float32))

    def reshape(self, x: str, *shape: int) -> str:
        """0 keeps an axis as it is, -1 takes what is left."""
        return self.add("Reshape", x, self.weight(np.array(shape, np.int64)))

    def normalised(self, heatmap: str) -> str:
        """Degrees (N, h, w) -> (N, 1, h, w) in [-1, 1], as `loading.normalise_heatmap`, step by step."""
        share = self.add("Div", self.add("Sub", heatmap, self.number(COLDEST_C)), self.number(WARMEST_C - COLDEST_C))
        scaled = self.add("Sub", self.add("Mul", share, self.number(2)), self.number(1))
        clipped = self.add("Clip", scaled, self.number(-1), self.number(1))
        return self.add("Unsqueeze", clipped, self.weight(np.array([1], np.int64)))

    def leaky(self, x: str) -> str:
        """LeakyReLU with the authors' slope."""
        return self.add("LeakyRelu", x, alpha=SLOPE)

    def conv(self, x: str, conv: nn.Conv2d) -> str:
        """A convolution that keeps rows and columns."""
        return self.convolve(x, conv.weight, conv.bias, [size // 2 for size in conv.kernel_size] * 2)

    def convolve(self, x: str, kernel: Tensor, bias: Tensor | None, pads: list[int], stride: int = 1) -> str:
        """A convolution; `pads` are top, left, bottom, right."""
        constants = [self.weight(kernel)] + ([] if bias is None else [self.weight(bias)])
        return self.add("Conv", x, *constants, kernel_shape=list(kernel.shape[2:]), pads=pads, strides=[stride] * 2)

    def double(self, x: str) -> str:
        """(N, C, H, W) -> (N, C, 2H, 2W), each value repeated."""
        scales = self.weight(np.array([1, 1, 2, 2], np.float32))
        return self.add(
            "Resize",
            x,
            "",
            scales,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def conv_doubled(self, x: str, conv: nn.Module) -> str:
        """The convolution of a doubled image.

        Of 3 x 3: a convolution of 2 x 2 for each place within a doubled pixel, padded so that it comes out in place.
        That is quicker in both runtimes than one convolution for all places, cut into its four parts.
        """
        if isinstance(conv, UpConv):
            assert conv.kernel_size == (1, 1), "others were given windows"
            return self.double(self.conv(x, conv))
        assert isinstance(conv, WindowConv)
        kernels = conv.conv.weight.unflatten(0, (2, 2, conv.outputs))
        bias = None if conv.conv.bias is None else conv.conv.bias[: conv.outputs]
        places = [self.convolve(x, kernels[a, b], bias, [1 - a, 1 - b, a, b]) for a in (0, 1) for b in (0, 1)]
        return self.add("DepthToSpace", self.add("Concat", *places, axis=1), blocksize=2, mode="DCR")

    def batch_norm(self, x: str, norm: nn.Module) -> str:
        """What it does in eval mode; x itself where there is none."""
        if isinstance(norm, nn.Identity):
            return x
        assert isinstance(norm, nn.BatchNorm2d)
        scale, shift = (part.view(1, -1, 1, 1) for part in _scale_and_shift(norm))
        return self.add("Add", self.add("Mul", x, self.weight(scale)), self.weight(shift))

    def model(
        self,
        name: str,
        inputs: dict[str, tuple[int, tuple[str | int, ...]]],
        outputs: dict[str, tuple[int, tuple[str | int, ...]]],
    ) -> onnx.ModelProto:
        """All of it, checked; of every input and output its type and its shape."""
        given, made = (
            [helper.make_tensor_value_info(key, kind, shape) for key, (kind, shape) in values.items()]
            for values in (inputs, outputs)
        )
        graph = helper.make_graph(self.nodes, name, given, made, self.weights)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="lrt",
            producer_version=__version__,
            doc_string=f"Every picture is {SYNTHETIC}",
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def _semantic(graph: Graph, semantic: nn.Module, heat: str) -> list[str]:
    """The semantic branch: features at four resolutions."""
    if isinstance(semantic, Resizing):
        half = graph.number(0.5)
        maps = [graph.add("Add", graph.add("Mul", heat, half), half)]
        while len(maps) < 4:
            maps.append(graph.double(maps[-1]))
        return maps
    assert isinstance(semantic, SelfResampling)
    features = []
    for block in (semantic.block1, semantic.block2, semantic.block3, semantic.block4):
        features.append(_semantic_block(graph, block, features[-1] if features else heat))
    return features


def _semantic_block(graph: Graph, block: SemanticBlock, x: str) -> str:
    main = graph.batch_norm(x, block.norm1)
    if block.first:
        main, skip = graph.conv(main, block.conv1), graph.conv(x, block.skip)
    else:
        main, skip = graph.conv_doubled(graph.leaky(main), block.conv1), graph.conv_doubled(x, block.skip)
    return graph.add("Add", skip, graph.conv(graph.leaky(graph.batch_norm(main, block.norm2)), block.conv2))


def _say(graph: Graph, saying: Saying, feature: str) -> list[tuple[str, str]]:
    """What one map says to some normalisations: scale and shift for each.

    A convolution for each of them, which costs what one for all does: in int8 each then has a range of its own, and
    pictures are off by a third less.
    """
    heard = graph.leaky(feature) if saying.shared is None else graph.add("Relu", graph.conv(feature, saying.shared))
    bias = saying.conv.bias
    assert bias is not None
    parts = zip(saying.conv.weight.split(saying.channels), bias.split(saying.channels), strict=True)
    names = [graph.convolve(heard, kernel, of_part, [1, 1, 1, 1]) for kernel, of_part in parts]
    return list(zip(names[::2], names[1::2], strict=True))


def _modulate(graph: Graph, x: str, scale: str, shift: str) -> str:
    return graph.leaky(graph.add("Add", graph.add("Mul", x, scale), shift))


def _spade_block(graph: Graph, block: SpadeBlock, x: str, before: tuple[str, str], after: tuple[str, str]) -> str:
    main = graph.conv_doubled(_modulate(graph, x, *before), block.conv1)
    main = graph.conv(_modulate(graph, main, *after), block.conv2)
    return graph.add("Add", main, graph.conv_doubled(x, block.skip))


def _down_block(graph: Graph, block: DownBlock, x: str) -> str:
    """A block of the encoder: all of them halve."""
    main = graph.batch_norm(x, block.norm1)
    main = graph.conv(main if block.first else graph.leaky(main), block.conv1)
    main = _conv_halved(graph, graph.leaky(graph.batch_norm(main, block.norm2)), block.conv2)
    return graph.add("Add", main, _conv_halved(graph, x, block.skip))


def _conv_halved(graph: Graph, x: str, conv: nn.Module) -> str:
    """A convolution, then means of 2 x 2."""
    assert isinstance(conv, DownConv)
    if conv.kernel_size == (1, 1):
        return graph.conv(graph.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2]), conv)
    return graph.convolve(x, fold(conv.weight, HALVING), conv.bias, [1, 1, 1, 1], stride=2)


def _scale_and_shift(norm: nn.BatchNorm2d | nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Batch normalisation as x scale + shift."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale
