"""The page of a table: figures beside the paper's, the order judged, curves, and what every model draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import write_whole
from .page import Picture, draw_curves, render
from .table3_text import BASELINES, NAMES, count_order, list_gaps, name_figure, say_claim, show

if TYPE_CHECKING:
    from ..model.table3 import TableData, TableRun

CURVES = {
    "d_adversarial": "D: real against drawn",
    "g_heatmap": "G: the heat that D reads off what it drew",
    "g_reconstruction": "Regression: reconstruction of training pairs, scale [-1, 1]",
    "i_reconstruction": "I: reconstruction of training pairs, scale [-1, 1]",
    "held_out_reconstruction": "I: reconstruction of held-out pairs, scale [-1, 1]",
}
SHEETS = {
    "redrawn": "From each heatmap and the code of a picture of the same clip; below, what the camera saw.",
    "swapped": "The same heatmaps with the code of a picture of another clip: clothing and light should be the "
    "source's, position and pose the heatmap's.",
    "codes": "One heatmap and ten codes of nobody in particular, the same for every model. A shirt that never comes is "
    "lost.",
}


@dataclass(frozen=True)
class Whisker:
    """A figure and its interval as a mark on a scale; places are percent of its width.

    Attributes:
        name: of the model.
        shown: the figure in words.
        at, low, high: places; low is high where there is no interval.
    """

    name: str
    shown: str
    at: float
    low: float
    high: float


def write_table_page(
    out: Path, result: dict[str, Any], table: "Sequence[TableRun]", data: "TableData", device: str
) -> None:
    """Write table3.html, and its pictures into `<out>/pictures`.

    Args:
        result: as table3.json has it.
    """
    split = next(iter(result["splits"]))
    folder = out / "pictures"
    folder.mkdir(exist_ok=True)
    page = render(
        "table3.html.jinja",
        title=f"Table 3 on {Path(result['data']['dataset']).name or 'a dataset'}",
        subtitle=_subtitle(result),
        figures=_tiles(result, split),
        synthetic=result["synthetic"],
        hero=None,
        result=result,
        claims=[say_claim(result, each) for each in result["splits"]],
        gaps=list(list_gaps(result)),
        orders={each: list(count_order(result, each)) for each in result["splits"]},
        whiskers={each: _whiskers(result, each) for each in result["splits"]},
        columns=_columns(result, split),
        baselines=BASELINES,
        name_figure=lambda key: name_figure(key, result),
        show=show,
        curves=_draw_curves(folder, table),
        sheets=_draw_sheets(folder, table, data, split, device),
        sheets_of=split,
    )
    write_whole(out / "table3.html", page.encode())


def _subtitle(result: dict[str, Any]) -> str:
    training, data = result["training"], result["data"]
    named = "" if data["named"] == "default" else f", split {data['named']}"
    return (
        f"Preset {training['preset']}: {training['gan_steps']:,} GAN steps and {training['inversion_steps']:,} of the "
        f"inversion encoder, batches of {training['batch']}, {training['seeds']} "
        f"seed{'s' * (training['seeds'] > 1)} of each model, the same {data['pairs']:,} pairs of "
        f"{data['clips']} clips{named}."
    )


def _tiles(result: dict[str, Any], split: str) -> list[tuple[str, str]]:
    measured = sum(run["state"] == "measured" for run in result["runs"])
    claim = result["splits"][split]["claim"]
    return [
        ("SPADE-SR ahead of SPADE here", "not run" if claim is None else claim["answer"]),
        ("runs measured", f"{measured} of {len(result['runs'])}"),
        ("clips measured on", f"{result['splits'][split]['clips']} {split}"),
        ("GAN steps of each run", f"{result['training']['gan_steps']:,}"),
    ]


def _columns(result: dict[str, Any], split: str) -> list[str]:
    """The figures of the models, in the order that NAMES has."""
    there = {key for model in result["splits"][split]["models"].values() for key in model["figures"]}
    return [key for key in NAMES if key in there]


def _whiskers(result: dict[str, Any], split: str) -> dict[str, list[Whisker]]:
    """Each ordered figure of every measured model on one scale."""
    models = result["splits"][split]["models"]
    found = {}
    for key in ("frechet", "mae"):
        figures = {name: model["figures"][key] for name, model in models.items()}
        ends = [end for one in figures.values() for end in (one["low"], one["high"], one["value"]) if end is not None]
        if not ends:
            continue
        left, width = min(ends), max(max(ends) - min(ends), 1e-12)

        def place(value: float | None, other: float, left: float = left, width: float = width) -> float:
            return round(100 * ((other if value is None else value) - left) / width, 2)

        found[key] = [
            Whisker(
                name,
                show(one, key),
                place(one["value"], 0),
                place(one["low"], one["value"]),
                place(one["high"], one["value"]),
            )
            for name, one in figures.items()
        ]
    return found


def _draw_curves(folder: Path, table: "Sequence[TableRun]") -> list[Picture]:
    """A curve of each model's first run, for each loss that tells something."""
    from ..model.run import Run

    lines = {
        run.config.model.name: Run.open(run.path).metrics()
        for run in table
        if run.config.seed == 0 and (run.path / "config.json").exists()
    }
    drawn = []
    for key, caption in CURVES.items():
        curves = {
            name: [(line["step"], line["metrics"][key]) for line in of_run if key in line["metrics"]]
            for name, of_run in lines.items()
        }
        curves = {name: points for name, points in curves.items() if points}
        if curves:
            path = folder / f"{key}.svg"
            draw_curves(path, curves, "step", "loss")
            drawn.append(Picture(path, f"{caption}; seed 0 of each model."))
    return drawn


def _draw_sheets(
    folder: Path, table: "Sequence[TableRun]", data: "TableData", split: str, device: str
) -> list[Picture]:
    """What the first measured run of each model draws."""
    from ..model.device import pick_device
    from ..model.drawing import Painter
    from ..model.table3_sheets import draw_sheets

    painters: dict[str, Painter] = {}
    for run in table:
        if run.state == "measured" and run.config.model.name not in painters:
            painters[run.config.model.name] = Painter(run.path, pick_device(device))
    if not painters:
        return []
    written = draw_sheets(painters, data.yardsticks[split].pairs, folder)
    return [Picture(written[name], caption) for name, caption in SHEETS.items()]
