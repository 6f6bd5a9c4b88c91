"""Drawn figures: a room, somebody in it where the heat is, five shirts, two lights."""

import cv2
import numpy as np
import pytest
import torch

from lrt.dataset.loading import PairSet

SHIRTS = ((225, 225, 225), (200, 40, 40), (40, 160, 60), (40, 60, 190), (35, 35, 38))
LIGHTS = (1.0, 0.45)
ROOM_C, SHIRT_C, SKIN_C = 21.5, 26.0, 29.0


@pytest.fixture(autouse=True)
def _seed():
    """A test that draws from torch draws the same every time."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """On a busy machine threads that wait for each other make tiny networks a hundred times slower."""
    torch.set_num_threads(1)


def draw_figure(image: np.ndarray, heat: np.ndarray, x: float, y: float, arms: np.ndarray, shirt: tuple) -> None:
    """Put a body, a head and two arms into an image (H, W, 3) and its heat (H, W)."""
    unit = image.shape[0] / 40
    body = np.zeros(heat.shape, np.uint8)
    cv2.ellipse(body, (int(x), int(y + 8 * unit)), (int(6 * unit), int(12 * unit)), 0, 0, 360, 1, -1)
    for side, raised in zip((-1, 1), arms, strict=True):
        hand = (int(x + side * 12 * unit), int(y + 8 * unit * raised + 4 * unit))
        cv2.line(body, (int(x + side * 4 * unit), int(y)), hand, 1, int(4 * unit))
    image[body > 0], heat[body > 0] = shirt, SHIRT_C
    head = np.zeros(heat.shape, np.uint8)
    cv2.ellipse(head, (int(x), int(y - 8 * unit)), (int(3.6 * unit), int(4.8 * unit)), 0, 0, 360, 1, -1)
    image[head > 0], heat[head > 0] = (205, 160, 130), SKIN_C


def draw_pairs(clips: int, frames: int, seed: int = 0, heatmap_shape: tuple[int, int] = (5, 8)) -> PairSet:
    """Clips of a figure that wanders and waves; every tenth clip is an empty room."""
    rng = np.random.default_rng(seed)
    height, width = 8 * heatmap_shape[0], 8 * heatmap_shape[1]
    room = np.empty((height, width, 3))
    room[:] = (170, 160, 125)
    room[int(height * 0.75) :] = (110, 90, 70)
    room[:, int(width * 0.7) : int(width * 0.85)] *= 0.8
    images, heatmaps = [], []
    for clip in range(clips):
        shirt, light = SHIRTS[clip % 5], LIGHTS[clip // 5 % 2]
        x, y = width / 2, height * 0.55
        for _ in range(frames):
            x = np.clip(x + rng.normal(0, width / 13), width / 6, width * 5 / 6)
            y = np.clip(y + rng.normal(0, height / 20), height * 0.4, height * 0.8)
            image, heat = room.copy(), np.full((height, width), ROOM_C)
            if clip % 10 != 9:
                draw_figure(image, heat, x, y, rng.uniform(-1, 1, 2), shirt)
            image = image * light + rng.normal(0, 3, image.shape)
            images.append(np.clip(image, 0, 255).astype(np.uint8))
            cells = heat.reshape(heatmap_shape[0], 8, heatmap_shape[1], 8).mean(axis=(1, 3))
            heatmaps.append(cells + rng.normal(0, 0.2, heatmap_shape))
    clip = np.repeat(np.arange(clips, dtype=np.int32), frames)
    return PairSet(
        images=np.stack(images),
        heatmaps=np.stack(heatmaps).astype(np.float32),
        clip=clip,
        frame=np.tile(np.arange(frames, dtype=np.int32), clips),
        clothing=(clip % 5).astype(np.int16),
        lighting=(clip // 5 % 2).astype(np.int16),
        occupants=(clip % 10 != 9).astype(np.int16),
        clip_ids=tuple(f"clip-{number}" for number in range(clips)),
        subjects=("",) * clips,
        rooms=("",) * clips,
        tags=((),) * clips,
        synthetic=True,
    )


@pytest.fixture(scope="session")
def figures() -> PairSet:
    """20 clips of 30 pairs."""
    return draw_pairs(20, 30)


@pytest.fixture(scope="session")
def few() -> PairSet:
    """3 clips of 8 pairs."""
    return draw_pairs(3, 8)


@pytest.fixture(scope="session")
def make_pairs():
    """`draw_pairs`, for a test that wants its own."""
    return draw_pairs
