"""`lrt calibrate`."""

from pathlib import Path
from typing import Any

import click

from .group import CLIP_FOLDERS, FILE, FOLDER, Result, command


@command(
    "calibrate",
    "lrt calibrate clips/kitchen-01 clips/kitchen-02 --out calibration.json\n"
    "lrt calibrate --check calibration.json clips/kitchen-09",
)
@CLIP_FOLDERS
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where to write it; a picture and a page go beside it. With --check: the page, *.html.  "
    "[default: calibration.json; with --check nothing]",
)
@click.option("--check", type=FILE, metavar="FILE", help="Fit nothing: does this calibration still hold on the clips?")
@click.option(
    "--masks",
    default="maskrcnn",
    show_default=True,
    metavar="maskrcnn|small|selfie|DIR",
    help="Who finds the person: torchvision's Mask R-CNN (its weights are downloaded once), the small one that ships "
    "with lrt (trained on the twin), MediaPipe's selfie segmenter, or a folder of mask pictures.",
)
@click.option("--weights", type=FILE, help="Weights for the Mask R-CNN, instead of its download; or the selfie model.")
@click.option(
    "--fast-masks/--slow-masks",
    default=True,
    help="On a CPU, look at small pictures; or as torchvision does, 7 times slower.",
)
@click.option(
    "--keep-masks/--no-keep-masks", default=True, help="Keep masks in the user's cache folder: a second fit is quick."
)
@click.option(
    "--frames", type=click.IntRange(min=1), default=200, show_default=True, help="How many to find the person in."
)
@click.option(
    "--objective",
    type=click.Choice(["forward", "authors", "iou"]),
    default="forward",
    show_default=True,
    help="What the fit maximises: how much of the heat the masks explain; or, to compare with, the agreement of "
    "thresholded heat and mask that the paper's authors used, or the overlap of two soft regions.",
)
@click.option("--baseline-cm", type=float, help="Lens to lens, for the page's distance table.  [default: 1.9]")
@click.option("--distance-m", type=float, help="How far off people stood, for the same table.  [default: 2.0]")
@click.option(
    "--export-frames",
    type=FOLDER,
    help="Write the chosen frames there as 000000.png, 000001.png, ... and stop: to draw masks of the same names "
    "elsewhere, then --masks DIR.",
)
def calibrate(
    clip: tuple[Path, ...],
    out: Path | None,
    check: Path | None,
    export_frames: Path | None,
    frames: int,
    objective: str,
    **source: Any,
) -> Result:
    """Fit the shift and the scale that lay the heatmap over the picture, or check an old fit.

    PASS, or WARN and the one thing to do; the page beside the calibration shows why. With --check: HOLDS (exit code
    0), MOVED or UNSURE (1).
    """
    from .. import calibrating
    from ..progress import progress_bar

    if export_frames is not None:
        result = calibrating.export_frames(clip, export_frames, frames)
        return result, f"{result['frames']} frames in {result['out']}; draw masks, then --masks DIR"
    with progress_bar("finding people", "frames") as update:
        if check is not None:
            if objective != "forward":
                raise click.UsageError("--check always asks how much heat is explained; leave --objective out")
            result = calibrating.check_calibration(check, clip, out, frames=frames, on_progress=update, **source)
            return result, _say_check(result), 0 if result["verdict"] == "HOLDS" else 1
        out = out or Path("calibration.json")
        result = calibrating.calibrate(clip, out, frames=frames, objective=objective, on_progress=update, **source)
    fitted = ", ".join(
        f"{label} {result[name]:.1f} {unit} ({_spread(result[f'{name}_sd'])})"
        for label, name, unit in (
            ("tx", "tx", "px"),
            ("ty", "ty", "px"),
            ("one thermal pixel", "s", "px"),
            ("offset", "offset_ms", "ms"),
        )
    )
    advice = "".join(f"\n{line}" for line in (result["advice"], *result["notes"]) if line)
    return result, (
        f"{result['verdict']}  {fitted}, overlap {result['overlap']:.2f}{advice}\n"
        f"{result['calibration']}\n{result['picture']}\n{result['page']}"
    )


def _say_check(result: dict[str, Any]) -> str:
    """The verdict, what it rests on, and what else must be known."""
    moved = ", ".join(
        f"{name.removesuffix('_ms')} {by:+.1f} {'ms' if name == 'offset_ms' else 'px'} ({result['sds'][name]:.1f} sd)"
        for name, by in result["moved"].items()
    )
    lines = [
        f"{result['verdict']}  {result['advice']}",
        f"moved: {moved}",
        f"heat explained at its pose {result['r2']:.2f} (best {result['best_r2']:.2f}), "
        f"overlap {result['overlap']:.2f} (best {result['best_overlap']:.2f})",
        *result["notes"],
    ]
    return "\n".join([*lines, result["page"]] if result["page"] else lines)


def _spread(sd: float | None) -> str:
    """One standard deviation, or that it is not known: the recording was too short to tell."""
    return "+- unknown" if sd is None else f"+- {sd:.1f}"
