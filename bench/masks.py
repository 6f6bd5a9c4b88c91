"""What a person mask costs on this machine: torchvision's Mask R-CNN as it comes and as lrt sets it, and the others.

`python -m bench masks` prints a table; `python -m bench.masks --json` prints one object. Every source sees the same
pictures of the twin, in turn, round after round; the figures are medians over the rounds. Mask R-CNN's weights are
random, and the cap of `--detections` is on every form of it and always reached: with COCO's weights a picture of one
person costs a little less. What it would find is therefore not compared; how far bfloat16 moves masks is, on the small
network with the weights that ship. The selfie segmenter runs where LRT_SELFIE_MODEL names its model.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torchvision.models.detection import MaskRCNN, maskrcnn_resnet50_fpn

from lrt.calibration.mask_cache import CachedMasks
from lrt.calibration.maskrcnn import LONG_SIDE, SHORT_SIDE, find_only_people
from lrt.calibration.masks import MaskSource, NetworkMasks, open_masks
from lrt.rig.twin.scene import SHIRTS, Scene, SceneSettings

from .__main__ import machine

OWN, PLAIN, TUNED = "Mask R-CNN, torchvision's own", "Mask R-CNN, 320 px, float32", "Mask R-CNN, as lrt sets it"
FRAMES_OF_A_CALIBRATION = 200


def look_at_twin(count: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Pictures (360, 640, 3) uint8 of people in rooms of their own, and their true masks (360, 640) bool."""
    images, truths, seed = [], [], 90_000_000
    while len(images) < count:
        clothing = tuple(SHIRTS)[len(images) % 5]
        look = Scene(SceneSettings(room_seed=seed, occupant_seed=seed + 1, clothing=clothing)).look(40.0)
        if look.mask.mean() > 0.005:
            images.append(look.image)
            truths.append(look.mask)
        seed += 10
    return images, truths


def build_random(detections: int, tuned: bool, **options: Any) -> MaskRCNN:
    """torchvision's network with random weights, that keeps as many detections of every picture as it may."""
    torch.manual_seed(0)
    network = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, **options)
    if tuned:
        find_only_people(network)
    heads: Any = network.roi_heads
    heads.score_thresh, heads.detections_per_img = -1.0, detections
    return network


def time_sources(sources: dict[str, MaskSource], images: list[np.ndarray], rounds: int) -> dict[str, dict[str, Any]]:
    """Seconds a picture of each source: wall and processor time, medians over rounds in which each has its turn."""
    wall: dict[str, list[float]] = {name: [] for name in sources}
    processor: dict[str, list[float]] = {name: [] for name in sources}
    for source in sources.values():
        next(iter(source.masks(images[:1])))  # the first is slower
    for _ in range(rounds):
        for name, source in sources.items():
            started, busy = time.perf_counter(), time.process_time()
            for _mask in source.masks(images):
                pass
            wall[name].append((time.perf_counter() - started) / len(images))
            processor[name].append((time.process_time() - busy) / len(images))
    return {
        name: {
            "wall_s": statistics.median(wall[name]),
            "wall_s_range": [min(wall[name]), max(wall[name])],
            "cpu_s": statistics.median(processor[name]),
        }
        for name in sources
    }


def compare(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> dict[str, float]:
    """Intersection over union, frame by frame."""
    pairs = [(np.asarray(a) > 0.5, np.asarray(b) > 0.5) for a, b in zip(ours, theirs, strict=True)]
    scores = [float((a & b).sum() / (a | b).sum()) for a, b in pairs if (a | b).any()]
    return {"mean": float(np.mean(scores)), "least": min(scores), "frames": len(scores)}


def measure(frames: int, rounds: int, detections: int, folder: Path) -> dict[str, Any]:
    """All figures.

    Args:
        frames: pictures a round.
        rounds: how often each source sees them.
        detections: that every Mask R-CNN keeps.
        folder: for a cache.
    """
    images, truths = look_at_twin(max(frames, 16))
    tuned = {"min_size": SHORT_SIDE, "max_size": LONG_SIDE}
    small = open_masks("small")
    sources: dict[str, MaskSource] = {
        OWN: NetworkMasks("own", build_random(detections, tuned=False), fast=False),
        PLAIN: NetworkMasks("plain", build_random(detections, tuned=False, **tuned), fast=False),
        TUNED: NetworkMasks("tuned", build_random(detections, tuned=True, **tuned)),
        "small, float32": open_masks("small", fast=False),
        "small": small,
        "small, from the cache": CachedMasks("small", "bench", lambda: small, folder),
    }
    overlaps = {
        "small: tuned against float32": ("small", "small, float32"),
        "small: tuned against the truth": ("small", "truth"),
        "small: float32 against the truth": ("small, float32", "truth"),
    }
    if model := os.environ.get("LRT_SELFIE_MODEL"):
        sources["selfie"] = open_masks("selfie", weights=Path(model))
        overlaps["selfie against the truth"] = ("selfie", "truth")
    found = {name: list(source.masks(images)) for name, source in sources.items() if "Mask R-CNN" not in name}
    found["truth"] = truths
    seconds = time_sources(sources, images[:frames], rounds)
    return {
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "bfloat16": bool(getattr(small, "_half", False)),
        "image": "640x360",
        "frames": frames,
        "rounds": rounds,
        "detections": detections,
        "maskrcnn_weights": "random",
        "seconds": seconds,
        "times_faster": seconds[OWN]["wall_s"] / seconds[TUNED]["wall_s"],
        "iou": {name: compare(found[a], found[b]) for name, (a, b) in overlaps.items()},
    }


def main(arguments: Sequence[str] = ()) -> None:
    """Print the table, or the JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.masks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--frames", type=int, default=3, help="pictures a round")
    parser.add_argument("--rounds", type=int, default=5, help="how often each source sees them")
    parser.add_argument("--detections", type=int, default=3, help="that every Mask R-CNN keeps of a picture")
    told = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        found = measure(told.frames, told.rounds, told.detections, Path(folder))
    if told.json:
        print(json.dumps(found))
        return
    print(
        f"{found['image']}, {found['threads']} threads, bfloat16 {'yes' if found['bfloat16'] else 'no'}; Mask R-CNN "
        f"with random weights and {found['detections']} detections in every picture, whatever its form"
    )
    print(f"{'seconds a picture':<32}{'wall':>8}{'least':>8}{'most':>8}{'CPU':>8}{'200 pictures':>14}")
    for name, row in found["seconds"].items():
        least, most = row["wall_s_range"]
        print(
            f"{name:<32}{row['wall_s']:>8.3f}{least:>8.3f}{most:>8.3f}{row['cpu_s']:>8.3f}"
            f"{row['wall_s'] * FRAMES_OF_A_CALIBRATION:>12.1f} s"
        )
    print(f"as lrt sets it, Mask R-CNN is {found['times_faster']:.1f} times faster than torchvision's own")
    print(f"\n{'intersection over union':<36}{'mean':>8}{'least':>8}")
    for name, row in found["iou"].items():
        print(f"{name:<36}{row['mean']:>8.3f}{row['least']:>8.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
