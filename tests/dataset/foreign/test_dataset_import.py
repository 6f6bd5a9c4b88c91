"""Datasets of the authors' layout, brought in."""

import csv
import json
import shutil
import tarfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest

from lrt.dataset.consent import Ledger, Tombstone, hash_id
from lrt.dataset.foreign.authors import write_authors
from lrt.dataset.foreign.importing import ImportConfig, import_dataset
from lrt.dataset.foreign.layout import STEP_C
from lrt.dataset.foreign.lerobot import write_lerobot
from lrt.dataset.foreign.webdataset import write_webdataset
from lrt.dataset.info import DatasetInfo, read_info
from lrt.dataset.loading import load_pairs
from lrt.dataset.schema import DatasetError
from lrt.dataset.tags import CLOTHING, LIGHTING, Vocabulary


def silent(done: float, total: float) -> None:
    """Nobody watches."""


def bring_in(folder: Path, out: Path, **given: Any) -> DatasetInfo:
    """Import by these settings."""
    others = {name: given.pop(name) for name in ("tags", "ledger") if name in given}
    return import_dataset(folder, out, ImportConfig(**given), silent, **others)


def write_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def levels_of(clip: int, frame: int) -> np.ndarray:
    """(5, 8) uint8: what the heat of that frame is coded as."""
    return ((np.arange(40) * 6 + frame * 11 + clip * 3) % 256).astype(np.uint8).reshape(5, 8)


def picture_of(clip: int, frame: int) -> np.ndarray:
    """(40, 64, 3) uint8, RGB."""
    return np.random.default_rng([clip, frame]).integers(0, 256, (40, 64, 3), np.uint8)


@pytest.fixture
def human(tmp_path: Path) -> Path:
    """LRT-Human in small, as the authors' code writes it: two clips, named by their time, of 12 frames."""
    folder = tmp_path / "lrt-human"
    for clip, name in enumerate(("1643050280749", "1643050347295")):
        for frame in range(12):
            write_png(folder / f"rgb/{name}/{frame}.png", picture_of(clip, frame)[..., ::-1])
            write_png(folder / f"thermal/{name}/{frame}.png", levels_of(clip, frame))
    return folder


# ----------------------------------------------------------------------------------------------------------- what it is


def test_heat_is_19_to_30_degrees_in_8_bits(human: Path, tmp_path: Path) -> None:
    """Frames by their number (10 after 9), pictures to the pixel."""
    info = bring_in(human, tmp_path / "out")
    pairs = [load_pairs(tmp_path / "out", split) for split in info.splits]
    for each in pairs:
        for index, (clip, frame) in enumerate(zip(each.clip, each.frame, strict=True)):
            number = int(each.clip_ids[clip] == "1643050347295")
            assert np.array_equal(each.images[index], picture_of(number, frame))
            expected_c = 19 + levels_of(number, frame) / 255 * 11
            assert np.abs(each.heatmaps[index] - expected_c).max() < 1e-5
    assert sum(map(len, pairs)) == 24


def test_what_the_source_does_not_tell_is_said(human: Path, tmp_path: Path) -> None:
    """No times, no labels, no whole frame of the sensor: in the rows and on the card."""
    info = bring_in(human, tmp_path / "out", rate_hz=5)
    assert (info.sensor, info.camera) == ("AMG8833 on a microcontroller", "iPhone XS")
    assert (info.pair_errors, info.has_full, info.scope, info.synthetic) == (None, False, "internal", False)
    rows = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert "heatmap_full" not in rows.column_names
    assert (rows[0]["clothing"], rows[0]["lighting"], rows[0]["occupants"]) == (-1, -1, -1)
    assert np.isnan(rows[0]["dt_ms"])
    assert rows["t_ns"][:3] == [0, 200_000_000, 400_000_000]
    card = (tmp_path / "out/README.md").read_text()
    for words in ("in steps of 0.043 degC", "order at 5 Hz, which is assumed", "not known of 2 of 2 clips"):
        assert words in card


def test_heat_with_noise_is_another_folder(human: Path, tmp_path: Path) -> None:
    """As LRT-Human has it, beside the usual one; so is another range of heat."""
    shutil.copytree(human / "thermal", human / "thermal_noise05")
    write_png(human / "thermal_noise05/1643050280749/0.png", np.full((5, 8), 255, np.uint8))
    info = bring_in(human, tmp_path / "out", heat="thermal_noise05", coldest_c=10, warmest_c=40)
    assert info.clips[0].warmest_c == 40


