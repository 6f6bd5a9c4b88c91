"""A dataset as LeRobotDataset v3.0: an episode a clip, pictures as PNG in Parquet.

The layout is what `lerobot` 0.4 to 0.6 writes for pictures of dtype "image". Nothing here imports that package, which
wants a Python and a torch of its own.
"""

import json
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..arrow import store_images
from ..info import DatasetInfo
from ..place import new_folder
from ..schema import SENSOR_SHAPE
from .outgoing import ABOUT_NAME, ClipRows, Progress, read_clips, read_what_may_leave, write_about
from .statistics import Statistics

CODEBASE_VERSION = "v3.0"
FILES_PER_CHUNK, FILE_MB = 1000, 100  # a data file this long is followed by another
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES_PATH = "meta/episodes/chunk-000/file-000.parquet"
USUAL_RATE_HZ = 10  # the sensor's, where the first clip does not tell
RGB, HEATMAP, FULL = "observation.images.rgb", "observation.heatmap", "observation.heatmap_full"
GRIDS = (HEATMAP, FULL)
SCALARS = {
    "t_ns": "int64",
    "dt_ms": "float32",
    "occupants": "int64",
    "synthetic": "bool",
    **dict.fromkeys(("clip_id", "clothing", "lighting", "room", "subject", "tags"), "string"),
    # those that every LeRobotDataset has
    "timestamp": "float32",
    **dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), "int64"),
}
CONTENTS = ("data", "meta", ABOUT_NAME)
ARROW = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_(), "string": pa.string()}
CONFIGS = """tags:
- LeRobot
configs:
- config_name: default
  data_files: data/*/*.parquet
"""
ABOUT = f"""LeRobotDataset {CODEBASE_VERSION}, an episode a clip; `splits` in `meta/info.json` counts episodes.

`{HEATMAP}` is in degC, row by row. `t_ns` is the time of the heatmap since the clip's first, `dt_ms`
how much later the picture was taken. `timestamp` is what the format asks for, the frame's number by the rate: not the
time, where a pair was left out.

```python
LeRobotDataset("lrt/pairs", root="path/to/this/folder")
```"""


def write_lerobot(dataset: Path, out: Path, on_progress: Progress) -> dict[str, int]:
    """Write a dataset as a LeRobotDataset; the same dataset gives the same bytes.

    Args:
        dataset, out: the dataset's folder, and the folder to make.
        on_progress: called with clips done and clips in all.

    Returns:
        {split: episodes}.

    Raises:
        DatasetError: no dataset, a damaged one, one whose pictures may not leave, or `out` cannot be made.
    """
    info = read_what_may_leave(dataset)
    features = _list_features(info)
    tasks: dict[str, int] = {}
    episodes: list[dict[str, Any]] = []
    splits = dict.fromkeys(info.splits, 0)
    statistics = Statistics()
    rate_hz = begin = 0
    with new_folder(out, replace=False, contents=CONTENTS) as folder:
        with _DataFiles(folder, _make_schema(features)) as files:
            for number, rows in enumerate(read_clips(dataset, info, on_progress)):
                rate_hz = rate_hz or _measure_rate(rows.t_ns)
                task = _name_task(rows.tags)
                values = {
                    **{name: each for name, each in _list_values(rows, rate_hz).items() if name in features},
                    "episode_index": np.full(len(rows), number),
                    "index": begin + np.arange(len(rows)),
                    "task_index": np.full(len(rows), tasks.setdefault(task, len(tasks))),
                }
                place = files.write(rows.pngs, values)
                numbers = {name: values[name] for name in values if features[name]["dtype"] != "string"}
                summaries = statistics.add({RGB: rows.images}, numbers)
                episodes.append(
                    {
                        "episode_index": number,
                        "tasks": [task],
                        "length": len(rows),
                        **place,
                        "dataset_from_index": begin,
                        "dataset_to_index": begin + len(rows),
                        **{f"stats/{name}/{key}": each[key] for name, each in summaries.items() for key in each},
                        "meta/episodes/chunk_index": 0,
                        "meta/episodes/file_index": 0,
                    }
                )
                begin += len(rows)
                splits[rows.clip.split] += 1
        _write_table(pa.Table.from_pylist(episodes), folder / EPISODES_PATH)
        _write_table(_list_tasks(tasks), folder / "meta/tasks.parquet")
        _write_json(statistics.of_all(), folder / "meta/stats.json")
        _write_json(_describe(features, rate_hz, begin, len(tasks), splits), folder / "meta/info.json")
        write_about(folder, info, ABOUT, CONFIGS)
    return splits


def _list_features(info: DatasetInfo) -> dict[str, dict[str, Any]]:
    """{feature: dtype, shape and names of its axes}, as `meta/info.json` has them."""
    grids = {HEATMAP: info.heatmap_shape, **({FULL: SENSOR_SHAPE} if info.has_full else {})}
    scalars = [name for name in SCALARS if name != "dt_ms" or info.pair_errors is not None]
    return {
        RGB: {"dtype": "image", "shape": [*info.image_shape, 3], "names": ["height", "width", "channels"]},
        # a vector: its tools that cut and join datasets fail over a feature of two axes, one of its own writing too
        **{
            name: {
                "dtype": "float32",
                "shape": [rows * columns],
                "names": [f"r{row}c{column}" for row in range(rows) for column in range(columns)],
            }
            for name, (rows, columns) in grids.items()
        },
        **{name: {"dtype": SCALARS[name], "shape": [1], "names": None} for name in scalars},
    }


