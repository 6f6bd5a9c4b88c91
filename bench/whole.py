"""A dataset of the published size, all the way: recorded on the twin, verified, built twice, opened, shown, exchanged.

`python -m bench.whole --json` prints what came of each stage and how long it took; `--pairs 2000` is a short one.
Nothing here is a timing to quote: one run, one machine, see `bench.dataset` for those.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import joblib
import numpy as np

from lrt.console import calibrating, datasets, exchange, quality, recording
from lrt.dataset.info import read_info
from lrt.dataset.ledger import add_consent
from lrt.dataset.loading import load_pairs
from lrt.dataset.tags import CLOTHING, LIGHTING

from .__main__ import machine

PUBLISHED = 21_959  # pairs of LRT-Human
SECONDS = 50.0  # of a clip: 500 heatmaps
ROOMS, PEOPLE = ("kitchen", "hall"), ("P01", "P02", "P03")
HEAT_STEP_C = 11 / 255  # of the authors' 8 bits over 19..30 degC
Found = TypeVar("Found")


def main(arguments: tuple[str, ...] | list[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.whole", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--pairs", type=int, default=PUBLISHED, help=f"at least so many (default {PUBLISHED:,})")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args(list(arguments))
    with tempfile.TemporaryDirectory() as folder:
        found = go_the_way(Path(folder), asked.pairs, asked.jobs)
    report = {"machine": machine(), **found}
    print(json.dumps(report, indent=None if asked.json else 2))


def go_the_way(root: Path, pairs: int, jobs: int) -> dict[str, Any]:
    """Every stage, and what it said.

    Args:
        root: an empty folder.
        pairs: at least so many.
        jobs: processes.
    """
    took: dict[str, float] = {}

    def stage(name: str, work: Callable[[], Found]) -> Found:
        began = time.perf_counter()
        done = work()
        took[name] = round(time.perf_counter() - began, 1)
        return done

    clips, calibration, dataset = root / "clips", root / "calibration.json", root / "dataset"
    clips.mkdir()
    for consent in PEOPLE:
        add_consent(clips, consent, "share", signed=datetime.now(UTC).date())
    count = -(-pairs // round(10 * SECONDS - 5))
    folders = stage("capture", lambda: joblib.Parallel(jobs)(joblib.delayed(_record)(clips, n) for n in range(count)))
    verified = stage("verify", lambda: quality.verify_clips(folders))
    fit = stage("calibrate", lambda: calibrating.calibrate(folders, calibration, masks="small"))
    built = stage("build", lambda: datasets.build_dataset(folders, calibration, dataset, scope="share", jobs=jobs))
    again = root / "again"
    stage("build again", lambda: datasets.build_dataset(folders[::-1], calibration, again, scope="share"))
    page = stage("show", lambda: datasets.show_dataset(dataset, root / "page.html"))
    opened = stage("load_dataset", lambda: _open_with_datasets(dataset))
    loaded = stage("load", lambda: load_pairs(dataset, "train"))
    written = {
        name: stage(f"export {name}", lambda name=name: exchange.export_dataset(dataset, root / name, name))
        for name in exchange.FORMATS
    }
    back = root / "back"
    stage("import authors", lambda: exchange.import_dataset(root / "authors", back, scope="share", clips=clips))
    return {
        "pairs": built["pairs"],
        "clips": built["clips"],
        "left_out": built["left_out"],
        "levels": {
            level: sum(clip["level"] == level for clip in verified["clips"]) for level in ("ok", "warn", "fail")
        },
        "calibration_verdict": fit["verdict"],
        "named_splits": built["named_splits"],
        "rebuild_identical": _bytes_of(dataset) == _bytes_of(again),
        "page_mb": round(page["bytes"] / 1e6, 2),
        "opened_pairs": opened,
        "loaded_pairs": len(loaded),
        "exported": {name: done.get("pairs") for name, done in written.items()},
        "imported_back": _compare(dataset, back),
        "seconds": took,
    }


def _record(clips: Path, number: int) -> Path:
    """One clip of the twin: colours and lights in turn, people and rooms too."""
    clip_id = f"clip-{number:03d}"
    recording.capture(
        clip_id,
        CLOTHING[number % len(CLOTHING)],
        LIGHTING[number // len(CLOTHING) % len(LIGHTING)],
        PEOPLE[number % len(PEOPLE)],
        seconds=SECONDS,
        rig="twin",
        out=clips,
        room=ROOMS[number % len(ROOMS)],
    )
    return clips / clip_id


def _open_with_datasets(dataset: Path) -> dict[str, int]:
    """{split: rows} as Hugging Face `datasets` finds them, offline, each row's picture decoded once a hundred."""
    import datasets as hugging_face

    with tempfile.TemporaryDirectory() as cache:
        opened = hugging_face.load_dataset(str(dataset), cache_dir=cache)
        for split in opened.values():
            for row in split.select(range(0, len(split), 100)):
                assert np.asarray(row["rgb"]).shape == (40, 64, 3)
        return {name: len(split) for name, split in opened.items()}


def _bytes_of(dataset: Path) -> dict[str, bytes]:
    """Every file, by its path in the dataset."""
    return {str(path.relative_to(dataset)): path.read_bytes() for path in dataset.rglob("*") if path.is_file()}


def _compare(dataset: Path, back: Path) -> dict[str, Any]:
    """How a dataset that went out in the authors' layout came back."""
    worst_c, pixels, rows, labels = 0.0, True, 0, True
    for split in read_info(dataset).splits:
        ours, theirs = load_pairs(dataset, split), load_pairs(back, split)
        same = len(ours) == len(theirs) and np.array_equal(ours.images, theirs.images)
        pixels &= bool(same)
        rows += len(theirs)
        labels &= bool(
            np.array_equal(ours.clothing, theirs.clothing) and np.array_equal(ours.lighting, theirs.lighting)
        )
        inside = np.clip(ours.heatmaps, 19, 30)
        worst_c = max(worst_c, float(np.abs(inside - theirs.heatmaps).max()) if same else float("inf"))
    return {
        "pairs": rows, "pixels_equal": pixels, "labels_equal": labels, "worst_heat_c": round(worst_c, 4),
        "within_half_a_step": worst_c <= HEAT_STEP_C / 2 + 1e-4,
    }  # fmt: skip


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
