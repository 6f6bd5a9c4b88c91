"""`dataset.json`: what a dataset was built from and what is in it."""

import json
import statistics
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from .. import write_whole
from .schema import SCHEMA_VERSION, DatasetError
from .tags import DEFAULT

# what lies in a dataset's folder
DATA_NAME = "data"
INFO_NAME = "dataset.json"
CALIBRATION_NAME = "calibration.json"
CARD_NAME = "README.md"
CROISSANT_NAME = "croissant.json"
SPLITS = ("train", "test")


@dataclass(frozen=True)
class ClipInfo:
    """One clip's part in a dataset.

    Attributes:
        clip_id: its name.
        split: "train" or "test".
        shard: its file, relative to the dataset's folder, with its SHA-256.
        sha256: hash of the recording it was built from; "" where it is not told, or there is none.
        clothing, lighting, occupants: its tags; "unknown" where nobody gave a label.
        subject, room: pseudonym of who is in view, and where; "" where unknown.
        tags: free tags.
        synthetic: True when a twin made it.
        heatmaps: how many the recording holds.
        pairs: how many of them became rows.
        left_out: {reason: heatmaps that did not}.
        pair_error_ms_p95: 95th percentile of |image - heatmap|, ms; None where the times are not known.
        coldest_c, warmest_c: over the view, degC.
        saturated: share of heatmap cells outside the range that a model sees, 0..1.
        noise_c: of the sensor, one standard deviation, degC (`shard.measure_noise`); None of a single row.
        warnings: what the quality rules found to be doubtful.
        inputs: SHA-256 over all that the shard was made from: as long as it stays, so do the shard's bytes.
    """

    clip_id: str
    split: str
    shard: str
    shard_sha256: str
    sha256: str
    clothing: str
    lighting: str
    occupants: int
    subject: str
    room: str
    tags: tuple[str, ...]
    synthetic: bool
    heatmaps: int
    pairs: int
    left_out: dict[str, int]
    pair_error_ms_p95: float | None
    coldest_c: float
    warmest_c: float
    saturated: float
    noise_c: float | None = None
    warnings: tuple[str, ...] = ()
    inputs: str = ""

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """What `asdict` gave, read back; a dataset of schema 1.0 knew no shard's hash, subject, room or tags.

        Raises:
            TypeError: a field is missing or unknown.
        """
        earlier = {"shard_sha256": "", "subject": "", "room": "", "tags": ()}
        lists = {name: tuple(saved[name]) for name in ("tags", "warnings") if name in saved}
        return cls(**{**earlier, **saved, **lists})


@dataclass(frozen=True)
class ClipLeftOut:
    """A clip that was given and makes no rows.

    Attributes:
        clip_id: its name.
        reason: in a phrase, the same for all clips that share it.
        says: what was found in this one.
        heatmaps: how many it holds.
    """

    clip_id: str
    reason: str
    says: str
    heatmaps: int


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

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """What `asdict` gave, read back."""
        return cls(**{**saved, "edges_ms": tuple(saved["edges_ms"]), "counts": tuple(saved["counts"])})


@dataclass(frozen=True)
class DatasetInfo:
    """What a dataset says of itself.

    Attributes:
        clips: in the order of their ids.
        heatmap_shape: (rows, columns).
        image_shape: (rows, columns) of a picture, px.
        field_of_view_deg: (width, height) of what both show, from the sensor's nominal 60 degrees; None where the
            source does not tell.
        view: left edge `x`, top edge `y` and `cell`, px of the recorded image; empty where the source does not tell.
        sensor, camera: what recorded the clips, in words.
        pair_errors: see there; None where the times are not known.
        calibration_id: SHA-256 of the calibration.json that lies beside; "" without one.
        config: the BuildConfig it was built with.
        synthetic: True when a twin made it.
        versions: of what wrote it.
        named_splits: {way of splitting: {split: clip ids}}; "default" first, which is what `ClipInfo.split` says.
        scope: what the people in it agreed to: internal, share or publish.
        vocabulary: `version`, and the names of the class labels in the order of their numbers.
        clips_left_out: the clips that were given and are not in it.
        has_full: whether the rows hold the sensor's whole frame.
        notes: what else a reader must know, a sentence each.
        schema: version of the rows and of this file.
    """

    clips: tuple[ClipInfo, ...]
    heatmap_shape: tuple[int, int]
    image_shape: tuple[int, int]
    field_of_view_deg: tuple[float, float] | None
    view: dict[str, float]
    sensor: str
    camera: str
    pair_errors: PairErrors | None
    calibration_id: str
    config: dict[str, Any]
    synthetic: bool
    versions: dict[str, str]
    named_splits: dict[str, dict[str, list[str]]]
    scope: str = "internal"
    vocabulary: dict[str, Any] = field(default_factory=DEFAULT.as_dict)
    clips_left_out: tuple[ClipLeftOut, ...] = ()
    has_full: bool = True
    notes: tuple[str, ...] = ()
    schema: str = SCHEMA_VERSION

    @property
    def pairs(self) -> int:
        """Rows in all splits."""
        return sum(clip.pairs for clip in self.clips)

    @property
    def splits(self) -> dict[str, int]:
        """{split: pairs} of the default way, of the splits that have any."""
        counts = {split: sum(clip.pairs for clip in self.clips if clip.split == split) for split in SPLITS}
        return {split: count for split, count in counts.items() if count}

    @property
    def left_out(self) -> dict[str, int]:
        """{reason: heatmaps that did not become a row}, over all clips, those left out whole among them."""
        total: Counter[str] = Counter()
        for clip in self.clips:
            total.update(clip.left_out)
        for clip in self.clips_left_out:
            total[f"clip left out: {clip.reason}"] += clip.heatmaps
        return dict(sorted(total.items()))

    @property
    def noise_c(self) -> float | None:
        """The sensor's noise, median over the clips, degC; None where no clip tells."""
        known = [clip.noise_c for clip in self.clips if clip.noise_c is not None]
        return statistics.median(known) if known else None


def write_info(info: DatasetInfo, folder: Path) -> None:
    """Write `dataset.json` into the folder."""
    write_whole(folder / INFO_NAME, (json.dumps(asdict(info), indent=2) + "\n").encode())


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
        return _restore(fields)
    except (AttributeError, KeyError, TypeError) as error:
        raise DatasetError(f"{path / INFO_NAME}: not what lrt writes ({error}); build the dataset again") from error


def _restore(fields: dict[str, Any]) -> DatasetInfo:
    """The info of JSON's values; one of schema 1.0 knew the default way of splitting alone."""
    clips = tuple(ClipInfo.from_json(clip) for clip in fields["clips"])
    errors, field_of_view = fields["pair_errors"], fields["field_of_view_deg"]
    restored = {
        "clips": clips,
        "heatmap_shape": tuple(fields["heatmap_shape"]),
        "image_shape": tuple(fields["image_shape"]),
        "field_of_view_deg": field_of_view and tuple(field_of_view),
        "pair_errors": errors and PairErrors.from_json(errors),
        "clips_left_out": tuple(ClipLeftOut(**clip) for clip in fields.get("clips_left_out", ())),
        "notes": tuple(fields.get("notes", ())),
    }
    splits = {split: [clip.clip_id for clip in clips if clip.split == split] for split in SPLITS}
    return DatasetInfo(**{"named_splits": {"default": splits}, **fields, **restored})
