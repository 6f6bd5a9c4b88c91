"""The time offset between heat and image, against the one that was planted."""

import pickle

import numpy as np
import pytest

from lrt import LrtError
from lrt.rig.timing.sync import ImageMotion, Offset, SyncError, find_offset, measure_heat

START_NS = 40 * 86_400 * 1_000_000_000  # a computer that has been on for 40 days
WIDTH, HEIGHT = 64, 36


def arm_at(times_s, seed=0, move=(0.65, 0.95), rest=(0.1, 0.8)):
    """How far an arm is up, 0..1: raised and lowered with rests of a random length between."""
    rng = np.random.default_rng([seed, 1])
    knots, levels = [-3.0], [0.0]
    while knots[-1] < times_s.max() + 3:
        still = knots[-1] + rng.uniform(*rest)
        knots += [still, still + rng.uniform(*move)]
        levels += [levels[-1], 1 - levels[-1]]
    return 0.5 - 0.5 * np.cos(np.pi * np.interp(times_s, knots, levels))


def draw_arm(up, shape, thickness):
    """(N, h, w) 0..1: an arm of three blobs, turned about a shoulder by how far it is up."""
    row, column = np.indices(shape)
    picture = np.zeros((len(up), *shape))
    for reach in (0.15, 0.28, 0.4):
        y = shape[0] * (0.5 + reach * np.cos(2.2 * up))[:, None, None]
        x = shape[1] * 0.4 + shape[0] * (reach * np.sin(2.2 * up))[:, None, None]
        picture += np.exp(-0.5 * (np.square(row + 0.5 - y) + np.square(column + 0.5 - x)) / thickness**2)
    return np.minimum(picture, 1.0)


class Stage:
    """An arm before a sensor and a camera whose stamps are `offset_ms` apart."""

    def __init__(self, offset_ms=0.0, seed=0, seconds=27.0, heat=arm_at, image=arm_at, noise_c=0.25, **motion):
        self.rng = np.random.default_rng([seed, 2])
        made_s = np.arange(0.031, seconds, 0.101)
        within = made_s[:, None] + np.linspace(-0.04, 0.04, 5)  # a heatmap is a mean over its period
        up = heat(within.ravel(), seed, **motion)
        seen = draw_arm(up, (8, 8), 0.6).reshape(*within.shape, 8, 8).mean(axis=1)
        celsius = 22 + 2.5 * seen + noise_c * self.rng.standard_normal(seen.shape)
        self.raw = np.rint(celsius * 4).astype(np.int16)
        self.heat_ns = START_NS + np.round(made_s * 1e9).astype(np.int64)
        taken_s = np.arange(0.0, seconds, 1 / 15) + 0.0003 * self.rng.standard_normal(int(np.ceil(seconds * 15)))
        drawn = draw_arm(image(taken_s, seed, **motion), (HEIGHT, WIDTH), 1.8)
        noise = 3.0 * self.rng.standard_normal(drawn.shape)
        self.gray = (90 + 60 * drawn + noise).clip(0, 255).astype(np.uint8)
        self.image_ns = START_NS + np.round((taken_s - offset_ms / 1e3) * 1e9).astype(np.int64)

    def keep_heat(self, kept):
        self.heat_ns, self.raw = self.heat_ns[kept], self.raw[kept]

    def keep_images(self, kept):
        self.image_ns, self.gray = self.image_ns[kept], self.gray[kept]

    def image_motion(self):
        motion = ImageMotion()
        for time_ns, gray in zip(self.image_ns, self.gray, strict=True):
            motion.add(int(time_ns), gray)
        return motion

    def find_offset(self) -> Offset:
        return find_offset(*measure_heat(self.heat_ns, self.raw), *self.image_motion().measured())


def still(times_s, _seed):
    return np.zeros_like(times_s)


def slow(times_s, seed):
    return 0.5 + 0.2 * np.sin(2 * np.pi * times_s / 15 + seed)


@pytest.mark.parametrize("offset_ms", [-200, -50, 0, 32, 120, 300])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_planted_offset_is_found_within_ten_milliseconds(offset_ms, seed):
    found = Stage(offset_ms, seed).find_offset()
    assert found.offset_ms == pytest.approx(offset_ms, abs=10)
    assert found.spread_ms < 10
    assert 0.8 < found.correlation <= 1
    assert 24 < found.seconds < 27


def test_the_spread_is_what_repetitions_scatter_by():
    found = [Stage(40, seed, noise_c=0.45).find_offset() for seed in range(16)]
    error = np.sqrt(np.mean([(one.offset_ms - 40) ** 2 for one in found]))
    spread = np.sqrt(np.mean([one.spread_ms**2 for one in found]))
    assert 0.5 < error / spread < 1.6
    assert error < 10


def test_a_sensor_twice_as_noisy_still_tells():
    found = Stage(75, 3, noise_c=0.45).find_offset()
    assert found.offset_ms == pytest.approx(75, abs=15)


def test_gaps_and_missing_frames_cost_little():
    stage = Stage(110, 4)
    heat_s, image_s = (stage.heat_ns - START_NS) / 1e9, (stage.image_ns - START_NS) / 1e9
    stage.keep_heat(((heat_s < 6) | (heat_s > 8)) & (stage.rng.random(len(heat_s)) > 0.08))
    stage.keep_images(((image_s < 15) | (image_s > 18)) & (stage.rng.random(len(image_s)) > 0.15))
    found = stage.find_offset()
    assert found.offset_ms == pytest.approx(110, abs=10)
    assert found.seconds < 19


