"""Loading: what was built, or one line that says why not."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lrt.dataset.build import BuildConfig, BuildReport, build_dataset
from lrt.dataset.info import read_info
from lrt.dataset.loading import load_pairs, normalise_heatmap, restore_heatmap
from lrt.dataset.schema import DatasetError


def edit_info(dataset: Path, **fields: object) -> None:
    path = dataset / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


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
    (copy / "data" / "train-00001-of-00002.parquet").unlink()
    refuse(copy, "train-00001-of-00002.parquet: missing")


def test_a_cut_shard_is_an_error(copy: Path) -> None:
    shard = copy / "data" / "train-00000-of-00002.parquet"
    shard.write_bytes(shard.read_bytes()[:-200])
    refuse(copy, "train-00000-of-00002.parquet: damaged")


def test_a_shard_of_another_build_is_an_error(copy: Path) -> None:
    shard = copy / "data" / "train-00000-of-00002.parquet"
    pq.write_table(pq.read_table(shard).slice(0, 5), shard)
    refuse(copy, "5 rows")


def test_a_damaged_picture_is_an_error(copy: Path) -> None:
    shard = copy / "data" / "train-00000-of-00002.parquet"
    table = pq.read_table(shard)
    rows = table.to_pydict()
    rows["rgb"][7]["bytes"] = b"no PNG"
    pq.write_table(type(table).from_pydict(rows, schema=table.schema), shard)
    refuse(copy, "picture 7 cannot be decoded")


def test_a_damaged_shard_is_an_error_or_does_not_matter_but_never_a_wrong_pair(copy: Path) -> None:
    shard = copy / "data" / "train-00000-of-00002.parquet"
    whole, right = shard.read_bytes(), load_pairs(copy)
    caught = 0
    for place in np.random.default_rng(0).integers(0, len(whole), 60):
        shard.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        try:
            pairs = load_pairs(copy)
        except DatasetError:
            caught += 1
        else:  # in a column that is not read, or in a note
            for name in ("images", "heatmaps", "frame", "clothing", "lighting", "occupants"):
                np.testing.assert_array_equal(getattr(pairs, name), getattr(right, name))
    assert caught > 30


def test_the_normal_range_is_19_to_30_degrees() -> None:
    celsius = np.array([10.0, 19.0, 24.5, 30.0, 45.0], np.float32)
    np.testing.assert_allclose(normalise_heatmap(celsius), [-1, -1, 0, 1, 1], atol=1e-6)
    np.testing.assert_allclose(restore_heatmap(normalise_heatmap(celsius)), [19, 19, 24.5, 30, 30], atol=1e-5)
    assert restore_heatmap(normalise_heatmap(celsius)).dtype == np.float32


def test_reading_what_it_says_needs_no_shard(copy: Path) -> None:
    for shard in (copy / "data").iterdir():
        shard.unlink()
    assert read_info(copy).pairs == 36
