"""Who may be recorded, who agreed to what, and what is kept of them: the consent and subject commands' stages."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ..dataset.consent import today
from .results import Result, StageError, plain


def admit_clip(header: Any, clips: Path) -> tuple[Any, tuple[str, ...]]:
    """The header to record with, and what to warn of, for a clip that may be recorded in this folder.

    It keeps the folder's vocabulary. The twin shows nobody: a consent that it names may be in no ledger, and the
    vocabulary is the built-in one, which is all that it can wear.

    Args:
        header: a `ClipHeader` with the clip's tags; `synthetic` says whether the twin makes it.
        clips: the folder that will hold it.

    Raises:
        TagError: a tag that the vocabulary does not know.
        ConsentError: the ledger says that nothing may be recorded under the consent.
    """
    from ..dataset.consent import read_ledger
    from ..dataset.tags import DEFAULT, find_vocabulary

    vocabulary = DEFAULT if header.synthetic else find_vocabulary(clips)
    vocabulary.check(header.clothing, header.lighting, header.occupants, recording=not header.synthetic)
    warnings = read_ledger(clips).admit(header.consent, today())
    return replace(header, vocabulary=vocabulary.as_dict()), () if header.synthetic else warnings


def add_consent(
    consent: str,
    scope: str,
    folder: Path,
    subject: str = "",
    signed: datetime | None = None,
    expires: datetime | None = None,
    form: Path | None = None,
    minor: bool = False,
) -> Result:
    """Note a signed consent, today's if no day is given.

    Raises:
        ConsentError: see `dataset.ledger.add_consent`.
    """
    from ..dataset.ledger import add_consent as add

    day = signed.date() if signed else today()
    end = expires.date() if expires else None
    return _show(add(folder, consent, scope, day, subject, end, form, minor))


def list_consents(folder: Path) -> Result:
    """Every consent of a folder of clips, what of it holds today, and how many clips were recorded under it."""
    from ..dataset.consent import SCOPES, read_ledger, split_consents

    ledger = read_ledger(folder)
    used = [split_consents(header.consent) for header in _headers(folder)]
    known = [
        {
            **_show(consent),
            "holds": consent.refuse(SCOPES[0], today()) is None,
            "clips": sum(consent.consent_id in consents for consents in used),
        }
        for consent in ledger.consents
    ]
    return {
        "ledger": str(ledger.path),
        "consents": known,
        "unknown": sorted({each for consents in used for each in consents if ledger.find(each) is None}),
        "removed": len(ledger.removed),
    }


def withdraw_consent(consent: str, folder: Path) -> Result:
    """Note that a consent was taken back today.

    Raises:
        ConsentError: it is not known, or was taken back before.
    """
    from ..dataset.ledger import withdraw_consent as withdraw

    return _show(withdraw(folder, consent, today()))


def list_subjects(folder: Path) -> Result:
    """Every person of a folder of clips, by pseudonym: their consents, and what was recorded of them."""
    from ..dataset.consent import read_ledger, split_consents

    ledger, headers = read_ledger(folder), _headers(folder)
    subjects = []
    for subject in dict.fromkeys(consent.subject for consent in ledger.consents):
        ids = [consent.consent_id for consent in ledger.consents if consent.subject == subject]
        theirs = [header for header in headers if set(ids) & set(split_consents(header.consent))]
        subjects.append({"subject": subject, "consents": ids, "clips": [header.clip_id for header in theirs]})
    return {"ledger": str(ledger.path), "subjects": subjects, "removed": len(ledger.removed)}


def find_traces(subject: str, folder: Path, datasets: Sequence[Path] = (), runs: Path | None = None) -> Any:
    """The `Traces` of a person, for `remove_subject`, `export_subject` and `show_traces`."""
    from ..dataset.traces import find_traces as find

    return find(folder, subject, datasets, runs)


def show_traces(traces: Any) -> Result:
    """What is kept of a person, in plain values."""
    return plain({**asdict(traces), "stone": None, "removed": traces.stone and str(traces.stone.removed)})


def remove_subject(traces: Any, clips: bool) -> Result:
    """Take a person out of all that was found of them, and every mask that was kept.

    Raises:
        ConsentError, ClipError, DatasetError: see `dataset.subjects.remove_subject`.
    """
    from ..calibration.mask_cache import cache_folder
    from ..dataset.subjects import remove_subject as remove

    done = remove(traces, today(), clips, cache_folder())
    return plain({"subject": traces.subject, **asdict(done)})


def export_subject(traces: Any, out: Path) -> Result:
    """Write all that is kept of a person into a ZIP file.

    Raises:
        ConsentError: see `dataset.subjects.export_subject`.
    """
    from ..dataset.subjects import export_subject as export

    clips = export(traces, out)
    return {
        "subject": traces.subject,
        "out": str(out),
        "clips": clips,
        "left_out": [clip.clip_id for clip in traces.kept if clip.others],
        "bytes": out.stat().st_size,
    }


def mend_tags(folder: Path, **tags: Any) -> Result:
    """Correct a clip's tags, keeping what stood there in its history.

    Clothing and lighting are chosen from the vocabulary of the folder that holds the clip, and the clip keeps that.

    Args:
        folder: the clip.
        tags: `clothing`, `lighting`, `occupants`, `consent`, `room`, `tags`; None leaves one as it is.

    Raises:
        TagError, ClipError, ConsentError: see there; nothing to change.
    """
    from getpass import getuser

    from ..dataset.consent import read_ledger
    from ..dataset.tags import find_vocabulary, join_vocabularies
    from ..rig.clip import ClipHeader
    from ..rig.clip import mend_tags as mend

    tags = {name: value for name, value in tags.items() if value is not None}
    if not tags:
        raise StageError("nothing to mend: give --clothing, --lighting, --occupants, --consent, --room or --tag")
    clips = folder.absolute().parent
    header = replace(ClipHeader.read(folder), **tags)
    vocabulary = own = join_vocabularies({header.clip_id: header.vocabulary})
    if tags.keys() & {"clothing", "lighting"}:
        vocabulary = find_vocabulary(clips)
    vocabulary.check(header.clothing, header.lighting, header.occupants, recording=True)
    if vocabulary != own:
        tags["vocabulary"] = vocabulary.as_dict()
    warnings = read_ledger(clips).admit(tags["consent"], today()) if "consent" in tags else ()
    mended = mend(folder, getuser(), **tags)
    return plain({"clip": str(folder), **asdict(mended), "warnings": warnings if not header.synthetic else ()})


def _headers(folder: Path) -> list[Any]:
    """The headers of a folder's clips, as far as they can be read; none of a folder that is not there."""
    from ..rig.clip import ClipHeader, list_clips

    found = list_clips(folder) if folder.is_dir() else []
    return [ClipHeader.read(summary.folder) for summary in found if summary.state != "unreadable"]


def _show(consent: Any) -> Result:
    """A consent in plain values, its days as text."""
    return {name: str(value) if isinstance(value, date) else value for name, value in asdict(consent).items()}
