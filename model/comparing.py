"""What a few seeds and clips allow one to say: intervals over both, and whether two models are told apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from .distances import jackknife_error
from .reconstruction import interval_over_clips

Verdict = Literal["as published", "reversed", "not told apart"]
Claim = Literal["yes", "no", "divided", "not told apart"]


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval; None, None where neither seeds nor clips give one."""

    value: float
    low: float | None
    high: float | None
    seeds: int

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies on that side of 0; else 0.

        With one seed always 0: two runs differ, and whether their models do nobody knows.
        """
        if self.low is None or self.high is None or self.seeds < 2:
            return 0
        return int(self.low > 0) - int(self.high < 0)


@dataclass(frozen=True)
class Measure:
    """One figure of a model, by the seeds of its trainings and by the clips that it was taken on.

    Two measures on the same pairs can be subtracted: seed from like seed and clip from like clip, so that what is hard
    about a clip, or lucky about an order of batches, is in both and goes.

    Attributes:
        of_seeds: seed -> the figure.
        of_clips: seed -> what single clips say of it, the same number of values each: of a mean, the figure of each
            clip; of a distance (`left_out`), the figure without one group of clips each. Empty where nothing does.
        left_out: which of the two.
    """

    of_seeds: dict[int, float]
    of_clips: dict[int, tuple[float, ...]]
    left_out: bool = False

    def __sub__(self, other: "Measure") -> "Measure":
        """This one minus the other, over the seeds that both have."""
        return _combine([(1.0, self), (-1.0, other)])

    @staticmethod
    def mean(measures: Sequence["Measure"]) -> "Measure":
        """The mean of several models, over the seeds that all have."""
        return _combine([(1 / len(measures), measure) for measure in measures])

    def interval(self) -> Interval:
        """The mean over seeds, and where it would lie with other seeds and other clips like these.

        Clips: a bootstrap of their means, or for a distance the jackknife. Seeds: Student's t, wide for two or three
        of them, as it should be. The two are added in squares; with one seed only clips count.
        """
        values = np.array(list(self.of_seeds.values()))
        value = float(values.mean())
        parts = np.array(list(self.of_clips.values())).mean(axis=0)
        below = above = self._over_seeds(values)
        if self.left_out:
            error = jackknife_error(parts)
            of_clips = None if error is None else (1.96 * error, 1.96 * error)
        else:
            low, high = interval_over_clips(parts, seed=0)
            of_clips = None if low is None or high is None else (value - low, high - value)
        if of_clips is not None:
            below, above = np.hypot(below, of_clips[0]), np.hypot(above, of_clips[1])
        elif len(values) == 1:
            return Interval(value, None, None, 1)
        return Interval(value, value - float(below), value + float(above), len(values))

    @staticmethod
    def _over_seeds(values: np.ndarray) -> float:
        """Half the interval that seeds alone would give."""
        count = len(values)
        return float(stdtrit(count - 1, 0.975) * values.std(ddof=1) / np.sqrt(count)) if count > 1 else 0.0


def _combine(terms: list[tuple[float, Measure]]) -> Measure:
    """Weighted sum, seed by seed and clip by clip."""
    seeds = [seed for seed in terms[0][1].of_seeds if all(seed in measure.of_seeds for _, measure in terms)]
    return Measure(
        {seed: sum(weight * measure.of_seeds[seed] for weight, measure in terms) for seed in seeds},
        {
            seed: tuple(
                np.sum([weight * np.array(measure.of_clips[seed]) for weight, measure in terms], axis=0).tolist()
            )
            for seed in seeds
        },
        terms[0][1].left_out,
    )


def judge_order(better: Measure, worse: Measure) -> tuple[Interval, Verdict] | None:
    """Two models that the paper orders, by a measure of which less is better.

    Returns:
        The published loser's figure minus the winner's, and the verdict; None where they share no seed.
    """
    difference = worse - better
    if not difference.of_seeds:
        return None
    interval = difference.interval()
    verdicts: dict[int, Verdict] = {1: "as published", 0: "not told apart", -1: "reversed"}
    return interval, verdicts[interval.sign]


def judge_claim(differences: Sequence[Interval]) -> Claim:
    """Whether one is ahead of another, by the other's figures minus its own in measures of which less is better.

    Returns:
        yes: ahead in one at least and behind in none; no: the other way round; divided: ahead in one and behind in
        another; or no interval clears 0.
    """
    signs = {difference.sign for difference in differences}
    if {1, -1} <= signs:
        return "divided"
    return "yes" if 1 in signs else "no" if -1 in signs else "not told apart"
