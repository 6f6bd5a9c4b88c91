"""Is a training that was killed the one that nothing interrupted? A small real run, really killed, once in each phase.

`python -m bench.resume` says so; bench.training quotes it.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lrt.dataset.loading import PairSet
from lrt.model.config import train_config
from lrt.model.train import train

PAIRS, STEPS, INVERSION_STEPS = 48, 60, 40
KILLED_AT = ("gan", 20), ("inversion", 12)  # and wherever the step stands by the time the signal arrives
PATIENCE_S = 120.0


def main(arguments: tuple[str, ...] | list[str] = ()) -> None:
    if arguments:
        train_small(Path(arguments[0]))
    else:
        print(f"killed twice and resumed, bit for bit as uninterrupted: {resume_bit_equal()}")


def resume_bit_equal() -> bool:
    """Whether curve, weights, averages and Adam's moments at the end are the same, to the last bit."""
    with tempfile.TemporaryDirectory() as folder:
        straight, killed = Path(folder, "straight"), Path(folder, "killed")
        _finish(straight)
        for phase, step in KILLED_AT:
            process = _start(killed)
            _wait_for(killed / "metrics.jsonl", phase, step)
            process.kill()
            if process.wait(PATIENCE_S) != -signal.SIGKILL:
                raise RuntimeError(f"the training was over before it could be killed at {phase} {step}")
        _finish(killed)
        curves = [(run / "metrics.jsonl").read_bytes() for run in (straight, killed)]
        ends = [torch.load(run / "checkpoint.pt", weights_only=True) for run in (straight, killed)]
        return curves[0] == curves[1] and ends[0]["step"] == INVERSION_STEPS and _equal(*ends)


def train_small(run: Path) -> None:
    """Train into a folder, or go on with what is there."""
    rng = np.random.default_rng(0)
    numbers = np.zeros(PAIRS, np.int16)
    pairs = PairSet(
        images=rng.integers(0, 256, (PAIRS, 40, 64, 3), np.uint8),
        heatmaps=rng.uniform(19, 30, (PAIRS, 5, 8)).astype(np.float32),
        clip=numbers.astype(np.int32),
        frame=np.arange(PAIRS, dtype=np.int32),
        clothing=numbers,
        lighting=numbers,
        occupants=numbers,
        clip_ids=("noise",),
        subjects=("",),
        rooms=("",),
        tags=((),),
        synthetic=True,
    )
    small = replace(train_config("smoke"), batch=4, gan_steps=STEPS, inversion_steps=INVERSION_STEPS)
    often = replace(small, log_every=4, checkpoint_every_s=0.0, sample_every=1000)
    train(pairs, run, often, resume=(run / "config.json").exists(), device="cpu")


def _start(run: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "bench.resume", str(run)])


def _finish(run: Path) -> None:
    if (code := _start(run).wait(PATIENCE_S)) != 0:
        raise RuntimeError(f"the small training ended with exit code {code}")


def _wait_for(metrics: Path, phase: str, step: int) -> None:
    """Return once the run has logged so far."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        lines = metrics.read_text().split("\n")[:-1] if metrics.exists() else []
        if any(line["phase"] == phase and line["step"] >= step for line in map(json.loads, lines)):
            return
        time.sleep(0.01)
    raise TimeoutError(f"no step {step} of the {phase} phase within {PATIENCE_S:g} s")


def _equal(one: Any, other: Any) -> bool:
    """Nested dictionaries, lists and tensors alike."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return one == other


if __name__ == "__main__":
    main(sys.argv[1:])
