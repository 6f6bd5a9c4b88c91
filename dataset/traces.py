"""One person in all that is kept: which clips, which rows of datasets, which runs.

The ledger tells which consents are a person's, the clips' headers which clips, and `dataset.json` which datasets; a run
says which pairs it was trained on by their hash.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..calibration.geometry import CalibrationError, read_calibration
from ..rig.clip import ClipHeader, list_clips
from .consent import Consent, ConsentError, Ledger, Tombstone, hash_id, read_ledger, split_consents
from .info import CALIBRATION_NAME, read_info
from .loading import load_clips
from .place import mend_swap
from .publish import name_clip
from .schema import DatasetError
from .splits import choose_sides


@dataclass(frozen=True)
class KeptClip:
    """A clip of a person.

    Attributes:
        state: as `list_clips` tells it.
        others: how many other people's consents it names.
        recording: SHA-256 of its log; "" of one that was cut.
        seconds: None where that is not known.
    """

    folder: Path
    clip_id: str
    state: str
    others: int
    recording: str
    seconds: float | None
    bytes: int


@dataclass(frozen=True)
class KeptRows:
    """A person's part in a dataset.

    Attributes:
        clip_ids: their clips, as the dataset names them.
        of_clips: how many clips it holds altogether.
        pairs, of_pairs: rows of theirs, and of all.
        scope: of the dataset; beyond "internal", others may have a copy.
        calibrated: whether its calibration was fitted on their clips; the page beside that shows them.
    """

    dataset: Path
    clip_ids: tuple[str, ...]
    of_clips: int
    pairs: int
    of_pairs: int
    scope: str
    calibrated: bool


@dataclass(frozen=True)
class Traces:
    """All that is kept of a person.

    Attributes:
        clips: the folder that was looked into.
        subject: their pseudonym.
        consents: theirs; none once they were removed.
        kept: their clips.
        unreadable: folders of clips of which nobody can tell whose they are.
        rows: their part in the datasets that were named.
        cut: files and folders of theirs that builds and removals of those datasets left when they were killed.
        runs: folders of the runs, among those looked at, that were trained on it.
        stone: what an earlier removal left.
    """

    clips: Path
    subject: str
    consents: tuple[Consent, ...]
    kept: tuple[KeptClip, ...]
    unreadable: tuple[Path, ...]
    rows: tuple[KeptRows, ...]
    cut: tuple[Path, ...]
    runs: tuple[Path, ...]
    stone: Tombstone | None


def find_traces(clips: Path, subject: str, datasets: Sequence[Path] = (), runs: Path | None = None) -> Traces:
    """All that is kept of a person. Nothing is changed, but that a dataset whose exchange was cut off is put right.

    Args:
        clips: the folder of the clips, with the ledger in it.
        subject: the pseudonym.
        datasets: where to look for their rows. One that is not there is no error once the person has a tombstone: a
            removal that was cut off may have taken it away.
        runs: a folder of runs, or one run.

    Raises:
        ConsentError: nobody of that name is, or was, in the ledger; no such folder of runs.
        DatasetError: one of the datasets is none, or is damaged.
    """
    ledger = read_ledger(clips)
    consents = tuple(consent for consent in ledger.consents if consent.subject == subject)
    stone = ledger.tombstone(subject=subject)
    if not consents and stone is None:
        raise ConsentError(_say_unknown(ledger, subject))
    ids = {hash_id(consent.consent_id) for consent in consents} | set(stone.consents if stone else ())
    found = list_clips(clips) if clips.is_dir() else []
    kept = []
    for summary in found:
        if summary.state == "unreadable":
            continue
        header = ClipHeader.read(summary.folder)
        theirs = [hash_id(each) in ids for each in split_consents(header.consent)]
        recording = header.sha256 or ""
        if any(theirs) or (stone and recording in stone.recordings):
            others = theirs.count(False) if any(theirs) else 0
            kept.append(
                KeptClip(
                    summary.folder, header.clip_id, summary.state, others, recording, summary.seconds, summary.bytes
                )
            )
    recordings = ({clip.recording for clip in kept} | set(stone.recordings if stone else ())) - {""}
    names = {clip.clip_id for clip in kept} | {name_clip(recording) for recording in recordings}
    for path in datasets:
        mend_swap(path)
    there = [path for path in datasets if path.exists() or not (stone or partial_of(path).exists())]
    rows = tuple(each for path in there if (each := _find_rows(path, subject, recordings, names)))
    return Traces(
        clips=clips,
        subject=subject,
        consents=consents,
        kept=tuple(kept),
        unreadable=tuple(summary.folder for summary in found if summary.state == "unreadable"),
        rows=rows,
        cut=tuple(file for path in datasets for file in _find_cut(path, names)),
        runs=_find_runs(runs, rows) if runs is not None else (),
        stone=stone,
    )


def _find_rows(path: Path, subject: str, recordings: set[str], names: set[str]) -> KeptRows | None:
    """A person's part in a dataset; None if they have none. Where it tells no recording's hash, names must do."""
    info = read_info(path)
    theirs = [
        clip
        for clip in info.clips
        if subject in clip.subject.split(",")
        or clip.sha256 in recordings
        or (not clip.sha256 and clip.clip_id in names)
    ]
    if not theirs:
        return None
    return KeptRows(
        dataset=path,
        clip_ids=tuple(clip.clip_id for clip in theirs),
        of_clips=len(info.clips),
        pairs=sum(clip.pairs for clip in theirs),
        of_pairs=info.pairs,
        scope=info.scope,
        calibrated=bool(recordings & _calibrated_on(path)),
    )


def _find_cut(path: Path, names: set[str]) -> list[Path]:
    """What a killed build of a dataset left of these clips, and what a killed removal left of the dataset."""
    built = [file for file in partial_of(path).glob("*/*") if file.name.lstrip(".").partition(".")[0] in names]
    return built + [folder for folder in [removing_of(path)] if folder.exists()]


def partial_of(dataset: Path) -> Path:
    """Where a dataset is while it is built."""
    return dataset.with_name(f"{dataset.name}.partial")


def removing_of(dataset: Path) -> Path:
    """Where a dataset is while it is removed."""
    return dataset.with_name(f".{dataset.name}.removing")


def _calibrated_on(dataset: Path) -> set[str]:
    """SHA-256 of the recordings that a dataset's calibration was fitted on; none where that is not told."""
    try:
        return set(read_calibration(dataset / CALIBRATION_NAME).clips.values())
    except CalibrationError:
        return set()


