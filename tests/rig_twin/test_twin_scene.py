from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import lrt.rig.twin
from lrt.rig.records import RigError
from lrt.rig.twin.body import JOINTS, Body, make_pose
from lrt.rig.twin.rig import mean_distance, open_twin
from lrt.rig.twin.scene import FINE, GRID, HEAT_CELLS, MARGIN, Scene, SceneSettings

SMALL = SceneSettings(size=(320, 180), tx=166.0, ty=84.0, s=31.0)


def times_in_view(scene, count, near=0.9, far=4.0):
    """The first times at which the occupant is in the middle of the view."""
    found = []
    for t in np.arange(0.5, 400, 1.1):
        distance = scene.distance_m(t)
        if distance is not None and near < distance < far:
            at, _ = scene.camera.project(scene.skins(t)[0])
            if abs(at[:, 0].mean() / scene.settings.size[0] - 0.5) < 0.3:
                found.append(t)
        if len(found) == count:
            break
    return found


def test_a_scene_answers_the_same_whatever_was_asked_before():
    first, second = Scene(SMALL), Scene(SMALL)
    second.look(40.0)
    second.heat(3.0)
    for t in (7.3, 1.1):
        a, b = first.look(t), second.look(t)
        assert np.array_equal(a.image, b.image)
        assert np.array_equal(a.mask, b.mask)
        assert np.array_equal(first.heat(t), second.heat(t))


def test_two_threads_see_what_one_would_have_seen():
    """A live twin: the camera's thread and the sensor's ask the same scene, and neither meets the other's half work."""
    tiny = replace(SMALL, size=(64, 36), tx=32.0, ty=18.0, s=6.2)
    times = np.arange(0.5, 60.0, 1.3)
    alone, shared = Scene(tiny), Scene(tiny)
    with ThreadPoolExecutor(2) as threads:
        images = threads.map(lambda t: shared.look(t).image, times)
        heats = threads.map(shared.heat, times[::-1] + 0.05)
        for t, image, heat in zip(times, images, list(heats)[::-1], strict=True):
            assert np.array_equal(image, alone.look(t).image)
            assert np.array_equal(heat, alone.heat(t + 0.05))


def test_look_and_heat_have_their_stated_form():
    scene = Scene(SMALL)
    look, heat = scene.look(times_in_view(scene, 1)[0]), scene.heat(0.0)
    assert look.image.shape == (180, 320, 3)
    assert look.image.dtype == np.uint8
    assert look.mask.shape == (180, 320)
    assert look.mask.dtype == bool
    assert np.array_equal(look.masks.any(0), look.mask)
    assert heat.shape == (HEAT_CELLS, HEAT_CELLS)
    assert heat.dtype == np.float32


@pytest.mark.parametrize("lighting", ["bright", "dim"])
def test_the_mask_is_where_the_picture_differs_from_the_empty_room(lighting):
    settings = replace(SMALL, lighting=lighting, clothing="red", room_seed=5, occupant_seed=5)
    scene = Scene(settings)
    empty = Scene(replace(settings, occupants=0)).look(0.0).image.astype(int)
    for t in times_in_view(scene, 3):
        look = scene.look(t)
        changed = np.abs(cv2.GaussianBlur(look.image.astype(np.float32) - empty, (5, 5), 0)).max(2) > 14
        beyond = cv2.dilate(look.mask.astype(np.uint8), np.ones((5, 5))) == 0
        shadow_free = np.zeros_like(beyond)
        shadow_free[: int(np.flatnonzero(look.mask.any(1))[-1] * 0.75)] = True  # the shadow lies about the feet
        assert (changed & look.mask).sum() > 0.6 * look.mask.sum()
        assert (changed & beyond & shadow_free).sum() < 0.03 * look.mask.sum()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_heat_lies_on_the_mask_by_the_true_geometry(seed):
    scene = Scene(replace(SMALL, room_seed=seed, occupant_seed=seed, baseline_m=(0.015, 0.02)))
    empty = Scene(replace(scene.settings, occupants=0)).heat(0.0)
    for t in times_in_view(scene, 3, far=2.8):
        look = scene.look(t)
        warm = scene.heat(t) - empty - (scene.level_c(t) - scene.level_c(0.0)) > 1.0
        tx, ty, s = scene.true_geometry(look.distances_m[0])
        across = tx + s * ((np.arange(HEAT_CELLS) + 0.5) / FINE - MARGIN - GRID / 2)
        down = ty + s * ((np.arange(HEAT_CELLS) + 0.5) / FINE - MARGIN - GRID / 2)
        x, y = np.meshgrid(across, down)
        inside = (x > 0) & (y > 0) & (x < 320) & (y < 180)
        masked = np.zeros_like(warm)
        masked[inside] = look.mask[y[inside].astype(int), x[inside].astype(int)]
        covered = inside & (np.abs(x - 160) < 320)
        overlap = (warm & masked & covered).sum() / ((warm | masked) & covered).sum()
        assert overlap > 0.85


