"""`dataset.json`: what a dataset was built from and what is in it."""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .schema import SCHEMA_VERSION, DatasetError

# what lies in a dataset's folder
DATA_NAME = "data"
INFO_NAME = "dataset.json"
CALIBRATION_NAME = "calibration.json"
CARD_NAME = "README.md"
SPLITS = ("train", "test")


@dataclass(frozen=True)
class ClipInfo:
    """One clip's part in a dataset.

    Attributes:
        clip_id: its name.
        split: "train" or "test".
        shard: its file, relative to the dataset's folder.
        sha256: hash of the recording it was built from.
        clothing, lighting, occupants: its tags.
        synthetic: True when a twin made it.
        heatmaps: how many the recording holds.
        pairs: how many of them became rows.
        left_out: {reason: heatmaps that did not}.
        pair_error_ms_p95: 95th percentile of |image - heatmap|, ms.
        coldest_c, warmest_c: over the view, degC.
        saturated: share of heatmap cells outside the range that a model sees, 0..1.
    """

    clip_id: str
    split: str
    shard: str
    sha256: str
    clothing: str
    lighting: str
    occupants: int
    synthetic: bool
    heatmaps: int
    pairs: int
    left_out: dict[str, int]
    pair_error_ms_p95: float
    coldest_c: float
    warmest_c: float
    saturated: float


@dataclass(frozen=True)
class PairErrors:
    """How far apart heat and picture are, over every pair.

    Attributes:
        p50_ms, p95_ms, worst_ms: of |image - heatmap|, ms.
        edges_ms: (n + 1) bounds of the histogram's bins, ms; positive = the image is later.
        counts: (n) pairs in each bin.
    """

    p50_ms: float
    p95_ms: float
    worst_ms: float
    edges_ms: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class DatasetInfo:
    """What a dataset says of itself.

    Attributes:
        clips: in the order of their ids.
        heatmap_shape: (rows, columns).
        image_shape: (rows, columns) of a picture, px.
        field_of_view_deg: (width, height) of what both show, from the sensor's nominal 60 degrees.
        view: left edge `x`, top edge `y` and `cell`, px of the recorded image.
        sensor, camera: what recorded the clips, in words.
        pair_errors: see there.
        calibration_id: SHA-256 of the calibration.json that lies beside.
        config: the BuildConfig it was built with.
        synthetic: True when a twin made it.
        versions: of what wrote it.
        schema: version of the rows and of this file.
    """

    clips: tuple[ClipInfo, ...]
    heatmap_shape: tuple[int, int]
    image_shape: tuple[int, int]
    field_of_view_deg: tuple[float, float]
    view: dict[str, float]
    sensor: str
    camera: str
    pair_errors: PairErrors
    calibration_id: str
    config: dict[str, Any]
    synthetic: bool
    versions: dict[str, str]
    schema: str = SCHEMA_VERSION

    @property
    def pairs(self) -> int:
        """Rows in all splits."""
        return sum(clip.pairs for clip in self.clips)

    @property
    def splits(self) -> dict[str, int]:
        """{split: pairs}, of the splits that have any."""
        counts = {split: sum(clip.pairs for clip in self.clips if clip.split == split) for split in SPLITS}
        return {split: count for split, count in counts.items() if count}

    @property
    def left_out(self) -> dict[str, int]:
        """{reason: heatmaps that did not become a row}, over all clips."""
        total: Counter[str] = Counter()
        for clip in self.clips:
            total.update(clip.left_out)
        return dict(sorted(total.items()))


def write_info(info: DatasetInfo, folder: Path) -> None:
    """Write `dataset.json` into the folder."""
    (folder / INFO_NAME).write_text(json.dumps(asdict(info), indent=2) + "\n")


def read_info(path: Path) -> DatasetInfo:
    """What the dataset in a folder says of itself.

    Raises:
        DatasetError: no such folder, no dataset of ours, or one of another major schema version.
    """
    try:
        fields: dict[str, Any] = json.loads((path / INFO_NAME).read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        found = f"it holds no {INFO_NAME}" if path.is_dir() else "no such folder"
        raise DatasetError(f"{path}: not a dataset ({found}); build one with `lrt build-dataset`") from error
    except ValueError as error:
        raise DatasetError(f"{path / INFO_NAME}: not JSON ({error}); build the dataset again") from error
    try:
        schema = str(fields["schema"])
        if schema.split(".")[0] != SCHEMA_VERSION.split(".")[0]:
            raise DatasetError(f"{path}: schema {schema}, this lrt reads {SCHEMA_VERSION}; build it again")
        return DatasetInfo(
            **{
                **fields,
                "clips": tuple(ClipInfo(**clip) for clip in fields["clips"]),
                "heatmap_shape": tuple(fields["heatmap_shape"]),
                "image_shape": tuple(fields["image_shape"]),
                "field_of_view_deg": tuple(fields["field_of_view_deg"]),
                "pair_errors": PairErrors(
                    **{
                        **fields["pair_errors"],
                        "edges_ms": tuple(fields["pair_errors"]["edges_ms"]),
                        "counts": tuple(fields["pair_errors"]["counts"]),
                    }
                ),
            }
        )
    except (KeyError, TypeError) as error:
        raise DatasetError(f"{path / INFO_NAME}: not what lrt writes ({error}); build the dataset again") from error
