"""From clips and a calibration to pairs a model can train on.

    import lrt.dataset

    pairs = lrt.dataset.load("kitchen")
    images, heatmaps = pairs.on("cuda").take(index)

`load` gives every pair of a split in memory, as numpy arrays; see `lrt.dataset.loading.load_pairs`, which it is. The
import itself is light: numpy, OpenCV and pyarrow come with the first use, torch with `on`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .loading import PairSet
    from .loading import load_pairs as load
    from .schema import DatasetError

__all__ = ["DatasetError", "PairSet", "load"]

_HOME = {
    "DatasetError": ("schema", "DatasetError"),
    "PairSet": ("loading", "PairSet"),
    "load": ("loading", "load_pairs"),
}


def __getattr__(name: str) -> Any:
    """What is asked for, imported then: the rig's commands read tags and need no pyarrow."""
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    module, attribute = _HOME[name]
    return getattr(import_module(f".{module}", __name__), attribute)
