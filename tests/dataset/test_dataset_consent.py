"""The ledger: who agreed to what, until when, and what is refused on whose account."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from lrt.dataset.consent import (
    SCOPES,
    Consent,
    ConsentError,
    Ledger,
    Tombstone,
    find_ledger,
    hash_id,
    read_ledger,
    split_consents,
)
from lrt.dataset.ledger import add_consent, bury, withdraw_consent
from lrt.rig.clip import ClipHeader

SIGNED, TODAY = date(2026, 2, 1), date(2026, 6, 1)
P07 = Consent("P07", "S-7f3a", "share", SIGNED, date(2027, 1, 31))
P08 = Consent("P08", "S-0001", "publish", SIGNED)
STONE = Tombstone(hash_id("S-dead"), (hash_id("P01"), hash_id("P02")), ("ab" * 32,), date(2026, 3, 1))
LEDGER = Ledger(Path("clips/consents.toml"), (P07, P08), (STONE,))


@pytest.mark.parametrize(
    ("consents", "scope", "reason"),
    [
        ("P07", "internal", None),
        ("P07", "share", None),
        ("P07", "publish", "consent P07 is for share, not for publish"),
        ("P08", "publish", None),
        ("P07,P08", "share", None),
        ("P08, P07", "publish", "consent P07 is for share, not for publish"),
        ("P99", "internal", None),
        ("P99", "share", "consent P99 is not in consents.toml"),
        ("P07,P99", "publish", "consent P07 is for share, not for publish"),
        ("P01", "internal", "consent P01 is of a person who was removed on 2026-03-01"),
        ("P08,P02", "publish", "consent P02 is of a person who was removed on 2026-03-01"),
    ],
)
def test_a_clip_goes_as_far_as_everybody_in_it_agreed(consents: str, scope: str, reason: str | None) -> None:
    assert LEDGER.refuse(consents, scope, TODAY) == reason


def test_a_consent_ends_after_its_last_day_or_when_it_is_withdrawn() -> None:
    assert P07.refuse("share", date(2027, 1, 31)) is None
    assert P07.refuse("internal", date(2027, 2, 1)) == "consent P07 expired on 2027-01-31"
    gone = replace(P08, withdrawn=date(2026, 5, 5))
    assert all(gone.refuse(scope, TODAY) == "consent P08 was withdrawn on 2026-05-05" for scope in SCOPES)


def test_a_recording_of_a_removed_person_is_known_under_another_consent_too() -> None:
    assert LEDGER.refuse("P08", "internal", TODAY, "ab" * 32) == "the person in it was removed on 2026-03-01"
    assert LEDGER.refuse("P08", "internal", TODAY, "") is None


def test_subjects_and_unknown_consents_of_several_people() -> None:
    assert split_consents(" P07,P08 ,,P07") == ("P07", "P08")
    assert LEDGER.subject("P08,P07") == "S-0001,S-7f3a"
    assert LEDGER.subject("P99,P07") == "S-7f3a"
    assert LEDGER.subject("P99") == ""
    assert LEDGER.unknown("P99,P07") == ("P99",)


def test_recording_is_refused_on_account_of_the_ledger_and_warned_of_without_an_entry() -> None:
    assert LEDGER.admit("P07,P08", TODAY) == ()
    (warning,) = LEDGER.admit("P99", TODAY)
    assert "consent P99 is not in clips/consents.toml" in warning
    assert "lrt consent add P99 --dir clips" in warning
    with pytest.raises(ConsentError, match=r"expired on 2027-01-31: no clip may be kept"):
        LEDGER.admit("P08,P07", date(2028, 1, 1))
    with pytest.raises(ConsentError, match="removed on 2026-03-01"):
        LEDGER.admit("P01", TODAY)
    with pytest.raises(ConsentError, match="'Anna Smith' is no pseudonym"):
        LEDGER.admit("Anna Smith", TODAY)


def test_a_scope_that_is_not_known_is_an_error() -> None:
    with pytest.raises(ConsentError, match="scope 'world'"):
        LEDGER.refuse("P07", "world", TODAY)


# ------------------------------------------------------------------------------------------------------------- the file


def test_what_is_written_is_read_and_comments_stay(tmp_path: Path) -> None:
    form = tmp_path / "P07.pdf"
    form.write_bytes(b"signed")
    first = add_consent(tmp_path, "P07", "share", SIGNED, "S-7f3a", date(2027, 1, 31), form)
    path = tmp_path / "consents.toml"
    path.write_text(path.read_text().replace("scope", "# asked twice\nscope"))
    second = add_consent(tmp_path, "P08", "internal", SIGNED, minor=True)
    withdrawn = withdraw_consent(tmp_path, "P07", TODAY)
    found = read_ledger(tmp_path)
    assert withdrawn == replace(first, withdrawn=TODAY)
    assert found.consents == (withdrawn, second)
    assert (first.form, first.form_sha256) == ("P07.pdf", hashlib.sha256(b"signed").hexdigest())
    assert "# asked twice" in path.read_text()
    assert path.read_text().startswith("# Consents")
    assert find_ledger(tmp_path / "kitchen-01").consents == found.consents


def test_a_pseudonym_is_made_and_is_the_persons_from_then_on(tmp_path: Path) -> None:
    first = add_consent(tmp_path, "P07", "share", SIGNED)
    assert len(first.subject) == 6
    assert first.subject.startswith("S-")
    again = add_consent(tmp_path, "P07b", "publish", SIGNED, first.subject)
    assert read_ledger(tmp_path).subject("P07b") == first.subject == again.subject
    others = {add_consent(tmp_path, f"Q{number}", "share", SIGNED).subject for number in range(20)}
    assert len(others | {first.subject}) == 21


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"consent_id": "Anna Smith"}, "no pseudonym"),
        ({"consent_id": "anna@example.org"}, "no pseudonym"),
        ({"consent_id": "P07,P08"}, "no pseudonym"),
        ({"subject": "Anna Smith"}, "subject 'Anna Smith' is no pseudonym"),
        ({"scope": "all"}, "scope 'all' is not known"),
        ({"scope": "share", "minor": True}, "minor's: its scope can only be internal"),
        ({"expires": date(2026, 1, 31)}, "before it was signed"),
        ({"form": Path("nowhere.pdf")}, "form nowhere.pdf cannot be read"),
        ({"form": Path("Anna Smith.pdf")}, "Anna Smith.pdf"),
        ({"consent_id": "P01"}, "of a person removed on 2026-03-01"),
        ({"subject": "S-dead"}, "of a person removed on 2026-03-01"),
    ],
)
def test_what_may_not_be_noted_is_refused_and_the_file_stays(tmp_path: Path, changes: dict, part: str) -> None:
    bury(tmp_path, STONE)
    before = (tmp_path / "consents.toml").read_bytes()
    with pytest.raises(ConsentError) as refused:
        add_consent(**{"clips": tmp_path, "consent_id": "P07", "scope": "share", "signed": SIGNED, **changes})
    assert part in str(refused.value)
    assert (tmp_path / "consents.toml").read_bytes() == before


def test_a_form_named_after_somebody_is_refused(tmp_path: Path) -> None:
    form = tmp_path / "Anna Smith.pdf"
    form.write_bytes(b"signed")
    with pytest.raises(ConsentError, match=r"form 'Anna Smith\.pdf'"):
        add_consent(tmp_path, "P07", "share", SIGNED, form=form)


def test_a_number_is_given_once_and_withdrawn_once(tmp_path: Path) -> None:
    add_consent(tmp_path, "P07", "share", SIGNED)
    with pytest.raises(ConsentError, match=r"P07 is in .* already"):
        add_consent(tmp_path, "P07", "publish", SIGNED)
    withdraw_consent(tmp_path, "P07", TODAY)
    with pytest.raises(ConsentError, match="withdrawn on 2026-06-01 already"):
        withdraw_consent(tmp_path, "P07", TODAY)
    with pytest.raises(ConsentError, match="P08 is not in"):
        withdraw_consent(tmp_path, "P08", TODAY)


def test_a_tombstone_takes_the_place_of_a_persons_consents_and_names_nothing(tmp_path: Path) -> None:
    for number, subject in (("P07", "S-7f3a"), ("P08", "S-7f3a"), ("P09", "S-0001")):
        add_consent(tmp_path, number, "share", SIGNED, subject)
    stone = Tombstone(hash_id("S-7f3a"), (hash_id("P07"), hash_id("P08")), ("cd" * 32,), TODAY, ("kitchen",))
    bury(tmp_path, stone)
    bury(tmp_path, replace(stone, runs=("hall", "kitchen")))
    found = read_ledger(tmp_path)
    assert [consent.consent_id for consent in found.consents] == ["P09"]
    assert found.removed == (replace(stone, runs=("hall", "kitchen")),)
    text = (tmp_path / "consents.toml").read_text()
    assert not any(word in text for word in ("P07", "P08", "S-7f3a"))


GOOD = '[[consent]]\nid = "P07"\nsubject = "S-1"\nscope = "share"\nsigned = 2026-01-01\n'


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("[[consent", "is not TOML"),
        ('[[consent]]\nid = "P07"', "not as `lrt consent add` writes it"),
        (GOOD.replace("2026-01-01", '"2026-01-01"'), "without quotes"),
        (GOOD.replace("share", "any"), "scope 'any'"),
        (GOOD * 2, "P07 stands there twice"),
        (GOOD + "minor = 0", "minor is 0"),
        (GOOD + "phone = 1", "phone"),
        ("consent = 3", "not as `lrt consent add` writes it"),
        ('[[removed]]\nsubject = "ab"', "not as `lrt consent add` writes it"),
    ],
)
def test_a_ledger_that_says_what_cannot_be_is_named_in_one_line(tmp_path: Path, content: str, part: str) -> None:
    (tmp_path / "consents.toml").write_text(content)
    with pytest.raises(ConsentError) as refused:
        read_ledger(tmp_path)
    assert part in str(refused.value)
    assert str(tmp_path / "consents.toml") in str(refused.value)


def test_two_who_write_at_once_lose_nothing(tmp_path: Path) -> None:
    script = (
        "import sys; from datetime import date; from pathlib import Path; from lrt.dataset.ledger import add_consent\n"
        "for n in range(15): add_consent(Path(sys.argv[1]), f'{sys.argv[2]}{n}', 'share', date(2026, 2, 1))"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), name]) for name in ("A", "B")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len(read_ledger(tmp_path).consents) == 30


# ---------------------------------------------------------------------------------------------------------- by commands


def test_the_ledger_is_kept_by_commands(run, make_clip, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    code, out, err = run("consent", "add", "P07", "--scope", "share", "--subject", "S-7f3a", "--dir", clips,
                         "--signed", "2026-02-01", "--expires", "2099-01-31")  # fmt: skip
    assert (code, out, err) == (0, "consent P07 of subject S-7f3a: share\n", "")
    assert run("consent", "add", "P08", "--scope", "internal", "--subject", "S-0001", "--signed", "2020-01-01",
               "--expires", "2020-02-01", "--dir", clips)[0] == 0  # fmt: skip
    make_clip(clips, "a", consent="P07,P99")
    code, out, _ = run("consent", "list", "--dir", clips)
    assert out.splitlines() == [
        "P07          S-7f3a   share     signed 2026-02-01, expires 2099-01-31  1 clips",
        "P08          S-0001   internal  signed 2020-01-01, expires 2020-02-01  0 clips  expired",
        "P99          not in the ledger, but named by clips",
    ]
    code, out, _ = run("consent", "withdraw", "P07", "--dir", clips)
    assert code == 0
    assert "lrt subject remove S-7f3a" in out
    code, out, err = run("consent", "withdraw", "P07", "--dir", clips)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert run("consent", "add", "Anna Smith", "--scope", "share", "--dir", clips)[0] == 1


def test_capture_refuses_a_consent_that_was_withdrawn_and_leaves_nothing(run, tmp_path: Path) -> None:
    add_consent(tmp_path, "P07", "share", SIGNED)
    withdraw_consent(tmp_path, "P07", TODAY)
    arguments = ("capture", "--clip-id", "a1", "--clothing", "red", "--lighting", "dim", "--rig", "twin")
    code, out, err = run(*arguments, "--seconds", 1, "--out", tmp_path, "--consent", "P08,P07")
    assert (code, out) == (1, "")
    assert err == "lrt: consent P07 was withdrawn on 2026-06-01: no clip may be kept under it\n"
    assert [path.name for path in tmp_path.iterdir()] == ["consents.toml"]


def test_capture_warns_of_a_consent_that_nobody_noted(tmp_path: Path) -> None:
    """Through the stage's own door: a twin shows nobody, so the rig here is a header that says it is real."""
    from lrt.console.people import admit_clip

    header = ClipHeader("a1", "unknown", "dim", 1, "P07", {})
    admitted, warnings = admit_clip(header, tmp_path)
    assert len(warnings) == 1
    assert "P07 is not in" in warnings[0]
    assert admitted.vocabulary is not None
    add_consent(tmp_path, "P07", "internal", SIGNED)
    assert admit_clip(header, tmp_path)[1] == ()
    assert admit_clip(replace(header, synthetic=True, clothing="red", consent="TEST"), tmp_path)[1] == ()
