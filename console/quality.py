"""What `lrt clips verify` does, apart from the words it prints: clips, held against every rule."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .results import Result, StageError, Update, plain, silent


def verify_clips(
    folders: Sequence[Path], calibration: Path | None = None, scope: str = "internal", on_progress: Update = silent
) -> Result:
    """Look at every byte of clips, and judge those that are whole.

    Args:
        folders: the clips'.
        calibration: what they will be cut by; None: not looked at.
        scope: of the dataset that they are for.

    Returns:
        `clips`, a report of each: what `rig.clip.verify_clip` counts, and the rules' `findings`; `level`, the worst.

    Raises:
        ClipError: one is missing, or no clip at all.
        StageError: some are not whole.
        CalibrationError, ConsentError, TagError: see `read_calibration`, `find_ledger` and `join_vocabularies`.
    """
    from ..calibration.geometry import read_calibration
    from ..dataset.quality import LEVELS
    from ..rig.clip import verify_clip

    fitted = None if calibration is None else read_calibration(calibration)
    reports, broken = [], []
    for number, folder in enumerate(folders, 1):
        report = verify_clip(folder)
        if report.problems:
            broken.append(f"{folder}: {report.problems[0]}")
        else:
            reports.append({"clip": str(folder), "whole": True, **asdict(report), **_judge(folder, fitted, scope)})
        on_progress(number, len(folders), folder.name)
    if broken:
        raise StageError(f"{len(broken)} of {len(folders)} clips are not whole; {broken[0]}")
    return plain({"clips": reports, "level": max((each["level"] for each in reports), key=LEVELS.index)})


def _judge(folder: Path, calibration: Any, scope: str) -> Result:
    """What the rules find in a clip that is whole."""
    from ..dataset.consent import find_ledger
    from ..dataset.quality import Purpose, inspect_clip
    from ..dataset.tags import join_vocabularies
    from ..rig.clip import open_clip

    recording = open_clip(folder)
    vocabulary = join_vocabularies({recording.header.clip_id: recording.header.vocabulary})
    purpose = Purpose(find_ledger(folder), scope)
    return inspect_clip(recording, calibration=calibration, vocabulary=vocabulary, consent=purpose).as_dict()
