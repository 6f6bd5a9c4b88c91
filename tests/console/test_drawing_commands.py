"""`lrt export`, `lrt live`, `lrt synthesise` as a user meets them, and what the page's worker calls."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from lrt.calibration.geometry import Calibration, CalibrationError, find_view, write_calibration
from lrt.console import live, recording
from lrt.console.drawing import list_models, open_drawing
from lrt.console.results import StageError
from lrt.dataset.loading import PairSet
from lrt.model.config import train_config
from lrt.model.live import encode_drawn
from lrt.model.train import train
from lrt.rig.clip import open_clip
from lrt.rig.twin.rig import open_twin

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

Run = Callable[..., tuple[int, str, str]]
_SMOKE = train_config("smoke")
SMALL = replace(_SMOKE.model, width=4, semantic_width=4, z=8, discriminator_width=4, inversion_width=4)
TINY = replace(_SMOKE, model=SMALL, batch=4, gan_steps=2, inversion_steps=2)


def says(result: tuple[int, str, str], *parts: str) -> None:
    """The command refused with one line on stderr that holds the parts, and printed nothing else."""
    code, out, err = result
    lines = [line for line in err.splitlines() if "settle" not in line]
    assert code == 1, err
    assert out == ""
    assert len(lines) == 1, err
    assert lines[0].startswith("lrt: ")
    for part in parts:
        assert part in err


def noise(count: int) -> PairSet:
    """Pairs that show nothing: what a run is worth does not matter here."""
    rng = np.random.default_rng(0)
    number = np.zeros(count, np.int16)
    return PairSet(
        images=rng.integers(0, 256, (count, 40, 64, 3), np.uint8),
        heatmaps=rng.uniform(19, 30, (count, 5, 8)).astype(np.float32),
        clip=number.astype(np.int32),
        frame=np.arange(count, dtype=np.int32),
        clothing=number,
        lighting=number,
        occupants=number,
        clip_ids=("noise",),
        subjects=("",),
        rooms=("",),
        tags=((),),
        synthetic=True,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was hardly trained, with the twin's true calibration; a clip of the twin; a picture."""
    folder = tmp_path_factory.mktemp("place")
    truth = open_twin("red", "bright", 1, "any").truth()
    geometry = {name: truth[name] for name in ("tx", "ty", "s", "offset_ms")}
    calibration = Calibration(
        **geometry, tx_sd=1, ty_sd=1, s_sd=1, offset_ms_sd=1, image_size=(640, 360), score=1, overlap=1,
        verdict="PASS", advice="", masks="small", frames=1, synthetic=True,
    )  # fmt: skip
    write_calibration(calibration, folder / "calibration.json")
    train(noise(8), folder / "runs/tiny", TINY, calibration=calibration.to_json())
    recording.capture("one", "blue", "dim", "TEST", 1, 3.0, "twin", folder / "clips")
    cv2.imwrite(str(folder / "source.png"), np.random.default_rng(1).integers(0, 256, (40, 64, 3), np.uint8))
    return folder


@pytest.fixture(scope="module")
def exported(place: Path) -> Path:
    """The same as ONNX."""
    from lrt.console.exporting import export

    export(place / "runs/tiny", place / "onnx", ("onnx",))
    return place / "onnx"


def test_export_writes_and_says_what_it_wrote(run: Run, place: Path, tmp_path: Path):
    code, out, err = run(
        "export", place / "runs/tiny", "--out", tmp_path / "e", "--format", "onnx", "--format", "bundle"
    )
    assert code == 0, err
    assert "without the discriminator" in out
    assert "onnx" in out
    assert "off the run by at most" in out
    assert "it shows nobody" in out
    code, out, err = run("export", place / "runs/tiny", "--out", tmp_path / "f", "--json")
    assert [form["format"] for form in json.loads(out)["forms"]] == ["bundle"]
    says(run("export", place / "runs/tiny", "--out", tmp_path / "e"), "exists")
    says(run("export", place / "runs/none", "--out", tmp_path / "g"), "runs/none", "no run")
    says(run("export", place / "runs/tiny", "--out", tmp_path / "g", "--format", "tflite"), "tflite", "onnx")
    says(run("export", place / "runs/tiny", "--out", tmp_path / "g", "--precision", "int8"), "int8", "fp16")
    says(
        run("export", place / "runs/tiny", "--out", tmp_path / "g", "--format", "onnx", "--precision", "int8"), "--data"
    )
    assert not (tmp_path / "g").exists()


