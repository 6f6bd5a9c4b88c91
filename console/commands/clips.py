"""`lrt clips`: what was recorded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ...dataset.tags import CLOTHING, LIGHTING
from .group import CLIP_FOLDERS, FILE, FOLDER, Result, command, lrt, warn


@lrt.group()
def clips() -> None:
    """See what was recorded, check that it is whole, mend what was cut."""


@command("list", "lrt clips list --dir clips", clips)
@click.option("--dir", "folder", type=FOLDER, default=Path("clips"), show_default=True, help="Folder of the clips.")
def clips_list(folder: Path) -> Result:
    """List the clips of a folder, the cut ones too."""
    from .. import recording

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
    from .. import recording

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
    from ..progress import progress_bar
    from ..quality import verify_clips

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
    from .. import recording

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
    from .. import people

    header = people.mend_tags(clip, tags=[each for each in tag if each] if tag else None, **fields)
    for warning in header["warnings"]:
        warn(warning)
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
    from .. import datasets
    from ..progress import progress_bar

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
    from .. import recording

    headers = [recording.show_clip(folder) for folder in clip]
    for header in headers:
        click.echo(f"{header['clip_id']}: {header['clothing']}, {header['lighting']}, {header['state']}", err=True)
    if not yes:
        click.confirm(f"Remove {len(clip)} clips for good?", abort=True, err=True)
    result = recording.remove_clips(clip)
    masks = f", and {result['masks']} kept masks" if result["masks"] else ""
    return result, f"removed {', '.join(result['removed'])}{masks}"
