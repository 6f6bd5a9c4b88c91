"""Does a run give away what it was trained on: drawn pictures near trained ones, and attacks that tell them apart.

Clips that were trained on stand against clips that were not, of the same clothing and light and as many frames of
each: a run that remembers nothing treats them alike, and every figure is then what chance gives.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..dataset.batches import to_network
from ..dataset.loading import PairSet
from .device import cpu_threads
from .drawing import Painter
from .features import Features
from .networks import build_networks
from .run import Run

HELD_OUT, MATCHES = 20, 3  # clips, and for each so many trained ones of its kind
FRAMES = 24  # of each clip
DRAWN = 240  # pictures
DEALS = 500  # ways to choose one trained clip for each held-out one


@dataclass(frozen=True)
class Chance:
    """A figure that is `chance` where nothing is remembered.

    Attributes:
        value: the figure.
        low, high: its 95 % interval for other clips like these; None where one clip was held out.
        chance: what it is for pictures nobody trained on.
    """

    value: float
    low: float | None
    high: float | None
    chance: float


@dataclass(frozen=True)
class Memory:
    """What a run remembers of its clips.

    Attributes:
        nearest_trained: share of drawn pictures whose nearest real one, in the features, was trained on; the drawn take
            codes from N(0, 1) and their heat from both sides alike.
        distance_ratio: geometric mean of the distance to the nearest trained picture over that to the nearest held-out
            one; below 1: drawn pictures lie nearer to what was trained on.
        attack_by_discriminator: how often D takes a trained picture for more real than a held-out one of the same
            clothing and light: the area under the curve of that attack. None where D is not there, as in a bundle.
        attack_by_reconstruction: how often G and I together redraw the trained one better: what a bundle still tells.
        held_out, trained: clips.
    """

    nearest_trained: Chance
    distance_ratio: Chance
    attack_by_discriminator: Chance | None
    attack_by_reconstruction: Chance
    held_out: int
    trained: int


def measure_memory(
    run: Path, painter: Painter, trained: PairSet, held_out: PairSet, features: Features, seed: int = 0
) -> Memory | None:
    """Measure a run on both sides.

    Args:
        run: its folder.
        painter: the same.
        trained: the pairs it was trained on.
        held_out: pairs of its dataset that it was not.
        features: between which distances are taken.
        seed: of clips, frames and codes.

    Returns:
        None where no held-out clip has the clothing and light of a trained one.
    """
    rng = np.random.default_rng(seed)
    matches = _match(trained, held_out, rng)
    if not matches:
        return None
    ours = {clip: _some_frames(held_out, clip, rng) for clip in matches}
    theirs = {clip: _some_frames(trained, clip, rng) for clip in sorted(set().union(*matches.values()))}
    sides = ((held_out, ours), (trained, theirs))

    heat = np.concatenate(
        [pairs.heatmaps[rng.choice(np.concatenate(list(clips.values())), DRAWN // 2)] for pairs, clips in sides]
    )
    drawn = features.of(painter.picture(painter.noise(len(heat), seed), heat))
    near_ours, near_theirs = (
        {clip: _nearest(drawn, features.of(pairs.images[frames])) for clip, frames in clips.items()}
        for pairs, clips in sides
    )

    def distances(deal: _Deal) -> tuple[np.ndarray, np.ndarray]:
        held, known = deal
        return np.min([near_theirs[each] for each in known], axis=0), np.min([near_ours[each] for each in held], axis=0)

    def share(deal: _Deal) -> float:
        to_trained, to_held = distances(deal)
        return float((to_trained < to_held).mean() + (to_trained == to_held).mean() / 2)

    def ratio(deal: _Deal) -> float:
        to_trained, to_held = distances(deal)
        return float(np.exp(np.log((to_trained + 1e-9) / (to_held + 1e-9)).mean()))

    def attack(score: Callable[[PairSet, np.ndarray], np.ndarray]) -> Chance:
        of_ours, of_theirs = ({clip: score(pairs, frames) for clip, frames in clips.items()} for pairs, clips in sides)
        won = {
            (held, each): area_under_curve(of_theirs[each], of_ours[held]) for held in matches for each in matches[held]
        }
        return _over_deals(
            lambda deal: float(np.mean([won[pair] for pair in zip(*deal, strict=True)])), 0.5, matches, seed
        )

    def redrawn(pairs: PairSet, frames: np.ndarray) -> np.ndarray:
        pictures = painter.draw(painter.code(pairs.images[frames]), pairs.heatmaps[frames])
        return -np.abs(pictures - pairs.images[frames].astype(np.float32) / 255).mean(axis=(1, 2, 3))

    realness = _load_realness(run, painter.device)
    return Memory(
        _over_deals(share, 0.5, matches, seed),
        _over_deals(ratio, 1.0, matches, seed),
        None if realness is None else attack(realness),
        attack(redrawn),
        len(ours),
        len(theirs),
    )


_Deal = tuple[tuple[int, ...], tuple[int, ...]]
"""Held-out clips, and as many trained ones, each of the kind of the one across."""


def area_under_curve(members: np.ndarray, others: np.ndarray) -> float:
    """The share of pairs in which the member's score, (n,), is above the other's, (m,); a tie counts half."""
    return float((members[:, None] > others).mean() + (members[:, None] == others).mean() / 2)


def _match(trained: PairSet, held_out: PairSet, rng: np.random.Generator) -> dict[int, list[int]]:
    """Held-out clips -> trained clips of the same clothing, light and number of people."""
    kinds, of_trained = _kinds(held_out), _kinds(trained)
    matches = {}
    for clip in rng.permutation(list(kinds))[:HELD_OUT]:
        alike = rng.permutation([other for other, kind in of_trained.items() if kind == kinds[clip]])
        if len(alike):
            matches[int(clip)] = [int(other) for other in alike[:MATCHES]]
    return matches


def _kinds(pairs: PairSet) -> dict[int, tuple[int, int, int]]:
    """Clip -> clothing, light and number of people of its first frame; tags are a clip's, not a frame's."""
    clips, first = np.unique(pairs.clip, return_index=True)
    labels = zip(pairs.clothing[first], pairs.lighting[first], pairs.occupants[first], strict=True)
    return {int(clip): (int(a), int(b), int(c)) for clip, (a, b, c) in zip(clips, labels, strict=True)}


def _some_frames(pairs: PairSet, clip: int, rng: np.random.Generator) -> np.ndarray:
    """(FRAMES,) indices of pairs of a clip; some twice where it is shorter."""
    return rng.permutation(np.resize(rng.permutation(np.flatnonzero(pairs.clip == clip)), FRAMES))


def _nearest(drawn: np.ndarray, real: np.ndarray) -> np.ndarray:
    """(n,) distance of each drawn picture's features (n, d) to the nearest of the real ones (m, d)."""
    return torch.cdist(torch.from_numpy(drawn), torch.from_numpy(real)).amin(dim=1).numpy()


