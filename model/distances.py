"""How far drawn pictures as a whole are from real ones: Frechet and kernel distance, precision and recall.

Over Inception's features the first two are FID and KID; over any other network's they are called what they are. Every
figure takes as many drawn pictures as real ones, for the Frechet distance falls as their number grows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dataset.loading import PairSet
from .features import Features

SEEDS = 3  # draws of the codes
GROUPS = 10  # of clips, each left out once for the interval
NEIGHBOURS = 3  # of precision and recall, as published

Distance = Callable[[np.ndarray, np.ndarray], float]
"""(N, d) features of real pictures, (M, d) of drawn ones -> a figure."""


@dataclass(frozen=True)
class Estimate:
    """A figure and how far to trust it.

    Attributes:
        value: mean over the seeds.
        of_seeds: the figure of each seed's codes.
        low, high: 95 % interval for other clips like these (`leave_out_clips`); None where there is one clip.
        of_groups: the first seed's figure without one group of clips each, as `leave_out_clips` has them: with another
            model's on the same pictures, what the difference of the two is worth. Empty where there is one clip.
    """

    value: float
    of_seeds: tuple[float, ...]
    low: float | None
    high: float | None
    of_groups: tuple[float, ...] = ()


@dataclass(frozen=True)
class Distances:
    """From the real pictures of a split to as many drawn from its heatmaps with codes from N(0, 1).

    Attributes:
        features: the network and its resize.
        is_inception: the first is an FID and the second a KID.
        frechet: `frechet_distance`.
        kernel: `kernel_distance`; about 0 for pictures of the same kind, at any number of them.
        precision: the share of drawn pictures among the real ones; 0 to 1.
        recall: the share of real pictures among the drawn ones; 0 to 1. A missing shirt shows here.
        frechet_of_real, kernel_of_real: between these real pictures and as many others of the same clips: the best to
            hope for; None where the split is too small to have others.
        pictures: how many, of each kind.
        fewer_than_features: the Frechet distance's covariances are then singular: trust the kernel distance.
    """

    features: str
    is_inception: bool
    frechet: Estimate
    kernel: Estimate
    precision: Estimate
    recall: Estimate
    frechet_of_real: float | None
    kernel_of_real: float | None
    pictures: int
    fewer_than_features: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values, the two distances under their right names."""
        frechet, kernel = ("fid", "kid") if self.is_inception else ("frechet_distance", "kernel_distance")
        return {
            "features": self.features,
            "pictures": self.pictures,
            "fewer_than_features": self.fewer_than_features,
            frechet: self.frechet.__dict__,
            kernel: self.kernel.__dict__,
            "precision": self.precision.__dict__,
            "recall": self.recall.__dict__,
            f"{frechet}_of_real": self.frechet_of_real,
            f"{kernel}_of_real": self.kernel_of_real,
        }


