"""A device that is pulled out and put back: the frames until then are missed, counted and said, and no more."""

import os
import threading
import time
import tty

import numpy as np
import pytest

from lrt.rig.records import Heatmap, RigError
from lrt.rig.reopen import Reopening
from lrt.rig.sources import SourceEnded
from lrt.rig.thermal.serial import SerialSensor
from lrt.rig.timing.clock import SystemClock, Task

SECOND_NS = 1_000_000_000


class Sensor:
    """A frame every 100 ms of the clock, numbered from 0 at each opening, as a driver numbers them."""

    frame_ns = 100_000_000
    poll_period_ns = 25_000_000
    warm_ns = 0
    torn_reads = 3

    def __init__(self, clock):
        self.clock, self.start_ns, self.number = clock, clock.now_ns(), 0
        self.error = None
        self.silent = False

    def poll(self):
        if self.error is not None:
            raise self.error
        heatmaps = []
        while not self.silent and self.start_ns + self.number * self.frame_ns <= self.clock.now_ns():
            stamp_ns = self.start_ns + self.number * self.frame_ns
            heatmaps.append(Heatmap(stamp_ns, np.zeros((8, 8), np.int16), 400, self.number, stamp_ns, stamp_ns))
            self.number += 1
        return heatmaps

    def take_events(self):
        return []

    def close(self):
        pass


class Plug:
    """Where a sensor is plugged in, or not; counts the attempts to open it."""

    def __init__(self, clock):
        self.clock, self.there, self.attempts_ns, self.last = clock, True, [], None

    def open(self):
        self.attempts_ns.append(self.clock.now_ns())
        if not self.there:
            raise RigError("the sensor is not there; plug it in")
        self.last = Sensor(self.clock)
        return self.last

    def pull(self):
        self.there = False
        self.last.error = RigError("the sensor was pulled out; plug it in")

    def put_back(self):
        self.there = True


@pytest.fixture
def plug(clock):
    return Plug(clock)


def watch(clock, device, seconds):
    records = []
    task = Task("poll", lambda: device.poll_period_ns, lambda: records.extend(device.poll()))
    clock.run([task], seconds, threading.Event())
    return records


def test_numbers_go_on_over_a_gap_by_the_time_it_took(clock, plug):
    device = Reopening("sensor", plug.open, clock)
    before = watch(clock, device, 2)
    plug.pull()
    assert watch(clock, device, 3) == []
    plug.put_back()
    after = watch(clock, device, 6)
    steps = np.diff([heatmap.sequence for heatmap in (*before, *after)])
    times = np.diff([heatmap.timestamp_ns for heatmap in (*before, *after)])
    assert before[0].sequence == 0
    assert (steps == np.rint(times / 1e8)).all()
    assert 30 <= steps.max() <= 75
    assert (np.sort(steps)[:-1] == 1).all()


def test_its_loss_and_its_return_are_events_with_the_reason_and_the_time(clock, plug):
    device = Reopening("sensor", plug.open, clock)
    watch(clock, device, 1)
    plug.pull()
    watch(clock, device, 1)
    assert device.problem == "the sensor is not there; plug it in"
    assert device.device is None
    plug.put_back()
    watch(clock, device, 3)
    assert device.problem is None
    lost, back = device.take_events()
    assert (lost.kind, lost.detail) == ("device-lost", "The sensor is lost: the sensor was pulled out; plug it in.")
    assert back.kind == "device-back"
    assert back.detail.startswith("The sensor is there again after ")
    assert device.take_events() == []


def test_attempts_become_rarer_up_to_every_four_seconds(clock, plug):
    device = Reopening("sensor", plug.open, clock)
    watch(clock, device, 1)
    plug.pull()
    watch(clock, device, 60)
    waits_s = np.diff(plug.attempts_ns[1:]) / 1e9
    assert waits_s[:3] == pytest.approx([1, 2, 4], abs=0.2)
    assert waits_s[3:] == pytest.approx(np.full(len(waits_s) - 3, 4.0), abs=0.2)
    plug.put_back()
    watch(clock, device, 5)
    plug.pull()
    watch(clock, device, 1)
    assert len(plug.attempts_ns) > 3  # once it has given frames, a new loss is tried at once again
    assert plug.attempts_ns[-1] - plug.attempts_ns[-2] < 7 * SECOND_NS


