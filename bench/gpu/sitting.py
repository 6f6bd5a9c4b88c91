"""One sitting at a GPU: what is not timed yet, then training, for as long as there is time; a summary after each."""

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lrt import write_whole
from lrt.dataset.loading import PairSet
from lrt.model.config import ConfigError, TrainConfig, train_config
from lrt.model.device import pick_device
from lrt.model.published import TABLE3

from ..__main__ import machine
from .folds import measure_folds
from .report import speed_row, write
from .slices import leave_files, leave_sheets, train_slice
from .speed import SETTINGS, measure

SCANNED = ("tf32", "bf16")  # at other batches
FOLDS_S = 30.0  # what timing the convolutions one by one may take
LEAST_S = 60.0  # of a sitting that is worth beginning a training for

Kept = dict[str, Any]


def plan(asked: argparse.Namespace) -> TrainConfig:
    """What is timed and trained; asked for before minutes go into drawing pairs.

    Args:
        asked: the command's options.

    Raises:
        ConfigError: no such model, preset or setting; or the model has no GAN step; or nothing is trained so.
    """
    config = replace(train_config(asked.preset, asked.model), batch=asked.batch)
    if config.model.regression:
        name = config.model.name
        raise ConfigError(f"--model {name}: it has no GAN step to time; `lrt train --model {name}` trains it")
    for name in _split(asked.settings or "none"):
        if name not in SETTINGS:
            raise ConfigError(f"--settings: there is no '{name}'; choose of {', '.join(SETTINGS)}")
    if wrong := [each for each in _split(asked.batches) if not each.isdigit() or int(each) < 2]:
        raise ConfigError(f"--batches: '{wrong[0]}' is no batch; give whole numbers from 2 on, with commas, or none")
    trained = [name for name, setting in SETTINGS.items() if setting.folded and not setting.naive]
    if asked.train not in ("none", *trained):
        raise ConfigError(f"--train {asked.train}: trainings run in one of {', '.join(trained)}, or none")
    return replace(config, gan_steps=asked.gan_steps, inversion_steps=asked.inversion_steps)


def sit(asked: argparse.Namespace, config: TrainConfig, pairs: PairSet, held_out: PairSet, until: float) -> None:
    """Go on where the last sitting stopped.

    Args:
        asked: the command's options.
        config: of `plan`.
        until: `time.monotonic()` at which the sitting is over.
    """
    device = pick_device(asked.device)
    about = describe(device) | {"preset": asked.preset, "model": asked.model, "batch": asked.batch}
    kept = _read(asked.state / "kept.json", about)
    kept["pairs"] = {"train": len(pairs), "held_out": len(held_out), "clips": len(pairs.clip_ids)}

    def keep() -> None:
        text = json.dumps(kept, indent=1)
        write_whole(asked.state / "kept.json", text.encode())
        write_whole(asked.out / "summary.json", text.encode())
        write_whole(asked.out / "summary.txt", write(kept).encode())

    kept["not_done"] = _time_steps(asked, config, pairs, until, kept, keep)
    if asked.train != "none":
        kept["not_done"] += _train(asked, config, pairs, held_out, until, kept, keep)
    keep()
    print(write(kept))


def describe(device: torch.device) -> Kept:
    """What the figures were taken on."""
    cuda = torch.cuda.get_device_properties(device) if device.type == "cuda" else None
    return {
        "machine": machine(),
        "device": platform.machine() if cuda is None else cuda.name,
        "memory_gib": None if cuda is None else round(cuda.total_memory / 2**30, 1),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": None if cuda is None else torch.backends.cudnn.version(),
    }


def _read(path: Path, about: Kept) -> Kept:
    """What earlier sittings found; nothing, where those were of another machine, model or batch."""
    found = json.loads(path.read_text()) if path.exists() else {}
    if found.get("about") != about:
        found = {"about": about, "speed": [], "folds": {}, "training": {}}
    return found


def _time_steps(
    asked: argparse.Namespace, config: TrainConfig, pairs: PairSet, until: float, kept: Kept, keep: Callable[[], None]
) -> list[str]:
    """Time a step in every setting asked for; names of those that there was no time for."""
    settings = list(SETTINGS) if asked.settings is None else _split(asked.settings)
    batches = [int(batch) for batch in _split(asked.batches)]
    wanted = [(name, config.batch) for name in settings]
    wanted += [(name, batch) for batch in batches for name in SCANNED if name in settings]
    done = {(each["setting"], each["batch"]) for each in kept["speed"]}
    on_device = pairs.on(pick_device(asked.device))
    late = []
    for name, batch in wanted:
        if (name, batch) in done:
            continue
        if time.monotonic() > until:
            late.append(f"{name} at batch {batch}")
            continue
        kept["speed"].append(measure(name, replace(config, batch=batch), on_device, asked.block))
        keep()
        print(speed_row(kept["speed"][-1]), flush=True)
    for name in SCANNED:
        if name not in settings or name in kept["folds"]:
            continue
        if time.monotonic() + FOLDS_S > until:
            late.append(f"folds in {name}")
            continue
        kept["folds"][name] = measure_folds(config.model, config.batch, on_device.images.device, name == "bf16")
        keep()
    return late


def _train(
    asked: argparse.Namespace,
    config: TrainConfig,
    pairs: PairSet,
    held_out: PairSet,
    until: float,
    kept: Kept,
    keep: Callable[[], None],
) -> list[str]:
    """Train the model, or each of the table, until the time is up; names of those that are not at their end."""
    setting = SETTINGS[asked.train]
    models = list(TABLE3) if asked.table else [asked.model]
    runs = [asked.state / f"{name}-{asked.train}-{asked.batch}" for name in models]
    for name, run in zip(models, runs, strict=True):
        before = kept["training"].get(run.name, {"finished": False, "seconds": 0.0})
        if before["finished"] or time.monotonic() + min(LEAST_S, 30 * asked.minutes) > until:
            continue
        model = replace(config, model=train_config(asked.preset, name).model, **setting.options)
        try:
            told = train_slice(run, model, pairs, held_out, until, setting.tf32, pick_device(asked.device))
        except torch.OutOfMemoryError:
            told = before | {"error": f"batch {config.batch} does not fit the memory; give a smaller --batch"}
        kept["training"][run.name] = told | {"seconds": before["seconds"] + told.get("seconds", 0.0)}
        keep()
    if asked.table:
        leave_sheets(runs, asked.out / "sheets.png")
    elif runs[0].exists():
        leave_files(runs[0], asked.out)
    return [run.name for run in runs if not kept["training"].get(run.name, {}).get("finished")]


def _split(names: str) -> Sequence[str]:
    return [] if names == "none" else names.split(",")
