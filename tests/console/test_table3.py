"""`lrt bench-table3` as a user meets it: killed and given again, a page whose figures are the table's, one line for bad
input.
"""

import csv
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from lrt.calibration.geometry import Calibration, write_calibration
from lrt.console import table3
from lrt.console.table3_text import list_gaps, say_baselines, show
from lrt.dataset.build import BuildConfig, build_dataset
from lrt.rig.clip import ClipHeader, ClipWriter
from lrt.rig.records import Heatmap, Image
from lrt.rig.timing.clock import VirtualClock

Run = Callable[..., tuple[int, str, str]]

SHIRTS = {"red": (200, 40, 40), "blue": (40, 60, 190)}
STEP_NS = 100_000_000
RIG = {"sensor": {"kind": "amg8833", "rotation": 0, "mirror": False}, "camera": {"kind": "opencv"}}
ASKED = ("--preset", "smoke", "--budget", "6", "--seeds", "2", "--models", "spade-sr-32,spade-64", "--runs", "2")
SETTINGS = (
    "batch=4", "log_every=2", "checkpoint_every_s=0.0", "model.width=4", "model.inversion_width=4", "model.z=8",
)  # fmt: skip
JUDGE_STEPS = 10  # no figure's size is asked for here
QUICK = ("--pictures", "20", *(part for setting in SETTINGS for part in ("--set", setting)))


@pytest.fixture(autouse=True, scope="module")
def hasty_judge() -> Iterator[None]:
    """The judge of every table made in this process learns for a moment only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lrt.model.judges.STEPS", JUDGE_STEPS)
        yield


def write_clip(root: Path, shirt: str, number: int) -> Path:
    """A dozen frames of somebody who walks across; the heat goes along."""
    header = ClipHeader(
        clip_id=f"{shirt}-{number}", rig=RIG, clothing=shirt, lighting="dim", occupants=1, consent="P07"
    )
    with ClipWriter(root, header, VirtualClock(0)) as writer:
        for frame in range(12):
            at = 5_000_000_000 + frame * STEP_NS
            heat, picture = np.full((8, 8), 86, np.int16), np.full((120, 160, 3), 170, np.uint8)
            heat[2:7, frame % 7 : frame % 7 + 2] = 112
            cv2.rectangle(picture, (20 * (frame % 7), 40), (20 * (frame % 7) + 40, 110), SHIRTS[shirt], -1)
            writer.write_heatmap(Heatmap(at, heat, 352, frame, at, at))
            writer.write_image(Image(at, picture, frame))
    return writer.folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips in two shirts, one of each held out."""
    root = tmp_path_factory.mktemp("table")
    clips = [write_clip(root / "clips", shirt, number) for number in range(3) for shirt in SHIRTS]
    calibration = Calibration(
        tx=80.0, ty=60.0, s=20.0, offset_ms=0.0, tx_sd=0.4, ty_sd=0.5, s_sd=0.06, offset_ms_sd=3.0,
        image_size=(160, 120), score=0.8, overlap=0.7, verdict="PASS", advice="", masks="test", frames=36,
    )  # fmt: skip
    write_calibration(calibration, root / "calibration.json")
    config = BuildConfig(test_clips=("red-2", "blue-2"))
    return build_dataset(clips, root / "calibration.json", root / "dataset", config).path


