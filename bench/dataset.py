"""What a dataset costs: batches out of memory against other ways to have them, loading, and building.

One set of pairs; every way is measured in turn, round by round, so that what else the machine does falls on all alike.
Figures are medians of the rounds. Ours runs on one thread and on every core, the others without and with worker
processes, and the best of each counts. `python -m bench.dataset --json` prints JSON alone.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

import lrt.dataset
from lrt.dataset.info import DatasetInfo, write_info
from lrt.dataset.shard import Rows, encode_png, write_shard
from lrt.rig.twin.occupant import SHIRTS
from lrt.rig.twin.scene import Scene, SceneSettings

from . import loaders
from .__main__ import machine
from .build import measure_build

PAIRS, CLIPS, BATCH, ROUNDS = 22_000, 40, 256, 5  # LRT-Human has 21,959 pairs; its authors train on batches of 256
SCENES, LOOKS = 10, 20  # pictures that the twin draws; the set's are these, shifted, under fresh noise
VIEW = (slice(25, 335), slice(72, 568))  # of the twin's picture: eight by five thermal pixels
EPOCHS, COPIES = 5, 8  # of ours, of the whole set, timed in a round
PEER_BATCHES = 20  # of each other way timed in a round, after the one that starts it
WORKERS = (0, 2)
TARGETS = {
    "vs_best_loader": (">=", 50.0), "bandwidth_share": (">=", 0.6), "load_seconds": ("<=", 10.0),
    "build_cpu_ms_per_pair": ("<=", 5.0), "rebuild_identical": (">=", 1.0), "rss_200_over_10_clips": ("<=", 1.1),
}  # fmt: skip


def main(arguments: tuple[str, ...] | list[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.dataset", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--pairs", type=int, default=PAIRS, help=f"in the set (default {PAIRS:,})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default {ROUNDS}")
    parser.add_argument("--no-build", action="store_true", help="leave the building out")
    asked = parser.parse_args(list(arguments))
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        figures = measure_loading(Path(folder), asked.pairs, asked.rounds)
    if not asked.no_build:
        figures |= measure_build()
        figures["rss_200_over_10_clips"] = figures["rss_mb_200_clips"] / figures["rss_mb_10_clips"]
    figures["reached"] = {
        target: bool(figures[target] <= bound if way == "<=" else figures[target] >= bound)
        for target, (way, bound) in TARGETS.items()
        if target in figures
    }
    report = {"machine": machine(), "load_average_before": busy, **figures}
    if asked.json:
        print(json.dumps(_round(report), indent=2))
    else:
        _print_table(report)


# ------------------------------------------------------------------------------------------------------------ loading


def measure_loading(folder: Path, pairs: int, rounds: int) -> dict[str, Any]:
    """Pairs a second out of memory, as float32 and as uint8, and of every other way; memory's bandwidth; loading."""
    dataset, peers = folder / "dataset", prepare(folder, pairs)
    loaded = lrt.dataset.load(dataset)
    batches = loaded.on("cpu")
    spare = torch.empty_like(batches.images)

    def copy() -> None:
        for _ in range(COPIES):
            spare.copy_(batches.images)

    def fill() -> None:
        for _ in range(COPIES):
            for rows in batches.images.split(BATCH):
                spare[: len(rows)].copy_(rows)

    def take() -> None:
        images = None
        for epoch in range(EPOCHS):
            for chosen in batches.order(epoch).split(BATCH):
                images, _ = batches.take(chosen, out=images)

    def take_pixels() -> None:
        for epoch in range(EPOCHS):
            for chosen in batches.order(epoch).split(BATCH):
                batches.take_pixels(chosen)

    cores = torch.get_num_threads()
    ours = {
        f"{work.__name__} {threads}": (work, threads)
        for threads in {1, cores}
        for work in (copy, fill, take, take_pixels)
    }
    seconds: dict[str, list[float]] = {name: [] for name in (*ours, "load", *peers)}
    for _ in range(rounds):
        for name, (work, threads) in ours.items():
            torch.set_num_threads(threads)
            seconds[name].append(clock(work))
        torch.set_num_threads(cores)
        seconds["load"].append(clock(lambda: lrt.dataset.load(dataset)))
        for name, peer in peers.items():
            found = peer()
            next(found)  # starts the workers, fills their queues
            seconds[name].append(clock(lambda found=found: [next(found) for _ in range(PEER_BATCHES)]))
            found.close()
    took = {name: statistics.median(each) for name, each in seconds.items()}

    threads = min((1, cores), key=lambda threads: took[f"take {threads}"])
    rate = EPOCHS * pairs / took[f"take {threads}"]
    rates = {name: PEER_BATCHES * BATCH / took[name] for name in peers}
    best = max(rates, key=lambda name: rates[name])
    # The least that a loader can move: a pair is read where it lies, one byte a channel, and written in a batch, four
    # bytes a channel. What it reads and writes again on the way there is not counted, nor is the order.
    least = (5 * loaded.images.nbytes + 2 * loaded.heatmaps.nbytes) / pairs
    # Two limits, each byte read once and written once. `copy` goes through main memory on both sides. `fill` copies as
    # a loader does, into one batch's memory again and again, which stays in the cache: the stricter one.
    limits = {name: 2 * COPIES * batches.images.nbytes / took[f"{name} {threads}"] for name in ("copy", "fill")}
    return {
        "pairs": pairs,
        "batch": BATCH,
        "rounds": rounds,
        "threads": threads,
        "loader_pairs_per_s": rate,
        "loader_uint8_pairs_per_s": EPOCHS * pairs / took[f"take_pixels {threads}"],
        "loader_pairs_per_s_by_threads": {n: EPOCHS * pairs / took[f"take {n}"] for n in sorted({1, cores})},
        "loaders_pairs_per_s": rates,
        "best_loader": best,
        "vs_best_loader": rate / rates[best],
        "bytes_per_pair": least,
        "copy_gb_per_s": limits["copy"] / 1e9,
        "bandwidth_share": rate * least / limits["copy"],
        "fill_gb_per_s": limits["fill"] / 1e9,
        "bandwidth_share_of_fill": rate * least / limits["fill"],
        "load_seconds": took["load"],
        "first_epoch_pairs_per_s": pairs / (took["load"] + took[f"take {threads}"] / EPOCHS),
        "mb_in_memory": (loaded.images.nbytes + loaded.heatmaps.nbytes) / 1e6,
        "mb_on_disk": sum(path.stat().st_size for path in (dataset / "data").iterdir()) / 1e6,
    }


