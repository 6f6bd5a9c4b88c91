"""Who is in the room: a body dressed and painted, warm, with a script to follow."""

import numpy as np

from .body import ZONES, Body, make_pose, turn_about
from .motion import SCRIPTS, Stage, State

SHIRTS = {
    "white": (0.86, 0.86, 0.85),
    "red": (0.62, 0.04, 0.05),
    "green": (0.05, 0.34, 0.10),
    "blue": (0.05, 0.12, 0.50),
    "black": (0.022, 0.022, 0.025),
}  # linear RGB reflectance
TROUSERS = ((0.05, 0.07, 0.14), (0.03, 0.03, 0.035), (0.20, 0.17, 0.12), (0.10, 0.10, 0.11), (0.12, 0.16, 0.26))
HAIR = ((0.015, 0.011, 0.009), (0.05, 0.026, 0.014), (0.11, 0.06, 0.03), (0.30, 0.20, 0.09), (0.26, 0.25, 0.24))
SKIN = ((0.62, 0.38, 0.28), (0.52, 0.31, 0.22), (0.40, 0.22, 0.14), (0.22, 0.11, 0.065), (0.68, 0.45, 0.36))
SHOES = ((0.03, 0.03, 0.03), (0.5, 0.5, 0.5), (0.12, 0.06, 0.03))

# degC over the room's air, of the whole zone before the sensor blurs it. A fit to recordings of a clothed adult at
# 1-2 m gave hair 2.4-2.7, face and neck 4.8-5.1, clothes and bare arms 3.8; a tenth more than that brings the peak of
# a waist-up person over its background to what the published samples show (4.7, 5-95 %: 3.6-5.6)
WARMTH_C = {
    "hair": 2.8,
    "face": 5.5,
    "neck": 5.5,
    "nape": 4.8,
    "eye": 5.5,
    "mouth": 5.5,
    "shirt": 4.2,
    "sleeve": 4.2,
    "forearm": 4.2,
    "hand": 4.0,
    "trousers": 3.3,
    "shoe": 1.8,
}
PATCH_C, PATCH_M = 0.4, 0.45  # sd and length of the patches of warmer and cooler cloth and skin
CLOTH = tuple(ZONES.index(zone) for zone in ("shirt", "sleeve", "trousers"))


class Occupant:
    """One person in the room.

    Args:
        person: seed of the looks and the warmth: body, skin, hair, sleeves, trousers, shoes.
        motion: seed of what the person does.
        clothing: colour of the shirt.
        stage: where it may go.
        script: which of SCRIPTS it follows.

    Attributes:
        body: poses in, vertices out.
        paint: (F, 3) float32, linear RGB reflectance of each triangle.
        folds: (F, 1) float32, how much lighter or darker folds make the light on it.
        warmth: (F,) float32, degC over the room's air.
        script: where it is and how it holds itself, at any time.
    """

    def __init__(self, person: int, motion: int, clothing: str, stage: Stage, script: str = "live") -> None:
        rng = np.random.default_rng([person, 5])
        cloth_m = rng.uniform(0.008, 0.022)
        self.body = Body(
            int(rng.integers(0, 64)),
            {
                "hair": rng.uniform(0.012, 0.035),
                "nape": 0.004,
                "shirt": cloth_m,
                "sleeve": cloth_m * 1.2,
                "trousers": 0.012,
                "shoe": 0.008,
            },
        )
        self.paint, self.folds = _dress(rng, self.body.zones, clothing)
        self.warmth = _warm(rng, self.body)
        self.script = SCRIPTS[script](stage, motion)

    def stand(self, state: State) -> np.ndarray:
        """(V, 3) float64, m: the skin where a state puts it in the room."""
        skin = self.body.pose(state.pose) @ turn_about("z", state.heading).T
        return skin + np.array([state.x, state.y, 0.0])


def _dress(rng: np.random.Generator, zones: np.ndarray, clothing: str) -> tuple[np.ndarray, np.ndarray]:
    """(paint, folds) of each triangle."""
    skin = np.array(SKIN[rng.integers(len(SKIN))]) * rng.uniform(0.9, 1.1)
    shirt = np.array(SHIRTS[clothing]) * rng.uniform(0.8, 1.1)
    hair = np.array(HAIR[rng.integers(len(HAIR))])
    trousers = np.array(TROUSERS[rng.integers(len(TROUSERS))]) * rng.uniform(0.8, 1.2)
    long_hair, long_sleeves = rng.random() < 0.4, rng.random() < 0.3
    paint = {
        "hair": hair,
        "face": skin,
        "neck": skin,
        "nape": hair if long_hair else skin,
        "eye": skin * 0.25,
        "mouth": skin * (0.8, 0.5, 0.55),
        "shirt": shirt,
        "sleeve": shirt,
        "forearm": shirt if long_sleeves else skin,
        "hand": skin,
        "trousers": trousers,
        "shoe": np.array(SHOES[rng.integers(len(SHOES))]),
    }
    folds = 1.0 + 0.11 * rng.standard_normal(len(zones)) * np.isin(zones, CLOTH)
    return np.array([paint[zone] for zone in ZONES], np.float32)[zones], folds.astype(np.float32)[:, None]


def _warm(rng: np.random.Generator, body: Body) -> np.ndarray:
    """(F,) float32, degC over the air: by zone, by person, and in patches where cloth lies close or stands off."""
    zone = np.array([WARMTH_C[zone] for zone in ZONES]) + rng.normal(0.0, 0.15, len(ZONES))
    zone *= rng.uniform(0.92, 1.08)
    centres = body.pose(make_pose())[body.faces].mean(1)
    waves = rng.normal(0.0, 2 * np.pi / PATCH_M, (6, 3)) @ centres.T + rng.uniform(0, 2 * np.pi, (6, 1))
    patches = PATCH_C * np.sqrt(2 / 6) * np.sin(waves).sum(0)
    return (zone[body.zones] + patches).astype(np.float32)
