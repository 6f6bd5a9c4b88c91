"""Silhouettes of models whose behaviour we know, and of the segmenter that ships."""

from dataclasses import replace

import numpy as np
import pytest

from lrt.calibration.masks import open_masks
from lrt.model.silhouette import find_silhouettes, measure_silhouettes, overlap


@pytest.fixture(scope="module")
def pairs(make_pairs):
    return make_pairs(20, 12, seed=7)


@pytest.fixture(scope="module")
def find(pairs):
    """Whoever differs from the room, in any light: a perfect segmenter of the drawn figures."""
    room = pairs.images[(pairs.occupants == 0) & (pairs.lighting == 1)].mean(axis=0)

    def people(images):
        light = np.median(images.reshape(len(images), -1) / room.reshape(1, -1), axis=1)[:, None, None, None]
        return np.abs(images - room * light).max(axis=-1) > 60 * np.minimum(light[..., 0], 1.0)

    return people


def own(frames):
    return frames[:, None].astype(np.float32)


def test_overlap_is_intersection_over_union():
    one, other = np.zeros((3, 4, 4), bool), np.zeros((3, 4, 4), bool)
    one[0, :2], other[0, 1:3] = True, True
    one[1] = True
    assert overlap(one, other) == pytest.approx([1 / 3, 0, 1])  # nobody in both is no mistake


def test_a_model_that_draws_people_where_they_were_reaches_the_ceiling(pairs, find):
    found = measure_silhouettes(pairs, own, lambda _, frames: pairs.images[frames], find, "ideal")
    assert found.iou.value == 1
    assert found.iou.shuffled < found.iou.real + 0.1 < 0.9  # they walk far between two frames
    assert found.detected.value == 1
    assert found.false_person.value == 0
    assert (found.pictures, found.segmenter) == (240, "ideal")


def test_a_model_that_looks_at_no_heat_falls_to_the_floor(pairs, find):
    found = measure_silhouettes(pairs, own, lambda codes, _: pairs.images[codes[:, 0].astype(int)], find, "ideal")
    assert found.iou.value == pytest.approx(found.iou.shuffled, abs=0.06)
    assert found.false_person.value > 0.5  # an empty room's heat, somebody's picture
    assert found.detected.value == pytest.approx(found.detected.shuffled, abs=0.05)


def test_sources_are_of_other_clips_and_every_look_is_told(pairs, find):
    asked, looks = [], []

    def draw(codes, frames):
        asked.append((pairs.clip[codes[:, 0].astype(int)], pairs.clip[frames]))
        return pairs.images[frames]

    measure_silhouettes(pairs, own, draw, find, "ideal", on_progress=lambda done, total: looks.append((done, total)))
    ((of_source, of_heat),) = asked
    assert (of_source != of_heat).all()
    assert len(np.unique(of_source)) > 10
    assert looks == [(1, 3), (2, 3), (3, 3)]


def test_where_nobody_is_there_is_nothing_to_overlap_with(pairs, find):
    empty = np.flatnonzero(pairs.occupants == 0)
    room = replace(
        pairs,
        images=pairs.images[empty],
        heatmaps=pairs.heatmaps[empty],
        clip=pairs.clip[empty],
        occupants=pairs.occupants[empty],
    )
    found = measure_silhouettes(room, own, lambda _, frames: room.images[frames], find, "ideal")
    assert found.iou is None
    assert found.detected is None
    assert found.false_person.value == 0


def test_the_shipped_segmenter_sees_pictures_of_64_x_40():
    """A frame of the twin, cut down: its figure's true mask is known."""
    import cv2

    from lrt.rig.twin.scene import Scene, SceneSettings

    scene = Scene(SceneSettings(room_seed=3))
    looks = [scene.look(time_s) for time_s in np.linspace(2, 30, 15)]
    shown = [look for look in looks if look.mask.mean() > 0.05][:4]
    small = np.stack([cv2.resize(look.image, (64, 40), interpolation=cv2.INTER_AREA) for look in shown])
    true = np.stack(
        [cv2.resize(look.mask.astype(np.float32), (64, 40), interpolation=cv2.INTER_AREA) > 0.5 for look in shown]
    )
    assert len(shown) >= 3
    assert overlap(find_silhouettes(open_masks("small"))(small), true).mean() > 0.7
