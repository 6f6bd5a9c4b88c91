"""A rig simulator of its own: simple figures with warm zones, and nothing shared with the twin or the fit."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from lrt.calibration.forward import Pose

IMAGE = (640, 360)
FINE = 4  # px of the image a simulated pixel is wide
ABOVE = 160  # px simulated above and below the image, which the sensor sees and the camera does not


@dataclass(frozen=True, eq=False)
class SimulatedRig:
    """N frames of a rig whose pose is known.

    Attributes:
        heatmaps: (N, 8, 8) float32, degC, quarter steps.
        masks: (N, 90, 160) bool, with the faults of a segmenter.
        true_masks: (N, 90, 160) bool.
        pose: the truth.
        image_size: (width, height), px.
    """

    heatmaps: np.ndarray
    masks: np.ndarray
    true_masks: np.ndarray
    pose: Pose
    image_size: tuple[int, int] = IMAGE


def simulate_rig(
    seed: int, frames: int = 120, step_s: float = 0.5, mask_faults: bool = True, static_warmth: bool = True
) -> SimulatedRig:
    rng = np.random.default_rng(seed)
    pose = Pose(320 + rng.uniform(-60, 60), 180 + rng.uniform(-50, 50), rng.uniform(54, 74))
    temperatures = {
        "legs": rng.uniform(2, 4.5), "torso": rng.uniform(3, 6), "arms": rng.uniform(4.5, 8),
        "hair": rng.uniform(2.4, 4), "face": rng.uniform(6, 9),
    }  # fmt: skip
    columns, rows = IMAGE[0] // FINE, (IMAGE[1] + 2 * ABOVE) // FINE
    y, x = np.mgrid[0:rows, 0:columns] / np.array([[[rows]], [[columns]]])
    room = 22 + rng.uniform(-1, 1) * x + rng.uniform(-1, 1) * y
    for _ in range(rng.integers(0, 3) if static_warmth else 0):
        left, top = rng.integers(0, columns - 20), rng.integers(0, rows - 20)
        room[top : top + rng.integers(6, 20), left : left + rng.integers(6, 20)] += rng.uniform(2, 9)
    fixed = rng.normal(0, 0.3, (8, 8))
    drift = rng.uniform(-0.5, 0.5)
    noise = rng.uniform(0.1, 0.3)
    fwhm = rng.uniform(0.9, 1.3)
    swell = int(rng.integers(-1, 2))
    turn, height = rng.uniform(0, 6.28, 4), rng.uniform(1.55, 1.9)
    heatmaps, masks, true_masks = [], [], []
    for frame in range(frames):
        t = frame * step_s
        distance = 2.5 + 1.3 * np.sin(0.31 * t + turn[0])
        middle = 320 + 250 * np.sin(0.23 * t + turn[1]) * np.cos(0.05 * t + turn[2])
        warm, mask = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), np.uint8)
        if np.sin(0.11 * t + turn[3]) > -0.85:
            crouch = 0.45 * max(0.0, np.sin(0.17 * t + turn[2]) - 0.5)
            draw_person(warm, mask, middle, distance, height * (1 - crouch), 0.8 * np.sin(1.3 * t), temperatures)
        field = room + np.where(mask > 0, warm, 0)
        heat = look_through_sensor(field, pose, fwhm) + fixed + drift * frame / frames
        heatmaps.append(np.round((heat + rng.normal(0, noise, (8, 8))) * 4) / 4)
        true = mask[ABOVE // FINE : ABOVE // FINE + IMAGE[1] // FINE] > 0
        true_masks.append(true)
        masks.append(spoil_mask(true, swell, rng) if mask_faults else true)
    return SimulatedRig(np.array(heatmaps, np.float32), np.array(masks), np.array(true_masks), pose)


def draw_person(
    warm: np.ndarray, mask: np.ndarray, middle: float, distance: float, height: float, swing: float, zone_c: dict
) -> None:
    """Limbs as thick lines, head as a disc; camera 1.3 m up, 440 px focal length."""

    def place(across_m: float, up_m: float) -> tuple[int, int]:
        px = (middle + 440 * across_m / distance) / FINE
        py = (180 + 440 * (1.3 - up_m) / distance + ABOVE) / FINE
        return round(px), round(py)

    def thick(metres: float) -> int:
        return max(1, round(440 * metres / distance / FINE))

    def limb(a: tuple[int, int], b: tuple[int, int], metres: float, zone: str) -> None:
        for picture, value in ((warm, zone_c[zone]), (mask, 1)):
            cv2.line(picture, a, b, value, thick(metres))

    h = height
    hip, shoulder, chin = 0.5 * h, 0.81 * h, 0.86 * h
    for side in (-1, 1):
        limb(place(side * 0.1, hip), place(side * (0.12 + 0.1 * abs(swing)), 0.0), 0.15, "legs")
        elbow = (side * (0.26 + 0.1 * abs(swing)), shoulder - 0.28 + 0.2 * max(swing * side, 0))
        limb(place(side * 0.2, shoulder), place(*elbow), 0.1, "arms")
        limb(place(*elbow), place(elbow[0] + side * 0.05, elbow[1] - 0.25 + 0.5 * max(swing * side, 0)), 0.08, "arms")
    for side in (-0.08, 0.0, 0.08):
        limb(place(side, hip), place(side * 1.4, shoulder - 0.04), 0.2, "torso")
    limb(place(0, shoulder), place(0, chin), 0.11, "face")
    centre = place(0, chin + 0.06 * h)
    for picture, value in ((warm, zone_c["face"]), (mask, 1)):
        cv2.ellipse(picture, centre, (thick(0.08), thick(0.115)), 0, 0, 360, value, -1)
    cv2.ellipse(warm, centre, (thick(0.08), thick(0.115)), 0, 190, 350, zone_c["hair"], -1)


def look_through_sensor(field: np.ndarray, pose: Pose, fwhm: float) -> np.ndarray:
    """(8, 8) degC: Gaussian footprints over a field of FINE px cells that begins ABOVE px over the image."""
    sigma = fwhm * pose.s / 2.355
    steps = pose.s * (np.arange(8) - 3.5)
    weights = []
    for centres, cells, origin in ((pose.ty + steps, field.shape[0], -ABOVE), (pose.tx + steps, field.shape[1], 0)):
        at = origin + FINE * (np.arange(cells) + 0.5)
        w = np.exp(-0.5 * ((at[None] - centres[:, None]) / sigma) ** 2)
        weights.append(w / w.sum(axis=1, keepdims=True))
    return weights[0] @ field @ weights[1].T


def spoil_mask(mask: np.ndarray, swell: int, rng: np.random.Generator) -> np.ndarray:
    """Missed (8 %), cut (10 %) and false people (3 %), grown or shrunken outlines."""
    mask = mask.astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    grow = swell + int(rng.integers(-1, 2))
    if grow:
        mask = (cv2.dilate if grow > 0 else cv2.erode)(mask, kernel, iterations=abs(grow))
    fault = rng.uniform()
    if fault < 0.08:
        mask[:] = 0
    elif fault < 0.18 and mask.any():
        rows = np.flatnonzero(mask.any(axis=1))
        mask[rows[-1] - int(rng.uniform(0.1, 0.4) * len(rows)) :] = 0
    if rng.uniform() < 0.03:
        left = int(rng.integers(0, mask.shape[1] - 20))
        mask[30:75, left : left + 15] = 1
    return mask.astype(bool)


@pytest.fixture(scope="session")
def simulate() -> Callable[..., SimulatedRig]:
    return simulate_rig
