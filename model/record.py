"""What a run is: config.json, and when a folder's run is the one that is asked for."""

import functools
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..dataset import batches, loading
from ..dataset.loading import PairSet
from ..dataset.splits import DEFAULT_NAME
from .config import TrainConfig
from .seen import hash_clips, hash_pairs


@dataclass(frozen=True)
class RunRecord:
    """What a run is: config.json.

    Attributes:
        config: how it is trained.
        data_sha256: of the pairs' images and heatmaps.
        pairs, clips: how many.
        synthetic: a twin made the data: pictures of this run show nobody.
        calibration: the calibration behind the data, as the caller gave it.
        software: the version of lrt that began the run.
        code_sha256: of `hash_code` when the run began; "" in a run of before there was one.
        torch: the version of PyTorch that began the run.
        named: the way of splitting whose training side it is (`splits.choose_sides`).
        clip_sha256: `seen.hash_clips` of the pairs; empty in a run of before it was noted.
    """

    config: TrainConfig
    data_sha256: str
    pairs: int
    clips: int
    synthetic: bool
    calibration: dict[str, Any] | None
    software: str
    code_sha256: str = ""
    torch: str = ""
    named: str = DEFAULT_NAME
    clip_sha256: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def of(
        config: TrainConfig, pairs: PairSet, calibration: dict[str, Any] | None, named: str = DEFAULT_NAME
    ) -> "RunRecord":
        """The record of a run that begins now."""
        clips = len(set(pairs.clip.tolist()))
        return RunRecord(
            config,
            hash_pairs(pairs),
            len(pairs),
            clips,
            pairs.synthetic,
            calibration,
            __version__,
            hash_code(),
            torch.__version__,
            named,
            hash_clips(pairs),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values, the order of reading."""
        return {
            "software": self.software,
            "code_sha256": self.code_sha256,
            "torch": self.torch,
            "model": self.config.model.name,
            "synthetic": self.synthetic,
            "data": {
                "sha256": self.data_sha256,
                "pairs": self.pairs,
                "clips": self.clips,
                "named": self.named,
                "clip_sha256": self.clip_sha256,
            },
            "calibration": self.calibration,
            "config": self.config.to_json(),
        }

    @staticmethod
    def from_json(saved: dict[str, Any]) -> "RunRecord":
        """The record that `to_json` gave, read back.

        Raises:
            KeyError, TypeError, ValueError: it is not one of this version of lrt.
        """
        data = saved["data"]
        return RunRecord(
            TrainConfig.from_json(saved["config"]),
            data["sha256"],
            data["pairs"],
            data["clips"],
            saved["synthetic"],
            saved["calibration"],
            saved["software"],
            saved.get("code_sha256", ""),
            saved.get("torch", ""),
            data.get("named", DEFAULT_NAME),
            data.get("clip_sha256", {}),
        )

    def mismatch(self, now: "RunRecord") -> str | None:
        """Why a run of this record is not the one of `now`, and what to give instead; None when it is."""
        config, asked = self.config, now.config
        if config.model.name != asked.model.name:
            return (
                f"is a run of {config.model.name}, not of {asked.model.name}; "
                f"give --model {config.model.name} or another --out"
            )
        if config.preset != asked.preset:
            return (
                f"is a run of preset {config.preset}, not {asked.preset}; "
                f"give --preset {config.preset} or another --out"
            )
        if config != asked:
            saved, given = _flat(config.to_json()), _flat(asked.to_json())
            name = next(name for name in saved if saved[name] != given[name])
            return f"is a run with {name} = {saved[name]}, not {given[name]}; give the same or another --out"
        if self.named != now.named:
            return f"is a run on the split {self.named}, not {now.named}; give --named {self.named} or another --out"
        if self.data_sha256 != now.data_sha256:
            return (
                f"is a run on the dataset {self.data_sha256[:12]} ({self.pairs} pairs), "
                f"not on {now.data_sha256[:12]} ({now.pairs} pairs); give that dataset or another --out"
            )
        return None


@functools.cache  # of what this process began with, though somebody edits a file
def hash_code() -> str:
    """SHA-256 of the model's source files, all of them, and of those that make batches of pairs."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for file in (*sorted(here.glob("*.py")), Path(loading.__file__), Path(batches.__file__)):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat
