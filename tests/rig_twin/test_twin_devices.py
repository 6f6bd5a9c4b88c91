"""Camera, faults and the whole rig."""

import json

import numpy as np
import pytest

from lrt.rig.records import RigError
from lrt.rig.timing.clock import SystemClock, VirtualClock
from lrt.rig.twin.camera import CameraSettings, TwinCamera
from lrt.rig.twin.faults import Faults
from lrt.rig.twin.rig import open_twin, scene_of, scene_time_s
from lrt.rig.twin.scene import Scene, SceneSettings
from lrt.rig.twin.sensor import Optics, SensorSettings, TwinBus

TINY = SceneSettings(size=(64, 36), tx=32.0, ty=18.0, s=6.2)


def watch(camera, clock, seconds):
    """Every frame of so many seconds, with the time at which it was handed over."""
    frames, end_ns = [], clock.now_ns() + round(seconds * 1e9)
    while clock.now_ns() < end_ns:
        frames += [(image, clock.now_ns()) for image in camera.poll()]
        clock.advance(camera.poll_period_ns)
    return frames


def tiny_camera(faults=None, **settings):
    clock = VirtualClock()
    return TwinCamera(Scene(TINY), clock, CameraSettings(**settings), faults), clock


def test_the_camera_gives_its_rate_and_stamps_what_has_happened():
    camera, clock = tiny_camera(rate=15.0, drift_ppm=0.0)
    frames = watch(camera, clock, 8.0)
    stamps = np.array([image.timestamp_ns for image, _ in frames])
    assert 118 <= len(frames) <= 120
    assert np.diff(stamps).mean() == pytest.approx(1e9 / 15, rel=1e-3)
    assert 0.1e6 < np.diff(stamps).std() < 1e6  # it jitters, a little
    assert all(image.timestamp_ns < now for image, now in frames)
    assert [image.sequence for image, _ in frames] == list(range(len(frames)))
    assert camera.size == (64, 36)
    assert frames[0][0].pixels.shape == (36, 64, 3)


def test_frames_wait_until_they_are_asked_for_and_none_come_after_closing():
    camera, clock = tiny_camera()
    clock.advance(1_000_000_000)
    assert len(camera.poll()) == pytest.approx(14, abs=1)
    assert camera.poll() == []
    camera.close()
    clock.advance(1_000_000_000)
    assert camera.poll() == []


def test_by_the_systems_clock_four_frames_wait_and_older_ones_are_lost():
    """A busy computer that asks too seldom is not kept busy with drawing what it missed."""

    class Clock(SystemClock):
        late_ns = 0

        def now_ns(self):
            return super().now_ns() + self.late_ns

    clock = Clock()
    camera = TwinCamera(Scene(TINY), clock, CameraSettings())
    clock.late_ns = 60_000_000_000
    numbers = [image.sequence for image in camera.poll()]
    assert numbers == list(range(numbers[0], numbers[0] + 4))
    assert 890 < numbers[-1] < 15 * 70


def test_a_nack_burst_is_an_os_error_and_passes(open_bus):
    bus, clock, _ = open_bus(faults=Faults(nack_bursts=((1.0, 0.5),)))
    buffer = bytearray(2)
    clock.advance(900_000_000)
    bus.writeto_then_readfrom(0x69, b"\x80", buffer)
    clock.advance(200_000_000)
    assert bus.scan() == []
    with pytest.raises(OSError, match="Remote I/O") as caught:
        bus.writeto_then_readfrom(0x69, b"\x80", buffer)
    assert caught.value.errno == 121
    clock.advance(500_000_000)
    bus.writeto_then_readfrom(0x69, b"\x80", buffer)
    assert buffer == b"\x54\x00"


def test_a_stuck_bus_times_out_after_a_second(open_bus):
    bus, clock, _ = open_bus(faults=Faults(bus_stuck_at=1.0))
    clock.advance(1_500_000_000)
    with pytest.raises(TimeoutError) as caught:
        bus.writeto(0x69, b"\x80")
    assert caught.value.errno == 110
    assert clock.now_ns() == 2_500_000_000


