"""From clips and a calibration to a dataset: one Parquet shard a clip, a card, and what it was built from.

A clip makes its shard by itself, so clips can be built in any order, by any worker. The folder is made beside its name
and renamed when whole; the same clips give the same bytes. A build that was killed goes on where it was when it is
called again, and one that replaces a dataset keeps the shards of which nothing has changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from dataclasses import replace as change
from pathlib import Path

import cv2
import pyarrow as pa

from .. import __version__
from ..calibration.geometry import Calibration, View, find_view, read_calibration, write_calibration
from .config import BuildConfig
from .consent import LEDGER_NAME
from .cut import ClipTask, build_clip, hash_inputs, is_whole, note_made, read_made, take_over
from .describe import find_field_of_view, measure_pair_errors, name_devices, write_description
from .given import Given, join_vocabulary, read_given
from .info import CALIBRATION_NAME, DATA_NAME, ClipInfo, ClipLeftOut, DatasetInfo, read_info
from .place import new_folder
from .publish import PUBLISH, name_room, strip_calibration
from .schema import DatasetError
from .shard import hash_file
from .splits import DEFAULT_NAME, SplitClip, Splits, choose_splits
from .spread import run_tasks
from .tags import Vocabulary

__all__ = ["BuildConfig", "BuildReport", "build_dataset"]

NO_CONSENT = "consent"


@dataclass(frozen=True)
class BuildReport:
    """What a build made.

    Attributes:
        path: the dataset's folder.
        info: everything that `dataset.json` says, among it `pairs`, `splits` and `left_out`.
        kept: how many shards were taken over, from the dataset before or from a build that was killed.
    """

    path: Path
    info: DatasetInfo
    kept: int


def build_dataset(
    clips: Sequence[Path],
    calibration: Path,
    out: Path,
    config: BuildConfig | None = None,
    *,
    replace: bool = False,
    jobs: int = 1,
    dask: str | None = None,
    on_progress: Callable[[float, float], None] | None = None,
) -> BuildReport:
    """Build a dataset and say what is in it.

    Args:
        clips: folders of finished clips, all of the rig that was calibrated; their order does not matter.
        calibration: `calibration.json`; a copy goes into the dataset.
        out: the folder to make; `<out>.partial` stands while it is being built.
        config: how to cut, pair, choose and split; the paper's way by default.
        replace: take the place of a dataset of ours that stands there.
        jobs: processes to build with; -1 for one a core.
        dask: address of a Dask scheduler whose workers build instead; they must see clips and dataset by these paths.
        on_progress: called with clips done and clips in all.

    Raises:
        DatasetError: no clips, an id twice, clips that do not belong together, not one that may be and makes a pair,
            or something else where the dataset should go.
        CalibrationError: no calibration, or one for images of another size.
        ClipError: a clip that is missing, unfinished or damaged.
        ConsentError: a ledger that cannot be read.
        TagError: a tag that the vocabulary does not know, or vocabularies that disagree.
    """
    config = config or BuildConfig()
    fitted = read_calibration(calibration)
    original = calibration.read_bytes()
    view = _find_view(fitted, config)
    given = read_given(clips, fitted, config)
    vocabulary = join_vocabulary(given)
    with new_folder(out, replace, resume=True) as folder:
        before = read_info(out) if out.exists() else None
        vocabulary = _continue_vocabulary(before, vocabulary, out)
        _write_calibration(fitted, original, folder, config)
        calibration_id = hash_file(folder / CALIBRATION_NAME)
        tasks = [
            _make_task(each, folder, view, vocabulary, original, calibration_id, config)
            for each in given.values()
            if each.refusal is None
        ]
        made, kept = _build_all(tasks, folder, out, before, jobs, dask, on_progress)
        info = _describe(given, made, folder, view, vocabulary, calibration_id, config)
        for stray in {path.name for path in (folder / DATA_NAME).iterdir()} - {Path(c.shard).name for c in info.clips}:
            (folder / DATA_NAME / stray).unlink()  # of a clip that the killed build had and this one has not
        write_description(info, folder)
    return BuildReport(path=out, info=read_info(out), kept=kept)


# ---------------------------------------------------------------------------------------------------------- the work


def _write_calibration(calibration: Calibration, original: bytes, folder: Path, config: BuildConfig) -> None:
    """The calibration as this dataset may show it."""
    if config.scope == PUBLISH:
        write_calibration(strip_calibration(calibration), folder / CALIBRATION_NAME)
    else:
        (folder / CALIBRATION_NAME).write_bytes(original)


def _find_view(calibration: Calibration, config: BuildConfig) -> View:
    """What is cut, if the image has a pixel for each of the picture's."""
    view = find_view(calibration, config.shape)
    rows, columns = config.shape
    if view.cell < config.upscale:
        raise DatasetError(
            f"a picture of {columns * config.upscale}x{rows * config.upscale} would be drawn from "
            f"{columns * view.cell:.0f}x{rows * view.cell:.0f} pixels of the recorded images; choose a smaller --size, "
            "or record larger images"
        )
    return view


