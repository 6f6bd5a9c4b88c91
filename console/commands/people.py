"""`lrt consent` and `lrt subject`: who agreed to be recorded, and what is kept of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from .group import FILE, FOLDER, Result, command, lrt

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
    from .. import people

    result = people.add_consent(**options)
    return result, f"consent {result['consent_id']} of subject {result['subject']}: {result['scope']}"


@command("list", "lrt consent list", consent)
@CLIPS
def consent_list(folder: Path) -> Result:
    """List the consents, how far each goes, and how many clips were recorded under it."""
    from .. import people

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
    from .. import people

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
    from .. import people

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
    from .. import people

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
    from .. import people

    result = people.export_subject(people.find_traces(subject, folder, datasets, runs), out)
    left = f"; left out, for others are in it: {', '.join(result['left_out'])}" if result["left_out"] else ""
    return result, f"{out}: {result['clips']} clips, {result['bytes'] / 1e6:.1f} MB{left}"
