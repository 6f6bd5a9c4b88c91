"""A dataset in memory: the form in which a model takes it."""

import os
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .info import SPLITS, ClipInfo, DatasetInfo, read_info
from .schema import DatasetError
from .tags import DEFAULT, Vocabulary

if TYPE_CHECKING:
    import torch

    from .batches import Batches

COLDEST_C, WARMEST_C = 19.0, 30.0  # paper, section 4.2: this range becomes [-1, 1]


@dataclass(frozen=True, eq=False)
class PairSet:
    """Pairs of one split, in the order of their clips and frames.

    Attributes:
        images: (N, H, W, 3) uint8, RGB; 40 x 64 in the paper.
        heatmaps: (N, h, w) float32, degC; 5 x 8 in the paper.
        clip: (N,) int32, index into `clip_ids`, `subjects`, `rooms` and `tags`.
        frame: (N,) int32, counts the pairs of one clip from 0.
        clothing, lighting: (N,) int16, class labels: numbers in the `vocabulary`, -1 where nobody gave one.
        occupants: (N,) int16.
        clip_ids: name of each clip.
        subjects, rooms: pseudonym of who is in each clip, and where it was recorded; "" where unknown.
        tags: the free tags of each clip.
        synthetic: True when a twin made any of it.
        vocabulary: the names of the class labels.
    """

    images: np.ndarray
    heatmaps: np.ndarray
    clip: np.ndarray
    frame: np.ndarray
    clothing: np.ndarray
    lighting: np.ndarray
    occupants: np.ndarray
    clip_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    rooms: tuple[str, ...]
    tags: tuple[tuple[str, ...], ...]
    synthetic: bool
    vocabulary: Vocabulary = DEFAULT

    def __len__(self) -> int:
        return len(self.images)

    def on(self, device: "torch.device | str") -> "Batches":
        """The pairs on a torch device, to pick batches from.

        Args:
            device: torch's name of one, such as "cpu" or "cuda".

        Raises:
            DatasetError: PyTorch is not installed, or has no such device here.
        """
        try:
            import torch

            from .batches import Batches
        except ImportError as error:
            raise DatasetError("batches need PyTorch: pip install 'lrt[train]'") from error
        try:
            return Batches(self.images, self.heatmaps, torch.device(device))
        except (RuntimeError, AssertionError) as error:
            raise DatasetError(
                f"device '{device}' cannot be used here ({_first_line(error)}); give cpu or cuda"
            ) from error


def load_pairs(path: Path | str, split: str = "train", named: str = "default") -> PairSet:
    """Every pair of a split, decoded once into memory (22,000 pairs at the paper's size take 172 MB).

    There is no cache of what was decoded: it would save seconds, and a second copy of people's pictures would outlive
    `lrt subject remove`.

    Args:
        path: the dataset's folder.
        split: "train" or "test".
        named: which way of splitting: "default", or one like "leave-red-out" that holds out what the name says.

    Raises:
        DatasetError: not a dataset, another major schema, no such split, or a shard that is missing or damaged.
    """
    path = Path(path)
    info = read_info(path)
    return _load(path, info, _choose_clips(path, info, split, named))


def load_clips(path: Path | str, clip_ids: Collection[str]) -> PairSet:
    """Every pair of these clips, as `load_pairs` gives them; an id of which the dataset has no pairs is passed over.

    Raises:
        DatasetError: see there; or there are no pairs of any.
    """
    path = Path(path)
    info = read_info(path)
    clips = [clip for clip in info.clips if clip.clip_id in clip_ids]
    if not clips:
        asked = ", ".join(sorted(clip_ids)) or "no clip"
        raise DatasetError(f"{path}: there are no pairs of {asked}; build the dataset again with more clips")
    return _load(path, info, clips)


def _load(path: Path, info: DatasetInfo, clips: list[ClipInfo]) -> PairSet:
    """The pairs of clips, in the order given."""
    from .arrow import NUMBERS, decode_images, read_shard, restore_grids  # pyarrow, which a `PairSet` does without

    count = sum(clip.pairs for clip in clips)
    pairs = PairSet(
        images=np.empty((count, *info.image_shape, 3), np.uint8),
        heatmaps=np.empty((count, *info.heatmap_shape), np.float32),
        clip=np.repeat(np.arange(len(clips), dtype=np.int32), [clip.pairs for clip in clips]),
        frame=np.empty(count, np.int32),
        clothing=np.empty(count, np.int16),
        lighting=np.empty(count, np.int16),
        occupants=np.empty(count, np.int16),
        clip_ids=tuple(clip.clip_id for clip in clips),
        subjects=tuple(clip.subject for clip in clips),
        rooms=tuple(clip.room for clip in clips),
        tags=tuple(clip.tags for clip in clips),
        synthetic=any(clip.synthetic for clip in clips),
        vocabulary=Vocabulary.from_dict(info.vocabulary),
    )

    def fill(clip: ClipInfo, end: int) -> None:
        """Put a clip's rows where they belong, `end` behind the last."""
        rows, shard = slice(end - clip.pairs, end), path / clip.shard
        table = read_shard(shard, clip)
        decode_images(table.column("rgb"), pairs.images[rows], shard)
        pairs.heatmaps[rows] = restore_grids(table.column("heatmap"), info.heatmap_shape)
        for name in NUMBERS:
            getattr(pairs, name)[rows] = table.column(name).to_numpy()

    with ThreadPoolExecutor(os.cpu_count()) as threads:  # hashing, reading and decoding let go of Python's lock
        list(threads.map(fill, clips, accumulate(clip.pairs for clip in clips)))
    return pairs


def _choose_clips(path: Path, info: DatasetInfo, split: str, named: str) -> list[ClipInfo]:
    """The clips of a split, in the order of their ids."""
    if named not in info.named_splits:
        raise DatasetError(f"{path}: no way of splitting is named '{named}'; it has {', '.join(info.named_splits)}")
    members = {name: set(clip_ids) for name, clip_ids in info.named_splits[named].items()}
    clips = [clip for clip in info.clips if clip.clip_id in members.get(split, ())]
    if not clips:
        all_ids = {clip.clip_id for clip in info.clips}
        has = ", ".join(name for name, clip_ids in members.items() if clip_ids & all_ids) or "no pairs at all"
        known = "" if split in SPLITS else f" (a split is one of {', '.join(SPLITS)})"
        way = "" if named == "default" else f" of '{named}'"
        raise DatasetError(f"{path}: no split '{split}'{way}{known}; it has {has}")
    return clips


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def normalise_heatmap(celsius: np.ndarray) -> np.ndarray:
    """Heat as the networks take it: 19..30 degC linear to [-1, 1], clipped outside (paper, section 4.2)."""
    scaled = (celsius - COLDEST_C) / (WARMEST_C - COLDEST_C) * 2 - 1
    return np.clip(scaled, -1, 1).astype(np.float32)


def restore_heatmap(normalised: np.ndarray) -> np.ndarray:
    """Heat in degC, float32, of what `normalise_heatmap` gave; what was clipped stays at 19 or 30."""
    return ((normalised + 1) / 2 * (WARMEST_C - COLDEST_C) + COLDEST_C).astype(np.float32)
