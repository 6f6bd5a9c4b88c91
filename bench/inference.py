"""What one picture costs, form by form: SPADE-SR-64 at the paper's size and the small run that ships, side by side.

`python -m bench.inference --json` prints the figures as JSON. One picture at a time, as `lrt live` draws; medians of
interleaved rounds, of wall time and of CPU time: on a busy machine wall time tells of the neighbours. Errors are
against the plain network in float32, of pictures in [0, 1]. The weights at the paper's size are random, so its errors
say how far arithmetic is off, not how a trained run looks; the small run is trained, and draws the twin's heat.
"""

import argparse
import copy
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import torch

from lrt.console.drawing import list_sources, open_drawing
from lrt.dataset.loading import normalise_heatmap
from lrt.model.config import MODELS, ModelConfig
from lrt.model.device import cpu_threads
from lrt.model.drawer import SHIPPED, SHIPPED_FOLDER, About
from lrt.model.exported import read_card
from lrt.model.folding import plain
from lrt.model.inference import inference_form
from lrt.model.inversion import InversionEncoder
from lrt.model.networks import Networks, build_networks
from lrt.model.onnx_graph import encoder_graph, generator_graph
from lrt.model.quantise import quantise
from lrt.model.runtimes import OnnxDrawer, OpenVinoDrawer
from lrt.model.weights import decode_weights
from lrt.rig.settings import TwinScene, load_rig, open_thermal

from .__main__ import machine

ROUNDS, PICTURES = 15, 12
LIVE_MS = 100.0  # the sensor's period: a picture that takes longer is not drawn of every heatmap