def prepare(folder: Path, pairs: int) -> dict[str, Callable[[], loaders.Batches]]:
    """Write the pairs in every form; {name of a way: how to begin it}."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf")}
    import datasets

    datasets.disable_progress_bars()
    images, heatmaps = draw_pairs(pairs)
    write_dataset(images, heatmaps, folder / "dataset")
    pngs = [encode_png(image) for image in images]
    loaders.write_tars(pngs, heatmaps, folder / "tars")
    loaders.write_folders(pngs, heatmaps, folder / "folders")
    peers: dict[str, Callable[[], loaders.Batches]] = {}
    for workers in WORKERS:
        say = f"{workers} workers"
        peers |= {
            f"datasets, torch format, {say}": lambda workers=workers: loaders.open_hugging_face(
                folder / "dataset", folder / "hf", workers, BATCH
            ),
            f"WebDataset, {say}": lambda workers=workers: loaders.open_webdataset(folder / "tars", workers, BATCH),
            f"PNG folders, {say}": lambda workers=workers: loaders.open_folders(folder / "folders", workers, BATCH),
        }
    return peers


def write_dataset(images: np.ndarray, heatmaps: np.ndarray, folder: Path) -> None:
    """The pairs as a dataset of ours, in clips of equal length."""
    folder.mkdir()
    clips = []
    for number, rows in enumerate(np.array_split(np.arange(len(images)), CLIPS)):
        t_ns, dt_ms = np.arange(len(rows)) * 100_000_000, np.zeros(len(rows), np.float32)
        heat, full = heatmaps[rows], np.zeros((len(rows), 8, 8), np.float32)
        clip = Rows(f"bench-{number:02d}", images[rows], heat, full, t_ns, dt_ms, "red", "bright", 1, synthetic=True)
        clips.append(write_shard(folder, clip))
    info = DatasetInfo(
        clips=tuple(clips),
        heatmap_shape=(5, 8),
        image_shape=(40, 64),
        field_of_view_deg=None,
        view={},
        sensor="twin",
        camera="twin",
        pair_errors=None,
        calibration_id="",
        config={},
        synthetic=True,
        versions={},
        named_splits={"default": {"train": [clip.clip_id for clip in clips], "test": []}},
    )
    write_info(info, folder)


def draw_pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 40, 64, 3) uint8 and (N, 5, 8) float32, degC: people in rooms, no two pictures alike."""
    rng = np.random.default_rng(0)
    drawn, warmth = [], []
    for seed in range(SCENES):
        clothing, lighting = list(SHIRTS)[seed % len(SHIRTS)], ("bright", "dim")[seed % 2]
        scene = Scene(SceneSettings(room_seed=seed, occupant_seed=seed, clothing=clothing, lighting=lighting))
        for time_s in np.linspace(3, 60, LOOKS):
            drawn.append(cv2.resize(scene.look(time_s).image[VIEW], (64, 40), interpolation=cv2.INTER_AREA))
            warmth.append(cv2.resize(scene.heat(time_s), (8, 5), interpolation=cv2.INTER_AREA))
    images = np.empty((count, 40, 64, 3), np.uint8)
    for number, image in enumerate(images):
        shifted = np.roll(drawn[number % len(drawn)], number // len(drawn), axis=1)
        image[:] = np.clip(shifted + rng.integers(-2, 3, shifted.shape), 0, 255)
    heatmaps = np.stack([warmth[number % len(warmth)] for number in range(count)])
    return images, (heatmaps + rng.normal(0, 0.2, heatmaps.shape)).astype(np.float32)


def clock(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


# ----------------------------------------------------------------------------------------------------------- printing


def _round(figures: Any) -> Any:
    if isinstance(figures, dict):
        return {name: _round(value) for name, value in figures.items()}
    return float(f"{figures:.4g}") if isinstance(figures, float) else figures


def _print_table(report: dict[str, Any]) -> None:
    print(
        f"{report['pairs']:,} pairs, batches of {report['batch']}, medians of {report['rounds']} rounds, "
        f"ours at its best with {report['threads']} threads"
    )
    rows = {
        "lrt.dataset, float32": report["loader_pairs_per_s"],
        "lrt.dataset, uint8": report["loader_uint8_pairs_per_s"],
        **report["loaders_pairs_per_s"],
    }
    for name, rate in rows.items():
        print(f"{name:36} {rate:>12,.0f} pairs/s")
    for name, figure in report.items():
        if isinstance(figure, float) and name not in ("loader_pairs_per_s", "loader_uint8_pairs_per_s"):
            way, bound = TARGETS.get(name, ("", 0))
            missed = "" if report["reached"].get(name, True) else "NOT REACHED"
            print(f"{name:28} {figure:12.4g} {f'{way} {bound:g}' if way else ''} {missed}".rstrip())


if __name__ == "__main__":
    main(sys.argv[1:])
