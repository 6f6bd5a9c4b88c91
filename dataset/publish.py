"""What a published dataset does not say: names that somebody chose, serial numbers, dates.

Clip ids and rooms are words of whoever recorded, and may name a person; free tags are left out for the same reason. In
their place stand short hashes that stay the same from build to build and cannot be undone by guessing at names, since
what they hash holds a secret: a clip's is the hash of its recording, a room's that of the rig's calibration. Neither
is published. Times count from a clip's first heatmap in every dataset, and subjects are pseudonyms in the ledger.
"""

import hashlib
from dataclasses import replace

from ..calibration.geometry import Calibration
from .schema import DatasetError

PUBLISH = "publish"
_CLIP_DIGITS, _ROOM_DIGITS = 12, 6  # two clips of a million share a name with a chance of 1 in 560


def name_clip(recording_sha256: str) -> str:
    """What a published dataset calls a clip.

    Args:
        recording_sha256: of clip.mcap, hexadecimal, as clip.json has it.
    """
    if not recording_sha256:
        raise DatasetError("a clip without the hash of its recording cannot be published; `lrt clips recover` adds it")
    return "c" + hashlib.sha256(f"lrt clip {recording_sha256}".encode()).hexdigest()[:_CLIP_DIGITS]


def name_room(room: str, calibration: bytes) -> str:
    """What a published dataset calls a room; "" of none.

    Args:
        calibration: the rig's own calibration.json, which names recordings by their hash.
    """
    key = hashlib.sha256(calibration).digest()
    return "room-" + hashlib.sha256(key + room.encode()).hexdigest()[:_ROOM_DIGITS] if room else ""


def strip_calibration(calibration: Calibration) -> Calibration:
    """The calibration without the clips it was made on, and the name of a folder of masks."""
    return replace(calibration, clips={}, masks=calibration.masks.split(maxsplit=1)[0])