def test_a_frozen_sensor_answers_the_same_for_ever(open_bus):
    bus, clock, _ = open_bus(per_second=10.0, faults=Faults(frozen_at=1.0))
    clock.advance(1_200_000_000)
    blocks = set()
    for _ in range(10):
        block = bytearray(128)
        bus.writeto_then_readfrom(0x69, b"\x80", block)
        blocks.add(bytes(block))
        clock.advance(200_000_000)
    assert len(blocks) == 1


def test_stray_pixels_read_half_a_degree(open_bus):
    bus, _, _ = open_bus(faults=Faults(stray_pixels=0.5))
    stray = [(bus.measure(frame) == 2).sum() for frame in range(100)]
    assert max(stray) == 1
    assert 35 <= sum(stray) <= 65


def test_frames_are_dropped_and_late_as_asked():
    camera, clock = tiny_camera(Faults(dropped_frames=0.2))
    numbers = [image.sequence for image, _ in watch(camera, clock, 10.0)]
    assert 100 <= len(numbers) <= 135
    assert numbers == sorted(numbers)
    assert max(np.diff(numbers)) > 1  # the gap shows in the sequence

    camera, clock = tiny_camera(Faults(late_frames=0.2, late_s=0.3))
    frames = watch(camera, clock, 10.0)
    delays = np.array([now - image.timestamp_ns for image, now in frames]) / 1e9
    assert 0.1 < (delays > 0.28).mean() < 0.3
    assert [image.sequence for image, _ in frames] != sorted(image.sequence for image, _ in frames)


def test_unplugged_means_no_sensor_and_no_frames():
    twin = open_twin("red", "bright", 1, "unplugged", size=(64, 36), faults=Faults(unplugged_at=2.0))
    frames = watch(twin.camera, twin.clock, 4.0)
    assert 0 < len(frames) <= 31
    with pytest.raises(OSError, match="Remote I/O"):
        twin.i2c.writeto(0x69, b"\x80")


def test_each_device_can_be_pulled_by_itself_and_comes_back():
    faults = Faults(sensor_gone=((1.0, 1.0),), camera_gone=((2.0, 1.0),))
    twin = open_twin("red", "bright", 1, "pulled", size=(64, 36), faults=faults)
    frames = watch(twin.camera, twin.clock, 1.5)
    with pytest.raises(OSError, match="Remote I/O"):
        twin.i2c.writeto(0x69, b"\x80")
    frames += watch(twin.camera, twin.clock, 1.0)
    twin.i2c.writeto(0x69, b"\x80")
    with pytest.raises(RigError, match="not there"):
        twin.camera.reopen()
    twin.clock.advance(1_000_000_000)
    frames += watch(twin.camera.reopen(), twin.clock, 0.5)
    stamps = [image.timestamp_ns / 1e9 for image, _ in frames]
    assert not [stamp for stamp in stamps if 2.0 <= stamp < 3.4]  # gone, then not asked for
    assert min(stamps) < 1.0
    assert max(stamps) > 3.5


def test_show_changes_clothes_and_light_and_keeps_room_and_geometry():
    twin = open_twin("red", "bright", 1, "one", size=(160, 90))
    before, truth = twin.scene.settings, twin.truth(10.0)
    twin.show("blue", "dim", 1, "two")
    after = twin.scene.settings
    assert (after.clothing, after.lighting) == ("blue", "dim")
    assert (after.room_seed, after.tx, after.s, after.person_seed) == (
        before.room_seed, before.tx, before.s, before.person_seed,
    )  # fmt: skip
    assert after.occupant_seed != before.occupant_seed
    assert (
        watch(twin.camera, twin.clock, 1.0)[-1][0].pixels.mean()
        < 0.9 * open_twin("blue", "bright", 1, "two", size=(160, 90)).scene.look(1.0).image.mean()
    )
    assert twin.truth(10.0)["scene"]["clothing"] != truth["scene"]["clothing"]


def test_the_truth_survives_json_and_makes_the_scene_again():
    twin = open_twin("green", "dim", 1, "truth", size=(160, 90))
    truth = json.loads(json.dumps(twin.truth(60.0)))
    image, _ = watch(twin.camera, twin.clock, 3.0)[-1]
    again = scene_of(truth).look(scene_time_s(truth, image.timestamp_ns))
    true = twin.scene.look(scene_time_s(truth, image.timestamp_ns))
    assert np.array_equal(again.mask, true.mask)
    assert np.abs(again.image.astype(int) - image.pixels).mean() < 4  # noise alone: the jitter is below 1 ms
    assert (truth["tx"], truth["ty"], truth["s"]) == pytest.approx(twin.scene.true_geometry(truth["distance_m"]))
    assert 1.0 < truth["distance_m"] < 4.0
    assert 0.015 < truth["baseline_m"] < 0.025


