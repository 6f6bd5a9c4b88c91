"""Runs put side by side: figures with intervals, the paper's order judged, and whether SPADE-SR is ahead of SPADE."""

from collections.abc import Mapping, Sequence
from typing import Any

from .comparing import Claim, Measure, judge_claim, judge_order
from .config import BASELINES
from .published import STANDARD, TABLE3, is_self_resampling, published_pairs
from .table3 import TableRun
from .yardstick import Figures

LOST = 0.1  # a shirt drawn at less than a tenth of the share that the real pictures have is lost
DISTANCES = ("frechet", "kernel", "precision", "recall")
ORDERED = ("frechet", "mae")  # of these the paper says which model is better; less is
CONTROL = ("warmth_error_c", "clothing_accuracy", "lighting_accuracy")


def tabulate(table: Sequence[TableRun], split: str) -> dict[str, Any]:
    """What the measured runs say on one split, plain values.

    Returns:
        `models`: model -> `seeds`, `figures` as {value, low, high, of_seeds}, `missing_clothing` of each seed's run and
        `collapsed`, both None without labels; `order`: each pair that the paper orders, by the Frechet distance (FID
        where it is one) and by MAE; `claim`: see `_claim`; `baselines`: see `_baselines`. Models without a measured
        run are left out.
    """
    measured = [run for run in table if run.state == "measured"]
    names = list(dict.fromkeys(run.config.model.name for run in measured))
    of_model = {
        name: {run.config.seed: run.figures[split] for run in measured if run.config.model.name == name}
        for name in names
    }
    measures = {name: _measures(figures) for name, figures in of_model.items()}
    return {
        "models": {
            name: {
                "seeds": list(figures),
                "figures": {
                    key: {**vars(measure.interval()), "of_seeds": list(measure.of_seeds.values())}
                    for key, measure in measures[name].items()
                },
                **_wardrobe(list(figures.values())),
            }
            for name, figures in of_model.items()
        },
        "order": _order(measures),
        "claim": _claim(measures),
        "baselines": _baselines(measures),
    }


def _measures(figures: Mapping[int, Figures]) -> dict[str, Measure]:
    """The figures of one model's seeds, by name."""
    first = next(iter(figures.values()))
    found = {
        "mae": Measure(
            {seed: one["mae"] for seed, one in figures.items()},
            {seed: tuple(one["per_clip"].values()) for seed, one in figures.items()},
        )
    }
    inception = "fid" in first["distances"]
    for name in DISTANCES:
        key = {"frechet": "fid", "kernel": "kid"}.get(name, name) if inception else name
        key = key if key in first["distances"] else f"{key}_distance"
        estimates = {seed: one["distances"][key] for seed, one in figures.items()}
        found[name] = Measure(
            {seed: estimate["value"] for seed, estimate in estimates.items()},
            {seed: tuple(estimate["of_groups"]) for seed, estimate in estimates.items()},
            left_out=True,
        )
    found["detail"] = _of_seeds({seed: one["detail"] for seed, one in figures.items()})
    for name in CONTROL:
        if all(one["control"] and one["control"][name] for one in figures.values()):
            found[name] = _of_seeds({seed: one["control"][name]["value"] for seed, one in figures.items()})
    return found


def _of_seeds(values: dict[int, float]) -> Measure:
    """A figure of which clips say nothing by themselves."""
    return Measure(values, dict.fromkeys(values, ()))


def _wardrobe(figures: Sequence[Figures]) -> dict[str, Any]:
    """Shirts that a model never learned to draw: the collapse that the paper saw in SPADE-64.

    A run collapsed when a label is drawn at less than LOST of its share among real pictures; a model, when any did.
    """
    if not figures[0]["clothing"]:
        return {"missing_clothing": None, "collapsed": None}
    missing = [
        [label for label, share in one["clothing"].items() if share["drawn"] < LOST * share["real"]] for one in figures
    ]
    return {"missing_clothing": missing, "collapsed": any(missing)}


def _order(measures: Mapping[str, Mapping[str, Measure]]) -> list[dict[str, Any]]:
    """A line for each pair that the paper orders and each measure that it orders them by."""
    lines = []
    for name in ORDERED:
        for better, worse in published_pairs(list(measures)):
            judged = judge_order(measures[better][name], measures[worse][name])
            if judged is not None:
                difference, verdict = judged
                lines.append(
                    {
                        "measure": name,
                        "better": better,
                        "worse": worse,
                        "difference": vars(difference),
                        "verdict": verdict,
                    }
                )
    return lines


def _claim(measures: Mapping[str, Mapping[str, Measure]]) -> dict[str, Any] | None:
    """SPADE-SR against SPADE, the mean of the models of like semantic width, else of all; None without one of each.

    Returns:
        `self_resampling` and `spade`: the models compared; `differences`: measure -> SPADE's figure minus SPADE-SR's;
        `answer`: whether SPADE-SR is ahead.
    """
    known = [name for name in measures if name in TABLE3]
    learned = {name.removeprefix("spade-sr-"): name for name in known if is_self_resampling(name)}
    resized = {name.removeprefix("spade-"): name for name in known if not is_self_resampling(name)}
    widths = [width for width in learned if width in resized]
    ours = [learned[width] for width in widths] or list(learned.values())
    theirs = [resized[width] for width in widths] or list(resized.values())
    if not ours or not theirs:
        return None
    differences = {}
    for name in ORDERED:
        difference = Measure.mean([measures[model][name] for model in theirs]) - Measure.mean(
            [measures[model][name] for model in ours]
        )
        if not difference.of_seeds:
            return None
        differences[name] = difference.interval()
    answer: Claim = judge_claim(list(differences.values()))
    return {
        "self_resampling": ours,
        "spade": theirs,
        "differences": {name: vars(difference) for name, difference in differences.items()},
        "answer": answer,
    }


def _baselines(measures: Mapping[str, Mapping[str, Measure]]) -> dict[str, dict[str, Any]]:
    """Baseline -> measure -> its figure minus the standard model's, over the seeds that both have; an interval each."""
    found: dict[str, dict[str, Any]] = {}
    for model in BASELINES:
        if model not in measures or STANDARD not in measures:
            continue
        ours, theirs = measures[STANDARD], measures[model]
        differences = {name: theirs[name] - ours[name] for name in theirs if name in ours}
        found[model] = {
            name: vars(difference.interval()) for name, difference in differences.items() if difference.of_seeds
        }
    return {model: differences for model, differences in found.items() if differences}
