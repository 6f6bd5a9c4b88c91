"""A dataset in memory: the form in which a model takes it."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .info import SPLITS, ClipInfo, read_info
from .schema import DatasetError, restore_grids

COLDEST_C, WARMEST_C = 19.0, 30.0  # paper, section 4.2: this range becomes [-1, 1]
COLUMNS = ("rgb", "heatmap", "frame", "clothing", "lighting", "occupants")


@dataclass(frozen=True, eq=False)
class PairSet:
    """Pairs of one split, in the order of their clips and frames.

    Attributes:
        images: (N, H, W, 3) uint8, RGB; 40 x 64 in the paper.
        heatmaps: (N, h, w) float32, degC; 5 x 8 in the paper.
        clip: (N,) int32, index into `clip_ids`.
        frame: (N,) int32, counts the pairs of one clip from 0.
        clothing, lighting: (N,) int16, class labels (`dataset.tags`).
        occupants: (N,) int16.
        clip_ids: name of each clip.
        synthetic: True when a twin made any of it.
    """

    images: np.ndarray
    heatmaps: np.ndarray
    clip: np.ndarray
    frame: np.ndarray
    clothing: np.ndarray
    lighting: np.ndarray
    occupants: np.ndarray
    clip_ids: tuple[str, ...]
    synthetic: bool

    def __len__(self) -> int:
        return len(self.images)


def load_pairs(path: Path, split: str = "train") -> PairSet:
    """Every pair of a split, decoded once into memory (22,000 pairs at the paper's size take 172 MB).

    Args:
        path: the dataset's folder.
        split: "train" or "test".

    Raises:
        DatasetError: not a dataset, another major schema, no such split, or a shard that is missing or damaged.
    """
    info = read_info(path)
    clips = [clip for clip in info.clips if clip.split == split]
    if not clips:
        has = ", ".join(info.splits) or "no pairs at all"
        known = "" if split in SPLITS else f" (a split is one of {', '.join(SPLITS)})"
        raise DatasetError(f"{path}: no split '{split}'{known}; it has {has}")
    count = sum(clip.pairs for clip in clips)
    rows, columns = info.image_shape
    pairs = PairSet(
        images=np.empty((count, rows, columns, 3), np.uint8),
        heatmaps=np.empty((count, *info.heatmap_shape), np.float32),
        clip=np.empty(count, np.int32),
        frame=np.empty(count, np.int32),
        clothing=np.empty(count, np.int16),
        lighting=np.empty(count, np.int16),
        occupants=np.empty(count, np.int16),
        clip_ids=tuple(clip.clip_id for clip in clips),
        synthetic=any(clip.synthetic for clip in clips),
    )
    start = 0
    for index, clip in enumerate(clips):
        table = _read_shard(path, clip)
        end = start + clip.pairs
        _decode_images(table.column("rgb"), pairs.images[start:end], path / clip.shard)
        pairs.heatmaps[start:end] = restore_grids(table.column("heatmap"), info.heatmap_shape)
        pairs.clip[start:end] = index
        for name in ("frame", "clothing", "lighting", "occupants"):
            getattr(pairs, name)[start:end] = table.column(name).to_numpy()
        start = end
    return pairs


def _read_shard(path: Path, clip: ClipInfo) -> pa.Table:
    """The columns that a model needs of one clip."""
    shard = path / clip.shard
    try:
        # one file, not the folder around it: `dataset.json` says what belongs to the dataset
        table = pq.ParquetFile(shard, page_checksum_verification=True).read(columns=list(COLUMNS))
    except FileNotFoundError as error:
        raise DatasetError(f"{shard}: missing; copy the dataset again or build it again") from error
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{shard}: damaged ({_first_line(error)}); build the dataset again") from error
    if table.num_rows != clip.pairs or set(table.column_names) != set(COLUMNS):
        raise DatasetError(
            f"{shard}: {table.num_rows} rows of {', '.join(table.column_names)}, but dataset.json says {clip.pairs} "
            f"rows with {', '.join(COLUMNS)}; build the dataset again"
        )
    return table


def _decode_images(column: pa.ChunkedArray, images: np.ndarray, shard: Path) -> None:
    """Fill (N, H, W, 3) uint8 RGB from a column of PNG files."""
    for index, png in enumerate(column.combine_chunks().field("bytes")):
        decoded = cv2.imdecode(np.frombuffer(png.as_buffer(), np.uint8), cv2.IMREAD_COLOR)
        if decoded is None or decoded.shape != images.shape[1:]:
            found = "cannot be decoded" if decoded is None else f"is {decoded.shape[1]}x{decoded.shape[0]}"
            expected = f"{images.shape[2]}x{images.shape[1]}"
            raise DatasetError(f"{shard}: picture {index} {found} where {expected} is due; build the dataset again")
        cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB, dst=images[index])


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def normalise_heatmap(celsius: np.ndarray) -> np.ndarray:
    """Heat as the networks take it: 19..30 degC linear to [-1, 1], clipped outside (paper, section 4.2)."""
    scaled = (celsius - COLDEST_C) / (WARMEST_C - COLDEST_C) * 2 - 1
    return np.clip(scaled, -1, 1).astype(np.float32)


def restore_heatmap(normalised: np.ndarray) -> np.ndarray:
    """Heat in degC, float32, of what `normalise_heatmap` gave; what was clipped stays at 19 or 30."""
    return ((normalised + 1) / 2 * (WARMEST_C - COLDEST_C) + COLDEST_C).astype(np.float32)
