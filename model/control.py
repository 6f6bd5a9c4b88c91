"""Fig. 7 as numbers: does warmth follow the heatmap, do clothing and light follow the source, and nothing else?

k sources times n heatmaps of other clips are drawn and judged by a network that never saw a drawn picture. Each figure
stands between what the judge says of real pictures and what it says when they are paired at random.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..dataset.loading import PairSet
from .bounds import Bounded, bounded
from .judges import Judge, warmth
from .measures import shuffle_within
from .probes import probe_clothing, probe_code

SOURCES, HEATMAPS, SEEDS = 16, 12, 3  # a grid, and how many are drawn anew
REAL = 1000  # real pictures, spread over the clips, that the judge reads

Code = Callable[[np.ndarray], np.ndarray]
"""(n,) indices of pairs -> (n, z) float32: the code of each image."""
Draw = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""((n, z) codes, (n,) indices of pairs) -> (n, H, W, 3) uint8: each pair's heatmap with a code."""


@dataclass(frozen=True)
class EmptySources:
    """The same with sources that show nobody: their code must still give light, and somebody where the heat is.

    Attributes:
        sources: how many.
        warmth_error_c: as in `Control`, of drawn pictures.
        lighting_accuracy: as in `Control`; None without labels.
        clothing: label -> share of the pictures judged to wear it: the source names none, so it should be plausible.
    """

    sources: int
    warmth_error_c: Bounded
    lighting_accuracy: Bounded | None
    clothing: dict[str, float]


@dataclass(frozen=True)
class Control:
    """How far a generator does what heatmap and source ask.

    Attributes:
        warmth_error_c: mean absolute difference between the warmth read off a picture and its heatmap's, degC above
            the heatmap's median; shuffled: against another heatmap of the clip. Lower is better.
        warmth_spread_c: standard deviation between sources of the warmth read at one heatmap, degC: what the code
            leaks into where people stand. 0 is best.
        clothing_accuracy: share of pictures, of people, judged to wear the source's clothing; None without labels.
        clothing_recall: label -> the same of its own sources: 0 where a model lost a shirt.
        lighting_accuracy: share judged to have the source's light; None without labels.
        clothing_of_heat: share of pictures, of people, judged to wear what was worn when their heatmap was recorded,
            where the source wears something else. shuffled: the same if the heat said nothing; that is best. real: the
            share of heatmaps that tell it by themselves (`probes.probe_clothing`). None without labels.
        code_heat_r2: share of a clip's changes of heat that a ridge regression finds in its codes, in clips it did not
            learn from; real: in what changes in the images themselves; shuffled: in codes of other frames. 0 or less
            is best: the code should not say where people stand. None with one clip.
        empty: of sources without anyone; None where there are none.
        sources, heatmaps, pictures: of all the grids.
        judge_saw_these_clips: the judge learned from the clips it judges here, and `real` flatters it.
    """

    warmth_error_c: Bounded
    warmth_spread_c: float
    clothing_accuracy: Bounded | None
    clothing_recall: dict[str, float]
    lighting_accuracy: Bounded | None
    clothing_of_heat: Bounded | None
    code_heat_r2: Bounded | None
    empty: EmptySources | None
    sources: int
    heatmaps: int
    pictures: int
    judge_saw_these_clips: bool


