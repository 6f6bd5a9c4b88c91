"""How much worse a run does on a clothing, light, room or person that it never saw."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset.loading import PairSet
from .evaluate import Evaluation, evaluate
from .full import FullConfig
from .reconstruction import RESAMPLES
from .run import Run, RunError
from .seen import find_trained, hash_pairs


@dataclass(frozen=True)
class Gap:
    """By how much a figure of one side is above the other's.

    Attributes:
        value: the difference.
        low, high: its 95 % interval, had other clips like these been recorded (bootstrap over the clips of both sides);
            None where a side has one clip.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Unseen:
    """The two sides, measured alike.

    Attributes:
        named: the way of splitting.
        seen: of clips whose clothing, light, room and person are among those trained on.
        unseen: of the clips that the way holds out.
        seen_was_trained_on: there were no held-out clips of the first kind: they are those trained on, which flatters
            them and widens the gap.
        mae_gap: unseen over seen, of the reconstruction error.
    """

    named: str
    seen: Evaluation
    unseen: Evaluation
    seen_was_trained_on: bool
    mae_gap: Gap

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "named": self.named,
            "seen": self.seen.to_json(),
            "unseen": self.unseen.to_json(),
            "seen_was_trained_on": self.seen_was_trained_on,
            "mae_gap": self.mae_gap.__dict__,
        }


def refuse_trained(run: Path, pairs: PairSet, named: str) -> None:
    """Refuse to call pairs unseen that a run was trained on, or might have been.

    Raises:
        RunError: it was trained on some of the clips; or it is of before runs noted their clips.
    """
    record = Run.open(run).record
    if not record.clip_sha256:
        raise RunError(
            f"{run} does not tell which clips it was trained on, for an earlier lrt made it; "
            f"what '{named}' holds out may be among them: train it again with --named {named}"
        )
    if trained := find_trained(record.clip_sha256, pairs):
        clips = len(np.unique(pairs.clip))
        raise RunError(
            f"{run} was trained on {len(trained)} of the {clips} clips that '{named}' holds out, as {trained[0]}: they "
            f"are not unseen; train one with --named {named}"
        )


def evaluate_unseen(
    run: Path,
    named: str,
    trained: PairSet,
    held_out: PairSet | None,
    unseen: PairSet,
    out: Path,
    *,
    runs: int = 10,
    seed: int = 0,
    device: str = "auto",
    full: FullConfig | None = None,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> Unseen:
    """Evaluate a run on both sides, into `out/seen` and `out/unseen`.

    Args:
        run: the run folder.
        named: the way of splitting.
        trained, held_out, unseen: its sides (`splits.choose_sides`); `held_out` is None where it has none.
        out: a folder.
        runs, seed, device: as in `evaluate`.
        full: as in `evaluate`, but for what depends on the side: equally many pictures are drawn of both.
        on_progress: called with the parts of a side done and in all, and the side's name.

    Raises:
        RunError: see `refuse_trained` and `evaluate`.
    """
    refuse_trained(run, unseen, named)
    seen = trained if held_out is None else held_out
    measured = []
    for name, pairs in (("seen", seen), ("unseen", unseen)):
        config = full
        if full is not None:
            config = replace(
                full,
                judge_saw_these_clips=bool(set(full.training.clip_ids) & set(pairs.clip_ids)),
                pictures=min(full.pictures, len(seen), len(unseen)),
                trained=trained if name == "seen" else None,  # once is enough
                held_out=held_out if name == "seen" else None,
            )
        tell = None if on_progress is None else lambda done, total, name=name: on_progress(done, total, name)
        measured.append(
            evaluate(run, pairs, out / name, runs=runs, seed=seed, device=device, full=config, on_progress=tell)
        )
    of_seen, of_unseen = (np.array(list(one.reconstruction.per_clip.values())) for one in measured)
    return Unseen(named, measured[0], measured[1], held_out is None, subtract_means(of_unseen, of_seen, seed))


def subtract_means(of_one: np.ndarray, of_other: np.ndarray, seed: int) -> Gap:
    """The mean of one side's clips less that of the other's.

    Args:
        of_one, of_other: (clips,) a figure of each clip.
        seed: of the bootstrap.
    """
    value = float(of_one.mean() - of_other.mean())
    if min(len(of_one), len(of_other)) < 2:
        return Gap(value, None, None)
    rng = np.random.default_rng(seed)
    one, other = (
        side[rng.integers(len(side), size=(RESAMPLES, len(side)))].mean(axis=1) for side in (of_one, of_other)
    )
    low, high = np.quantile(one - other, [0.025, 0.975])
    return Gap(value, float(low), float(high))


def is_data_of(run: Path, pairs: PairSet) -> bool:
    """Whether a run was trained on exactly these pairs."""
    return Run.open(run).record.data_sha256 == hash_pairs(pairs)
