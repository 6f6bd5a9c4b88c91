"""Stamps and pairs, against the moments they stand for."""

import threading

import numpy as np

from lrt.rig.thermal.amg8833 import AMG8833
from lrt.rig.timing.clock import Task
from lrt.rig.timing.pairing import pair_nearest
from lrt.rig.timing.stamps import fit_stamps


def frames_with_bounds(count, period_ns=100_210_000, poll_ns=23_000_000, seed=5):
    """True moments, and the polls to either side of them, each up to 1 ms late as a Linux timer is."""
    random = np.random.default_rng(seed)
    made_ns = 7_000_000 + np.arange(count, dtype=np.int64) * period_ns
    polls = np.arange(0, made_ns[-1] + 2 * poll_ns, poll_ns)
    polls += random.integers(0, 1_000_000, polls.size)
    after = np.searchsorted(polls, made_ns)
    return made_ns, polls[after - 1], polls[after]


def test_a_line_through_the_bounds_is_within_a_millisecond_and_a_half():
    made_ns, earliest, latest = frames_with_bounds(3000)
    raw_error = np.abs((earliest + latest) // 2 - made_ns)
    error = np.abs(fit_stamps(np.arange(3000), earliest, latest) - made_ns)
    assert np.percentile(raw_error, 95) > 8e6
    assert np.percentile(error, 95) < 1.5e6
    assert error.max() < 4e6


def test_missed_frames_and_long_breaks_do_not_bend_the_line():
    made_ns, earliest, latest = frames_with_bounds(2000)
    kept = np.ones(2000, bool)
    kept[np.random.default_rng(0).integers(0, 2000, 200)] = False
    kept[600:700] = False
    sequence = np.arange(2000)[kept]
    sequence[sequence > 650] += 1  # after a long break the count is not sure
    error = np.abs(fit_stamps(sequence, earliest[kept], latest[kept]) - made_ns[kept])
    assert np.percentile(error, 95) < 2e6


def test_fitted_stamps_stay_within_their_bounds_and_ascend():
    _, earliest, latest = frames_with_bounds(500)
    fitted = fit_stamps(np.arange(500), earliest, latest)
    assert (fitted >= earliest).all()
    assert (fitted <= latest).all()
    assert (np.diff(fitted) > 0).all()


def test_a_line_that_came_late_does_not_pull_its_neighbours():
    made_ns = np.arange(300, dtype=np.int64) * 100_000_000
    arrival = made_ns + 2_000_000
    arrival[::37] += 70_000_000  # USB held these back
    error = fit_stamps(np.arange(300), arrival, arrival) - made_ns
    assert np.abs(error - 2_000_000).max() < 1_500_000


def test_few_frames_and_none_are_fitted_too():
    assert fit_stamps(np.arange(0), np.arange(0), np.arange(0)).size == 0
    assert fit_stamps(np.array([4]), np.array([10]), np.array([20])).tolist() == [15]


def test_a_driver_on_a_bus_gives_stamps_within_a_millisecond_of_the_truth(clock, bus):
    heatmaps = []
    with AMG8833(clock, bus) as sensor:
        clock.run([Task("poll", sensor.poll_period_ns, lambda: heatmaps.extend(sensor.poll()))], 60, threading.Event())
    made_ns = np.array(bus.made_ns)
    table = np.array([(h.sequence, h.earliest_ns, h.latest_ns) for h in heatmaps])
    fitted = fit_stamps(*table.T)
    error = np.abs(fitted - made_ns[np.abs(made_ns[:, None] - fitted).argmin(axis=0)])
    assert np.percentile(error, 95) < 2e6


def test_each_heatmap_gets_its_nearest_image_or_none():
    heat = np.array([100, 200, 300, 900])
    image = np.array([95, 130, 199, 250, 340])
    heat_index, image_index, error = pair_nearest(heat, image, max_gap_ns=45)
    assert heat_index.tolist() == [0, 1, 2]
    assert image_index.tolist() == [0, 2, 4]
    assert error.tolist() == [-5, -1, 40]


def test_nearest_agrees_with_looking_at_every_image():
    random = np.random.default_rng(2)
    heat, image = np.sort(random.integers(0, 10**10, 300)), np.sort(random.integers(0, 10**10, 800))
    heat_index, _, error = pair_nearest(heat, image, max_gap_ns=10**10, offset_ns=-33_000_000)
    every = np.abs(image[None] - 33_000_000 - heat[:, None]).min(axis=1)
    assert heat_index.tolist() == list(range(300))
    assert np.abs(error).tolist() == every.tolist()


def test_the_offset_is_added_to_the_image_time():
    heat_index, image_index, error = pair_nearest(np.array([150]), np.array([100, 148]), 10, offset_ns=48)
    assert (heat_index.tolist(), image_index.tolist(), error.tolist()) == ([0], [0], [-2])


def test_no_images_make_no_pairs():
    assert all(part.size == 0 for part in pair_nearest(np.array([1, 2]), np.array([], int), 10))
