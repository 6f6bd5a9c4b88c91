"""What the dataset's commands do, apart from the words they print: one function each, plain values out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .results import PAIR_GAP_MS, Result, Update, plain, silent

if TYPE_CHECKING:
    from ..dataset.info import ClipInfo


def build_dataset(
    clips: Sequence[Path],
    calibration: Path,
    out: Path,
    size: str = "8x5",
    test_clips: Sequence[str] = (),
    test_fraction: float = 0.1,
    split_by: str = "clip",
    max_gap_ms: float = PAIR_GAP_MS,
    scope: str = "internal",
    allow: Sequence[str] = (),
    replace: bool = False,
    jobs: int = 1,
    dask: str | None = None,
    on_progress: Update = silent,
) -> Result:
    """Build a dataset, and count what is in it and what was left out, by reason and by clip.

    Raises:
        DatasetError, CalibrationError, ClipError, ConsentError, TagError: see `dataset.build.build_dataset`.
    """
    from ..dataset.build import BuildConfig
    from ..dataset.build import build_dataset as build
    from ..dataset.config import parse_size

    config = BuildConfig(
        shape=parse_size(size),
        max_gap_ms=max_gap_ms,
        test_fraction=test_fraction,
        test_clips=tuple(test_clips),
        split_by=split_by,
        scope=scope,
        allow=tuple(allow),
    )
    report = build(clips, calibration, out, config, replace=replace, jobs=jobs, dask=dask, on_progress=on_progress)
    info, errors = report.info, report.info.pair_errors
    return plain(
        {
            "dataset": str(out),
            "pairs": info.pairs,
            "clips": len(info.clips),
            "kept": report.kept,
            "scope": info.scope,
            "splits": info.splits,
            "named_splits": list(info.named_splits),
            "left_out": info.left_out,
            "left_out_by_clip": {clip.clip_id: clip.left_out for clip in info.clips if any(clip.left_out.values())},
            "clips_left_out": {clip.clip_id: [clip.reason, clip.says] for clip in info.clips_left_out},
            "warnings": {clip.clip_id: clip.warnings for clip in info.clips if clip.warnings},
            "doubts": _group_doubts(info.clips),
            "pair_error_ms_p50": errors and errors.p50_ms,
            "pair_error_ms_p95": errors and errors.p95_ms,
            "pair_error_edges_ms": errors and errors.edges_ms,
            "pair_error_counts": errors and errors.counts,
            "synthetic": info.synthetic,
        }
    )


def _group_doubts(clips: Sequence["ClipInfo"]) -> dict[str, list[str]]:
    """{quality rule: clips that it is in doubt of}."""
    grouped: dict[str, list[str]] = {}
    for clip in clips:
        for doubt in clip.warnings:
            grouped.setdefault(doubt.split(":")[0], []).append(clip.clip_id)
    return grouped


def show_dataset(dataset: Path, out: Path, on_progress: Update = silent) -> Result:
    """Make a page of a dataset, and say which of its clips to look at twice.

    Raises:
        DatasetError: not a dataset, or a damaged one.
        ShowError: the page cannot be written there.
    """
    from ..dataset.page import PAGE_ENDINGS, find_doubted, write_page
    from ..dataset.show import check_new_file
    from ..dataset.survey import survey_dataset

    check_new_file(out, PAGE_ENDINGS)
    survey = survey_dataset(dataset, on_progress)
    size = write_page(survey, dataset.resolve().name, out)
    return plain(
        {
            "page": out,
            "bytes": size,
            "pairs": survey.info.pairs,
            "clips": len(survey.info.clips),
            "shown": len(survey.strips),
            "colder_share": survey.colder,
            "warmer_share": survey.warmer,
            "agreement": survey.agreements,
            "doubted": find_doubted(survey),
            "worst_dt_ms": [(pair.clip_id, pair.frame, round(pair.dt_ms, 3)) for pair in survey.late],
            "worst_agreement": [(pair.clip_id, pair.frame, round(pair.agreement, 3)) for pair in survey.doubtful],
            "synthetic": survey.info.synthetic,
        }
    )


def play_clip(
    clip: Path,
    out: Path,
    calibration: Path | None = None,
    start_s: float = 0.0,
    seconds: float | None = None,
    on_progress: Update = silent,
) -> Result:
    """Make a video of a clip.

    Raises:
        ShowError, ClipError, CalibrationError: see `dataset.play.play_clip`.
    """
    from ..dataset.play import play_clip as play

    done = play(clip, out, calibration, start_s, seconds, on_progress)
    return plain(
        {
            "video": done.path,
            "frames": done.frames,
            "rate": done.rate,
            "size": done.size,
            "seconds": done.seconds,
            "synthetic": done.synthetic,
        }
    )
