"""A dataset of the authors' layout, made into one of ours.

Their files have no times: frames are put in order at a stated rate, and how far heat and picture are apart is not
known. Nor is what the people agreed to; `scope` is the word of whoever imports.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from ... import __version__
from ...rig.clip.header import ClipError, check_clip_id
from ..consent import SCOPES, Ledger
from ..describe import write_description
from ..info import ClipInfo, DatasetInfo, read_info
from ..loading import COLDEST_C, WARMEST_C
from ..place import new_folder
from ..schema import DatasetError
from ..shard import Rows, write_shard
from ..splits import DEFAULT_NAME, SplitClip, choose_splits
from ..tags import DEFAULT, UNKNOWN, Vocabulary
from .layout import LAYOUTS, LEVELS, LRT_HUMAN, SOURCE, SOURCE_NAME, TAGS_NAME, Layout
from .outgoing import Progress
from .reading import SHUFFLED_ID, Source, find_sources
from .tagging import ClipTags, read_tags


@dataclass(frozen=True)
class ImportConfig:
    """How foreign files are read."""

    layout: str = LRT_HUMAN.name  # or pair-lrt-human
    heat: str = ""  # folder or array of the heat, such as thermal_noise05; empty: the layout's usual one
    rate_hz: float = 10.0  # frames a second; the sensor's usual rate, since the files have no times
    coldest_c: float = COLDEST_C  # what the lowest value stands for; as the authors' code has it
    warmest_c: float = WARMEST_C  # and the highest
    scope: str = ""  # internal, share or publish; empty: what an export of ours says, else internal
    test_fraction: float = 0.1  # of the clips, held out where none is named
    test_clips: tuple[str, ...] = ()  # names of the clips held out; empty: by the tags' `split`, else `test_fraction`
    split_by: str = "clip"  # or subject, where the tags name them

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise DatasetError(f"layout '{self.layout}' is not known; choose one of {', '.join(LAYOUTS)}")
        if not self.rate_hz > 0:
            raise DatasetError(f"rate is {self.rate_hz} Hz; give more than 0")
        if not self.coldest_c < self.warmest_c:
            raise DatasetError(f"heat from {self.coldest_c} to {self.warmest_c} degC: give the colder one first")
        if self.scope not in ("", *SCOPES):
            raise DatasetError(f"scope '{self.scope}' is not known; choose one of {', '.join(SCOPES)}")
        if not 0 <= self.test_fraction < 1:
            raise DatasetError(f"test fraction is {self.test_fraction}; give 0 or more and less than 1")


def import_dataset(
    folder: Path,
    out: Path,
    config: ImportConfig,
    on_progress: Progress,
    tags: Path | None = None,
    ledger: Ledger | None = None,
    vocabulary: Vocabulary = DEFAULT,
) -> DatasetInfo:
    """Make a dataset of a folder in the authors' layout.

    Args:
        folder: holds the folders `rgb` and `thermal`, or the two arrays.
        out: the dataset to make.
        on_progress: called with clips done and clips in all.
        tags: a CSV file (`tagging`); by default `tags.csv` in the folder, if it is there.
        ledger: knows the people who were removed.
        vocabulary: of the tags, where no export of ours tells another.

    Raises:
        DatasetError: not this layout, files that do not belong together, a PNG that does not decode, tags that cannot
            be, a person who was removed, or `out` cannot be made.
    """
    layout = LAYOUTS[config.layout]
    sources = find_sources(folder, layout, config.heat)
    told = _read_source(folder)
    vocabulary = told.get("vocabulary", vocabulary)
    known = _find_tags(folder, tags, sources, told, vocabulary)
    _check_clips(folder, known, ledger)
    made: list[ClipInfo] = []
    with new_folder(out, replace=False) as partial:
        for number, source in enumerate(sources, start=1):
            made.append(write_shard(partial, _make_rows(source, known[source.clip_id], config), vocabulary))
            on_progress(number, len(sources))
        write_description(_describe(layout, config, made, known, told, vocabulary), partial)
    return read_info(out)


def _read_source(folder: Path) -> dict[str, Any]:
    """What `source.json` tells of the recordings, if an export of ours left it there; empty else."""
    path = folder / SOURCE_NAME
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_bytes())
        return {name: told[name] for name in SOURCE} | {"vocabulary": Vocabulary.from_dict(told["vocabulary"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path}: not what `lrt dataset export` writes ({error}); take it away") from error


def _find_tags(
    folder: Path, tags: Path | None, sources: Sequence[Source], told: dict[str, Any], vocabulary: Vocabulary
) -> dict[str, ClipTags]:
    """{clip: what is known of it} of every clip."""
    clip_ids = [source.clip_id for source in sources]
    lying = folder / TAGS_NAME
    # the tags that an export left name its clips, and shuffled arrays know none
    path = tags or (lying if lying.is_file() and clip_ids != [SHUFFLED_ID] else None)
    found = read_tags(path, clip_ids, vocabulary) if path else {}
    unknown = ClipTags(synthetic=bool(told.get("synthetic")))
    return {clip_id: found.get(clip_id, unknown) for clip_id in clip_ids}


def _check_clips(folder: Path, known: dict[str, ClipTags], ledger: Ledger | None) -> None:
    """Refuse clips that cannot be named so, and those of people who were removed."""
    for clip_id, tags in known.items():
        try:
            check_clip_id(clip_id)
        except ClipError as error:
            raise DatasetError(f"{folder}: {error}; rename its two folders") from error
        for subject in tags.subject.split(","):
            if ledger and (stone := ledger.tombstone(subject=subject)):
                raise DatasetError(
                    f"clip {clip_id}: its subject was removed on {stone.removed} ({ledger.path}); take the clip out"
                )


def _make_rows(source: Source, tags: ClipTags, config: ImportConfig) -> Rows:
    """A clip as it goes into a dataset."""
    heatmap = source.read_heat(config.coldest_c, config.warmest_c)
    in_order = source.clip_id != SHUFFLED_ID
    count = len(heatmap)
    return Rows(
        clip_id=source.clip_id,
        images=source.read_images(),
        heatmap=heatmap,
        heatmap_full=None,
        t_ns=np.rint(np.arange(count) * 1e9 / config.rate_hz * in_order).astype(np.int64),
        dt_ms=np.full(count, np.nan, np.float32),
        **{name: value for name, value in vars(tags).items() if name != "split"},
    )


def _describe(
    layout: Layout,
    config: ImportConfig,
    made: Sequence[ClipInfo],
    known: dict[str, ClipTags],
    told: dict[str, Any],
    vocabulary: Vocabulary,
) -> DatasetInfo:
    """Everything that `dataset.json` says."""
    named = [clip_id for clip_id, tags in known.items() if tags.split]
    choice = config
    if named and not config.test_clips:
        test_clips = tuple(clip_id for clip_id in named if known[clip_id].split == "test")
        choice = replace(config, test_clips=test_clips, test_fraction=0.0, split_by="clip")
    splits = choose_splits(
        [SplitClip(clip.clip_id, clip.subject, clip.room, clip.clothing, clip.lighting) for clip in made], choice
    )
    test = splits[DEFAULT_NAME]["test"]
    clips = [replace(clip, split="test" if clip.clip_id in test else "train") for clip in made]
    if SHUFFLED_ID in known:
        clips = [replace(clip, noise_c=None) for clip in clips]  # it is told from neighbours in time
    field_of_view = told.get("field_of_view_deg", layout.field_of_view_deg)
    return DatasetInfo(
        clips=tuple(clips),
        heatmap_shape=layout.heatmap_shape,
        image_shape=layout.image_shape,
        field_of_view_deg=field_of_view and tuple(field_of_view),
        view={},
        sensor=told.get("sensor", layout.sensor),
        camera=told.get("camera", layout.camera),
        pair_errors=None,
        calibration_id="",
        config=asdict(config),
        synthetic=any(clip.synthetic for clip in clips),
        versions={
            "lrt": __version__,
            "vocabulary": str(vocabulary.version),
            "opencv": cv2.__version__,  # writes the PNG
            "pyarrow": pa.__version__,  # writes the Parquet
        },
        named_splits=splits,
        scope=config.scope or told.get("scope", SCOPES[0]),
        vocabulary=asdict(vocabulary),
        has_full=False,
        notes=tuple(_list_notes(layout, config, known, told)),
    )


def _list_notes(
    layout: Layout, config: ImportConfig, known: dict[str, ClipTags], told: dict[str, Any]
) -> Iterator[str]:
    """What a reader of the card must know, a sentence each."""
    step_c = (config.warmest_c - config.coldest_c) / LEVELS
    yield (
        f"Imported from the layout {layout.name}: heat is {config.coldest_c:g} to {config.warmest_c:g} degC, clipped "
        f"outside, in steps of {step_c:.3f} degC."
    )
    yield "The source has no times: how far heat and picture are apart is not known."
    if SHUFFLED_ID in known:
        yield (
            "The pairs came shuffled, without their clips: one stand-in holds them all, their order means nothing, and "
            "no split by clip is possible."
        )
    else:
        yield f"Times within a clip are the frames' order at {config.rate_hz:g} Hz, which is assumed."
    untagged = sum(tags.clothing == UNKNOWN or tags.lighting == UNKNOWN for tags in known.values())
    if untagged:
        yield f"Clothing or light is not known of {untagged} of {len(known)} clips; occupants -1 means not known."
    if not (config.scope or told):
        yield "What the people in it agreed to was not told on import."