def test_live_draws_from_the_sensor_alone_and_marks_every_picture(
    run: Run, place: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a camera was opened")

    for camera in ("lrt.rig.twin.camera.TwinCamera.__init__", "cv2.VideoCapture"):
        monkeypatch.setattr(camera, refuse)
    out = tmp_path / "drawn"
    code, text, err = run(
        "live", exported, "--source", place / "source.png", "--rig", "twin", "--out", out, "--seconds", 2, "--json"
    )
    assert code == 0, err
    result = json.loads(text)
    pictures = sorted(out.glob("*.png"))
    rows = list(csv.DictReader((out / "frames.csv").read_text().splitlines()))
    assert len(pictures) == len(rows) == result["pictures"] >= 2
    assert result["runtime"].startswith("onnxruntime")
    assert 0 < result["latency_ms_p50"] <= result["latency_ms_p95"]
    assert result["fps"] > 0
    assert [row["picture"] for row in rows] == [path.name for path in pictures]
    for path in pictures:
        assert b"trainedAlgorithmicMedia" in path.read_bytes()
        assert cv2.imread(str(path)).shape == (240, 384, 3)
    assert list(out.glob(".*")) == []


def test_live_replays_a_clip_at_its_own_pace_and_needs_no_picture_of_it(place: Path, exported: Path, tmp_path: Path):
    """The clip is one whose images cannot be read."""
    found = live.live(exported, place / "source.png", heatmaps=place / "clips/one", out=tmp_path / "drawn")
    clip = open_clip(place / "clips/one")
    lasts_s = (clip.heat_times_ns[-1] - clip.heat_times_ns[0]) / 1e9
    assert found["pictures"] + found["dropped"] == len(clip.heat_times_ns)
    assert found["seconds"] == pytest.approx(lasts_s, abs=1.5)
    drawn = open_drawing(exported)
    heat = clip.oriented(clip.heatmaps()[0].celsius)
    wanted = encode_drawn(drawn.live(drawn.source(place / "source.png")).draw(heat).picture)
    assert (tmp_path / "drawn/000000.png").read_bytes() == wanted


def test_ctrl_c_ends_live_in_order(place: Path, exported: Path, tmp_path: Path):
    command = [str(Path(sys.executable).parent / "lrt"), "live", str(exported), "--source", str(place / "source.png")]
    command += ["--rig", "twin", "--out", str(tmp_path / "drawn"), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            if (tmp_path / "drawn/000003.png").exists():
                break
            threading.Event().wait(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert json.loads(out)["pictures"] >= 4


def test_what_cannot_be_drawn_live_is_one_line(run: Run, place: Path, exported: Path, tmp_path: Path):
    source = ("--source", place / "source.png")
    out = ("--out", tmp_path / "drawn")
    says(run("live", exported, "--rig", "twin", *out), "--source")
    says(run("live", tmp_path / "none", *source, *out), "none", "neither a run nor an export")
    says(run("live", exported, *source, "--rig", "twin", "--heatmaps", place / "clips/one", *out), "not from both")
    says(run("live", exported, *source, "--out", place), "exists already")
    says(run("live", exported, "--source", tmp_path / "no.png", "--rig", "twin", *out), "no.png", "no such picture")
    says(run("live", exported, *source, "--rig", tmp_path / "no.toml", *out), "no.toml")
    says(run("live", exported, *source, "--heatmaps", place / "clips/none", *out), "none")
    says(run("live", exported, *source, "--rig", "twin", "--calibration", tmp_path / "c.json", *out), "c.json")
    says(run("live", place / "runs/tiny", *source, "--rig", "twin", "--device", "abacus", *out), "abacus")
    says(run("live", exported, *source, "--rig", "twin", "--device", "cuda", *out), "cuda")
    assert not (tmp_path / "drawn").exists()


def test_without_a_screen_live_says_how_to_go_on(
    run: Run, place: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("DISPLAY", raising=False)
    says(run("live", exported, "--source", place / "source.png", "--rig", "twin"), "--out FOLDER")


def test_a_disk_that_fills_up_ends_live_in_one_line(
    run: Run, place: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(live.Folder, "show", full)
    says(
        run("live", exported, "--source", place / "source.png", "--rig", "twin", "--out", tmp_path / "drawn"),
        "No space left on device",
        "make room",
    )
    assert not (tmp_path / "drawn").exists()


def test_synthesise_takes_an_export_and_a_clip_as_source(run: Run, place: Path, exported: Path, tmp_path: Path):
    clip = place / "clips/one"
    code, text, err = run(
        "synthesise", exported, "--heatmaps", clip, "--source", clip, "--out", tmp_path / "drawn", "--json"
    )
    assert code == 0, err
    assert json.loads(text)["pictures"] == len(open_clip(clip).heatmaps())


def test_a_source_is_the_frame_where_somebody_stands_out(place: Path, exported: Path):
    opened = open_drawing(exported)
    clip = open_clip(place / "clips/one")
    heat = opened.view.sample_heatmap(clip.oriented(np.stack([one.celsius for one in clip.heatmaps()])))
    warmth = heat.max(axis=(1, 2)) - np.median(heat, axis=(1, 2))
    heat_index, image_index, _ = clip.pair_index(50.0)
    best = int(image_index[int(warmth[heat_index].argmax())])
    wanted = opened.view.crop_image(clip.image(best).pixels)
    np.testing.assert_array_equal(opened.source(place / "clips/one"), wanted)
    np.testing.assert_array_equal(opened.fit(clip.image(best).pixels, "a frame"), wanted)
    with pytest.raises(StageError, match="a frame: the picture is 50x50; a source is 64x40"):
        opened.fit(np.zeros((50, 50, 3), np.uint8), "a frame")


def test_another_rigs_calibration_moves_the_crop(exported: Path, tmp_path: Path):
    own = open_drawing(exported)
    moved = replace(own.view.calibration, tx=own.view.calibration.tx + 150)
    write_calibration(moved, tmp_path / "other.json")
    other = open_drawing(exported, tmp_path / "other.json")
    assert other.view == find_view(moved, (5, 8))
    celsius = np.tile(np.arange(8, dtype=np.float32), (8, 1))
    assert not np.allclose(own.view.sample_heatmap(celsius), other.view.sample_heatmap(celsius))
    with pytest.raises(CalibrationError, match=r"none\.json"):
        open_drawing(exported, tmp_path / "none.json")


def test_an_export_without_a_calibration_asks_for_one(exported: Path, tmp_path: Path):
    copy = Path(shutil.copytree(exported, tmp_path / "copy"))
    card = json.loads((copy / "card.json").read_text())
    card["about"]["calibration"] = None
    (copy / "card.json").write_text(json.dumps(card))
    with pytest.raises(StageError, match="carries no calibration"):
        open_drawing(copy)


def test_what_could_draw_is_listed_with_why_it_could_not(place: Path, exported: Path, tmp_path: Path):
    runs = tmp_path / "runs"
    shutil.copytree(place / "runs/tiny", runs / "tiny")
    shutil.copytree(exported, runs / "small")
    shutil.copytree(place / "runs/tiny", runs / "young")
    (runs / "young/inversion.safetensors").unlink()
    (runs / "notes").mkdir()
    found = {model["name"]: model for model in list_models(runs)}
    assert list(found) == ["twin", "small", "tiny", "young"]
    assert found["small"]["available"]
    assert found["tiny"]["says"] == "spade-sr-64, trained on the twin: it shows nobody"
    assert found["young"]["why"] == "its training is not finished"
    (runs / "small/card.json").write_text("{")
    assert not {model["name"]: model for model in list_models(runs)}["small"]["available"]
    assert [model["name"] for model in list_models(tmp_path / "none")] == ["twin"]
