"""Commands that draw with a trained run: `synthesise`, `live`, `export`; and `demo`, all of the way."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from ..stopping import stop_on_signal
from .group import FILE, FOLDER, Result, command, warn


@command("synthesise", "lrt synthesise runs/kitchen --heatmaps clips/kitchen-09 --source anna.png --out drawn")
@click.argument("run", metavar="RUN|EXPORT|twin")
@click.option("--heatmaps", type=FOLDER, required=True, help="The clip whose heat to draw from.")
@click.option("--source", required=True, metavar="IMAGE|CLIP", help="A picture that lends clothing and light.")
@click.option("--out", type=FOLDER, required=True, help="Folder for the pictures and the video; must not exist.")
def synthesise(run: str, heatmaps: Path, source: str, out: Path) -> Result:
    """Draw pictures from heat and one source picture."""
    from .. import synthesising
    from ..progress import progress_bar

    with progress_bar("drawing", "pictures") as update:
        result = synthesising.synthesise(run, heatmaps, source, out, on_progress=update)
    return result, f"{result['pictures']} pictures in {result['out']}, video {result['video']}"


@command("live", "lrt live twin --out drawn --seconds 10\nlrt live runs/kitchen --source anna.png --rig rig.toml")
@click.argument("run", metavar="RUN|EXPORT|twin")
@click.option(
    "--source",
    metavar="IMAGE|CLIP",
    help="Who lends clothing and light: a picture, a clip to take one from, or one that comes with lrt (twin).",
)
@click.option(
    "--rig", metavar="twin|FILE.toml", help="Whose sensor; without it, rig.toml, or the twin for the run `twin`."
)
@click.option("--heatmaps", type=FOLDER, metavar="CLIP", help="Heat of a clip, at its own pace, in place of a sensor.")
@click.option("--calibration", type=FILE, help="Of this rig, where it is not the one the run's data came from.")
@click.option(
    "--out", type=FOLDER, help="Folder for the pictures; must not exist.  [default: a window or the terminal]"
)
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="How long; without it, until Ctrl-C.")
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda", help="Where to compute.")
def live(run: str, **options: Any) -> Result:
    """Draw what the thermal sensor sees, as it sees it, with no camera opened.

    RUN is a trained run, what `lrt export` made of one, or `twin`, a small run that comes with lrt. The newest heatmap
    is drawn; those that came meanwhile are let go and counted.
    """
    from .. import live as stage
    from ..progress import progress_bar

    bar = progress_bar("drawing", "s") if options["out"] else nullcontext(stage.silent)  # no bar over the pictures
    with stop_on_signal() as stop, bar as update:
        result = stage.live(run, stop=stop, on_progress=update, say=warn, **options)
    if not result["pictures"]:
        return result, "no heatmap came"
    where = f" in {result['out']}" if result["out"] else ""
    rate = "" if result["fps"] is None else f", {result['fps']:.1f} a second"
    return result, (
        f"{result['pictures']} pictures{where}{rate}, {result['dropped']} heatmaps let go; from heat to picture "
        f"{result['latency_ms_p50']:.0f} ms, 95 % below {result['latency_ms_p95']:.0f} ms ({result['runtime']}); "
        "all synthetic"
    )


@command("export", "lrt export runs/kitchen --out kitchen-export --format onnx --data datasets/kitchen")
@click.argument("run", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="Folder to make; must not exist.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="bundle|onnx|openvino",
    help="bundle: weights for PyTorch; onnx, openvino: for machines without it; repeatable.  [default: bundle]",
)
@click.option(
    "--precision",
    default="fp32",
    show_default=True,
    metavar="fp32|fp16|bf16|int8",
    help="bundle: fp32, or fp16 weights; onnx: fp32, int8; openvino: fp32, bf16, int8.",
)
@click.option("--data", type=FOLDER, help="A dataset: what int8 is fitted to, and what the accuracy is measured on.")
def export(run: Path, out: Path, formats: tuple[str, ...], **options: Any) -> Result:
    """Write what draws, and no more, for other machines: a Pi, a phone page, a colleague.

    Without the discriminator, which can tell whose picture was trained on. Each form is opened again and compared with
    the run; what that gave stands in its card.json.
    """
    from .. import exporting
    from ..progress import progress_bar

    with progress_bar("exporting", "forms") as update:
        result = exporting.export(run, out, formats or ("bundle",), on_progress=update, **options)
    return result, exporting.export_text(result)


@command("demo", "lrt demo --out demo")
@click.option("--out", type=FOLDER, default=Path("demo"), show_default=True, help="Folder for all of it.")
@click.option("--seconds", default=10.0, show_default=True, help="Length of each clip.")
@click.option(
    "--gan-steps",
    type=click.IntRange(min=1),
    default=1600,  # twice the preset's, for a picture worth looking at
    show_default=True,
    help="Length of the training's GAN phase: fewer are sooner done and draw more coarsely.",
)
@click.option("--replace", is_flag=True, help="Begin anew in a folder that an earlier demo filled.")
def demo(out: Path, seconds: float, gan_steps: int, replace: bool) -> Result:
    """Go the whole way on the rig's twin, and end with a page to look at."""
    from ..demo import run_demo

    result = run_demo(out, seconds, gan_steps, replace, say=lambda text: click.echo(text, err=True))
    return result, f"open {result['report']}"
