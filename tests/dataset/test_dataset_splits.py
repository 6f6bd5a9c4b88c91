"""The splits: whole clips and whole people, chosen by what they are called and by nothing else."""

from dataclasses import dataclass

import pytest

from lrt.dataset.schema import DatasetError
from lrt.dataset.splits import SplitClip, choose_splits, choose_test_clips, place_clip

IDS = [f"kitchen-{number:03d}" for number in range(200)]
PEOPLE = [f"S-{number:04x}" for number in range(60)]


@dataclass(frozen=True)
class Choice:
    """As a BuildConfig has it."""

    test_fraction: float = 0.1
    test_clips: tuple[str, ...] = ()
    split_by: str = "clip"


BY_SUBJECT = Choice(split_by="subject")


def clips_of(people: list[str], each: int = 3) -> list[SplitClip]:
    return [SplitClip(f"{person}-{number}", person) for person in people for number in range(each)]


def default(clips: list[SplitClip], choice: Choice) -> dict[str, list[str]]:
    return choose_splits(clips, choice)["default"]


# ------------------------------------------------------------------------------------------------------------ by clip


def test_a_clip_once_trained_on_is_never_tested_on_as_the_set_grows() -> None:
    trained_on: set[str] = set()
    for count in range(2, len(IDS)):
        test = choose_test_clips(IDS[:count], 0.1)
        assert not test & trained_on, f"with {count} clips"
        trained_on |= set(IDS[:count]) - test


def test_a_tenth_of_many_clips_is_about_a_tenth() -> None:
    assert len(choose_test_clips(IDS, 0.1)) == pytest.approx(20, abs=8)


def test_ten_clips_hold_out_at_least_one_and_four_none() -> None:
    high = sorted(IDS, key=place_clip)[100:]  # none of them falls in the lowest tenth
    assert choose_test_clips(high[:10], 0.1) == {high[0]}
    assert choose_test_clips(high[:4], 0.1) == set()


def test_one_clip_is_left_to_train_on() -> None:
    low = sorted(IDS, key=place_clip)[:3]
    assert choose_test_clips(low, 0.1) == set(low[:2])
    assert choose_test_clips(low[:1], 0.1) == set()


def test_the_order_of_the_clips_does_not_matter() -> None:
    assert choose_test_clips(IDS[::-1], 0.3) == choose_test_clips(IDS, 0.3)
    clips = [SplitClip(clip_id, clothing="red" if place_clip(clip_id) < 0.5 else "blue") for clip_id in IDS]
    assert choose_splits(clips[::-1], Choice()) == choose_splits(clips, Choice())


def test_named_clips_are_the_test_split() -> None:
    assert choose_test_clips(IDS, 0.1, ["kitchen-004"]) == {"kitchen-004"}


def test_a_named_clip_that_is_not_there_is_an_error() -> None:
    with pytest.raises(DatasetError, match=r"test clip 'hall' is not among the clips; they are a, b"):
        choose_test_clips(["a", "b"], 0.1, ["hall"])
    with pytest.raises(DatasetError, match="test clip 'hall'"):
        default([SplitClip("a", "S-1")], Choice(test_clips=("hall",), split_by="subject"))


def test_the_default_is_the_split_by_clip_in_the_order_of_the_ids() -> None:
    found = default([SplitClip(clip_id) for clip_id in IDS[::-1]], Choice())
    assert found["test"] == sorted(choose_test_clips(IDS, 0.1))
    assert sorted(found["train"] + found["test"]) == IDS
    assert found["train"] == sorted(found["train"])


# --------------------------------------------------------------------------------------------------------- by subject


def test_nobody_is_on_both_sides_and_about_a_tenth_of_the_people_are_held_out() -> None:
    found = default(clips_of(PEOPLE), BY_SUBJECT)
    trained, tested = ({clip_id[:6] for clip_id in found[side]} for side in ("train", "test"))
    assert not trained & tested
    assert trained | tested == set(PEOPLE)
    assert len(tested) == pytest.approx(6, abs=4)
    assert len(found["test"]) == 3 * len(tested)


