"""The statistics that a LeRobotDataset carries, of every episode and of all: policies normalise by them.

They are exact, where `lerobot` itself samples pictures and estimates quantiles; names and shapes are its own.
"""

from typing import Any

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
Summary = dict[str, Any]  # {"min", "max", "mean", "std", "count", "q01", ...: nested lists}


class Statistics:
    """Collects what was seen, a clip at a time; numbers are kept, of pictures only how often each level occurs."""

    def __init__(self) -> None:
        self._pictures: dict[str, np.ndarray] = {}
        self._numbers: dict[str, list[np.ndarray]] = {}
        self._count = 0

    def add(self, pictures: dict[str, np.ndarray], numbers: dict[str, np.ndarray]) -> dict[str, Summary]:
        """Take in one episode, and say what it holds.

        Args:
            pictures: {feature: (N, H, W, 3) uint8}.
            numbers: {feature: (N,) or (N, length)}.
        """
        summaries = {}
        for name, images in pictures.items():
            levels = np.stack([np.bincount(images[..., channel].ravel(), minlength=256) for channel in range(3)])
            self._pictures[name] = self._pictures.get(name, 0) + levels
            self._count += len(images)
            summaries[name] = summarise_levels(levels, len(images))
        for name, values in numbers.items():
            self._numbers.setdefault(name, []).append(values)
            summaries[name] = summarise_numbers(values)
        return summaries

    def of_all(self) -> dict[str, Summary]:
        """Over every episode taken in."""
        pictures = {name: summarise_levels(levels, self._count) for name, levels in self._pictures.items()}
        return pictures | {name: summarise_numbers(np.concatenate(each)) for name, each in self._numbers.items()}


def summarise_levels(levels: np.ndarray, count: int) -> Summary:
    """A picture feature's statistics, in 0..1, each of shape (3, 1, 1).

    Args:
        levels: (3, 256) int, how often each level occurs in each channel.
        count: of pictures.
    """
    scale = np.arange(256) / 255
    share = levels / levels.sum(1, keepdims=True)
    mean = share @ scale
    below = np.cumsum(share, 1)
    occurs = levels > 0
    found = {
        "min": scale[occurs.argmax(1)],
        "max": scale[255 - occurs[:, ::-1].argmax(1)],
        "mean": mean,
        "std": np.sqrt(np.maximum(share @ scale**2 - mean**2, 0)),
        # the level at which so many are at or below it; a sum of shares may end a hair under 1
        **{name: scale[(below >= share_below - 1e-12).argmax(1)] for name, share_below in QUANTILES.items()},
    }
    return {name: values.reshape(3, 1, 1).tolist() for name, values in found.items()} | {"count": [count]}


def summarise_numbers(values: np.ndarray) -> Summary:
    """A number's statistics, each of shape (1,), or a vector's, of its length.

    Args:
        values: (N,) or (N, length), of any kind of number; N >= 1.
    """
    flat = values.reshape(len(values), -1)
    exact = flat.astype(np.float64)
    return {
        "min": flat.min(0).tolist(),
        "max": flat.max(0).tolist(),
        "mean": exact.mean(0).tolist(),
        "std": exact.std(0).tolist(),
        "count": [len(values)],
        **{name: np.quantile(exact, share, axis=0).tolist() for name, share in QUANTILES.items()},
    }
