"""Who agreed to be recorded, and to what: `consents.toml`, in the folder that holds the clips.

A clip names one consent, or several of several people: `P07,P08`. The ledger says whose they are, by pseudonym, how
far the recording may go, and until when. Names stand on the signed forms and nowhere here. Who was removed leaves a
tombstone of hashes: enough to know the person's consents and recordings again and refuse them, and no more. Hashes of
ids as short as these can be guessed by whoever has the file; they keep a removed id from being read, not from search.
Writing it: ledger.py.
"""

import hashlib
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from .. import LrtError

LEDGER_NAME = "consents.toml"
SCOPES = ("internal", "share", "publish")  # each lets do what the ones before it do
MINOR_SCOPE = "internal"  # the furthest that a recording of a minor goes
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_FORM = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def today() -> date:
    """The day by which consents begin, end and are refused: UTC, on every machine the same."""
    return datetime.now(UTC).date()


class ConsentError(LrtError, ValueError):
    """A consent that is missing, does not go so far, or was taken back."""


@dataclass(frozen=True)
class Consent:
    """One signed form.

    Attributes:
        consent_id: its number, as a clip names it.
        subject: the person's pseudonym; several consents of one person share it.
        scope: how far what is recorded may go, one of SCOPES.
        signed: the day.
        expires: the last day on which it holds; None: no end was agreed.
        form, form_sha256: name and hash of the scanned form, "" without one.
        minor: whether the person is under age; nothing of theirs goes beyond MINOR_SCOPE.
        withdrawn: the day it was taken back; None while it stands.

    Raises:
        ConsentError: an id that may be a name, an unknown scope, or days that cannot be.
    """

    consent_id: str
    subject: str
    scope: str
    signed: date
    expires: date | None = None
    form: str = ""
    form_sha256: str = ""
    minor: bool = False
    withdrawn: date | None = None

    def __post_init__(self) -> None:
        _check_id("consent", self.consent_id)
        _check_id("subject", self.subject)
        if self.scope not in SCOPES:
            raise ConsentError(f"scope '{self.scope}' is not known; choose one of {', '.join(SCOPES)}")
        if self.minor and self.scope != MINOR_SCOPE:
            raise ConsentError(f"consent {self.consent_id} is a minor's: its scope can only be {MINOR_SCOPE}")
        if self.expires is not None and self.expires < self.signed:
            raise ConsentError(f"consent {self.consent_id} expires {self.expires}, before it was signed {self.signed}")
        if self.form and not _FORM.fullmatch(self.form):
            raise ConsentError(f"form '{self.form}': name the file by letters, digits, '_', '.', '-', and after nobody")

    def refuse(self, scope: str, on: date) -> str | None:
        """Why nothing recorded under it may be in a dataset of this scope on that day; None if it may."""
        if self.withdrawn is not None:
            return f"consent {self.consent_id} was withdrawn on {self.withdrawn}"
        if self.expires is not None and on > self.expires:
            return f"consent {self.consent_id} expired on {self.expires}"
        if SCOPES.index(scope) > SCOPES.index(self.scope):
            return f"consent {self.consent_id} is for {self.scope}, not for {scope}"
        return None