def test_people_in_one_clip_together_stay_together_even_through_others() -> None:
    ranked = sorted(PEOPLE, key=place_clip)
    lowest, low, high = ranked[0], ranked[1], ranked[-1]
    apart = clips_of(ranked)
    assert {f"{lowest}-0", f"{low}-0"} <= set(default(apart, BY_SUBJECT)["test"])
    together = [*apart, SplitClip("both", f"{lowest}, {low}"), SplitClip("chain", f"{low},{high}")]
    test = set(default(together, BY_SUBJECT)["test"])
    assert test
    assert not test & {f"{lowest}-0", f"{low}-0", f"{high}-0", "both", "chain"}


def test_a_person_once_trained_on_is_never_tested_on_as_people_and_meetings_are_added() -> None:
    clips = clips_of(PEOPLE, each=1)
    meetings = [SplitClip(f"meeting-{n}", f"{PEOPLE[n]},{PEOPLE[(n * 7 + 3) % 60]}") for n in range(0, 60, 4)]
    growing = [clip for pair in zip(clips, [*meetings, *[None] * 60], strict=False) for clip in pair if clip]
    trained_on: set[str] = set()
    tested = 0
    for count in range(12, len(growing)):
        found = default(growing[:count], Choice(0.2, split_by="subject"))
        people = {clip.clip_id: clip.subjects for clip in growing}
        assert not trained_on & {who for clip in found["test"] for who in people[clip]}, f"with {count} clips"
        trained_on |= {who for clip in found["train"] for who in people[clip]}
        tested += len(found["test"])
    assert tested > 0


def test_a_named_clip_holds_out_everything_of_who_is_in_it() -> None:
    found = default(clips_of(PEOPLE[:5]), Choice(test_clips=("S-0002-1",), split_by="subject"))
    assert found["test"] == ["S-0002-0", "S-0002-1", "S-0002-2"]


def test_a_clip_of_nobody_known_cannot_be_split_by_subject() -> None:
    with pytest.raises(DatasetError, match=r"1 clips cannot be split by subject.*as in hall;.*lrt consent add"):
        default([*clips_of(PEOPLE), SplitClip("hall")], BY_SUBJECT)


def test_a_way_of_splitting_that_is_not_known_is_an_error() -> None:
    with pytest.raises(DatasetError, match=r"'frame'.*clip, subject"):
        choose_splits([SplitClip("a")], Choice(split_by="frame"))


# ----------------------------------------------------------------------------------------------------- leaving one out


def test_every_clothing_light_room_and_person_is_left_out_once() -> None:
    clips = [
        SplitClip("a", "S-1", "kitchen", "red", "dim"),
        SplitClip("b", "S-1", "hall", "blue", "dim"),
        SplitClip("c", "S-2", "hall", "red", "bright"),
        SplitClip("d", "S-2,S-1", "", "white", "bright"),
    ]
    found = choose_splits(clips, Choice())
    assert list(found) == ["default"] + [
        f"leave-{label}-out"
        for label in ("blue", "red", "white", "bright", "dim", "hall", "kitchen", "S-1", "S-2")
    ]  # fmt: skip
    assert found["leave-red-out"] == {"train": ["b", "d"], "test": ["a", "c"]}
    assert found["leave-dim-out"] == {"train": ["c", "d"], "test": ["a", "b"]}
    assert found["leave-S-1-out"] == {"train": ["c"], "test": ["a", "b", "d"]}
    # nobody knows whether d was in the kitchen
    assert found["leave-kitchen-out"] == {"train": ["b", "c"], "test": ["a"]}


def test_a_label_that_is_not_known_is_left_out_of_both_sides() -> None:
    clips = [SplitClip("a", clothing="red"), SplitClip("b", clothing="unknown"), SplitClip("c", clothing="blue")]
    found = choose_splits(clips, Choice())
    assert list(found) == ["default", "leave-blue-out", "leave-red-out"]
    assert found["leave-red-out"] == {"train": ["c"], "test": ["a"]}


def test_what_all_clips_share_cannot_be_left_out() -> None:
    clips = [SplitClip(clip_id, "S-1", "kitchen", "red", "dim") for clip_id in IDS[:4]]
    assert list(choose_splits(clips, Choice())) == ["default"]


def test_a_room_with_the_name_of_a_colour_has_a_split_of_its_own() -> None:
    clips = [SplitClip("a", room="red", clothing="blue"), SplitClip("b", room="hall", clothing="red")]
    found = choose_splits(clips, Choice())
    assert found["leave-red-out"]["test"] == ["b"]
    assert found["leave-room-red-out"]["test"] == ["a"]
