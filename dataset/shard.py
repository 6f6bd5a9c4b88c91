"""One clip's Parquet file: what goes in, how it is written, what is said of it.

A shard is named after its clip and depends on nothing else, so clips are written in any order, by any worker, and a
clip that leaves a dataset leaves the others' bytes alone. Builder and importers both write here.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .arrow import make_schema, store_grids, store_images
from .info import DATA_NAME, ClipInfo
from .loading import COLDEST_C, WARMEST_C
from .schema import DatasetError
from .tags import DEFAULT, UNKNOWN, Vocabulary

ROWS_PER_GROUP = 1000  # about 6 MB of pictures in memory at a time


@dataclass(frozen=True, eq=False)
class Rows:
    """What one clip puts into a dataset; N rows.

    Attributes:
        clip_id: its name, and the shard's.
        images: N of (H, W, 3) uint8, RGB, all of one size; taken one at a time.
        heatmap: (N, h, w) float32, degC, over the same field of view.
        heatmap_full: (N, 8, 8) float32, degC, the sensor's whole frame, upright; None where the source has none.
        t_ns: (N,) int64, time of the heatmap since the clip's first, ns.
        dt_ms: (N,) float32, how much later the picture was taken, ms; NaN where unknown.
        clothing, lighting: labels of the vocabulary; "unknown" is -1 in the rows, which `datasets` reads as no label.
        occupants: people in view.
        subject: pseudonym of who is in view, "" where unknown.
        room: where, "" where unknown.
        tags: free tags.
        synthetic: True when a twin made it.
        calibration_id: SHA-256 of the calibration.json it was cut by, "" without one.
        sha256: of the recording, "" where there is none.
        left_out: {reason: heatmaps of the recording that are no rows}.
    """

    clip_id: str
    images: Iterable[np.ndarray]
    heatmap: np.ndarray
    heatmap_full: np.ndarray | None
    t_ns: np.ndarray
    dt_ms: np.ndarray
    clothing: str
    lighting: str
    occupants: int
    subject: str = ""
    room: str = ""
    tags: tuple[str, ...] = ()
    synthetic: bool = False
    calibration_id: str = ""
    sha256: str = ""
    left_out: dict[str, int] = field(default_factory=dict)


def write_shard(folder: Path, rows: Rows, vocabulary: Vocabulary = DEFAULT) -> ClipInfo:
    """Write `data/<clip_id>.parquet`, whole or not at all; the same rows give the same bytes.

    Args:
        folder: the dataset's, in the making.
        rows: one row or more.
        vocabulary: numbers of the class labels.

    Returns:
        What `dataset.json` says of the clip; its `split` is "train" until the clips are split.

    Raises:
        DatasetError: no rows, unequal columns, pictures of two sizes, or a label that the vocabulary does not know.
        OSError: the disk refuses.
    """
    count = len(rows.heatmap)
    if not count:
        raise DatasetError(f"clip {rows.clip_id}: no rows")
    columns = _make_columns(rows, vocabulary)
    schema = make_schema((rows.heatmap.shape[1], rows.heatmap.shape[2]), rows.heatmap_full is not None, vocabulary)
    shard = f"{DATA_NAME}/{rows.clip_id}.parquet"
    path, partial = folder / shard, folder / DATA_NAME / f".{rows.clip_id}.partial"
    path.parent.mkdir(exist_ok=True)
    try:
        with partial.open("wb") as file:
            with _open_writer(file, schema) as writer:
                images = iter(rows.images)
                for start in range(0, count, ROWS_PER_GROUP):
                    pngs = _encode_group(rows.clip_id, images, min(ROWS_PER_GROUP, count - start))
                    group = {name: column[start : start + ROWS_PER_GROUP] for name, column in columns.items()}
                    writer.write_table(pa.Table.from_pydict({"rgb": store_images(pngs), **group}, schema=schema))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return _describe(rows, shard, hash_file(path))


def _make_columns(rows: Rows, vocabulary: Vocabulary) -> dict[str, pa.Array]:
    """Every column but the pictures."""
    count = len(rows.heatmap)
    full = {} if rows.heatmap_full is None else {"heatmap_full": store_grids(rows.heatmap_full)}
    columns = {
        "heatmap": store_grids(rows.heatmap),
        **full,
        "clip_id": pa.array([rows.clip_id] * count),
        "frame": pa.array(np.arange(count, dtype=np.int32)),
        "t_ns": pa.array(np.asarray(rows.t_ns, np.int64)),
        "dt_ms": pa.array(np.asarray(rows.dt_ms, np.float32)),
        "clothing": pa.array(np.full(count, _number(rows, "clothing", vocabulary.clothing), np.int64)),
        "lighting": pa.array(np.full(count, _number(rows, "lighting", vocabulary.lighting), np.int64)),
        "occupants": pa.array(np.full(count, rows.occupants, np.int16)),
        "subject": pa.array([rows.subject] * count),
        "room": pa.array([rows.room] * count),
        "tags": pa.array([list(rows.tags)] * count, pa.list_(pa.string())),
        "calibration_id": pa.array([rows.calibration_id] * count),
        "synthetic": pa.array([rows.synthetic] * count),
    }
    unequal = {name: len(column) for name, column in columns.items() if len(column) != count}
    if unequal:
        raise DatasetError(f"clip {rows.clip_id}: {count} heatmaps, but {unequal} of the others")
    return columns


def _number(rows: Rows, tag: str, labels: tuple[str, ...]) -> int:
    """The class label's number; -1, which `datasets` reads as no label, where nobody gave one."""
    label = getattr(rows, tag)
    if label == UNKNOWN:
        return -1
    if label not in labels:
        raise DatasetError(f"clip {rows.clip_id}: {tag} '{label}' is none of {', '.join(labels)}")
    return labels.index(label)


