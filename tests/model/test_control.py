"""The judge, and what it says of models whose behaviour we know."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lrt.model.control import measure_control
from lrt.model.judges import train_judge, warmth
from lrt.model.probes import probe_clothing

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def judge(figures):
    return train_judge(figures, 0, CPU, steps=200)


@pytest.fixture(scope="module")
def wardrobe(make_pairs):
    """images[shirt][light]: the figures of seed 7, the same poses, in every shirt and light; and the pairs."""
    own = make_pairs.__globals__
    shirts, lights = own["SHIRTS"], own["LIGHTS"]
    images = {}
    with pytest.MonkeyPatch.context() as patch:
        for number, shirt in enumerate(shirts):
            for light, gain in enumerate(lights):
                patch.setitem(own, "SHIRTS", (shirt,) * 5)
                patch.setitem(own, "LIGHTS", (gain,) * 2)
                images[number, light] = make_pairs(20, 12, seed=7).images
    return make_pairs(20, 12, seed=7), images


def labels(pairs):
    return lambda frames: np.stack([pairs.clothing[frames], pairs.lighting[frames]], axis=1).astype(np.float32)


def test_the_judge_reads_real_pictures_of_clips_it_never_saw(judge, wardrobe):
    pairs, _ = wardrobe
    seen = judge.read(pairs.images)
    people = pairs.occupants > 0
    assert np.abs(seen.warmth - warmth(pairs.heatmaps)).mean() < 0.6
    assert (seen.clothing == pairs.clothing)[people].mean() > 0.85
    assert (seen.lighting == pairs.lighting).mean() > 0.95


def test_the_same_seed_gives_the_same_judge(few):
    one, other = (train_judge(few, 3, CPU, steps=4).read(few.images[:2]).warmth for _ in range(2))
    assert (one == other).all()


def test_a_model_that_obeys_reaches_the_ceiling(judge, wardrobe):
    pairs, images = wardrobe

    def draw(codes, frames):
        return np.stack([images[int(c), int(light)][frame] for (c, light), frame in zip(codes, frames, strict=True)])

    found = measure_control(pairs, judge, labels(pairs), draw, judge_saw_these_clips=False)
    assert found.warmth_error_c.value < found.warmth_error_c.real + 0.1 < found.warmth_error_c.shuffled
    assert found.clothing_accuracy.value > found.clothing_accuracy.real - 0.1
    assert found.clothing_accuracy.shuffled < 0.4
    assert found.lighting_accuracy.value > 0.95
    assert min(found.clothing_recall.values()) > 0.5
    assert found.code_heat_r2.value < 0.1 < found.code_heat_r2.real
    assert found.warmth_error_c.low < found.warmth_error_c.value < found.warmth_error_c.high
    assert found.empty.sources >= 2
    assert found.empty.lighting_accuracy.value > 0.9 > found.empty.lighting_accuracy.shuffled
    assert found.empty.warmth_error_c.value < found.empty.warmth_error_c.shuffled
    assert found.clothing_of_heat.value < 0.1  # the shirt is the source's
    assert sum(found.empty.clothing.values()) == pytest.approx(1)


def test_a_model_that_forgets_the_source_or_the_heat_falls_to_the_floor(judge, wardrobe):
    pairs, images = wardrobe
    forgets_source = measure_control(
        pairs, judge, labels(pairs), lambda _, frames: images[1, 0][frames], judge_saw_these_clips=False
    )
    assert forgets_source.warmth_error_c.value < forgets_source.warmth_error_c.shuffled - 0.1
    assert forgets_source.clothing_accuracy.value < 0.4
    assert sum(share < 0.3 for share in forgets_source.clothing_recall.values()) >= 3  # shirts it lost
    assert forgets_source.warmth_spread_c < 1e-5

    own = np.arange(len(pairs), dtype=np.float32)[:, None]  # the code is the whole image
    forgets_heat = measure_control(
        pairs, judge, lambda frames: own[frames], lambda codes, _: pairs.images[codes[:, 0].astype(int)],
        judge_saw_these_clips=False,
    )  # fmt: skip
    assert forgets_heat.warmth_error_c.value > forgets_heat.warmth_error_c.shuffled - 0.1
    assert forgets_heat.clothing_accuracy.value > 0.8
    assert forgets_heat.warmth_spread_c > 0.3


def test_a_code_that_says_where_people_stand_is_found_out(judge, wardrobe):
    pairs, images = wardrobe
    flat = pairs.heatmaps.reshape(len(pairs), -1)
    found = measure_control(
        pairs, judge, lambda frames: flat[frames], lambda _, frames: images[0, 0][frames], judge_saw_these_clips=True
    )
    assert found.code_heat_r2.value > 0.9
    assert found.code_heat_r2.shuffled < 0.1
    assert found.judge_saw_these_clips


def test_a_model_that_takes_the_shirt_from_the_heat_is_found_out(judge, wardrobe):
    pairs, _ = wardrobe
    told = measure_control(
        pairs, judge, labels(pairs), lambda _, frames: pairs.images[frames], judge_saw_these_clips=False
    )
    assert told.clothing_of_heat.value > 0.7
    assert told.clothing_accuracy.value < 0.3


def test_clothing_is_told_from_heat_where_the_heat_says_it_and_not_where_it_does_not(make_pairs):
    pairs = make_pairs(20, 12, seed=3)
    blank = probe_clothing(pairs, seed=0)
    worn = pairs.heatmaps.copy()
    worn[np.arange(len(pairs)), 0, pairs.clothing] += 3  # each shirt warms a cell of its own
    assert blank < 0.45
    assert probe_clothing(replace(pairs, heatmaps=worn), seed=0) > 0.7
    assert probe_clothing(replace(pairs, clothing=pairs.clothing * 0), seed=0) is None


def test_data_without_labels_people_or_other_clips_still_gives_what_it_can(judge, few):
    bare = replace(few, clothing=few.clothing * 0 - 1, lighting=few.lighting * 0 - 1)
    one = replace(bare, clip=bare.clip * 0)
    for pairs in (bare, one):
        found = measure_control(
            pairs, judge, labels(pairs), lambda _, frames: few.images[frames], judge_saw_these_clips=False
        )
        assert found.clothing_accuracy is None
        assert found.lighting_accuracy is None
        assert found.clothing_recall == {}
        assert found.clothing_of_heat is None
        assert found.empty is None
        assert found.warmth_error_c.value > 0
    assert found.code_heat_r2 is None
    assert found.warmth_error_c.low is None
