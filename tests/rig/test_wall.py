"""The time of day beside the rig's clock."""

import types

import pytest

from lrt.rig.timing import wall
from lrt.rig.timing.clock import SystemClock, VirtualClock
from lrt.rig.timing.wall import WallClock, is_synchronised, read_clocks

SECOND_NS = 1_000_000_000


@pytest.fixture
def ticking(monkeypatch):
    """The system's clocks, moved by hand: `mono` and `real`, ns."""
    now = types.SimpleNamespace(mono=50 * SECOND_NS, real=1_790_000_000 * SECOND_NS)
    monkeypatch.setattr(SystemClock, "now_ns", lambda _: now.mono)
    monkeypatch.setattr(wall.time, "time_ns", lambda: now.real)
    monkeypatch.setattr(wall, "is_synchronised", lambda: True)

    def tick(seconds, real=None):
        now.mono += round(seconds * SECOND_NS)
        now.real += round((seconds if real is None else real) * SECOND_NS)

    return tick


def test_the_time_of_day_is_told_every_ten_seconds(ticking):
    watch = WallClock(SystemClock())
    told = []
    for _ in range(35):
        ticking(1.0)
        told += watch.changes()
    assert [kind for kind, _ in told] == ["clock"] * 3
    assert told[0][1].startswith("mono_ns=60000000000 boot_ns=")
    assert told[0][1].endswith("real_ns=1790000010000000000 synchronised=yes")


@pytest.mark.parametrize("step_s", [3600.0, -0.5, 86400.0 * 400])
def test_a_step_is_told_once_and_by_how_much(ticking, step_s):
    watch = WallClock(SystemClock())
    ticking(1.0)
    assert watch.changes() == []
    ticking(1.0, real=1.0 + step_s)
    (step, reading) = watch.changes()
    assert step == ("clock-step", f"The time of day was set by {step_s:+.1f} s; stamps are not by it.")
    assert reading[0] == "clock"
    ticking(1.0)
    assert watch.changes() == []


def test_the_slow_pull_of_ntp_is_no_step(ticking):
    watch = WallClock(SystemClock())
    for _ in range(9):
        ticking(1.0, real=1.0005)  # 500 ppm, the most that adjtime does
        assert watch.changes() == []


def test_a_virtual_clock_has_no_time_of_day(ticking):
    watch = WallClock(VirtualClock())
    ticking(100.0, real=5.0)
    assert watch.changes() == watch.reading() == []
    assert read_clocks(VirtualClock(7))["mono_ns"] == 7


def test_the_kernel_is_asked_whether_its_time_is_synchronised():
    assert is_synchronised() in (True, False)
