"""What a dataset of each scope takes in, and what a published one does not tell."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lrt.calibration.geometry import Calibration, read_calibration, write_calibration
from lrt.dataset.build import BuildConfig, BuildReport, build_dataset
from lrt.dataset.drop import drop_clips
from lrt.dataset.info import read_info
from lrt.dataset.loading import load_pairs
from lrt.dataset.publish import name_clip, name_room
from lrt.dataset.schema import DatasetError
from lrt.rig.clip import ClipHeader

LEDGER = """
[[consent]]
id = "P01"
subject = "S-0001"
scope = "publish"
signed = 2026-01-31

[[consent]]
id = "P02"
subject = "S-0002"
scope = "share"
signed = 2026-01-31

[[consent]]
id = "P03"
subject = "S-0003"
scope = "publish"
signed = 2026-01-31

[[consent]]
id = "P04"
subject = "S-0004"
scope = "publish"
signed = 2026-01-31
withdrawn = 2026-02-28
"""
SECRETS = ("anna", "kitchen", "serial-4711", "happy", "P01", "P03", "20260131", "/home/")


@pytest.fixture(scope="module")
def home(make_clip, calibration: Calibration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of four people under consents of three scopes, one not in the ledger; every word in them is a secret."""
    root = tmp_path_factory.mktemp("home")
    (root / "consents.toml").write_text(LEDGER)
    rig = {
        "sensor": {"kind": "amg8833", "rotation": 0, "mirror": False, "bus": "serial-4711"},
        "camera": {"kind": "opencv", "source": "serial-4711"},
    }
    for number, (clip_id, consent, room) in enumerate(
        [
            ("anna-1", "P01", "annas-kitchen"),
            ("anna-2", "P01", "annas-bath"),
            ("ben-1", "P02", "hall"),
            ("carl-1", "P03", "annas-kitchen"),
            ("dora-1", "P04", "hall"),
            ("emil-1", "P99", ""),
        ]
    ):
        make_clip(root, clip_id, number, consent=consent, room=room, tags=["happy"], rig=rig)
    clips = {name: ClipHeader.read(root / name).sha256 or "" for name in ("anna-1", "carl-1")}
    write_calibration(replace(calibration, clips=clips, masks="folder annas-20260131"), root / "calibration.json")
    return root


def build(home: Path, out: Path, **settings) -> BuildReport:
    clips = sorted(path.parent for path in home.glob("*/clip.json"))
    return build_dataset(clips, home / "calibration.json", out, BuildConfig(**settings), replace=out.exists())