def _continue_vocabulary(before: DatasetInfo | None, vocabulary: Vocabulary, out: Path) -> Vocabulary:
    """The longer of the clips' vocabulary and that of the dataset before: no label's number may change its meaning."""
    if before is None:
        return vocabulary
    old = Vocabulary.from_dict(before.vocabulary)
    if old.extends(vocabulary):
        return old
    if vocabulary.extends(old):
        return vocabulary
    raise DatasetError(
        f"{out}: its labels ({', '.join((*old.clothing, *old.lighting))}) are not those of the clips "
        f"({', '.join((*vocabulary.clothing, *vocabulary.lighting))}), and would change their numbers; build into "
        "another folder"
    )


def _make_task(
    given: Given,
    folder: Path,
    view: View,
    vocabulary: Vocabulary,
    original: bytes,
    calibration_id: str,
    config: BuildConfig,
) -> ClipTask:
    """What a worker needs of the clip."""
    header, published = given.header, config.scope == PUBLISH
    room = name_room(header.room, original) if published else header.room
    tags = () if published else tuple(header.tags)
    names = (given.name, given.subject, room, tags, vocabulary)
    return ClipTask(
        clip=given.folder.absolute(),
        folder=folder.absolute(),
        name=given.name,
        subject=given.subject,
        room=room,
        tags=tags,
        view=view,
        vocabulary=vocabulary,
        calibration_id=calibration_id,
        config=config,
        inputs=hash_inputs(header, names, original, config),
    )


def _build_all(
    tasks: Sequence[ClipTask],
    folder: Path,
    out: Path,
    before: DatasetInfo | None,
    jobs: int,
    dask: str | None,
    on_progress: Callable[[float, float], None] | None,
) -> tuple[dict[str, ClipInfo | ClipLeftOut], int]:
    """{what the dataset calls it: clip}, and how many shards were there already."""
    made: dict[str, ClipInfo | ClipLeftOut] = {}
    old = {clip.clip_id: clip for clip in before.clips} if before else {}
    for task in tasks:
        found = _find_made(task, folder, out, old)
        if found is not None:
            made[task.name] = found
    kept = len(made)
    if on_progress and kept:
        on_progress(kept, len(tasks))
    (folder / DATA_NAME).mkdir(exist_ok=True)
    for result in run_tasks(build_clip, [task for task in tasks if task.name not in made], jobs, dask):
        made[result.clip_id] = result
        if on_progress:
            on_progress(len(made), len(tasks))
    return made, kept


def _find_made(task: ClipTask, folder: Path, out: Path, old: dict[str, ClipInfo]) -> ClipInfo | None:
    """The task's shard, if a killed build or the dataset before has it, whole and of the same inputs."""
    noted = read_made(folder, task.name)
    if noted and noted.inputs == task.inputs and is_whole(folder, noted):
        return noted
    earlier = old.get(task.name)
    if earlier and earlier.inputs == task.inputs and is_whole(out, earlier):
        take_over(out, earlier, folder)
        note_made(folder, earlier)
        return earlier
    return None


