"""The AMG8833 through Adafruit's own driver, over a bus of registers."""

import os
import threading
from ctypes import string_at

import numpy as np
import pytest

from lrt.rig.records import RigError
from lrt.rig.thermal import amg8833
from lrt.rig.thermal.amg8833 import AMG8833, decode_pixels, decode_thermistor
from lrt.rig.timing.clock import SystemClock, Task

SECOND_NS = 1_000_000_000


def watch(clock, sensor, seconds):
    heatmaps = []
    task = Task("poll", sensor.poll_period_ns, lambda: heatmaps.extend(sensor.poll()))
    clock.run([task], seconds, threading.Event())
    return heatmaps


def test_pixels_are_twelve_bit_twos_complement_and_the_thermistor_sign_and_magnitude():
    words = [0x0000, 0x0001, 0x0064, 0x07FF, 0x0FFC, 0x0800, 0xF064, 0x5FFF] + [0] * 56
    raw = decode_pixels(b"".join(word.to_bytes(2, "little") for word in words))
    assert raw.dtype == np.int16
    assert raw.shape == (8, 8)
    assert raw[0].tolist() == [0, 1, 100, 2047, -4, -2048, 100, -1]
    assert decode_thermistor(bytes([0xBB, 0x08])) / 16 == -11.6875
    assert decode_thermistor(bytes([0x90, 0x01])) / 16 == 25.0
    assert decode_thermistor(bytes([0x90, 0xF1])) / 16 == 25.0  # the upper four bits are undefined


def test_every_frame_is_read_once_and_whole(clock, bus):
    with AMG8833(clock, bus) as sensor:
        heatmaps = watch(clock, sensor, 120)
        torn = sensor.torn_reads
    first = next(k for k, frame in enumerate(bus.frames) if np.array_equal(frame, heatmaps[0].raw.ravel()))
    for heatmap, frame in zip(heatmaps, bus.frames[first:], strict=False):
        assert np.array_equal(heatmap.raw.ravel(), frame)
        assert heatmap.thermistor_raw == -0xBB
    assert [heatmap.sequence for heatmap in heatmaps] == list(range(len(heatmaps)))
    assert len(bus.frames) - first - len(heatmaps) <= 1
    assert torn > 10  # the bus did tear, and nothing of it got through


def test_the_bounds_of_a_stamp_hold_the_moment_the_frame_was_made(clock, bus):
    with AMG8833(clock, bus) as sensor:
        heatmaps = watch(clock, sensor, 60)
    first = next(k for k, frame in enumerate(bus.frames) if np.array_equal(frame, heatmaps[0].raw.ravel()))
    for heatmap, made_ns in zip(heatmaps, bus.made_ns[first:], strict=False):
        assert heatmap.earliest_ns - 500_000 <= made_ns <= heatmap.latest_ns + 500_000
        assert heatmap.latest_ns - heatmap.earliest_ns < 25_000_000


def test_the_bounds_hold_from_the_first_frame_on_at_whatever_phase_it_is_opened(make_clock, make_bus):
    """The read at opening may itself be torn: then the first frame was made within it."""
    for phase_ms in range(100):
        clock = make_clock(1_000_000_000)
        bus = make_bus(clock)
        bus.start_ns -= phase_ms * 1_000_000
        with AMG8833(clock, bus) as sensor:
            heatmap, *_ = watch(clock, sensor, 0.3)
        made_ns = next(
            made for made, frame in zip(bus.made_ns, bus.frames, strict=True)
            if np.array_equal(frame, heatmap.raw.ravel())
        )  # fmt: skip
        assert heatmap.earliest_ns - 100_000 <= made_ns <= heatmap.latest_ns + 100_000, phase_ms


def test_a_poll_without_a_new_frame_is_one_transaction(clock, bus):
    with AMG8833(clock, bus) as sensor:
        while not sensor.poll():
            clock.advance(5_000_000)
        before, before_ns = bus.transactions, clock.now_ns()
        assert sensor.poll() == []
        assert bus.transactions == before + 1
        assert clock.now_ns() - before_ns < 4_000_000  # 128 bytes at 400 kHz


