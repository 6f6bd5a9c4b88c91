"""What goes out in other layouts: read back by the libraries of these, it is what was in the dataset."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import datasets
import numpy as np
import pandas
import pyarrow.parquet as pq
import pytest
import webdataset

from lrt.dataset.foreign.authors import write_authors
from lrt.dataset.foreign.layout import STEP_C
from lrt.dataset.foreign.lerobot import write_lerobot
from lrt.dataset.foreign.webdataset import PAIRS_PER_TAR, write_webdataset
from lrt.dataset.info import read_info, write_info
from lrt.dataset.loading import PairSet, load_pairs
from lrt.dataset.schema import DatasetError

WRITERS = {"authors": write_authors, "lerobot": write_lerobot, "webdataset": write_webdataset}
writers = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)

left_open = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the package's own files


def silent(done: float, total: float) -> None:
    """Nobody watches."""


def both(folder: Path) -> list[PairSet]:
    """The training and the test pairs."""
    return [load_pairs(folder, split) for split in ("train", "test")]


# ------------------------------------------------------------------------------------------------------------ LeRobot


@pytest.fixture(scope="module")
def lerobot(pair_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset as LeRobotDataset."""
    out = tmp_path_factory.mktemp("lerobot") / "out"
    assert write_lerobot(pair_folder, out, silent) == {"train": 2, "test": 1}
    return out


def test_lerobot_rows_are_the_datasets(pair_folder: Path, lerobot: Path, tmp_path: Path) -> None:
    """Read by `datasets`, as LeRobotDataset does: every pixel and degree, row by row, training clips first."""
    rows = datasets.load_dataset(str(lerobot), split="train", cache_dir=str(tmp_path))

    images = np.stack([np.asarray(image) for image in rows["observation.images.rgb"]])
    assert np.array_equal(images, np.concatenate([pairs.images for pairs in both(pair_folder)]))
    heat = np.asarray(rows.with_format("numpy")["observation.heatmap"][:])
    assert np.array_equal(heat.reshape(-1, 5, 8), np.concatenate([pairs.heatmaps for pairs in both(pair_folder)]))
    shards = [pq.read_table(pair_folder / f"data/{clip}.parquet") for clip in "abc"]
    for name in ("t_ns", "dt_ms", "clip_id", "room", "subject", "synthetic"):
        assert rows[name][:] == [value for shard in shards for value in shard[name].to_pylist()]
    assert rows["clothing"][:] == ["red"] * 7 + ["black"] * 5 + ["white"] * 6
    assert rows["frame_index"][:] == [*range(7), *range(5), *range(6)]
    assert rows["timestamp"][:] == pytest.approx([frame / 10 for frame in rows["frame_index"][:]])
    assert rows["index"][:] == list(range(18))