def test_stray_pixels_and_an_exposure_that_pumps_do_not_matter():
    stage = Stage(60, 5)
    for frame in np.flatnonzero(stage.rng.random(len(stage.raw)) < 0.05):
        stage.raw[frame].flat[stage.rng.integers(64)] = 2  # 0.5 degC, as owners of the sensor report
    pumped = 12 * np.sin(np.arange(len(stage.gray)) / 3.1)[:, None, None]
    stage.gray = (stage.gray + pumped).clip(0, 255).astype(np.uint8)
    assert stage.find_offset().offset_ms == pytest.approx(60, abs=10)


def test_the_size_of_the_image_does_not_matter():
    stage = Stage(50, 6)
    small = stage.find_offset().offset_ms
    stage.gray = stage.gray.repeat(8, axis=1).repeat(8, axis=2)
    assert stage.find_offset().offset_ms == pytest.approx(small, abs=3)


def test_nothing_of_an_image_is_kept_but_a_number():
    motion = ImageMotion()
    large = np.random.default_rng(0).integers(0, 255, (480, 640), dtype=np.uint8)
    sizes = []
    for number in range(400):
        motion.add(number * 66_000_000, np.roll(large, number, axis=1))
        sizes.append(len(pickle.dumps(motion)))
    held = 20 * 80 * 60  # the last 1.2 s, shrunk
    assert sizes[50] < 1.1 * held
    assert sizes[-1] - sizes[50] < 350 * 24  # a time and a number each


def test_an_image_that_comes_late_is_passed_over():
    stage = Stage(20, 7, seconds=12.0)
    expected = stage.image_motion().measured()
    motion = ImageMotion()
    for number, (time_ns, gray) in enumerate(zip(stage.image_ns, stage.gray, strict=True)):
        motion.add(int(time_ns), gray)
        if number > 3:
            motion.add(int(stage.image_ns[number - 3]), stage.gray[number - 3])
    assert np.array_equal(motion.measured(), expected)


def test_a_rate_of_change_belongs_to_its_own_middle():
    """A step in heat and image at one moment: either rate is highest there, missing frames or not."""
    heat_ns = np.arange(0, 4_000_000_000, 101_000_000)
    raw = np.where(heat_ns[:, None, None] > 2_000_000_000, 96, 88) * np.ones((1, 8, 8))
    raw[:, 2:] = 88
    for kept in (np.ones(len(heat_ns), bool), heat_ns != heat_ns[18]):
        times_ns, energy = measure_heat(heat_ns[kept], raw[kept].astype(np.int16))
        assert (times_ns * energy).sum() / energy.sum() == pytest.approx(2.0e9, abs=60e6)


def test_too_short_a_recording_is_refused():
    with pytest.raises(SyncError, match=r"seen together for 5\.\d s, and 8 s at least .* an arm ten times"):
        Stage(seconds=7.0).find_offset()
    nothing = np.empty(0, np.int64), np.empty(0)
    with pytest.raises(SyncError, match=r"seen together for 0\.0 s"):
        find_offset(*nothing, *nothing)
    assert [len(part) for part in measure_heat(np.empty(0, np.int64), np.empty((0, 8, 8), np.int16))] == [0, 0]


def test_streams_of_different_times_are_refused():
    stage = Stage()
    stage.image_ns = stage.image_ns + 3_600_000_000_000
    with pytest.raises(SyncError, match=r"seen together for 0\.0 s"):
        stage.find_offset()


@pytest.mark.parametrize(("still_part", "name"), [({"heat": still}, "heat"), ({"image": still}, "image")])
def test_a_stream_in_which_nothing_moves_is_named(still_part, name):
    with pytest.raises(SyncError, match=f"nothing moves in the {name}; stand alone, two steps"):
        Stage(**still_part).find_offset()


@pytest.mark.parametrize("seed", range(4))
def test_a_slow_steady_motion_is_refused(seed):
    with pytest.raises(SyncError, match=r"the offset is [+-]\d+ ms, but only to \+-\d+ ms \(20 ms is allowed\)"):
        Stage(heat=slow, image=slow, seed=seed).find_offset()


@pytest.mark.parametrize("seed", range(4))
def test_heat_and_image_of_different_things_are_refused(seed):
    def other(times_s, seed):
        return arm_at(times_s, seed + 100)

    with pytest.raises(SyncError, match=r"do not move alike \(correlation 0\.[0-5]\d, 0\.6 is needed\)"):
        Stage(image=other, seed=seed).find_offset()


def test_energies_of_pure_noise_are_refused():
    rng = np.random.default_rng(0)
    times_ns = np.arange(0, 27_000_000_000, 100_000_000)
    for _ in range(20):
        with pytest.raises(SyncError, match="do not move alike"):
            find_offset(times_ns, rng.random(270), times_ns, rng.random(270))


def test_a_rhythm_is_refused_because_it_matches_twice():
    with pytest.raises(SyncError, match=r"match at \+\d+ ms and at [+-]\d+ ms .* the motion repeats itself"):
        Stage(30, move=(0.8, 0.8), rest=(0.0, 0.0)).find_offset()


def test_streams_a_second_apart_are_refused():
    with pytest.raises(SyncError, match="a second apart, or more"):
        Stage(985, 1).find_offset()


def test_the_error_is_one_a_user_can_mend():
    assert issubclass(SyncError, LrtError)
    assert issubclass(SyncError, ValueError)
