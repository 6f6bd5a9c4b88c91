"""A run that is exported draws what it drew, on whatever runtime, and says so in its card; D stays at home."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lrt.dataset.loading import PairSet
from lrt.model import exported
from lrt.model.config import train_config
from lrt.model.drawer import DrawingError, load_drawer
from lrt.model.export import ExportConfig, export
from lrt.model.exported import Card, open_form, read_card
from lrt.model.networks import build_networks
from lrt.model.reconstruction import reconstruct
from lrt.model.run import RunError
from lrt.model.synthesise import synthesise
from lrt.model.train import train
from lrt.model.weights import decode_weights

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")

_SMOKE = train_config("smoke")
SMALL = replace(_SMOKE.model, width=4, semantic_width=4, z=8, discriminator_width=4, inversion_width=4)
TINY = replace(_SMOKE, model=SMALL, batch=4, gan_steps=4, inversion_steps=4)
ALL = ("onnx", "openvino", "bundle")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, few: PairSet) -> Path:
    return train(few, tmp_path_factory.mktemp("runs") / "tiny", TINY, calibration={"verdict": "PASS"}).run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, run: Path, few: PairSet) -> Path:
    """All three forms in float32, measured."""
    out = tmp_path_factory.mktemp("exports") / "all"
    export(run, out, ExportConfig(ALL), measured_on=few)
    return out


def test_every_form_draws_what_the_run_draws(run: Path, whole: Path, few: PairSet):
    card = read_card(whole)
    of_run = load_drawer(run, "cpu")
    z = of_run.code(few.images[:5])
    readers = {"bundle": ("torch",), "onnx": ("onnxruntime", "openvino"), "openvino": ("openvino",)}
    for form in card.forms:
        for reader in readers[form.format]:
            drawer = open_form(whole, card, form, reader)
            np.testing.assert_allclose(drawer.code(few.images[:5]), z, atol=1e-4)
            drawn, wanted = drawer.draw(z, few.heatmaps[:5]), of_run.draw(z, few.heatmaps[:5])
            np.testing.assert_allclose(drawn, wanted, atol=2e-5)
            assert drawer.about == of_run.about


def test_the_card_says_how_well_it_was_kept(run: Path, whole: Path, few: PairSet):
    card = read_card(whole)
    of_run = load_drawer(run, "cpu")

    def redraw(source: int, frames: np.ndarray) -> np.ndarray:
        return of_run.draw(of_run.code(few.images[source : source + 1]), few.heatmaps[frames])

    wanted = reconstruct(few, redraw, runs=1)[0].mae
    assert [form.format for form in card.forms] == list(ALL)
    for form in card.forms:
        assert form.parity_max < 2e-5
        assert form.parity_mean <= form.parity_max
        assert form.accuracy is not None
        assert form.accuracy["mae_of_run"] == pytest.approx(wanted)
        assert form.accuracy["mae"] == pytest.approx(wanted, abs=1e-5)
        assert form.bytes == sum((whole / name).stat().st_size for name in form.files)
    assert card.about.synthetic
    assert card.about.calibration == {"verdict": "PASS"}
    assert card.weights_sha256["generator"] == exported.hash_file(run / "generator.safetensors")
    text = (whole / "README.md").read_text()
    assert "no figure of this run is about people" in text
    assert "onnxruntime" in text


def test_the_discriminator_stays_at_home(whole: Path):
    names = {path.name for path in whole.iterdir()}
    assert names == {"card.json", "README.md", *(name for form in ALL for name in exported.form_files(form))}
    kept = {name for path in whole.glob("*.safetensors") for name in decode_weights(path.read_bytes())}
    networks = build_networks(SMALL, 0)
    assert kept == networks.generator.state_dict().keys() | networks.inversion.state_dict().keys()


def test_the_first_form_that_can_be_read_here_is_taken(whole: Path, monkeypatch: pytest.MonkeyPatch):
    assert load_drawer(whole).runtime.startswith("onnxruntime")
    assert load_drawer(whole, "cpu").runtime.endswith(", fp32")
    installed = {"openvino", "torch"}
    monkeypatch.setattr("lrt.model.exported.find_spec", lambda name: name in installed or None)
    assert load_drawer(whole).runtime.startswith("OpenVINO")
    installed.remove("openvino")
    assert load_drawer(whole).runtime.startswith("PyTorch")
    installed.remove("torch")
    with pytest.raises(DrawingError, match=r"nothing here draws that: pip install 'lrt\[draw\]'"):
        load_drawer(whole)


def test_half_the_bytes_cost_the_pictures_little(run: Path, tmp_path: Path):
    whole = export(run, tmp_path / "whole", ExportConfig(("bundle",)))
    half = export(run, tmp_path / "half", ExportConfig(("bundle",), "fp16"))
    assert half.forms[0].bytes < 0.75 * whole.forms[0].bytes  # a network so small is half headers
    assert 0 < half.forms[0].parity_max < 0.02
    assert whole.forms[0].parity_max == 0
    assert "fp16" in load_drawer(tmp_path / "half").runtime


def test_int8_is_fitted_to_pairs_and_says_what_it_costs(run: Path, few: PairSet, tmp_path: Path):
    with pytest.raises(DrawingError, match="int8 is fitted to heat and pictures"):
        export(run, tmp_path / "no", ExportConfig(("onnx",), "int8"))
    card = export(run, tmp_path / "int8", ExportConfig(("onnx", "openvino"), "int8"), few, few)
    for form in card.forms:
        assert 1e-4 < form.parity_mean < 0.1  # of a network that was hardly trained, whose ranges are wide
        assert form.compared_on == "data"
        assert form.code_parity_max < 1e-3  # the encoder is left as it was
        assert form.accuracy is not None
        assert form.accuracy["mae"] == pytest.approx(form.accuracy["mae_of_run"], abs=0.05)
    assert not (tmp_path / "no").exists()


def test_openvino_in_bf16_says_what_it_computes_in(run: Path, tmp_path: Path):
    card = export(run, tmp_path / "short", ExportConfig(("openvino",), "bf16"))
    assert "bf16" in card.forms[0].runtime
    assert 0 < card.forms[0].parity_max < 0.2


def test_synthesis_takes_an_export_like_a_run(run: Path, whole: Path, few: PairSet):
    of_run = np.stack(list(synthesise(run, few.heatmaps[:3], few.images[0], "cpu")))
    of_export = np.stack(list(synthesise(whole, few.heatmaps[:3], few.images[0])))
    assert np.abs(of_run.astype(int) - of_export).max() <= 1


def spoil(whole: Path, tmp_path: Path) -> tuple[Path, dict]:
    """A copy to be spoiled, and its card."""
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    return copy, json.loads((copy / "card.json").read_text())


def test_a_damaged_export_is_one_line(whole: Path, tmp_path: Path):
    copy, card = spoil(whole, tmp_path)
    content = bytearray((copy / "generator.onnx").read_bytes())
    content[-5] ^= 1
    (copy / "generator.onnx").write_bytes(content)
    with pytest.raises(DrawingError, match=r"generator\.onnx is damaged"):
        load_drawer(copy)
    (copy / "generator.onnx").unlink()
    with pytest.raises(DrawingError, match=r"generator\.onnx cannot be read"):
        load_drawer(copy)
    for wrong, says in (
        ("{", "not the card of an export"),
        ("[]", "not the card of an export"),
        (json.dumps({**card, "schema": 9}), "is of schema 9"),
        (json.dumps({**card, "forms": []}), "names no form"),
        (json.dumps({**card, "about": {"model": "x"}}), "not the card of an export"),
    ):
        (copy / "card.json").write_text(wrong)
        with pytest.raises(DrawingError, match=says):
            load_drawer(copy)


def test_weights_of_another_network_are_refused(whole: Path, tmp_path: Path):
    copy, card = spoil(whole, tmp_path)
    card["config"]["width"] = 8
    card["forms"] = card["forms"][2:]
    (copy / "card.json").write_text(json.dumps(card))
    with pytest.raises(DrawingError, match="do not belong together"):
        load_drawer(copy)


def test_what_cannot_be_exported_is_refused_and_leaves_nothing(run: Path, tmp_path: Path):
    for formats, precision, says in (
        (("tflite",), "fp32", "no format 'tflite'"),
        (("bundle",), "int8", "bundle is not written in 'int8'"),
        (("onnx", "onnx"), "fp32", "given twice"),
        ((), "fp32", "no format"),
    ):
        with pytest.raises(DrawingError, match=says):
            ExportConfig(formats, precision)
    (tmp_path / "there").mkdir()
    with pytest.raises(DrawingError, match="exists already"):
        export(run, tmp_path / "there", ExportConfig())
    with pytest.raises(RunError, match="holds no run"):
        export(tmp_path / "there", tmp_path / "new", ExportConfig())
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_an_export_that_fails_half_way_leaves_nothing(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lrt.model.export.write_whole", full)
    with pytest.raises(DrawingError, match=r"cannot write .*new: No space left on device"):
        export(run, tmp_path / "new", ExportConfig())
    assert list(tmp_path.iterdir()) == []


def test_a_regression_is_exported_as_a_bundle_alone(few: PairSet, tmp_path: Path):
    config = replace(TINY, model=replace(SMALL, regression=True))
    regression = train(few, tmp_path / "regression", config).run
    with pytest.raises(DrawingError, match="is a regression"):
        export(regression, tmp_path / "no", ExportConfig(("onnx",)))
    card: Card = export(regression, tmp_path / "yes", ExportConfig())
    assert card.forms[0].parity_max == 0
    assert load_drawer(tmp_path / "yes").picture(np.zeros((1, 8), np.float32), few.heatmaps[:1]).shape == (1, 40, 64, 3)