def _over_deals(figure: Callable[[_Deal], float], chance: float, matches: dict[int, list[int]], seed: int) -> Chance:
    """A figure, mean over deals of a trained clip to each held-out one; its interval with held-out clips drawn anew."""
    rng = np.random.default_rng(seed)

    def deal(held: np.ndarray) -> _Deal:
        return tuple(int(each) for each in held), tuple(int(rng.choice(matches[int(each)])) for each in held)

    held = np.array(list(matches))
    value = float(np.mean([figure(deal(held)) for _ in range(DEALS)]))
    if len(held) < 2:
        return Chance(value, None, None, chance)
    low, high = np.quantile([figure(deal(rng.choice(held, len(held)))) for _ in range(DEALS)], [0.025, 0.975])
    return Chance(value, float(low), float(high), chance)


def _load_realness(run: Path, device: torch.device) -> Callable[[PairSet, np.ndarray], np.ndarray] | None:
    """D's score of real pictures, as a function of pairs and their indices; None where there is no D."""
    opened = Run.open(run)
    if not (run / "discriminator.safetensors").exists():
        return None
    D = build_networks(opened.record.config.model, seed=0).discriminator
    opened.load_weights("discriminator", D)
    D = D.eval().requires_grad_(False).to(device)

    @torch.no_grad()
    def score(pairs: PairSet, frames: np.ndarray) -> np.ndarray:
        with cpu_threads(1):
            return D(to_network(torch.from_numpy(pairs.images[frames]).to(device)))[0].cpu().numpy()

    return score
