"""Commands that train and measure: `models`, `train`, `evaluate`, `bench-table3`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..stopping import stop_on_signal
from .group import FILE, FOLDER, Result, command, warn


@command("models", "lrt models --json")
def models() -> Result:
    """Count the parameters of every network."""
    from .. import training

    table = training.count_models()
    return table, "\n".join(f"{name:<20}{count:>12,}" for name, count in table.items())


@command(
    "train",
    "lrt train datasets/kitchen --out runs/kitchen --preset authors\n"
    "lrt train datasets/kitchen --dry-run --set lr_generator=1e-4\n"
    "lrt train --preset smoke --print-config > mine.toml",
)
@click.argument("dataset", type=FOLDER, required=False)
@click.option("--out", type=FOLDER, help="Folder of the run.")
@click.option("--model", help="Generator: see `lrt models`.  [default: spade-sr-64]")
@click.option(
    "--preset",
    metavar="authors|paper|smoke",
    help="authors: the published code; paper: the published text; smoke: minutes on a CPU, to see that all is well.  "
    "[default: authors]",
)
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped or killed.")
@click.option("--config", "config_file", type=FILE, metavar="FILE.toml", help="Settings instead of the preset's.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="One setting, before all others; repeatable."
)
@click.option("--print-config", is_flag=True, help="Print every setting as TOML, and train nothing.")
@click.option("--dry-run", is_flag=True, help="Say what it would take, by a few steps thrown away; write nothing.")
@click.option(
    "--named", default="default", metavar="NAME", help="Hold out all of one kind: leave-red-out, leave-kitchen-out, ..."
)
@click.option("--seed", type=click.IntRange(min=0), help="Of weights, order and noise.  [default: 0]")
@click.option("--batch", type=click.IntRange(min=2), help="Pairs a step, instead of the preset's.")
@click.option("--gan-steps", type=click.IntRange(min=1), help="Length of the GAN phase, instead of the preset's.")
@click.option("--inversion-steps", type=click.IntRange(min=1), help="Length of the inversion phase, likewise.")
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda", help="Where to train.")
def train(
    dataset: Path | None,
    out: Path | None,
    print_config: bool,
    dry_run: bool,
    resume: bool,
    named: str,
    device: str,
    **options: Any,
) -> Result:
    """Train a generator from a dataset: the GAN phase, then the inversion encoder.

    The test split is never trained on; the inversion encoder's error on it chooses the best step.
    """
    from .. import training
    from ..progress import progress_bar

    if print_config:
        return training.print_config(dataset, **options)
    if dataset is None:
        raise click.UsageError("Missing argument 'DATASET'.")
    if dry_run:
        plan = training.plan_training(dataset, named=named, device=device, **options)
        return plan, _say_plan(plan, training.say_duration)
    if out is None:
        raise click.UsageError("Missing option '--out'.")
    with stop_on_signal() as stop, progress_bar("training", "steps") as update:
        result = training.train(
            dataset, out, resume=resume, named=named, device=device, stop=stop, on_progress=update, **options
        )
    for note in result["notes"]:
        warn(note)
    state = "finished" if result["finished"] else "stopped; go on with --resume"
    return result, f"{result['run']}: {result['gan_steps']} + {result['inversion_steps']} steps, {state}"


def _say_plan(plan: dict[str, Any], say_duration: Callable[[float], str]) -> str:
    """What a training would take, for a person."""
    networks = ", ".join(f"{name} {count:,}" for name, count in plan["parameters"].items())
    scaled = "" if plan["timed_batch"] == plan["batch"] else f", scaled up from batches of {plan['timed_batch']}"
    twin = " (made by the twin: not data about people)" if plan["synthetic"] else ""
    return "\n".join(
        [
            f"data        {plan['pairs']} pairs of {plan['clips']} clips, {plan['held_out']} pairs held out{twin}",
            f"model       {plan['model']}, preset {plan['preset']}; parameters: {networks}",
            f"steps       {plan['gan_steps']} + {plan['inversion_steps']}, batch {plan['batch']}, on {plan['device']}",
            f"a step      {plan['gan_step_s']:.3g} s, then {plan['inversion_step_s']:.3g} s{scaled}",
            f"memory      {plan['memory_bytes'] / 1e9:.1f} GB at its peak",
            f"time        {say_duration(plan['seconds'])}, without logs and sample sheets",
            "nothing was written",
        ]
    )


@command("evaluate", "lrt evaluate runs/kitchen --data datasets/kitchen")
@click.argument("run", type=FOLDER)
@click.option("--data", type=FOLDER, required=True, help="The dataset to measure on.")
@click.option(
    "--split", metavar="train|test", help="Which clips; the paper measures on those trained on.  [default: train]"
)
@click.option(
    "--named",
    metavar="NAME",
    help="What a way of splitting leaves unseen, beside what the run saw.  [default: the way it was trained on]",
)
@click.option("--runs", default=10, show_default=True, help="Source images drawn for each clip.")
@click.option(
    "--full",
    is_flag=True,
    help="Also measure what follows heatmap and source, distances to real pictures, silhouettes, and what the run "
    "remembers: minutes more.",
)
@click.option(
    "--pictures", default=1000, show_default=True, help="Of each kind, for the distances; the paper's: 21760."
)
@click.option(
    "--inception-weights",
    type=FILE,
    metavar="FILE|download",
    help="For FID and KID: torch-fidelity's weights of Inception-v3; implies --full. Without, EfficientNet-Lite0's.",
)
@click.option(
    "--masks", default="small", show_default=True, metavar="small|maskrcnn|selfie", help="Who marks people in pictures."
)
@click.option("--mask-weights", type=FILE, metavar="FILE", help="Its weights, as in `lrt calibrate --weights`.")
@click.option("--seed", default=0, show_default=True, help="Of every draw.")
@click.option("--out", type=FOLDER, help="Where to write figures and pictures; RUN/evaluation by default.")
def evaluate(run: Path, data: Path, **options: Any) -> Result:
    """Measure a run as the paper does: reconstruction error, the grid of sources by heatmaps, FID.

    A run that was trained with --named is measured on what it saw and on what it never did, side by side. Figures,
    pictures and a page to look at go into RUN/evaluation.
    """
    from .. import measuring
    from ..evaluation import evaluation_text
    from ..progress import progress_bar

    with progress_bar("evaluating", "parts") as update:
        result = measuring.evaluate(run, data, on_progress=update, **options)
    return result, evaluation_text(result)


@command(
    "bench-table3",
    "lrt bench-table3 datasets/kitchen --out table3 --preset smoke --budget 3000 --seeds 3",
)
@click.argument("dataset", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="Folder of the table and its runs; run again to go on with it.")
@click.option(
    "--budget", type=click.IntRange(min=1), metavar="STEPS", help="GAN steps of every run.  [default: preset's]"
)
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Trainings of each model.")
@click.option("--models", metavar="A,B,...", help="Which, of `lrt models`.  [default: the five of Table 3]")
@click.option(
    "--baselines",
    is_flag=True,
    help="Also what the paper argues from: a branch with batch normalisation, and regression by L1 without a code.",
)
@click.option("--preset", metavar="authors|paper|smoke", help="As of `lrt train`.  [default: authors]")
@click.option("--config", "config_file", type=FILE, metavar="FILE.toml", help="Settings, as of `lrt train`.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="One setting; repeatable.")
@click.option(
    "--named", default="default", metavar="NAME", help="Hold out all of one kind: leave-red-out, leave-kitchen-out, ..."
)
@click.option(
    "--split",
    "splits",
    multiple=True,
    type=click.Choice(("test", "unseen", "train")),
    help="What to measure on; repeatable.  [default: all there are; the paper measured on those trained on]",
)
@click.option("--runs", default=10, show_default=True, help="Source images drawn for each clip.")
@click.option("--pictures", default=1000, show_default=True, help="Of each kind, for the distances.")
@click.option("--full", is_flag=True, help="Also measure what follows heatmap and source.")
@click.option(
    "--inception-weights",
    type=FILE,
    metavar="FILE|download",
    help="For FID and KID; without, distances over EfficientNet-Lite0.",
)
@click.option("--no-training", "training", flag_value=False, default=True, help="Only measure the runs that are done.")
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda", help="Where to compute.")
def bench_table3(dataset: Path, out: Path, **options: Any) -> Result:
    """Train and measure the paper's five generators at an equal budget: Table 3 on your data.

    Every run is a run folder, OUT/runs/MODEL-seedK. What is there already is resumed or taken as it is, so the command
    can be stopped or killed and given again.
    """
    from .. import table3
    from ..progress import progress_bar
    from ..table3_text import table_text

    with stop_on_signal() as stop, progress_bar("table", "steps") as update:
        result = table3.bench_table3(dataset, out, stop=stop, on_progress=update, **options)
    return result, f"{table_text(result)}\nopen {out / 'table3.html'}"
