"""`lrt bench-table3`: the trainings and measures of a table, and the files that it writes beside the runs."""

import functools
import hashlib
import json
import os
import platform
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__, write_whole
from ..dataset.splits import DEFAULT_NAME, choose_sides
from .results import Result, StageError, Update, needs_torch, plain, silent
from .table3_text import csv_table
from .training import merge_settings

if TYPE_CHECKING:
    from ..model.config import TrainConfig
    from ..model.table3 import TableData, TableRun

SPLITS = ("test", "unseen", "train")  # in the order of reading; the first that is there is what the table says
# settings that tell runs apart
MADE_HERE = (
    "seed",
    *(f"model.{name}" for name in ("name", "semantic_width", "self_resampling", "semantic_norm", "regression")),
)


def bench_table3(
    dataset: Path,
    out: Path,
    *,
    budget: int | None = None,
    seeds: int = 3,
    models: str | None = None,
    baselines: bool = False,
    preset: str | None = None,
    config_file: Path | None = None,
    settings: Sequence[str] = (),
    named: str = DEFAULT_NAME,
    splits: Sequence[str] = (),
    training: bool = True,
    device: str = "auto",
    stop: threading.Event | None = None,
    on_progress: Update = silent,
    **measuring: Any,
) -> Result:
    """Train and measure the generators of Table 3 alike, and write the table as far as it is.

    Args:
        out: the table's folder: `runs/`, table3.json, table3.csv, table3.html and its pictures.
        budget: steps of every run's GAN phase; the inversion phase takes the preset's share of it.
        seeds: trainings of each model.
        models: names, with commas between; the paper's five when left out.
        baselines: those too that the paper argues from and prints no figures of.
        preset, config_file, settings: as `lrt train` takes them.
        named: the way of splitting.
        splits: what to measure on, of SPLITS; all that there are when left out.
        training: False: measure the runs that are finished, and train none.
        measuring: `MeasureConfig`'s fields.

    Raises:
        StageError: a split that is not there, a setting that tells the runs apart, a folder that cannot be written.
        DatasetError, ConfigError, RunError, FeatureError, DeviceError, TrainError: see `model.table3.fill_table`.
    """
    needs_torch()
    from ..model.config import BASELINES
    from ..model.published import TABLE3
    from ..model.table3 import fill_table, plan_table

    data = _load(dataset, named, splits, device, measuring)
    names = [*TABLE3] if models is None else [name.strip() for name in models.split(",")]
    if baselines:
        names += [name for name in BASELINES if name not in names]
    table = plan_table(out, _configs(names, preset, config_file, settings, budget, data), seeds)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StageError(f"cannot write into {out}: {error.strerror}; give another --out") from error
    result: Result = {}
    for so_far in fill_table(table, data, training=training, stop=stop, device=device, on_progress=on_progress):
        result = _write(out, dataset, so_far, data, device)
    return result


def _load(dataset: Path, named: str, splits: Sequence[str], device: str, measuring: dict[str, Any]) -> "TableData":
    """The pairs to train on, and a yardstick for each split that is measured."""
    from ..calibration.geometry import read_calibration
    from ..dataset.info import read_info
    from ..dataset.loading import load_clips
    from ..model.device import pick_device
    from ..model.judges import train_judge
    from ..model.table3 import TableData
    from ..model.yardstick import MeasureConfig, Yardstick

    config, place = MeasureConfig(**measuring), pick_device(device)
    sides = choose_sides(read_info(dataset).named_splits, named)
    clips = {"test": sides.seen, "unseen": sides.unseen, "train": sides.trained}
    there = [split for split in SPLITS if clips[split]]
    if missing := [split for split in splits if split not in there]:
        raise StageError(f"{dataset} has no clips for --split {missing[0]}; it has {', '.join(there)}")
    pairs = load_clips(dataset, sides.trained)
    held_out = load_clips(dataset, sides.seen) if sides.seen else None
    of_split = {"train": pairs, "test": held_out}
    judge = functools.cache(lambda: train_judge(pairs, config.seed, place))
    yardsticks = {
        split: Yardstick(of_split.get(split) or load_clips(dataset, clips[split]), pairs, config, place, judge)
        for split in there
        if not splits or split in splits
    }
    return TableData(pairs, held_out, read_calibration(dataset / "calibration.json").to_json(), named, yardsticks)


