"""What a table of generators says in words: on a terminal, as CSV, and in the one sentence that it is made for."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

NAMES = {
    "mae": "MAE",
    "frechet": "Frechet distance",
    "kernel": "Kernel distance",
    "precision": "Precision",
    "recall": "Recall",
    "detail": "Fine detail",
    "warmth_error_c": "Warmth off, degC",
    "clothing_accuracy": "Clothing kept",
    "lighting_accuracy": "Light kept",
}
BASELINES = {
    "spade-sr-64-bn": "batch normalisation in the semantic branch, which the paper leaves out (section 3.2)",
    "regression-64": "regression by L1 without a code, which the paper says blurs (section 3.1)",
}
DIGITS = {"mae": 4, "frechet": 2, "kernel": 4}  # 2 of the others


def name_figure(key: str, result: dict[str, Any]) -> str:
    """What a figure is called; FID and KID only where Inception's features were taken."""
    if result["measuring"]["inception_weights"]:
        return {"frechet": "FID", "kernel": "KID"}.get(key, NAMES[key])
    return NAMES[key]


def show(figure: dict[str, Any], key: str) -> str:
    """`0.0312 [0.0290 .. 0.0334]`."""
    digits = DIGITS.get(key, 2)
    value, low, high = (
        None if figure[part] is None else f"{round(figure[part], digits) + 0.0:.{digits}f}"  # no -0.00
        for part in ("value", "low", "high")
    )
    return f"{value}" if low is None else f"{value} [{low} .. {high}]"


def say_claim(result: dict[str, Any], split: str) -> str:
    """Whether SPADE-SR is at or ahead of SPADE, in one sentence."""
    claim = result["splits"][split]["claim"]
    if claim is None:
        return f"SPADE-SR against SPADE on the {split} clips: not run; it takes a model of each with a seed in common."
    differences = " and ".join(
        f"{name_figure(key, result)} by {show(difference, key)}" for key, difference in claim["differences"].items()
    )
    answer = {
        "yes": "yes",
        "no": "no",
        "divided": "no single answer, ahead in one figure and behind in the other",
        "not told apart": "not told apart",
    }[claim["answer"]]
    return (
        f"SPADE-SR at or ahead of SPADE at equal budget, on the {split} clips: {answer} (SPADE's figure minus "
        f"SPADE-SR's, above 0 where SPADE-SR is ahead: {differences}; {', '.join(claim['self_resampling'])} against "
        f"{', '.join(claim['spade'])})."
    )


def count_order(result: dict[str, Any], split: str) -> Iterator[str]:
    """How many of the paper's pairs came out as published, one line a measure."""
    order = result["splits"][split]["order"]
    for key in dict.fromkeys(line["measure"] for line in order):
        verdicts = Counter(line["verdict"] for line in order if line["measure"] == key)
        counted = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
        pairs = "1 pair" if verdicts.total() == 1 else f"{verdicts.total()} pairs"
        yield f"{name_figure(key, result)}, {pairs} that the paper orders: {counted}"


def say_baselines(result: dict[str, Any], split: str) -> Iterator[str]:
    """What each baseline costs or gains against the standard model, one line each."""
    for name, differences in result["splits"][split]["baselines"].items():
        shown = ", ".join(
            f"{name_figure(key, result)} {'+' if difference['value'] >= 0 else ''}{show(difference, key)}"
            for key, difference in differences.items()
            if key in ("frechet", "mae", "detail")
        )
        yield f"{name} ({BASELINES[name]}), less spade-sr-64: {shown}"


def list_gaps(result: dict[str, Any]) -> Iterator[str]:
    """What this table is not, and what of it is missing, a sentence each."""
    training = result["training"]
    if result["synthetic"]:
        yield "A twin made some or all of the data: no figure here is about people."
    if (training["gan_steps"], training["batch"]) != (training["published_gan_steps"], training["published_batch"]):
        yield (
            f"{training['gan_steps']:,} GAN steps of {training['batch']} pairs, where the paper's runs took "
            f"{training['published_gan_steps']:,} of {training['published_batch']}."
        )
    if any(model["parameters"] != model["parameters_at_full_size"] for model in result["models"].values()):
        yield f"Preset {training['preset']}: the networks are smaller than the published ones."
    if not result["measuring"]["inception_weights"]:
        yield "The distances are not FID and KID: they are taken over another network, and compare models here alone."
    if training["seeds"] == 1:
        yield "One seed of each: the intervals are over clips alone, and no two models are told apart."
    for run in result["runs"]:
        if run["state"] == "diverged":
            yield f"{run['run']} diverged and is in no figure: {run['why']}"
    unfinished = [run["run"] for run in result["runs"] if run["state"] == "unfinished"]
    if unfinished:
        yield f"Not there yet, {len(unfinished)} of {len(result['runs'])} runs: {', '.join(unfinished)}."


def table_text(result: dict[str, Any]) -> str:
    """The table for a terminal."""
    return "\n".join(_lines(result))


def _lines(result: dict[str, Any]) -> Iterator[str]:
    for split, found in result["splits"].items():
        yield f"{found['pairs']} pairs of {found['clips']} {split} clips"
        keys = ("frechet", "mae", "recall")
        heads = [name_figure(key, result) for key in keys]
        yield f"  {'':<14}{'parameters':>10}  {heads[0]:<28}{heads[1]:<28}{heads[2]:<22}paper: FID, MAE"
        for name, model in result["models"].items():
            published = model["published"]
            paper = "" if published is None else f"{published['fid']:>11.2f}, {published['mae']:.4f}"
            line = f"  {name:<14}{model['parameters']:>10,}  "
            if name in found["models"]:
                figures = found["models"][name]["figures"]
                cells = [show(figures[key], key) for key in keys]
                line += f"{cells[0]:<28}{cells[1]:<28}{cells[2]:<22}{paper}"
                if found["models"][name]["collapsed"]:
                    line += "  collapsed"
            else:
                line += f"{'no finished run':<78}{paper}"
            yield line
        yield from (f"  {line}" for line in count_order(result, split))
        yield f"  {say_claim(result, split)}"
        yield from (f"  {line}" for line in say_baselines(result, split))
    yield from list_gaps(result)


def csv_table(result: dict[str, Any]) -> str:
    """A row for each split and model: figures and intervals, and the paper's own beside them."""
    rows = []
    for split, found in result["splits"].items():
        for name, of_model in found["models"].items():
            model = result["models"][name]
            published = model["published"] or {"fid": "", "mae": ""}
            row = {
                "split": split,
                "model": name,
                "seeds": len(of_model["seeds"]),
                "parameters": model["parameters"],
                "parameters_at_full_size": model["parameters_at_full_size"],
                "gan_step_s": model["gan_step_s"],
                "collapsed": of_model["collapsed"],
                "paper_fid_on_its_data": published["fid"],
                "paper_mae_on_its_data": published["mae"],
            }
            for key, figure in of_model["figures"].items():
                shown = name_figure(key, result).lower().replace(" ", "_").replace(",", "")
                row |= {shown: figure["value"], f"{shown}_low": figure["low"], f"{shown}_high": figure["high"]}
            rows.append(row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