def _encode_group(clip_id: str, images: Iterable[np.ndarray], count: int) -> list[bytes]:
    """The next `count` pictures as PNG files."""
    shapes, pngs = set(), []
    for pixels in islice(images, count):
        shapes.add(pixels.shape)
        pngs.append(encode_png(pixels))
    if len(pngs) != count or len(shapes) != 1:
        raise DatasetError(f"clip {clip_id}: {len(pngs)} pictures for {count} heatmaps, of the sizes {sorted(shapes)}")
    return pngs


def encode_png(pixels: np.ndarray) -> bytes:
    """A PNG file of (H, W, 3) uint8 RGB."""
    # OpenCV's own level and filter: the smallest of those measured, and the fastest
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


def _open_writer(file: Any, schema: pa.Schema) -> pq.ParquetWriter:
    """A Parquet writer with every choice pinned that changes the bytes, as defaults change between versions."""
    return pq.ParquetWriter(
        file,
        schema,
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=3,
        write_page_checksum=True,  # a bit that turns on a card or a copy is an error, not a wrong picture
        # pictures do not repeat
        use_dictionary=["clip_id", "subject", "room", "calibration_id"],  # pyright: ignore[reportArgumentType]: the stub knows bool alone
    )


def hash_file(path: Path) -> str:
    """SHA-256, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(rows: Rows, shard: str, shard_sha256: str) -> ClipInfo:
    """What `dataset.json` says of the clip."""
    known_ms = np.abs(rows.dt_ms[np.isfinite(rows.dt_ms)])
    outside = (rows.heatmap < COLDEST_C) | (rows.heatmap > WARMEST_C)
    return ClipInfo(
        clip_id=rows.clip_id,
        split="train",
        shard=shard,
        shard_sha256=shard_sha256,
        sha256=rows.sha256,
        clothing=rows.clothing,
        lighting=rows.lighting,
        occupants=rows.occupants,
        subject=rows.subject,
        room=rows.room,
        tags=rows.tags,
        synthetic=rows.synthetic,
        heatmaps=len(rows.heatmap) + sum(rows.left_out.values()),
        pairs=len(rows.heatmap),
        left_out=dict(rows.left_out),
        pair_error_ms_p95=round(float(np.percentile(known_ms, 95)), 3) if len(known_ms) else None,
        coldest_c=round(float(rows.heatmap.min()), 3),
        warmest_c=round(float(rows.heatmap.max()), 3),
        saturated=round(float(outside.mean()), 6),
        noise_c=measure_noise(rows.heatmap if rows.heatmap_full is None else rows.heatmap_full),
    )


def measure_noise(heatmaps: np.ndarray) -> float | None:
    """The sensor's noise as the clip shows it: one standard deviation of a pixel that nobody passes, degC.

    From the change between neighbouring heatmaps, which warmth that drifts hardly touches; of the quieter half of the
    pixels the median, since people cross the others.

    Args:
        heatmaps: (N, h, w) float32, degC, in the order of time.

    Returns:
        None of a single heatmap.
    """
    if len(heatmaps) < 2:
        return None
    spread_c = np.sqrt((np.diff(heatmaps.astype(np.float64), axis=0) ** 2).mean(axis=0) / 2).ravel()
    return round(float(np.quantile(spread_c, 0.25)), 4)
