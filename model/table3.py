"""Table 3 of the paper on anybody's data: several generators at an equal budget, several seeds of each.

Every run is an ordinary run folder, `<out>/runs/<model>-seed<k>`, trained by `train`; one that is there already is
resumed, or taken as it is. They are gone through seed by seed, so that a table cut short is a fair one.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ..dataset.loading import PairSet
from .config import ConfigError, TrainConfig
from .record import RunRecord
from .run import Run, RunError
from .train import Progress, TrainError, check_pairs, train
from .yardstick import WEIGHTS, Figures, Yardstick

Tell = Callable[[int, int, str], None]
"""(steps behind us, steps in all, what is going on)."""


@dataclass(frozen=True)
class TableRun:
    """One training of the table.

    Attributes:
        path: its run folder.
        config: how it is trained; its model and its seed are what tells it from the others.
        state: `unfinished`: stopped, or never begun.
        why: of a run that diverged, a line.
        figures: split -> what `Yardstick.measure` gave; empty unless measured.
    """

    path: Path
    config: TrainConfig
    state: Literal["unfinished", "diverged", "measured"] = "unfinished"
    why: str = ""
    figures: Mapping[str, Figures] = field(default_factory=dict)


@dataclass(frozen=True)
class TableData:
    """What all runs of a table share.

    Attributes:
        pairs: that they are trained on.
        held_out: the test split, if there is one; chooses the best step, as in any training.
        calibration, named: kept in each run's config.json.
        yardsticks: split -> what measures on it.
    """

    pairs: PairSet
    held_out: PairSet | None
    calibration: dict[str, Any] | None
    named: str
    yardsticks: Mapping[str, Yardstick]


def plan_table(out: Path, configs: Sequence[TrainConfig], seeds: int) -> list[TableRun]:
    """The runs of a table in their order, none of them looked at yet.

    Args:
        out: the table's folder.
        configs: one for each model.
        seeds: trainings of each, with the seeds 0, 1, ...

    Raises:
        ConfigError: no model, one that is there twice, no seed, or configs that differ in more than the model.
    """
    names = [config.model.name for config in configs]
    if not names or seeds < 1:
        raise ConfigError("a table needs a model and a seed; give --models and --seeds 1 or more")
    if len(set(names)) < len(names):
        raise ConfigError(f"a model is named twice among {', '.join(names)}; name each once")
    first = configs[0]
    if any(replace(config, model=first.model) != first for config in configs):
        raise ConfigError("the models would not be trained alike; a table compares them at an equal budget")
    return [
        TableRun(out / "runs" / f"{config.model.name}-seed{seed}", replace(config, seed=seed))
        for seed in range(seeds)
        for config in configs
    ]


def fill_table(
    table: list[TableRun],
    data: TableData,
    *,
    training: bool = True,
    stop: threading.Event | None = None,
    device: str = "auto",
    on_progress: Tell | None = None,
) -> Iterator[list[TableRun]]:
    """Train and measure what is not yet; the table, whenever there is something new in it, and whole at the end.

    A run that diverges is a line of the table that says so. `stop` ends it in order, and the next call goes on there.

    Args:
        training: False: measure the runs that are finished, and train none.
        device: as `train` takes it.
        on_progress: called after every step, and for every part of a measurement.

    Raises:
        RunError: a run folder of other settings or another dataset than asked for, or one that cannot be written.
        ConfigError, TrainError: too few pairs, or pairs that cannot be trained on.
        DeviceError, FeatureError: see `train` and `Yardstick`.
    """
    for run in table:
        check_pairs(data.pairs, run.config)
    table = list(table)
    stop = stop or threading.Event()
    gan, inversion = max(run.config.steps(len(data.pairs)) for run in table)  # a regression has no second phase
    is_told = False

    for number, run in enumerate(table):

        def tell(steps: int, note: str, number: int = number, run: TableRun = run) -> None:
            if on_progress is not None:
                behind = number * (gan + inversion) + steps
                on_progress(behind, len(table) * (gan + inversion), f"{run.path.name}, {note}")

        def follow(at: Progress, tell: Callable[[int, str], None] = tell) -> None:
            tell(at.step + (gan if at.phase == "inversion" else 0), at.phase)

        def measured(done: int, parts: int, tell: Callable[[int, str], None] = tell) -> None:
            tell(gan + inversion, f"measured {done} of {parts}")

        try:
            finished = _is_finished(run, data) or (
                training and not stop.is_set() and _train(run, data, follow, stop, device)
            )
        except TrainError as error:
            table[number] = replace(run, state="diverged", why=str(error))
            is_told = False
            continue
        if not finished:
            continue
        figures = {split: yardstick.find(run.path) for split, yardstick in data.yardsticks.items()}
        is_new = None in figures.values()
        if is_new and stop.is_set():
            continue
        figures = {split: yardstick.measure(run.path, measured) for split, yardstick in data.yardsticks.items()}
        table[number] = replace(run, state="measured", figures=figures)
        if is_told := is_new:
            yield table
    if not is_told:
        yield table


def _is_finished(run: TableRun, data: TableData) -> bool:
    """Whether there is a run that is done; RunError where it is of other settings or data."""
    if not (run.path / "config.json").exists() or not all((run.path / name).exists() for name in WEIGHTS):
        return False
    begun = Run.open(run.path).record
    if mismatch := begun.mismatch(RunRecord.of(run.config, data.pairs, data.calibration, data.named)):
        raise RunError(f"{run.path} {mismatch}")
    return True


def _train(
    run: TableRun, data: TableData, follow: Callable[[Progress], None], stop: threading.Event, device: str
) -> bool:
    """Begin or resume a run; whether it came to its end."""
    return train(
        data.pairs,
        run.path,
        run.config,
        resume=(run.path / "config.json").exists(),
        held_out=data.held_out,
        calibration=data.calibration,
        named=data.named,
        on_progress=follow,
        stop=stop,
        device=device,
    ).finished
