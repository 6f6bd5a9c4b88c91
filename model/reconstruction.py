"""The reconstruction error as the paper defines it (section 4.2): a clip drawn from its heat and one of its images."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..dataset.loading import PairSet

TRIM = 50  # frames left out at each end of a clip, as the authors do: people walk in and out there
LEAST = 50  # frames that must remain; a shorter clip is used whole
AUTHORS_BATCH = 128  # over which their script averages
RESAMPLES = 2000  # of the clips, for the interval


@dataclass(frozen=True)
class Reconstruction:
    """Errors on the scale [0, 1].

    Attributes:
        mae: mean over clips and runs of the clip's mean absolute error: the paper's definition.
        mae_low, mae_high: 95 % interval of `mae` for other clips like these: clips drawn with replacement. None where
            there is one clip.
        mae_of_batches: the authors' script, behind the published figure: mean over consecutive batches of 128 frames of
            all clips, a clip's short last one counting as a whole one; then over runs.
        mae_of_frames: the same with that corrected: every frame counts alike, long clips more than short ones.
        mae_of_source: the error, as in `mae`, of the source picture shown for every frame: a model without heat. Room
            and light are most of a picture, so it can be hard to beat.
        mae_std: standard deviation of `mae` between runs.
        per_clip: clip id -> its mean over runs.
        source_rank: where the source frame's error stands among its clip's, 0 the least and 1 the greatest, mean over
            clips and runs. Near 0.5: the code says what the clip shares, and is no better for its own frame (Fig. 8).
        runs: how often a source was drawn.
        untrimmed_clips: those with fewer than 150 frames, used whole: nothing was cut off their ends.
    """

    mae: float
    mae_low: float | None
    mae_high: float | None
    mae_of_batches: float
    mae_of_frames: float
    mae_of_source: float
    mae_std: float
    per_clip: dict[str, float]
    source_rank: float
    runs: int
    untrimmed_clips: tuple[str, ...]


@dataclass(frozen=True)
class ClipCurve:
    """The error of every frame of one clip (Fig. 8).

    Attributes:
        clip_id: which.
        frames: (n,) int64, index of each frame into the pairs.
        source: the position in `frames` that gave the code.
        errors: (n,) float64, mean absolute error of each frame, [0, 1].
    """

    clip_id: str
    frames: np.ndarray
    source: int
    errors: np.ndarray


Redraw = Callable[[int, np.ndarray], np.ndarray]
"""(source, frames) -> pictures: each frame's heatmap drawn with the code of one source image.

`source` and `frames` (n,) index the pairs; pictures are (n, H, W, 3) float32 in [0, 1].
"""


def frames_of_clips(pairs: PairSet) -> tuple[list[tuple[str, np.ndarray]], tuple[str, ...]]:
    """The frames that count, as (clip id, indices into the pairs); and the ids of clips too short to trim."""
    clips, untrimmed = [], []
    for number in np.unique(pairs.clip):
        frames = np.flatnonzero(pairs.clip == number)
        frames = frames[np.argsort(pairs.frame[frames], kind="stable")]
        if len(frames) >= 2 * TRIM + LEAST:
            frames = frames[TRIM:-TRIM]
        else:
            untrimmed.append(pairs.clip_ids[number])
        clips.append((pairs.clip_ids[number], frames))
    return clips, tuple(untrimmed)


def reconstruct(
    pairs: PairSet,
    redraw: Redraw,
    runs: int = 10,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Reconstruction, list[ClipCurve]]:
    """The reconstruction error of a model, given as a function, and the first run's curves.

    Args:
        pairs: at least one clip.
        redraw: the model.
        runs: sources drawn per clip; 10 in the paper.
        seed: of the sources.
        on_progress: called with the clips redrawn so far and in all, every run counting anew.
    """
    clips, untrimmed = frames_of_clips(pairs)
    rng = np.random.default_rng(seed)
    by_clip, by_source = np.empty((runs, len(clips))), np.empty((runs, len(clips)))
    by_batch, ranks, curves = [], [], []
    for run in range(runs):
        batches: list[float] = []
        for number, (clip_id, frames) in enumerate(clips):
            source = int(rng.integers(len(frames)))
            pictures = redraw(int(frames[source]), frames)
            real = pairs.images[frames].astype(np.float32) / 255
            errors = np.abs(pictures - real).mean(axis=(1, 2, 3), dtype=np.float64)
            by_clip[run, number] = errors.mean()
            by_source[run, number] = np.abs(real - real[source]).mean(dtype=np.float64)
            ranks.append((errors < errors[source]).sum() / max(len(errors) - 1, 1))
            batches += [float(errors[k : k + AUTHORS_BATCH].mean()) for k in range(0, len(errors), AUTHORS_BATCH)]
            if run == 0:
                curves.append(ClipCurve(clip_id, frames, source, errors))
            if on_progress is not None:
                on_progress(run * len(clips) + number + 1, runs * len(clips))
        by_batch.append(np.mean(batches))
    of_runs, of_clips = by_clip.mean(axis=1), by_clip.mean(axis=0)
    low, high = interval_over_clips(of_clips, seed)
    return Reconstruction(
        mae=float(of_runs.mean()),
        mae_low=low,
        mae_high=high,
        mae_of_batches=float(np.mean(by_batch)),
        mae_of_frames=float(np.average(of_clips, weights=[len(frames) for _, frames in clips])),
        mae_of_source=float(by_source.mean()),
        mae_std=float(of_runs.std()),
        per_clip={clip_id: float(value) for (clip_id, _), value in zip(clips, of_clips, strict=True)},
        source_rank=float(np.mean(ranks)),
        runs=runs,
        untrimmed_clips=untrimmed,
    ), curves


def interval_over_clips(
    of_clips: np.ndarray, seed: int, weights: np.ndarray | None = None
) -> tuple[float, float] | tuple[None, None]:
    """95 % interval of a mean over clips, had other clips like these been recorded: bootstrap, percentiles.

    Args:
        of_clips: (clips,) a figure of each clip.
        seed: of the resampling.
        weights: (clips,) above 0, of the mean; alike when left out.

    Returns:
        Low and high; None, None for fewer than two clips.
    """
    if len(of_clips) < 2:
        return None, None
    weights = np.ones(len(of_clips)) if weights is None else weights
    drawn = np.random.default_rng(seed).integers(len(of_clips), size=(RESAMPLES, len(of_clips)))
    means = (of_clips * weights)[drawn].sum(axis=1) / weights[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def frames_table(pairs: PairSet, curves: list[ClipCurve]) -> str:
    """The error of every frame that counts, as CSV: clip, frame, mae, and 1 where the frame was the source."""
    lines = ["clip,frame,mae,source"]
    for curve in curves:
        for position, (index, error) in enumerate(zip(curve.frames, curve.errors, strict=True)):
            lines.append(f"{curve.clip_id},{pairs.frame[index]},{error:.6f},{int(position == curve.source)}")
    return "\n".join(lines) + "\n"
