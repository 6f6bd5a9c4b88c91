"""What `lrt export` makes: a folder that draws, without the discriminator, which can tell whose picture was trained on.

<export>/card.json              what it is: model, data, calibration, and of each form its files, parity and figures
         README.md              the same for people
         generator.safetensors, inversion.safetensors     the form `bundle`, for PyTorch
         generator.onnx, inversion.onnx                   the form `onnx`, for onnxruntime, or for OpenVINO
         generator.xml, .bin, inversion.xml, .bin         the form `openvino`

A folder holds one form or several, and is opened by the first of them that a runtime here can draw with. No torch in
here.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .drawer import CARD, About, Drawer, DrawingError

SCHEMA = 1
NETWORKS = ("generator", "inversion")
SUFFIXES = {"bundle": (".safetensors",), "onnx": (".onnx",), "openvino": (".xml", ".bin")}
PRECISIONS = {
    "bundle": ("fp32", "fp16"),  # fp16: the weights are kept in half as many bytes; all computes in float32
    "onnx": ("fp32", "int8"),
    "openvino": ("fp32", "bf16", "int8"),
}
READERS = {"bundle": ("torch",), "onnx": ("onnxruntime", "openvino"), "openvino": ("openvino",)}


@dataclass(frozen=True)
class Form:
    """One way in which an export is kept.

    Attributes:
        format: bundle, onnx or openvino.
        precision: of PRECISIONS.
        files: name -> SHA-256.
        bytes: of all of them.
        runtime: what it was checked with, and its version.
        compared_on: "data" that was given, or "noise".
        parity_max, parity_mean: greatest and mean absolute difference of its pictures from the run's, in [0, 1].
        code_parity_max: greatest absolute difference of its codes; they are about standard normal.
        accuracy: what it costs on data, see `export.measure_accuracy`; None where no data was given.
    """

    format: str
    precision: str
    files: Mapping[str, str]
    bytes: int
    runtime: str
    compared_on: str
    parity_max: float
    parity_mean: float
    code_parity_max: float
    accuracy: dict[str, Any] | None = None


@dataclass(frozen=True)
class Card:
    """card.json: what an export is.

    Attributes:
        about: what draws.
        config: the model's, as `ModelConfig` has it.
        preset: of the training.
        weights_sha256: network -> of the run's own file.
        data: pairs and clips that it learned from, and how they were split.
        software: the version of lrt that trained it, and the one that exported it.
        forms: at least one.
    """

    about: About
    config: dict[str, Any]
    preset: str
    weights_sha256: dict[str, str]
    data: dict[str, Any]
    software: dict[str, str]
    forms: tuple[Form, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values, the order of reading."""
        return {"schema": SCHEMA, **asdict(self), "pictures": "synthetic: every picture is drawn by a neural network"}


def read_card(folder: Path) -> Card:
    """The card of an export.

    Raises:
        DrawingError: missing, or not one of this version of lrt.
    """
    path = folder / CARD
    try:
        saved = json.loads(path.read_text())
        if saved["schema"] != SCHEMA:
            raise DrawingError(f"{path} is of schema {saved['schema']}, this lrt reads {SCHEMA}; export the run again")
        about = About(**{**saved["about"], "heatmap_shape": tuple(saved["about"]["heatmap_shape"])})
        forms = tuple(Form(**form) for form in saved["forms"])
        known = {name: saved[name] for name in ("config", "preset", "weights_sha256", "data", "software")}
    except OSError as error:
        raise DrawingError(f"{path} cannot be read: {error.strerror}; export the run again") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DrawingError(f"{path} is not the card of an export ({error}); export the run again") from error
    if not forms or any(form.format not in SUFFIXES for form in forms):
        raise DrawingError(f"{path} names no form that this lrt knows; export the run again")
    return Card(about=about, forms=forms, **known)


def open_exported(folder: Path, device: str = "auto", threads: int | None = None) -> Drawer:
    """An export, ready to draw, by the first of its forms for which a runtime is installed.

    Args:
        device, threads: as of `drawer.load_drawer`.

    Raises:
        DrawingError: it is damaged, or nothing here can draw it.
    """
    card = read_card(folder)
    for form in card.forms:
        if device not in ("auto", "cpu") and form.format != "bundle":
            continue
        for reader in READERS[form.format]:
            if find_spec(reader) is not None:
                return open_form(folder, card, form, reader, device, threads)
    formats = ", ".join(form.format for form in card.forms)
    where = "" if device in ("auto", "cpu") else f" on device '{device}'"
    raise DrawingError(
        f"{folder} holds {formats}, and nothing here draws that{where}: pip install 'lrt[draw]' brings onnxruntime, "
        "'lrt[train]' PyTorch"
    )


def open_form(
    folder: Path, card: Card, form: Form, reader: str, device: str = "auto", threads: int | None = None
) -> Drawer:
    """One form of an export, by one runtime that reads it.

    Raises:
        DrawingError: a file is missing, or not the one that the card names.
    """
    check_files(folder, form)
    if reader == "torch":
        from .device import pick_device
        from .drawing import open_bundle

        return open_bundle(folder, card, form.precision, pick_device(device), threads)
    from .runtimes import OnnxDrawer, OpenVinoDrawer

    kind = OnnxDrawer if reader == "onnxruntime" else OpenVinoDrawer
    suffix = SUFFIXES[form.format][0]
    return kind(folder / f"generator{suffix}", folder / f"inversion{suffix}", card.about, form.precision, threads)


def check_files(folder: Path, form: Form) -> None:
    """Every file of a form is there, and is what was exported.

    Raises:
        DrawingError: naming the one that is not.
    """
    for name in form_files(form.format):
        try:
            found = hash_file(folder / name)
        except OSError as error:
            raise DrawingError(f"{folder / name} cannot be read: {error.strerror}; export the run again") from error
        if found != form.files.get(name):
            raise DrawingError(f"{folder / name} is damaged, or not the card's; export the run again")


def form_files(format: str) -> list[str]:
    """The names of a form's files."""
    return [network + suffix for network in NETWORKS for suffix in SUFFIXES[format]]


def hash_file(path: Path) -> str:
    """SHA-256, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
