"""One measure for many runs: the same clips, sources, codes and features for each, every figure kept beside its run.

A run's figures lie in `measured-<hash>.json` in its folder. The hash is of its weights, of the pairs and of how they
are measured: what was measured once is not measured again, and what changed is.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ..dataset.loading import PairSet
from .control import measure_control
from .distances import SEEDS as DRAWS
from .distances import RealSide
from .drawing import Painter
from .features import load_features
from .judges import Judge, train_judge
from .measures import fine_detail
from .reconstruction import reconstruct
from .run import Run, RunError

EDITION = 1  # raise it when a figure is worked out otherwise: then all are measured anew
WEIGHTS = ("generator.safetensors", "inversion.safetensors")

Figures = dict[str, Any]


@dataclass(frozen=True)
class MeasureConfig:
    """How every run is measured."""

    runs: int = 10  # sources drawn for each clip; the paper's
    pictures: int = 1000  # of each kind, for the distances; the paper took 21,760
    full: bool = False  # control too: what follows heatmap and source
    inception_weights: Path | Literal["download"] | None = None  # for FID and KID
    seed: int = 0  # of sources, codes and the judge

    def __post_init__(self) -> None:
        if self.runs < 1:
            raise RunError(f"{self.runs} runs measure nothing; give --runs 1 or more")
        if self.pictures < 2:
            raise RunError(f"{self.pictures} pictures make no distance; give --pictures 2 or more")


class Yardstick:
    """Measures runs on one split of a dataset.

    Real features are worked out when the first run asks for them, and then kept.

    Args:
        pairs: of the split.
        training: of the train split: the judge learns from them.
        config: how.
        device: where.
        judge: gives the judge; `train_judge` when left out. Yardsticks of several splits may share one.
    """

    def __init__(
        self,
        pairs: PairSet,
        training: PairSet,
        config: MeasureConfig,
        device: torch.device,
        judge: Callable[[], Judge] | None = None,
    ) -> None:
        self.pairs, self.config = pairs, config
        self._find_judge = judge or (lambda: train_judge(training, config.seed, device))
        self._training, self._device = training, device
        self._asked = {
            "edition": EDITION,
            **asdict(config),
            "inception_weights": config.inception_weights is not None,  # wherever the file lies
            "pairs": _hash_pairs(pairs),
            "training": _hash_pairs(training),
        }

    def find(self, run: Path) -> Figures | None:
        """The figures kept beside a finished run, if it was measured so before."""
        try:
            return json.loads(self._path(run).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def measure(self, run: Path, on_progress: Callable[[int, int], None] | None = None) -> Figures:
        """The figures of a finished run, plain values; kept beside it.

        Returns:
            `mae`, `mae_of_batches`, `per_clip`, `source_rank`, `untrimmed_clips` as in `Reconstruction`; `distances` as
            in evaluation.json; `detail`: `fine_detail` of drawn pictures over that of the real ones of the same heat;
            `clothing`: label -> the share of drawn and of real pictures of people that the judge sees wear it;
            `control` as in evaluation.json, None unless asked for, or for a regression, which takes no source.

        Raises:
            RunError: the run is not finished, or of another size.
            FeatureError: the weights of the features are missing.
        """
        if (found := self.find(run)) is not None:
            return found
        pairs, config = self.pairs, self.config
        painter = Painter(run, self._device)
        parts = config.runs * len(np.unique(pairs.clip))

        def tell(before: int) -> Callable[[int, int], None]:
            return lambda done, _: on_progress(before + done, parts + DRAWS) if on_progress is not None else None

        def redraw(source: int, frames: np.ndarray) -> np.ndarray:
            return painter.draw(painter.code(pairs.images[source : source + 1]), pairs.heatmaps[frames])

        drawn: list[np.ndarray] = []

        def draw(frames: np.ndarray, seed: int) -> np.ndarray:
            drawn.append(painter.picture(painter.noise(len(frames), seed), pairs.heatmaps[frames]))
            return drawn[-1]

        reconstruction, _ = reconstruct(pairs, redraw, config.runs, config.seed, tell(0))
        distances = self._real_side.measure(draw, tell(parts))
        chosen = self._real_side.chosen
        found = {
            "mae": reconstruction.mae,
            "mae_of_batches": reconstruction.mae_of_batches,
            "per_clip": reconstruction.per_clip,
            "source_rank": reconstruction.source_rank,
            "untrimmed_clips": list(reconstruction.untrimmed_clips),
            "distances": distances.to_json(),
            "detail": fine_detail(drawn[0]) / max(fine_detail(pairs.images[chosen]), 1e-12),
            "clothing": self._wardrobe(drawn[0]),
            "control": self._control(painter),
        }
        text = json.dumps(found, indent=1)
        Run.open(run).write(self._path(run).name, text.encode())
        return json.loads(text)

    def _path(self, run: Path) -> Path:
        digest = hashlib.sha256(json.dumps(self._asked, sort_keys=True).encode())
        for name in WEIGHTS:
            path = run / name
            digest.update(path.read_bytes() if path.exists() else b"")
        return run / f"measured-{digest.hexdigest()[:16]}.json"

    @cached_property
    def _real_side(self) -> RealSide:
        features = load_features(self.config.inception_weights, self._device)
        return RealSide(self.pairs, features, self.config.pictures, self.config.seed)

    @cached_property
    def _judge(self) -> Judge:
        return self._find_judge()

    def _wardrobe(self, drawn: np.ndarray) -> dict[str, dict[str, float]]:
        """What people wear in pictures drawn with codes of nobody in particular, and in the real ones."""
        pairs, chosen = self.pairs, self._real_side.chosen
        people = pairs.occupants[chosen] > 0
        labelled = np.unique(self._training.clothing[self._training.occupants > 0])
        if not people.any() or not (labelled >= 0).any():
            return {}
        seen = self._judge.read(drawn[people]).clothing
        real = self._judge.read(pairs.images[chosen][people]).clothing
        names = pairs.vocabulary.clothing
        return {
            names[label]: {"drawn": float((seen == label).mean()), "real": float((real == label).mean())}
            for label in labelled[labelled >= 0]
        }

    def _control(self, painter: Painter) -> dict[str, Any] | None:
        if not self.config.full or painter.config.regression:
            return None
        pairs = self.pairs
        return asdict(
            measure_control(
                pairs,
                self._judge,
                lambda frames: painter.code(pairs.images[frames]),
                lambda codes, frames: painter.picture(codes, pairs.heatmaps[frames]),
                judge_saw_these_clips=pairs is self._training,
                seed=self.config.seed,
            )
        )


def _hash_pairs(pairs: PairSet) -> str:
    digest = hashlib.sha256(pairs.images.tobytes())
    for part in (pairs.heatmaps, pairs.clip, pairs.frame, pairs.clothing, pairs.lighting, pairs.occupants):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
