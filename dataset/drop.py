"""Clips taken out of a dataset: of a person who was removed, or found to be bad."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from .cut import is_whole, take_over
from .describe import measure_pair_errors, write_description
from .info import CALIBRATION_NAME, DatasetInfo, read_info
from .place import new_folder
from .schema import DatasetError
from .splits import DEFAULT_NAME, Splits


def drop_clips(dataset: Path, names: Collection[str]) -> DatasetInfo:
    """Take clips out of a dataset; the other clips' shards keep every byte, and their sides of every split.

    Args:
        dataset: its folder; the dataset without them takes its place.
        names: what `dataset.json` calls the clips.

    Raises:
        DatasetError: not a dataset, a clip that is not in it, none that would be left, or the disk refuses.
    """
    before = read_info(dataset)
    unknown = sorted(set(names) - {clip.clip_id for clip in before.clips})
    if unknown:
        raise DatasetError(f"{dataset}: clip {unknown[0]} is not in it")
    clips = tuple(clip for clip in before.clips if clip.clip_id not in names)
    if not clips:
        raise DatasetError(f"{dataset}: no clip would be left; delete the folder instead")
    with new_folder(dataset, replace=True) as folder:
        for clip in clips:
            if clip.shard_sha256 and not is_whole(dataset, clip):
                raise DatasetError(f"{dataset / clip.shard}: missing or damaged; build the dataset again")
            take_over(dataset, clip, folder)
        if before.calibration_id:
            (folder / CALIBRATION_NAME).write_bytes((dataset / CALIBRATION_NAME).read_bytes())
        errors = before.pair_errors and measure_pair_errors(folder, clips, before.pair_errors.edges_ms[-1])
        kept_tests = [each for each in before.config.get("test_clips", ()) if each not in names]
        info = replace(
            before,
            clips=clips,
            pair_errors=errors,
            named_splits=_drop_from_splits(before.named_splits, names),
            clips_left_out=tuple(clip for clip in before.clips_left_out if clip.clip_id not in names),
            config={**before.config, "test_clips": kept_tests},
        )
        write_description(info, folder)
    return read_info(dataset)


def _drop_from_splits(named: dict[str, Splits], names: Collection[str]) -> dict[str, Splits]:
    """The splits without these clips; a named one that has lost a side is no more."""
    dropped = {
        name: {side: [clip for clip in clips if clip not in names] for side, clips in sides.items()}
        for name, sides in named.items()
    }
    return {name: sides for name, sides in dropped.items() if name == DEFAULT_NAME or all(sides.values())}