@dataclass(frozen=True)
class Tombstone:
    """What is left of a person who was removed: SHA-256, hexadecimal, of their ids, and of their recordings.

    Attributes:
        subject, consents: of the pseudonym, and of each consent's id.
        recordings: of each clip.mcap, as clip.json and dataset.json tell them.
        removed: the day.
        runs: names of the runs that had been trained on them.
    """

    subject: str
    consents: tuple[str, ...]
    recordings: tuple[str, ...]
    removed: date
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ledger:
    """The consents of a folder of clips; empty where there is no file.

    Attributes:
        path: the file.
        consents: in the order of the file.
        removed: tombstones.
    """

    path: Path
    consents: tuple[Consent, ...] = ()
    removed: tuple[Tombstone, ...] = ()

    def find(self, consent_id: str) -> Consent | None:
        """The consent of that number."""
        return next((consent for consent in self.consents if consent.consent_id == consent_id), None)

    def tombstone(self, *, consent_id: str = "", subject: str = "", recording: str = "") -> Tombstone | None:
        """The tombstone that one of these is under."""
        by_consent, by_subject = hash_id(consent_id), hash_id(subject)
        return next(
            (
                stone
                for stone in self.removed
                if by_subject == stone.subject or by_consent in stone.consents or recording in stone.recordings
            ),
            None,
        )

    def subject(self, consent_ids: str) -> str:
        """Pseudonyms of the people who gave these consents, joined by commas; "" where none is known.

        Args:
            consent_ids: as a clip has them, joined by commas.
        """
        found = (self.find(each) for each in split_consents(consent_ids))
        return ",".join(dict.fromkeys(consent.subject for consent in found if consent))

    def unknown(self, consent_ids: str) -> tuple[str, ...]:
        """Those of a clip's consents that the ledger does not know."""
        return tuple(each for each in split_consents(consent_ids) if self.find(each) is None)

    def refuse(self, consent_ids: str, scope: str, on: date, recording: str = "") -> str | None:
        """Why a clip may not be in a dataset of this scope on that day; None if it may.

        A consent that is not known keeps a clip out of what leaves the house, and lets it into an internal dataset:
        `unknown` tells, and whoever builds warns.

        Args:
            consent_ids: as the clip has them, joined by commas: everybody in view must have agreed.
            scope: one of SCOPES.
            recording: SHA-256 of the clip's log: a copy under another consent is known too.

        Raises:
            ConsentError: no such scope.
        """
        if scope not in SCOPES:
            raise ConsentError(f"scope '{scope}' is not known; choose one of {', '.join(SCOPES)}")
        if recording and (stone := self.tombstone(recording=recording)):
            return f"the person in it was removed on {stone.removed}"
        for consent_id in split_consents(consent_ids):
            if stone := self.tombstone(consent_id=consent_id):
                return f"consent {consent_id} is of a person who was removed on {stone.removed}"
            consent = self.find(consent_id)
            if consent is None and scope != SCOPES[0]:
                return f"consent {consent_id} is not in {LEDGER_NAME}"
            if consent is not None and (reason := consent.refuse(scope, on)):
                return reason
        return None

    def admit(self, consent_ids: str, on: date) -> tuple[str, ...]:
        """What to warn of before recording under these consents.

        Raises:
            ConsentError: one may be a name, was withdrawn, has expired, or is a removed person's; nothing is recorded.
        """
        for consent_id in split_consents(consent_ids):
            _check_id("consent", consent_id)
        if reason := self.refuse(consent_ids, SCOPES[0], on):
            raise ConsentError(f"{reason}: no clip may be kept under it")
        return tuple(
            f"consent {each} is not in {self.path}: note it with `lrt consent add {each} --dir {self.path.parent}`, or "
            "the clip stays out of all that is shared or published"
            for each in self.unknown(consent_ids)
        )


def split_consents(consent_ids: str) -> tuple[str, ...]:
    """The consents of a clip, each once: "P07, P08" names two."""
    return tuple(dict.fromkeys(each.strip() for each in consent_ids.split(",") if each.strip()))


def hash_id(text: str) -> str:
    """SHA-256 of an id, hexadecimal; "" of none."""
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def find_ledger(clip: Path) -> Ledger:
    """The ledger beside a clip, in the folder that holds it; empty where there is no file.

    Args:
        clip: the clip's own folder.

    Raises:
        ConsentError: see `read_ledger`.
    """
    return read_ledger(clip.absolute().parent)


def read_ledger(clips: Path) -> Ledger:
    """The ledger in a folder of clips; empty where there is no file.

    Raises:
        ConsentError: it cannot be read, or says what cannot be; one line that names the file.
    """
    path = clips / LEDGER_NAME
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        consents = tuple(_read_consent(each) for each in found.get("consent", []))
        removed = tuple(_read_tombstone(each) for each in found.get("removed", []))
    except (FileNotFoundError, NotADirectoryError):
        return Ledger(path)
    except OSError as error:
        raise ConsentError(f"{path} cannot be read ({error.strerror})") from error
    except ConsentError as error:
        raise ConsentError(f"{path}: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ConsentError(f"{path}: an entry is not as `lrt consent add` writes it ({error})") from error
    except ValueError as error:  # no TOML, or no UTF-8
        raise ConsentError(f"{path} is not TOML: {error}") from error
    ids = [consent.consent_id for consent in consents]
    if twice := next((each for each in ids if ids.count(each) > 1), None):
        raise ConsentError(f"{path}: consent {twice} stands there twice; take one out")
    return Ledger(path, consents, removed)


def _read_consent(entry: dict[str, Any]) -> Consent:
    fields = {"consent_id" if name == "id" else name: value for name, value in entry.items()}
    for name in ("signed", "expires", "withdrawn"):
        if name in fields:
            fields[name] = _day(name, fields[name])
    if type(fields.get("minor", False)) is not bool:
        raise ConsentError(f"minor is {fields['minor']!r}; give true or false")
    return Consent(**fields)


def _read_tombstone(entry: dict[str, Any]) -> Tombstone:
    lists: dict[str, Sequence[str]] = {name: entry[name] for name in ("consents", "recordings", "runs")}
    return Tombstone(
        subject=entry["subject"],
        removed=_day("removed", entry["removed"]),
        **{name: tuple(value) for name, value in lists.items()},
    )


def _day(name: str, value: Any) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ConsentError(f"{name} is {value!r}; give a day, like 2026-01-31, without quotes")
    return value


def _check_id(what: str, text: str) -> None:
    """Refuse an id that may be somebody's name or address."""
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise ConsentError(
            f"{what} '{text}' is no pseudonym: give a number like P07, of letters, digits, '_', '.', '-', and no name"
        )
