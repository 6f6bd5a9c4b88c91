"""clip.json: what a clip is and how it came about."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from ... import LrtError, __version__, write_whole

SCHEMA = "lrt.clip/1"
HEADER_NAME, LOG_NAME, PARTIAL = "clip.json", "clip.mcap", ".partial"
RECORDING, FINISHED, RECOVERED = "recording", "finished", "recovered"
_FREE_TAG = re.compile(r"[a-z0-9_.-]{1,32}")
_CLIP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class ClipError(LrtError, ValueError):
    """A clip that is missing, cut, damaged or already there."""


def check_clip_id(clip_id: str) -> None:
    """Refuse what cannot safely name a folder.

    Raises:
        ClipError: not 1 to 64 of letters, digits, `-` and `_`, a letter or digit first.
    """
    if not _CLIP_ID.fullmatch(clip_id):
        raise ClipError(f"clip id '{clip_id}': use 1 to 64 letters, digits, - and _, a letter or digit first")


def check_free_tag(text: str, what: str = "tag") -> None:
    """Refuse a free tag, or a room, of other letters.

    Raises:
        ClipError: not 1 to 32 of a-z, 0-9, `_`, `.`, `-`.
    """
    if not isinstance(text, str) or not _FREE_TAG.fullmatch(text):
        raise ClipError(f"{what} '{text}': use 1 to 32 of a-z, 0-9, '_', '.' and '-'")


def is_as_written(folder: Path) -> bool:
    """Whether clip.json is what lrt wrote there, by its check sum; one without, of an earlier version, is taken to be.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    found = json.loads((folder / HEADER_NAME).read_bytes())
    told = found.pop("checksum", None)
    return told is None or told == _sum_up(found)


def _sum_up(fields: dict[str, Any]) -> str:
    """SHA-256 of a header's fields, hexadecimal."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class ClipHeader:
    """What stands in clip.json.

    Attributes:
        clip_id: the folder's name too.
        clothing, lighting, occupants: the tags, true of the whole clip (dataset/tags.py has the vocabulary).
        consent: number of the consent form of the person in view; of several, joined by commas.
        rig: the rig's settings, as `RigSettings.as_dict` gives them.
        synthetic: the twin made it; nobody may take it for data.
        twin: the twin's truth (pose, shift, scale, offset), None for a real rig.
        state: `recording`, `finished`, or `recovered` after a cut.
        ended: why the recording ended, a phrase.
        image_size: (width, height) of the images, pixels; None until the first.
        counts: `heatmaps`, `images`, `events`.
        clocks: `start` and `stop`, each of `timing.wall.read_clocks`; a cut clip has no `stop`.
        sha256: of clip.mcap, hexadecimal; None until finished.
        room: where it was recorded, a free tag; "" if nobody noted it.
        tags: free tags.
        vocabulary: `version`, `clothing` and `lighting` that clothing and lighting were chosen from; None, of a clip
            from before there was a choice, is the built-in one.
        follows: the clip that this one goes on from, of a recording that was split.
        history: mended fields, the oldest first: `tag`, `old`, `new`, `real_ns`, `by`.
        software, schema: what wrote it, and in which layout.
    """

    clip_id: str
    clothing: str
    lighting: str
    occupants: int
    consent: str
    rig: dict[str, Any]
    synthetic: bool = False
    twin: dict[str, Any] | None = None
    state: str = RECORDING
    ended: str | None = None
    image_size: tuple[int, int] | None = None
    counts: dict[str, int] = field(default_factory=dict)
    clocks: dict[str, dict[str, int]] = field(default_factory=dict)
    sha256: str | None = None
    room: str = ""
    tags: list[str] = field(default_factory=list)
    vocabulary: dict[str, Any] | None = None
    follows: str | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    software: str = f"lrt {__version__}"
    schema: str = SCHEMA

    def __post_init__(self) -> None:
        check_clip_id(self.clip_id)
        if not self.consent.strip():
            raise ClipError(f"clip {self.clip_id}: a recording needs the number of a consent form (--consent)")
        if self.room:
            check_free_tag(self.room, "room")
        for tag in self.tags:
            check_free_tag(tag, "tag")
        if len(set(self.tags)) < len(self.tags):
            raise ClipError(f"clip {self.clip_id}: a tag is given twice, of {', '.join(self.tags)}")

    def write(self, folder: Path) -> None:
        """Write clip.json, whole, with a check sum over all that stands in it."""
        fields = asdict(self)
        content = json.dumps({**fields, "checksum": _sum_up(fields)}, indent=2) + "\n"
        write_whole(folder / HEADER_NAME, content.encode())

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The header in the folder.

        Raises:
            ClipError: the folder or file is missing, or it is not the header of a clip, or of a later layout.
        """
        path = folder / HEADER_NAME
        partial = folder.with_name(folder.name + PARTIAL)
        if not folder.is_dir() and partial.is_dir():
            raise ClipError(f"clip {folder.name} was cut short while recording; `lrt clips recover {partial}` mends it")
        if not folder.is_dir():
            raise ClipError(f"clip {folder} is not there; `lrt clips list` shows what is")
        try:
            found = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise ClipError(f"{folder} is not a clip: it has no {HEADER_NAME}") from None
        except (OSError, ValueError) as error:
            raise ClipError(f"{path} cannot be read ({error})") from error
        if not isinstance(found, dict) or found.get("schema") != SCHEMA:
            schema = found.get("schema") if isinstance(found, dict) else None
            raise ClipError(f"{path}: schema is {schema!r}, this version of lrt reads {SCHEMA!r}")
        known = {each.name for each in fields(cls)}
        try:
            header = cls(**{name: value for name, value in found.items() if name in known})
        except TypeError as error:
            raise ClipError(f"{path}: a field is missing ({error})") from error
        if header.image_size is not None:
            object.__setattr__(header, "image_size", tuple(header.image_size))  # JSON has no tuples
        return header