Draw = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(N, z), (N, h, w) degC -> (N, 8h, 8w, 3) in [0, 1]."""


def main(arguments: tuple[str, ...] | list[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.inference", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"pictures of each form (default {ROUNDS})")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU, for every form (default 1)")
    asked = parser.parse_args(list(arguments))
    report: dict[str, Any] = {
        "machine": machine(), "threads": asked.threads, "rounds": asked.rounds, "pictures_compared": PICTURES,
        "runtimes": {name: version(name) for name in ("torch", "onnxruntime", "openvino")},
        "cpu_capabilities": openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
    }  # fmt: skip
    with cpu_threads(asked.threads), torch.inference_mode():
        report["models"] = {
            "spade-sr-64, random weights": _measure(*_full_size(), asked.threads, asked.rounds),
            f"{SHIPPED}, as shipped": _measure(*_shipped(), asked.threads, asked.rounds),
        }
    print(json.dumps(report) if asked.json else write(report))


def write(report: dict[str, Any]) -> str:
    """The figures as tables."""
    lines = [f"{report['threads']} thread(s), medians of {report['rounds']} rounds; {report['runtimes']}"]
    for name, forms in report["models"].items():
        lines.append(f"\n{name}\n  {'':18}{'ms':>8}{'p95':>8}{'CPU ms':>8}{'MB':>8}{'max error':>12}{'mean error':>12}")
        for form, found in forms.items():
            error = f"{found['max_error']:12.1e}{found['mean_error']:12.1e}"
            sizes = f"{found['ms_p50']:8.1f}{found['ms_p95']:8.1f}{found['cpu_ms_p50']:8.1f}{found['mb']:8.2f}"
            lines.append(f"  {form:18}{sizes}{error}   {found['computed']}")
        best = min(forms, key=lambda form: forms[form]["ms_p50"])
        lines.append(f"  the quickest is {best}; a heatmap comes every {LIVE_MS:g} ms")
    return "\n".join(lines)


def _full_size() -> tuple[ModelConfig, Networks, np.ndarray, np.ndarray]:
    """SPADE-SR-64 with random weights; codes and heat as noise is."""
    config = MODELS["spade-sr-64"]
    rng = np.random.default_rng(0)
    z = rng.standard_normal((PICTURES, config.z), np.float32)
    return config, build_networks(config, 0), z, rng.uniform(19, 30, (PICTURES, *config.heatmap_shape)).astype("f4")


def _shipped() -> tuple[ModelConfig, Networks, np.ndarray, np.ndarray]:
    """The run that comes with lrt; codes of its sources, heat of the twin."""
    saved = read_card(SHIPPED_FOLDER).config
    config = ModelConfig(**{**saved, "heatmap_shape": tuple(saved["heatmap_shape"])})
    networks = build_networks(config, 0)
    for name, network in (("generator", networks.generator), ("inversion", networks.inversion)):
        network.load_state_dict(decode_weights((SHIPPED_FOLDER / f"{name}.safetensors").read_bytes()))
    drawing = open_drawing(SHIPPED)
    sources = np.stack([drawing.source(name) for name in list_sources()])
    z = np.resize(drawing.drawer.code(sources), (PICTURES, config.z))
    heat = []
    with open_thermal(load_rig("twin"), TwinScene("red", "bright", seed_name="bench"), live=False) as thermal:
        while len(heat) < 10 * PICTURES:
            heat += [one.celsius for one in thermal.sensor.poll()]
            thermal.clock.advance(thermal.sensor.poll_period_ns)
    return config, networks, z, drawing.view.sample_heatmap(np.stack(heat[::10][:PICTURES]))


def _measure(
    config: ModelConfig, networks: Networks, z: np.ndarray, heat: np.ndarray, threads: int, rounds: int
) -> dict[str, dict[str, Any]]:
    """Every form of one model: time, size and error."""
    with tempfile.TemporaryDirectory() as folder:
        forms = {**_torch_forms(networks), **_exported_forms(config, networks, z, heat, threads, Path(folder))}
        wanted = forms["plain"][0](z, heat)
        off = {name: np.abs(draw(z, heat) - wanted) for name, (draw, _, _) in forms.items()}
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
        for number in range(rounds):
            k = number % len(z)
            for name, (draw, _, _) in forms.items():
                cpu, wall = time.process_time(), time.perf_counter()
                draw(z[k : k + 1], heat[k : k + 1])
                took[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: {
            "ms_p50": round(1e3 * statistics.median(wall for wall, _ in took[name]), 2),
            "ms_p95": round(1e3 * float(np.quantile([wall for wall, _ in took[name]], 0.95)), 2),
            "cpu_ms_p50": round(1e3 * statistics.median(cpu for _, cpu in took[name]), 2),
            "mb": round(size / 1e6, 2),
            "max_error": float(off[name].max()),
            "mean_error": float(off[name].mean()),
            "computed": computed,
        }
        for name, (_, size, computed) in forms.items()
    }


def _torch_forms(networks: Networks) -> dict[str, tuple[Draw, int, str]]:
    """name -> what draws, the bytes of its weights, what computes; in PyTorch."""
    generator = networks.generator.eval()
    form = inference_form(generator).to(memory_format=torch.channels_last)
    forms = {"plain": plain(_copy(generator)), "folded": _copy(generator), "inference form": form}

    def drawing(network: torch.nn.Module, bf16: bool = False) -> Draw:
        def draw(z: np.ndarray, heat: np.ndarray) -> np.ndarray:
            h = torch.from_numpy(normalise_heatmap(heat))[:, None]
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                picture = network(torch.from_numpy(z), h)
            return (picture.float().permute(0, 2, 3, 1) * 0.5 + 0.5).numpy()

        return draw

    def size(network: torch.nn.Module) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())

    found = {name: (drawing(network), size(network), "PyTorch, fp32") for name, network in forms.items()}
    return {**found, "bf16 autocast": (drawing(form, bf16=True), size(form), "PyTorch, bf16")}


def _copy(network: torch.nn.Module) -> Any:
    """Another one like it, in channels-last memory, where convolutions are quick."""
    return copy.deepcopy(network).to(memory_format=torch.channels_last)


def _exported_forms(
    config: ModelConfig, networks: Networks, z: np.ndarray, heat: np.ndarray, threads: int, folder: Path
) -> dict[str, tuple[Draw, int, str]]:
    """The same of what `lrt export` writes, drawn as `lrt live` draws it."""
    about = About(config.name, config.heatmap_shape, config.z, True, "", None)
    assert isinstance(networks.inversion, InversionEncoder)
    encoder = folder / "inversion.onnx"
    onnx.save(encoder_graph(networks.inversion.eval(), config), encoder)
    fp32 = generator_graph(inference_form(networks.generator), config)
    graphs = {"fp32": fp32, "int8": quantise(fp32, z, heat)}
    found: dict[str, tuple[Draw, int, str]] = {}
    for precision, graph in graphs.items():
        path = folder / f"{precision}.onnx"
        onnx.save(graph, path)
        drawer = OnnxDrawer(path, encoder, about, precision, threads)
        found[f"onnxruntime {precision}"] = drawer.draw, path.stat().st_size, drawer.runtime
    for precision in ("fp32", "bf16", "int8"):
        path = folder / f"{precision}.xml"
        model = openvino.convert_model(folder / ("int8.onnx" if precision == "int8" else "fp32.onnx"))
        openvino.save_model(model, path, compress_to_fp16=precision == "bf16")
        drawer = OpenVinoDrawer(path, encoder, about, precision, threads)
        size = path.stat().st_size + path.with_suffix(".bin").stat().st_size
        found[f"openvino {precision}"] = drawer.draw, size, drawer.runtime
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
