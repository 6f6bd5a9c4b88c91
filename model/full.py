"""The costly half of an evaluation: what follows heatmap and source, distances, silhouettes, and what is remembered."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ..dataset.loading import PairSet
from .control import SEEDS as GRIDS
from .control import Control, measure_control
from .distances import SEEDS as DRAWS
from .distances import Distances, measure_distances
from .drawing import Painter
from .features import Features
from .judges import train_judge
from .memory import Memory, measure_memory
from .run import RunError
from .silhouette import LOOKS, Segmenter, Silhouette, find_silhouettes, measure_silhouettes

PARTS = GRIDS + DRAWS + LOOKS + 1  # of progress


@dataclass(frozen=True)
class FullConfig:
    """What the costly half needs.

    Attributes:
        training: real pairs that the judge learns from: the dataset's train split, whichever split is measured.
        judge_saw_these_clips: the split that is measured has clips among them.
        pictures: of each kind between which distances are taken; the paper took all, 21,760.
        inception_weights: for FID and KID: torch-fidelity's file, or "download"; None: distances over another network,
            never called FID.
        masks: who marks people in drawn and real pictures; None: nobody does.
        trained, held_out: pairs that the run was trained on, and pairs of the same dataset that it was not; without
            either, what it remembers is not measured.
    """

    training: PairSet
    judge_saw_these_clips: bool
    pictures: int = 1000  # a minute and a half on a CPU core over EfficientNet-Lite0
    inception_weights: Path | Literal["download"] | None = None
    masks: Segmenter | None = None
    trained: PairSet | None = None
    held_out: PairSet | None = None

    def __post_init__(self) -> None:
        if self.pictures < 2:
            raise RunError(f"{self.pictures} pictures make no distance; give --pictures 2 or more")


@dataclass(frozen=True)
class Full:
    """What the costly half found; None where it was not asked for, or there is nothing to tell by.

    Attributes:
        control: Fig. 7 as numbers; None of a regression, which takes no source.
        silhouette: where drawn people stand.
        distances: from real pictures to drawn ones.
        memory: what the run gives away of its clips.
    """

    control: Control | None = None
    silhouette: Silhouette | None = None
    distances: Distances | None = None
    memory: Memory | None = None


def measure_full(
    run: Path,
    painter: Painter,
    pairs: PairSet,
    config: FullConfig,
    features: Features,
    seed: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> Full:
    """Measure a finished run on pairs of one split.

    Args:
        run: its folder.
        painter: the same.
        pairs: what is measured on.
        config, features, seed: how.
        on_progress: called with the parts done and PARTS.

    Raises:
        MaskError: the segmenter has no mask for a picture.
    """

    def tell(before: int) -> Callable[[int, int], None]:
        return lambda done, _: on_progress(before + done, PARTS) if on_progress is not None else None

    def code(frames: np.ndarray) -> np.ndarray:
        return painter.code(pairs.images[frames])

    def draw(codes: np.ndarray, frames: np.ndarray) -> np.ndarray:
        return painter.picture(codes, pairs.heatmaps[frames])

    control = None
    if not painter.config.regression:
        control = measure_control(
            pairs,
            train_judge(config.training, seed, painter.device),
            code,
            draw,
            judge_saw_these_clips=config.judge_saw_these_clips,
            seed=seed,
            on_progress=tell(0),
        )
    silhouette = None
    if config.masks is not None:
        find = find_silhouettes(config.masks)
        silhouette = measure_silhouettes(pairs, code, draw, find, config.masks.name, seed, tell(GRIDS))
    distances = measure_distances(
        pairs,
        lambda frames, number: draw(painter.noise(len(frames), number), frames),
        features,
        config.pictures,
        seed,
        tell(GRIDS + LOOKS),
    )
    memory = None
    if config.trained is not None and config.held_out is not None:
        memory = measure_memory(run, painter, config.trained, config.held_out, features, seed)
    tell(PARTS)(0, 0)
    return Full(control, silhouette, distances, memory)
