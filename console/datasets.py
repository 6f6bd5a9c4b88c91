"""What the dataset's commands do, apart from the words they print: one function each, plain values out."""

from collections.abc import Sequence
from pathlib import Path

from .results import PAIR_GAP_MS, Result, Update, plain, silent


def build_dataset(
    clips: Sequence[Path],
    calibration: Path,
    out: Path,
    test_clips: Sequence[str] = (),
    test_fraction: float = 0.1,
    max_gap_ms: float = PAIR_GAP_MS,
    on_progress: Update = silent,
) -> Result:
    """Build a dataset, and count what is in it and what was left out.

    Raises:
        DatasetError, CalibrationError, ClipError, TagError: see `dataset.build.build_dataset`.
    """
    from ..dataset.build import BuildConfig
    from ..dataset.build import build_dataset as build

    config = BuildConfig(max_gap_ms=max_gap_ms, test_fraction=test_fraction, test_clips=tuple(test_clips))
    info = build(clips, calibration, out, config, on_progress=on_progress).info
    return plain(
        {
            "dataset": str(out),
            "pairs": info.pairs,
            "clips": len(info.clips),
            "splits": info.splits,
            "left_out": info.left_out,
            "pair_error_ms_p50": info.pair_errors.p50_ms,
            "pair_error_ms_p95": info.pair_errors.p95_ms,
            "synthetic": info.synthetic,
        }
    )