def test_tags_come_from_a_table(human: Path, tmp_path: Path) -> None:
    """One line a clip; an empty cell, and a clip without a line, stay unknown."""
    tags = tmp_path / "tags.csv"
    tags.write_text("clip,clothing,lighting,room,subject,tags\n1643050347295,red,,lab,S01,a b\n")
    info = bring_in(human, tmp_path / "out", tags=tags)
    first, second = info.clips
    assert (first.clothing, first.room) == ("unknown", "")
    assert (second.clothing, second.lighting, second.room, second.subject) == ("red", "unknown", "lab", "S01")
    assert second.tags == ("a", "b")


# ------------------------------------------------------------------------------------------------------- there and back


@pytest.mark.parametrize(("layout", "shape"), [("lrt-human", (5, 8)), ("pair-lrt-human", (12, 16))])
def test_a_dataset_comes_back_from_the_authors_layout(
    layout: str, shape: tuple[int, int], make_pairs: Callable[..., Path], tmp_path: Path
) -> None:
    """Pixels as they were, heat to half a step of 8 bits (0.022 degC) within 19..30, labels and splits kept."""
    ours = make_pairs(tmp_path / "ours", shape=shape)
    write_authors(ours, tmp_path / "theirs", silent)
    info = bring_in(tmp_path / "theirs", tmp_path / "back", layout=layout)

    before = read_info(ours)
    assert info.named_splits["default"] == before.named_splits["default"]
    for name in ("sensor", "camera", "field_of_view_deg", "synthetic", "scope"):
        assert getattr(info, name) == getattr(before, name)
    for old, new in zip(before.clips, info.clips, strict=True):
        for name in ("clip_id", "clothing", "lighting", "occupants", "room", "subject", "tags", "synthetic", "pairs"):
            assert getattr(new, name) == getattr(old, name)
    for split in ("train", "test"):
        old, new = load_pairs(ours, split), load_pairs(tmp_path / "back", split)
        assert np.array_equal(new.images, old.images)
        assert np.abs(new.heatmaps - np.clip(old.heatmaps, 19, 30)).max() <= STEP_C / 2 + 1e-5
        assert new.clothing.tolist() == old.clothing.tolist()


def test_labels_of_ones_own_come_back(make_pairs: Callable[..., Path], tmp_path: Path) -> None:
    """With the vocabulary that numbers them."""
    own = Vocabulary(2, (*CLOTHING, "grey"), LIGHTING)
    write_authors(make_pairs(tmp_path / "ours", vocabulary=own), tmp_path / "theirs", silent)
    info = bring_in(tmp_path / "theirs", tmp_path / "back")
    assert info.clips[1].clothing == "grey"
    assert load_pairs(tmp_path / "back").vocabulary == own


@pytest.mark.parametrize("damaged", ["{", "[]", '{"sensor": "a"}'])
def test_a_damaged_source_file_is_one_line(damaged: str, human: Path, tmp_path: Path) -> None:
    """What tells of the recordings is ours, and small."""
    (human / "source.json").write_text(damaged)
    with pytest.raises(DatasetError, match=r"source\.json: not what `lrt dataset export` writes"):
        bring_in(human, tmp_path / "out")


@pytest.mark.parametrize(("layout", "shape"), [("lrt-human", (5, 8)), ("pair-lrt-human", (12, 16))])
def test_shuffled_arrays_are_one_clip(
    layout: str, shape: tuple[int, int], make_pairs: Callable[..., Path], tmp_path: Path
) -> None:
    """BGR turned to RGB, each picture with its heat; there is no split, and the card says why."""
    ours = make_pairs(tmp_path / "ours", shape=shape)
    write_authors(ours, tmp_path / "theirs", silent)
    for name in ("rgb", "thermal"):
        shutil.rmtree(tmp_path / "theirs" / name)
    info = bring_in(tmp_path / "theirs", tmp_path / "back", layout=layout)

    assert [(clip.clip_id, clip.pairs, clip.noise_c) for clip in info.clips] == [("shuffled", 12, None)]
    assert info.splits == {"train": 12}
    assert info.synthetic  # `source.json` tells
    assert "no split by clip is possible" in (tmp_path / "back/README.md").read_text()
    old, new = load_pairs(ours), load_pairs(tmp_path / "back")
    order = [next(row for row in range(12) if np.array_equal(old.images[row], each)) for each in new.images]
    assert sorted(order) == list(range(12))
    assert np.abs(new.heatmaps - np.clip(old.heatmaps[order], 19, 30)).max() <= STEP_C / 2 + 1e-4