def test_a_nearer_thing_lies_further_from_where_distant_ones_do():
    scene = Scene(replace(SMALL, baseline_m=(0.0, 0.02)))
    near, far = scene.true_geometry(1.0), scene.true_geometry(4.0)
    assert near[0] == far[0] == SMALL.tx
    assert near[1] - far[1] == pytest.approx(-scene.settings.focal * 0.02 * (1 - 1 / 4))


@pytest.mark.parametrize(("clothing", "channel"), [("red", 0), ("green", 1), ("blue", 2)])
def test_the_shirt_has_its_colour_in_either_light(clothing, channel):
    for lighting in ("bright", "dim"):
        scene = Scene(replace(SMALL, clothing=clothing, lighting=lighting, occupant_seed=3))
        t = times_in_view(scene, 1, 1.2, 3.0)[0]
        look = scene.look(t)
        rows = np.flatnonzero(look.mask.any(1))
        middle = slice(rows[0] + len(rows) // 4, rows[0] + len(rows) // 2)
        mean = look.image[middle][look.mask[middle]].mean(0)
        assert mean.argmax() == channel or (clothing == "green" and mean[1] > mean[2])


def test_white_is_brighter_than_black_and_dim_darker_than_bright():
    def brightness(**settings):
        scene = Scene(replace(SMALL, occupant_seed=3, **settings))
        look = scene.look(times_in_view(scene, 1, 1.2, 3.0)[0])
        return look.image[look.mask].mean(), look.image[~look.mask].mean()

    white, black = brightness(clothing="white"), brightness(clothing="black")
    dim = brightness(clothing="white", lighting="dim")
    assert white[0] > black[0] + 20
    assert dim[1] < 0.75 * white[1]
    assert dim[0] > 25  # still to be seen


def test_a_room_is_the_same_in_either_light():
    bright, dim = (Scene(replace(SMALL, room_seed=8, lighting=light)).room for light in ("bright", "dim"))
    assert (bright.walls, bright.floor, bright.depth_m, bright.air_c) == (dim.walls, dim.floor, dim.depth_m, dim.air_c)
    assert [b.low for b in bright.blocks] == [b.low for b in dim.blocks]


def test_rooms_and_people_differ_by_their_seeds():
    looks = [Scene(replace(SMALL, room_seed=k, occupants=0)).look(0.0).image.astype(int) for k in range(4)]
    for k in range(1, 4):
        assert np.abs(looks[k] - looks[0]).mean() > 8


def test_an_empty_room_has_no_mask_and_two_people_have_two():
    empty = Scene(replace(SMALL, occupants=0))
    assert not empty.look(3.0).mask.any()
    assert empty.distance_m(3.0) is None
    two = Scene(replace(SMALL, occupants=2, occupant_seed=4))
    counts = [len(two.look(t).masks) for t in np.arange(1.0, 30.0, 2.0)]
    assert max(counts) == 2
    for t in np.arange(1.0, 30.0, 4.0):
        assert two.look(t).masks.sum(0).max(initial=0) <= 1  # the nearer hides the farther


def test_the_occupant_moves_about_and_is_away_a_tenth_of_the_time():
    distances, away = [], []
    for seed in range(6):
        scene = Scene(replace(SMALL, occupant_seed=seed))
        seen = [scene.distance_m(t) for t in np.arange(0.5, 240, 2.0)]
        away += [d is None for d in seen]
        distances += [d for d in seen if d is not None]
    assert 0.03 < np.mean(away) < 0.25
    low, middle, high = np.percentile(distances, [5, 50, 95])
    assert low < 1.2
    assert 1.2 < middle < 2.6
    assert high > 2.8
    assert max(distances) < 4.8


def test_motion_is_smooth():
    scene = Scene(replace(SMALL, occupant_seed=11))
    t = np.arange(0.0, 60.0, 0.02)
    where = np.array([(s.x, s.y) for s in map(scene.occupants[0].script.at, t)])
    poses = np.array([scene.occupants[0].script.at(time).pose for time in t])
    assert np.abs(np.diff(where, axis=0)).max() < 0.02 * 2.0  # 2 m/s
    assert np.abs(np.diff(poses, axis=0)).max() < 0.02 * 12  # rad, at 12 rad/s


def test_readings_match_the_published_recordings_of_a_waist_up_person():
    """Published (n = 149): background 22.3 degC, peak 27.0, contrast 4.7, 11 of 40 cells above background + 2."""
    figures = []
    for k in range(10):
        twin = open_twin("red", "bright", 1, f"statistics-{k}", size=(320, 180), rig_seed=k)
        for t in times_in_view(twin.scene, 8, 0.9, 1.2):
            heat = twin.i2c.measure(int(t / 0.101))[1:6] / 4  # five of eight rows lie in the picture
            background = np.median(np.sort(heat.ravel())[:20])
            figures.append((background, heat.max(), heat.max() - background, (heat > background + 2).sum()))
    background, peak, contrast, cells = np.mean(figures, axis=0)
    assert len(figures) > 50
    assert background == pytest.approx(22.3, abs=0.7)
    assert peak == pytest.approx(27.0, abs=0.9)
    assert contrast == pytest.approx(4.7, abs=0.6)
    assert cells == pytest.approx(11, abs=3)


def test_the_rooms_level_wanders_as_measured():
    levels = [Scene(replace(SMALL, occupant_seed=k)).level_c(t) for k in range(8) for t in np.arange(0, 1200, 10.0)]
    assert 0.3 < np.std(levels) < 0.5


def test_hair_is_cooler_than_the_face_and_legs_cooler_than_the_shirt():
    who = Scene(SMALL).occupants[0]
    zone = {name: who.warmth[who.body.zones == i].mean() for i, name in enumerate(lrt.rig.twin.body.ZONES)}
    assert zone["hair"] < zone["shirt"] < zone["face"]
    assert zone["shoe"] < zone["trousers"] < zone["shirt"]


def test_poses_put_hands_and_feet_where_they_belong():
    body = Body(0, {})
    hand = body._weights[:, JOINTS.index("hand.L")] > 0.9
    standing, raised = body.pose(make_pose()), body.pose(make_pose(out=2.5))
    out, ahead = body.pose(make_pose(out=1.57)), body.pose(make_pose(forward=1.57))
    assert 1.5 < np.ptp(standing[:, 2]) < 2.0
    assert standing[:, 2].min() == 0
    assert standing[hand, 2].mean() < 0.55 * standing[:, 2].max()
    assert raised[hand, 2].mean() > standing[:, 2].max()
    assert out[hand, 0].mean() > 0.5  # the left hand is on the body's left, +x
    assert ahead[hand, 1].mean() < -0.3  # it faces -y
    crouched = body.pose(make_pose(hip=1.75, knee=2.0))
    assert crouched[:, 2].max() < 0.8 * standing[:, 2].max()


def test_the_bodies_are_small_enough_to_ship():
    assert (Path(lrt.rig.twin.__file__).parent / "bodies.npz").stat().st_size < 1_500_000


@pytest.mark.parametrize(
    ("settings", "named"), [({"clothing": "pink"}, "pink"), ({"lighting": "dark"}, "dark"), ({"occupants": -1}, "-1")]
)
def test_a_scene_of_unknown_tags_is_refused(settings, named):
    with pytest.raises(RigError, match=named):
        SceneSettings(**settings)


def test_mean_distance_of_nobody_is_two_metres():
    assert mean_distance(Scene(replace(SMALL, occupants=0)), 20.0) == 2.0
