"""The layout of the authors' own datasets, LRT-Human and PAIR-LRT-Human: names, shapes, and how heat is coded.

Read from the code that trains on them (`sychiu/SPADE-SR`: utils.py, data_processing/render.py, calc_mae.py and its
README; `acqxi/PAIR-LRT-Human`: inference.py and README):

    rgb/<clip>/<i>.png        the picture
    thermal/<clip>/<i>.png    heat, one channel: 0..255 is 19..30 degC, clipped outside, rounded
    rgb.npy, thermal.npy      the same, shuffled: (N, H, W, 3) and (N, h, w, 1), floats in -1..1, (v - 127.5) / 127.5

Beside `thermal` lie `thermal_calibrated`, `thermal_noise05` and `thermal_noise10`, the last two with noise of 0.5 and
1.0 degC. LRT-Human's pictures are BGR in the .npy, since OpenCV read them. Its README gives the shape as [B,W,H,C]; its
networks take rows before columns, and so do we. PAIR-LRT-Human's arrays are called thermals.npy and rgbs.npy, and its
code saves such pictures as RGB; what else lies in its archive, and which degC its heat stands for, is written nowhere.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..loading import COLDEST_C, WARMEST_C
from .outgoing import TAGS

RGB, HEAT = "rgb", "thermal"
TAGS_NAME, SOURCE_NAME = "tags.csv", "source.json"  # ours: the tags of the clips, and what recorded them
TAG_COLUMNS = ("clip", "split", *TAGS)
SOURCE = ("sensor", "camera", "field_of_view_deg", "scope", "synthetic", "vocabulary")
LEVELS = 255
STEP_C = (WARMEST_C - COLDEST_C) / LEVELS


@dataclass(frozen=True)
class Layout:
    """One of the two datasets.

    Attributes:
        name: as `--layout` takes it.
        heatmap_shape: (rows, columns).
        heat_array, rgb_array: names of the shuffled arrays.
        channels: their order in the pictures' array.
        sensor, camera: what recorded them, in words.
        field_of_view_deg: (width, height), as published.
    """

    name: str
    heatmap_shape: tuple[int, int]
    heat_array: str
    rgb_array: str
    channels: Literal["bgr", "rgb"]
    sensor: str
    camera: str
    field_of_view_deg: tuple[float, float]

    @property
    def image_shape(self) -> tuple[int, int]:
        """(rows, columns) of a picture: eight times the heatmap's, in both."""
        return 8 * self.heatmap_shape[0], 8 * self.heatmap_shape[1]


LRT_HUMAN = Layout(
    name="lrt-human",
    heatmap_shape=(5, 8),
    heat_array="thermal.npy",
    rgb_array="rgb.npy",
    channels="bgr",
    sensor="AMG8833 on a microcontroller",
    camera="iPhone XS",
    field_of_view_deg=(60.0, 37.5),
)
PAIR_LRT_HUMAN = Layout(
    name="pair-lrt-human",
    heatmap_shape=(12, 16),
    heat_array="thermals.npy",
    rgb_array="rgbs.npy",
    channels="rgb",
    sensor="FLIR Lepton 3.5",
    camera="Raspberry Pi camera v2",
    field_of_view_deg=(71.0, 57.0),
)
LAYOUTS = {layout.name: layout for layout in (LRT_HUMAN, PAIR_LRT_HUMAN)}


def encode_heat(celsius: np.ndarray) -> np.ndarray:
    """Heat as the authors' PNG has it: 0..255 for 19..30 degC, clipped, rounded.

    Args:
        celsius: (..., h, w) float32, degC.

    Returns:
        The same shape, uint8.
    """
    share = (celsius - COLDEST_C) / (WARMEST_C - COLDEST_C)
    return np.rint(np.clip(share, 0, 1) * LEVELS).astype(np.uint8)


def to_floats(levels: np.ndarray) -> np.ndarray:
    """0..255 as the .npy files have it: -1..1, float32."""
    return (levels.astype(np.float32) - 127.5) / 127.5


def to_levels(floats: np.ndarray) -> np.ndarray:
    """0..255, uint8, of what `to_floats` gave."""
    return np.rint(floats * 127.5 + 127.5).astype(np.uint8)
