"""Train the small Mask R-CNN on pictures of the twin, and write the weights that ship with lrt.

    python -m bench.train_small_masks --out calibration/small_maskrcnn.safetensors

Rendering takes half a second a scene, a step of 8 pictures 0.35 s on one core that multiplies bfloat16: 40 minutes in
all. Run again with the same arguments after a stop, it goes on from its last checkpoint. The weights that ship had
2500 steps on 700 scenes of an earlier twin and 2500 on 500 scenes of the present one: 0.89 mean IoU on fresh scenes.
"""

import argparse
import json
import math
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection import MaskRCNN

from lrt.calibration.masks import NetworkMasks
from lrt.calibration.small import CHANNELS, LONG_SIDE, SHORT_SIDE, build_small_maskrcnn
from lrt.rig.twin.scene import SHIRTS, Scene, SceneSettings

BATCH = 8
LOOKS = 8  # pictures of one scene
POOL_SIZE = (427, 240)  # stored pictures: a quarter larger than the network's input, for cropping
LEARNING_RATE, WARM_UP = 1e-3, 300
EMA_DECAY = 0.998
EVALUATION_SEED = 50_000_000  # training's rooms and occupants are numbered from 0, the tests' from 90 million
SMALLEST_AREA = 60  # px of the input; less of a person cannot be boxed sensibly


def draw_scene(rng: np.random.Generator, seed: int, occupants: int | None = None) -> Scene:
    """A scene that nothing but the seed and the generator decide: room, occupant, colours, light, camera."""
    return Scene(
        SceneSettings(
            room_seed=seed,
            occupant_seed=seed + 1,
            person_seed=seed + 2,
            clothing=str(rng.choice(list(SHIRTS))),
            lighting=str(rng.choice(["bright", "dim"])),
            occupants=int(rng.choice([1, 2], p=[0.85, 0.15])) if occupants is None else occupants,
            size=(640, 480) if rng.random() < 0.2 else (640, 360),
            focal_px=float(rng.uniform(400, 560)) if rng.random() < 0.5 else 0.0,
            camera_height_m=float(rng.uniform(1.0, 1.6)),
            tilt_rad=float(rng.uniform(-0.02, 0.15)),
        )
    )


