"""One row of a dataset: its columns, in Arrow's terms and in those of Hugging Face `datasets`.

The types of `datasets` (Image, Array2D, ClassLabel) are Arrow storage plus a JSON note in the schema's metadata, so
a file written here opens there with its types, and writing it needs no `datasets` on a Pi.
"""

import json
from typing import Any

import numpy as np
import pyarrow as pa

from .. import LrtError, __version__
from .tags import DEFAULT, Vocabulary

SCHEMA_VERSION = "1.1.0"  # readers take the same major version; 1.1 added subject, room, tags, and named splits
SENSOR_SHAPE = (8, 8)


class DatasetError(LrtError, ValueError):
    """A dataset that cannot be built or read."""


def list_features(
    shape: tuple[int, int], has_full: bool = True, vocabulary: Vocabulary = DEFAULT
) -> dict[str, dict[str, Any]]:
    """Columns in their order, as `datasets.Features.from_dict()` reads them.

    Args:
        shape: (rows, columns) of a heatmap.
        has_full: whether the sensor's whole frame is kept too; an import may not have it.
        vocabulary: names of the class labels.
    """
    full = {"heatmap_full": {"shape": list(SENSOR_SHAPE), "dtype": "float32", "_type": "Array2D"}}
    return {
        "rgb": {"_type": "Image"},
        "heatmap": {"shape": list(shape), "dtype": "float32", "_type": "Array2D"},
        **(full if has_full else {}),
        "clip_id": {"dtype": "string", "_type": "Value"},
        "frame": {"dtype": "int32", "_type": "Value"},
        "t_ns": {"dtype": "int64", "_type": "Value"},
        "dt_ms": {"dtype": "float32", "_type": "Value"},
        "clothing": {"names": list(vocabulary.clothing), "_type": "ClassLabel"},
        "lighting": {"names": list(vocabulary.lighting), "_type": "ClassLabel"},
        "occupants": {"dtype": "int16", "_type": "Value"},
        "subject": {"dtype": "string", "_type": "Value"},
        "room": {"dtype": "string", "_type": "Value"},
        # `datasets` 4 calls it List, and still reads this name, which older versions know
        "tags": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "Sequence"},
        "calibration_id": {"dtype": "string", "_type": "Value"},
        "synthetic": {"dtype": "bool", "_type": "Value"},
    }


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