@pytest.mark.parametrize("shuffled", [False, True], ids=["clips", "shuffled"])
def test_what_came_in_goes_out(shuffled: bool, make_pairs: Callable[..., Path], tmp_path: Path) -> None:
    """Without times, pairing errors and whole frames of the sensor, which no export then makes up."""
    write_authors(make_pairs(tmp_path / "ours"), tmp_path / "theirs", silent)
    if shuffled:
        shutil.rmtree(tmp_path / "theirs/rgb")
    bring_in(tmp_path / "theirs", tmp_path / "back")
    pairs = load_pairs(tmp_path / "back")

    write_lerobot(tmp_path / "back", tmp_path / "lerobot", silent)
    table = pq.read_table(tmp_path / "lerobot/data/chunk-000/file-000.parquet")
    assert not {"dt_ms", "observation.heatmap_full"} & set(table.column_names)
    heat = np.array(table["observation.heatmap"].to_pylist(), np.float32)
    assert np.array_equal(heat[: len(pairs)].reshape(-1, 5, 8), pairs.heatmaps)
    assert json.loads((tmp_path / "lerobot/meta/info.json").read_text())["fps"] == 10

    write_webdataset(tmp_path / "back", tmp_path / "tars", silent)
    with tarfile.open(tmp_path / "tars/train-000000.tar") as tar:
        first = tar.getnames()[:3]
        told = json.load(tar.extractfile(first[1]) or pytest.fail("not a file"))
    assert [name.split(".", 1)[1] for name in first] == ["heatmap.npy", "json", "png"]
    assert told["dt_ms"] is None


# ----------------------------------------------------------------------------------------------------------- bad input


def cut_png(folder: Path) -> None:
    path = folder / "rgb/1643050347295/3.png"
    path.write_bytes(path.read_bytes()[:40])


def lose_heatmap(folder: Path) -> None:
    (folder / "thermal/1643050280749/7.png").unlink()


def lose_clip(folder: Path) -> None:
    shutil.rmtree(folder / "thermal/1643050347295")


def mix_sizes(folder: Path) -> None:
    write_png(folder / "rgb/1643050347295/11.png", np.zeros((96, 128, 3), np.uint8))


def take_16_bits(folder: Path) -> None:
    write_png(folder / "thermal/1643050280749/2.png", np.zeros((5, 8), np.uint16))


def name_by_words(folder: Path) -> None:
    for side in ("rgb", "thermal"):
        (folder / side / "1643050280749/4.png").rename(folder / side / "1643050280749/four.png")


def lose_rgb(folder: Path) -> None:
    (folder / "rgb").rename(folder / "colour")


def empty_clip(folder: Path) -> None:
    for side in ("rgb", "thermal"):
        (folder / side / "nothing").mkdir()