@pytest.fixture(scope="module")
def filled(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A table of two models and two seeds, and what the command returned."""
    out = tmp_path_factory.mktemp("filled") / "table"
    result = table3.bench_table3(
        dataset, out, budget=6, seeds=2, models="spade-sr-32,spade-64", preset="smoke", settings=SETTINGS,
        runs=2, pictures=20, full=False, inception_weights=None,
    )  # fmt: skip
    return out, result


class Cells(HTMLParser):
    """Text of each figure's cell: (row id, figure) -> text; and whether the page is well nested."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: dict[tuple[str, str], str] = {}
        self.open: list[str] = []
        self._row = self._cell = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        if tag == "tr":
            self._row = named.get("id") or ""
        if tag == "td":
            self._cell = named.get("data-figure") or ""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "td":
            self._cell = ""

    def handle_data(self, data: str) -> None:
        if self._cell:
            key = (self._row, self._cell)
            self.found[key] = f"{self.found.get(key, '')} {data.strip()}".strip()


def test_the_page_shows_the_figures_of_the_table_and_needs_nothing_outside_itself(filled):
    out, result = filled
    html = (out / "table3.html").read_text()
    assert json.loads((out / "table3.json").read_text()) == result
    assert re.findall(r'(?:src|href)="(?!data:)', html) == []
    page = Cells(html)
    assert page.open == []
    for split in ("test", "train"):
        for model, found in result["splits"][split]["models"].items():
            for key, figure in found["figures"].items():
                assert page.found[(f"{split}-{model}", key)] == show(figure, key)
    assert len(page.found) == 2 * 2 * 6
    for number in ("12,644,611", "11.68", "0.0334", "not told apart", "not FID and KID"):
        assert number in html


def test_the_csv_has_a_row_for_each_split_and_model(filled):
    out, result = filled
    rows = list(csv.DictReader((out / "table3.csv").read_text().splitlines()))
    assert [(row["split"], row["model"]) for row in rows] == [
        (split, model) for split in ("test", "train") for model in ("spade-sr-32", "spade-64")
    ]
    figure = result["splits"]["test"]["models"]["spade-64"]["figures"]["mae"]
    assert float(rows[1]["mae"]) == figure["value"]
    assert float(rows[1]["mae_low"]) == figure["low"]
    assert rows[1]["paper_mae_on_its_data"] == "0.0334"


def test_what_a_table_is_not_stands_in_it(filled):
    _, result = filled
    gaps = " ".join(list_gaps(result))
    assert "6 GAN steps of 4 pairs, where the paper's runs took 34,000 of 256" in gaps
    assert "smaller than the published" in gaps
    broken = json.loads(json.dumps(result))
    broken["runs"][0] |= {"state": "diverged", "why": "d_total is nan at step 4"}
    broken["runs"][1]["state"] = "unfinished"
    gaps = " ".join(list_gaps(broken))
    assert "runs/spade-sr-32-seed0 diverged and is in no figure: d_total is nan at step 4" in gaps
    assert "Not there yet, 1 of 4 runs: runs/spade-64-seed0" in gaps


def test_a_table_killed_in_the_middle_ends_as_one_that_was_not(dataset, filled, tmp_path, run: Run):
    """SIGKILL in the second run, then the same command again: the same figures to the last digit."""
    _, whole = filled
    command = ("bench-table3", dataset, "--out", tmp_path / "table", *ASKED, *QUICK, "--split", "test")
    code = f"from lrt.cli import main; from lrt.model import judges; judges.STEPS = {JUDGE_STEPS}; main()"
    first = subprocess.Popen([sys.executable, "-c", code, *map(str, command)])
    late = time.monotonic() + 60
    while not (tmp_path / "table/runs/spade-64-seed0/config.json").exists():
        assert first.poll() is None
        assert time.monotonic() < late
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not (tmp_path / "table/runs/spade-64-seed1").exists()
    assert [line["state"] for line in json.loads((tmp_path / "table/table3.json").read_text())["runs"]] == [
        "measured", "unfinished", "unfinished", "unfinished",
    ]  # fmt: skip

    exit_code, out, err = run(*command, "--json")
    assert (exit_code, err) == (0, "")
    again = json.loads(out)
    assert again["splits"] == {"test": whole["splits"]["test"]}
    assert [line["state"] for line in again["runs"]] == ["measured"] * 4


def test_baselines_are_added_to_the_models(dataset, tmp_path, run: Run):
    command = ("bench-table3", dataset, "--out", tmp_path / "table", "--preset", "smoke", "--no-training")
    code, out, err = run(*command, *QUICK, "--models", "spade-sr-64", "--baselines", "--seeds", "1", "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert list(result["models"]) == ["spade-sr-64", "spade-sr-64-bn", "regression-64"]
    assert result["models"]["regression-64"]["parameters_at_full_size"] == 10_310_915
    assert (result["training"]["gan_steps"], result["training"]["inversion_steps"]) == (800, 250)
    assert [run["state"] for run in result["runs"]] == ["unfinished"] * 3


def test_a_baseline_is_a_line_in_words(filled):
    _, result = filled
    difference = {"value": 3.0, "low": 1.0, "high": 5.0, "seeds": 2}
    split = {**result["splits"]["test"], "baselines": {"regression-64": {"frechet": difference, "recall": difference}}}
    said = list(say_baselines({**result, "splits": {"test": split}}, "test"))
    assert said == [
        "regression-64 (regression by L1 without a code, which the paper says blurs (section 3.1)), less spade-sr-64: "
        "Frechet distance +3.00 [1.00 .. 5.00]"
    ]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--split", "unseen"), "no clips for --split unseen; it has test, train"),
        (("--set", "seed=3"), "--set seed would make the runs alike"),
        (("--set", "model.semantic_width=8"), "--set model.semantic_width would make the runs alike"),
        (("--models", "spade-64,pix2pix"), "no model 'pix2pix'; choose one of"),
        (("--models", "spade-64,spade-64"), "named twice"),
        (("--pictures", "1"), "--pictures 2 or more"),
        (("--named", "leave-green-out"), "no way of splitting is named 'leave-green-out'"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(dataset, tmp_path, run: Run, options, says):
    code, out, err = run("bench-table3", dataset, "--out", tmp_path / "table", "--preset", "smoke", *options)
    assert (code, out, err.count("\n")) == (1, "", 1), err
    assert says in err
    assert not (tmp_path / "table").exists()


def test_other_settings_than_a_run_has_are_refused_by_its_name(dataset, filled, run: Run):
    out, _ = filled
    code, _, err = run("bench-table3", dataset, "--out", out, *ASKED, *QUICK, "--set", "lr_generator=1e-4")
    assert code == 1
    assert "spade-sr-32-seed0 is a run with lr_generator = 0.001, not 0.0001" in err
