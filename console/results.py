"""What every stage shares: how it tells its progress, and a result in values that JSON can hold."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import LrtError

Update = Callable[..., None]  # update(done, total, note="")
Result = dict[str, Any]

PAIR_GAP_MS = 50.0  # half the sensor's period: further away another heatmap is nearer


class StageError(LrtError, ValueError):
    """What a stage was given does not fit together."""


def silent(done: float, total: float, note: str = "") -> None:
    """Nobody watches."""


def plain(value: Any) -> Any:
    """The value in types that JSON knows: paths as text, arrays as lists, no NaN."""
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
