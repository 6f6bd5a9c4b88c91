"""Frames worth a mask: on heat whose places are known."""

import time

import numpy as np
import pytest

from lrt.calibration.frames import EMPTY_SHARE, choose_frames

ROOM_C, BODY_C = 22.0, 6.0


def warm_room(x, y, seed: int = 0, radius: float = 1.1, present=True, noise_c: float = 0.15) -> np.ndarray:
    """(N, 8, 8) float32, degC, quarter steps: a body at (x, y), thermal pixels, where it is present."""
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    columns, rows = np.arange(8), np.arange(8)
    body = np.exp(-((columns - x[:, None]) ** 2) / (2 * radius**2))[:, None, :]
    body = body * np.exp(-((rows - y[:, None]) ** 2) / (2 * radius**2))[:, :, None]
    body = body * np.broadcast_to(present, x.shape)[:, None, None]
    noise = np.random.default_rng(seed).normal(0, noise_c, body.shape)
    return (np.rint(4 * (ROOM_C + BODY_C * body + noise)) / 4).astype(np.float32)


def walk(frames: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) x and y of somebody who wanders over the whole field, slowly and fast."""
    t = np.linspace(0, 60, frames)
    turn = np.random.default_rng(seed).uniform(0, 6.28, 4)
    x = 3.5 + 2.2 * np.sin(0.83 * t + turn[0]) + 0.9 * np.sin(2.9 * t + turn[1])
    y = 3.5 + 2.0 * np.sin(0.57 * t + turn[2]) + 0.9 * np.sin(2.3 * t + turn[3])
    return x, y


@pytest.mark.parametrize("seed", range(4))
def test_they_are_some_of_the_frames_once_each_in_order_and_the_same_again(seed: int) -> None:
    heatmaps = warm_room(*walk(700, seed), seed)
    chosen = choose_frames(heatmaps, 60)
    assert chosen.dtype == np.int64
    assert len(chosen) == 60
    assert (np.diff(chosen) > 0).all()
    assert chosen[0] >= 0
    assert chosen[-1] < 700
    np.testing.assert_array_equal(choose_frames(heatmaps.copy(), 60), chosen)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [25, 60, 150])
def test_every_place_is_near_a_chosen_one_and_no_two_chosen_are_nearer_than_others_need(seed: int, count: int) -> None:
    """Half the distance of what is farthest from all chosen is the least between two, within what noise moves."""
    x, y = walk(1500, seed)
    chosen = choose_frames(warm_room(x, y, seed), count)
    when = np.arange(1500) / 1500
    points = np.column_stack([x, y, when])
    apart = np.linalg.norm(points[:, None] - points[chosen], axis=2)
    uncovered = apart.min(axis=1).max()
    between = apart[chosen]
    np.fill_diagonal(between, np.inf)
    # Places that 6 % more frames would fill evenly, at most twice over.
    assert uncovered < 2.6 * 6 / np.sqrt(count)
    assert between.min() > uncovered / 2 - 0.35


def test_a_place_visited_for_a_moment_is_there() -> None:
    """Half a second each in eight corners of a recording of five minutes, the rest in the middle."""
    corners = [(0.5, 0.5), (3.5, 0.5), (6.5, 0.5), (6.5, 3.5), (6.5, 6.5), (3.5, 6.5), (0.5, 6.5), (0.5, 3.5)]
    x, y = np.full(3000, 3.5), np.full(3000, 3.5)
    for number, (column, row) in enumerate(corners):
        x[300 * number + 100 : 300 * number + 105], y[300 * number + 100 : 300 * number + 105] = column, row
    chosen = choose_frames(warm_room(x, y), 20)
    for column, row in corners:
        assert ((x[chosen] == column) & (y[chosen] == row)).any(), (column, row)


def test_with_more_places_than_frames_no_side_of_the_field_is_left_out() -> None:
    rows, columns = np.mgrid[0:7.01:0.25, 0:7.01:0.25]
    order = np.random.default_rng(0).permutation(rows.size)
    x, y = columns.ravel()[order], rows.ravel()[order]
    chosen = choose_frames(warm_room(x, y), 40)
    counts, _, _ = np.histogram2d(x[chosen], y[chosen], bins=3, range=[[0, 7], [0, 7]])
    assert counts.min() >= 1
    assert counts.max() <= 12


def test_near_and_far_at_the_same_place_are_both_there() -> None:
    """Somebody far away for half of the recording, near for a fiftieth of it."""
    heatmaps = warm_room(np.full(1000, 3.5), 3.5, present=np.arange(1000) % 2 > 0)
    heatmaps[::50] = warm_room(np.full(20, 3.5), 3.5, seed=1, radius=2.2)
    chosen = choose_frames(heatmaps, 20)
    near = (chosen % 50 == 0).sum()
    assert 4 <= near <= 16


def test_who_moves_is_preferred_to_who_stands_still() -> None:
    """At each of ten places somebody stands for 9 s and sways by half a thermal pixel for 1 s."""
    x, y, sways = [], [], []
    for place in range(10):
        for second in range(10):
            moving = second == 5
            sway = 0.25 * np.where(np.arange(10) % 6 < 3, -1, 1) if moving else np.zeros(10)
            x.append(0.7 * place + 0.35 + sway)
            y.append(np.full(10, 1.5 + place % 3 * 2.0))
            sways.append(np.full(10, moving))
    moving = np.concatenate(sways)
    heatmaps = warm_room(np.concatenate(x), np.concatenate(y))
    chosen = choose_frames(heatmaps, 30)
    moves = np.flatnonzero(np.convolve(moving, np.ones(7), "same"))  # a heatmap before and after a change see it too
    assert moving.mean() == pytest.approx(0.1)
    assert np.isin(chosen, moves).mean() > 0.5


def test_a_few_frames_without_anyone_are_kept_from_all_over_the_recording() -> None:
    x, y = walk(2000, 0)
    present = np.arange(2000) % 400 < 300
    chosen = choose_frames(warm_room(x, y, present=present), 100)
    empty = chosen[~present[chosen]]
    assert len(empty) == round(EMPTY_SHARE * 100)
    assert len(np.unique(empty // 400)) >= 4


def test_every_clip_is_there_though_they_show_the_same_places() -> None:
    x, y = walk(600, 0)
    heatmaps = np.concatenate([warm_room(x, y, seed) + 1.5 * seed for seed in range(4)])
    clip = np.repeat([3, 5, 8, 9], 600)
    chosen = choose_frames(heatmaps, 80, clip)
    shares = [(clip[chosen] == one).mean() for one in (3, 5, 8, 9)]
    assert min(shares) > 0.12


def test_who_never_moves_is_looked_at_from_beginning_to_end() -> None:
    heatmaps = warm_room(np.full(1000, 3.0), 4.0, present=np.arange(1000) % 5 > 1, noise_c=0.02)
    chosen = choose_frames(heatmaps, 40)
    assert (np.histogram(chosen, bins=5, range=(0, 1000))[0] >= 4).all()


def test_an_empty_room_is_looked_at_evenly() -> None:
    chosen = choose_frames(warm_room(np.zeros(1000), 0, present=False), 50)
    assert len(chosen) == 50
    assert np.diff(chosen).max() <= 40


def test_few_frames_are_all_taken() -> None:
    np.testing.assert_array_equal(choose_frames(warm_room(*walk(30, 0)), 50), np.arange(30))


def test_an_hour_is_sorted_in_seconds() -> None:
    heatmaps = warm_room(*walk(36_000, 0))
    started = time.process_time()
    assert len(choose_frames(heatmaps, 200)) == 200
    assert time.process_time() - started < 10


def test_ten_times_the_frames_cost_some_ten_times_as_much_and_not_a_hundred() -> None:
    def spend_s(minutes: int) -> float:
        heatmaps = warm_room(*walk(600 * minutes, 0))
        begun_s = time.process_time()
        assert len(choose_frames(heatmaps, 200)) == 200
        return time.process_time() - begun_s

    an_hour_s, tenth_s = spend_s(60), max(spend_s(6), spend_s(6))

    assert an_hour_s < 30 * tenth_s