@pytest.fixture(scope="module")
def published(home: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildReport:
    return build(home, tmp_path_factory.mktemp("published") / "out", scope="publish", test_clips=("anna-2",))


def taken(report: BuildReport) -> list[str]:
    return [clip.clip_id for clip in report.info.clips]


@pytest.mark.parametrize(
    ("scope", "names", "reasons"),
    [
        (
            "internal",
            ["anna-1", "anna-2", "ben-1", "carl-1", "emil-1"],
            {"dora-1": "consent P04 was withdrawn on 2026-02-28"},
        ),
        (
            "share",
            ["anna-1", "anna-2", "ben-1", "carl-1"],
            {
                "dora-1": "consent P04 was withdrawn on 2026-02-28",
                "emil-1": "consent P99 is not in consents.toml",
            },
        ),
    ],
)
def test_a_scope_takes_only_clips_whose_consents_go_so_far_and_counts_the_others(
    home: Path, tmp_path: Path, scope: str, names: list[str], reasons: dict[str, str]
) -> None:
    report = build(home, tmp_path / "out", scope=scope)
    assert taken(report) == names
    assert {clip.clip_id: clip.says for clip in report.info.clips_left_out} == reasons
    assert report.info.left_out["clip left out: consent"] == 12 * len(reasons)
    assert report.info.scope == scope
    assert f"| {12 * len(reasons)} | clip left out: consent |" in (report.path / "README.md").read_text()


def test_an_internal_dataset_says_whose_consent_nobody_noted_until_it_is_noted(home: Path, tmp_path: Path) -> None:
    report = build(home, tmp_path / "out")
    doubts = {clip.clip_id: [doubt for doubt in clip.warnings if "consent" in doubt] for clip in report.info.clips}
    assert {clip_id for clip_id, each in doubts.items() if each} == {"emil-1"}
    assert doubts["emil-1"] == ["consent: it stands in no consents.toml"]
    assert "| 1 | consent |" in (report.path / "README.md").read_text().splitlines()
    (home / "consents.toml").write_text(LEDGER + LEDGER[:80].replace("P01", "P99").replace("S-0001", "S-0099"))
    try:
        report = build(home, tmp_path / "out")
    finally:
        (home / "consents.toml").write_text(LEDGER)
    assert report.kept == 4  # the fifth has a subject now
    assert not any("consent" in doubt for clip in report.info.clips for doubt in clip.warnings)


def test_subjects_come_from_the_ledger_and_split_whole(home: Path, tmp_path: Path) -> None:
    report = build(home, tmp_path / "out", scope="share", split_by="subject", test_fraction=0.4)
    sides = {side: {clip.subject for clip in report.info.clips if clip.split == side} for side in ("train", "test")}
    assert sides["train"] | sides["test"] == {"S-0001", "S-0002", "S-0003"}
    assert not sides["train"] & sides["test"]
    assert report.info.named_splits["leave-S-0001-out"]["test"] == ["anna-1", "anna-2"]


def test_a_published_dataset_holds_who_agreed_to_that_under_other_names(home: Path, published: BuildReport) -> None:
    expected = {name_clip(ClipHeader.read(home / name).sha256 or "") for name in ("anna-1", "anna-2", "carl-1")}
    assert set(taken(published)) == expected
    assert all(re.fullmatch("c[0-9a-f]{12}", name) for name in expected)
    assert {clip.subject for clip in published.info.clips} == {"S-0001", "S-0003"}
    assert published.info.left_out["clip left out: consent"] == 36
    assert {clip.says for clip in published.info.clips_left_out} == {""}


def test_no_file_of_a_published_dataset_holds_a_name_a_serial_number_a_date_or_a_recordings_hash(
    home: Path, published: BuildReport
) -> None:
    hashes = [ClipHeader.read(clip.parent).sha256 or "" for clip in home.glob("*/clip.json")]
    clocks = [json.loads(clip.read_text())["clocks"]["start"] for clip in home.glob("*/clip.json")]
    hours = [str(clock["real_ns"])[:7] for clock in clocks]  # to a quarter; fewer digits are met by chance in a hash
    files = [path for path in published.path.rglob("*") if path.is_file()]
    assert len(files) == 7
    for path in files:
        content = path.read_bytes().lower() + path.name.encode()
        for secret in (*SECRETS, *hashes, *hours):
            assert secret.lower().encode() not in content, (path, secret)


def test_the_published_calibration_is_the_one_its_rows_name_and_cuts_alike(home: Path, published: BuildReport) -> None:
    path = published.path / "calibration.json"
    assert published.info.calibration_id == hashlib.sha256(path.read_bytes()).hexdigest()
    kept, original = read_calibration(path), read_calibration(home / "calibration.json")
    assert kept == replace(original, clips={}, masks="folder")


def test_a_published_clip_keeps_its_side_its_pictures_and_its_room_apart(
    home: Path, published: BuildReport, tmp_path: Path
) -> None:
    inside = build(home, tmp_path / "out", test_clips=("anna-2",))
    ours, theirs = load_pairs(inside.path, "test"), load_pairs(published.path, "test")
    assert ours.clip_ids == ("anna-2",)
    assert (ours.images == theirs.images).all()
    assert (ours.heatmaps == theirs.heatmaps).all()
    rooms = {clip.subject + clip.split: clip.room for clip in published.info.clips}
    assert rooms["S-0001train"] == rooms["S-0003train"] != rooms["S-0001test"]
    assert f"leave-{rooms['S-0001test']}-out" in published.info.named_splits
    assert all(re.fullmatch("room-[0-9a-f]{6}", room) for room in rooms.values())


def test_a_room_is_hidden_by_the_calibration_and_none_stays_none() -> None:
    assert name_room("", b"one") == ""
    assert name_room("bath", b"one") == name_room("bath", b"one") != name_room("bath", b"two")


def test_nothing_that_may_be_published_is_one_line(home: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nothing to build: all 1 clips are left out, .*: consent P02 is for share"):
        build_dataset([home / "ben-1"], home / "calibration.json", tmp_path / "out", BuildConfig(scope="publish"))
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------- taken out


def hash_shards(dataset: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (dataset / "data").iterdir()}


def test_a_clip_that_is_dropped_leaves_the_others_bytes_and_every_split_without_it(home: Path, tmp_path: Path) -> None:
    report = build(home, tmp_path / "out", test_clips=("anna-2", "ben-1"))
    before = hash_shards(report.path)
    info = drop_clips(report.path, ["anna-2"])
    assert hash_shards(report.path) == {name: each for name, each in before.items() if name != "anna-2.parquet"}
    assert info == read_info(report.path)
    assert info.named_splits["default"] == {"train": ["anna-1", "carl-1", "emil-1"], "test": ["ben-1"]}
    assert "leave-annas-bath-out" in report.info.named_splits
    assert "leave-annas-bath-out" not in info.named_splits
    assert sum(info.pair_errors.counts) == 48 if info.pair_errors else False
    assert b"anna-2" not in (report.path / "README.md").read_bytes() + (report.path / "dataset.json").read_bytes()
    assert load_pairs(report.path).clip_ids == ("anna-1", "carl-1", "emil-1")


def test_a_dataset_without_a_clip_and_one_from_which_it_was_dropped_are_alike(home: Path, tmp_path: Path) -> None:
    dropped = build(home, tmp_path / "dropped", test_fraction=0.0).path
    drop_clips(dropped, ["ben-1"])
    clips = [home / name for name in ("anna-1", "anna-2", "carl-1", "dora-1", "emil-1")]
    rebuilt = build_dataset(clips, home / "calibration.json", tmp_path / "rebuilt", BuildConfig(test_fraction=0.0))
    assert hash_shards(dropped) == hash_shards(rebuilt.path)
    assert read_info(dropped) == rebuilt.info


@pytest.mark.parametrize(
    ("names", "text"),
    [(["nobody"], "clip nobody is not in it"), (["anna-1", "anna-2", "ben-1", "carl-1", "emil-1"], "no clip would be")],
)
def test_what_cannot_be_dropped_is_one_line(home: Path, tmp_path: Path, names: list[str], text: str) -> None:
    out = build(home, tmp_path / "out").path
    with pytest.raises(DatasetError, match=text):
        drop_clips(out, names)
    assert len(read_info(out).clips) == 5


def test_a_damaged_shard_is_not_carried_over(home: Path, tmp_path: Path) -> None:
    out = build(home, tmp_path / "out").path
    (out / "data" / "ben-1.parquet").write_bytes(b"PAR1")
    with pytest.raises(DatasetError, match=r"ben-1.parquet: missing or damaged"):
        drop_clips(out, ["anna-1"])
