"""What every exporter does alike: ask whether the pictures may leave, read clip by clip, say what was written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ... import __version__
from ..arrow import decode_images, read_shard, restore_grids
from ..consent import SCOPES
from ..info import SPLITS, ClipInfo, DatasetInfo, read_info
from ..schema import SENSOR_SHAPE, DatasetError

ABOUT_NAME = "README.md"
TITLE = "Thermopile heatmaps with pictures"
PEOPLE = "Scope of the consents: {scope}. These pictures show people: do not try to find out who they are."
TWIN = "**Made by the rig's digital twin: not data about people.** A figure measured on it says nothing of a real rig."
TIMES = ("t_ns", "dt_ms")
TAGS = ("clothing", "lighting", "occupants", "room", "subject", "tags", "synthetic")
Progress = Callable[[float, float], None]


@dataclass(frozen=True, eq=False)
class ClipRows:
    """The rows of one clip.

    Attributes:
        clip: its name, split and tags.
        pngs: N files, as they lie in the shard.
        images: (N, H, W, 3) uint8, RGB: the same, decoded.
        heatmaps: (N, h, w) float32, degC.
        full: (N, 8, 8) float32, degC, the sensor's whole frame; None where the dataset has none.
        t_ns: (N,) int64, time of the heatmap since the clip's first, ns.
        dt_ms: (N,) float32, how much later the picture was taken, ms; NaN where unknown.
    """

    clip: ClipInfo
    pngs: list[bytes]
    images: np.ndarray
    heatmaps: np.ndarray
    full: np.ndarray | None
    t_ns: np.ndarray
    dt_ms: np.ndarray

    def __len__(self) -> int:
        return len(self.pngs)

    @property
    def tags(self) -> dict[str, Any]:
        """{name: value} of the clip's tags, and whether a twin made it."""
        return {name: getattr(self.clip, name) for name in TAGS}


def read_what_may_leave(path: Path) -> DatasetInfo:
    """What the dataset says of itself, if it was built to be passed on, or shows nobody.

    Raises:
        DatasetError: not a dataset, or one of people who agreed to no more than internal use.
    """
    info = read_info(path)
    if info.scope == SCOPES[0] and not all(clip.synthetic for clip in info.clips):
        raise DatasetError(
            f"{path}: of scope internal, so its pictures may not leave; build it with --scope share or publish, which "
            "takes only clips of people who agreed to that, and export that"
        )
    return info


def read_clips(path: Path, info: DatasetInfo, on_progress: Progress) -> Iterator[ClipRows]:
    """Every clip's rows, one clip in memory at a time: those for training first, each split in the order of the ids.

    Args:
        on_progress: called with clips done and clips in all.

    Raises:
        DatasetError: a shard that is missing, or damaged.
    """
    clips = [clip for split in SPLITS for clip in info.clips if clip.split == split]
    for number, clip in enumerate(clips, start=1):
        yield _read_clip(path, info, clip)
        on_progress(number, len(clips))


def _read_clip(path: Path, info: DatasetInfo, clip: ClipInfo) -> ClipRows:
    """One clip's rows, every picture seen to be whole."""
    shard = path / clip.shard
    full = ("heatmap_full",) if info.has_full else ()
    table = read_shard(shard, clip, also=(*TIMES, *full))
    images = np.empty((clip.pairs, *info.image_shape, 3), np.uint8)
    decode_images(table.column("rgb"), images, shard)
    return ClipRows(
        clip=clip,
        pngs=table.column("rgb").combine_chunks().field("bytes").to_pylist(),
        images=images,
        heatmaps=restore_grids(table.column("heatmap"), info.heatmap_shape),
        full=restore_grids(table.column("heatmap_full"), SENSOR_SHAPE) if full else None,
        t_ns=table.column("t_ns").to_numpy(),
        dt_ms=table.column("dt_ms").to_numpy(),
    )


def write_about(folder: Path, info: DatasetInfo, layout: str, configs: str = "") -> None:
    """Write the README.md that travels with the pictures.

    Args:
        layout: what lies where, Markdown.
        configs: YAML that tells the Hugging Face hub which files are rows.
    """
    (rows, columns), (height, width) = info.heatmap_shape, info.image_shape
    counts = ", ".join(f"{pairs:,} {split}" for split, pairs in info.splits.items())
    lines = [
        f"---\nlicense: other\nlicense_name: not-chosen-yet\npretty_name: {TITLE}\n{configs}---\n",
        f"# {TITLE}\n",
        *([f"> {TWIN}\n"] if info.synthetic else []),
        f"{info.pairs:,} pairs ({counts}) of {len(info.clips)} clips: heat of {columns}x{rows}, pictures of "
        f"{width}x{height}.",
        f"Thermal sensor: {info.sensor}. Camera: {info.camera}.\n",
        f"{layout}\n",
        *([] if info.synthetic else [f"{PEOPLE.format(scope=info.scope)}\n"]),
        "No licence is chosen yet: whoever passes this on names one in the first lines, no wider than the consents.\n",
        f"Exported by lrt {__version__}.\n",
    ]
    (folder / ABOUT_NAME).write_text("\n".join(lines), encoding="utf-8")