def test_a_device_that_says_nothing_of_its_silence_is_opened_anew(clock, plug):
    device = Reopening("camera", plug.open, clock)
    watch(clock, device, 1)
    plug.last.silent = True
    watch(clock, device, 5)
    assert len(plug.attempts_ns) == 2
    assert "has given nothing for 3 s" in device.take_events()[0].detail
    assert watch(clock, device, 1)


def test_one_that_knows_its_own_silence_is_left_alone(clock, plug):
    device = Reopening("sensor", plug.open, clock, silent_ns=None)
    watch(clock, device, 1)
    plug.last.silent = True
    watch(clock, device, 60)
    assert len(plug.attempts_ns) == 1


def test_what_is_not_there_at_first_is_an_error_unless_one_is_patient(clock, plug):
    plug.there = False
    with pytest.raises(RigError, match="not there"):
        Reopening("sensor", plug.open, clock)
    device = Reopening("sensor", plug.open, clock, patient=True)
    assert device.problem == "the sensor is not there; plug it in"
    assert device.take_events() == []  # it was never there: nothing is lost
    plug.put_back()
    assert [heatmap.sequence for heatmap in watch(clock, device, 3)][:3] == [0, 1, 2]


def test_a_video_that_has_ended_says_so_and_begins_anew(clock, plug):
    device = Reopening("camera", plug.open, clock)
    watch(clock, device, 1)
    plug.last.error = SourceEnded("walk.mp4 has ended")
    with pytest.raises(SourceEnded):
        device.poll()
    assert watch(clock, device, 2)


def test_the_devices_own_facts_are_told_while_it_is_there(clock, plug):
    device = Reopening("sensor", plug.open, clock)
    assert (device.tell("torn_reads", 0), device.tell("read_ms")) == (3, None)
    device.close()
    assert device.tell("torn_reads", 0) == 0
    device.close()


def test_a_device_that_cannot_be_let_go_of_is_let_go_of_all_the_same(clock, plug, monkeypatch):
    def refuse(_self):
        raise OSError(19, "No such device")

    device = Reopening("sensor", plug.open, clock)
    monkeypatch.setattr(Sensor, "close", refuse)
    plug.pull()
    assert device.poll() == []
    assert device.problem


def test_a_serial_board_is_found_again_under_its_name_when_it_is_plugged_in_elsewhere(tmp_path):
    """udev gives the board the same name on another port: here a link to another pseudo-terminal."""
    name = tmp_path / "lrt-amg"
    values = [*np.linspace(20, 28, 64).round() / 1, 25.0]
    line = ",".join(f"{value:.2f}" for value in values).encode() + b"\n"

    def plug_in():
        master, slave = os.openpty()
        tty.setraw(slave)
        name.unlink(missing_ok=True)
        name.symlink_to(os.ttyname(slave))
        return master, slave

    def read(device, want, seconds=6.0):
        heatmaps, deadline = [], time.monotonic() + seconds
        while len(heatmaps) < want and time.monotonic() < deadline:
            os.write(master, line)
            heatmaps += device.poll()
            time.sleep(0.02)
        return heatmaps

    master, slave = plug_in()
    clock = SystemClock()
    with Reopening("sensor", lambda: SerialSensor(str(name), clock), clock, silent_ns=None) as device:
        before = read(device, 5)
        os.close(slave)
        os.close(master)
        name.unlink()
        while device.problem is None:
            device.poll()
        master, slave = plug_in()
        after = read(device, 5)
        kinds = [event.kind for event in device.take_events()]
    os.close(slave)
    os.close(master)
    assert len(before) >= 5
    assert len(after) >= 5
    assert after[0].sequence > before[-1].sequence + 3
    assert [kind for kind in kinds if kind != "bus-error"] == ["device-lost", "device-back"]
