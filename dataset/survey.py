"""A dataset read once from end to end for a page about it: pairs to show, histograms, and the pairs that stand out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .agreement import correlate_pairs
from .arrow import decode_images, read_shard, restore_grids
from .info import ClipInfo, DatasetInfo, read_info
from .loading import COLDEST_C, WARMEST_C
from .show import spread

MOST_TILES = 1600  # pairs shown of all clips together: with about 2 kB each, a page stays below 5 MB
TILE_PX = 64  # width of a shown picture at most; the paper's size is not made smaller
TILES_A_CLIP = (8, 4)  # at most, and at least, of a clip that is shown at all
WORST = 6  # pairs shown of either kind
WORST_A_CLIP = 2  # of them; one bad clip would else fill the list with neighbours
KNOWN_SHARE = 0.33  # of a clip's pairs whose agreement must be known to speak of the clip's
HEAT_STEP_C = 0.25  # of the histogram: the sensor's step
HEAT_SPAN_C = (-20.0, 100.0)  # AMG8833 datasheet: the low-gain type's range; what lies outside counts at the ends
GAP_BINS = 20


@dataclass(frozen=True, eq=False)
class Shown:
    """A pair to look at.

    Attributes:
        clip_id, frame: which it is.
        at_s: time since the clip's first heatmap, s.
        dt_ms: how much later the picture was taken than the heatmap, ms, or NaN.
        agreement: of heat and picture, -1..1 (`correlate_pairs`), or NaN.
        image: (H, W, 3) uint8, RGB, at most TILE_PX wide.
        heatmap: (h, w) float32, degC.
    """

    clip_id: str
    frame: int
    at_s: float
    dt_ms: float
    agreement: float
    image: np.ndarray
    heatmap: np.ndarray


@dataclass(frozen=True)
class Strip:
    """A clip and evenly spaced pairs of it; its `agreement` is the median of all its pairs', None if not known."""

    clip: ClipInfo
    pairs: tuple[Shown, ...]
    agreement: float | None


