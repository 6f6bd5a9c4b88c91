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
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

from . import LrtError, __version__
from .console.progress import speaks
from .dataset.tags import CLOTHING, LIGHTING

Result = tuple[dict[str, Any], str] | tuple[dict[str, Any], str, int]  # for --json, for a person; the exit code
FOLDER = click.Path(file_okay=False, path_type=Path)
BESIDE_CLIPS = ("consents.toml", "vocabulary.toml")  # what lies among clips and is none
FILE = click.Path(dir_okay=False, path_type=Path)


class ClipFolders(click.Path):
    """Folders of clips; of `clips/*`, the files that lie beside them are passed over."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return None if Path(value).name in BESIDE_CLIPS else super().convert(value, param, ctx)

    @staticmethod
    def pass_over(ctx: click.Context, param: click.Parameter, value: tuple[Path | None, ...]) -> tuple[Path, ...]:
        """The clips among what was given."""
        clips = tuple(clip for clip in value if clip is not None)
        if not clips:
            raise click.MissingParameter(ctx=ctx, param=param)
        return clips


CLIP_FOLDERS = click.argument(
    "clip",
    type=ClipFolders(file_okay=False, path_type=Path),
    nargs=-1,
    required=True,
    callback=ClipFolders.pass_over,
)
SHOWN = 8  # of a longer list


RIG = click.option(
    "--rig", metavar="twin|FILE.toml", help="The rig; without it, rig.toml here or in the config folder."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="lrt")
def lrt() -> None:
    """Record heat and picture together, and draw the picture from heat alone.

    \b
    The way of the data:
      lrt capture -> lrt calibrate -> lrt build-dataset -> lrt train -> lrt evaluate, lrt synthesise, lrt live

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


