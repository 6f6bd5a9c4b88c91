"""The hand-written ONNX graphs against the networks in PyTorch, run by onnx's own reference and by both runtimes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lrt.dataset.batches import to_network
from lrt.dataset.loading import normalise_heatmap
from lrt.model.config import ModelConfig
from lrt.model.generator import Generator
from lrt.model.inference import inference_form
from lrt.model.inversion import InversionEncoder

pytest.importorskip("onnx")
from lrt.model.onnx_graph import encoder_graph, generator_graph

TINY = ModelConfig("tiny", semantic_width=3, width=4, z=6, inversion_width=3)
SPADE = replace(TINY, self_resampling=False)
NORMED = replace(TINY, semantic_norm=True)


def lived_in(network: torch.nn.Module) -> torch.nn.Module:
    """The network with biases and running statistics that are not those of the first day."""
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.2, 3)
    return network.eval().requires_grad_(False)


def given(config: ModelConfig, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes, heatmaps that go beyond what is told apart, and images."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((count, config.z), np.float32)
    heatmaps = rng.uniform(15, 35, (count, *config.heatmap_shape)).astype(np.float32)
    return z, heatmaps, rng.integers(0, 256, (count, *config.image_shape, 3), np.uint8)


def drawn_by_torch(generator: Generator, z: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
    h = torch.from_numpy(normalise_heatmap(heatmaps))[:, None]
    return (generator(torch.from_numpy(z), h).permute(0, 2, 3, 1) * 0.5 + 0.5).numpy()


@pytest.mark.parametrize("config", [TINY, SPADE, NORMED], ids=["spade-sr", "spade", "spade-sr-bn"])
@pytest.mark.parametrize("heatmap_shape", [(5, 8), (4, 3)])
def test_by_onnxs_own_reference_the_generator_draws_the_same(config: ModelConfig, heatmap_shape: tuple[int, int]):
    from onnx.reference import ReferenceEvaluator

    config = replace(config, heatmap_shape=heatmap_shape)
    generator = lived_in(Generator(config))
    graph = generator_graph(inference_form(generator), config)
    z, heatmaps, _ = given(config, 2)
    (picture,) = ReferenceEvaluator(graph).run(None, {"z": z, "heatmap": heatmaps})
    np.testing.assert_allclose(picture, drawn_by_torch(generator, z, heatmaps), atol=1e-4)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("config", [TINY, SPADE, NORMED], ids=["spade-sr", "spade", "spade-sr-bn"])
def test_onnxruntime_draws_and_encodes_the_same_at_any_batch(config: ModelConfig, count: int):
    ort = pytest.importorskip("onnxruntime")
    generator, inversion = lived_in(Generator(config)), lived_in(InversionEncoder(config))
    z, heatmaps, images = given(config, count)
    graph = generator_graph(inference_form(generator), config)
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    (picture,) = session.run(None, {"z": z, "heatmap": heatmaps})
    assert picture.shape == (count, 40, 64, 3)
    np.testing.assert_allclose(picture, drawn_by_torch(generator, z, heatmaps), atol=1e-4)

    encoder = encoder_graph(inversion, config).SerializeToString()
    (code,) = ort.InferenceSession(encoder, providers=["CPUExecutionProvider"]).run(None, {"image": images})
    wanted = inversion(to_network(torch.from_numpy(images))).numpy()
    np.testing.assert_allclose(code, wanted, atol=1e-4 * max(1, np.abs(wanted).max()))


def test_there_is_no_batch_normalisation_left_in_the_graph():
    generator = lived_in(Generator(TINY))
    operators = {node.op_type for node in generator_graph(inference_form(generator), TINY).graph.node}
    assert "BatchNormalization" not in operators
    assert operators <= {
        *("Add", "Clip", "Concat", "Conv", "DepthToSpace", "Div", "LeakyRelu", "MatMul", "Mul", "Relu", "Reshape"),
        *("Resize", "Sub", "Tanh", "Transpose", "Unsqueeze"),
    }