@dataclass(frozen=True)
class Histogram:
    """(n + 1) edges, rising, and (n) counts."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Survey:
    """What a page shows of a dataset.

    Attributes:
        info: what the dataset says of itself.
        strips: the shown clips, in the order of their ids; fewer than `info.clips` when there are too many.
        agreements: {clip id: median agreement}, of the clips of which it is known.
        heat: degC, of every heatmap cell.
        colder, warmer: share of those cells below and above what a model sees (19..30 degC), 0..1.
        gaps: dt_ms of every pair of which it is known.
        matches: agreement of every pair of which it is known.
        late: the pairs with the largest |dt_ms|, the worst first.
        doubtful: the pairs with the least agreement, the worst first.
    """

    info: DatasetInfo
    strips: tuple[Strip, ...]
    agreements: dict[str, float]
    heat: Histogram
    colder: float
    warmer: float
    gaps: Histogram
    matches: Histogram
    late: tuple[Shown, ...]
    doubtful: tuple[Shown, ...]


def survey_dataset(path: Path, on_progress: Callable[[float, float], None] | None = None) -> Survey:
    """Read every pair of a dataset, one clip in memory at a time.

    Args:
        path: the dataset's folder.
        on_progress: called with clips done and clips in all.

    Raises:
        DatasetError: not a dataset, another major schema, or a shard that is missing or damaged.
    """
    info = read_info(path)
    tiles, strips_most = plan_tiles(len(info.clips))
    shown = set(spread(len(info.clips), strips_most))
    heat_edges = np.arange(HEAT_SPAN_C[0], HEAT_SPAN_C[1] + HEAT_STEP_C, HEAT_STEP_C)
    heat_counts = np.zeros(len(heat_edges) - 1, np.int64)
    outside = np.zeros(2, np.int64)
    strips, agreements, gaps, matches = [], {}, [], []
    late: list[tuple[float, Shown]] = []
    doubtful: list[tuple[float, Shown]] = []
    for number, clip in enumerate(info.clips):
        pairs = _Pairs.read(path, info, clip)
        heat_counts += np.histogram(np.clip(pairs.heatmaps, *HEAT_SPAN_C), heat_edges)[0]
        outside += [(pairs.heatmaps < COLDEST_C).sum(), (pairs.heatmaps > WARMEST_C).sum()]
        gaps.append(pairs.dt_ms[np.isfinite(pairs.dt_ms)])
        known = pairs.agreement[np.isfinite(pairs.agreement)]
        matches.append(known)
        if len(known) > KNOWN_SHARE * clip.pairs:
            agreements[clip.clip_id] = float(np.median(known))
        if number in shown:
            members = tuple(pairs.show(index) for index in spread(clip.pairs, tiles))
            strips.append(Strip(clip, members, agreements.get(clip.clip_id)))
        late = _keep_worst(late, pairs, np.abs(pairs.dt_ms))
        doubtful = _keep_worst(doubtful, pairs, -pairs.agreement)
        if on_progress:
            on_progress(number + 1, len(info.clips))
    colder, warmer = outside / max(1, heat_counts.sum())
    return Survey(
        info=info,
        strips=tuple(strips),
        agreements=agreements,
        heat=_trim(heat_edges, heat_counts),
        colder=float(colder),
        warmer=float(warmer),
        gaps=_count(np.concatenate(gaps), None),
        matches=_count(np.concatenate(matches), (-1.0, 1.0)),
        late=tuple(pair for _, pair in late),
        doubtful=tuple(pair for _, pair in doubtful),
    )


def plan_tiles(clips: int) -> tuple[int, int]:
    """How many pairs to show of a clip, and of how many clips, when there are so many."""
    most, least = TILES_A_CLIP
    tiles = min(most, max(least, MOST_TILES // clips))
    return tiles, min(clips, MOST_TILES // tiles)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """A clip's pairs: arrays over all of them."""

    clip: ClipInfo
    images: np.ndarray
    heatmaps: np.ndarray
    frame: np.ndarray
    at_s: np.ndarray
    dt_ms: np.ndarray
    agreement: np.ndarray

    @classmethod
    def read(cls, path: Path, info: DatasetInfo, clip: ClipInfo) -> "_Pairs":
        shard = path / clip.shard
        table = read_shard(shard, clip, also=("t_ns", "dt_ms"))
        images = np.empty((clip.pairs, *info.image_shape, 3), np.uint8)
        decode_images(table.column("rgb"), images, shard)
        heatmaps = restore_grids(table.column("heatmap"), info.heatmap_shape)
        nobody = clip.occupants == 0  # what changes there is noise, and it agrees with nothing
        return cls(
            clip=clip,
            images=images,
            heatmaps=heatmaps,
            frame=table.column("frame").to_numpy(),
            at_s=table.column("t_ns").to_numpy() / 1e9,
            dt_ms=table.column("dt_ms").to_numpy(),
            agreement=np.full(clip.pairs, np.nan) if nobody else correlate_pairs(images, heatmaps),
        )

    def show(self, index: int) -> Shown:
        image = self.images[index]
        if image.shape[1] > TILE_PX:
            size = (TILE_PX, max(1, round(TILE_PX * image.shape[0] / image.shape[1])))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return Shown(
            clip_id=self.clip.clip_id,
            frame=int(self.frame[index]),
            at_s=float(self.at_s[index]),
            dt_ms=float(self.dt_ms[index]),
            agreement=float(self.agreement[index]),
            image=image.copy(),  # not a view that would keep the clip's pictures in memory
            heatmap=self.heatmaps[index].copy(),
        )


def _keep_worst(so_far: list[tuple[float, Shown]], pairs: _Pairs, badness: np.ndarray) -> list[tuple[float, Shown]]:
    """The worst of those so far and a clip's own, the worst first; a pair of unknown badness is none of them."""
    ranked = np.argsort(-badness, kind="stable")  # NaN comes last
    mine = [(float(badness[at]), pairs.show(int(at))) for at in ranked[:WORST_A_CLIP] if np.isfinite(badness[at])]
    return sorted(so_far + mine, key=lambda each: -each[0])[:WORST]


def _trim(edges: np.ndarray, counts: np.ndarray) -> Histogram:
    """A histogram without the empty bins at either end."""
    filled = np.flatnonzero(counts)
    first, last = (int(filled[0]), int(filled[-1])) if len(filled) else (0, 0)
    return Histogram(tuple(edges[first : last + 2].tolist()), tuple(counts[first : last + 1].tolist()))


def _count(values: np.ndarray, span: tuple[float, float] | None) -> Histogram:
    """A histogram over a span, or as far to both sides of zero as the values reach."""
    values = values.astype(np.float64)  # else the edges are float32 too
    reach = max(1.0, float(np.ceil(np.abs(values).max(initial=0))))
    counts, edges = np.histogram(values, bins=GAP_BINS, range=span or (-reach, reach))
    return Histogram(tuple(edges.tolist()), tuple(counts.tolist()))
