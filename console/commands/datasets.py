"""`lrt build-dataset` and `lrt dataset`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from .group import CLIP_FOLDERS, FILE, FOLDER, Result, command, lrt

SHOWN = 8  # of a longer list


@command(
    "build-dataset",
    "lrt build-dataset clips/* --calibration calibration.json --out datasets/kitchen\n"
    "lrt build-dataset clips/* --calibration calibration.json --out datasets/public --scope publish --split-by subject",
)
@CLIP_FOLDERS
@click.option("--calibration", type=FILE, required=True, help="From `lrt calibrate`.")
@click.option("--out", type=FOLDER, required=True, help="Folder of the dataset; must not exist.")
@click.option("--replace", is_flag=True, help="Take the place of a dataset there; shards that stay the same are kept.")
@click.option(
    "--size", default="8x5", show_default=True, metavar="COLSxROWS", help="Heatmap cells; the picture is 8 times that."
)
@click.option("--max-gap-ms", default=50.0, show_default=True, help="Furthest that heat and picture may be apart.")
@click.option("--test", "test_clips", multiple=True, metavar="ID", help="Clip held out for the test split; repeatable.")
@click.option("--test-fraction", default=0.1, show_default=True, help="Share of clips held out when none is named.")
@click.option(
    "--split-by", default="clip", show_default=True, metavar="clip|subject", help="What is never in both splits."
)
@click.option(
    "--scope",
    default="internal",
    show_default=True,
    metavar="internal|share|publish",
    help="What it is for: clips whose consent does not go so far are left out; publish strips names, serials, times.",
)
@click.option("--allow", multiple=True, metavar="RULE", help="Take clips that fail this rule of `lrt clips verify`.")
@click.option("--jobs", default=1, show_default=True, help="Processes to build with; -1: one a core.")
@click.option("--dask", metavar="ADDRESS", help="Build on the workers of this Dask scheduler: tcp://HOST:8786.")
def build_dataset(clip: tuple[Path, ...], calibration: Path, out: Path, **options: Any) -> Result:
    """Cut, pair and tag clips into a dataset: Parquet and a card, split by clip.

    Every heatmap and clip that is left out is counted, with the reason. A build that was killed goes on where it was
    when the same command runs again.
    """
    from .. import datasets
    from ..progress import progress_bar

    with progress_bar("building", "clips") as update:
        result = datasets.build_dataset(clip, calibration, out, on_progress=update, **options)
    return result, "\n".join(_say_build(result))


def _say_build(result: dict[str, Any]) -> Iterator[str]:
    """What is in a dataset, how far heat and picture are apart, and what was left out."""
    from ...dataset.card import draw_histogram

    splits = ", ".join(f"{count} {name}" for name, count in result["splits"].items())
    kept = f", {result['kept']} taken over as they were" if result["kept"] else ""
    yield f"{result['dataset']}: {result['pairs']} pairs of {result['clips']} clips ({splits}){kept}"
    p50_ms, p95_ms = result["pair_error_ms_p50"], result["pair_error_ms_p95"]
    yield f"from heatmap to picture (median {p50_ms:.1f} ms, 95 % below {p95_ms:.1f} ms):"
    yield from draw_histogram(result["pair_error_edges_ms"], result["pair_error_counts"])
    for reason, count in result["left_out"].items():
        if count:
            yield f"left out: {count} heatmaps ({reason})"
    for clip_id, (reason, says) in result["clips_left_out"].items():
        yield f"left out whole: {clip_id} ({reason}{f': {says}' if says else ''})"
    for rule, clip_ids in result["doubts"].items():
        more = f" and {len(clip_ids) - SHOWN} more" if len(clip_ids) > SHOWN else ""
        yield f"in doubt: {', '.join(clip_ids[:SHOWN])}{more} ({rule}; `lrt clips verify` says more)"


@lrt.group("dataset")
def dataset_group() -> None:
    """Look at a dataset, bring one in, hand one out."""


@command("show", "lrt dataset show datasets/kitchen --out kitchen.html", dataset_group)
@click.argument("dataset", type=FOLDER)
@click.option("--out", type=FILE, required=True, help="The page, *.html; must not exist.")
def dataset_show(dataset: Path, out: Path) -> Result:
    """Make a page of a dataset: pairs of each clip, the worst pairs, how all is spread, what was left out.

    One file that needs no network: open it in a browser, on a phone too.
    """
    from .. import datasets
    from ..progress import progress_bar

    with progress_bar("reading", "clips") as update:
        result = datasets.show_dataset(dataset, out, on_progress=update)
    doubted = f"\nlook twice at {', '.join(result['doubted'])}" if result["doubted"] else ""
    return result, (
        f"{result['page']}: {result['pairs']} pairs, {result['shown']} of {result['clips']} clips shown, "
        f"{result['bytes'] / 1e6:.1f} MB{doubted}"
    )


@command(
    "import", "lrt dataset import LRT-Human --layout lrt-human --tags tags.csv --out datasets/lrt-human", dataset_group
)
@click.argument("folder", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="Folder of the dataset; must not exist.")
@click.option("--layout", required=True, metavar="lrt-human|pair-lrt-human", help="Heat of 8x5, or of 16x12.")
@click.option(
    "--tags",
    type=FILE,
    help="CSV of what is known of the clips: clip, and any of split, clothing, lighting, occupants, room, subject, "
    "tags, synthetic.  [default: FOLDER/tags.csv, if it is there]",
)
@click.option("--heat", default="", metavar="NAME", help="Folder or array of the heat, such as thermal_noise05.")
@click.option(
    "--range-c", type=(float, float), metavar="LOW HIGH", help="What heat's ends stand for.  [default: 19 30]"
)
@click.option("--rate-hz", default=10.0, show_default=True, help="Frames a second: the files have no times.")
@click.option("--scope", default="", metavar="SCOPE", help="What the people agreed to: internal, share, publish.")
@click.option("--test", "test_clips", multiple=True, metavar="ID", help="Clip held out for the test split; repeatable.")
@click.option("--test-fraction", default=0.1, show_default=True, help="Share held out where none is named.")
@click.option("--split-by", default="clip", show_default=True, metavar="clip|subject", help="What stays together.")
@click.option(
    "--clips", type=FOLDER, default=Path("clips"), show_default=True, help="Whose ledger and vocabulary hold."
)
def dataset_import(folder: Path, out: Path, **options: Any) -> Result:
    """Make a dataset of LRT-Human or PAIR-LRT-Human: folders of PNG, or shuffled .npy files."""
    from .. import exchange
    from ..progress import progress_bar

    with progress_bar("importing", "clips") as update:
        result = exchange.import_dataset(folder, out, on_progress=update, **options)
    splits = ", ".join(f"{count} {name}" for name, count in result["splits"].items())
    return result, "\n".join(
        [
            f"{result['dataset']}: {result['pairs']} pairs of {result['clips']} clips ({splits}), "
            f"scope {result['scope']}",
            *result["notes"],
        ]
    )


@command("export", "lrt dataset export datasets/kitchen --format lerobot --out kitchen-lerobot", dataset_group)
@click.argument("dataset", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="Folder to make; must not exist.")
@click.option(
    "--format",
    required=True,
    metavar="authors|lerobot|webdataset",
    help="authors: as LRT-Human, PNG and .npy; lerobot: LeRobotDataset v3.0; webdataset: tar files.",
)
def dataset_export(dataset: Path, out: Path, **options: Any) -> Result:
    """Write a dataset as other programs read it.

    People's pictures leave only where the dataset's scope is share or publish.
    """
    from .. import exchange
    from ..progress import progress_bar

    with progress_bar("exporting", "clips") as update:
        result = exchange.export_dataset(dataset, out, on_progress=update, **options)
    written = result["written"]
    if result["format"] == "authors":
        what = f"heat in steps of {written['step_c']:.3f} degC, {100 * written['clipped']:.2f} % of it clipped"
    else:
        unit = "episodes" if result["format"] == "lerobot" else "tar files"
        what = ", ".join(f"{count} {split} {unit}" for split, count in written.items())
    twin = " (made by the twin: not data about people)" if result["synthetic"] else ""
    return result, f"{result['out']}: {result['pairs']} pairs of {result['clips']} clips, {what}{twin}"