def _make_schema(features: dict[str, dict[str, Any]]) -> pa.Schema:
    """Arrow schema of a data file, with the note that tells `datasets` its types."""
    types, fields = {}, []
    for name, feature in features.items():
        value = {"dtype": feature["dtype"], "_type": "Value"}
        if name == RGB:
            types[name], stored = {"_type": "Image"}, store_images([]).type
        elif name in GRIDS:
            (length,) = feature["shape"]
            types[name] = {"feature": value, "length": length, "_type": "List"}
            stored = pa.list_(pa.float32(), length)
        else:
            types[name], stored = value, ARROW[feature["dtype"]]
        fields.append(pa.field(name, stored))
    return pa.schema(fields).with_metadata({"huggingface": json.dumps({"info": {"features": types}})})


def _list_values(rows: ClipRows, rate_hz: int) -> dict[str, np.ndarray]:
    """{feature: (N, ...)} of what one clip's rows say by themselves."""
    count = len(rows)
    frame = np.arange(count)
    tags = {**rows.tags, "clip_id": rows.clip.clip_id, "tags": " ".join(rows.tags["tags"])}
    return {
        HEATMAP: rows.heatmaps.reshape(count, -1),
        **({} if rows.full is None else {FULL: rows.full.reshape(count, -1)}),
        "t_ns": rows.t_ns,
        "dt_ms": rows.dt_ms,
        **{name: np.full(count, value) for name, value in tags.items()},
        "timestamp": (frame / rate_hz).astype(np.float32),
        "frame_index": frame,
    }


def _measure_rate(t_ns: np.ndarray) -> int:
    """Heatmaps a second, a whole number as the format has it."""
    period_ns = float(np.median(np.diff(t_ns))) if len(t_ns) > 1 else 0
    return max(1, round(1e9 / period_ns)) if period_ns else USUAL_RATE_HZ


def _name_task(tags: dict[str, Any]) -> str:
    """A clip's tags in words: what this format has for labels."""
    occupants = tags["occupants"]
    if occupants == 0:
        return f"nobody in view, {tags['lighting']} light"
    people = {1: "one person", -1: "perhaps somebody"}.get(occupants, f"{occupants} people")
    return f"{people} in view, {tags['clothing']} shirt, {tags['lighting']} light"


class _DataFiles:
    """The files of rows, one row group an episode."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder, self._schema = folder, schema
        self._files = 0
        self._file: BinaryIO | None = None
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def write(self, pngs: list[bytes], values: dict[str, np.ndarray]) -> dict[str, int]:
        """Write one episode, and say in which file it lies."""
        columns = [
            store_images(pngs)
            if entry.name == RGB
            else pa.FixedSizeListArray.from_arrays(values[entry.name].ravel(), type=entry.type)
            if entry.name in GRIDS
            else pa.array(values[entry.name].tolist(), entry.type)
            for entry in self._schema
        ]
        if self._file is None or self._file.tell() >= FILE_MB * 2**20:
            self._open_next()
        assert self._writer is not None
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        chunk, number = divmod(self._files - 1, FILES_PER_CHUNK)
        return {"data/chunk_index": chunk, "data/file_index": number}

    def _open_next(self) -> None:
        self._close()
        chunk, number = divmod(self._files, FILES_PER_CHUNK)
        path = self._folder / DATA_PATH.format(chunk_index=chunk, file_index=number)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb")
        self._writer = pq.ParquetWriter(self._file, self._schema, compression="snappy")
        self._files += 1

    def _close(self) -> None:
        if self._writer is not None and self._file is not None:
            self._writer.close()
            self._file.close()


def _list_tasks(tasks: dict[str, int]) -> pa.Table:
    """`meta/tasks.parquet`, with the note that makes the text the index when pandas reads it, as `lerobot` does."""
    columns = [
        {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": stored, "metadata": None}
        for name, kind, stored in (("task_index", "int64", "int64"), ("task", "unicode", "object"))
    ]
    note = {"index_columns": ["task"], "column_indexes": [], "columns": columns, "pandas_version": "2.0.0"}
    table = pa.table({"task_index": pa.array(tasks.values(), pa.int64()), "task": pa.array(tasks, pa.string())})
    return table.replace_schema_metadata({"pandas": json.dumps(note)})


def _describe(
    features: dict[str, dict[str, Any]], rate_hz: int, frames: int, tasks: int, splits: dict[str, int]
) -> dict[str, Any]:
    """`meta/info.json`."""
    ends = np.cumsum(list(splits.values())).tolist()
    return {
        "codebase_version": CODEBASE_VERSION,
        "robot_type": None,
        "total_episodes": ends[-1],
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": FILE_MB,
        "video_files_size_in_mb": 200,  # there are none, and a reader wants a number
        "fps": rate_hz,
        "splits": {split: f"{end - splits[split]}:{end}" for split, end in zip(splits, ends, strict=True)},
        "data_path": DATA_PATH,
        "video_path": None,
        "features": features,
    }


def _write_table(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def _write_json(value: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")
