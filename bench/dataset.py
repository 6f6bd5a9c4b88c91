"""What a dataset costs: building a pair, loading it, and the room it takes on disk and in memory."""

import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from lrt.calibration.geometry import Calibration, write_calibration
from lrt.dataset.build import BuildConfig, build_dataset
from lrt.dataset.loading import load_pairs
from lrt.rig.clip import ClipHeader, ClipWriter
from lrt.rig.records import Heatmap, Image
from lrt.rig.timing.clock import VirtualClock

CLIPS, FRAMES = 2, 300
SIZE = (640, 480)
PUBLISHED = 21_959  # pairs of LRT-Human


def main() -> None:
    """Print CPU milliseconds a pair to build, the time to load, and megabytes."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        clips = [record_clip(root, f"bench-{number}", number) for number in range(CLIPS)]
        calibration = Calibration(
            *(330.0, 235.0, 62.5, 0.0), *(1.0, 1.0, 0.1, 3.0), SIZE, 0.8, 0.7, "PASS", "", "none", FRAMES
        )
        write_calibration(calibration, root / "calibration.json")
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        report = build_dataset(clips, root / "calibration.json", root / "out", BuildConfig(test_fraction=0))
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        pairs = report.info.pairs
        print(f"build     {1e3 * wall_s / pairs:6.2f} ms a pair ({1e3 * cpu_s / pairs:.2f} ms of CPU), {SIZE} to 64x40")
        print(f"          {PUBLISHED * cpu_s / pairs:6.0f} s of CPU for as many as LRT-Human's {PUBLISHED:,}")

        runs_s = []
        for _ in range(5):
            start_s = time.perf_counter()
            loaded = load_pairs(report.path)
            runs_s.append(time.perf_counter() - start_s)
        load_s = float(np.median(runs_s))
        bytes_in_memory = loaded.images.nbytes + loaded.heatmaps.nbytes
        bytes_on_disk = sum(path.stat().st_size for path in (report.path / "data").iterdir())
        print(
            f"load      {1e3 * load_s:6.0f} ms for {len(loaded)} pairs, {3000 * load_s / len(loaded):.2f} s for 3,000"
        )
        print(f"on disk   {bytes_on_disk / pairs / 1e3:6.1f} kB a pair (random texture: the worst case for PNG)")
        published_mb = PUBLISHED * bytes_in_memory / pairs / 1e6
        print(f"in memory {bytes_in_memory / pairs / 1e3:6.1f} kB a pair, {published_mb:.0f} MB for {PUBLISHED:,}")


def record_clip(root: Path, clip_id: str, seed: int) -> Path:
    """A clip of a textured picture that drifts by, 10 pairs a second."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    texture = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC)
    rig = {"sensor": {"kind": "twin"}, "camera": {"kind": "twin"}}
    header = ClipHeader(clip_id, "red", "bright", 1, "BENCH", rig)
    with ClipWriter(root, header, VirtualClock()) as writer:
        for frame in range(FRAMES):
            time_ns = frame * 100_000_000
            raw = random.integers(84, 112, (8, 8), dtype=np.int16)
            writer.write_heatmap(Heatmap(time_ns, raw, 352, frame, time_ns, time_ns))
            writer.write_image(Image(time_ns, np.roll(texture, frame, axis=1), frame))
    return writer.folder


if __name__ == "__main__":
    main()