def _configs(
    names: Sequence[str],
    preset: str | None,
    config_file: Path | None,
    settings: Sequence[str],
    budget: int | None,
    data: "TableData",
) -> "list[TrainConfig]":
    """One config for each model, alike but for the model."""
    from ..model.settings import choose_config

    for name in MADE_HERE:
        if any(setting.partition("=")[0].strip() == name for setting in settings):
            raise StageError(f"--set {name} would make the runs alike, or name one of them; leave it out")
    chosen = {name: value for name, value in merge_settings(config_file, settings, {}).items() if name not in MADE_HERE}
    rows, columns = data.pairs.heatmaps.shape[1:]
    if budget is not None:
        gan, inversion = choose_config(chosen, preset, None, (rows, columns)).steps(len(data.pairs))
        chosen = {"inversion_steps": max(1, round(budget * inversion / gan))} | chosen | {"gan_steps": budget}
    return [choose_config(chosen, preset, name, (rows, columns)) for name in names]


def _write(out: Path, dataset: Path, table: "list[TableRun]", data: "TableData", device: str) -> Result:
    """Write table3.json, table3.csv and the page; the result."""
    from .table3_page import write_table_page

    result = plain(_result(out, dataset, table, data, device))
    write_whole(out / "table3.json", json.dumps(result, indent=1).encode())
    write_whole(out / "table3.csv", csv_table(result).encode())
    write_table_page(out, result, table, data, device)
    return result


def _result(out: Path, dataset: Path, table: "list[TableRun]", data: "TableData", device: str) -> Result:
    """Everything that table3.json holds."""
    from ..model.config import differences
    from ..model.networks import model_table
    from ..model.published import BATCH, STEPS, TABLE3
    from ..model.tabulate import tabulate

    config = table[0].config
    gan, inversion = max(run.config.steps(len(data.pairs)) for run in table)
    measuring = next(iter(data.yardsticks.values())).config
    at_full_size = model_table()
    costs = {run.config.model.name: _cost(out, run, data, device) for run in table if run.config.seed == 0}
    departures = {
        name: {"authors": theirs, "here": ours}
        for name, (theirs, ours) in differences(config).items()
        if name not in MADE_HERE
    }
    return {
        "software": f"lrt {__version__}",
        "synthetic": data.pairs.synthetic,
        "data": {
            "dataset": dataset,
            "named": data.named,
            "pairs": len(data.pairs),
            "clips": len(set(data.pairs.clip.tolist())),
        },
        "training": {
            "preset": config.preset,
            "gan_steps": gan,
            "inversion_steps": inversion,
            "batch": config.batch,
            "seeds": 1 + max(run.config.seed for run in table),
            "departures": departures,
            "published_gan_steps": STEPS,
            "published_batch": BATCH,
        },
        "measuring": {**asdict(measuring), "inception_weights": measuring.inception_weights is not None},
        "features": next(
            (found["distances"]["features"] for run in table for found in run.figures.values()), "none yet"
        ),
        "models": {
            name: {
                "parameters": cost["parameters"],
                "parameters_at_full_size": at_full_size[name],
                "published": asdict(TABLE3[name]) if name in TABLE3 else None,
                "gan_step_s": cost["gan_step_s"],
                "inversion_step_s": cost["inversion_step_s"],
                "timed_on": cost["timed_on"],
            }
            for name, cost in costs.items()
        },
        "runs": [
            {
                "run": run.path.relative_to(out),
                "model": run.config.model.name,
                "seed": run.config.seed,
                "state": run.state,
                "why": run.why,
            }
            for run in table
        ],
        "splits": {
            split: {
                "clips": len(set(yardstick.pairs.clip.tolist())),
                "pairs": len(yardstick.pairs),
                **tabulate(table, split),
            }
            for split, yardstick in data.yardsticks.items()
        },
    }


def _cost(out: Path, run: "TableRun", data: "TableData", device: str) -> dict[str, Any]:
    """Parameters, and seconds of a step on this machine; timed once, and kept in `<out>/costs`."""
    from ..model.plan import plan_training

    where = machine(device)
    asked = json.dumps({**run.config.to_json(), "machine": where}, sort_keys=True)
    path = out / "costs" / f"{run.config.model.name}-{hashlib.sha256(asked.encode()).hexdigest()[:16]}.json"
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        pass
    plan = plan_training(data.pairs, run.config, None, device)
    cost = {
        "parameters": plan.parameters["generator"],
        "gan_step_s": plan.gan_step_s,
        "inversion_step_s": plan.inversion_step_s,
        "timed_on": where,
    }
    path.parent.mkdir(exist_ok=True)
    write_whole(path, json.dumps(cost).encode())
    return cost


def machine(device: str) -> str:
    """What computes here: the GPU's name, or the processor and its cores; and PyTorch's version."""
    import torch

    from ..model.device import pick_device

    place = pick_device(device)
    if place.type == "cuda":
        return f"{torch.cuda.get_device_name(place)}, PyTorch {torch.__version__}"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    named = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{named}, {os.cpu_count()} cores, PyTorch {torch.__version__}"
