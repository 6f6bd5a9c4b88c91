"""What a run has seen: the clips it was trained on, known by name and by content."""

import hashlib
from collections.abc import Mapping

import numpy as np

from ..dataset.loading import PairSet

DIGITS = 16  # of a clip's hash, hexadecimal: there are never so many clips that two would share them


def hash_clips(pairs: PairSet) -> dict[str, str]:
    """Clip id -> the first digits of the SHA-256 of its images and heatmaps.

    A clip that was renamed, or lies in another dataset cut by the same calibration, keeps its hash.
    """
    hashes = {}
    for number in np.unique(pairs.clip):
        member = pairs.clip == number
        digest = hashlib.sha256(pairs.images[member].tobytes())
        digest.update(pairs.heatmaps[member].tobytes())
        hashes[pairs.clip_ids[number]] = digest.hexdigest()[:DIGITS]
    return hashes


def hash_pairs(pairs: PairSet) -> str:
    """SHA-256 of all images and heatmaps: what a run calls its data."""
    digest = hashlib.sha256(pairs.images.tobytes())
    digest.update(pairs.heatmaps.tobytes())
    return digest.hexdigest()


def find_trained(trained: Mapping[str, str], pairs: PairSet) -> tuple[str, ...]:
    """Ids of the clips among these pairs that a run was trained on.

    One that has the name of such a clip counts as it, whatever it holds: a clip cut anew by another calibration
    differs in every pixel and shows the same.

    Args:
        trained: `hash_clips` of what the run was trained on.
        pairs: any.
    """
    known = set(trained.values())
    return tuple(name for name, digest in hash_clips(pairs).items() if name in trained or digest in known)