def _warn(text: str) -> None:
    """Say what a user should know and the command goes on without."""
    click.echo(f"lrt: {text}", err=True)


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, so that work ends in order; a second Ctrl-C interrupts it."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        if speaks():
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
@click.option("--clothing", required=True, metavar="COLOUR", help=f"Shirt: {', '.join(CLOTHING)}; unknown for now.")
@click.option("--lighting", required=True, metavar="LIGHT", help=f"Light: {', '.join(LIGHTING)}; unknown for now.")
@click.option("--consent", required=True, metavar="ID", help="The consent of who is recorded; of several: P07,P08.")
@click.option("--occupants", default=1, show_default=True, help="People in view during the clip.")
@click.option("--room", default="", metavar="ROOM", help="Where: datasets can hold out a room.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Anything else worth finding again; repeatable.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="How long; without it, until Ctrl-C.")
@RIG
@click.option("--out", type=FOLDER, help="Folder of the clips.  [default: the rig daemon's, or clips]")
def capture(rig: str | None, seconds: float | None, **tagged: Any) -> Result:
    """Record one clip: heat and picture, on one clock, tagged.

    Where `lrt serve` runs, it records, and the clip begins some seconds before the button; else this command opens the
    devices itself. A file vocabulary.toml in the folder of the clips adds colours and lights of your own.
    """
    from .console import recording
    from .console.progress import progress_bar

    with stop_on_signal() as stop, progress_bar("recording", "s") as update:
        result = recording.capture(rig=rig, seconds=seconds, stop=stop, on_progress=update, say=_warn, **tagged)
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
    from .console import recording

    health = recording.check_rig(**options)
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
    from .console import recording
    from .console.progress import progress_bar

    click.echo(
        "lrt: stand alone, two steps (1.4 m) away, and raise and lower an arm ten times, not in rhythm, from now on",
        err=True,
    )
    with progress_bar("watching", "s") as update:
        result = recording.sync_check(on_progress=update, **options)
    where = f"written to {result['rig']}" if result["rig"] else "written nowhere: there is no rig file"
    return result, (
        f"heat comes {result['offset_ms']:.0f} +- {result['spread_ms']:.0f} ms after the picture "
        f"(correlation {result['correlation']:.2f}); {where}"
    )


@command("serve", "lrt serve --rig twin\nlrt serve --listen")
@RIG
@click.option("--out", type=FOLDER, default=Path("clips"), show_default=True, help="Folder of the clips.")
@click.option("--socket", type=FILE, help="Where its door is.  [default: $LRT_SOCKET, or the user's runtime folder]")
@click.option("--http/--no-http", default=True, show_default=True, help="Serve the phone's page.")
@click.option("--port", type=click.IntRange(0, 65535), default=8642, show_default=True, help="Of the page; 0: any.")
@click.option(
    "--listen",
    metavar="[ADDRESS]",
    is_flag=False,
    flag_value="0.0.0.0",
    help="Let phones in: on this address, or on all. They need the key that is shown.  [default: this computer alone]",
)
def serve(**options: Any) -> Result:
    """Run the rig daemon: it owns the devices, and records when `lrt capture` or the phone's page asks it to."""
    from .console import serving

    with stop_on_signal() as stop:
        result = serving.serve(stop=stop, say=lambda text: click.echo(f"lrt: {text}", err=True), **options)
    return result, f"stopped after {result['recordings']} recordings"


@command("status", "lrt status")
def status() -> Result:
    """Ask the rig daemon what it is doing."""
    from .console import recording

    found = recording.ask_daemon("status")
    at = found["recording"]
    doing = f"recording {at['clip_id']}, {at['seconds']:.0f} s, {at['heatmaps']} heatmaps" if at else "ready to record"
    problems = [found[name] for name in ("sensor_problem", "camera_problem", "last_error") if found[name]]
    return found, "\n".join([f"{found['health']}: {doing} (clips in {found['clips']})", *problems])


@command("stop", "lrt stop")
def stop() -> Result:
    """Have the rig daemon end the recording that is under way."""
    from .console import recording

    result = recording.ask_daemon("stop")
    return result, f"{', '.join(result['clips'])}: {result['heatmaps']} heatmaps, {result['images']} images"


@lrt.group()
def clips() -> None:
    """See what was recorded, check that it is whole, mend what was cut."""


@command("list", "lrt clips list --dir clips", clips)
@click.option("--dir", "folder", type=FOLDER, default=Path("clips"), show_default=True, help="Folder of the clips.")
def clips_list(folder: Path) -> Result:
    """List the clips of a folder, the cut ones too."""
    from .console import recording

    rows = recording.list_clips(folder)
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
    from .console import recording

    header = recording.show_clip(clip)
    return header, "\n".join(f"{name:<32}{value}" for name, value in _flat(header))


def _flat(nested: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(`outer.inner`, value) of every value in nested dictionaries."""
    for name, value in nested.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@command("verify", "lrt clips verify clips/* --calibration calibration.json", clips)
@CLIP_FOLDERS
@click.option("--calibration", type=FILE, help="What they will be cut by: is it good, and for such clips?")
@click.option(
    "--scope",
    default="internal",
    show_default=True,
    metavar="internal|share|publish",
    help="How far their dataset will go: do their consents go so far?",
)
def clips_verify(clip: tuple[Path, ...], **options: Any) -> Result:
    """Check clips: every byte of them, and whether they are fit for a dataset.

    ok, warn (look at it) or fail (the build leaves it out; exit code 1), and what to do.
    """
    from .console.progress import progress_bar
    from .console.quality import verify_clips

    with progress_bar("verifying", "clips") as update:
        result = verify_clips(clip, on_progress=update, **options)
    lines = [line for report in result["clips"] for line in _say_quality(report)]
    levels = [report["level"] for report in result["clips"]]
    lines.append(", ".join(f"{levels.count(level)} {level}" for level in _QUALITY_COLOURS))
    return result, "\n".join(lines), int(result["level"] == "fail")


_QUALITY_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def _say_quality(report: dict[str, Any]) -> Iterator[str]:
    """A clip in one line, then what is to be looked at."""
    marks = {name: click.style(f"{name:<5}", fg=colour, bold=True) for name, colour in _QUALITY_COLOURS.items()}
    counts = f"{report['seconds']:>6.1f} s {report['heatmaps']:>6} heatmaps {report['images']:>6} pictures"
    yield f"{marks[report['level']]} {report['clip_id']:<24} {counts}"
    for found in report["findings"]:
        if found["level"] != "ok":
            noted = f" (the last: {found['noted'].rstrip('.')})" if found["noted"] else ""
            yield f"{marks[found['level']]}   {found['rule']:<15} {found['says']}{noted}"
            yield f"{'':<24}-> {found['do']}"


@command("recover", "lrt clips recover clips/kitchen-02.partial", clips)
@click.argument("clip", type=FOLDER)
def clips_recover(clip: Path) -> Result:
    """Mend a clip whose recording was cut: keep everything up to the last whole chunk."""
    from .console import recording

    report = recording.recover_clip(clip)
    return report, f"{report['clip']}: recovered {report['heatmaps']} heatmaps and {report['images']} images"


@command("tag", "lrt clips tag clips/kitchen-01 --clothing blue --room kitchen --tag sofa --tag evening", clips)
@click.argument("clip", type=FOLDER)
@click.option("--clothing", metavar="COLOUR", help=f"Shirt: {', '.join(CLOTHING)}.")
@click.option("--lighting", metavar="LIGHT", help=f"Light of the room: {', '.join(LIGHTING)}.")
@click.option("--occupants", type=int, help="People in view during the clip.")
@click.option("--consent", metavar="ID", help="The consent of who was recorded; of several: P07,P08.")
@click.option("--room", metavar="ROOM", help="Where it was recorded; '' for nowhere known.")
@click.option(
    "--tag", multiple=True, metavar="TAG", help="The free tags, instead of those there; repeatable; '': none."
)
def clips_tag(clip: Path, tag: tuple[str, ...], **fields: Any) -> Result:
    """Mend a clip's tags; what stood there before is kept in its history."""
    from .console import people

    header = people.mend_tags(clip, tags=[each for each in tag if each] if tag else None, **fields)
    for warning in header["warnings"]:
        _warn(warning)
    names = ("clothing", "lighting", "occupants", "consent", "room", "tags")
    shown = ", ".join(f"{name} {_words(header[name])}" for name in names if header[name] not in ("", []))
    return header, f"{header['clip']}: {shown}"


def _words(value: Any) -> Any:
    """A list as words, everything else as it is."""
    return " ".join(value) if isinstance(value, list) else value


@command(
    "play",
    "lrt clips play clips/kitchen-01 --out kitchen-01.mp4 --calibration calibration.json\n"
    "lrt clips play clips/kitchen-01 --out kitchen-01.gif --start 5 --seconds 10",
    clips,
)
@click.argument("clip", type=FOLDER)
@click.option(
    "--out",
    type=FILE,
    required=True,
    metavar="FILE.mp4|.avi|.gif",
    help="The video, a new file: mp4 for video players, avi (every frame whole) for cutting, gif for browsers and "
    "slides.",
)
@click.option("--calibration", type=FILE, help="Show what the sensor sees, and its heat laid over the picture.")
@click.option(
    "--start", "start_s", type=click.FloatRange(min=0), default=0.0, show_default=True, help="Begin there, s."
)
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="How long; without it, to the end.")
def clips_play(clip: Path, out: Path, **options: Any) -> Result:
    """Make a video of a clip: picture and heat side by side, at the times they were recorded."""
    from .console import datasets
    from .console.progress import progress_bar

    with progress_bar("drawing", "frames") as update:
        result = datasets.play_clip(clip, out, on_progress=update, **options)
    width, height = result["size"]
    twin = " (made by the twin: no person was there)" if result["synthetic"] else ""
    return result, f"{result['video']}: {result['seconds']:.1f} s, {result['frames']} frames of {width}x{height}{twin}"


@command("remove", "lrt clips remove clips/kitchen-02", clips)
@CLIP_FOLDERS
@click.option("--yes", is_flag=True, help="Do not ask.")
def clips_remove(clip: tuple[Path, ...], yes: bool) -> Result:
    """Take clips from the disk, for good; asks first. Masks kept by calibrations go too."""
    from .console import recording

    headers = [recording.show_clip(folder) for folder in clip]
    for header in headers:
        click.echo(f"{header['clip_id']}: {header['clothing']}, {header['lighting']}, {header['state']}", err=True)
    if not yes:
        click.confirm(f"Remove {len(clip)} clips for good?", abort=True, err=True)
    result = recording.remove_clips(clip)
    masks = f", and {result['masks']} kept masks" if result["masks"] else ""
    return result, f"removed {', '.join(result['removed'])}{masks}"


# ------------------------------------------------------------------------------------------------------------- people

CLIPS = click.option(
    "--dir",
    "folder",
    type=FOLDER,
    default=Path("clips"),
    show_default=True,
    help="Folder of the clips; the ledger, consents.toml, lies in it.",
)
DAY = click.DateTime(["%Y-%m-%d"])


@lrt.group()
def consent() -> None:
    """Keep the ledger of who agreed to be recorded, and to what."""


@command("add", "lrt consent add P07 --scope share --expires 2031-01-31 --form P07.pdf", consent)
@click.argument("consent", metavar="ID")
@click.option("--scope", required=True, help="How far it goes: internal, share (with partners) or publish.")
@click.option("--subject", default="", metavar="ID", help="The person's pseudonym.  [default: a new one, like S-7f3a]")
@click.option("--signed", type=DAY, help="The day.  [default: today]")
@click.option("--expires", type=DAY, help="The last day on which it holds.")
@click.option("--form", type=FILE, help="The scanned form; its name and its SHA-256 are kept.")
@click.option("--minor", is_flag=True, help="The person is under age: nothing of theirs goes beyond internal.")
@CLIPS
def consent_add(**options: Any) -> Result:
    """Note a signed consent. Numbers and pseudonyms only: names stay on the form."""
    from .console import people

    result = people.add_consent(**options)
    return result, f"consent {result['consent_id']} of subject {result['subject']}: {result['scope']}"


@command("list", "lrt consent list", consent)
@CLIPS
def consent_list(folder: Path) -> Result:
    """List the consents, how far each goes, and how many clips were recorded under it."""
    from .console import people

    result = people.list_consents(folder)
    lines = [
        f"{row['consent_id']:<12} {row['subject']:<8} {row['scope']:<9} signed {row['signed']}"
        + (f", expires {row['expires']}" if row["expires"] else "")
        + (", a minor's" if row["minor"] else "")
        + f"  {row['clips']} clips"
        + ("" if row["holds"] else f"  withdrawn {row['withdrawn']}" if row["withdrawn"] else "  expired")
        for row in result["consents"]
    ]
    lines += [f"{name:<12} not in the ledger, but named by clips" for name in result["unknown"]]
    lines += [f"{result['removed']} people were removed"] if result["removed"] else []
    return result, "\n".join(lines) or f"no consents in {result['ledger']}"


@command("withdraw", "lrt consent withdraw P07", consent)
@click.argument("consent", metavar="ID")
@CLIPS
def consent_withdraw(consent: str, folder: Path) -> Result:
    """Note that a consent was taken back: nothing is recorded or built under it any more.

    What was built and trained before stays; `lrt subject remove` takes the person out of it.
    """
    from .console import people

    result = people.withdraw_consent(consent, folder)
    return result, (
        f"consent {consent} withdrawn; to take subject {result['subject']} out of what was built before: "
        f"lrt subject remove {result['subject']}"
    )


@lrt.group()
def subject() -> None:
    """See what is kept of a person, hand it out to them, or take it away."""


DATASETS = click.option("--dataset", "datasets", type=FOLDER, multiple=True, help="A dataset to look in; repeatable.")
RUNS = click.option("--runs", type=FOLDER, help="Folder of runs: which were trained on them?")


@command("list", "lrt subject list", subject)
@CLIPS
def subject_list(folder: Path) -> Result:
    """List the people recorded, by pseudonym."""
    from .console import people

    result = people.list_subjects(folder)
    lines = [
        f"{row['subject']:<8} consents {', '.join(row['consents'])}; {len(row['clips'])} clips"
        + "".join(f"\n  {clip_id}" for clip_id in row["clips"])
        for row in result["subjects"]
    ]
    lines += [f"{result['removed']} people were removed"] if result["removed"] else []
    return result, "\n".join(lines) or f"nobody in {result['ledger']}"


@command("remove", "lrt subject remove S-7f3a --clips --dataset datasets/kitchen --runs runs", subject)
@click.argument("subject", metavar="ID")
@click.option("--clips", is_flag=True, help="Remove their raw clips too; else no dataset takes them any more.")
@DATASETS
@RUNS
@click.option("--yes", is_flag=True, help="Do not ask.")
@CLIPS
def subject_remove(
    subject: str, clips: bool, datasets: tuple[Path, ...], runs: Path | None, yes: bool, folder: Path
) -> Result:
    """Take a person out of clips and datasets, for good; says what it will do, and asks.

    A tombstone of hashes stays, by which their consents are refused from then on. Runs that were trained on them are
    named and stay: train them anew. Masks kept by calibrations go too.
    """
    from .console import people

    traces = people.find_traces(subject, folder, datasets, runs)
    for line in _say_traces(people.show_traces(traces), clips):
        click.echo(line, err=True)
    if not yes:
        click.confirm(f"Remove subject {subject} for good?", abort=True, err=True)
    result = people.remove_subject(traces, clips)
    did = [f"{len(result['clips'])} clips removed", f"{len(result['rebuilt'])} datasets rebuilt without them"]
    did += [f"{len(result['emptied'])} datasets removed"] if result["emptied"] else []
    runs_left = f"\ntrained on them, and still there: {', '.join(result['runs'])}" if result["runs"] else ""
    return result, f"subject {subject}: {', '.join(did)}{runs_left}"


def _say_traces(traces: dict[str, Any], clips: bool) -> Iterator[str]:
    """What will become of all that is kept of a person, a line each."""
    for clip in traces["kept"]:
        others = f" ({clip['others']} other people in it)" if clip["others"] else ""
        yield f"clip {clip['folder']}{others}: {'removed' if clips else 'stays, and no dataset takes it any more'}"
    for folder in traces["unreadable"]:
        yield f"clip {folder}: cannot be read; nobody can tell whose it is, look yourself"
    for rows in traces["rows"]:
        whole = len(rows["clip_ids"]) == rows["of_clips"]
        yield (
            f"dataset {rows['dataset']}: {len(rows['clip_ids'])} of {rows['of_clips']} clips, {rows['pairs']} of "
            f"{rows['of_pairs']} pairs: {'removed, for it holds nobody else' if whole else 'rebuilt without them'}"
        )
        if rows["scope"] != "internal":
            yield f"  it was built to {rows['scope']}: tell whoever has a copy"
        if rows["calibrated"]:
            yield "  its calibration was fitted on them: the page beside the first calibration.json shows them"
    for path in traces["cut"]:
        yield f"{path}, left when a build or a removal was killed: removed"
    for run in traces["runs"]:
        yield f"run {run}: was trained on them, and stays; train it anew on the rebuilt dataset"


@command("export", "lrt subject export S-7f3a --out S-7f3a.zip --dataset datasets/kitchen", subject)
@click.argument("subject", metavar="ID")
@click.option("--out", type=FILE, required=True, help="The ZIP file; must not exist.")
@DATASETS
@RUNS
@CLIPS
def subject_export(subject: str, out: Path, datasets: tuple[Path, ...], runs: Path | None, folder: Path) -> Result:
    """Write all that is kept of a person into a ZIP file for them: a list, and their clips.

    Clips with somebody else in view are listed and left out.
    """
    from .console import people

    result = people.export_subject(people.find_traces(subject, folder, datasets, runs), out)
    left = f"; left out, for others are in it: {', '.join(result['left_out'])}" if result["left_out"] else ""
    return result, f"{out}: {result['clips']} clips, {result['bytes'] / 1e6:.1f} MB{left}"


# -------------------------------------------------------------------------------------------------- calibration, data


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
    from .console import calibrating
    from .console.progress import progress_bar

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
    from .console import datasets
    from .console.progress import progress_bar

    with progress_bar("building", "clips") as update:
        result = datasets.build_dataset(clip, calibration, out, on_progress=update, **options)
    return result, "\n".join(_say_build(result))


def _say_build(result: dict[str, Any]) -> Iterator[str]:
    """What is in a dataset, how far heat and picture are apart, and what was left out."""
    from .dataset.card import draw_histogram

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
    from .console import datasets
    from .console.progress import progress_bar

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
    from .console import exchange
    from .console.progress import progress_bar

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
    from .console import exchange
    from .console.progress import progress_bar

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


# -------------------------------------------------------------------------------------------------------------- model


@command("models", "lrt models --json")
def models() -> Result:
    """Count the parameters of every network."""
    from .console import training

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
    from .console import training
    from .console.progress import progress_bar

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
        _warn(note)
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
    from .console import measuring
    from .console.evaluation import evaluation_text
    from .console.progress import progress_bar

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
    from .console import table3
    from .console.progress import progress_bar
    from .console.table3_text import table_text

    with stop_on_signal() as stop, progress_bar("table", "steps") as update:
        result = table3.bench_table3(dataset, out, stop=stop, on_progress=update, **options)
    return result, f"{table_text(result)}\nopen {out / 'table3.html'}"


@command("synthesise", "lrt synthesise runs/kitchen --heatmaps clips/kitchen-09 --source anna.png --out drawn")
@click.argument("run", metavar="RUN|EXPORT|twin")
@click.option("--heatmaps", type=FOLDER, required=True, help="The clip whose heat to draw from.")
@click.option("--source", required=True, metavar="IMAGE|CLIP", help="A picture that lends clothing and light.")
@click.option("--out", type=FOLDER, required=True, help="Folder for the pictures and the video; must not exist.")
def synthesise(run: str, heatmaps: Path, source: str, out: Path) -> Result:
    """Draw pictures from heat and one source picture."""
    from .console import synthesising
    from .console.progress import progress_bar

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
    from .console import live as stage
    from .console.progress import progress_bar

    bar = progress_bar("drawing", "s") if options["out"] else nullcontext(stage.silent)  # no bar over the pictures
    with stop_on_signal() as stop, bar as update:
        result = stage.live(run, stop=stop, on_progress=update, say=_warn, **options)
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
    from .console import exporting
    from .console.progress import progress_bar

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
    from .console.demo import run_demo

    result = run_demo(out, seconds, gan_steps, replace, say=lambda text: click.echo(text, err=True))
    return result, f"open {result['report']}"


if __name__ == "__main__":  # torchrun -m lrt.cli
    main()
