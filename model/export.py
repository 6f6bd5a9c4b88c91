"""A finished run as a folder that draws elsewhere: written, opened again, and compared with the run itself."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import __version__, write_whole
from ..dataset.loading import COLDEST_C, WARMEST_C, PairSet
from .card import say_origin, say_use
from .drawer import CARD, Drawer, DrawingError
from .drawing import TorchDrawer, about_run, load_networks
from .exported import NETWORKS, PRECISIONS, READERS, Card, Form, form_files, hash_file, open_form
from .inference import inference_form
from .inversion import InversionEncoder
from .layers import count_parameters
from .networks import Networks
from .reconstruction import reconstruct
from .run import Run
from .weights import encode_weights

if TYPE_CHECKING:
    import onnx

COMPARED = 64  # pictures by which a form is compared with the run
FITTED = 200  # to which int8 is fitted; with twice as many its ranges hardly move
MAKERS = {"bundle": ("torch",), "onnx": ("onnx", "onnxruntime"), "openvino": ("onnx", "onnxruntime", "openvino")}


@dataclass(frozen=True)
class ExportConfig:
    """What to write."""

    formats: tuple[str, ...] = ("bundle",)  # of exported.PRECISIONS, the preferred first
    precision: str = "fp32"  # of all of them

    def __post_init__(self) -> None:
        if not self.formats:
            raise DrawingError(f"no format; give one or more of {', '.join(PRECISIONS)}")
        if len(set(self.formats)) < len(self.formats):
            raise DrawingError(f"a format is given twice ({', '.join(self.formats)}); give each once")
        for format in self.formats:
            if format not in PRECISIONS:
                raise DrawingError(f"no format '{format}'; choose among {', '.join(PRECISIONS)}")
            if self.precision not in PRECISIONS[format]:
                known = ", ".join(PRECISIONS[format])
                raise DrawingError(f"{format} is not written in '{self.precision}'; choose among {known}")
            if missing := [name for name in MAKERS[format] if find_spec(name) is None]:
                raise DrawingError(f"{format} takes {', '.join(missing)}: pip install 'lrt[export]'")


def export(
    run: Path,
    out: Path,
    config: ExportConfig,
    fitted_to: PairSet | None = None,
    measured_on: PairSet | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Card:
    """Write G and I of a finished run, never D, with a card that says what they are and how well they were kept.

    Args:
        run: its folder.
        out: a new folder, made whole or not at all.
        fitted_to: pairs whose codes and heat int8 is fitted to; needed for that alone.
        measured_on: pairs on which the accuracy of run and export is measured; None: not measured.
        on_progress: called with the forms done and in all.

    Raises:
        RunError: no run, or one that is not finished.
        DrawingError: `out` exists or cannot be written, or int8 without pairs.
    """
    if out.exists():
        raise DrawingError(f"{out} exists already; choose another --out")
    if config.precision == "int8" and fitted_to is None:
        raise DrawingError("int8 is fitted to heat and pictures like those it will be given; add --data DATASET")
    opened = Run.open(run)
    networks = load_networks(opened)
    if not isinstance(networks.inversion, InversionEncoder) and set(config.formats) != {"bundle"}:
        raise DrawingError(f"{run} is a regression, a baseline without a code; it is exported as a bundle alone")
    painter = TorchDrawer(about_run(opened), networks, torch.device("cpu"))
    card = _begin_card(opened, config)
    frames = None if fitted_to is None else _choose_frames(fitted_to, painter, FITTED)
    of_run = None if measured_on is None else _reconstruction_error(painter, measured_on)
    with _new_folder(out) as folder:
        for number, form in enumerate(card.forms):
            _write_form(folder, form, opened, networks, frames)
            written = _weigh(folder, form)
            drawer = open_form(folder, card, written, READERS[form.format][0])
            written = _compare(written, drawer, painter, measured_on)
            if measured_on is not None and of_run is not None:
                written = replace(written, accuracy=_accuracy(drawer, measured_on, of_run))
            card = replace(card, forms=(*card.forms[:number], written, *card.forms[number + 1 :]))
            if on_progress is not None:
                on_progress(number + 1, len(card.forms))
        write_whole(folder / CARD, (json.dumps(card.to_json(), indent=2) + "\n").encode())
        write_whole(folder / "README.md", write_readme(card, opened).encode())
    return card


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out`, which gets that name when all went well, and else is gone.

    Raises:
        DrawingError: it cannot be written.
    """
    partial = out.with_name(f".{out.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # what a kill left
        partial.mkdir(parents=True)
        yield partial
        partial.replace(out)
    except OSError as error:
        raise DrawingError(f"cannot write {out}: {error.strerror}; make room, or give another --out") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _begin_card(run: Run, config: ExportConfig) -> Card:
    """The card, whose forms are still to be made."""
    record = run.record
    forms = (Form(format, config.precision, {}, 0, "", "", 0, 0, 0) for format in config.formats)
    return Card(
        about=about_run(run),
        config=asdict(record.config.model),
        preset=record.config.preset,
        weights_sha256={name: hash_file(run.path / f"{name}.safetensors") for name in NETWORKS},
        data={"pairs": record.pairs, "clips": record.clips, "named": record.named},
        software={"trained": f"lrt {record.software}", "exported": f"lrt {__version__}"},
        forms=tuple(forms),
    )


# -------------------------------------------------------------------------------------------------- the forms' files


def _write_form(
    folder: Path, form: Form, run: Run, networks: Networks, frames: tuple[np.ndarray, np.ndarray] | None
) -> None:
    """Its files into the folder."""
    if form.format == "bundle":
        for name in NETWORKS:
            network = getattr(networks, name)
            write_whole(folder / f"{name}.safetensors", _encode(network, name, form.precision, run))
        return
    graphs = _graphs(run, networks, form.precision, frames)
    for name, graph in graphs.items():
        if form.format == "onnx":
            write_whole(folder / f"{name}.onnx", graph.SerializeToString())
        else:
            _write_openvino(graph, folder / f"{name}.xml", form.precision)


def _encode(network: nn.Module, name: str, precision: str, run: Run) -> bytes:
    """Weights as safetensors; of fp16 the parameters are halved, and running statistics are not: they are few."""
    learned = {key for key, _ in network.named_parameters()}

    def kept(key: str, tensor: Tensor) -> Tensor:
        return tensor.half() if precision == "fp16" and key in learned else tensor

    tensors = {key: kept(key, tensor) for key, tensor in network.state_dict().items()}
    return encode_weights(
        tensors, {"network": name, "parameters": str(count_parameters(network)), **_describe(run, precision)}
    )


def _describe(run: Run, precision: str) -> dict[str, str]:
    """What every file says of itself."""
    return {
        "model": run.record.config.model.name,
        "preset": run.record.config.preset,
        "precision": precision,
        "trained_on_synthetic_data": str(run.record.synthetic).lower(),
        "software": f"lrt {__version__}",
    }


def _graphs(
    run: Run, networks: Networks, precision: str, frames: tuple[np.ndarray, np.ndarray] | None
) -> "Mapping[str, onnx.ModelProto]":
    """G and I as ONNX. I stays in float32: it looks once at every source."""
    from onnx import helper

    from .onnx_graph import encoder_graph, generator_graph

    config = run.record.config.model
    assert isinstance(networks.inversion, InversionEncoder)
    generator = generator_graph(inference_form(networks.generator), config)
    if precision == "int8":
        from .quantise import quantise

        assert frames is not None
        generator = quantise(generator, *frames)
    graphs = {"generator": generator, "inversion": encoder_graph(networks.inversion.eval(), config)}
    for name, graph in graphs.items():
        helper.set_model_props(graph, _describe(run, precision if name == "generator" else "fp32"))
    return graphs


def _write_openvino(graph: "onnx.ModelProto", path: Path, precision: str) -> None:
    """The .xml and its .bin; for bf16 the numbers are kept in 16 bits, which cost less than computing in bf16 does."""
    import openvino

    source = path.with_name(f".{path.stem}.onnx")  # not beside the form `onnx`'s
    source.write_bytes(graph.SerializeToString())
    openvino.save_model(openvino.convert_model(source), path, compress_to_fp16=precision == "bf16")
    source.unlink()


def _choose_frames(pairs: PairSet, painter: Drawer, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes and heatmaps, (n, z) and (n, h, w), spread over the pairs: each code of another frame than its heatmap."""
    heats = np.linspace(0, len(pairs) - 1, min(count, len(pairs))).round().astype(int)
    sources = np.random.default_rng(0).permutation(heats)
    return painter.code(pairs.images[sources]), pairs.heatmaps[heats]


def _weigh(folder: Path, form: Form) -> Form:
    """The form with what its files are."""
    files = form_files(form.format)
    size = sum((folder / name).stat().st_size for name in files)
    return replace(form, files={name: hash_file(folder / name) for name in files}, bytes=size)


# ---------------------------------------------------------------------------------------------- how well it was kept


def _compare(form: Form, drawer: Drawer, painter: Drawer, pairs: PairSet | None) -> Form:
    """The form with its parity: on pairs, or on noise, with heat from colder to warmer than is told apart."""
    if pairs is None:
        rng = np.random.default_rng(0)
        heatmaps = rng.uniform(COLDEST_C - 2, WARMEST_C + 2, (COMPARED, *painter.about.heatmap_shape))
        images = rng.integers(0, 256, (COMPARED, *painter.about.image_shape, 3), np.uint8)
        z, heatmaps = painter.noise(COMPARED, seed=0), heatmaps.astype(np.float32)
    else:
        z, heatmaps = _choose_frames(pairs, painter, COMPARED)
        images = pairs.images[:COMPARED]
    off = np.abs(drawer.draw(z, heatmaps) - painter.draw(z, heatmaps))
    codes_off = np.abs(drawer.code(images) - painter.code(images))
    return replace(
        form,
        runtime=drawer.runtime,
        compared_on="noise" if pairs is None else "data",
        parity_max=float(off.max()),
        parity_mean=float(off.mean()),
        code_parity_max=float(codes_off.max()),
    )


def _reconstruction_error(drawer: Drawer, pairs: PairSet) -> float:
    """The evaluation's own figure, of one source a clip: the same ones for every drawer."""

    def redraw(source: int, frames: np.ndarray) -> np.ndarray:
        return drawer.draw(drawer.code(pairs.images[source : source + 1]), pairs.heatmaps[frames])

    return reconstruct(pairs, redraw, runs=1, seed=0)[0].mae


def _accuracy(drawer: Drawer, pairs: PairSet, of_run: float) -> dict[str, Any]:
    """Reconstruction error of an export beside its run's, on the same frames from the same sources."""
    return {
        "mae": _reconstruction_error(drawer, pairs),
        "mae_of_run": of_run,
        "pairs": len(pairs),
        "clips": len(np.unique(pairs.clip)),
    }


# ------------------------------------------------------------------------------------------------------ for people


def write_readme(card: Card, run: Run) -> str:
    """The card for who finds the folder without us, as Markdown."""
    rows, columns = card.about.heatmap_shape
    calibration = card.about.calibration
    cut = (
        "None came with its data: crop heatmaps as its training did."
        if calibration is None
        else f"`card.json` holds the one its data was cut with (verdict {calibration.get('verdict', 'unknown')}). "
        "Heat of another rig takes that rig's own."
    )
    return "\n".join(
        [
            f"# {card.about.model}, exported",
            "",
            f"Draws pictures of {8 * columns} x {8 * rows} from heatmaps of {columns} x {rows} and a code for clothing "
            "and light. The discriminator is not here: it can tell whose picture was trained on.",
            "",
            *say_use(run.record.config.model),
            "## Data",
            say_origin(run.record),
            "",
            f"- {card.data['pairs']} pairs of {card.data['clips']} clips, SHA-256 `{card.about.data_sha256}`",
            f"- weights of the run, SHA-256: generator `{card.weights_sha256['generator']}`, inversion encoder "
            f"`{card.weights_sha256['inversion']}`",
            "",
            "## Calibration",
            cut,
            "",
            "## Files",
            "`lrt live` and `lrt synthesise` open this folder. Other programs: `generator` takes `z` (N, "
            f"{card.about.z}) and `heatmap` (N, {rows}, {columns}) in degC, and gives `picture` (N, {8 * rows}, "
            f"{8 * columns}, 3), RGB in [0, 1]; `inversion` takes `image` (N, {8 * rows}, {8 * columns}, 3) uint8 RGB "
            "and gives `z`. The weights of a bundle are lrt's own networks.",
            "",
            "| form | precision | MB | checked with | greatest error | mean error | reconstruction error |",
            "|---|---|---|---|---|---|---|",
            *(_say_form(form) for form in card.forms),
            "",
            f"Errors are against the run in PyTorch, of pictures in [0, 1], drawn from {card.forms[0].compared_on}.",
            "",
        ]
    )


def _say_form(form: Form) -> str:
    cost = "not measured"
    if form.accuracy is not None:
        cost = f"{form.accuracy['mae']:.4f}, the run's {form.accuracy['mae_of_run']:.4f}"
    return (
        f"| {form.format} | {form.precision} | {form.bytes / 1e6:.2f} | {form.runtime} | {form.parity_max:.1e} "
        f"| {form.parity_mean:.1e} | {cost} |"
    )