def measure_distances(
    pairs: PairSet,
    draw: Callable[[np.ndarray, int], np.ndarray],
    features: Features,
    pictures: int,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Distances:
    """Distances of a model, given as a function.

    The authors draw 21,760 heatmaps with replacement and compare with every training image; here each heatmap of the
    chosen pairs is drawn once, so that the numbers are equal clip by clip and a clip can be left out of both sides.
    Both sides are rounded to 8 bits; the authors' drawn pictures were not.

    Args:
        pairs: of one split.
        draw: (frames (n,) into the pairs, seed) -> (n, H, W, 3) uint8, each frame's heatmap with a code of its own.
        features: the network.
        pictures: how many of each kind; all pairs when there are fewer.
        seed: of the choice; the codes take it and the next two.
        on_progress: called with the seeds done and in all.
    """
    return RealSide(pairs, features, pictures, seed).measure(draw, on_progress)


class RealSide:
    """The chosen real pictures and their features, worked out once for however many models are measured.

    Args:
        pairs, features, pictures, seed: as in `measure_distances`.

    Attributes:
        chosen: (n,) int64, the pairs that are drawn, in their order.
    """

    def __init__(self, pairs: PairSet, features: Features, pictures: int, seed: int = 0) -> None:
        order = np.random.default_rng(seed).permutation(len(pairs))
        self.chosen, others = np.sort(order[:pictures]), np.sort(order[pictures : 2 * pictures])
        self._features, self._seed, self._clip = features, seed, pairs.clip[self.chosen]
        self._real = features.of(pairs.images[self.chosen])
        self._others = features.of(pairs.images[others]) if len(others) == len(self.chosen) else None

    def measure(
        self, draw: Callable[[np.ndarray, int], np.ndarray], on_progress: Callable[[int, int], None] | None = None
    ) -> Distances:
        """`measure_distances` of one model."""
        drawn = []
        for number in range(SEEDS):
            drawn.append(self._features.of(draw(self.chosen, self._seed + number)))
            if on_progress is not None:
                on_progress(number + 1, SEEDS)
        real, others, clip = self._real, self._others, self._clip
        return Distances(
            self._features.name,
            self._features.is_inception,
            _estimate(frechet_distance, real, drawn, clip),
            _estimate(kernel_distance, real, drawn, clip),
            _estimate(precision, real, drawn, clip),
            _estimate(recall, real, drawn, clip),
            None if others is None else frechet_distance(real, others),
            None if others is None else kernel_distance(real, others),
            len(real),
            len(real) <= real.shape[1],
        )


def frechet_distance(real: np.ndarray, drawn: np.ndarray) -> float:
    """|mu_1 - mu_2|^2 + Tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2)) of two sets of features taken as Gaussians (Heusel et al.).

    With centred features S = A^T A / (n - 1), the trace of (S_1 S_2)^(1/2) is the sum of the singular values of
    A_1 A_2^T, which needs no square root of a singular matrix.

    Args:
        real, drawn: (N, d) and (M, d) float64; N, M >= 2.

    Returns:
        0 for the same features, up to rounding.
    """
    mu_1, mu_2 = real.mean(axis=0), drawn.mean(axis=0)
    A_1, A_2 = (real - mu_1) / np.sqrt(len(real) - 1), (drawn - mu_2) / np.sqrt(len(drawn) - 1)
    spread = (A_1**2).sum() + (A_2**2).sum()
    shared = np.linalg.svd(_narrow(A_1) @ _narrow(A_2).T, compute_uv=False).sum()
    return float(((mu_1 - mu_2) ** 2).sum() + spread - 2 * shared)


def kernel_distance(real: np.ndarray, drawn: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy under (x y / d + 1)^3 (Binkowski et al.), of all pictures at once.

    torch-fidelity takes the mean over random subsets of 1,000, which has the same expectation and more noise.

    Args:
        real, drawn: (N, d) and (M, d) float64; N, M >= 2.

    Returns:
        0 on average for pictures of one kind, a little below as often as above.
    """
    n, m = len(real), len(drawn)
    k_11, k_22, k_12 = _kernel(real, real), _kernel(drawn, drawn), _kernel(real, drawn)
    within = (k_11.sum() - k_11.trace()) / (n * (n - 1)) + (k_22.sum() - k_22.trace()) / (m * (m - 1))
    return float(within - 2 * k_12.mean())


def precision(real: np.ndarray, drawn: np.ndarray) -> float:
    """The share of drawn pictures that lie within the third neighbour's distance of some real one (Kynkaanniemi)."""
    reach = np.partition(_apart(real, real), NEIGHBOURS, axis=1)[:, NEIGHBOURS]  # the least is to itself
    return float((_apart(drawn, real) <= reach).any(axis=1).mean())


def recall(real: np.ndarray, drawn: np.ndarray) -> float:
    """`precision` with the sides changed: the share of real pictures that the drawn ones reach."""
    return precision(drawn, real)


def leave_out_clips(distance: Distance, real: np.ndarray, drawn: np.ndarray, clip: np.ndarray) -> np.ndarray:
    """A distance without one group of clips, then without the next: what `jackknife_error` takes.

    Frames of a clip resemble each other, so clips are what counts; and a bootstrap would count pictures twice, which
    pushes all of these distances up.

    Args:
        real, drawn: (N, d) features, row by row of the same clip.
        clip: (N,) int.

    Returns:
        (groups,) float64; none where there are not two clips, or one of them has nearly all pictures.
    """
    clips = np.unique(clip)
    count = min(GROUPS, len(clips))
    group = np.searchsorted(clips, clip) % count if count else clip
    kept = [group != one for one in range(count)]
    if count < 2 or min(int(some.sum()) for some in kept) <= NEIGHBOURS:
        return np.empty(0)
    return np.array([distance(real[some], drawn[some]) for some in kept])


def jackknife_error(left: np.ndarray) -> float | None:
    """The standard error of a figure, had other clips like these been recorded.

    Args:
        left: (groups,) the figure without one group each; or the difference of two models' figures.

    Returns:
        None where nothing was left out.
    """
    count = len(left)
    return float(np.sqrt((count - 1) / count * ((left - left.mean()) ** 2).sum())) if count else None


def _estimate(distance: Distance, real: np.ndarray, drawn: list[np.ndarray], clip: np.ndarray) -> Estimate:
    """Of every seed's pictures; the interval from the first seed's, widened by what seeds differ."""
    of_seeds = np.array([distance(real, one) for one in drawn])
    left = leave_out_clips(distance, real, drawn[0], clip)
    error = jackknife_error(left)
    value = float(of_seeds.mean())
    half = None if error is None else 1.96 * float(np.hypot(error, of_seeds.std(ddof=1) / np.sqrt(len(of_seeds))))
    low, high = (None, None) if half is None else (value - half, value + half)
    return Estimate(value, tuple(of_seeds.tolist()), low, high, tuple(left.tolist()))


def _narrow(A: np.ndarray) -> np.ndarray:
    """A matrix of at most d rows with the same A^T A as (n, d) A: the singular values above need no more."""
    return A if A.shape[0] <= A.shape[1] else np.asarray(np.linalg.qr(A, mode="r"))


def _apart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(N, M) squared distances by one matrix product: seven times as quick as pair by pair."""
    return (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3
