"""A training in slices of some minutes, and the few small files that tell of it.

The training is `lrt.model.train.train` itself, into a run folder that stays on the machine: its checkpoint is some 300
MB. It need not travel: no setting depends on the steps to come, so a training that was cut short is a shorter one, and
what it has learnt so far is in the averaged weights, which do travel.
"""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from lrt import write_whole
from lrt.dataset.loading import PairSet
from lrt.model.config import TrainConfig
from lrt.model.drawing import Painter
from lrt.model.measures import heat_image_correlation
from lrt.model.pictures import stack, write_png
from lrt.model.reconstruction import reconstruct
from lrt.model.run import Run
from lrt.model.train import Progress, train
from lrt.model.weights import encode_weights

from .speed import precision

PIECE = 16_000_000  # bytes of a file of weights, at most
SHEETS = 6  # sample sheets, from the first to the last
RESERVE_S = 20.0  # of a slice, for the last checkpoint and the files
RUNS = {"test": 10, "train": 2}  # sources drawn for each clip: the paper's number where it takes seconds

Told = dict[str, Any]


def train_slice(
    run: Path, config: TrainConfig, pairs: PairSet, held_out: PairSet, until: float, tf32: bool, device: torch.device
) -> Told:
    """Train on for so long, or to the end, and measure what is finished.

    Args:
        run: the run folder; made by the first slice.
        until: `time.monotonic()` at which the slice is over.

    Returns:
        model, seed, `finished`, `gan_steps` and `inversion_steps` so far; of this slice `seconds`, and `step_s`, those
        of a step with its logs, sheets and checkpoints; `losses`, the last of either phase; of a finished run
        `measured`: split -> its figures.
    """
    stop = threading.Event()
    ticks: list[float] = []

    def watch(_: Progress) -> None:
        ticks.append(time.monotonic())
        if ticks[-1] > until - RESERVE_S:
            stop.set()

    with precision(tf32):
        resume = (run / "config.json").exists()
        told = train(pairs, run, config, resume, held_out=held_out, on_progress=watch, stop=stop, device=str(device))
        measured = {}
        if told.finished:
            painter = Painter(run, device)
            measured = {"test": _measure(painter, held_out, "test"), "train": _measure(painter, pairs, "train")}
    return {
        "model": config.model.name,
        "seed": config.seed,
        "finished": told.finished,
        "gan_steps": told.gan_steps,
        "inversion_steps": told.inversion_steps,
        "seconds": told.seconds,
        # from the first step to the last: algorithms are tried in the first
        "step_s": (ticks[-1] - ticks[0]) / (len(ticks) - 1) if len(ticks) > 1 else None,
        "losses": told.metrics,
        "measured": measured,
    }


def _measure(painter: Painter, pairs: PairSet, split: str) -> dict[str, Any]:
    """The paper's reconstruction error and whether the picture follows the heat; kept beside the run."""
    path = painter.run.path / f"measured-{split}.json"
    if path.exists():
        return json.loads(path.read_text())

    def redraw(source: int, frames: np.ndarray) -> np.ndarray:
        return painter.draw(painter.code(pairs.images[source : source + 1]), pairs.heatmaps[frames])

    reconstruction, _ = reconstruct(pairs, redraw, RUNS[split])
    some = np.linspace(0, len(pairs) - 1, min(2000, len(pairs))).round().astype(int)
    first = np.unique(pairs.clip, return_index=True)[1]
    of_clip = painter.code(pairs.images[first])[pairs.clip[some]]  # one code a clip, that of its first picture
    figures = {
        "mae": reconstruction.mae,
        "mae_low": reconstruction.mae_low,
        "mae_high": reconstruction.mae_high,
        "mae_of_batches": reconstruction.mae_of_batches,
        "runs": RUNS[split],
        **{
            name: heat_image_correlation(pictures, pairs.heatmaps[some], pairs.clip[some])
            for name, pictures in (
                ("correlation", painter.draw(of_clip, pairs.heatmaps[some])),
                ("correlation_real", pairs.images[some].astype(np.float32) / 255),
            )
        },
    }
    painter.run.write(path.name, json.dumps(figures).encode())
    return json.loads(json.dumps(figures))


def leave_files(run: Path, out: Path) -> None:
    """Put what is small of a run into `out`: config.json, metrics.jsonl, sheets.png, and G's and I's averages so far.

    Weights are in half precision and in pieces: `cat generator.safetensors.* > generator.safetensors` joins them.
    """
    for name in ("config.json", "metrics.jsonl"):
        if (run / name).exists():
            write_whole(out / name, (run / name).read_bytes())
    leave_sheets([run], out / "sheets.png", SHEETS)
    saved = Run.open(run).load_checkpoint()
    if saved is None:
        return
    state = saved["state"]
    averages = {"generator": state.get("generator_ema", state["generator"]), "inversion": state.get("inversion_ema")}
    for name, weights in averages.items():
        if weights is not None:
            about = {"network": name, "phase": saved["phase"], "step": str(saved["step"])}
            content = encode_weights({key: _short(value) for key, value in weights.items()}, about)
            for number, piece in enumerate(_pieces(content)):
                write_whole(out / f"{name}.safetensors.{number}", piece)


def leave_sheets(runs: list[Path], path: Path, each: int = 1) -> None:
    """The last sample sheets of some runs below one another, or so many of `each`, spread over its training."""
    pages = []
    for run in runs:
        files = sorted((run / "samples").glob("*.png"))  # gan-..., inversion-...: the order of training
        chosen = np.unique(np.linspace(len(files) - 1, 0, each).round().astype(int)) if files else []
        pages += [cv2.cvtColor(cv2.imread(str(files[number])), cv2.COLOR_BGR2RGB) for number in chosen]
    if pages:
        write_png(path, stack(pages), "lrt sample sheets; the rows 'G' and 'G of I' are synthetic: a network drew them")


def _short(tensor: torch.Tensor) -> torch.Tensor:
    """In half precision where the numbers allow it."""
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    return half if torch.isfinite(half).all() else tensor


def _pieces(content: bytes) -> Iterator[bytes]:
    for begin in range(0, len(content), PIECE):
        yield content[begin : begin + PIECE]
