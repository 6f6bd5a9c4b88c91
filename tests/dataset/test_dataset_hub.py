"""Hugging Face `datasets` opens what we build, offline, with its types; the hub reads the card."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lrt.dataset.build import BuildReport
from lrt.dataset.loading import load_pairs
from lrt.dataset.schema import list_features


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """`datasets`, imported where it can reach no network and keeps its files to itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        import datasets

        datasets.disable_progress_bars()
        yield datasets


def test_datasets_opens_it_in_one_line_with_its_features(hub: ModuleType, report: BuildReport, tmp_path: Path) -> None:
    opened = hub.load_dataset(str(report.path), cache_dir=str(tmp_path))
    assert {split: len(rows) for split, rows in opened.items()} == {"train": 24, "test": 12}
    features = opened["train"].features
    assert features == hub.Features(
        {
            "rgb": hub.Image(),
            "heatmap": hub.Array2D((5, 8), "float32"),
            "heatmap_full": hub.Array2D((8, 8), "float32"),
            "clip_id": hub.Value("string"),
            "frame": hub.Value("int32"),
            "t_ns": hub.Value("int64"),
            "dt_ms": hub.Value("float32"),
            "clothing": hub.ClassLabel(names=["white", "red", "green", "blue", "black"]),
            "lighting": hub.ClassLabel(names=["bright", "dim"]),
            "occupants": hub.Value("int16"),
            "subject": hub.Value("string"),
            "room": hub.Value("string"),
            "tags": hub.List(hub.Value("string")),
            "calibration_id": hub.Value("string"),
            "synthetic": hub.Value("bool"),
        }
    )
    assert list(features) == list(list_features((5, 8)))


def test_its_rows_are_those_of_our_loader(hub: ModuleType, report: BuildReport, tmp_path: Path) -> None:
    ours = load_pairs(report.path)
    theirs = hub.load_dataset(str(report.path), split="train", cache_dir=str(tmp_path))
    for index, row in enumerate(theirs):
        np.testing.assert_array_equal(np.asarray(row["rgb"]), ours.images[index])
        np.testing.assert_array_equal(np.asarray(row["heatmap"], np.float32), ours.heatmaps[index])
        assert row["clip_id"] == ours.clip_ids[ours.clip[index]]
        assert (row["frame"], row["clothing"]) == (ours.frame[index], ours.clothing[index])


def test_it_streams(hub: ModuleType, report: BuildReport, tmp_path: Path) -> None:
    rows = list(hub.load_dataset(str(report.path), split="test", streaming=True, cache_dir=str(tmp_path)))
    assert [row["frame"] for row in rows] == list(range(12))
    np.testing.assert_array_equal(np.asarray(rows[5]["rgb"]), load_pairs(report.path, "test").images[5])


def test_a_shard_alone_and_the_card_alone_tell_the_same_features(
    hub: ModuleType, report: BuildReport, tmp_path: Path
) -> None:
    from huggingface_hub import DatasetCard

    shard = str(report.path / report.info.clips[0].shard)
    alone = hub.load_dataset("parquet", data_files=shard, split="train", cache_dir=str(tmp_path))
    card = DatasetCard.load(report.path / "README.md").data.to_dict()
    for config in card["dataset_info"]:
        assert alone.features == hub.Features._from_yaml_list(config["features"])
    assert alone.features == hub.Features.from_dict(list_features((5, 8)))


def test_the_hub_reads_the_cards_front_matter(hub: ModuleType, report: BuildReport) -> None:
    from huggingface_hub import DatasetCard

    assert hub
    front = DatasetCard.load(report.path / "README.md").data.to_dict()
    assert front["license"] == "other"
    assert front["size_categories"] == ["n<1K"]
    assert "synthetic" not in front["tags"]
    first, *others = front["configs"]
    assert first == {
        "config_name": "default",
        "default": True,
        "data_files": [
            {"split": "train", "path": ["data/kitchen-00.parquet", "data/kitchen-02.parquet"]},
            {"split": "test", "path": ["data/kitchen-01.parquet"]},
        ],
    }
    assert [config["config_name"] for config in others] == list(report.info.named_splits)[1:]


@pytest.mark.parametrize("streaming", [False, True])
def test_every_named_split_opens_with_the_clips_that_it_names(
    hub: ModuleType, report: BuildReport, tmp_path: Path, streaming: bool
) -> None:
    assert set(report.info.named_splits) == {"default", *(f"leave-{colour}-out" for colour in ("red", "blue", "white")),
        "leave-bright-out", "leave-dim-out"}  # fmt: skip
    for name, sides in report.info.named_splits.items():
        opened = hub.load_dataset(str(report.path), name, streaming=streaming, cache_dir=str(tmp_path))
        for side, clip_ids in sides.items():
            assert sorted({row["clip_id"] for row in opened[side]}) == clip_ids
