"""A person taken out of all that was kept of them, or handed all of it."""

import io
import json
import shutil
import zipfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lrt.console import people
from lrt.dataset import subjects
from lrt.dataset.build import build_dataset
from lrt.dataset.config import BuildConfig
from lrt.dataset.consent import ConsentError, read_ledger
from lrt.dataset.info import read_info
from lrt.dataset.ledger import add_consent
from lrt.dataset.loading import load_pairs
from lrt.dataset.schema import DatasetError
from lrt.dataset.subjects import export_subject, remove_subject
from lrt.dataset.traces import Traces, find_traces
from lrt.rig.clip import ClipError

TODAY = date(2026, 6, 1)
ANNA, BEN = "S-00aa", "S-00bb"


@pytest.fixture(scope="module")
def before(make_clip, calibration_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of Anna (P01, P02), of Ben (P03), of both; two datasets, one with both people and one of Anna alone."""
    home = tmp_path_factory.mktemp("people")
    for number, subject in (("P01", ANNA), ("P02", ANNA), ("P03", BEN)):
        add_consent(home / "clips", number, "publish", date(2026, 2, 1), subject)
    made = [
        make_clip(home / "clips", clip_id, number, consent=consent, room="hall")
        for number, (clip_id, consent) in enumerate(
            (("one", "P01"), ("two", "P02"), ("three", "P03"), ("four", "P03"), ("both", "P01,P03"))
        )
    ]
    build_dataset(made, calibration_path, home / "all", BuildConfig(test_clips=("one", "four")))
    build_dataset(made[:2], calibration_path, home / "anna")
    build_dataset(made, calibration_path, home / "public", BuildConfig(scope="publish"))
    return home


@pytest.fixture
def home(before: Path, tmp_path: Path) -> Path:
    """A copy, to change."""
    return Path(shutil.copytree(before, tmp_path / "home"))


def look(home: Path, subject: str = ANNA, runs: Path | None = None) -> Traces:
    return find_traces(home / "clips", subject, [home / "all", home / "anna", home / "public"], runs)


def remove(home: Path, clips: bool = True, subject: str = ANNA, runs: Path | None = None) -> subjects.Removal:
    return remove_subject(look(home, subject, runs), TODAY, clips, home / "masks")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def bytes_with(home: Path, *needles: str) -> list[Path]:
    """Files in which one of these words stands."""
    words = [needle.encode() for needle in needles]
    return [file for file in home.rglob("*") if file.is_file() and any(word in file.read_bytes() for word in words)]


# -------------------------------------------------------------------------------------------------------------- finding


def test_all_of_a_person_is_found_and_nothing_of_others(home: Path) -> None:
    traces = look(home)
    assert [(clip.clip_id, clip.others) for clip in traces.kept] == [("both", 1), ("one", 0), ("two", 0)]
    found = {rows.dataset.name: (len(rows.clip_ids), rows.of_clips, rows.pairs) for rows in traces.rows}
    assert found == {"all": (3, 5, 36), "anna": (2, 2, 24), "public": (3, 5, 36)}
    assert {rows.scope for rows in traces.rows} == {"internal", "publish"}
    assert [clip.clip_id for clip in look(home, BEN).kept] == ["both", "four", "three"]
    assert [rows.dataset.name for rows in look(home, BEN).rows] == ["all", "public"]


def test_finding_changes_nothing(home: Path) -> None:
    was = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    look(home)
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == was


def test_who_is_not_there_is_said_in_one_line(home: Path) -> None:
    with pytest.raises(ConsentError, match=r"subject S-ffff is not in .*consents\.toml; `lrt subject list`"):
        look(home, "S-ffff")
    with pytest.raises(ConsentError, match=f"P01 is a consent; the person who gave it is {ANNA}"):
        look(home, "P01")
    with pytest.raises(DatasetError, match="not a dataset"):
        find_traces(home / "clips", ANNA, [home / "nowhere"])
    with pytest.raises(ConsentError, match="no such folder"):
        look(home, runs=home / "runs")


# ------------------------------------------------------------------------------------------------------------- removing


def test_the_person_is_gone_from_clips_and_datasets_and_the_others_keep_every_byte(home: Path) -> None:
    shards = {name: (home / f"all/data/{name}.parquet").read_bytes() for name in ("three", "four")}
    recordings = [clip.recording for clip in look(home).kept]
    done = remove(home)
    assert sorted(path.name for path in done.clips) == ["both", "one", "two"]
    assert ([path.name for path in done.rebuilt], [path.name for path in done.emptied]) == (["all", "public"], ["anna"])
    assert names(home / "clips") == ["consents.toml", "four", "three"]
    assert names(home) == ["all", "clips", "public"]

    info = read_info(home / "all")
    assert [(clip.clip_id, clip.split) for clip in info.clips] == [("four", "test"), ("three", "train")]
    assert info.named_splits["default"] == {"train": ["three"], "test": ["four"]}
    assert info.pairs == 24 == sum(load_pairs(home / "all", split).images.shape[0] for split in ("train", "test"))
    assert {name: (home / f"all/data/{name}.parquet").read_bytes() for name in shards} == shards
    assert names(home / "all/data") == ["four.parquet", "three.parquet"]
    assert len(read_info(home / "public").clips) == 2
    for file in (home / "public/data").iterdir():
        assert set(pq.read_table(file, columns=["subject"]).column("subject").to_pylist()) == {BEN}

    assert bytes_with(home, "P01", "P02", ANNA) == []
    (stone,) = read_ledger(home / "clips").removed
    assert (stone.removed, stone.recordings) == (TODAY, tuple(sorted(recordings)))


def test_without_their_raw_clips_no_dataset_takes_them_any_more(
    home: Path, calibration_path: Path, tmp_path: Path
) -> None:
    remove(home, clips=False)
    assert names(home / "clips") == ["both", "consents.toml", "four", "one", "three", "two"]
    clips = [home / "clips" / name for name in ("one", "both", "three")]
    info = build_dataset(clips, calibration_path, tmp_path / "again").info
    assert [clip.clip_id for clip in info.clips] == ["three"]
    assert {clip.clip_id for clip in info.clips_left_out} == {"one", "both"}
    people.mend_tags(home / "clips/one", consent="P03")  # under another's consent the recording is known all the same
    again = build_dataset(clips, calibration_path, tmp_path / "once-more").info
    assert [clip.clip_id for clip in again.clips] == ["three"]
    with pytest.raises(ConsentError, match="removed on 2026-06-01 already; 3 clips are still there"):
        remove(home, clips=False)
    assert len(remove(home).clips) == 3


def test_a_person_removed_twice_is_one_clear_line(home: Path) -> None:
    remove(home)
    before = (home / "clips/consents.toml").read_bytes()
    with pytest.raises(ConsentError, match=rf"^subject {ANNA} was removed on 2026-06-01 already$"):
        remove_subject(find_traces(home / "clips", ANNA, [home / "all"]), TODAY, True, home / "masks")
    assert (home / "clips/consents.toml").read_bytes() == before
    with pytest.raises(ConsentError, match="P01 was a consent of a person who was removed"):
        look(home, "P01")


@pytest.mark.parametrize("calls", range(6))
def test_a_removal_that_was_cut_off_anywhere_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    """The process dies before the n-th thing that it takes away: three clips, a dataset, a rebuilt one, another."""
    left = calls

    def dying(work):
        def run(*arguments):
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            return work(*arguments)

        return run

    for name in ("remove_clip", "drop_clips", "_remove_dataset"):
        monkeypatch.setattr(subjects, name, dying(getattr(subjects, name)))
    with pytest.raises(KeyboardInterrupt):
        remove(home)
    monkeypatch.undo()
    assert read_ledger(home / "clips").removed
    remove(home)
    assert names(home / "clips") == ["consents.toml", "four", "three"]
    assert names(home) == ["all", "clips", "public"]
    assert bytes_with(home, "P01", "P02", ANNA) == []


def test_a_clip_half_removed_is_finished(home: Path) -> None:
    remove(home)
    (home / "clips/.one.removing").mkdir()
    (home / "clips/.one.removing/clip.mcap").write_bytes(b"pictures of Anna")
    remove_subject(find_traces(home / "clips", ANNA), TODAY, True, home / "masks")
    assert names(home / "clips") == ["consents.toml", "four", "three"]


def test_what_a_killed_build_left_of_them_goes_too(home: Path) -> None:
    partial = Path(shutil.copytree(home / "all", home / "new.partial"))
    (partial / "data/.one.partial").write_bytes(b"half a shard")
    found = find_traces(home / "clips", ANNA, [home / "new"])
    assert sorted(file.name for file in found.cut) == [".one.partial", "both.parquet", "one.parquet", "two.parquet"]
    remove_subject(found, TODAY, False, home / "masks")
    assert names(partial / "data") == ["four.parquet", "three.parquet"]


def test_a_dataset_that_was_being_removed_or_exchanged_when_the_process_was_killed_is_seen_to(home: Path) -> None:
    remove(home)
    shutil.copytree(home / "all", home / ".anna.removing")
    remove(home)
    assert names(home) == ["all", "clips", "public"]
    (home / "public").rename(home / ".public.old")  # killed between the two renames of an exchange
    found = find_traces(home / "clips", BEN, [home / "all", home / "public"])
    assert [rows.dataset.name for rows in found.rows] == ["all", "public"]


def test_kept_masks_go_too(home: Path) -> None:
    (home / "masks").mkdir()
    (home / "masks/ab.mask").write_bytes(b"a silhouette")
    assert remove(home).masks == 1
    assert names(home / "masks") == []


def test_a_clip_being_recorded_holds_all_of_it_up(home: Path) -> None:
    traces = look(home)
    busy = replace(traces, kept=(replace(traces.kept[0], state="recording"), *traces.kept[1:]))
    with pytest.raises(ConsentError, match="clip both is being recorded"):
        remove_subject(busy, TODAY, True, home / "masks")
    assert not read_ledger(home / "clips").removed


def test_a_clip_that_cannot_be_read_is_named(home: Path) -> None:
    (home / "clips/two/clip.json").write_text("{")
    traces = look(home)
    assert [folder.name for folder in traces.unreadable] == ["two"]
    assert [rows.dataset.name for rows in traces.rows] == ["all", "anna", "public"]  # the datasets know it all the same


def test_a_disk_that_refuses_is_one_line_and_the_next_time_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_folder: Path) -> None:
        raise ClipError("clip one could not be removed: Input/output error")

    monkeypatch.setattr(subjects, "remove_clip", refuse)
    with pytest.raises(ClipError, match="Input/output error"):
        remove(home)
    monkeypatch.undo()
    assert len(remove(home).clips) == 3


# ----------------------------------------------------------------------------------------------------------------- runs


def make_run(path: Path, dataset: Path, named: str = "default") -> None:
    """A run's folder as `lrt train` begins it."""
    from lrt.model.config import train_config
    from lrt.model.record import RunRecord
    from lrt.model.run import Run

    Run.create(
        path, RunRecord.of(train_config("smoke", "spade-sr-64", (5, 8), 0), load_pairs(dataset, "train", named), None)
    )


def test_runs_trained_on_them_are_named_and_remembered(home: Path, calibration_path: Path) -> None:
    make_run(home / "runs/all", home / "all")
    make_run(home / "runs/anna", home / "anna")
    build_dataset([home / "clips/three"], calibration_path, home / "ben")
    make_run(home / "runs/ben", home / "ben")
    (home / "runs/notes").mkdir()
    traces = look(home, runs=home / "runs")
    assert [run.name for run in traces.runs] == ["all", "anna"]
    assert remove_subject(traces, TODAY, False, home / "masks").runs == ("all", "anna")
    assert names(home / "runs") == ["all", "anna", "ben", "notes"]
    assert remove_subject(find_traces(home / "clips", ANNA), TODAY, True, home / "masks").runs == ("all", "anna")


def test_a_run_on_a_split_that_holds_them_out_was_not_trained_on_them(home: Path) -> None:
    make_run(home / "runs/without", home / "all", f"leave-{ANNA}-out")
    make_run(home / "runs/with", home / "all", f"leave-{BEN}-out")
    assert [run.name for run in look(home, runs=home / "runs").runs] == ["with"]


# --------------------------------------------------------------------------------------------------------------- export


def test_an_export_holds_all_of_a_person_and_nothing_of_others(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "anna.zip"
    assert export_subject(look(home), out) == 2
    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == [
            "clips/one/clip.json",
            "clips/one/clip.mcap",
            "clips/two/clip.json",
            "clips/two/clip.mcap",
            "list.json",
        ]
        assert archive.read("clips/one/clip.mcap") == (home / "clips/one/clip.mcap").read_bytes()
        listed = json.loads(archive.read("list.json"))
        assert not any(word in archive.read("list.json").decode() for word in ("P03", BEN))
    assert [consent["consent_id"] for consent in listed["consents"]] == ["P01", "P02"]
    assert {clip["clip_id"]: clip["here"] for clip in listed["clips"]} == {"one": True, "two": True, "both": False}
    assert {rows["dataset"]: rows["pairs"] for rows in listed["datasets"]} == {"all": 36, "anna": 24, "public": 36}
    with pytest.raises(ConsentError, match="exists already"):
        export_subject(look(home), out)
    with pytest.raises(ConsentError, match="cannot be written"):
        export_subject(look(home), tmp_path / "nowhere/anna.zip")


# ------------------------------------------------------------------------------------------------------------- commands


def test_the_command_says_what_it_will_do_asks_and_does_it(run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    arguments = ("subject", "remove", ANNA, "--dataset", "all", "--dataset", "public", "--clips")
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    code, out, err = run(*arguments)
    assert (code, out) == (130, "")
    assert names(Path("clips")) == ["both", "consents.toml", "four", "one", "three", "two"]
    assert err.splitlines()[:6] == [
        "clip clips/both (1 other people in it): removed",
        "clip clips/one: removed",
        "clip clips/two: removed",
        "dataset all: 3 of 5 clips, 36 of 60 pairs: rebuilt without them",
        "dataset public: 3 of 5 clips, 36 of 60 pairs: rebuilt without them",
        "  it was built to publish: tell whoever has a copy",
    ]
    code, out, _ = run(*arguments, "--yes")
    assert (code, out) == (0, f"subject {ANNA}: 3 clips removed, 2 datasets rebuilt without them\n")
    code, out, err = run(*arguments, "--yes")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith(f"lrt: subject {ANNA} was removed on ")
    capture = ("--clothing", "red", "--lighting", "dim", "--rig", "twin", "--seconds", 1)
    code, _, err = run("capture", "--clip-id", "new", "--consent", "P01", *capture)
    assert code == 1
    assert "consent P01 is of a person who was removed" in err


def test_people_are_listed_and_exported_by_command(run, home: Path, tmp_path: Path) -> None:
    code, out, _ = run("subject", "list", "--dir", home / "clips")
    assert code == 0
    assert out.splitlines() == [
        f"{ANNA}   consents P01, P02; 3 clips",
        "  both",
        "  one",
        "  two",
        f"{BEN}   consents P03; 3 clips",
        "  both",
        "  four",
        "  three",
    ]
    code, out, err = run("subject", "export", BEN, "--out", tmp_path / "ben.zip", "--dir", home / "clips", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["left_out"] == ["both"]
    assert json.loads(out)["clips"] == 2