def test_lerobot_meta_is_what_its_reader_looks_up(lerobot: Path) -> None:
    """info.json, the tasks by their text, and where each episode lies."""
    info = json.loads((lerobot / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["video_path"]) == ("v3.0", 10, None)
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, 18, 3)
    assert info["splits"] == {"train": "0:2", "test": "2:3"}
    assert info["features"]["observation.images.rgb"] == {
        "dtype": "image",
        "shape": [40, 64, 3],
        "names": ["height", "width", "channels"],
    }
    stored = pq.ParquetFile(lerobot / info["data_path"].format(chunk_index=0, file_index=0))
    assert stored.schema_arrow.names == list(info["features"])
    assert stored.num_row_groups == 3  # one an episode

    tasks = pandas.read_parquet(lerobot / "meta/tasks.parquet")
    assert tasks.loc["nobody in view, bright light"].task_index == 1
    episodes = pq.read_table(lerobot / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [(each["dataset_from_index"], each["dataset_to_index"], each["length"]) for each in episodes] == [
        (0, 7, 7),
        (7, 12, 5),
        (12, 18, 6),
    ]
    assert episodes[2]["tasks"] == ["one person in view, white shirt, dim light"]


def test_lerobot_statistics_are_those_of_the_values(pair_folder: Path, lerobot: Path) -> None:
    """Of all pairs, a channel and a cell each, in the shapes that policies normalise by."""
    found = json.loads((lerobot / "meta/stats.json").read_text())
    images = np.concatenate([pairs.images for pairs in both(pair_folder)]) / 255
    heat = np.concatenate([pairs.heatmaps for pairs in both(pair_folder)])

    of_images, of_heat = found["observation.images.rgb"], found["observation.heatmap"]
    assert np.shape(of_images["mean"]) == (3, 1, 1)
    for name, expected in (("mean", images.mean((0, 1, 2))), ("std", images.std((0, 1, 2)))):
        assert np.ravel(of_images[name]) == pytest.approx(expected)
    assert np.ravel(of_images["q10"]) == pytest.approx(np.quantile(images, 0.1, axis=(0, 1, 2)), abs=1 / 255)
    assert of_heat["max"] == pytest.approx(heat.max(0).ravel())
    assert of_heat["std"] == pytest.approx(heat.std(0).ravel(), rel=1e-5)
    assert (of_images["count"], of_heat["count"]) == ([18], [18])
    assert not {"clothing", "clip_id"} & found.keys()  # words have none


def test_lerobot_begins_another_file_when_one_is_long(
    pair_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An episode says in which file it lies."""
    monkeypatch.setattr("lrt.dataset.foreign.lerobot.FILE_MB", 0.01)
    write_lerobot(pair_folder, tmp_path / "out", silent)
    episodes = pq.read_table(tmp_path / "out/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [each["data/file_index"] for each in episodes] == [0, 1, 2]
    for number, count in enumerate((7, 5, 6)):
        assert pq.read_metadata(tmp_path / f"out/data/chunk-000/file-00{number}.parquet").num_rows == count


def test_lerobot_itself_reads_it(pair_folder: Path, lerobot: Path) -> None:
    """Where that package is installed, in an environment of its own: it wants an older torch than ours."""
    reader = pytest.importorskip("lerobot.datasets.lerobot_dataset", reason="lerobot is not installed")
    pairs = reader.LeRobotDataset("lrt/pairs", root=lerobot)
    train, test = both(pair_folder)
    assert len(pairs) == len(train) + len(test)
    last = pairs[len(pairs) - 1]
    assert np.array_equal(last["observation.heatmap"].numpy().reshape(5, 8), test.heatmaps[-1])
    assert np.array_equal((last["observation.images.rgb"].numpy() * 255).round(), test.images[-1].transpose(2, 0, 1))


# --------------------------------------------------------------------------------------------------------- WebDataset


@left_open
def test_webdataset_reads_every_pair(pair_folder: Path, tmp_path: Path) -> None:
    """Decoded by the package itself."""
    assert write_webdataset(pair_folder, tmp_path / "out", silent) == {"train": 1, "test": 1}
    for split, expected in zip(("train", "test"), both(pair_folder), strict=True):
        tar = str(tmp_path / f"out/{split}-000000.tar")
        pairs = list(webdataset.WebDataset(tar, shardshuffle=False).decode("rgb8"))
        assert np.array_equal(np.stack([pair["png"] for pair in pairs]), expected.images)
        assert np.array_equal(np.stack([pair["heatmap.npy"] for pair in pairs]), expected.heatmaps)
        assert [pair["json"]["clip_id"] for pair in pairs] == [expected.clip_ids[clip] for clip in expected.clip]
        assert [pair["json"]["frame"] for pair in pairs] == expected.frame.tolist()
    assert pairs[0]["__key__"] == "c-000000"
    assert pairs[0]["heatmap_full.npy"].shape == (8, 8)
    assert {name: pairs[0]["json"][name] for name in ("clothing", "lighting", "tags", "synthetic")} == {
        "clothing": "white",
        "lighting": "dim",
        "tags": ["window", "v2.1"],
        "synthetic": True,
    }


@left_open
def test_webdataset_cuts_a_split_into_tars(make_pairs: Callable[..., Path], tmp_path: Path) -> None:
    """So many pairs each, the clips in their order; a clip may go on in the next."""
    folder = make_pairs(tmp_path / "long", counts=(PAIRS_PER_TAR - 3, 8, 4))
    assert write_webdataset(folder, tmp_path / "out", silent) == {"train": 2, "test": 1}
    second = webdataset.WebDataset(str(tmp_path / "out/train-000001.tar"), shardshuffle=False)
    assert [pair["__key__"] for pair in second] == [f"b-{frame:06d}" for frame in range(3, 8)]


# -------------------------------------------------------------------------------------------------- the authors' layout


@pytest.fixture(scope="module")
def authors(pair_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset as LRT-Human has it."""
    out = tmp_path_factory.mktemp("authors") / "out"
    result = write_authors(pair_folder, out, silent)
    assert result["step_c"] == pytest.approx(11 / 255)
    heat = np.concatenate([pairs.heatmaps for pairs in both(pair_folder)])
    assert result["clipped"] == pytest.approx(((heat < 19) | (heat > 30)).mean())
    return out


def test_authors_folders_hold_every_frame(pair_folder: Path, authors: Path) -> None:
    """A PNG a frame: the picture to the pixel, the heat to half a step of 8 bits."""
    for pairs in both(pair_folder):
        for index, (clip, frame) in enumerate(zip(pairs.clip, pairs.frame, strict=True)):
            name = f"{pairs.clip_ids[clip]}/{frame}.png"
            picture = cv2.imread(str(authors / "rgb" / name))
            assert np.array_equal(picture[..., ::-1], pairs.images[index])
            level = cv2.imread(str(authors / "thermal" / name), cv2.IMREAD_UNCHANGED)
            assert level.dtype == np.uint8
            error_c = 19 + level * STEP_C - np.clip(pairs.heatmaps[index], 19, 30)
            assert np.abs(error_c).max() <= STEP_C / 2 + 1e-5


def test_authors_arrays_are_the_training_pairs_shuffled(pair_folder: Path, authors: Path) -> None:
    """As their loader takes them: floats in -1..1, BGR, each picture beside its own heat, and no test pair."""
    images, heat = np.load(authors / "rgb.npy"), np.load(authors / "thermal.npy")
    train = load_pairs(pair_folder)
    assert (images.dtype, images.shape, heat.shape) == (np.float32, (12, 40, 64, 3), (12, 5, 8, 1))
    pixels = np.rint(images[..., ::-1] * 127.5 + 127.5).astype(np.uint8)
    order = [next(row for row in range(12) if np.array_equal(train.images[row], each)) for each in pixels]
    assert sorted(order) == list(range(12))
    assert order != sorted(order)
    back_c = 19 + (heat[..., 0] + 1) / 2 * 11
    assert np.abs(back_c - np.clip(train.heatmaps[order], 19, 30)).max() <= STEP_C / 2 + 1e-5


# ---------------------------------------------------------------------------------------------------------- all of them


@writers
def test_an_export_repeats_to_the_byte(write: Callable[..., object], pair_folder: Path, tmp_path: Path) -> None:
    """No time, no order of a folder, no owner gets in."""
    sums = []
    for name in ("one", "two"):
        write(pair_folder, tmp_path / name, silent)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        sums.append(
            [(path.relative_to(tmp_path / name), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
        )
    assert sums[0] == sums[1]


@writers
def test_an_export_says_that_the_twin_made_it(write: Callable[..., object], pair_folder: Path, tmp_path: Path) -> None:
    """In the README that goes with it."""
    write(pair_folder, tmp_path / "out", silent)
    about = (tmp_path / "out/README.md").read_text()
    assert "not data about people" in about
    assert "18 pairs (12 train, 6 test) of 3 clips" in about


@writers
def test_pictures_of_people_leave_only_within_their_consents(
    write: Callable[..., object], make_pairs: Callable[..., Path], tmp_path: Path
) -> None:
    """A dataset of internal scope is refused; one built to be shared goes out."""
    internal = make_pairs(tmp_path / "internal", synthetic=False)
    with pytest.raises(DatasetError, match="of scope internal, so its pictures may not leave"):
        write(internal, tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()
    write(make_pairs(tmp_path / "shared", synthetic=False, scope="share"), tmp_path / "out", silent)
    assert "Scope of the consents: share" in (tmp_path / "out/README.md").read_text()


@writers
def test_one_clip_of_a_person_among_the_twins_stays(
    write: Callable[..., object], make_pairs: Callable[..., Path], tmp_path: Path
) -> None:
    """A dataset is free to go when nobody is in it, not when somebody is not."""
    folder = make_pairs(tmp_path / "mixed")
    info = read_info(folder)
    write_info(replace(info, clips=(replace(info.clips[0], synthetic=False), *info.clips[1:])), folder)
    with pytest.raises(DatasetError, match="may not leave"):
        write(folder, tmp_path / "out", silent)


@writers
def test_an_export_refuses_what_stands_there(write: Callable[..., object], pair_folder: Path, tmp_path: Path) -> None:
    """And leaves it alone."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    with pytest.raises(DatasetError, match="exists already"):
        write(pair_folder, tmp_path / "out", silent)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


@writers
def test_a_damaged_dataset_leaves_nothing_half_written(
    write: Callable[..., object], make_pairs: Callable[..., Path], tmp_path: Path
) -> None:
    """The last clip is damaged: what was written of the first ones goes too."""
    folder = make_pairs(tmp_path / "damaged")
    shard = folder / "data/c.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(DatasetError, match=r"c\.parquet"):
        write(folder, tmp_path / "out", silent)
    assert [path.name for path in tmp_path.iterdir()] == ["damaged"]


@writers
def test_an_export_that_was_killed_is_begun_anew(
    write: Callable[..., object], pair_folder: Path, tmp_path: Path
) -> None:
    """What it left under its working name is cleared, and is no part of what follows."""
    write(pair_folder, tmp_path / "out.partial", silent)
    write(pair_folder, tmp_path / "out", silent)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert read_info(pair_folder).pairs == 18
