"""The commands of `lrt`: each reads its options, calls one stage and says what came of it.

Nothing heavy is imported here: a command imports what it needs when it runs, so `lrt --help` answers at once and the
rig runs without torch. Results go to stdout (with --json, as one JSON object), everything else to stderr.
"""

import functools
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from . import LrtError, __version__
from .dataset.tags import CLOTHING, LIGHTING

Result = tuple[dict[str, Any], str] | tuple[dict[str, Any], str, int]  # for --json, for a person; the exit code
FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)


RIG = click.option(
    "--rig", metavar="twin|FILE.toml", help="The rig; without it, rig.toml here or in the config folder."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="lrt")
def lrt() -> None:
    """Record heat and picture together, and draw the picture from heat alone.

    \b
    The way of the data:
      lrt capture -> lrt calibrate -> lrt build-dataset -> lrt train -> lrt evaluate, lrt synthesise

    `lrt demo` goes the whole way on the rig's digital twin, with no sensor and no camera.
    """


def command(name: str, example: str, group: click.Group = lrt) -> Callable[[Callable[..., Result]], click.Command]:
    """A command that prints its result once, as text or (--json) as one JSON object."""

    def wrap(function: Callable[..., Result]) -> click.Command:
        @functools.wraps(function)
        def run(as_json: bool, **options: Any) -> int:
            result, text, *code = function(**options)
            click.echo(json.dumps(result) if as_json else text)
            return code[0] if code else 0

        shown = "\n".join(f"  {line}" for line in example.splitlines())
        run = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")(run)
        return group.command(name, epilog=f"\b\nExample:\n{shown}")(run)

    return wrap


def main() -> None:
    """The entry point: bad input is one line and exit code 1, a bug keeps its traceback."""
    try:
        code = lrt.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = 0
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        where = f" (see {context.command_path} --help)" if context else ""
        click.echo(f"lrt: {error.format_message()}{where}", err=True)
        code = 1
    except LrtError as error:
        click.echo(f"lrt: {error}", err=True)
        code = 1
    except (click.Abort, KeyboardInterrupt):
        click.echo("lrt: stopped", err=True)
        code = 130
    except BrokenPipeError:  # `lrt clips list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, so that work ends in order; a second Ctrl-C interrupts it."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        click.echo("lrt: finishing; once more to break off", err=True)

    for number in before:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# ---------------------------------------------------------------------------------------------------------- recording


