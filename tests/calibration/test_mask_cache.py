"""Masks on disk: the same masks again, for less, and for nobody else's eyes."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lrt.calibration.mask_cache import CachedMasks, cache_folder, clear_masks
from lrt.calibration.masks import MaskError, open_masks

SHAPE = (30, 40)


class CountingSource:
    """Soft masks out of the images themselves, and how many were asked for."""

    name = "counting"

    def __init__(self) -> None:
        self.opened = self.asked = 0

    def open(self) -> "CountingSource":
        self.opened += 1
        return self

    def masks(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for image in images:
            self.asked += 1
            yield (image[..., 0] / 997 + image[..., 1] / 1009).astype(np.float32)


@pytest.fixture
def source() -> CountingSource:
    return CountingSource()


@pytest.fixture
def images() -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (5, *SHAPE, 3), dtype=np.uint8))


def cached(source: CountingSource, folder: Path, identity: str = "counting 1", **options: int) -> CachedMasks:
    return CachedMasks("counting", identity, source.open, folder, **options)


def test_a_mask_is_the_same_when_made_and_when_read(source, images, tmp_path) -> None:
    first = list(cached(source, tmp_path).masks(images))
    again = cached(source, tmp_path)
    np.testing.assert_array_equal(list(again.masks(images)), first)
    assert (source.asked, again.found, again.made) == (5, 5, 0)
    assert first[0].dtype == np.float32


def test_soft_edges_are_kept_to_a_255th(source, images, tmp_path) -> None:
    for kept, mask in zip(cached(source, tmp_path).masks(images), CountingSource().masks(images), strict=True):
        np.testing.assert_allclose(kept, mask, atol=0.5 / 255 + 1e-6)


def test_the_source_is_not_opened_for_masks_that_are_there(source, images, tmp_path) -> None:
    list(cached(source, tmp_path).masks(images))
    assert source.opened == 1
    list(cached(source, tmp_path).masks(images[::-1]))
    assert source.opened == 1


def test_only_what_is_new_is_made_and_the_order_stays(source, images, tmp_path) -> None:
    kept = list(cached(source, tmp_path).masks(images[1::2]))
    some = cached(source, tmp_path)
    found = list(some.masks(images))
    assert (some.found, some.made) == (2, 3)
    np.testing.assert_array_equal(found[1::2], kept)
    np.testing.assert_allclose(found, list(CountingSource().masks(images)), atol=0.003)


def test_masks_are_told_apart_by_pixels_shape_and_source(source, images, tmp_path) -> None:
    image = images[0]
    other = image.copy()
    other[-1, -1, -1] ^= 1
    list(cached(source, tmp_path).masks([image, other, image.reshape(SHAPE[1], SHAPE[0], 3)]))
    list(cached(source, tmp_path, "counting 2").masks([image]))
    assert source.asked == 4


def test_an_image_seen_through_strides_is_the_same_image(source, images, tmp_path) -> None:
    list(cached(source, tmp_path).masks([images[0]]))
    list(cached(source, tmp_path).masks([np.asfortranarray(images[0])]))
    assert source.asked == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda content: content[:-7],
        lambda content: content[:20] + bytes([content[20] ^ 8]) + content[21:],
        lambda content: content + b"tail",
        lambda _: b"no mask at all, but text",
    ],
    ids=["emptied", "cut", "one bit", "longer", "replaced"],
)
def test_a_damaged_mask_is_made_again(damage, source, images, tmp_path) -> None:
    (first,) = cached(source, tmp_path).masks(images[:1])
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    (again,) = cached(source, tmp_path).masks(images[:1])
    np.testing.assert_array_equal(again, first)
    assert source.asked == 2
    assert file.read_bytes() == whole


def test_a_mask_of_another_size_under_that_name_is_made_again(source, images, tmp_path) -> None:
    import zlib

    list(cached(source, tmp_path).masks(images[:1]))
    (file,) = tmp_path.iterdir()
    file.write_bytes(zlib.compress(bytes(10_000_000)))
    (mask,) = cached(source, tmp_path).masks(images[:1])
    assert mask.shape == SHAPE
    assert source.asked == 2


def test_those_not_asked_for_longest_are_removed_beyond_the_limit(source, images, tmp_path) -> None:
    for number, image in enumerate(images):
        before = set(tmp_path.iterdir())
        list(cached(source, tmp_path).masks([image]))
        (file,) = set(tmp_path.iterdir()) - before
        os.utime(file, (1000 + number, 1000 + number))
    list(cached(source, tmp_path).masks(images[:1]))  # the oldest, asked for again
    room = sum(file.stat().st_size for file in tmp_path.iterdir()) * 3 // 5 + 100
    list(cached(source, tmp_path, largest_bytes=room).masks(images[:1]))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= room
    again = cached(source, tmp_path)
    list(again.masks([images[0], images[4], images[3]]))
    assert again.found == 3
    list(again.masks([images[1], images[2]]))
    assert again.made == 2


def test_masks_made_before_a_stop_are_kept(source, images, tmp_path) -> None:
    stopped = cached(source, tmp_path).masks(images)
    for _ in range(3):
        next(stopped)
    stopped.close()
    list(cached(source, tmp_path).masks(images))
    assert source.asked == 5


def test_only_their_owner_may_read_them(source, images, tmp_path) -> None:
    folder = tmp_path / "lrt" / "masks"
    folder.mkdir(parents=True, mode=0o755)
    list(cached(source, folder).masks(images))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


def test_a_folder_that_cannot_be_is_named_in_one_line(source, images, tmp_path) -> None:
    (tmp_path / "masks").write_text("a file")
    with pytest.raises(MaskError, match=r"masks: cannot keep masks here \(File exists\)") as caught:
        list(cached(source, tmp_path / "masks").masks(images))
    assert "\n" not in str(caught.value)


def test_clearing_removes_all_masks_and_nothing_else(source, images, tmp_path) -> None:
    list(cached(source, tmp_path).masks(images))
    (tmp_path / ".abc.mask.partial").write_bytes(b"half of it")
    (tmp_path / "notes.txt").write_text("mine")
    assert clear_masks(tmp_path) == 5
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]
    assert clear_masks(tmp_path / "none") == 0


def test_masks_are_kept_where_the_desktop_keeps_caches(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "lrt" / "masks"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "lrt" / "masks"


def test_masks_that_are_there_need_no_torch(images, tmp_path) -> None:
    folder = tmp_path / "cache"
    made = list(open_masks("small", cache=folder).masks(images[:2]))
    np.savez(tmp_path / "case.npz", images=images[:2], masks=made)
    script = f"""
