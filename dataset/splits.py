"""Which clips are held out: whole clips, never frames, since a clip's neighbours are nearly the same picture."""

import hashlib
from collections.abc import Sequence

from .schema import DatasetError


def choose_test_clips(clip_ids: Sequence[str], fraction: float, named: Sequence[str] = ()) -> frozenset[str]:
    """The clips that make the test split.

    Without names, a clip is held out when the hash of its id falls in the lowest `fraction` of all hashes. That
    depends on no other clip, so a set that grows never moves a clip from train to test, where a model trained
    earlier would have seen it. A small set in which no hash falls so low gives its lowest instead, if a `fraction`
    of it rounds to a clip at all; at least one clip stays for training.

    Args:
        clip_ids: every clip of the dataset, each once.
        fraction: share of clips to hold out, 0..1.
        named: the test clips, when the user chose them; `fraction` is then ignored.

    Raises:
        DatasetError: a named clip that is not among `clip_ids`.
    """
    if named:
        unknown = sorted(set(named) - set(clip_ids))
        if unknown:
            raise DatasetError(f"test clip '{unknown[0]}' is not among the clips; they are {', '.join(clip_ids)}")
        return frozenset(named)
    ranked = sorted(clip_ids, key=place_clip)
    test = [clip_id for clip_id in ranked if place_clip(clip_id) < fraction]
    if not test:
        test = ranked[: min(1, round(fraction * len(ranked)))]
    return frozenset(test[: len(ranked) - 1])


def place_clip(clip_id: str) -> float:
    """Where a clip's id falls in 0..1, the same on every machine and in every version."""
    return int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8], "big") / 2**64
