"""How far the heat slides over the picture as people come nearer or go away: parallax.

Sensor and camera look the same way from two places, b apart. A person z away stands b / z (a tangent) further to one
side for the one than for the other. One thermal pixel is 7.5 degrees, so s = f tan(7.5 deg) pixels of an image whose
focal length is f, and the two views of that person lie

    b f / z pixels = (b / z) / tan(7.5 deg) thermal pixels

apart. The calibration holds that shift for the distance z0 at which people stood while it was recorded. What is left
of it at z, along the line from lens to lens, is

    shift = (b / tan(7.5 deg)) (1/z - 1/z0) thermal pixels = 7.6 b (1/z - 1/z0)        b, z, z0 in metres

above zero for nearer people. Nothing but the distance enters: no fit can take it out.
"""

import math
from dataclasses import dataclass

from .geometry import GRID, CalibrationError

PIXEL_DEG = 60 / GRID  # AMG8833 datasheet: 60 degrees over 8 pixels
DISTANCES_M = (0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
TOLERATED = 0.1  # thermal pixels; about the error of a good calibration


@dataclass(frozen=True)
class DistanceConfig:
    """How the rig is built and where people stood, for the distance table.

    Attributes:
        baseline_cm: from the sensor's lens to the camera's; hardware/mount.scad keeps them 1.8 to 1.9 cm apart.
        distance_m: of the people in the clips, on the whole; the middle of a room of 4 m.
    """

    baseline_cm: float = 1.9
    distance_m: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.baseline_cm <= 100:
            raise CalibrationError(f"--baseline-cm is {self.baseline_cm:g}; measure from lens to lens, 0 to 100 cm")
        if not 0.1 <= self.distance_m <= 100:
            raise CalibrationError(f"--distance-m is {self.distance_m:g}; give 0.1 to 100 m")


@dataclass(frozen=True)
class Shift:
    """How far heat and picture are apart at one distance.

    Attributes:
        distance_m: of a person.
        thermal_px: thermal pixels; above zero nearer than where the rig was calibrated.
        image_px: px of the recorded image.
        picture_px: px of the dataset's picture, `upscale` of them along a heatmap cell (8 in the 64x40); None
            without one.
    """

    distance_m: float
    thermal_px: float
    image_px: float
    picture_px: float | None


def shift_at(distance_m: float, config: DistanceConfig) -> float:
    """What is left of the parallax at a distance, in thermal pixels (see above)."""
    tangent = math.tan(math.radians(PIXEL_DEG))
    return config.baseline_cm / 100 / tangent * (1 / distance_m - 1 / config.distance_m)


def tabulate_shifts(
    config: DistanceConfig,
    s: float,
    cell: float | None,
    distances_m: tuple[float, ...] = DISTANCES_M,
    upscale: int = 8,
) -> list[Shift]:
    """The shift at each distance, in every unit that somebody asks for.

    Args:
        config: the rig.
        s: one thermal pixel, px of the recorded image.
        cell: one heatmap cell of the dataset's view, px of the recorded image; None where there is no view.
        distances_m: of the rows.
        upscale: picture pixels along a heatmap cell.
    """
    rows = []
    for distance_m in distances_m:
        shift = shift_at(distance_m, config)
        rows.append(Shift(distance_m, shift, shift * s, None if cell is None else shift * s * upscale / cell))
    return rows


def usable_range(config: DistanceConfig, tolerated: float = TOLERATED) -> tuple[float, float]:
    """(nearest, farthest) distance in metres within a tolerated shift, thermal pixels; the farthest may be infinite."""
    baseline = config.baseline_cm / 100 / math.tan(math.radians(PIXEL_DEG))
    if baseline == 0:
        return 0.0, math.inf
    reach = tolerated / baseline
    far = 1 / config.distance_m - reach
    return 1 / (1 / config.distance_m + reach), 1 / far if far > 0 else math.inf