import sys
import numpy as np
from pathlib import Path
from lrt.calibration.masks import open_masks
case = np.load({str(tmp_path / "case.npz")!r})
source = open_masks("small", cache=Path({str(folder)!r}))
np.testing.assert_array_equal(list(source.masks(case["images"])), case["masks"])
assert source.name == "small"
assert not any(name in sys.modules for name in ("torch", "torchvision", "safetensors"))
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)


def test_other_weights_and_settings_do_not_share_masks(images, tmp_path) -> None:
    from lrt.calibration.small import WEIGHTS

    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(WEIGHTS.read_bytes())
    folder = tmp_path / "cache"
    for options in ({}, {"fast": False}, {"weights": copy}):
        list(open_masks("small", cache=folder, **options).masks(images[:1]))
    assert len(list(folder.iterdir())) == 2  # the copy holds the same weights, so its masks are the same

    from safetensors.torch import load_file, save_file

    state = load_file(WEIGHTS)
    state["roi_heads.box_predictor.cls_score.bias"] = state["roi_heads.box_predictor.cls_score.bias"] + 1
    save_file(state, copy)
    list(open_masks("small", weights=copy, cache=folder).masks(images[:1]))
    assert len(list(folder.iterdir())) == 3


def test_weights_that_are_not_there_are_named_at_once_and_bad_ones_at_the_first_mask(images, tmp_path) -> None:
    with pytest.raises(MaskError, match="no such file of weights"):
        open_masks("small", weights=tmp_path / "none.pt", cache=tmp_path)
    (tmp_path / "bad.pt").write_bytes(b"no weights at all")
    source = open_masks("small", weights=tmp_path / "bad.pt", cache=tmp_path / "cache")
    with pytest.raises(MaskError, match="not weights of this network"):
        next(source.masks(images))


def test_masks_from_a_folder_are_not_kept_again(tmp_path) -> None:
    import cv2

    (tmp_path / "masks").mkdir()
    mask = np.zeros(SHAPE, np.uint8)
    mask[:10] = 255
    cv2.imwrite(str(tmp_path / "masks" / "000000.png"), mask)
    source = open_masks(str(tmp_path / "masks"), cache=tmp_path / "cache")
    list(source.masks([np.zeros((*SHAPE, 3), np.uint8)]))
    assert not (tmp_path / "cache").exists()
