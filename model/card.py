"""The run's model card: README.md in the run folder, for who finds the weights without us."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from ..dataset.loading import COLDEST_C, WARMEST_C, PairSet
from ..dataset.splits import DEFAULT_NAME
from .config import ModelConfig, differences
from .layers import count_parameters
from .networks import Networks
from .record import RunRecord

if TYPE_CHECKING:
    from .train import RunSummary

PHASE_NAMES = {"regression": "regression", "gan": "GAN", "inversion": "inversion"}
NETWORK_NAMES = {"generator": "generator", "discriminator": "discriminator", "inversion": "inversion encoder"}
FILES = (
    "- `generator`, `inversion`: the averaged weights at the end; they draw. `discriminator` stays here: it can tell "
    "whose picture was trained on.",
    "- `*-last`: the live weights behind the averages. `inversion-best`: the average with the least held-out error. It "
    "was chosen on the test split, so a figure measured there flatters it; `lrt evaluate` takes the last.",
)
REGRESSION_FILES = (
    "- `generator`: the averaged weights at the end; they draw. `inversion` is empty: there is no code to find.",
    "- `generator-last`: the live weights behind the average.",
)


def notes_on(begun: RunRecord, now: RunRecord, held_out: PairSet | None) -> tuple[str, ...]:
    """What somebody who uses a run should know of how it was made, a sentence each.

    Args:
        begun: the record of the run's first sitting.
        now: the record that this sitting would begin with.
        held_out: the pairs that chose the best step.
    """
    notes = []
    if begun.clips == 1:
        notes.append("all pairs are of one clip: the code z has one clothing and one light to learn")
    if held_out is None:
        notes.append("the dataset has no test split: no best step was chosen")
    if begun.code_sha256 != now.code_sha256 or begun.torch != now.torch:
        notes.append(
            "lrt's code or PyTorch changed since the run began: its curve is not the one that either would give alone"
        )
    return tuple(notes)


def say_use(model: ModelConfig) -> list[str]:
    """What a generator is for, and what it cannot know: lines of Markdown, an empty one last."""
    rows, columns = model.heatmap_shape
    return [
        "## What it is for",
        "Research on what heat alone gives away, and on pictures for people who do not want a camera. Not for "
        "identifying, watching or judging anybody: the picture is a guess that looks like a photograph.",
        "",
        "## What it cannot know",
        f"- Faces, hair and text: a heatmap has {rows * columns} numbers. What looks like detail is invented.",
        "- Clothing and light: "
        + (
            "it takes no code, and blurs all that it saw with the same heat into one picture."
            if model.regression
            else "they come from the code, hence from a source picture, never from the heat."
        ),
        f"- Heat outside {COLDEST_C:g} to {WARMEST_C:g} degC: it is clipped.",
        "- Rooms, sensors, poses and people unlike those of its clips.",
        "",
        "Every picture it draws is synthetic, and those that lrt writes say so in the file.",
        "",
    ]


def say_origin(record: RunRecord) -> str:
    """Whether people are in the data."""
    return (
        "**A twin made some or all of this data: no figure of this run is about people.**"
        if record.synthetic
        else "Recorded by a thermal sensor and a camera. The weights may remember the faces, rooms and clothing in it."
    )


def write_card(
    record: RunRecord,
    summary: "RunSummary",
    steps: Mapping[str, int],
    networks: Networks,
    held_out: PairSet | None,
) -> str:
    """The card as Markdown."""
    config, model = record.config, record.config.model
    rows, columns = model.heatmap_shape
    changed = [
        f"| `{name}` | {theirs} | {ours} |" for name, (theirs, ours) in differences(config).items() if theirs != ours
    ]
    state = "finished" if summary.finished else "not finished: there are no weights to draw with yet"
    took = (summary.gan_steps, summary.inversion_steps)
    done = ", ".join(
        f"{count} of {steps[phase]} {PHASE_NAMES[phase]}" for phase, count in zip(steps, took, strict=False)
    )
    counted = ", ".join(
        f"{NETWORK_NAMES[name]} {count_parameters(network):,}" for name, network in networks.trained.items()
    )
    held = "none" if held_out is None else f"{len(held_out)} pairs of {len(set(held_out.clip.tolist()))} clips"
    best = "" if summary.best_step is None else f", the best of them by held-out error at step {summary.best_step}"
    metrics = [
        f"| {phase} | {name} | {value:.4f} |"
        for phase, means in summary.metrics.items()
        for name, value in means.items()
    ]
    return "\n".join(
        [
            f"# {model.name}, preset {config.preset}",
            "",
            f"Draws pictures of {8 * columns} x {8 * rows} from heatmaps of {columns} x {rows} "
            f"{'alone' if model.regression else 'and a code for clothing and light'}. Training {state}.",
            "",
            *say_use(model),
            "## Data",
            say_origin(record),
            "",
            f"- {record.pairs} pairs of {record.clips} clips, SHA-256 `{record.data_sha256}`",
            f"- held out: {held}",
            *(
                [f"- split: `{record.named}`: what the name says was not trained on"]
                if record.named != DEFAULT_NAME
                else []
            ),
            *(f"- Note: {note}." for note in summary.notes),
            "",
            "## Training",
            f"- steps: {done}{best}; batch {config.batch}, seed {config.seed}",
            f"- parameters: {counted}",
            f"- lrt {record.software}, code SHA-256 `{record.code_sha256}`, PyTorch {record.torch} "
            f"(last sitting {torch.__version__})",
            "",
            *(
                ["Where it departs from the authors' settings:", "", "| field | authors | here |", "|---|---|---|"]
                if changed
                else ["The authors' settings, all of them."]
            ),
            *changed,
            "",
            "## The last logged losses",
            "Means of training batches (the one named held out: of pairs never trained on), on the networks' scale. "
            "They do not say how good the pictures are: `lrt evaluate` does.",
            "",
            "| phase | loss | value |",
            "|---|---|---|",
            *metrics,
            "",
            "## Files",
            *(REGRESSION_FILES if model.regression else FILES),
            "",
        ]
    )
