"""Taking one person out of all that is kept, and handing it out to them.

A removal leaves a tombstone first and then takes away clips and rows, so that one that was cut off goes on when it is
begun again.
"""

import json
import shutil
import zipfile
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ..calibration.mask_cache import clear_masks
from ..rig.clip import finish_removals, remove_clip
from .consent import ConsentError, Tombstone, hash_id
from .drop import drop_clips
from .ledger import bury
from .schema import DatasetError
from .traces import Traces, removing_of


@dataclass(frozen=True)
class Removal:
    """What a removal took away.

    Attributes:
        clips: folders of the clips.
        masks: silhouettes that calibrations had kept, of everybody: none says whose it is.
        rebuilt: datasets, now without the person.
        emptied: datasets that held nobody else, and are gone.
        runs: names of the runs trained on the person, those found earlier among them.
    """

    clips: tuple[Path, ...]
    masks: int
    rebuilt: tuple[Path, ...]
    emptied: tuple[Path, ...]
    runs: tuple[str, ...]


def remove_subject(traces: Traces, on: date, clips: bool, masks: Path) -> Removal:
    """Take a person out of all that was found of them. There is no way back: ask first.

    Args:
        traces: from `find_traces`.
        on: today.
        clips: take the raw clips from the disk too; else they stay, and no dataset takes them any more.
        masks: folder of the masks that calibrations kept, which are cleared.

    Raises:
        ConsentError: they were removed before, and there is nothing more to do.
        ClipError, DatasetError: a clip is being recorded, or the disk refuses; begun again, it goes on.
    """
    stone = traces.stone
    unfinished = finish_removals(traces.clips) if clips else 0
    more = traces.consents or traces.rows or traces.cut or (clips and traces.kept) or unfinished
    if stone and not more:
        left = f"; {len(traces.kept)} clips are still there, which --clips removes" if traces.kept else ""
        raise ConsentError(f"subject {traces.subject} was removed on {stone.removed} already{left}")
    if busy := next((clip for clip in traces.kept if clip.state == "recording"), None):
        raise ConsentError(f"clip {busy.clip_id} is being recorded at this moment; stop the recording first")
    cleared = clear_masks(masks)
    stone = _make_tombstone(traces, on)
    bury(traces.clips, stone)
    for path in traces.cut:
        _remove_left(path)
    gone = [clip.folder for clip in traces.kept] if clips else []
    for folder in gone:
        remove_clip(folder)
    rebuilt, emptied = [], []
    for rows in traces.rows:
        if len(rows.clip_ids) == rows.of_clips:
            _remove_dataset(rows.dataset)
            emptied.append(rows.dataset)
        else:
            drop_clips(rows.dataset, rows.clip_ids)
            rebuilt.append(rows.dataset)
    return Removal(tuple(gone), cleared, tuple(rebuilt), tuple(emptied), stone.runs)


def export_subject(traces: Traces, out: Path) -> int:
    """Write all that is kept of a person into a ZIP file, for them: a list, their consents, their clips whole.

    A clip in which somebody else is too is in the list and not among the files: it is theirs as well.

    Returns:
        How many clips are in it.

    Raises:
        ConsentError: the file exists, or cannot be written; nothing is left of it then.
    """
    if out.exists():
        raise ConsentError(f"{out} exists already; give another --out")
    own = [clip for clip in traces.kept if not clip.others]
    partial = out.with_name(f".{out.name}.partial")
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            archive.writestr("list.json", json.dumps(_list_traces(traces), indent=2, default=str) + "\n")
            for clip in own:
                for file in sorted(clip.folder.iterdir()):
                    archive.write(file, f"clips/{clip.folder.name}/{file.name}")
        partial.rename(out)
    except OSError as error:
        raise ConsentError(f"{out} cannot be written ({error.strerror or error})") from error
    finally:
        partial.unlink(missing_ok=True)
    return len(own)


def _make_tombstone(traces: Traces, on: date) -> Tombstone:
    """The person's tombstone, with all that an earlier one says."""
    before = traces.stone
    consents = {hash_id(consent.consent_id) for consent in traces.consents} | set(before.consents if before else ())
    recordings = {clip.recording for clip in traces.kept} | set(before.recordings if before else ())
    runs = {run.name for run in traces.runs} | set(before.runs if before else ())
    return Tombstone(
        subject=hash_id(traces.subject),
        consents=tuple(sorted(consents)),
        recordings=tuple(sorted(recordings - {""})),
        removed=before.removed if before else on,
        runs=tuple(sorted(runs)),
    )


def _remove_dataset(path: Path) -> None:
    """Take a dataset from the disk; cut off in the middle, it does not look like one any more."""
    doomed = removing_of(path)
    try:
        path.rename(doomed)
        shutil.rmtree(doomed)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be removed ({error.strerror or error})") from error


def _remove_left(path: Path) -> None:
    """Take away what a killed build or removal left."""
    try:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be removed ({error.strerror or error})") from error


def _list_traces(traces: Traces) -> dict[str, Any]:
    """What an export says of a person; other people's consents are counted, not named."""
    return {
        "subject": traces.subject,
        "consents": [asdict(consent) for consent in traces.consents],
        "clips": [
            {
                **asdict(clip),
                "folder": clip.folder.name,
                "here": not clip.others,
                "why_not": "somebody else is in it too" if clip.others else None,
            }
            for clip in traces.kept
        ],
        "datasets": [{**asdict(rows), "dataset": rows.dataset.name} for rows in traces.rows],
        "runs": [run.name for run in traces.runs],
    }