def test_clips_of_one_rig_share_room_and_geometry_but_not_what_happens():
    first = open_twin("red", "bright", 1, "one", size=(160, 90))
    second = open_twin("red", "dim", 1, "two", size=(160, 90))
    same = open_twin("red", "bright", 1, "one", size=(160, 90))
    other = open_twin("red", "bright", 1, "one", size=(160, 90), rig_seed=1)

    def geometry(twin):
        settings = twin.scene.settings
        return settings.tx, settings.ty, settings.s, settings.room_seed, settings.camera_height_m

    assert geometry(first) == geometry(second) != geometry(other)
    assert np.array_equal(first.scene.heat(5.0), same.scene.heat(5.0))
    assert np.array_equal(first.i2c.measure(7), same.i2c.measure(7))
    assert not np.array_equal(first.scene.heat(5.0), second.scene.heat(5.0))


def test_geometry_scales_with_the_picture():
    small, large = (
        open_twin("red", "bright", 0, "size", size=size).scene.settings for size in ((320, 180), (640, 360))
    )
    assert large.s == pytest.approx(2 * small.s)
    assert large.tx == pytest.approx(2 * small.tx)
    assert large.ty == pytest.approx(2 * small.ty)
    assert 58 < large.s < 66


def best_lag_ms(misfit):
    """Where a parabola through the misfits at lags about the least of them has its minimum."""
    lags = np.arange(-20.0, 121.0, 10.0)
    values = np.array([misfit(lag) for lag in lags])
    k = int(np.clip(values.argmin(), 2, len(lags) - 3))
    curve = np.polyfit(lags[k - 2 : k + 3], values[k - 2 : k + 3], 2)
    return -curve[1] / (2 * curve[0])


def test_the_stated_offset_is_how_much_older_heat_is_than_pictures_of_equal_stamp():
    """Both compared with what the scene held at times before their stamps, while somebody walks across."""
    twin = open_twin("white", "bright", 1, "offset", size=(160, 90))
    quiet = SensorSettings(noise_c=(0, 0, 0), common_c=0, pattern_c=0, drift_c=0)
    bus, optics = TwinBus(twin.scene, VirtualClock(), quiet), Optics(quiet)
    script = twin.scene.occupants[0].script

    def moves_fast(time_s):
        before, after = script.at(time_s - 0.3), script.at(time_s + 0.3)
        return abs(after.x - before.x) > 0.3 and twin.scene.distance_m(time_s) is not None

    walking = [n for n in range(20, 3000) if moves_fast(bus.frame_ns(n) / 1e9)][::3][:20]
    assert len(walking) == 20
    heat = {n: bus.measure(n) / 4 for n in walking}

    def heat_misfit(lag_ms):
        scene_heat = {n: optics.blur(twin.scene.heat(bus.frame_ns(n) / 1e9 - lag_ms / 1e3)) for n in walking}
        return np.mean([np.square(heat[n] - scene_heat[n]).mean() for n in walking])

    images = [image for image, _ in watch(twin.camera, twin.clock, 15.0)]
    images = [image for image in images if image.timestamp_ns > 1e9 and moves_fast(image.timestamp_ns / 1e9)][::2][:10]
    assert len(images) == 10

    def image_misfit(lag_ms):
        shown = [twin.scene.look(image.timestamp_ns / 1e9 - lag_ms / 1e3).image.astype(int) for image in images]
        return np.mean([np.square(a - b.pixels).mean() for a, b in zip(shown, images, strict=True)])

    heat_lag_ms, image_lag_ms = best_lag_ms(heat_misfit), best_lag_ms(image_misfit)
    assert image_lag_ms == pytest.approx(twin.camera.settings.stamp_lag_ns / 1e6, abs=3)
    assert heat_lag_ms - image_lag_ms == pytest.approx(twin.truth(30.0)["offset_ms"], abs=5)
