"""Does the drawn person stand where the real one stood: silhouettes of drawn pictures against the real ones' own.

A segmenter that knows nothing of the networks marks people in drawn and in real pictures alike; what it misses, it
misses in both, and the ceiling says how much that costs.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from ..dataset.loading import PairSet
from .bounds import Bounded, bounded

FRAMES, CLIPS = 240, 60  # pictures of each kind, and over how many clips at most they are spread
LOOKS = 3  # how often progress is told: real, a frame on, drawn
ENLARGED = 5  # 64 x 40 -> 320 x 200: about the size at which the small segmenter works
PERSON = 0.01  # of the picture: a smaller silhouette is nobody

Silhouettes = Callable[[np.ndarray], np.ndarray]
"""(n, H, W, 3) uint8 RGB -> (n, H, W) bool: where people are."""


class Segmenter(Protocol):
    """Something that finds the people in images; every mask source of `lrt calibrate` is one."""

    name: str

    def masks(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """(H, W) float32, 0..1, of each image (H, W, 3) uint8 RGB, any size, in order."""
        ...


@dataclass(frozen=True)
class Silhouette:
    """Pictures drawn from heatmaps with codes of other clips, beside the real pictures of those heatmaps.

    Attributes:
        iou: intersection over union of the two silhouettes, of heatmaps whose real picture shows somebody. real: of the
            real picture and the clip's next, a tenth of a second on: what the segmenter's whims and one frame cost.
            shuffled: of the drawn and another real picture of the clip. None where nobody was ever found.
        detected: share of those in which somebody is found. real: of the next pictures. shuffled: of all pictures
            drawn, whatever their heat.
        false_person: share of pictures drawn from an empty room's heat in which somebody is found; 0 is best. None
            without clips of nobody.
        pictures: drawn.
        segmenter: who marked the people.
    """

    iou: Bounded | None
    detected: Bounded | None
    false_person: Bounded | None
    pictures: int
    segmenter: str


def find_silhouettes(source: Segmenter) -> Silhouettes:
    """A person segmenter for pictures as small as the networks': it sees them enlarged.

    On the twin's pictures of 64 x 40 the small Mask R-CNN's silhouettes agree with the true ones by 0.89 of IoU,
    against 0.91 on the whole frames they were cut from. In the smeared pictures of a generator trained for minutes it
    takes furniture for people, too: `shuffled` is what that alone scores.
    """

    def find(images: np.ndarray) -> np.ndarray:
        height, width = images.shape[1:3]
        large = (
            cv2.resize(image, (width * ENLARGED, height * ENLARGED), interpolation=cv2.INTER_CUBIC) for image in images
        )
        found = [cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA) > 0.5 for mask in source.masks(large)]
        return np.stack(found)

    return find


def measure_silhouettes(
    pairs: PairSet,
    code: Callable[[np.ndarray], np.ndarray],
    draw: Callable[[np.ndarray, np.ndarray], np.ndarray],
    find: Silhouettes,
    segmenter: str,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Silhouette:
    """Measure a model, given as two functions (`control.Code`, `control.Draw`).

    Args:
        pairs: of one split.
        code, draw: the model.
        find: marks people.
        segmenter: its name.
        seed: of frames and sources.
        on_progress: called with the looks done and in all.
    """
    rng = np.random.default_rng(seed)
    frames, sources = _choose(pairs, rng)
    clip = pairs.clip[frames]
    silhouettes = []
    for number, pictures in enumerate(
        (
            lambda: pairs.images[frames],
            lambda: pairs.images[_a_frame_on(pairs, frames)],
            lambda: draw(code(sources), frames),
        )
    ):
        silhouettes.append(find(pictures()))
        if on_progress is not None:
            on_progress(number + 1, LOOKS)
    real, after, drawn = silhouettes
    there, found = _shows_somebody(real), _shows_somebody(drawn)
    occupied, empty = there & (pairs.occupants[frames] > 0), pairs.occupants[frames] == 0
    other = _another_of_clip(clip)
    iou = detected = false_person = None
    if occupied.any():
        iou = bounded(
            overlap(drawn, real)[occupied],
            clip[occupied],
            float(overlap(after, real)[occupied].mean()),
            float(overlap(drawn, real[other])[occupied].mean()),
            seed,
        )
        detected = bounded(
            found[occupied].astype(float),
            clip[occupied],
            float(_shows_somebody(after)[occupied].mean()),
            float(found.mean()),
            seed,
        )
    if empty.any():
        false_person = bounded(
            found[empty].astype(float), clip[empty], float(there[empty].mean()), float(found.mean()), seed
        )
    return Silhouette(iou, detected, false_person, len(frames), segmenter)


def overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union, (n,) float, of silhouettes (n, H, W) bool; 1 where both are of nobody."""
    shared, either = (one & other).sum(axis=(1, 2)), (one | other).sum(axis=(1, 2))
    return np.where(either > 0, shared / np.maximum(either, 1), 1.0)


def _choose(pairs: PairSet, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Frames spread over clips, and for each a source of another clip, where there is one."""
    clips = rng.permutation(np.unique(pairs.clip))[:CLIPS]
    of_clip = {one: np.flatnonzero(pairs.clip == one) for one in clips}
    each = -(-FRAMES // len(clips))
    dealt = [rng.permutation(of_clip[one])[:each] for one in clips]
    place = np.repeat(np.arange(len(clips)), [len(some) for some in dealt])
    frames = np.concatenate(dealt)
    lenders = clips[(place + rng.integers(1, max(len(clips), 2), len(frames))) % len(clips)]
    sources = np.array([rng.choice(of_clip[one]) for one in lenders])
    return frames, sources


def _a_frame_on(pairs: PairSet, frames: np.ndarray) -> np.ndarray:
    """The next frame of each one's clip; of the last, the one before."""
    after = np.minimum(frames + 1, len(pairs) - 1)
    before = np.maximum(frames - 1, 0)
    return np.where(pairs.clip[after] == pairs.clip[frames], after, before)


def _another_of_clip(clip: np.ndarray) -> np.ndarray:
    """An order in which each frame is replaced by the next chosen one of its clip."""
    order = np.arange(len(clip))
    for one in np.unique(clip):
        member = np.flatnonzero(clip == one)
        order[member] = np.roll(member, 1)
    return order


def _shows_somebody(silhouettes: np.ndarray) -> np.ndarray:
    return silhouettes.mean(axis=(1, 2)) >= PERSON