# ------------------------------------------------------------------------------------------------------ what came of it


def _describe(
    given: dict[str, Given],
    made: dict[str, ClipInfo | ClipLeftOut],
    folder: Path,
    view: View,
    vocabulary: Vocabulary,
    calibration_id: str,
    config: BuildConfig,
) -> DatasetInfo:
    """Everything that `dataset.json` says."""
    published = config.scope == PUBLISH
    refused = [
        ClipLeftOut(each.name, NO_CONSENT, each.refusal, each.header.counts.get("heatmaps", 0))
        for each in given.values()
        if each.refusal is not None
    ]
    left_out = [*refused, *(each for each in made.values() if isinstance(each, ClipLeftOut))]
    clips = {name: each for name, each in made.items() if isinstance(each, ClipInfo)}
    if not clips:
        first = left_out[0]
        raise DatasetError(
            f"nothing to build: all {len(left_out)} clips are left out, {first.clip_id} for one: {first.says}"
        )
    names = {clip_id: each.name for clip_id, each in given.items() if each.name in clips}
    splits = _split(clips, names, config)
    test = set(splits[DEFAULT_NAME]["test"])
    told = [
        _tell(clips[each.name], each, "test" if each.name in test else "train", published)
        for each in sorted(given.values(), key=lambda each: each.name)
        if each.name in clips
    ]
    header = next(iter(given.values())).header
    sensor, camera = name_devices(header, view.calibration)
    return DatasetInfo(
        clips=tuple(told),
        heatmap_shape=config.shape,
        image_shape=(config.shape[0] * config.upscale, config.shape[1] * config.upscale),
        field_of_view_deg=find_field_of_view(view),
        view={"x": view.x, "y": view.y, "cell": view.cell},
        sensor=sensor,
        camera=camera,
        pair_errors=measure_pair_errors(folder, told, config.max_gap_ms),
        calibration_id=calibration_id,
        config={**asdict(config), "test_clips": [names[clip_id] for clip_id in config.test_clips]},
        synthetic=any(clip.synthetic for clip in told),
        versions={
            "lrt": __version__,
            "vocabulary": str(vocabulary.version),
            "opencv": cv2.__version__,  # writes the PNG
            "pyarrow": pa.__version__,  # writes the Parquet
        },
        named_splits=splits,
        scope=config.scope,
        vocabulary=vocabulary.as_dict(),
        clips_left_out=tuple(
            change(each, says="" if published else each.says)
            for each in sorted(left_out, key=lambda each: each.clip_id)
        ),
    )


def _split(clips: dict[str, ClipInfo], names: dict[str, str], config: BuildConfig) -> dict[str, Splits]:
    """The splits, in the dataset's names; the clips' own ids decide, so that a published one is split alike."""
    members = [
        SplitClip(clip_id, clip.subject, clip.room, clip.clothing, clip.lighting)
        for clip_id, clip in ((clip_id, clips[name]) for clip_id, name in names.items())
    ]
    return {
        name: {side: sorted(names[clip_id] for clip_id in each) for side, each in sides.items()}
        for name, sides in choose_splits(members, config).items()
    }


def _tell(clip: ClipInfo, given: Given, side: str, published: bool) -> ClipInfo:
    """The clip as this dataset tells of it; a published one not of which recording, and of doubts only which."""
    doubts = [doubt for doubt in clip.warnings if not doubt.startswith(f"{NO_CONSENT}:")]  # the ledger may have grown
    if not given.noted:
        doubts.insert(0, f"{NO_CONSENT}: it stands in no {LEDGER_NAME}")
    if published:
        doubts = [doubt.split(":")[0] for doubt in doubts]
    return change(clip, split=side, sha256="" if published else clip.sha256, warnings=tuple(doubts))
