"""Loading: what was built, or one line that says why not."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import lrt.dataset
from lrt.dataset.build import BuildConfig, BuildReport, build_dataset
from lrt.dataset.info import read_info
from lrt.dataset.loading import load_pairs, normalise_heatmap, restore_heatmap
from lrt.dataset.schema import DatasetError


def edit_info(dataset: Path, **fields: object) -> None:
    path = dataset / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def edit_clips(dataset: Path, *drop: str, **fields: object) -> None:
    """Give every clip in `dataset.json` these fields, and take those from it."""
    clips: list[dict[str, Any]] = json.loads((dataset / "dataset.json").read_text())["clips"]
    kept = [{name: value for name, value in clip.items() if name not in drop} for clip in clips]
    edit_info(dataset, clips=[clip | fields for clip in kept])


def first_shard(dataset: Path) -> Path:
    return dataset / read_info(dataset).clips[0].shard


@pytest.fixture
def unhashed(copy: Path) -> Path:
    """The copy without its shards' hashes, as schema 1.0 had none: what is behind them has to hold alone."""
    edit_clips(copy, shard_sha256="")
    return copy


def refuse(path: Path, text: str, split: str = "train") -> None:
    with pytest.raises(DatasetError) as raised:
        load_pairs(path, split)
    assert text in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_split_is_in_memory_in_the_models_types(report: BuildReport) -> None:
    pairs = load_pairs(report.path)
    assert len(pairs) == 24
    assert (pairs.images.shape, pairs.images.dtype) == ((24, 40, 64, 3), np.uint8)
    assert (pairs.heatmaps.shape, pairs.heatmaps.dtype) == ((24, 5, 8), np.float32)
    assert (pairs.clip.dtype, pairs.frame.dtype) == (np.int32, np.int32)
    assert (pairs.clothing.dtype, pairs.lighting.dtype, pairs.occupants.dtype) == (np.int16,) * 3
    np.testing.assert_array_equal(pairs.clip, np.repeat([0, 1], 12))
    np.testing.assert_array_equal(pairs.clothing, np.repeat([1, 0], 12))
    np.testing.assert_array_equal(pairs.occupants, np.repeat([1, 0], 12))
    assert not pairs.synthetic


def test_what_a_twin_made_says_so(make_clip, calibration_path: Path, tmp_path: Path) -> None:
    twin = json.loads(calibration_path.read_text()) | {"synthetic": True}
    (tmp_path / "twin.json").write_text(json.dumps(twin))
    clip = make_clip(tmp_path, "twin", synthetic=True)
    report = build_dataset([clip], tmp_path / "twin.json", tmp_path / "out")
    assert load_pairs(report.path).synthetic
    assert "> **Made by the rig's digital twin: not data about people.**" in (report.path / "README.md").read_text()


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    refuse(tmp_path / "nowhere", "no such folder")


def test_another_folder_is_an_error(tmp_path: Path) -> None:
    refuse(tmp_path, "not a dataset (it holds no dataset.json)")


def test_a_split_that_is_not_there_is_an_error_that_names_those_that_are(
    report: BuildReport, clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    refuse(report.path, "no split 'validation' (a split is one of train, test); it has train, test", "validation")
    one = build_dataset(clips[:1], calibration_path, tmp_path / "one")
    refuse(one.path, "no split 'test'; it has train", "test")


def test_a_set_of_test_clips_alone_is_a_dataset(clips: list[Path], calibration_path: Path, tmp_path: Path) -> None:
    one = build_dataset(clips[:1], calibration_path, tmp_path / "one", BuildConfig(test_clips=("kitchen-00",)))
    assert len(load_pairs(one.path, "test")) == 12
    refuse(one.path, "no split 'train'; it has test")


def test_an_empty_dataset_is_an_error(copy: Path) -> None:
    edit_info(copy, clips=[])
    refuse(copy, "it has no pairs at all")


def test_another_major_schema_is_an_error_and_a_minor_one_is_not(copy: Path) -> None:
    edit_info(copy, schema="1.7.0")
    assert len(load_pairs(copy)) == 24
    edit_info(copy, schema="2.0.0")
    refuse(copy, "schema 2.0.0, this lrt reads 1.")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": "1.0.0"}', '{"schema": "1.0.0", "clips": [3]}', "\0"])
def test_a_damaged_description_is_an_error(copy: Path, content: str) -> None:
    (copy / "dataset.json").write_text(content)
    refuse(copy, "dataset.json")


def test_a_missing_shard_is_an_error(copy: Path) -> None:
    first_shard(copy).unlink()
    refuse(copy, f"{first_shard(copy)}: missing")


def test_any_bit_that_turned_is_an_error(copy: Path) -> None:
    shard = first_shard(copy)
    whole = shard.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 20).astype(int):
        shard.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        refuse(copy, f"{shard}: damaged, or of another dataset")


def test_a_whole_shard_of_another_build_is_an_error(copy: Path) -> None:
    shard = first_shard(copy)
    pq.write_table(pq.read_table(shard).take(list(reversed(range(12)))), shard)  # as many rows, in another order
    refuse(copy, f"{shard}: damaged, or of another dataset")


def test_a_cut_shard_is_an_error(unhashed: Path) -> None:
    shard = first_shard(unhashed)
    shard.write_bytes(shard.read_bytes()[:-200])
    refuse(unhashed, f"{shard}: damaged")


def test_a_shard_of_fewer_rows_is_an_error(unhashed: Path) -> None:
    shard = first_shard(unhashed)
    pq.write_table(pq.read_table(shard).slice(0, 5), shard)
    refuse(unhashed, "5 rows")


