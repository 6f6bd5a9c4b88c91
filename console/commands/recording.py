"""Commands at the rig: `capture`, `check`, `sync-check`, `serve`, `status`, `stop`."""

from pathlib import Path
from typing import Any

import click

from ...dataset.tags import CLOTHING, LIGHTING
from ..stopping import stop_on_signal
from .group import FILE, FOLDER, RIG, Result, command, warn


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
    from .. import recording
    from ..progress import progress_bar

    with stop_on_signal() as stop, progress_bar("recording", "s") as update:
        result = recording.capture(rig=rig, seconds=seconds, stop=stop, on_progress=update, say=warn, **tagged)
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
    from .. import recording

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
    from .. import recording
    from ..progress import progress_bar

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
    from .. import serving

    with stop_on_signal() as stop:
        result = serving.serve(stop=stop, say=lambda text: click.echo(f"lrt: {text}", err=True), **options)
    return result, f"stopped after {result['recordings']} recordings"


@command("status", "lrt status")
def status() -> Result:
    """Ask the rig daemon what it is doing."""
    from .. import recording

    found = recording.ask_daemon("status")
    at = found["recording"]
    doing = f"recording {at['clip_id']}, {at['seconds']:.0f} s, {at['heatmaps']} heatmaps" if at else "ready to record"
    problems = [found[name] for name in ("sensor_problem", "camera_problem", "last_error") if found[name]]
    return found, "\n".join([f"{found['health']}: {doing} (clips in {found['clips']})", *problems])


@command("stop", "lrt stop")
def stop() -> Result:
    """Have the rig daemon end the recording that is under way."""
    from .. import recording

    result = recording.ask_daemon("stop")
    return result, f"{', '.join(result['clips'])}: {result['heatmaps']} heatmaps, {result['images']} images"
