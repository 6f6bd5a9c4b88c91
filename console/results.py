"""What every stage shares: how it tells its progress, and a result in values that JSON can hold."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    if hasattr(value, "tolist"):  # an array, or a number of numpy's, which is not imported for this
        return plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def needs_torch() -> None:
    """Say in one line what to install where torch is missing."""
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise StageError("this command needs PyTorch: pip install 'lrt[train]' (the rig's commands do not)")