def test_the_sensor_is_woken_with_the_waits_the_driver_leaves_out(clock, bus):
    AMG8833(clock, bus)
    (mode, _, woken_ns), (reset, kind, _), *_, (flags, flags_kind, cleared_ns) = bus.writes
    assert (mode, reset, kind) == (0x00, 0x01, 0x3F)
    assert (flags, flags_kind) == (0x01, 0x30)
    assert cleared_ns - woken_ns >= 50_000_000
    assert clock.now_ns() - cleared_ns >= 200_000_000


def test_bus_errors_are_counted_and_the_frame_is_still_read(clock, bus):
    with AMG8833(clock, bus) as sensor:
        watch(clock, sensor, 2)
        bus.dead_from_ns, bus.dead_until_ns = clock.now_ns(), clock.now_ns() + 60_000_000
        heatmaps = watch(clock, sensor, 2)
        events = sensor.take_events()
        assert 2 <= len(events) <= 4
        assert {event.kind for event in events} == {"bus-error"}
        assert "Remote I/O error" in events[0].detail
        assert bus.dead_from_ns < events[0].timestamp_ns < bus.dead_until_ns + 3_000_000
        assert sensor.take_events() == []
    steps = np.diff([heatmap.sequence for heatmap in heatmaps])
    assert (steps == 1).all()


def test_frames_missed_while_the_bus_is_dead_leave_a_jump_of_the_sequence(clock, bus):
    with AMG8833(clock, bus) as sensor:
        before = watch(clock, sensor, 2)
        bus.dead_from_ns, bus.dead_until_ns = clock.now_ns(), clock.now_ns() + SECOND_NS
        after = watch(clock, sensor, 3)
    assert 10 <= after[0].sequence - before[-1].sequence <= 12
    made = [bus.made_ns[k] for k in range(len(bus.frames)) if np.array_equal(bus.frames[k], after[0].raw.ravel())]
    last = [bus.made_ns[k] for k in range(len(bus.frames)) if np.array_equal(bus.frames[k], before[-1].raw.ravel())]
    assert after[0].sequence - before[-1].sequence == round((made[0] - last[0]) / bus.period_ns)


def test_three_silent_seconds_are_an_error_of_one_line(clock, bus):
    with AMG8833(clock, bus) as sensor:
        bus.dead_from_ns, bus.dead_until_ns = clock.now_ns(), clock.now_ns() + 60 * SECOND_NS
        with pytest.raises(RigError, match=r"0x69 .* not answered for 3 s") as caught:
            watch(clock, sensor, 5)
    assert "\n" not in str(caught.value)


def test_a_frozen_sensor_is_an_error_too(clock, bus):
    with AMG8833(clock, bus) as sensor:
        bus.period_ns = 10**15
        with pytest.raises(RigError, match="no new frame for 3 s"):
            watch(clock, sensor, 5)


def test_a_sensor_that_is_not_there_is_named_with_its_address(clock, make_bus):
    with pytest.raises(RigError, match="AMG8833 at 0x68"):
        AMG8833(clock, make_bus(clock, address=0x69), address=0x68)


def test_a_bus_that_is_not_there_is_named_with_its_number():
    with pytest.raises(RigError, match=r"I2C bus 97 is not there .*--rig twin"):
        AMG8833(SystemClock(), bus=97)


def test_an_overflow_is_kept_with_its_frame_said_and_cleared(clock, bus):
    with AMG8833(clock, bus) as sensor:
        watch(clock, sensor, 1)
        bus.registers[0x04] = 0x04
        heatmaps = watch(clock, sensor, 0.4)
        (event, *_) = sensor.take_events()
    assert 0x04 in [heatmap.status for heatmap in heatmaps]
    assert (event.kind, event.detail) == ("overflow", "a pixel overflowed (STAT 0x04)")
    assert (0x05, 0x04) in [(register, value) for register, value, _ in bus.writes]


