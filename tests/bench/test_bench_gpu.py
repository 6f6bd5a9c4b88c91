"""`python -m bench.gpu`, end to end, where Python finds PyTorch, numpy, OpenCV and scipy and no other package."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.gpu.pairs import draw_takes, plan_takes
from bench.gpu.slices import leave_files, train_slice
from lrt.model.config import train_config
from lrt.model.networks import build_networks
from lrt.model.run import Run
from lrt.model.weights import decode_weights

ROOT = Path(__file__).parents[2]
NEEDED = ("torch", "numpy", "opencv-python-headless", "scipy")
SMALL = [
    *("--device", "cpu", "--preset", "smoke", "--batch", "2", "--pairs", "12", "--clips", "2", "--jobs", "2"),
    *("--settings", "fp32,bf16-unfolded", "--batches", "none", "--block", "0.01", "--minutes", "2"),
    *("--gan-steps", "4", "--inversion-steps", "2"),
]


def all_needed(names: tuple[str, ...]) -> set[str]:
    """The distributions and all that they need in turn."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # of another platform
        if name not in found:
            found.add(name)
            waiting += [re.match(r"[\w.-]+", need).group() for need in needs if "extra ==" not in need]
    return found


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of links to what such a machine has."""
    site = tmp_path_factory.mktemp("site")
    for name in all_needed(NEEDED):
        for file in metadata.distribution(name).files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__", "bin") and not (site / top).exists():
                (site / top).symlink_to(metadata.distribution(name).locate_file(top))
    return site


def call(site: Path, state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys._base_executable, "-S", "-m", "bench.gpu", "--state", state, "--out", state / "out", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def sat(bare: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The state folder of one sitting, and what it printed."""
    state = tmp_path_factory.mktemp("gpu")
    done = call(bare, state, *SMALL)
    assert done.returncode == 0, done.stderr
    return state, done.stdout


def test_such_a_machine_has_none_of_our_other_packages(bare: Path):
    ours = ("lrt", "pyarrow", "safetensors", "mcap", "click", "rich", "torchvision", "adafruit_amg88xx")
    asked = f"import importlib.util; print([name for name in {ours} if importlib.util.find_spec(name)])"
    python, path = [sys._base_executable, "-S", "-c"], {"PYTHONPATH": str(bare)}

    found = subprocess.run([*python, asked], cwd="/", env=path, capture_output=True, text=True, check=True)

    assert found.stdout == "[]\n"


def test_a_sitting_draws_times_and_trains(sat: tuple[Path, str]):
    state, printed = sat
    summary = json.loads((state / "out" / "summary.json").read_text())

    assert summary["pairs"] == {"train": 12, "held_out": 6, "clips": 2}
    assert [(each["setting"], each["ran_at"]) for each in summary["speed"]] == [("fp32", 2), ("bf16-unfolded", 2)]
    assert all(0 < each["gan_s_low"] <= each["gan_s"] <= each["gan_s_high"] for each in summary["speed"])
    exact, short = (each["losses"] for each in summary["speed"])
    assert short == pytest.approx(exact, abs=0.05)
    assert short != exact
    (trained,) = summary["training"].values()
    assert (trained["finished"], trained["gan_steps"], trained["inversion_steps"]) == (True, 4, 2)
    assert 0 < trained["measured"]["test"]["mae"] < 1
    assert "finished" in printed
    assert printed.endswith((state / "out" / "summary.txt").read_text() + "\n")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("--model", "regression-64"), "--model regression-64: it has no GAN step to time"),
        (("--model", "nonsense"), "no model 'nonsense'; choose one of"),
        (("--settings", "fp32,fp64"), "--settings: there is no 'fp64'; choose of fp32, tf32"),
        (("--batches", "64,many"), "--batches: 'many' is no batch"),
        (("--train", "fp32-naive"), "--train fp32-naive: trainings run in one of fp32, tf32"),
    ],
)
def test_what_cannot_be_timed_or_trained_is_refused_before_pairs_are_drawn(
    asked: tuple[str, ...], says: str, bare: Path, tmp_path: Path
):
    done = call(bare, tmp_path / "state", *asked)

    assert done.returncode == 1
    assert done.stderr.startswith(says)
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "state").exists()


def test_the_pairs_show_the_twin(sat: tuple[Path, str]):
    drawn = np.load(sat[0] / "pairs" / "train-0-6.npz")

    assert drawn["images"].shape == (6, 40, 64, 3)
    assert drawn["images"].std() > 20
    assert drawn["heatmaps"].shape == (6, 5, 8)
    assert (drawn["heatmaps"] > 15).all()
    assert (drawn["heatmaps"] < 35).all()


def test_the_pieces_join_to_weights_that_load(sat: tuple[Path, str]):
    state = sat[0]
    (folder,) = (each.parent for each in state.glob("*/config.json") if each.parent.name != "out")
    run = Run.open(folder)
    networks = build_networks(run.record.config.model, 1)

    for name, network in (("generator", networks.generator), ("inversion", networks.inversion)):
        pieces = sorted((state / "out").glob(f"{name}.safetensors.*"))
        network.load_state_dict(decode_weights(b"".join(piece.read_bytes() for piece in pieces)))
        exact = decode_weights((folder / f"{name}.safetensors").read_bytes())
        for key, value in network.state_dict().items():
            np.testing.assert_allclose(value, exact[key], rtol=2e-3, atol=1e-4)


def test_a_cut_training_goes_on_and_its_weights_are_had_meanwhile(sat: tuple[Path, str], tmp_path: Path):
    pairs = draw_takes(plan_takes(12, 2), sat[0] / "pairs")
    config = replace(train_config("smoke"), batch=2, gan_steps=3, inversion_steps=2)
    now, cpu = time.monotonic(), torch.device("cpu")

    cut = train_slice(tmp_path / "run", config, pairs, pairs, now, tf32=False, device=cpu)
    leave_files(tmp_path / "run", tmp_path)
    meanwhile = decode_weights((tmp_path / "generator.safetensors.0").read_bytes())
    whole = train_slice(tmp_path / "run", config, pairs, pairs, now + 600, tf32=False, device=cpu)

    assert (cut["finished"], cut["gan_steps"], cut["measured"]) == (False, 1, {})
    assert meanwhile.keys() == build_networks(config.model, 0).generator.state_dict().keys()
    assert (whole["finished"], whole["gan_steps"], whole["inversion_steps"]) == (True, 3, 2)
    assert whole["measured"].keys() == {"test", "train"}


def test_the_next_sitting_takes_what_is_done_as_it_is(sat: tuple[Path, str], bare: Path):
    state = sat[0]
    before = json.loads((state / "kept.json").read_text())
    told = call(bare, state, *SMALL)
    assert told.returncode == 0, told.stderr

    assert "drawn" not in told.stdout
    assert json.loads((state / "kept.json").read_text()) == before


def test_an_option_that_cannot_be_is_one_line(bare: Path, sat: tuple[Path, str]):
    told = call(bare, sat[0], *SMALL, "--model", "spade-sr-65")

    assert told.returncode == 1
    assert told.stderr.startswith("no model 'spade-sr-65'; choose one of")
    assert told.stderr.count("\n") == 1
