"""A shard in Arrow's terms: its schema, its columns packed and unpacked, and how it is read.

All that needs pyarrow to read a dataset stands here, so that pairs made elsewhere can be trained on without it.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .. import __version__
from .info import ClipInfo
from .schema import SCHEMA_VERSION, DatasetError, list_features
from .tags import DEFAULT, Vocabulary

NUMBERS = ("frame", "clothing", "lighting", "occupants")
COLUMNS = ("rgb", "heatmap", *NUMBERS)

# What `datasets` stores each feature as.
_STORAGE = {
    "Image": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    "Array2D": pa.list_(pa.list_(pa.float32())),
    "ClassLabel": pa.int64(),
    "Sequence": pa.list_(pa.string()),
    "string": pa.string(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "bool": pa.bool_(),
}


def make_schema(shape: tuple[int, int], has_full: bool = True, vocabulary: Vocabulary = DEFAULT) -> pa.Schema:
    """Arrow schema of a shard, with the features and our versions in its metadata.

    Args:
        shape, has_full, vocabulary: as in `list_features`.
    """
    features = list_features(shape, has_full, vocabulary)
    fields = [
        pa.field(name, _STORAGE[kind["dtype"] if kind["_type"] == "Value" else kind["_type"]], metadata=_extend(kind))
        for name, kind in features.items()
    ]
    return pa.schema(fields).with_metadata(
        {
            "huggingface": json.dumps({"info": {"features": features}}),
            "lrt.schema": SCHEMA_VERSION,
            "lrt.vocabulary": str(vocabulary.version),
            "lrt.version": __version__,
        }
    )


def _extend(kind: dict[str, Any]) -> dict[str, str] | None:
    """The note by which Arrow finds the extension type that `datasets` registers for an Array2D; others need none."""
    if kind["_type"] != "Array2D":
        return None
    return {
        "ARROW:extension:name": "datasets.features.features.Array2DExtensionType",
        "ARROW:extension:metadata": json.dumps([kind["shape"], kind["dtype"]]),
    }


def store_images(pngs: list[bytes]) -> pa.StructArray:
    """The `rgb` column of so many PNG files."""
    fields = list(_STORAGE["Image"])
    return pa.StructArray.from_arrays([pa.array(pngs, pa.binary()), pa.nulls(len(pngs), pa.string())], fields=fields)


def store_grids(grids: np.ndarray) -> pa.ListArray:
    """A heatmap column.

    Args:
        grids: (N, rows, columns) float32, degC.
    """
    count, rows, columns = grids.shape
    values = pa.array(np.ascontiguousarray(grids, dtype=np.float32).reshape(-1))
    lines = pa.ListArray.from_arrays(np.arange(count * rows + 1, dtype=np.int32) * columns, values)
    return pa.ListArray.from_arrays(np.arange(count + 1, dtype=np.int32) * rows, lines)


def restore_grids(column: pa.ChunkedArray, shape: tuple[int, int]) -> np.ndarray:
    """(N, rows, columns) float32, degC: what `store_grids` was given.

    Raises:
        DatasetError: heatmaps of another shape than the dataset says.
    """
    lists = column.combine_chunks()
    if isinstance(lists, pa.ExtensionArray):  # where `datasets` has been imported too
        lists = lists.storage
    values = lists.flatten().flatten().to_numpy()
    if len(values) != len(column) * shape[0] * shape[1]:
        raise DatasetError(f"heatmaps are not {shape[0]}x{shape[1]}; the dataset is damaged, build it again")
    return values.reshape(len(column), *shape)


def read_shard(shard: Path, clip: ClipInfo, also: Sequence[str] = ()) -> pa.Table:
    """The columns that a model needs of one clip, and others by name.

    Raises:
        DatasetError: the shard is missing, damaged, or not what `dataset.json` says.
    """
    columns = (*COLUMNS, *also)
    try:
        content = shard.read_bytes()
        # a shard of schema 1.0 has no hash: there its pages' checksums alone find a bit that turned
        if clip.shard_sha256 and hashlib.sha256(content).hexdigest() != clip.shard_sha256:
            raise DatasetError(f"{shard}: damaged, or of another dataset; copy the dataset again or build it again")
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            table = file.read(columns=list(columns))
    except FileNotFoundError as error:
        raise DatasetError(f"{shard}: missing; copy the dataset again or build it again") from error
    except (pa.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise DatasetError(f"{shard}: damaged ({first}); build the dataset again") from error
    if table.num_rows != clip.pairs or set(table.column_names) != set(columns):
        raise DatasetError(
            f"{shard}: {table.num_rows} rows of {', '.join(table.column_names)}, but dataset.json says {clip.pairs} "
            f"rows with {', '.join(columns)}; build the dataset again"
        )
    return table


def decode_images(column: pa.ChunkedArray, images: np.ndarray, shard: Path) -> None:
    """Fill (N, H, W, 3) uint8 RGB from a column of PNG files.

    Raises:
        DatasetError: a picture that cannot be decoded, or of another size.
    """
    for index, png in enumerate(column.combine_chunks().field("bytes")):
        decoded = cv2.imdecode(np.frombuffer(png.as_buffer(), np.uint8), cv2.IMREAD_COLOR)
        if decoded is None or decoded.shape != images.shape[1:]:
            found = "cannot be decoded" if decoded is None else f"is {decoded.shape[1]}x{decoded.shape[0]}"
            expected = f"{images.shape[2]}x{images.shape[1]}"
            raise DatasetError(f"{shard}: picture {index} {found} where {expected} is due; build the dataset again")
        cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB, dst=images[index])
