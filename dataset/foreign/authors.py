"""A dataset of ours, written in the authors' layout, so that their code trains on it."""

import csv
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, Self

import cv2
import numpy as np

from ..info import DatasetInfo
from ..loading import COLDEST_C, WARMEST_C
from ..place import new_folder
from .layout import (
    HEAT,
    LEVELS,
    LRT_HUMAN,
    PAIR_LRT_HUMAN,
    RGB,
    SOURCE,
    SOURCE_NAME,
    STEP_C,
    TAG_COLUMNS,
    TAGS_NAME,
    Layout,
    encode_heat,
    to_floats,
)
from .outgoing import ABOUT_NAME, Progress, read_clips, read_what_may_leave, write_about

SHUFFLE_SEED = 0
CONTENTS = (RGB, HEAT, "*.npy", TAGS_NAME, SOURCE_NAME, ABOUT_NAME)
ABOUT = f"""The layout of LRT-Human. `rgb/<clip>/<i>.png` is a picture, `thermal/<clip>/<i>.png` its heat: one channel,
0..{LEVELS} for {COLDEST_C:g}..{WARMEST_C:g} degC, clipped outside; a step is {STEP_C:.3f} degC. The .npy files hold the
pairs for training alone, shuffled, as floats in -1..1: rows before columns, channels {{channels}}. `{TAGS_NAME}`, which
is ours, has the tags of each clip, and `{SOURCE_NAME}` what recorded them."""


def write_authors(dataset: Path, out: Path, on_progress: Progress) -> dict[str, float]:
    """Write a dataset in the authors' layout; the same dataset gives the same bytes.

    Args:
        dataset, out: the dataset's folder, and the folder to make.
        on_progress: called with clips done and clips in all.

    Returns:
        `step_c`, what heat is rounded to, degC; `clipped`, the share of heatmap cells outside 19..30 degC, 0..1.

    Raises:
        DatasetError: no dataset, a damaged one, one whose pictures may not leave, or `out` cannot be made.
    """
    info = read_what_may_leave(dataset)
    layout = PAIR_LRT_HUMAN if info.heatmap_shape == PAIR_LRT_HUMAN.heatmap_shape else LRT_HUMAN
    clipped = 0
    tags: list[list[Any]] = []
    with new_folder(out, replace=False, contents=CONTENTS) as folder:
        # no pair for training, no arrays
        with _Arrays(folder, layout, info) if "train" in info.splits else nullcontext() as arrays:
            for rows in read_clips(dataset, info, on_progress):
                levels = encode_heat(rows.heatmaps)
                clipped += int(((rows.heatmaps < COLDEST_C) | (rows.heatmaps > WARMEST_C)).sum())
                clip = rows.clip
                _write_pictures(folder / RGB / clip.clip_id, rows.pngs)
                _write_pictures(folder / HEAT / clip.clip_id, [_encode_grey(level) for level in levels])
                if arrays and clip.split == "train":
                    arrays.add(rows.images, levels)
                tags.append([clip.clip_id, clip.split, *{**rows.tags, "tags": " ".join(clip.tags)}.values()])
        with (folder / TAGS_NAME).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([TAG_COLUMNS, *tags])
        source = {name: getattr(info, name) for name in SOURCE}
        (folder / SOURCE_NAME).write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")
        write_about(folder, info, ABOUT.format(channels=layout.channels.upper()))
    cells = info.pairs * info.heatmap_shape[0] * info.heatmap_shape[1]
    return {"step_c": STEP_C, "clipped": clipped / cells}


def _encode_grey(levels: np.ndarray) -> bytes:
    return cv2.imencode(".png", levels)[1].tobytes()


def _write_pictures(folder: Path, pngs: list[bytes]) -> None:
    folder.mkdir(parents=True)
    for number, png in enumerate(pngs):
        (folder / f"{number}.png").write_bytes(png)


class _Arrays:
    """The shuffled .npy files of the pairs for training, each pair written to its place: no memory holds them all."""

    def __init__(self, folder: Path, layout: Layout, info: DatasetInfo) -> None:
        count = info.splits["train"]
        self._order = np.random.default_rng(SHUFFLE_SEED).permutation(count)
        self._done = 0
        self._reverse = layout.channels == "bgr"
        self._rgb = _begin_array(folder / layout.rgb_array, (count, *info.image_shape, 3))
        self._heat = _begin_array(folder / layout.heat_array, (count, *info.heatmap_shape, 1))
        self._begins = self._rgb.tell(), self._heat.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rgb.close()
        self._heat.close()

    def add(self, images: np.ndarray, levels: np.ndarray) -> None:
        """Put (N, H, W, 3) uint8 RGB and (N, h, w) uint8 in their places."""
        places = self._order[self._done : self._done + len(images)]
        self._done += len(images)
        arrays = to_floats(images[..., ::-1] if self._reverse else images), to_floats(levels)
        for file, begin, rows in zip((self._rgb, self._heat), self._begins, arrays, strict=True):
            for place, row in zip(places.tolist(), rows, strict=True):
                file.seek(begin + place * row.nbytes)
                file.write(row.tobytes())


def _begin_array(path: Path, shape: tuple[int, ...]) -> BinaryIO:
    """A .npy file of float32, at its first number."""
    file = path.open("wb")
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return file
