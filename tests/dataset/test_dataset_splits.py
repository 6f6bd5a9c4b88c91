"""The test split: whole clips, chosen by what they are called and by nothing else."""

import pytest

from lrt.dataset.schema import DatasetError
from lrt.dataset.splits import choose_test_clips, place_clip

IDS = [f"kitchen-{number:03d}" for number in range(200)]


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


def test_named_clips_are_the_test_split() -> None:
    assert choose_test_clips(IDS, 0.1, ["kitchen-004"]) == {"kitchen-004"}


def test_a_named_clip_that_is_not_there_is_an_error() -> None:
    with pytest.raises(DatasetError, match=r"test clip 'hall' is not among the clips; they are a, b"):
        choose_test_clips(["a", "b"], 0.1, ["hall"])