def test_the_time_of_a_read_is_known(clock, bus):
    with AMG8833(clock, bus) as sensor:
        watch(clock, sensor, 1)
        assert sensor.read_ms == pytest.approx(131 * 9 / 400, abs=0.1)  # address, register, address, 128 bytes


def test_the_slow_rate_is_asked_for_after_the_reset_and_frames_are_counted_by_it(clock, make_bus):
    bus = make_bus(clock, period_ns=1_003_700_000)
    with AMG8833(clock, bus, rate=1) as sensor:
        heatmaps = watch(clock, sensor, 30)
    written = [(register, value) for register, value, _ in bus.writes]
    assert written.index((0x02, 0x01)) > written.index((0x01, 0x30))
    assert sensor.frame_ns == SECOND_NS
    assert [heatmap.sequence for heatmap in heatmaps] == list(range(len(heatmaps)))
    assert 28 <= len(heatmaps) <= 30


def test_the_moving_average_is_unlocked_with_its_key_and_locked_again(clock, bus):
    AMG8833(clock, bus, average=True)
    written = [(register, value) for register, value, _ in bus.writes]
    assert written[-5:] == [(0x1F, 0x50), (0x1F, 0x45), (0x1F, 0x57), (0x07, 0x20), (0x1F, 0x00)]


def test_a_bus_that_another_recorder_reads_is_refused(tmp_path):
    """flock on the device file: two recorders on one sensor would reset it under each other."""
    device = tmp_path / "i2c-1"
    device.touch()
    claim = amg8833._claim(str(device))
    with pytest.raises(RigError, match=r"i2c-1 is being read by another lrt"):
        amg8833._claim(str(device))
    os.close(claim)
    os.close(amg8833._claim(str(device)))
    assert amg8833._claim(str(tmp_path / "i2c-9")) is None


class FakeKernel:
    """/dev/i2c-1 as Blinka's Linux bus sees it: a file, and ioctl with the kernel's structures."""

    def __init__(self, bus):
        self.bus, self.address, self.closed, self.calls = bus, None, False, []

    def open(self, path, *_args, **_options):
        if path != "/dev/i2c-1":
            raise FileNotFoundError(2, "No such file or directory")
        return self

    def ioctl(self, _file, request, argument):
        self.calls.append(request)
        if request == 0x0703:  # I2C_SLAVE
            self.address = argument
            return
        out, into = (argument.msgs[k] for k in range(argument.nmsgs))
        answer = bytearray(into.len)
        self.bus.writeto_then_readfrom(out.addr, string_at(out.buf, out.len), answer)
        for index, byte in enumerate(answer):
            into.buf[index] = byte

    def fileno(self):
        return 99

    def write(self, data):
        self.bus.writeto(self.address, data)

    def read(self, count):
        answer = bytearray(count)
        self.bus.readfrom_into(self.address, answer)
        return bytes(answer)

    def close(self):
        self.closed = True


def test_a_linux_bus_is_opened_through_blinka_and_read_in_one_ioctl(clock, bus, monkeypatch):
    from Adafruit_PureIO import smbus

    kernel = FakeKernel(bus)
    monkeypatch.setattr(smbus, "open", kernel.open, raising=False)
    monkeypatch.setattr(smbus, "ioctl", kernel.ioctl)
    with AMG8833(clock, bus=1) as sensor:
        while not (heatmaps := sensor.poll()):
            clock.advance(5_000_000)
        assert any(np.array_equal(frame, heatmaps[0].raw.ravel()) for frame in bus.frames)
        before = len(kernel.calls)
        sensor.poll()
        assert kernel.calls[before:] == [0x0707]  # I2C_RDWR, once
    assert kernel.closed


def test_a_bus_without_the_right_to_it_names_the_group(monkeypatch):
    from Adafruit_PureIO import smbus

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(smbus, "open", refuse, raising=False)
    with pytest.raises(RigError, match="group i2c"):
        AMG8833(SystemClock(), bus=1)
