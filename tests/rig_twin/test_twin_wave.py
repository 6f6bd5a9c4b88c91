"""Somebody waves before the twin, and the time offset between heat and image is found."""

import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest

from lrt.rig.records import RigError
from lrt.rig.thermal.amg8833 import AMG8833
from lrt.rig.timing.clock import Task, VirtualClock
from lrt.rig.timing.stamps import fit_stamps
from lrt.rig.timing.sync import ImageMotion, SyncError, find_offset, measure_heat
from lrt.rig.twin.body import ANGLES, JOINTS, load_bodies
from lrt.rig.twin.camera import CameraSettings, TwinCamera
from lrt.rig.twin.scene import Scene, SceneSettings
from lrt.rig.twin.sensor import SensorSettings, TwinBus

WAVE = SceneSettings(size=(160, 90), tx=80.0, ty=45.0, s=15.5, script="wave")


def measure_offset(settings, seconds, stamp_lag_ns, seed):
    """(offset found, true offset in ms): the real driver and the camera's polls, by the virtual clock."""
    clock, scene = VirtualClock(), Scene(settings)
    bus = TwinBus(scene, clock, SensorSettings(seed=seed))
    camera = TwinCamera(scene, clock, CameraSettings(seed=seed, rate=10.0, stamp_lag_ns=stamp_lag_ns))
    heatmaps, motion = [], ImageMotion()

    def poll_camera():
        for image in camera.poll():
            motion.add(image.timestamp_ns, cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY))

    with AMG8833(clock, bus) as sensor:
        thermal = Task("thermal", sensor.poll_period_ns, lambda: heatmaps.extend(sensor.poll()))
        clock.run([thermal, Task("camera", camera.poll_period_ns, poll_camera)], seconds, threading.Event())
    bounds = np.array([(h.sequence, h.earliest_ns, h.latest_ns) for h in heatmaps], np.int64)
    heat = measure_heat(fit_stamps(*bounds.T), np.array([h.raw for h in heatmaps]))
    # a heatmap shows the mean of the period before its stamp, an image what was `stamp_lag_ns` before its own
    return find_offset(*heat, *motion.measured()), (bus.settings.period_ns / 2 - stamp_lag_ns) / 1e6


@pytest.mark.parametrize(
    ("seed", "stamp_lag_ms", "lighting", "clothing"),
    [(1, 18, "bright", "white"), (2, 18, "dim", "red"), (3, 250, "bright", "black")],
)
def test_the_offset_of_a_waving_twin_is_found_within_fifteen_milliseconds(seed, stamp_lag_ms, lighting, clothing):
    settings = replace(WAVE, room_seed=seed, occupant_seed=seed, lighting=lighting, clothing=clothing)
    found, true_ms = measure_offset(settings, 25.0, stamp_lag_ms * 1_000_000, seed)
    assert found.offset_ms == pytest.approx(true_ms, abs=15)
    assert 2 < found.spread_ms < 15
    assert found.correlation > 0.7


def test_an_empty_room_is_refused():
    with pytest.raises(SyncError, match="nothing moves in the heat"):
        measure_offset(replace(WAVE, occupants=0), 14.0, 18_000_000, 5)


def test_one_arm_goes_up_ten_times_at_two_steps_at_human_speed_and_not_in_rhythm():
    hand = load_bodies()["weights"].T[JOINTS.index("hand.L")], load_bodies()["weights"].T[JOINTS.index("hand.R")]
    for seed in range(3):
        scene = Scene(replace(WAVE, occupant_seed=seed))
        times_s = np.arange(0.0, 60.0, 0.05)
        states = [scene.occupants[0].script.at(t) for t in times_s]
        assert all(abs(state.y - 1.4) < 0.2 and abs(state.x) < 0.2 and abs(state.heading) < 0.5 for state in states)
        arms = np.array([[state.pose[ANGLES.index(f"out.{side}")] for side in "LR"] for state in states]).max(axis=1)
        rises = times_s[1:][np.diff((arms > 0.8).astype(int)) > 0]
        assert 20 < len(rises) < 30  # ten times, and again: 2.4 s each
        assert 20 < rises[10] - rises[0] < 30
        assert np.diff(rises[:10]).std() > 0.2  # a rhythm would match the image at many offsets
        skins = np.array([scene.skins(t)[0] for t in times_s[:300]])
        for weight in hand:
            where = skins[:, weight > 0.9 * weight.max()].mean(axis=1)
            speed = np.linalg.norm(np.diff(where, axis=0), axis=1) / 0.05
            assert speed.max() < 5.0


def test_a_waving_occupant_is_the_same_whatever_was_asked_before():
    first, second = (Scene(replace(WAVE, occupant_seed=7)).occupants[0].script for _ in range(2))
    second.at(90.0)
    for t in (33.0, 2.0):
        assert np.array_equal(first.at(t).pose, second.at(t).pose)


def test_who_waves_is_who_lives_there():
    waving, living = Scene(WAVE), Scene(replace(WAVE, script="live"))
    assert SceneSettings().script == "live"
    assert np.array_equal(waving.occupants[0].warmth, living.occupants[0].warmth)
    assert np.array_equal(waving.occupants[0].paint, living.occupants[0].paint)
    assert waving.room == living.room


def test_two_people_wave_side_by_side():
    states = [occupant.script.at(5.0) for occupant in Scene(replace(WAVE, occupants=2)).occupants]
    assert states[1].x - states[0].x > 0.8


def test_a_script_that_nobody_wrote_is_refused():
    with pytest.raises(RigError, match="no such script: 'dance'; it is one of live, wave"):
        replace(WAVE, script="dance")
