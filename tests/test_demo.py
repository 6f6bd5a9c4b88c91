"""`lrt demo`: what the whole way must reach on the twin, of shorter clips and by a quarter of its training."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lrt.model.config import train_config
from lrt.rig.clip import open_clip

Run = Callable[..., tuple[int, str, str]]

SECONDS = 5  # of a clip
GAN_STEPS = 400  # the person is where the heat is by then; shirts and sharpness come later


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """What `lrt demo --json` prints, in a process of its own as a user runs it; and its folder."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    lrt = str(Path(sys.executable).parent / "lrt")
    shorter = ["--seconds", str(SECONDS), "--gan-steps", str(GAN_STEPS)]
    command = [lrt, "demo", "--out", str(out), *shorter, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), out


def test_calibration_is_within_a_tenth_of_a_thermal_pixel_of_the_truth(demo):
    result, _ = demo

    assert result["calibration_error_px"] <= 0.1 * 62
    assert result["calibration_error_share"] <= 0.1
    assert result["scale_error_share"] <= 0.04


def test_every_heatmap_has_its_picture_within_half_a_frame(demo):
    result, _ = demo

    assert result["pairs"] >= 32 * SECONDS * 9.5
    assert result["pair_error_ms_p95"] <= 1000 / 15 / 2


def test_the_drawn_person_is_where_the_heat_is(demo):
    result, _ = demo

    assert result["heat_image_correlation"] > 0.4
    assert result["heat_image_correlation_real"] > 0.7
    assert result["heat_image_correlation"] > result["heat_image_correlation_shuffled"] + 0.3
    assert 0 < result["mae"] < 0.2


def test_result_is_plain_json_with_every_stage_timed(demo):
    result, out = demo

    assert json.loads((out / "demo.json").read_text()) == json.loads(json.dumps(result))
    stages = {"capture", "calibrate", "build-dataset", "train", "evaluate", "synthesise"}
    assert set(result["seconds"]) == stages
    assert all(seconds > 0 for seconds in result["seconds"].values())


def test_the_page_shows_every_stage_and_needs_nothing_else(demo):
    result, _ = demo
    html = Path(result["report"]).read_text()

    assert re.findall(r'<section id="([\w-]+)"', html) == list(result["seconds"])
    assert "digital twin" in html
    assert f"{GAN_STEPS} steps" in html
    assert f"--gan-steps {GAN_STEPS}" in html
    assert html.count("data:image/") >= 7
    assert "data:video/mp4" in html
    assert not re.search(r'(?:src|href)="(?!data:)', html)


def test_the_training_is_as_long_as_asked(demo):
    _, out = demo
    lines = [json.loads(line) for line in (out / "run/metrics.jsonl").read_text().splitlines()]

    assert max(line["step"] for line in lines if line["phase"] == "gan") == GAN_STEPS


def test_unasked_the_training_is_twice_the_presets(run: Run):
    preset = train_config("smoke").gan_steps
    assert preset is not None
    _, told, _ = run("demo", "--help")

    assert f"[default: {2 * preset};" in " ".join(told.split())


def test_no_training_at_all_is_refused_and_nothing_is_recorded(run: Run, tmp_path: Path):
    code, _, err = run("demo", "--out", tmp_path / "demo", "--gan-steps", 0)

    assert code != 0
    assert "--gan-steps" in err
    assert not (tmp_path / "demo").exists()


def test_whatever_the_twin_made_says_so(demo):
    _, out = demo

    assert all(open_clip(clip).header.synthetic for clip in (out / "clips").iterdir())
    assert json.loads((out / "calibration.json").read_text())["synthetic"] is True
    assert "twin" in (out / "dataset/README.md").read_text()
    assert json.loads((out / "run/config.json").read_text())["synthetic"] is True


def test_drawing_from_heat_opens_no_image_of_the_clip(demo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from lrt.console import synthesising
    from lrt.rig.clip import read

    _, out = demo
    monkeypatch.setattr(read.Clip, "image", lambda *_: pytest.fail("an image of the clip was opened"))

    drawn = synthesising.synthesise(out / "run", out / "clips/red-dim-again", out / "source.png", tmp_path / "drawn")
    assert drawn["pictures"] > 9 * SECONDS