def _find_runs(folder: Path, rows: Sequence[KeptRows]) -> tuple[Path, ...]:
    """Runs that were trained on a split with somebody's rows in it: config.json tells the hash of their pairs."""
    if not folder.is_dir():
        raise ConsentError(f"{folder}: no such folder; give the one that holds the runs")
    trained = {path: _trained_on(path) for path in [folder, *sorted(folder.glob("*"))]}
    if not any(trained.values()):
        return ()
    hashes = {each for part in rows for each in _hash_splits(part)}
    return tuple(path for path, data in trained.items() if data in hashes)


def _trained_on(run: Path) -> str:
    """SHA-256 of the pairs that a run was trained on; "" of no run."""
    try:
        return str(json.loads((run / "config.json").read_text())["data"]["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _hash_splits(rows: KeptRows) -> set[str]:
    """SHA-256, as a run keeps it, of all that holds a clip of theirs and is trained on in some way of splitting."""
    named_splits = read_info(rows.dataset).named_splits
    splits = {tuple(sides.get("train", ())) for sides in named_splits.values()}
    for name in named_splits:
        with suppress(DatasetError):  # a way that leaves nothing to train on
            splits.add(choose_sides(named_splits, name).trained)
    hashes = set()
    for clip_ids in splits:
        if set(clip_ids) & set(rows.clip_ids):
            pairs = load_clips(rows.dataset, clip_ids)
            digest = hashlib.sha256(pairs.images.tobytes())
            digest.update(pairs.heatmaps.tobytes())
            hashes.add(digest.hexdigest())
    return hashes


def _say_unknown(ledger: Ledger, subject: str) -> str:
    """Why nobody of that name is found, in one line."""
    if consent := ledger.find(subject):
        return f"{subject} is a consent; the person who gave it is {consent.subject}"
    if stone := ledger.tombstone(consent_id=subject):
        return f"{subject} was a consent of a person who was removed on {stone.removed}; name the person"
    return f"subject {subject} is not in {ledger.path}; `lrt subject list` shows who is"
