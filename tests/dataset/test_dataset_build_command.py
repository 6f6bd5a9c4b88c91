"""`lrt build-dataset`: what it prints, and one clear line for what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def home(make_clip, tmp_path: Path) -> Path:
    """Three clips: a good one; one of which some heatmaps have no picture; one that is stale for the most part."""

    def stale(_: int, frame: int) -> np.ndarray:
        return (80 + (np.arange(64) * 5 + min(frame, 10) * 7) % 32).reshape(8, 8).astype(np.int16)

    make_clip(tmp_path / "clips", "good", 0, frames=40, late_ms=12)
    make_clip(tmp_path / "clips", "holes", 1, frames=40, skip_images=(5, 6), clothing="blue")
    make_clip(tmp_path / "clips", "stale", 2, frames=40, raw=stale)
    return tmp_path


def build(run, home: Path, calibration: Path, *options: object):
    clips = sorted((home / "clips").iterdir())
    return run("build-dataset", *clips, "--calibration", calibration, "--out", home / "out", *options)


def test_it_prints_the_histogram_and_every_reason(run, home: Path, calibration_path: Path) -> None:
    code, out, err = build(run, home, calibration_path, "--test", "holes")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == f"{home / 'out'}: 78 pairs of 2 clips (40 train, 38 test)"
    assert lines[1] == "from heatmap to picture (median 12.0 ms, 95 % below 12.0 ms):"
    assert lines[2:12][5].split("ms", 1)[1].split() == ["#" * 38, "38"]
    assert lines[2:12][6].split("ms", 1)[1].split() == ["#" * 40, "40"]
    assert "left out: 2 heatmaps (no picture near enough in time)" in lines
    assert "left out: 40 heatmaps (clip left out: stale-heat)" in lines
    (whole,) = [line for line in lines if line.startswith("left out whole: ")]
    assert whole.startswith("left out whole: stale (stale-heat: 72.5 % of the heatmaps")
    assert "in doubt: good, holes (consent; `lrt clips verify` says more)" in lines


def test_with_json_it_tells_the_same_to_a_program(run, home: Path, calibration_path: Path) -> None:
    told = json.loads(build(run, home, calibration_path, "--size", "16x12", "--jobs", "2", "--json")[1])
    assert told["pairs"] == sum(told["pair_error_counts"]) == 78
    assert told["left_out_by_clip"] == {"holes": {"no picture near enough in time": 2}}
    assert told["clips_left_out"]["stale"][0] == "stale-heat"
    assert told["named_splits"] == ["default", "leave-blue-out", "leave-red-out"]
    assert told["kept"] == 0
    again = json.loads(build(run, home, calibration_path, "--size", "16x12", "--replace", "--json")[1])
    assert {**again, "kept": 0} == told
    assert again["kept"] == 2
    assert "| RGB resolution | 128x96 |" in (home / "out" / "README.md").read_text().splitlines()


def test_a_rule_that_is_allowed_takes_the_clip_in(run, home: Path, calibration_path: Path) -> None:
    told = json.loads(build(run, home, calibration_path, "--allow", "stale-heat", "--json")[1])
    assert told["clips_left_out"] == {}
    assert told["left_out_by_clip"]["stale"] == {"no picture near enough in time": 0, "stale read": 29}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--size", "8by5"), "lrt: size '8by5': give columns x rows of the heatmap, like 8x5 or 16x12"),
        (("--size", "32x20"), "lrt: a picture of 256x160 would be drawn from 160x100 pixels of the recorded images"),
        (("--scope", "world"), "lrt: scope 'world' is not known; choose one of internal, share, publish"),
        (("--scope", "publish"), "lrt: nothing to build: all 3 clips are left out"),
        (("--jobs", "0"), "lrt: jobs is 0; give 1 or more, or -1 for one a core"),
        (("--test", "nobody"), "lrt: test clip 'nobody' is not among the clips; they are good, holes"),
        (("--split-by", "subject"), "lrt: 2 clips cannot be split by subject"),
    ],
)
def test_what_it_refuses_is_one_line(run, home: Path, calibration_path: Path, options, line: str) -> None:
    code, out, err = build(run, home, calibration_path, *options)
    assert (code, out) == (1, "")
    assert err.startswith(line), err
    assert err.count("\n") == 1
    assert sorted(path.name for path in home.iterdir()) == ["clips"]
