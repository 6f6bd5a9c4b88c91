"""The line from a remote clock to ours, against arrivals whose lateness is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrt.rig.timing.envelope import Envelope

LEAST_NS = 1_200_000


def messages(seconds, skew_ppm, every_ns=23_000_000, seed=1, shape=1):
    """When messages are sent by our clock, their stamps, and their arrivals: late by 10 ms at p99, 80 ms at most.

    shape: of the gamma distribution of lateness: at 1 most messages are punctual, at 2 hardly any.
    """
    random = np.random.default_rng(seed)
    count = round(seconds * 1e9 / every_ns)
    sent_ns = np.arange(count, dtype=np.int64) * every_ns + np.cumsum(random.integers(0, 300_000, count))
    stamp_ns = np.round(7e9 + sent_ns * (1 + skew_ppm * 1e-6)).astype(np.int64)
    late_ns = random.gamma(shape, 2.1e6 / shape**0.5, count)
    held = random.random(count) < 0.002
    late_ns[held] = random.uniform(10e6, 80e6, held.sum())
    return sent_ns, stamp_ns, sent_ns + LEAST_NS + late_ns.astype(np.int64)


@pytest.mark.parametrize(
    ("skew_ppm", "shape", "scatter_ms", "bias_ms"),
    [(-500, 1, 0.02, 0.02), (0, 1, 0.02, 0.02), (500, 1, 0.02, 0.02), (30, 2, 0.1, 0.1)],
)
def test_times_are_late_by_the_least_time_and_hardly_scatter(skew_ppm, shape, scatter_ms, bias_ms):
    sent_ns, stamp_ns, arrival_ns = messages(180, skew_ppm, shape=shape)
    envelope, error_ns = Envelope(), []
    for sent, stamp, arrival in zip(sent_ns.tolist(), stamp_ns.tolist(), arrival_ns.tolist(), strict=True):
        assert envelope.add(stamp, arrival)
        if sent > 10e9:
            error_ns.append(envelope.to_ours(stamp) - sent)
    lateness_ms = (arrival_ns - sent_ns) / 1e6
    assert 9.5 < np.percentile(lateness_ms, 99) < 12 < 50 < lateness_ms.max()  # what the envelope is for
    assert lateness_ms.std() > 2.5
    assert np.std(error_ns) < scatter_ms * 1e6
    assert np.mean(error_ns) == pytest.approx(LEAST_NS, abs=bias_ms * 1e6)


def test_the_first_settled_times_are_within_a_millisecond_and_a_half_of_the_later_ones():
    for seed in range(20):
        sent_ns, stamp_ns, arrival_ns = messages(3, 60, seed=seed)
        envelope = Envelope()
        for sent, stamp, arrival in zip(sent_ns.tolist(), stamp_ns.tolist(), arrival_ns.tolist(), strict=True):
            envelope.add(stamp, arrival)
            assert envelope.settled == (sent > 220e6) or 190e6 < sent < 320e6
            if envelope.settled:
                assert abs(envelope.to_ours(stamp) - sent - LEAST_NS) < 1.5e6


def test_messages_that_waited_in_a_buffer_settle_nothing_and_bend_nothing():
    envelope = Envelope()
    for number in range(200):  # all read at once
        envelope.add(number * 23_000_000, 4_600_000_000)
    assert not envelope.settled
    for number in range(200, 220):
        envelope.add(number * 23_000_000, number * 23_000_000)
    assert envelope.settled
    for number in range(220, 400):  # and a computer that slept for four seconds
        assert envelope.add(number * 23_000_000, 9_200_000_000)
    assert abs(envelope.to_ours(399 * 23_000_000) - 399 * 23_000_000) < 2_500_000


@pytest.mark.parametrize(("jump_ns", "what"), [(-5 * 10**9, "back"), (5 * 10**9, "ahead"), (70 * 10**9, "gone")])
def test_a_clock_that_jumps_begins_a_new_line(jump_ns, what):
    envelope = Envelope()
    for number in range(100):
        envelope.add(10**10 + number * 23_000_000, number * 23_000_000)
    now_ns = 100 * 23_000_000 + (jump_ns if what == "gone" else 0)
    shift_ns = 10**10 + (0 if what == "gone" else jump_ns)
    assert not envelope.add(now_ns + shift_ns, now_ns)
    assert not envelope.settled
    for number in range(1, 20):
        assert envelope.add(now_ns + shift_ns + number * 23_000_000, now_ns + number * 23_000_000)
    assert envelope.settled
    assert envelope.to_ours(now_ns + shift_ns) == now_ns


def test_an_hour_of_messages_is_held_in_a_few_hundred_points():
    sent_ns, stamp_ns, arrival_ns = messages(3600, 80, every_ns=100_000_000)
    envelope, most = Envelope(), 0
    for stamp, arrival in zip(stamp_ns.tolist(), arrival_ns.tolist(), strict=True):
        envelope.add(stamp, arrival)
        most = max(most, sum(map(len, envelope._blocks)))
    assert most < 300
    assert envelope.to_ours(int(stamp_ns[-1])) - sent_ns[-1] == pytest.approx(LEAST_NS, abs=0.1e6)


def test_a_line_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no message"):
        Envelope().to_ours(0)


@settings(max_examples=100, database=None, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400_000_000), st.integers(0, 80_000_000)), min_size=1, max_size=60))
def test_no_arrival_lies_before_the_line_and_one_lies_on_it(steps):
    envelope, points, stamp_ns = Envelope(), [], 0
    for step_ns, late_ns in steps:
        stamp_ns += step_ns
        points.append((stamp_ns, stamp_ns + late_ns))
        envelope.add(*points[-1])
    slack_ns = [arrival_ns - envelope.to_ours(stamp_ns) for stamp_ns, arrival_ns in points]
    assert -1 <= min(slack_ns) <= 1


@settings(max_examples=50, database=None, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 30_000), min_size=3, max_size=25), st.integers(0, 2**32))
def test_no_line_below_all_arrivals_is_nearer_to_them(late_us, seed):
    """Compared with a thousand others, of every skew that two clocks can have."""
    envelope = Envelope()
    stamps = np.arange(len(late_us)) * 1_000_000_000
    late_ns = np.array(late_us) * 1000
    for stamp, late in zip(stamps.tolist(), late_ns.tolist(), strict=True):
        envelope.add(stamp, stamp + late)
    ours = sum(
        stamp + late - envelope.to_ours(stamp) for stamp, late in zip(stamps.tolist(), late_ns.tolist(), strict=True)
    )
    for skew in np.random.default_rng(seed).uniform(-500e-6, 500e-6, 1000):
        residual_ns = late_ns - skew * stamps
        assert ours <= (residual_ns - residual_ns.min()).sum() + len(late_us)
