"""One row of a dataset: its columns, in the terms of Hugging Face `datasets`; `arrow.py` has them in Arrow's.

The types of `datasets` (Image, Array2D, ClassLabel) are Arrow storage plus a JSON note in the schema's metadata, so
a file written here opens there with its types, and writing it needs no `datasets` on a Pi.
"""

from typing import Any

from .. import LrtError
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
