"""Writing `consents.toml`: a consent is added, taken back, or replaced by a tombstone.

The file is written whole, by one at a time, and what people wrote into it stays, comments too.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import tomlkit

from .. import write_whole
from .consent import LEDGER_NAME, Consent, ConsentError, Ledger, Tombstone, hash_id, read_ledger

_HEADER = """\
# Consents under which people were recorded. Whose they are is told by pseudonym: names stay on the signed forms.
# `lrt consent add`, `lrt consent withdraw` and `lrt subject remove` write here.
"""


def make_subject(ledger: Ledger) -> str:
    """A pseudonym that nobody in the ledger has, or had: `S-7f3a`."""
    taken = {consent.subject for consent in ledger.consents}
    while True:
        subject = f"S-{secrets.token_hex(2)}"
        if subject not in taken and ledger.tombstone(subject=subject) is None:
            return subject


def add_consent(
    clips: Path,
    consent_id: str,
    scope: str,
    signed: date,
    subject: str = "",
    expires: date | None = None,
    form: Path | None = None,
    minor: bool = False,
) -> Consent:
    """Note a signed consent.

    Args:
        clips: the folder that holds the clips; made if need be.
        subject: the person's pseudonym, where they have one already; "" makes one.
        form: the scan of the form, of which name and hash are kept.

    Raises:
        ConsentError: the id is taken, was a removed person's, or may be a name; a form that cannot be read.
    """
    with _change_ledger(clips) as (ledger, document):
        if ledger.find(consent_id):
            raise ConsentError(f"consent {consent_id} is in {ledger.path} already; withdraw it, or give another number")
        if stone := ledger.tombstone(consent_id=consent_id, subject=subject):
            raise ConsentError(
                f"consent {consent_id}: it, or {subject or 'its subject'}, is of a person removed on {stone.removed}; "
                "who agrees anew gets a new number and a new pseudonym"
            )
        consent = Consent(
            consent_id=consent_id,
            subject=subject or make_subject(ledger),
            scope=scope,
            signed=signed,
            expires=expires,
            form=form.name if form else "",
            form_sha256=_hash_form(form) if form else "",
            minor=minor,
        )
        _entries(document, "consent").append(_write_consent(consent))
    return consent


def withdraw_consent(clips: Path, consent_id: str, on: date) -> Consent:
    """Note that a consent was taken back: no dataset built from now on holds what was recorded under it.

    Raises:
        ConsentError: it is not known, or was withdrawn before.
    """
    with _change_ledger(clips) as (ledger, document):
        consent = ledger.find(consent_id)
        if consent is None:
            raise ConsentError(f"consent {consent_id} is not in {ledger.path}; `lrt consent list` shows what is")
        if consent.withdrawn is not None:
            raise ConsentError(f"consent {consent_id} was withdrawn on {consent.withdrawn} already")
        entry = next(entry for entry in _entries(document, "consent") if entry["id"] == consent_id)
        entry["withdrawn"] = on
    return replace(consent, withdrawn=on)


def bury(clips: Path, stone: Tombstone) -> None:
    """Put a tombstone in the place of a person's consents; one that stands there for them already is replaced."""
    with _change_ledger(clips) as (_, document):
        consents, removed = _entries(document, "consent"), _entries(document, "removed")
        for entry in [entry for entry in consents if hash_id(str(entry["subject"])) == stone.subject]:
            consents.remove(entry)
        for entry in [entry for entry in removed if entry["subject"] == stone.subject]:
            removed.remove(entry)
        table = tomlkit.table()
        table.update(
            {
                "subject": stone.subject,
                "consents": list(stone.consents),
                "recordings": list(stone.recordings),
                "removed": stone.removed,
                "runs": list(stone.runs),
            }
        )
        removed.append(table)


@contextmanager
def _change_ledger(clips: Path) -> Iterator[tuple[Ledger, tomlkit.TOMLDocument]]:
    """The ledger, and its document to change, which is written whole at the end; one at a time, comments kept."""
    try:
        clips.mkdir(parents=True, exist_ok=True)
        lock = os.open(clips, os.O_RDONLY)
    except OSError as error:
        raise ConsentError(f"{clips} cannot be used ({error.strerror}); give the folder of the clips") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once would lose one of two consents
        ledger = read_ledger(clips)
        document = tomlkit.parse(ledger.path.read_text(encoding="utf-8") if ledger.path.exists() else _HEADER)
        yield ledger, document
        for name in ("consent", "removed"):
            if name in document and not document[name]:
                del document[name]
        write_whole(ledger.path, tomlkit.dumps(document).encode())
    except OSError as error:
        raise ConsentError(f"{clips / LEDGER_NAME} cannot be written ({error.strerror})") from error
    finally:
        os.close(lock)


def _entries(document: tomlkit.TOMLDocument, name: str) -> Any:
    """The [[name]] tables of the file, made if there are none."""
    if name not in document:
        document.append(name, tomlkit.aot())
    return document[name]


def _write_consent(consent: Consent) -> Any:
    table = tomlkit.table()
    table.update({"id": consent.consent_id, "subject": consent.subject, "scope": consent.scope})
    table["signed"] = consent.signed
    if consent.expires is not None:
        table["expires"] = consent.expires
    if consent.form:
        table.update({"form": consent.form, "form_sha256": consent.form_sha256})
    table["minor"] = consent.minor
    return table


def _hash_form(form: Path) -> str:
    try:
        return hashlib.sha256(form.read_bytes()).hexdigest()
    except OSError as error:
        raise ConsentError(f"form {form} cannot be read ({error.strerror})") from error