def name_with_space(folder: Path) -> None:
    for side in ("rgb", "thermal"):
        (folder / side / "1643050280749").rename(folder / side / "Anna Smith")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (cut_png, r"rgb/1643050347295/3\.png: cannot be decoded as PNG; copy it again"),
        (lose_heatmap, r"1643050280749: 12 pictures, but 11 heatmaps in .*; 7\.png has no other half"),
        (lose_clip, r"rgb/1643050347295: there is no thermal/1643050347295"),
        (mix_sizes, r"11\.png: is 128x96, where lrt-human has 64x40"),
        (take_16_bits, r"2\.png: has 16 bits a channel, where lrt-human has 8"),
        (name_by_words, r"four\.png: frames are named by number"),
        (
            lose_rgb,
            r"not the layout lrt-human, .* rgb and thermal, or the files rgb\.npy and thermal\.npy; found colour",
        ),
        (empty_clip, r"nothing: holds no PNG"),
        (name_with_space, r"clip id 'Anna Smith': .*; rename its two folders"),
    ],
)
def test_a_damaged_source_is_one_line(damage: Callable[[Path], None], says: str, human: Path, tmp_path: Path) -> None:
    """Which file, what is wrong; and nothing is left behind."""
    damage(human)
    with pytest.raises(DatasetError, match=says):
        bring_in(human, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["lrt-human"]


@pytest.mark.parametrize(
    ("heat", "rgb", "says"),
    [
        (np.zeros((3, 5, 8, 1)), np.zeros((4, 40, 64, 3)), "4 pictures, but 3 heatmaps in thermal.npy"),
        (np.zeros((3, 8, 5, 1)), np.zeros((3, 64, 40, 3)), "of 3 x 64 x 40 x 3, where lrt-human has floats of N x 40"),
        (np.zeros((3, 5, 8, 1)), np.zeros((3, 40, 64, 3), np.uint8), "uint8 of 3 x 40 x 64 x 3"),
        (np.full((3, 5, 8, 1), 24.5), np.zeros((3, 40, 64, 3)), "holds 24.5, where floats lie in -1..1"),
        (np.full((3, 5, 8, 1), np.nan), np.zeros((3, 40, 64, 3)), "holds nan"),
        (np.array([{}, {}]), np.zeros((2, 40, 64, 3)), "not an array that can be read"),
    ],
)
def test_arrays_that_are_not_the_layouts_are_one_line(
    heat: np.ndarray, rgb: np.ndarray, says: str, tmp_path: Path
) -> None:
    """Shape, kind and range; nothing is unpickled."""
    folder = tmp_path / "flat"
    folder.mkdir()
    np.save(folder / "thermal.npy", heat)
    np.save(folder / "rgb.npy", rgb)
    with pytest.raises(DatasetError, match=says):
        bring_in(folder, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["flat"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("clip,colour\n1643050280749,red\n", "column 'colour' is not known; the columns are clip, split, clothing"),
        ("clothing\nred\n", "there is no column clip"),
        (
            "clip,clothing\n1643050280749,pink\n",
            "line 2: clothing 'pink' is not in the vocabulary; choose one of white",
        ),
        ("clip,clothing\nkitchen,red\n", "line 2: clip 'kitchen' is not among the clips"),
        ("clip\n1643050280749\n1643050280749\n", "line 3: clip '1643050280749' stands there twice"),
        ("clip,subject\n1643050280749,anna@lab.org\n", "subject 'anna@lab.org': give a pseudonym"),
        ("clip,occupants\n1643050280749,one\n", "occupants 'one': give the number"),
        ("clip,split\n1643050280749,val\n", "split 'val': choose one of train, test"),
        ("clip,tags\n1643050280749,Big!\n", "tag 'Big!'"),
        ("clip,clothing\n1643050280749\n", "line 2: not as many cells"),
    ],
)
def test_tags_that_cannot_be_are_one_line(table: str, says: str, human: Path, tmp_path: Path) -> None:
    """Which line, and what may stand there."""
    tags = tmp_path / "tags.csv"
    tags.write_text(table)
    with pytest.raises(DatasetError, match=says):
        bring_in(human, tmp_path / "out", tags=tags)
    assert not (tmp_path / "out").exists()


def test_a_person_who_was_removed_does_not_come_back(human: Path, tmp_path: Path) -> None:
    """The ledger has the pseudonym's hash."""
    tags = tmp_path / "tags.csv"
    tags.write_text("clip,subject\n1643050280749,S-7f3a\n")
    stone = Tombstone(hash_id("S-7f3a"), (), (), date(2026, 3, 1))
    with pytest.raises(DatasetError, match="its subject was removed on 2026-03-01"):
        bring_in(human, tmp_path / "out", tags=tags, ledger=Ledger(tmp_path / "consents.toml", (), (stone,)))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"layout": "coco"}, "layout 'coco' is not known; choose one of lrt-human, pair-lrt-human"),
        ({"rate_hz": 0}, "rate is 0 Hz"),
        ({"coldest_c": 30, "warmest_c": 19}, "give the colder one first"),
        ({"scope": "world"}, "scope 'world' is not known"),
        ({"test_fraction": 1}, "test fraction is 1"),
    ],
)
def test_settings_that_cannot_be_are_one_line(given: dict[str, Any], says: str) -> None:
    """Before any file is looked at."""
    with pytest.raises(DatasetError, match=says):
        ImportConfig(**given)


def test_an_import_refuses_what_stands_there(human: Path, tmp_path: Path) -> None:
    """And leaves it alone."""
    bring_in(human, tmp_path / "out")
    before = (tmp_path / "out/dataset.json").read_bytes()
    with pytest.raises(DatasetError, match="exists already"):
        bring_in(human, tmp_path / "out")
    assert (tmp_path / "out/dataset.json").read_bytes() == before


def test_an_exports_tags_open_in_a_spreadsheet(make_pairs: Callable[..., Path], tmp_path: Path) -> None:
    """A table with a heading, and a line a clip."""
    write_authors(make_pairs(tmp_path / "ours"), tmp_path / "theirs", silent)
    with (tmp_path / "theirs/tags.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert lines[1] == {
        "clip": "b",
        "split": "train",
        "clothing": "black",
        "lighting": "bright",
        "occupants": "0",
        "room": "kitchen",
        "subject": "S-0001",
        "tags": "window",
        "synthetic": "True",
    }
