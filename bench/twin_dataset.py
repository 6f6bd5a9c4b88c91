"""Record the twin into a dataset of many short clips, to train on: `python -m bench.twin_dataset OUT --takes 6`.

Every shirt in both lights, so many takes of each, one room: LRT-Human's plan (Table 2), without its people. One take
of each shirt and light is the test split.
"""

import argparse
from pathlib import Path

import joblib

from lrt.console import calibrating, datasets, recording
from lrt.dataset.tags import CLOTHING, LIGHTING

TAKES, SECONDS, JOBS = 6, 25.0, 2  # 25 s are 250 heatmaps: more than the 150 that the published protocol needs
CONSENT = "TWIN"  # nobody was recorded


def main(arguments: tuple[str, ...] | list[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.twin_dataset", description=__doc__)
    parser.add_argument("out", type=Path, help="a new folder: clips, calibration.json and dataset go into it")
    parser.add_argument("--takes", type=int, default=TAKES, help=f"of each shirt in each light (default {TAKES})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of a clip (default {SECONDS:g})")
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"processes (default {JOBS})")
    asked = parser.parse_args(list(arguments))
    built = record_twin(asked.out, asked.takes, asked.seconds, asked.jobs)
    print(f"{built['pairs']} pairs in {built['clips']} clips: {asked.out / 'dataset'}")


def record_twin(out: Path, takes: int, seconds: float, jobs: int) -> dict:
    """Record, calibrate, build; what the build said."""
    wanted = [
        (f"{clothing}-{lighting}-{take}", clothing, lighting)
        for take in range(takes)
        for clothing in CLOTHING
        for lighting in LIGHTING
    ]
    clips, calibration = out / "clips", out / "calibration.json"
    clips.mkdir(parents=True)
    joblib.Parallel(jobs)(joblib.delayed(recording.capture)(*one, CONSENT, 1, seconds, "twin", clips) for one in wanted)
    folders = [clips / clip_id for clip_id, _, _ in wanted]
    held_out = [clip_id for clip_id, _, _ in wanted if clip_id.endswith("-0")]
    calibrating.calibrate(folders, calibration, masks="small")
    return datasets.build_dataset(folders, calibration, out / "dataset", test_clips=held_out, jobs=jobs)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
