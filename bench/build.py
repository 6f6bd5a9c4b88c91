"""What building a dataset costs: CPU a pair, what a second worker gains, memory, and whether two builds are alike."""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lrt.calibration.geometry import Calibration, write_calibration
from lrt.dataset.build import BuildConfig, build_dataset
from lrt.rig.clip import LOG_NAME, ClipHeader, ClipWriter
from lrt.rig.records import Heatmap, Image
from lrt.rig.timing.clock import VirtualClock

SIZE = (640, 480)
CLIPS, HEATMAPS, ROUNDS = 4, 200, 3  # built with one worker and with two, in turn
IMAGES_PER_HEATMAP = 3  # 30 pictures a second to 10 heatmaps, as a rig records them
FEW, MANY = 10, 200  # clips, of which the memory is measured
SHORT = 20  # heatmaps of each of those
PERIOD_NS = 100_000_000
PUBLISHED = 21_959  # pairs of LRT-Human
TAG = {"clothing": "red", "lighting": "bright", "occupants": 1, "consent": "BENCH"}
MEASURE_RSS = """
import sys
from pathlib import Path
from lrt.dataset.build import build_dataset
root, out = Path(sys.argv[1]), Path(sys.argv[2])
build_dataset(sorted((root / "clips").iterdir()), root / "calibration.json", out)
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(int(status["VmHWM"].split()[0]) / 1024)
"""


def measure_build() -> dict[str, Any]:
    """CPU ms a pair, seconds with one worker over those with two, two builds' likeness, MB at its most."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, clips, heatmaps in (("long", CLIPS, HEATMAPS), ("few", FEW, SHORT), ("many", MANY, SHORT)):
            prepare(root / name, clips, heatmaps)
        figures = measure_speed(root / "long")
        figures["rss_mb_10_clips"] = measure_rss(root / "few", root / "few-out")
        figures["rss_mb_200_clips"] = measure_rss(root / "many", root / "many-out")
    return figures


def measure_speed(root: Path) -> dict[str, Any]:
    """Builds with one worker and with two, in turn, after one of each that does not count."""
    cpu_s: list[float] = []
    wall_s: dict[int, list[float]] = {1: [], 2: []}
    hashes, pairs = set(), 1
    for number in range(ROUNDS + 1):
        for jobs, walls in wall_s.items():
            out = root / f"out-{number}-{jobs}"
            wall, cpu = time.perf_counter(), time.process_time()
            pairs = build(root, out, jobs)
            if number:
                walls.append(time.perf_counter() - wall)
                if jobs == 1:
                    cpu_s.append(time.process_time() - cpu)
            hashes.add(hash_all(out))
    cpu_ms = 1e3 * statistics.median(cpu_s) / pairs
    return {
        "build_cpu_ms_per_pair": cpu_ms,
        "build_cpu_s_per_lrt_human": cpu_ms * PUBLISHED / 1e3,
        "speedup_2_workers": statistics.median(wall_s[1]) / statistics.median(wall_s[2]),
        "rebuild_identical": len(hashes) == 1,
    }


def build(root: Path, out: Path, jobs: int) -> int:
    """Build the clips of a folder, and say how many pairs came of them."""
    clips = sorted((root / "clips").iterdir())
    return build_dataset(clips, root / "calibration.json", out, BuildConfig(), jobs=jobs).info.pairs


def measure_rss(root: Path, out: Path) -> float:
    """MB that a fresh process holds at most while it builds."""
    command = [sys.executable, "-c", MEASURE_RSS, str(root), str(out)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def hash_all(folder: Path) -> str:
    """SHA-256 over every file of a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()


# --------------------------------------------------------------------------------------------------------- the clips


def prepare(root: Path, clips: int, heatmaps: int) -> None:
    """So many clips and their calibration; all hold one recording, which is written once."""
    calibration = Calibration(
        *(330.0, 235.0, 62.5, 0.0), *(1.0, 1.0, 0.1, 3.0), SIZE, 0.8, 0.7, "PASS", "", "none", heatmaps
    )
    (root / "clips").mkdir(parents=True)
    write_calibration(calibration, root / "calibration.json")
    first = record_clip(root / "clips", heatmaps)
    for number in range(1, clips):
        folder = root / "clips" / f"bench-{number:03d}"
        folder.mkdir()
        os.link(first / LOG_NAME, folder / LOG_NAME)
        replace(ClipHeader.read(first), clip_id=folder.name).write(folder)


def record_clip(clips: Path, heatmaps: int) -> Path:
    """A clip of a textured picture that drifts by, and of somebody warm who walks to and fro."""
    random = np.random.default_rng(0)
    texture = cv2.resize(random.integers(0, 256, (60, 80, 3), dtype=np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)
    rig = {"sensor": {"kind": "amg8833"}, "camera": {"kind": "opencv"}}
    down, across = np.mgrid[0:8, 0:8]
    with ClipWriter(clips, ClipHeader("bench-000", rig=rig, **TAG), VirtualClock()) as writer:
        for frame in range(heatmaps):
            time_ns = frame * PERIOD_NS
            place = 3.5 + 3 * np.sin(frame / 8)
            warm = 5 * np.exp(-(((across - place) / 1.5) ** 2) - ((down - 4) / 3) ** 2)
            celsius = 22 + warm + random.normal(0, 0.15, (8, 8))
            raw = np.rint(4 * celsius).astype(np.int16)
            writer.write_heatmap(Heatmap(time_ns, raw, 352, frame, time_ns, time_ns))
            for late in range(IMAGES_PER_HEATMAP):
                number = frame * IMAGES_PER_HEATMAP + late
                image_ns = time_ns + late * PERIOD_NS // IMAGES_PER_HEATMAP
                writer.write_image(Image(image_ns, np.roll(texture, number, axis=1), number))
    return writer.folder


def main() -> None:
    """Print the figures as JSON."""
    print(json.dumps(measure_build(), indent=2))


if __name__ == "__main__":
    main()
