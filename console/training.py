"""Training, as a command calls it: what is trained on, with which settings, or what it would take."""

import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..dataset.splits import DEFAULT_NAME, choose_sides
from .results import Result, Update, needs_torch, plain, silent

if TYPE_CHECKING:
    from ..dataset.loading import PairSet
    from ..model.config import TrainConfig


def say_duration(seconds: float) -> str:
    """A time to wait, as one says it: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def train(
    dataset: Path,
    out: Path,
    model: str | None = None,
    preset: str | None = None,
    resume: bool = False,
    device: str = "auto",
    config_file: Path | None = None,
    settings: Sequence[str] = (),
    named: str = DEFAULT_NAME,
    stop: threading.Event | None = None,
    on_progress: Update = silent,
    **overrides: int | None,
) -> Result:
    """Train on a dataset's training split, or go on with it; its test split, if there is one, chooses the best step.

    Of several processes that torchrun started, the first gives the result; the others end here (SystemExit).

    Args:
        config_file, settings, overrides: see `_choose_training`.
        named: a way of splitting that holds out all of one kind, like `leave-red-out`.

    Raises:
        DatasetError, ConfigError, RunError, RankError, TrainError: see `model.train.train`.
    """
    needs_torch()
    from ..calibration.geometry import read_calibration
    from ..model.ranks import join_ranks
    from ..model.train import Progress
    from ..model.train import train as train_run

    def tell(at: Progress) -> None:
        losses = "  ".join(f"{name} {value:.3f}" for name, value in at.metrics.items())
        on_progress(at.step, at.steps, f"{at.phase}, {say_duration(at.seconds_left)} left in all  {losses}")

    with join_ranks(device) as ranks:
        pairs, held_out, config = _choose_training(dataset, named, model, preset, config_file, settings, overrides)
        done = train_run(
            pairs,
            out,
            config,
            resume,
            held_out=held_out,
            calibration=read_calibration(dataset / "calibration.json").to_json(),
            named=named,
            on_progress=tell,
            stop=stop,
            device=device,
            ranks=ranks,
        )
    if ranks.rank > 0:
        raise SystemExit(0)
    return plain({**asdict(done), "preset": config.preset, "model": config.model.name, "synthetic": pairs.synthetic})


def plan_training(
    dataset: Path,
    model: str | None = None,
    preset: str | None = None,
    device: str = "auto",
    config_file: Path | None = None,
    settings: Sequence[str] = (),
    named: str = DEFAULT_NAME,
    **overrides: int | None,
) -> Result:
    """What `train` would do with the same arguments, by a few steps that are thrown away.

    Raises:
        DatasetError, ConfigError, DeviceError, TrainError: see `model.train.train`.
    """
    needs_torch()
    from ..model.plan import plan_training as plan

    pairs, held_out, config = _choose_training(dataset, named, model, preset, config_file, settings, overrides)
    planned = plan(pairs, config, held_out, device)
    return plain({**asdict(planned), "preset": config.preset, "model": config.model.name, "synthetic": pairs.synthetic})


def print_config(
    dataset: Path | None,
    model: str | None = None,
    preset: str | None = None,
    config_file: Path | None = None,
    settings: Sequence[str] = (),
    **overrides: int | None,
) -> tuple[Result, str]:
    """Every setting of a training, as values and as the TOML that `--config` reads.

    Args:
        dataset: gives the heatmaps' size; without it, the size is the paper's in the values and left out of the TOML.
    """
    from ..dataset.info import read_info
    from ..model.settings import choose_config, write_settings

    shape = (5, 8) if dataset is None else read_info(dataset).heatmap_shape
    chosen = merge_settings(config_file, settings, overrides)
    config = choose_config(chosen, preset, model, shape)
    return plain(config.to_json()), write_settings(config, dataset is not None or "model.heatmap_shape" in chosen)


def _choose_training(
    dataset: Path,
    named: str,
    model: str | None,
    preset: str | None,
    config_file: Path | None,
    settings: Sequence[str],
    overrides: dict[str, int | None],
) -> "tuple[PairSet, PairSet | None, TrainConfig]":
    """The training pairs, the held-out ones if there are any, and the config.

    What a way of splitting leaves unseen chooses nothing: the held-out pairs are of the test split.

    Args:
        named: the way of splitting.
        config_file: a TOML file of settings, in place of the preset's.
        settings: `name=value` each: they go before the file and the overrides.
        overrides: `seed`, `batch`, `gan_steps`, `inversion_steps`, in place of the file's; None leaves it.
    """
    from ..dataset.info import read_info
    from ..dataset.loading import load_clips
    from ..model.settings import choose_config

    sides = choose_sides(read_info(dataset).named_splits, named)
    pairs = load_clips(dataset, sides.trained)
    held_out = load_clips(dataset, sides.seen) if sides.seen else None
    rows, columns = pairs.heatmaps.shape[1:]
    config = choose_config(merge_settings(config_file, settings, overrides), preset, model, (rows, columns))
    return pairs, held_out, config


def merge_settings(
    config_file: Path | None, settings: Sequence[str], overrides: dict[str, int | None]
) -> dict[str, Any]:
    """The settings that were given, flat, the later of file, overrides and `settings` going before."""
    from ..model.settings import parse_settings, read_settings

    file = {} if config_file is None else read_settings(config_file)
    return file | {name: value for name, value in overrides.items() if value is not None} | parse_settings(settings)


def count_models() -> dict[str, int]:
    """Trainable parameters of every network at the paper's sizes."""
    needs_torch()
    from ..model.networks import model_table

    return model_table()
