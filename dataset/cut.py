"""One clip cut to rows: the work that is spread over processes and machines.

It reads its clip and writes its shard, and knows of nothing else. Beside the shard it notes what the shard was made
from, so that a build that was killed, or is made again, keeps the shards whose inputs are still the same.
"""

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from .. import __version__, write_whole
from ..calibration.geometry import View
from ..rig.clip import Clip, ClipHeader, open_clip
from .config import BuildConfig
from .info import DATA_NAME, ClipInfo, ClipLeftOut
from .place import PROGRESS_NAME
from .quality import OK, ClipQuality, QualityRules, inspect_clip
from .schema import SCHEMA_VERSION, DatasetError
from .shard import Rows, hash_file, write_shard
from .tags import Vocabulary

TOO_FAR = "no picture near enough in time"
NO_PAIR = "not one heatmap with a picture"


@dataclass(frozen=True)
class ClipTask:
    """What a worker needs of one clip.

    Attributes:
        clip: the clip's folder, absolute.
        folder: the dataset's in the making, absolute.
        name: what the dataset calls the clip.
        subject, room, tags: as the rows are to have them.
        view: what is cut.
        vocabulary: numbers of the labels.
        calibration_id: SHA-256 of the dataset's calibration.json.
        config: as the dataset's.
        inputs: `hash_inputs` of all this.
    """

    clip: Path
    folder: Path
    name: str
    subject: str
    room: str
    tags: tuple[str, ...]
    view: View
    vocabulary: Vocabulary
    calibration_id: str
    config: BuildConfig
    inputs: str


def hash_inputs(header: ClipHeader, names: tuple[object, ...], calibration: bytes, config: BuildConfig) -> str:
    """SHA-256 over what decides a shard's bytes; the recording counts by the hash in its header.

    Args:
        header: the clip's.
        names: what the dataset calls the clip and who and what is in it, and the vocabulary.
        calibration: the file.
        config: of which how to split does not count.
    """
    counts = {
        "header": asdict(header),
        "names": repr(names),
        "calibration": hashlib.sha256(calibration).hexdigest(),
        "rules": asdict(choose_rules(config)),
        "config": [config.shape, config.upscale, config.max_gap_ms, config.scope, config.allow],
        "versions": [__version__, SCHEMA_VERSION, cv2.__version__, pa.__version__, np.__version__],
    }
    return hashlib.sha256(json.dumps(counts, sort_keys=True).encode()).hexdigest()


def build_clip(task: ClipTask) -> ClipInfo | ClipLeftOut:
    """Write one clip's shard and note what it was made from, or say why the clip makes none.

    Raises:
        ClipError: the clip is unfinished or damaged.
        DatasetError: the dataset's folder is not seen from here.
        OSError: the disk refuses.
    """
    if not task.folder.is_dir():
        raise DatasetError(
            f"{task.folder} is not seen by {os.uname().nodename}; clips and dataset must lie where all workers see them"
        )
    recording = open_clip(task.clip)
    header, config = recording.header, task.config
    heatmaps, times_ns = recording.heatmaps(), recording.heat_times_ns
    quality = inspect_clip(
        recording, choose_rules(config), calibration=task.view.calibration, vocabulary=task.vocabulary
    )
    failed = quality.failures(config.allow)
    if failed:
        return ClipLeftOut(task.name, failed[0].rule, "; ".join(finding.says for finding in failed), len(heatmaps))
    pairs, left_out = _choose_pairs(recording, quality, task)
    heat_index, image_index, errors_ns = pairs
    if not len(heat_index):
        says = f"none of its {len(heatmaps)} heatmaps is fit and has a picture within {config.max_gap_ms:g} ms"
        return ClipLeftOut(task.name, NO_PAIR, says, len(heatmaps))
    full_c = np.stack([recording.oriented(heatmaps[index].celsius) for index in heat_index])
    rows = Rows(
        clip_id=task.name,
        images=(task.view.crop_image(recording.image(int(index)).pixels, config.upscale) for index in image_index),
        heatmap=task.view.sample_heatmap(full_c),
        heatmap_full=full_c,
        t_ns=times_ns[heat_index] - times_ns[0],
        dt_ms=(errors_ns / 1e6).astype(np.float32),
        clothing=header.clothing,
        lighting=header.lighting,
        occupants=header.occupants,
        subject=task.subject,
        room=task.room,
        tags=task.tags,
        synthetic=header.synthetic,
        calibration_id=task.calibration_id,
        sha256=recording.sha256,
        left_out=left_out,
    )
    doubts = tuple(
        f"{finding.rule}: {finding.says}" for finding in quality.findings if finding.level != OK
    )  # a failure that is allowed too
    made = replace(write_shard(task.folder, rows, task.vocabulary), inputs=task.inputs, warnings=doubts)
    note_made(task.folder, made)
    return made


def choose_rules(config: BuildConfig) -> QualityRules:
    """The quality rules of a build: the clip is judged by the gap that it is paired by."""
    return QualityRules(max_gap_ms=config.max_gap_ms)


def _choose_pairs(
    recording: Clip, quality: ClipQuality, task: ClipTask
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], dict[str, int]]:
    """Which heatmap goes with which picture, and {reason: heatmaps that go with none}, each counted once.

    Returns:
        (P,) int, places of heatmaps; (P,) int, of pictures; (P,) int64, ns, how much later each picture is.
    """
    heat_index, image_index, errors_ns = recording.pair_index(task.config.max_gap_ms, task.view.calibration.offset_ms)
    left_out = {TOO_FAR: len(recording.heatmaps()) - len(heat_index)}
    fit = np.ones(len(heat_index), bool)
    for reason, mask in sorted(quality.unusable.items()):
        bad = fit & mask[heat_index]
        left_out[reason] = int(bad.sum())
        fit &= ~bad
    return (heat_index[fit], image_index[fit], errors_ns[fit]), left_out


def note_made(folder: Path, made: ClipInfo) -> None:
    """Note what a finished shard is, for a build that goes on after this one was killed."""
    (folder / PROGRESS_NAME).mkdir(exist_ok=True)
    write_whole(folder / PROGRESS_NAME / f"{made.clip_id}.json", json.dumps(asdict(made)).encode())


def read_made(folder: Path, name: str) -> ClipInfo | None:
    """What was noted of a clip's shard; None where it was not, or cannot be read."""
    try:
        return ClipInfo.from_json(json.loads((folder / PROGRESS_NAME / f"{name}.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def is_whole(folder: Path, made: ClipInfo) -> bool:
    """Whether a shard's bytes are those that were written."""
    try:
        return hash_file(folder / made.shard) == made.shard_sha256
    except OSError:
        return False


def take_over(source: Path, made: ClipInfo, folder: Path) -> None:
    """Put the shard of another dataset into this one: the same file under a second name where the disk allows it.

    Raises:
        OSError: the disk refuses.
    """
    (folder / DATA_NAME).mkdir(exist_ok=True)
    target = folder / made.shard
    target.unlink(missing_ok=True)
    try:
        os.link(source / made.shard, target)
    except OSError:  # no second names on this disk
        shutil.copyfile(source / made.shard, target)