def measure_control(
    pairs: PairSet,
    judge: Judge,
    code: Code,
    draw: Draw,
    *,
    judge_saw_these_clips: bool,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Control:
    """Measure a model, given as two functions.

    Args:
        pairs: of one split.
        judge: trained on real pairs.
        code, draw: the model.
        judge_saw_these_clips: said of the figures.
        seed: of sources and heatmaps.
        on_progress: called with the grids drawn and in all.
    """
    rng = np.random.default_rng(seed)
    cells = _Cells.none()
    for number in range(SEEDS):
        cells = cells.and_grid(pairs, judge, code, draw, rng)
        if on_progress is not None:
            on_progress(number + 1, SEEDS)

    spread = np.sort(rng.permutation(len(pairs))[:REAL])
    of_real = judge.read(pairs.images[spread])
    there = warmth(pairs.heatmaps)
    other = shuffle_within(pairs.clip, seed)[spread]
    clip_of_source = pairs.clip[cells.source]
    warmth_error = bounded(
        cells.error_c,
        clip_of_source,
        float(np.abs(of_real.warmth - there[spread]).mean()),
        float(np.abs(of_real.warmth - there[other]).mean()),
        seed,
    )

    worn, lit = pairs.clothing[cells.source], pairs.lighting[cells.source]
    dressed = (worn >= 0) & (pairs.occupants[cells.source] > 0) & (pairs.occupants[cells.heatmap] > 0)
    real_worn = np.where(pairs.occupants[spread] > 0, pairs.clothing[spread], -1)
    clothing = _accuracy(cells.clothing, worn, dressed, clip_of_source, (of_real.clothing, real_worn), seed)
    lighting = _accuracy(
        cells.lighting, lit, lit >= 0, clip_of_source, (of_real.lighting, pairs.lighting[spread]), seed
    )
    names = pairs.vocabulary.clothing
    return Control(
        warmth_error,
        float(np.mean(cells.spread_c)),
        clothing,
        {
            names[label]: float((cells.clothing == label)[dressed & (worn == label)].mean())
            for label in np.unique(worn[dressed])
        },
        lighting,
        _clothing_of_heat(pairs, cells, dressed, clip_of_source, seed),
        probe_code(pairs, code, seed),
        _of_empty_sources(pairs, cells, warmth_error, lighting, seed),
        len(np.unique(cells.source)),
        len(np.unique(cells.heatmap)),
        len(cells.source),
        judge_saw_these_clips,
    )


@dataclass(frozen=True)
class _Cells:
    """Judged pictures of the grids: `source` and `heatmap` (n,) index the pairs."""

    source: np.ndarray
    heatmap: np.ndarray
    error_c: np.ndarray
    clothing: np.ndarray
    lighting: np.ndarray
    spread_c: np.ndarray

    @staticmethod
    def none() -> "_Cells":
        whole, real = np.empty(0, np.int64), np.empty(0)
        return _Cells(whole, whole, real, whole, whole, real)

    def and_grid(self, pairs: PairSet, judge: Judge, code: Code, draw: Draw, rng: np.random.Generator) -> "_Cells":
        """Draw and judge one grid more."""
        sources = of_different_clips(pairs, SOURCES, rng)
        heatmaps = of_different_clips(pairs, HEATMAPS, rng)
        codes = code(sources)
        asked = warmth(pairs.heatmaps[heatmaps])
        error, clothing, lighting, spread = [], [], [], []
        for frame, wanted in zip(heatmaps, asked, strict=True):
            seen = judge.read(draw(codes, np.full(len(codes), frame)))
            error.append(np.abs(seen.warmth - wanted).mean(axis=(1, 2)))
            clothing.append(seen.clothing)
            lighting.append(seen.lighting)
            spread.append(seen.warmth.std(axis=0).mean())
        new = (np.tile(sources, len(heatmaps)), np.repeat(heatmaps, len(sources)), np.concatenate(error))
        swapped = np.flatnonzero(pairs.clip[new[0]] != pairs.clip[new[1]])
        if len(swapped) == 0:
            swapped = np.arange(len(new[0]))  # one clip: there is nothing to swap with
        return _Cells(
            np.concatenate([self.source, new[0][swapped]]),
            np.concatenate([self.heatmap, new[1][swapped]]),
            np.concatenate([self.error_c, new[2][swapped]]),
            np.concatenate([self.clothing, np.concatenate(clothing)[swapped]]),
            np.concatenate([self.lighting, np.concatenate(lighting)[swapped]]),
            np.concatenate([self.spread_c, spread]),
        )


def of_different_clips(pairs: PairSet, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count,) indices of pairs, from as many clips as there are before any comes twice."""
    clips = rng.permutation(np.unique(pairs.clip))
    return np.array([rng.choice(np.flatnonzero(pairs.clip == clips[k % len(clips)])) for k in range(count)])


def _accuracy(
    judged: np.ndarray,
    wanted: np.ndarray,
    counts: np.ndarray,
    clip: np.ndarray,
    of_real: tuple[np.ndarray, np.ndarray],
    seed: int,
) -> Bounded | None:
    """Share of pictures judged as wanted; None where no label says what is wanted.

    The floor is exact: the share expected when every picture takes the label of a picture at random.
    """
    real_judged, real_labels = (part[of_real[1] >= 0] for part in of_real)
    if not counts.any() or len(real_labels) == 0:
        return None
    judged, wanted = judged[counts], wanted[counts]
    chance = sum((judged == label).mean() * (wanted == label).mean() for label in np.unique(wanted))
    real = float((real_judged == real_labels).mean())
    return bounded((judged == wanted).astype(float), clip[counts], real, float(chance), seed)


def _clothing_of_heat(
    pairs: PairSet, cells: _Cells, dressed: np.ndarray, clip_of_source: np.ndarray, seed: int
) -> Bounded | None:
    """Of pictures whose source wears another shirt than was worn when their heat was recorded."""
    worn_then = pairs.clothing[cells.heatmap]
    told = dressed & (worn_then >= 0) & (worn_then != pairs.clothing[cells.source])
    of_heat = probe_clothing(pairs, seed)
    if of_heat is None or not told.any():
        return None
    judged, then = cells.clothing[told], worn_then[told]
    chance = sum((judged == label).mean() * (then == label).mean() for label in np.unique(then))
    return bounded((judged == then).astype(float), clip_of_source[told], of_heat, float(chance), seed)


def _of_empty_sources(
    pairs: PairSet, cells: _Cells, warmth_error: Bounded, lighting: Bounded | None, seed: int
) -> EmptySources | None:
    """Of grid columns whose source shows nobody; the bounds are those of all sources."""
    empty = pairs.occupants[cells.source] == 0
    if not empty.any():
        return None
    clip, lit = pairs.clip[cells.source], pairs.lighting[cells.source]
    labelled = empty & (lit >= 0)
    people = empty & (pairs.occupants[cells.heatmap] > 0)
    obeyed = (cells.lighting == lit)[labelled].astype(float)
    return EmptySources(
        len(np.unique(cells.source[empty])),
        bounded(cells.error_c[empty], clip[empty], warmth_error.real, warmth_error.shuffled, seed),
        bounded(obeyed, clip[labelled], lighting.real, lighting.shuffled, seed)
        if lighting is not None and labelled.any()
        else None,
        {name: float((cells.clothing[people] == label).mean()) for label, name in enumerate(pairs.vocabulary.clothing)}
        if people.any()
        else {},
    )
