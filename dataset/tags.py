"""What a clip is tagged with: the vocabulary, and how a rig extends it.

A clip has one value of each tag from beginning to end (paper, Table 2: 5 clothing colours, 2 lighting conditions,
0 or 1 occupants), which is what lets one code z stand for a whole clip. Order is the class label's number in a
dataset: append, never reorder.

A file `vocabulary.toml` in the folder of the clips adds labels of one's own, after the built-in ones:

    version = 2
    clothing = ["white", "red", "green", "blue", "black", "grey"]

A clip keeps the vocabulary that it was tagged by, so a dataset needs no file: it takes the longest of its clips'.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from .. import LrtError

VOCABULARY_VERSION = 1
VOCABULARY_NAME = "vocabulary.toml"
CLOTHING = ("white", "red", "green", "blue", "black")
LIGHTING = ("bright", "dim")
UNKNOWN = "unknown"  # while recording, for want of better; no dataset takes it
_LABEL = re.compile(r"[a-z0-9_.-]{1,32}")


class TagError(LrtError, ValueError):
    """A tag that the vocabulary does not know, or a vocabulary that cannot be."""


@dataclass(frozen=True)
class Vocabulary:
    """The labels of one version, each tag's in the order of their numbers.

    Raises:
        TagError: a label twice or not of 1 to 32 of a-z, 0-9, `_`, `.`, `-`; or the built-in ones do not come first.
    """

    version: int = VOCABULARY_VERSION
    clothing: tuple[str, ...] = CLOTHING
    lighting: tuple[str, ...] = LIGHTING

    def __post_init__(self) -> None:
        if type(self.version) is not int or self.version < VOCABULARY_VERSION:
            raise TagError(f"version is {self.version!r}; give a whole number of {VOCABULARY_VERSION} or more")
        for tag, labels, built_in in (("clothing", self.clothing, CLOTHING), ("lighting", self.lighting, LIGHTING)):
            for label in labels:
                if not (isinstance(label, str) and _LABEL.fullmatch(label)) or label == UNKNOWN:
                    raise TagError(f"{tag} {label!r} cannot be a label; use 1 to 32 of a-z, 0-9, '_', '.' and '-'")
            if len(set(labels)) < len(labels):
                raise TagError(f"{tag} has a label twice: {', '.join(labels)}")
            if tuple(labels[: len(built_in)]) != built_in:
                raise TagError(
                    f"{tag} begins with {', '.join(labels[: len(built_in)])}; {', '.join(built_in)} must come first, "
                    "in this order, and new ones after them: datasets number them so"
                )
        if self.version == VOCABULARY_VERSION and (self.clothing, self.lighting) != (CLOTHING, LIGHTING):
            raise TagError(f"version {VOCABULARY_VERSION} is the built-in one; give the extended one a higher version")

    def check(self, clothing: str, lighting: str, occupants: int, recording: bool = False) -> None:
        """Refuse what this vocabulary does not know.

        Args:
            recording: take "unknown" too, for a tag that is looked up later.

        Raises:
            TagError: naming the tag, what was found and what may stand there.
        """
        for tag, value, labels in (("clothing", clothing, self.clothing), ("lighting", lighting, self.lighting)):
            if value == UNKNOWN and recording:
                continue
            if value == UNKNOWN:
                raise TagError(f"{tag} is unknown; `lrt clips tag` says which it was: {', '.join(labels)}")
            if value not in labels:
                raise TagError(f"{tag} '{value}' is not in the vocabulary; choose one of {', '.join(labels)}")
        if occupants < 0:
            raise TagError(f"occupants is {occupants}; give the number of people in view, 0 or more")

    def extends(self, other: Self) -> bool:
        """Whether every label of the other has the same number here."""
        return (
            self.clothing[: len(other.clothing)] == other.clothing
            and self.lighting[: len(other.lighting)] == other.lighting
        )

    def as_dict(self) -> dict[str, Any]:
        """As clip.json keeps it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """The vocabulary of a file's or a clip's values; a missing tag has the built-in labels.

        Raises:
            TagError: what it cannot be.
        """
        if strange := sorted(found.keys() - {"version", "clothing", "lighting"}):
            raise TagError(f"'{strange[0]}' is not known; a vocabulary has version, clothing and lighting")
        labels = {"clothing": found.get("clothing", CLOTHING), "lighting": found.get("lighting", LIGHTING)}
        for tag, value in labels.items():
            if not isinstance(value, list | tuple):
                raise TagError(f"{tag} is {value!r}; give a list of labels")
        return cls(found.get("version", VOCABULARY_VERSION), tuple(labels["clothing"]), tuple(labels["lighting"]))


DEFAULT = Vocabulary()


def check_tags(clothing: str, lighting: str, occupants: int) -> None:
    """Refuse what the built-in vocabulary does not know; see `Vocabulary.check`."""
    DEFAULT.check(clothing, lighting, occupants)


def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary of a TOML file.

    Raises:
        TagError: it cannot be read, or says what cannot be; one line that names the file.
    """
    try:
        return Vocabulary.from_dict(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise TagError(f"vocabulary {path} cannot be read ({error.strerror})") from error
    except TagError as error:
        raise TagError(f"{path}: {error}") from error
    except ValueError as error:  # no TOML, or no UTF-8
        raise TagError(f"{path} is not TOML: {error}") from error


def find_vocabulary(clips: Path) -> Vocabulary:
    """What clips in a folder are tagged by: its `vocabulary.toml`, the built-in one without.

    Args:
        clips: the folder that holds the clips.

    Raises:
        TagError: see `read_vocabulary`.
    """
    path = clips / VOCABULARY_NAME
    return read_vocabulary(path) if path.exists() else DEFAULT


def join_vocabularies(kept: Mapping[str, Mapping[str, Any] | None]) -> Vocabulary:
    """The vocabulary that fits all of these clips: the one with the most labels, where it extends every other.

    Args:
        kept: {clip: the vocabulary in its header}; None, of a clip recorded before there was one, is the built-in.

    Raises:
        TagError: two give one number to different labels; both clips are named.
    """
    longest, longest_clip = DEFAULT, ""
    for clip, found in kept.items():
        try:
            one = DEFAULT if found is None else Vocabulary.from_dict(found)
        except TagError as error:
            raise TagError(f"clip {clip}: its vocabulary: {error}") from error
        if one.extends(longest):
            longest, longest_clip = one, clip
        elif not longest.extends(one):
            raise TagError(
                f"clips {longest_clip} and {clip} were tagged by vocabularies that disagree: "
                f"{_labels(longest)} and {_labels(one)}; tag one again with `lrt clips tag`, by the other's file"
            )
    return longest


def _labels(vocabulary: Vocabulary) -> str:
    return f"({', '.join(vocabulary.clothing)}; {', '.join(vocabulary.lighting)})"
