"""Which clips are held out: whole clips, never frames, since a clip's neighbours are nearly the same picture.

The default split holds out some clips, or some people with all their clips. The named ones each hold out everything
of one kind: `leave-red-out` tests on the clips in red and trains on the others, `leave-kitchen-out` on a room.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from .schema import DatasetError
from .tags import UNKNOWN

SPLIT_BY = ("clip", "subject")
DEFAULT_NAME = "default"
Splits = dict[str, list[str]]  # {"train": clip ids, "test": clip ids}, each in the order of the ids


@dataclass(frozen=True)
class SplitClip:
    """What of a clip decides where it goes.

    Attributes:
        clip_id: its name.
        subject: pseudonym of who is in view, several joined by commas, "" unknown.
        room: "" unknown.
        clothing, lighting: its tags, "" or "unknown" where nobody gave one.
    """

    clip_id: str
    subject: str = ""
    room: str = ""
    clothing: str = ""
    lighting: str = ""

    @property
    def subjects(self) -> frozenset[str]:
        """Each person in view."""
        return frozenset(each.strip() for each in self.subject.split(",") if each.strip())


class SplitChoice(Protocol):
    """How to split; a BuildConfig is one."""

    @property
    def test_fraction(self) -> float:
        """Share of clips, or of people, to hold out, 0..1."""
        ...

    @property
    def test_clips(self) -> tuple[str, ...]:
        """The test clips by name, instead of a fraction."""
        ...

    @property
    def split_by(self) -> str:
        """One of SPLIT_BY."""
        ...


def choose_splits(clips: Sequence[SplitClip], config: SplitChoice) -> dict[str, Splits]:
    """Every way of splitting these clips, "default" first: {name: {"train": clip ids, "test": clip ids}}.

    A named split is there where both its sides have a clip. A clip of which it is not known whether it is of the kind
    held out (no room noted, nobody known) is on neither side.

    Args:
        clips: every clip of the dataset, each once; their order does not matter.
        config: for the default split.

    Raises:
        DatasetError: a test clip that is not there; to be split by subject, and a clip of which no subject is known.
    """
    clips = sorted(clips, key=lambda clip: clip.clip_id)
    if config.split_by not in SPLIT_BY:
        raise DatasetError(f"split by '{config.split_by}' is not known; choose one of {', '.join(SPLIT_BY)}")
    if config.split_by == "subject":
        test = _hold_out_people(clips, config)
    else:
        test = choose_test_clips([clip.clip_id for clip in clips], config.test_fraction, config.test_clips)
    ids = [clip.clip_id for clip in clips]
    splits = {DEFAULT_NAME: {"train": [each for each in ids if each not in test], "test": sorted(test)}}
    kinds: dict[str, Callable[[SplitClip], Iterable[str]]] = {
        "clothing": lambda clip: {clip.clothing} - {"", UNKNOWN},
        "lighting": lambda clip: {clip.lighting} - {"", UNKNOWN},
        "room": lambda clip: {clip.room} - {""},
        "subject": lambda clip: clip.subjects,
    }
    for kind, labels_of in kinds.items():
        for label, sides in _leave_each_out(clips, labels_of).items():
            name = f"leave-{label}-out"
            splits[name if name not in splits else f"leave-{kind}-{label}-out"] = sides
    return splits


@dataclass(frozen=True)
class Sides:
    """Where a training and its measure put the clips.

    Attributes:
        trained: ids of what is trained on.
        seen: kept from training, but of a clothing, light, room and person that training shows: the fair measure
            beside which what is unseen stands.
        unseen: what the way of splitting holds out by its name; none of the default way.
    """

    trained: tuple[str, ...]
    seen: tuple[str, ...]
    unseen: tuple[str, ...]


def choose_sides(named_splits: Mapping[str, Mapping[str, Sequence[str]]], named: str = DEFAULT_NAME) -> Sides:
    """The sides of a way of splitting; the default way's test clips are trained on in none.

    Args:
        named_splits: as a dataset tells them.
        named: one of them.

    Raises:
        DatasetError: no such way, or the default test clips are all that it would train on.
    """
    if named not in named_splits:
        raise DatasetError(f"no way of splitting is named '{named}'; there are {', '.join(named_splits)}")
    kept = set(named_splits[DEFAULT_NAME].get("test", ()))
    train, test = (tuple(named_splits[named].get(side, ())) for side in ("train", "test"))
    if named == DEFAULT_NAME:
        return Sides(train, test, ())
    sides = Sides(
        tuple(each for each in train if each not in kept), tuple(each for each in train if each in kept), test
    )
    if not sides.trained:
        raise DatasetError(
            f"'{named}' leaves only clips of the test split, {', '.join(sides.seen)}, which are never trained on; "
            "build the dataset with another --test"
        )
    return sides


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
        _refuse_strangers(clip_ids, named)
        return frozenset(named)
    return _lowest({clip_id: place_clip(clip_id) for clip_id in clip_ids}, fraction)


def place_clip(clip_id: str) -> float:
    """Where a clip's id, or a subject's, falls in 0..1, the same on every machine and in every version."""
    return int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8], "big") / 2**64


def _hold_out_people(clips: Sequence[SplitClip], config: SplitChoice) -> frozenset[str]:
    """The test clips when nobody may be on both sides.

    People who appear in one clip together, or through others, stay together. Such a group is placed by the highest
    of its members' hashes: when two groups join as the set grows, people can only go from test to train.
    """
    if nobody := [clip.clip_id for clip in clips if not clip.subjects]:
        raise DatasetError(
            f"{len(nobody)} clips cannot be split by subject, for nobody is known to be in them, as in {nobody[0]}; "
            "note their consents with `lrt consent add`, or split by clip"
        )
    group_of = _group_people(clips)
    if config.test_clips:
        _refuse_strangers([clip.clip_id for clip in clips], config.test_clips)
        chosen = {group_of[min(clip.subjects)] for clip in clips if clip.clip_id in config.test_clips}
    else:
        places: dict[str, float] = {}
        for subject, group in group_of.items():
            places[group] = max(places.get(group, 0.0), place_clip(subject))
        chosen = _lowest(places, config.test_fraction)
    return frozenset(clip.clip_id for clip in clips if group_of[min(clip.subjects)] in chosen)


def _group_people(clips: Sequence[SplitClip]) -> dict[str, str]:
    """{subject: the first, by name, of all who appear with them, directly or through others}."""
    group_of: dict[str, str] = {}
    for clip in clips:
        joined = {group_of.get(subject, subject) for subject in clip.subjects}
        first = min(joined)
        group_of |= dict.fromkeys(clip.subjects, first)
        group_of |= {subject: first for subject, group in group_of.items() if group in joined}
    return group_of


def _lowest(places: dict[str, float], fraction: float) -> frozenset[str]:
    """Those placed below the fraction; of few, of which none is, the lowest; never all."""
    ranked = sorted(places, key=lambda each: (places[each], each))
    chosen = [each for each in ranked if places[each] < fraction]
    if not chosen:
        chosen = ranked[: min(1, round(fraction * len(ranked)))]
    return frozenset(chosen[: len(ranked) - 1])


def _leave_each_out(clips: Sequence[SplitClip], labels_of: Callable[[SplitClip], Iterable[str]]) -> dict[str, Splits]:
    """{label: the split that tests on it}, of a kind that has more than one label."""
    labels = {clip.clip_id: frozenset(labels_of(clip)) for clip in clips}
    found: dict[str, Splits] = {}
    for label in sorted({label for each in labels.values() for label in each}):
        test = [clip_id for clip_id, has in labels.items() if label in has]
        train = [clip_id for clip_id, has in labels.items() if has and label not in has]
        if train:
            found[label] = {"train": train, "test": test}
    return found


def _refuse_strangers(clip_ids: Sequence[str], named: Sequence[str]) -> None:
    unknown = sorted(set(named) - set(clip_ids))
    if unknown:
        raise DatasetError(f"test clip '{unknown[0]}' is not among the clips; they are {', '.join(clip_ids)}")