def render_pool(scenes: int, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """(M, 240, 427, 3) uint8 pictures and (M, 240, 427) uint8 labels: 0 nobody, 1 and 2 the people in view."""
    if cache.exists():
        stored = np.load(cache)
        return stored["pictures"], stored["labels"]
    rng = np.random.default_rng(0)
    width, height = POOL_SIZE
    pictures = np.empty((scenes * LOOKS, height, width, 3), np.uint8)
    labels = np.zeros((scenes * LOOKS, height, width), np.uint8)
    for number in range(scenes):
        scene = draw_scene(rng, number, occupants=0 if number % 25 == 0 else None)
        for look_number in range(LOOKS):
            look = scene.look(float(rng.uniform(0, 900)))
            tall = cut_to_aspect(look.image)
            at = number * LOOKS + look_number
            pictures[at] = cv2.resize(tall, POOL_SIZE, interpolation=cv2.INTER_AREA)
            for person, mask in enumerate(look.masks[-2:]):
                small = cv2.resize(cut_to_aspect(mask.astype(np.float32)), POOL_SIZE, interpolation=cv2.INTER_AREA)
                labels[at][small > 0.5] = person + 1
        if number % 100 == 0:
            print(f"scene {number} of {scenes}", flush=True)
    np.savez(cache, pictures=pictures, labels=labels)
    return pictures, labels


def cut_to_aspect(picture: np.ndarray) -> np.ndarray:
    """The middle of a picture, as wide as 16 to its height of 9."""
    height = min(picture.shape[0], round(picture.shape[1] * 9 / 16))
    top = (picture.shape[0] - height) // 2
    return picture[top : top + height]


def augment(picture: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, dict[str, Tensor]]:
    """A picture cut, flipped, coloured and spoilt at random, and its people as torchvision wants them."""
    height, width = picture.shape[:2]
    zoom = SHORT_SIDE / height * np.exp(rng.uniform(-0.1, 0.3))
    shift_x = rng.uniform(-0.5, 0.5) * abs(width * zoom - LONG_SIDE) + (LONG_SIDE - width * zoom) / 2
    shift_y = rng.uniform(-0.5, 0.5) * abs(height * zoom - SHORT_SIDE) + (SHORT_SIDE - height * zoom) / 2
    warp = np.array([[zoom, 0, shift_x], [0, zoom, shift_y]])
    if rng.random() < 0.5:
        warp[0] = [-zoom, 0, LONG_SIDE - shift_x]
    size = (LONG_SIDE, SHORT_SIDE)
    picture = cv2.warpAffine(picture, warp, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    labels = cv2.warpAffine(labels, warp, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.2))
    colour = picture.astype(np.float32) / 255
    if rng.random() < 0.3:  # other hues of the same room and clothes
        colour = cv2.cvtColor(colour, cv2.COLOR_RGB2HSV)
        colour[..., 0] = (colour[..., 0] + rng.uniform(-40, 40)) % 360
        colour[..., 1] = np.clip(colour[..., 1] * rng.uniform(0.4, 1.3), 0, 1)
        colour = cv2.cvtColor(colour, cv2.COLOR_HSV2RGB)
    gains = (rng.uniform(0.75, 1.25) * rng.uniform(0.88, 1.12, 3)).astype(np.float32)
    colour = np.clip(colour * gains, 0, 1) ** np.float32(np.exp(rng.uniform(-0.3, 0.3)))
    if rng.random() < 0.5:
        colour = colour + rng.standard_normal(colour.shape, np.float32) * np.float32(rng.uniform(0, 0.04))
    people = [labels == person for person in (1, 2) if (labels == person).sum() >= SMALLEST_AREA]
    masks = np.array(people, np.uint8).reshape(-1, SHORT_SIDE, LONG_SIDE)
    boxes = np.array([find_box(mask) for mask in masks], np.float32).reshape(-1, 4)
    target = {
        "boxes": torch.from_numpy(boxes),
        "labels": torch.ones(len(masks), dtype=torch.int64),
        "masks": torch.from_numpy(masks),
    }
    return torch.from_numpy(np.clip(colour, 0, 1).transpose(2, 0, 1).copy()), target


def find_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom edge of what is set."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def evaluate(network: MaskRCNN, frames: int, first_seed: int = EVALUATION_SEED) -> dict[str, float]:
    """Union-mask IoU on fresh scenes, as `NetworkMasks` gives masks; and what is claimed of empty rooms."""
    source = NetworkMasks("small", network)
    rng = np.random.default_rng(first_seed)
    scores, claimed, seed = [], [], first_seed
    while len(scores) < frames:
        scene = draw_scene(rng, seed, occupants=0 if seed % 8 == 7 else None)
        look = scene.look(float(rng.uniform(0, 900)))
        mask = next(iter(source.masks([look.image]))) > 0.5
        if look.mask.mean() > 0.005:
            scores.append((mask & look.mask).sum() / (mask | look.mask).sum())
        elif not look.mask.any():
            claimed.append(mask.mean())
        seed += 10
    quantiles = np.quantile(scores, [0.1, 0.5])
    empty = float(np.mean(claimed)) if claimed else 0.0
    return {"iou": float(np.mean(scores)), "p10": quantiles[0], "median": quantiles[1], "claimed_of_empty": empty}


def train(out: Path, steps: int, scenes: int, work: Path, every: int) -> None:
    """Train to `steps`, checkpoint and evaluate every so many of them, and write the averaged weights as float16."""
    pictures, labels = render_pool(scenes, work / f"pool-{scenes}.npz")
    torch.manual_seed(0)
    network = build_small_maskrcnn().to(memory_format=torch.channels_last)
    averaged = build_small_maskrcnn()
    # A dense mask from the finest level, in training alone: it teaches the backbone sooner than the few regions do.
    dense = nn.Conv2d(CHANNELS, 1, 1)
    finest: list[Tensor] = []
    network.backbone.register_forward_hook(lambda _module, _inputs, levels: finest.append(levels["0"]))
    trained = [*network.parameters(), *dense.parameters()]
    optimiser = torch.optim.AdamW(trained, lr=LEARNING_RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min(1, (step + 1) / WARM_UP) * (0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2),
    )
    parts = {"network": network, "averaged": averaged, "dense": dense, "optimiser": optimiser, "schedule": schedule}
    checkpoint, first = work / "checkpoint.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        first = state.pop("step")
        for name, part in parts.items():
            part.load_state_dict(state[name])
    started = time.perf_counter()
    for step in range(first, steps):
        rng = np.random.default_rng([1, step])
        batch = [augment(pictures[k], labels[k], rng) for k in rng.integers(0, len(pictures), BATCH)]
        targets = [target for _, target in batch]
        network.train()
        finest.clear()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            losses = network([picture for picture, _ in batch], targets)
            seen = dense(finest[0]).float()[:, 0]
        union = torch.stack([target["masks"].amax(0) if len(target["masks"]) else torch.zeros(SHORT_SIDE, LONG_SIDE)
                             for target in targets]).float()  # fmt: skip
        coarse = F.avg_pool2d(union[:, None], 4)[:, 0]
        losses["dense"] = F.binary_cross_entropy_with_logits(seen, coarse)
        loss = sum(losses.values())
        assert isinstance(loss, Tensor)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 5.0)
        optimiser.step()
        schedule.step()
        decay = min(EMA_DECAY, (step + 1) / (step + 10))
        with torch.no_grad():
            for mine, theirs in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
                if mine.is_floating_point():
                    mine.lerp_(theirs, 1 - decay)
                else:
                    mine.copy_(theirs)
        if (step + 1) % 100 == 0:
            shown = {name: round(value.item(), 3) for name, value in losses.items()}
            print(step + 1, f"{(time.perf_counter() - started) / (step + 1 - first):.3f} s", shown, flush=True)
        if (step + 1) % every == 0 or step + 1 == steps:
            state = {name: part.state_dict() for name, part in parts.items()}
            torch.save({**state, "step": step + 1}, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").replace(checkpoint)
            save_half(averaged, out)
            print(step + 1, json.dumps(evaluate(averaged, 60)), flush=True)


def save_half(network: nn.Module, out: Path) -> None:
    """Weights as float16 safetensors, whole or not at all."""
    from safetensors.torch import save

    from lrt import write_whole

    state = {name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()}
    write_whole(out, save({name: value.contiguous() for name, value in state.items()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="safetensors to write")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--scenes", type=int, default=500, help="rooms with an occupant, 8 pictures each")
    parser.add_argument("--work", type=Path, default=Path("small_masks"), help="folder for the pool and checkpoint")
    parser.add_argument("--every", type=int, default=500, help="steps between checkpoints")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    options.work.mkdir(parents=True, exist_ok=True)
    train(options.out, options.steps, options.scenes, options.work, options.every)


if __name__ == "__main__":
    main()