def test_a_damaged_picture_is_an_error(unhashed: Path) -> None:
    shard = first_shard(unhashed)
    table = pq.read_table(shard)
    rows = table.to_pydict()
    rows["rgb"][7]["bytes"] = b"no PNG"
    pq.write_table(type(table).from_pydict(rows, schema=table.schema), shard)
    refuse(unhashed, "picture 7 cannot be decoded")


def test_without_a_hash_damage_is_an_error_or_does_not_matter_but_never_a_wrong_pair(unhashed: Path) -> None:
    shard = first_shard(unhashed)
    whole, right = shard.read_bytes(), load_pairs(unhashed)
    caught = 0
    for place in np.random.default_rng(0).integers(0, len(whole), 60):
        shard.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        try:
            pairs = load_pairs(unhashed)
        except DatasetError:
            caught += 1
        else:  # in a column that is not read, or in a note
            for name in ("images", "heatmaps", "frame", "clothing", "lighting", "occupants"):
                np.testing.assert_array_equal(getattr(pairs, name), getattr(right, name))
    assert caught > 30


def test_a_dataset_of_schema_1_0_is_read_as_before(copy: Path) -> None:
    now = load_pairs(copy)
    shard = first_shard(copy)
    pq.write_table(pq.read_table(shard).drop_columns(["subject", "room", "tags"]), shard)
    edit_clips(copy, "shard_sha256", "subject", "room", "tags", "noise_c", "warnings", "inputs")
    path = copy / "dataset.json"
    later = {"named_splits", "scope", "vocabulary", "clips_left_out", "has_full", "notes"}
    saved = {name: value for name, value in json.loads(path.read_text()).items() if name not in later}
    path.write_text(json.dumps(saved | {"schema": "1.0.0"}))
    pairs = load_pairs(copy)
    np.testing.assert_array_equal(pairs.images, now.images)
    np.testing.assert_array_equal(pairs.clothing, now.clothing)
    assert (pairs.subjects, pairs.rooms, pairs.tags) == (("", ""), ("", ""), ((), ()))
    assert len(load_pairs(copy, "test")) == 12


def test_a_named_split_holds_out_what_it_says(copy: Path) -> None:
    default = {"train": ["kitchen-00", "kitchen-02"], "test": ["kitchen-01"]}
    red = {"train": ["kitchen-01", "kitchen-02"], "test": ["kitchen-00"]}
    edit_info(
        copy, named_splits={"default": default, "leave-red-out": red, "leave-blue-out": {"train": ["kitchen-02"]}}
    )
    held_out = load_pairs(copy, "test", "leave-red-out")
    assert held_out.clip_ids == ("kitchen-00",)
    assert set(held_out.clothing) == {held_out.vocabulary.clothing.index("red")}
    rest = load_pairs(copy, named="leave-red-out")
    assert rest.clip_ids == ("kitchen-01", "kitchen-02")
    assert not set(held_out.clothing) & set(rest.clothing)
    for split, named, text in (
        ("train", "leave-hat-out", "no way of splitting is named 'leave-hat-out'; it has default, leave-red-out"),
        ("test", "leave-blue-out", "no split 'test' of 'leave-blue-out'; it has train"),
    ):
        with pytest.raises(DatasetError) as raised:
            load_pairs(copy, split, named)
        assert text in str(raised.value)


def test_every_way_of_splitting_that_a_build_names_can_be_loaded(report: BuildReport) -> None:
    ways = report.info.named_splits
    assert {"default", "leave-red-out", "leave-blue-out"} <= ways.keys()
    for named, splits in ways.items():
        for split, clip_ids in splits.items():
            assert list(load_pairs(report.path, split, named).clip_ids) == sorted(clip_ids)


def test_what_is_known_of_a_clip_comes_with_it(copy: Path) -> None:
    edit_clips(copy, subject="S-7f3a", room="kitchen", tags=["hat", "window-open"])
    pairs = load_pairs(copy)
    assert (pairs.subjects, pairs.rooms) == (("S-7f3a",) * 2, ("kitchen",) * 2)
    assert pairs.tags == (("hat", "window-open"),) * 2


def test_the_labels_names_are_the_datasets_own(copy: Path) -> None:
    names = {
        "version": 2,
        "clothing": ["white", "red", "green", "blue", "black", "yellow"],
        "lighting": ["bright", "dim"],
    }
    edit_info(copy, vocabulary=names)
    pairs = load_pairs(copy)
    assert pairs.vocabulary.clothing[-1] == "yellow"
    assert [pairs.vocabulary.clothing[number] for number in pairs.clothing[::12]] == ["red", "white"]


def test_load_is_one_line_from_text_and_imports_nothing_before_it_is_called(report: BuildReport) -> None:
    assert lrt.dataset.load is load_pairs
    np.testing.assert_array_equal(lrt.dataset.load(str(report.path)).images, load_pairs(report.path).images)
    with pytest.raises(AttributeError, match=r"'lrt\.dataset' has no attribute 'lode'"):
        _ = lrt.dataset.lode
    code = "import sys, lrt.dataset; sys.exit(bool({'numpy', 'cv2', 'pyarrow', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_normal_range_is_19_to_30_degrees() -> None:
    celsius = np.array([10.0, 19.0, 24.5, 30.0, 45.0], np.float32)
    np.testing.assert_allclose(normalise_heatmap(celsius), [-1, -1, 0, 1, 1], atol=1e-6)
    np.testing.assert_allclose(restore_heatmap(normalise_heatmap(celsius)), [19, 19, 24.5, 30, 30], atol=1e-5)
    assert restore_heatmap(normalise_heatmap(celsius)).dtype == np.float32


def test_reading_what_it_says_needs_no_shard(copy: Path) -> None:
    for shard in (copy / "data").iterdir():
        shard.unlink()
    assert read_info(copy).pairs == 36
