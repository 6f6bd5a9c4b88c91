"""A training run's checkpoints and a dataset's builds on a disk whose every write is logged.

    power_files.py checkpoints FOLDER DEVICE SECONDS PAYLOADS      PAYLOADS: checkpoints of a real run, made on the host
    power_files.py builds      FOLDER DEVICE SECONDS SCENE.npz CLIP...      CLIP: recorded of that scene

Checkpoints go through `lrt.write_whole` and metrics are appended, as model/run.py does both; torch itself is not here.
Builds are `lrt build-dataset`'s own function, each taking the place of the one before. Clips and calibration lie on
another disk, and the calibration is the scene's truth.
"""

import itertools
import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
from checks import sh
from power_marks import Marks

from lrt import write_whole
from lrt.calibration.geometry import Calibration, write_calibration
from lrt.dataset.build import build_dataset
from lrt.dataset.config import BuildConfig


def write_checkpoints(folder: Path, device: str, seconds: float, payloads: Path) -> int:
    """The run's folder, step after step; how many checkpoints."""
    contents = [path.read_bytes() for path in sorted(payloads.glob("*.pt"))]
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "config.json", (payloads / "config.json").read_bytes())
    with Marks(device, step=-1) as marks:
        end_s = time.monotonic() + seconds
        for step, content in enumerate(contents):
            if time.monotonic() > end_s:
                return step
            with (folder / "metrics.jsonl").open("a") as file:
                file.write(json.dumps({"phase": "gan", "step": step, "metrics": {"loss": 1.0}}) + "\n")
            write_whole(folder / "checkpoint.pt", content)
            marks.tell(step=step)
            marks.write()
            time.sleep(0.1)
    return len(contents)


def gather(scene_file: Path, recorded: list[Path], place: Path) -> tuple[list[Path], Path]:
    """Clips with the consent that they want, and the calibration of their scene, in a place of their own."""
    clips = [Path(shutil.copytree(clip, place / clip.name)) for clip in recorded]
    sh(f"lrt consent add TEST --scope internal --dir {place}")
    with np.load(scene_file) as scene:
        pose = {name: float(scene[name]) for name in ("tx", "ty", "s", "offset_ms")}
    spread = {f"{name}_sd": 0.1 for name in pose}
    fitted = {"score": 0.5, "overlap": 0.7, "verdict": "PASS", "advice": "", "masks": "the scene's", "frames": 100}
    write_calibration(Calibration(**pose, **spread, image_size=(640, 360), **fitted), place / "calibration.json")
    return clips, place / "calibration.json"


def build(folder: Path, device: str, seconds: float, clips: list[Path], calibration: Path) -> int:
    """Dataset after dataset in one place, told apart by their `max_gap_ms`; how many."""
    with Marks(device, built=-1) as marks:
        end_s = time.monotonic() + seconds
        for number in itertools.count():
            if time.monotonic() > end_s:
                return number
            config = BuildConfig(max_gap_ms=50.0 - number / 2, test_clips=(clips[-1].name,))
            build_dataset(clips, calibration, folder, config, replace=True)
            marks.tell(built=number)
            marks.write()
    return 0


def main() -> None:
    what, folder, device, seconds, *rest = sys.argv[1:]
    paths = [Path(each) for each in rest]
    if what == "checkpoints":
        made = write_checkpoints(Path(folder), device, float(seconds), paths[0])
    else:
        made = build(Path(folder), device, float(seconds), *gather(paths[0], paths[1:], Path("/var/tmp/built")))
    print(json.dumps({"made": made}))


main()