@command("capture", "lrt capture --clip-id kitchen-01 --clothing red --lighting dim --consent P07 --seconds 60")
@click.option("--clip-id", required=True, metavar="ID", help="Name of the clip: letters, digits, '-' and '_'.")
@click.option("--clothing", required=True, metavar="COLOUR", help=f"Shirt: {', '.join(CLOTHING)}.")
@click.option("--lighting", required=True, metavar="LIGHT", help=f"Light of the room: {', '.join(LIGHTING)}.")
@click.option("--consent", required=True, metavar="ID", help="The consent under which the person is recorded.")
@click.option("--occupants", default=1, show_default=True, help="People in view during the clip.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="How long; without it, until Ctrl-C.")
@RIG
@click.option("--out", type=FOLDER, help="Folder of the clips.  [default: the rig daemon's, or clips]")
def capture(rig: str | None, seconds: float | None, **tags: Any) -> Result:
    """Record one clip: heat and picture, on one clock, tagged.

    Where `lrt serve` runs, it records, and the clip begins some seconds before the button; else this command opens the
    devices itself.
    """
    from .console import stages
    from .console.progress import progress_bar

    with stop_on_signal() as stop, progress_bar("recording", "s") as update:
        result = stages.capture(rig=rig, seconds=seconds, stop=stop, on_progress=update, **tags)
    twin = " (made by the twin: no person was there)" if result["synthetic"] else ""
    error_ms = result["pair_error_ms_p95"]
    error = "none" if error_ms is None else f"{error_ms:.1f} ms"
    lost = "".join(
        f", {result[name]} {what}"
        for name, what in (("missed", "heatmaps missed"), ("lost_images", "images lost"), ("dropped", "images dropped"))
        if result[name]
    )
    mended = "".join(f"\n{clip_id} had been cut short, and was recovered" for clip_id in result["recovered"])
    return result, (
        f"{', '.join(result['clips'])}: {result['heatmaps']} heatmaps, {result['images']} images, {result['pairs']} "
        f"pairs, pair error p95 {error}{lost}; ended {result['ended']}{twin}{mended}"
    )


@command("check", "lrt check")
@RIG
@click.option("--seconds", default=10.0, show_default=True, type=click.FloatRange(min=1), help="How long to watch.")
@click.option("--out", type=FOLDER, help="Folder of the clips, whose disk is looked at.  [default: clips]")
def check(**options: Any) -> Result:
    """Say whether the rig is healthy: green, amber or red, and the one thing to do."""
    from .console import stages

    health = stages.check_rig(**options)
    colours = {"green": "green", "amber": "yellow", "red": "red"}
    lines = [
        click.style(f"{found['level']:<6}", fg=colours[found["level"]], bold=True)
        + f" {found['what']:<12} {found['says']}"
        + (f"\n{'':<20}-> {found['do']}" if found["do"] else "")
        for found in health["findings"]
    ]
    verdict = {"green": "All is well.", "amber": "It will do, but", "red": "Do not record like this:"}[health["level"]]
    lines.append(click.style(f"{verdict} {health['advice']}".rstrip(), fg=colours[health["level"]], bold=True))
    return health, "\n".join(lines), int(health["level"] == "red")


@command("sync-check", "lrt sync-check")
@RIG
@click.option("--seconds", default=30.0, show_default=True, type=click.FloatRange(8, 600), help="How long to watch.")
def sync_check(**options: Any) -> Result:
    """Measure the time between heat and picture while somebody waves; write it to the rig file.

    Stand alone, two steps (1.4 m) before the rig, and raise and lower an arm ten times, not in rhythm. No picture is
    kept.
    """
    from .console import stages
    from .console.progress import progress_bar

    click.echo(
        "lrt: stand alone, two steps (1.4 m) away, and raise and lower an arm ten times, not in rhythm, from now on",
        err=True,
    )
    with progress_bar("watching", "s") as update:
        result = stages.sync_check(on_progress=update, **options)
    where = f"written to {result['rig']}" if result["rig"] else "written nowhere: there is no rig file"
    return result, (
        f"heat comes {result['offset_ms']:.0f} +- {result['spread_ms']:.0f} ms after the picture "
        f"(correlation {result['correlation']:.2f}); {where}"
    )


@command("serve", "lrt serve --rig twin")
@RIG
@click.option("--out", type=FOLDER, default=Path("clips"), show_default=True, help="Folder of the clips.")
@click.option("--socket", type=FILE, help="Where its door is.  [default: $LRT_SOCKET, or the user's runtime folder]")
def serve(**options: Any) -> Result:
    """Run the rig daemon: it owns the devices, and records when `lrt capture` asks it to."""
    from .console import stages

    with stop_on_signal() as stop:
        result = stages.serve(stop=stop, say=lambda text: click.echo(f"lrt: {text}", err=True), **options)
    return result, f"stopped after {result['recordings']} recordings"


@command("status", "lrt status")
def status() -> Result:
    """Ask the rig daemon what it is doing."""
    from .console import stages

    found = stages.ask_daemon("status")
    at = found["recording"]
    doing = f"recording {at['clip_id']}, {at['seconds']:.0f} s, {at['heatmaps']} heatmaps" if at else "ready to record"
    problems = [found[name] for name in ("sensor_problem", "camera_problem", "last_error") if found[name]]
    return found, "\n".join([f"{found['health']}: {doing} (clips in {found['clips']})", *problems])


@command("stop", "lrt stop")
def stop() -> Result:
    """Have the rig daemon end the recording that is under way."""
    from .console import stages

    result = stages.ask_daemon("stop")
    return result, f"{', '.join(result['clips'])}: {result['heatmaps']} heatmaps, {result['images']} images"


@lrt.group()
def clips() -> None:
    """See what was recorded, check that it is whole, mend what was cut."""


@command("list", "lrt clips list --dir clips", clips)
@click.option("--dir", "folder", type=FOLDER, default=Path("clips"), show_default=True, help="Folder of the clips.")
def clips_list(folder: Path) -> Result:
    """List the clips of a folder, the cut ones too."""
    from .console import stages

    rows = stages.list_clips(folder)
    lines = [
        f"{row['clip_id']:<24} {row['clothing']:<6} {row['lighting']:<7} "
        + (f"{'?':>6}    " if row["seconds"] is None else f"{row['seconds']:>6.1f} s  ")
        + f"{row['bytes'] / 1e6:>7.1f} MB  {row['state']}"
        + ("  twin" if row["synthetic"] else "")
        for row in rows
    ]
    return {"clips": rows}, "\n".join(lines) or f"no clips in {folder}"


@command("show", "lrt clips show clips/kitchen-01", clips)
@click.argument("clip", type=FOLDER)
def clips_show(clip: Path) -> Result:
    """Show a clip's tags, devices and counts."""
    from .console import stages

    header = stages.show_clip(clip)
    return header, "\n".join(f"{name:<32}{value}" for name, value in _flat(header))


def _flat(nested: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(`outer.inner`, value) of every value in nested dictionaries."""
    for name, value in nested.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@command("verify", "lrt clips verify clips/*", clips)
@click.argument("clip", type=FOLDER, nargs=-1, required=True)
def clips_verify(clip: tuple[Path, ...]) -> Result:
    """Check every byte of clips against their checksums, and their times for gaps."""
    from .console import stages

    reports = [stages.verify_clip(folder) for folder in clip]
    broken = [report for report in reports if not report["whole"]]
    if broken:
        first = broken[0]
        raise LrtError(f"{len(broken)} of {len(reports)} clips are not whole; {first['clip']}: {first['problems'][0]}")
    lines = [f"{report['clip']}: whole" + "".join(f"\n  {text}" for text in report["problems"]) for report in reports]
    return {"clips": reports}, "\n".join(lines)


@command("recover", "lrt clips recover clips/kitchen-02.partial", clips)
@click.argument("clip", type=FOLDER)
def clips_recover(clip: Path) -> Result:
    """Mend a clip whose recording was cut: keep everything up to the last whole chunk."""
    from .console import stages

    report = stages.recover_clip(clip)
    return report, f"{report['clip']}: recovered {report['heatmaps']} heatmaps and {report['images']} images"


@command("tag", "lrt clips tag clips/kitchen-01 --clothing blue", clips)
@click.argument("clip", type=FOLDER)
@click.option("--clothing", metavar="COLOUR", help=f"Shirt: {', '.join(CLOTHING)}.")
@click.option("--lighting", metavar="LIGHT", help=f"Light of the room: {', '.join(LIGHTING)}.")
@click.option("--occupants", type=int, help="People in view during the clip.")
@click.option("--consent", metavar="ID", help="The consent under which the person was recorded.")
def clips_tag(clip: Path, **tags: Any) -> Result:
    """Mend a clip's tags; what stood there before is kept in its history."""
    from .console import stages

    header = stages.mend_tags(clip, **tags)
    shown = ", ".join(f"{name} {header[name]}" for name in ("clothing", "lighting", "occupants", "consent"))
    return header, f"{header['clip']}: {shown}"


@command("remove", "lrt clips remove clips/kitchen-02", clips)
@click.argument("clip", type=FOLDER, nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
def clips_remove(clip: tuple[Path, ...], yes: bool) -> Result:
    """Take clips from the disk, for good; asks first. Masks kept by calibrations go too."""
    from .console import stages

    headers = [stages.show_clip(folder) for folder in clip]
    for header in headers:
        click.echo(f"{header['clip_id']}: {header['clothing']}, {header['lighting']}, {header['state']}", err=True)
    if not yes:
        click.confirm(f"Remove {len(clip)} clips for good?", abort=True, err=True)
    result = stages.remove_clips(clip)
    masks = f", and {result['masks']} kept masks" if result["masks"] else ""
    return result, f"removed {', '.join(result['removed'])}{masks}"


# -------------------------------------------------------------------------------------------------- calibration, data


@command(
    "calibrate",
    "lrt calibrate clips/kitchen-01 clips/kitchen-02 --out calibration.json\n"
    "lrt calibrate --check calibration.json clips/kitchen-09",
)
@click.argument("clip", type=FOLDER, nargs=-1, required=True)
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
@click.option("--baseline-cm", type=float, help="Lens to lens, for the page's distance table.  [default: 1.9]")
@click.option("--distance-m", type=float, help="How far off people stood, for the same table.  [default: 2.0]")
@click.option(
    "--export-frames",
    type=FOLDER,
    help="Write the chosen frames there as 000000.png, 000001.png, ... and stop: to draw masks of the same names "
    "elsewhere, then --masks DIR.",
)
def calibrate(
    clip: tuple[Path, ...], out: Path | None, check: Path | None, export_frames: Path | None, frames: int, **source: Any
) -> Result:
    """Fit the shift and the scale that lay the heatmap over the picture, or check an old fit.

    PASS, or WARN and the one thing to do; the page beside the calibration shows why. With --check: HOLDS (exit code
    0), MOVED or UNSURE (1).
    """
    from .console import stages
    from .console.progress import progress_bar

    if export_frames is not None:
        result = stages.export_frames(clip, export_frames, frames)
        return result, f"{result['frames']} frames in {result['out']}; draw masks, then --masks DIR"
    with progress_bar("finding people", "frames") as update:
        if check is not None:
            result = stages.check_calibration(check, clip, out, frames=frames, on_progress=update, **source)
            return result, _say_check(result), 0 if result["verdict"] == "HOLDS" else 1
        out = out or Path("calibration.json")
        result = stages.calibrate(clip, out, frames=frames, on_progress=update, **source)
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


@command("build-dataset", "lrt build-dataset clips/* --calibration calibration.json --out datasets/kitchen")
@click.argument("clip", type=FOLDER, nargs=-1, required=True)
@click.option("--calibration", type=FILE, required=True, help="From `lrt calibrate`.")
@click.option("--out", type=FOLDER, required=True, help="Folder of the dataset; must not exist.")
@click.option("--test", "test_clips", multiple=True, metavar="ID", help="Clip held out for the test split; repeatable.")
@click.option("--test-fraction", default=0.1, show_default=True, help="Share of clips held out when none is named.")
@click.option("--max-gap-ms", default=50.0, show_default=True, help="Furthest that heat and picture may be apart.")
def build_dataset(clip: tuple[Path, ...], calibration: Path, out: Path, **options: Any) -> Result:
    """Cut, pair and tag clips into a dataset: Parquet and a card, split by clip."""
    from .console import datasets
    from .console.progress import progress_bar

    with progress_bar("building", "clips") as update:
        result = datasets.build_dataset(clip, calibration, out, on_progress=update, **options)
    splits = ", ".join(f"{count} {name}" for name, count in result["splits"].items())
    return result, f"{result['dataset']}: {result['pairs']} pairs of {result['clips']} clips ({splits})"


# -------------------------------------------------------------------------------------------------------------- model


@command("models", "lrt models --json")
def models() -> Result:
    """Count the parameters of every network."""
    from .console import stages

    table = stages.count_models()
    return table, "\n".join(f"{name:<20}{count:>12,}" for name, count in table.items())


@command("train", "lrt train datasets/kitchen --out runs/kitchen --preset authors")
@click.argument("dataset", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="Folder of the run.")
@click.option("--model", default="spade-sr-64", show_default=True, help="Generator: see `lrt models`.")
@click.option(
    "--preset",
    default="authors",
    show_default=True,
    metavar="authors|paper|smoke",
    help="authors: the published code; paper: the published text; smoke: minutes on a CPU, to see that all is well.",
)
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
@click.option("--seed", default=0, show_default=True, help="Of weights, order and noise.")
@click.option("--batch", type=click.IntRange(min=2), help="Pairs a step, instead of the preset's.")
@click.option("--gan-steps", type=click.IntRange(min=1), help="Length of the GAN phase, instead of the preset's.")
@click.option("--inversion-steps", type=click.IntRange(min=1), help="Length of the inversion phase, likewise.")
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda", help="Where to train.")
def train(dataset: Path, out: Path, **options: Any) -> Result:
    """Train a generator from a dataset: the GAN phase, then the inversion encoder."""
    from .console import stages
    from .console.progress import progress_bar

    with stop_on_signal() as stop, progress_bar("training", "steps") as update:
        result = stages.train(dataset, out, stop=stop, on_progress=update, **options)
    state = "finished" if result["finished"] else "stopped; go on with --resume"
    return result, f"{result['run']}: {result['gan_steps']} + {result['inversion_steps']} steps, {state}"


@command("evaluate", "lrt evaluate runs/kitchen --data datasets/kitchen")
@click.argument("run", type=FOLDER)
@click.option("--data", type=FOLDER, required=True, help="The dataset to measure on.")
@click.option(
    "--split", default="train", show_default=True, help="Which clips; the paper measures on those trained on."
)
@click.option("--runs", default=10, show_default=True, help="Source images drawn for each clip.")
@click.option("--out", type=FOLDER, help="Where to write figures and pictures; RUN/evaluation by default.")
def evaluate(run: Path, data: Path, **options: Any) -> Result:
    """Measure a run as the paper does: reconstruction error, the grid of sources by heatmaps."""
    from .console import stages
    from .console.progress import progress_bar

    with progress_bar("evaluating", "clips") as update:
        result = stages.evaluate(run, data, on_progress=update, **options)
    return result, (
        f"reconstruction error {result['mae']:.4f} on {result['clips']} {result['split']} clips, "
        f"heat-image correlation {result['heat_image_correlation']:.2f} "
        f"(real pictures {result['heat_image_correlation_real']:.2f})\n{result['out']}"
    )


@command("synthesise", "lrt synthesise runs/kitchen --heatmaps clips/kitchen-09 --source anna.png --out drawn")
@click.argument("run", type=FOLDER)
@click.option("--heatmaps", type=FOLDER, required=True, help="The clip whose heat to draw from.")
@click.option(
    "--source", type=click.Path(path_type=Path), required=True, help="A picture that lends clothing and light."
)
@click.option("--out", type=FOLDER, required=True, help="Folder for the pictures and the video; must not exist.")
def synthesise(run: Path, heatmaps: Path, source: Path, out: Path) -> Result:
    """Draw pictures from heat and one source picture."""
    from .console import stages
    from .console.progress import progress_bar

    with progress_bar("drawing", "pictures") as update:
        result = stages.synthesise(run, heatmaps, source, out, on_progress=update)
    return result, f"{result['pictures']} pictures in {result['out']}, video {result['video']}"


@command("demo", "lrt demo --out demo")
@click.option("--out", type=FOLDER, default=Path("demo"), show_default=True, help="Folder for all of it.")
@click.option("--seconds", default=10.0, show_default=True, help="Length of each clip.")
@click.option("--replace", is_flag=True, help="Begin anew in a folder that an earlier demo filled.")
def demo(out: Path, seconds: float, replace: bool) -> Result:
    """Go the whole way on the rig's twin, and end with a page to look at."""
    from .console.demo import run_demo

    result = run_demo(out, seconds, replace, say=lambda text: click.echo(text, err=True))
    return result, f"open {result['report']}"
