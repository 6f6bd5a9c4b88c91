"""The board's firmware: its core over a bus of registers, and its program with stand-ins for the board's modules."""

import binascii
import runpy
import struct
import sys
import types
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrt.rig.thermal.amg8833 import decode_pixels, decode_thermistor

FIRMWARE = Path(__file__).parents[2] / "hardware" / "firmware"
SECOND_NS = 1_000_000_000


def load_core():
    """hardware/firmware/core.py, which no package holds."""
    spec = spec_from_file_location("firmware_core", FIRMWARE / "core.py")
    core = module_from_spec(spec)
    spec.loader.exec_module(core)
    return core


core = load_core()


def unstuff(encoded):
    """COBS, decoded the slow way: a countdown to the next zero."""
    decoded, left, zero_follows = [], 0, False
    for byte in encoded:
        assert byte != 0
        if left == 0:
            if zero_follows:
                decoded.append(0)
            left, zero_follows = byte, byte != 0xFF
        else:
            decoded.append(byte)
        left -= 1
    assert left == 0
    return bytes(decoded)


def fields_of(packet):
    """Kind, protocol and fields of one packet, checked."""
    assert packet[0] == packet[-1] == 0
    body = unstuff(packet[1:-1])
    assert int.from_bytes(body[-2:], "little") == binascii.crc_hqx(body[:-2], 0xFFFF)
    return chr(body[0]), body[1], body[2:-2]


def make_reader(bus, clock, **options):
    return core.Reader(bus, 0x69, lambda: clock.now_ns() // 1000, lambda s: clock.advance(round(s * 1e9)), **options)


def watch(reader, clock, seconds):
    """The frames of so many seconds of polls, one every 23 ms."""
    frames, end_ns = [], clock.now_ns() + round(seconds * 1e9)
    while clock.now_ns() < end_ns:
        due_ns = clock.now_ns() + 23_000_000
        frame = reader.poll()
        if frame is not None:
            frames.append(frame)
        clock.sleep_until(due_ns)
    return frames


def raw_of(frame):
    return np.frombuffer(frame[6], "<i2")


def made_of(bus, frame):
    """Which of the bus's frames a frame is."""
    (number,) = (k for k, made in enumerate(bus.frames) if np.array_equal(made, raw_of(frame)))
    return number


@settings(max_examples=200, database=None, derandomize=True, deadline=None)
@given(st.binary(max_size=600))
def test_the_crc_is_pythons_crc_hqx(data):
    assert core.crc16(data) == binascii.crc_hqx(data, 0xFFFF)


@pytest.mark.parametrize("length", [0, 1, 252, 253, 254, 255, 256, 507, 508, 509])
def test_runs_without_a_zero_as_long_as_cobs_counts_come_back(length):
    run = bytes(1 + k % 255 for k in range(length))
    for head in (b"", b"\0", b"\0\0", b"\1"):
        for tail in (b"", b"\0", b"\0\0", b"\1", b"\0\1"):
            data = head + run + tail
            encoded = core.cobs_encode(data)
            assert unstuff(encoded) == data
            assert len(encoded) <= len(data) + 2 + len(data) // 254


@settings(max_examples=200, database=None, derandomize=True, deadline=None)
@given(st.lists(st.one_of(st.just(b"\0"), st.binary(max_size=300))).map(b"".join))
def test_whatever_is_stuffed_has_no_zero_and_comes_back(data):
    assert unstuff(core.cobs_encode(data)) == data


def test_stuffing_is_that_of_the_papers_examples():
    assert core.cobs_encode(b"\x11\x22\x00\x33") == b"\x03\x11\x22\x02\x33"
    assert core.cobs_encode(b"\x00") == b"\x01\x01"
    assert core.cobs_encode(b"") == b"\x01"


def test_packets_keep_their_form():
    """Bytes that a board in the field sends: to change one is to change PROTOCOL."""
    assert core.PROTOCOL == 1
    assert core.clock_packet(0x0102030405).hex() == "00084301050403020101010360bc00"
    pixels = struct.pack("<64h", *range(-32, 32))
    heat = core.heat_packet(65537, 10**12, 10**12 + 23_000, 4, 1, -187, pixels)
    assert len(heat) == 153
    kind, protocol, fields = fields_of(heat)
    assert (kind, protocol) == ("H", 1)
    assert struct.unpack("<HQIBBh64h", fields) == (1, 10**12, 23_000, 4, 1, -187, *range(-32, 32))
    kind, _, fields = fields_of(core.hello_packet(0x69, 10, False, 1500, b"\x01\x02"))
    assert (kind, fields) == ("I", struct.pack("<BBBIB", 0x69, 10, 0, 1500, 2) + b"\x01\x02" + core.FIRMWARE.encode())
    assert fields_of(core.error_packet(7, "no answer"))[::2] == ("E", struct.pack("<I", 7) + b"no answer")


def test_registers_are_decoded_as_on_a_computer():
    for first in range(0, 0x1000, 64):
        block = b"".join((value | 0x9000 & value << 4).to_bytes(2, "little") for value in range(first, first + 64))
        assert core.decode_pixels(block) == decode_pixels(block).astype("<i2").tobytes()
    for value in range(0x1000):
        word = (value | 0x5000).to_bytes(2, "little")
        assert core.decode_thermistor(word) == decode_thermistor(word)


def test_every_frame_is_read_once_and_whole(clock, bus):
    frames = watch(make_reader(bus, clock), clock, 120)
    first = made_of(bus, frames[0])
    for frame, made in zip(frames, bus.frames[first:], strict=False):
        assert np.array_equal(raw_of(frame), made)
        assert frame[5] == -0xBB
    assert [frame[0] for frame in frames] == list(range(len(frames)))
    assert len(bus.frames) - first - len(frames) <= 1
    assert sum(frame[4] for frame in frames) > 10  # the bus did tear, and nothing of it got through


def test_the_bounds_hold_the_moment_a_frame_was_made(clock, bus):
    frames = watch(make_reader(bus, clock), clock, 60)
    for frame, made_ns in zip(frames, bus.made_ns[made_of(bus, frames[0]) :], strict=False):
        _, earliest_us, latest_us, *_ = frame
        assert earliest_us * 1000 - 500_000 <= made_ns <= latest_us * 1000 + 500_000
        assert latest_us - earliest_us < 25_000


def test_the_sensor_is_woken_in_the_order_and_with_the_waits_it_needs(clock, bus):
    make_reader(bus, clock).poll()
    assert [write[:2] for write in bus.writes] == [(0x00, 0x00), (0x01, 0x3F), (0x01, 0x30), (0x02, 0), (0x03, 0)]
    (*_, woken_ns), (*_, reset_ns), (*_, cleared_ns), *_ = bus.writes
    assert reset_ns - woken_ns >= 50_000_000
    assert cleared_ns - reset_ns >= 2_000_000
    assert clock.now_ns() - cleared_ns >= 200_000_000


def test_slow_frames_and_the_moving_average_are_asked_for_as_the_chip_wants_it(clock, bus):
    make_reader(bus, clock, frames_per_second=1, moving_average=True).poll()
    unlocked = [(0x1F, 0x50), (0x1F, 0x45), (0x1F, 0x57), (0x07, 0x20), (0x1F, 0x00)]
    assert [write[:2] for write in bus.writes[3:]] == [(0x02, 1), (0x03, 0), *unlocked]
    assert clock.now_ns() - bus.writes[-1][2] >= 2_000_000_000


def test_slow_frames_are_numbered_by_the_second(clock, make_bus):
    bus = make_bus(clock, period_ns=1_009_000_000)
    frames = watch(make_reader(bus, clock, frames_per_second=1), clock, 20)
    assert [frame[0] for frame in frames] == list(range(len(frames)))
    assert len(frames) >= 17


def test_a_bus_error_is_counted_and_the_frame_is_still_read(clock, bus):
    reader = make_reader(bus, clock)
    before = watch(reader, clock, 2)
    bus.dead_from_ns, bus.dead_until_ns = clock.now_ns(), clock.now_ns() + 40_000_000
    after = watch(reader, clock, 2)
    assert 1 <= reader.errors <= 4
    assert "Remote I/O error" in reader.last_error
    assert [frame[0] for frame in before + after] == list(range(len(before + after)))
    assert sum(write[:2] == (0x01, 0x3F) for write in bus.writes) == 1  # it was not reset for so little


def test_frames_missed_while_the_bus_is_dead_leave_a_jump_of_the_sequence(clock, bus):
    reader = make_reader(bus, clock)
    before = watch(reader, clock, 2)
    bus.dead_from_ns, bus.dead_until_ns = clock.now_ns(), clock.now_ns() + 900_000_000
    after = watch(reader, clock, 3)
    missed = made_of(bus, after[0]) - made_of(bus, before[-1])
    assert missed > 8
    assert after[0][0] - before[-1][0] == missed


@pytest.mark.parametrize("away_s", [1.5, 20])
def test_a_sensor_that_was_away_is_set_up_anew_and_its_numbers_go_on(clock, bus, away_s):
    reader = make_reader(bus, clock)
    before = watch(reader, clock, 2)
    assert reader.age_ms() > 1500
    bus.dead_from_ns, bus.dead_until_ns = clock.now_ns(), clock.now_ns() + round(away_s * 1e9)
    watch(reader, clock, 1.2)
    assert reader.age_ms() == 0
    after = watch(reader, clock, away_s + 1)
    assert sum(write[:2] == (0x01, 0x3F) for write in bus.writes) == 2
    made = made_of(bus, after[0]) - made_of(bus, before[-1])
    assert abs(after[0][0] - before[-1][0] - made) <= 1  # a count by time: the sensor's 0.1 s is not quite ours
    assert 1 <= reader.age_ms() < 2500


def test_a_sensor_that_comes_late_is_waited_for(clock, bus):
    bus.dead_from_ns, bus.dead_until_ns = 0, clock.now_ns() + 5 * SECOND_NS
    reader = make_reader(bus, clock)
    assert watch(reader, clock, 4.9) == []
    assert reader.errors > 100
    assert len(watch(reader, clock, 2)) > 15


def test_a_hung_sensor_is_reset_and_said(clock, bus):
    reader = make_reader(bus, clock)
    watch(reader, clock, 2)
    bus.period_ns = 10**15
    watch(reader, clock, 4)
    assert (reader.errors, reader.last_error) == (1, "no new frame for long: the sensor is reset")
    assert sum(write[:2] == (0x01, 0x3F) for write in bus.writes) == 2


def test_a_bus_of_noise_gives_no_frame_and_does_not_hang(clock, bus):
    reader = make_reader(bus, clock)
    reader.poll()
    bus.period_ns = 1_000_000
    assert watch(reader, clock, 0.5) == []
    assert "all differed" in reader.last_error


def test_an_overflow_is_passed_on_and_its_flag_cleared(clock, bus):
    reader = make_reader(bus, clock)
    watch(reader, clock, 1)
    bus.registers[0x04] = 0x0C
    assert watch(reader, clock, 0.3)[0][3] == 0x0C
    assert (0x05, 0x0C) in [write[:2] for write in bus.writes]


class Done(Exception):  # noqa: N818
    """Ends the program's endless loop."""


@pytest.fixture
def run_board(clock, bus, monkeypatch):
    """Run code.py against stand-ins for CircuitPython's modules, for so many seconds; what it wrote, write by write."""

    def run(seconds, connected=lambda: True, asked_at=(), pull_ups=True, port=True):
        end_ns, writes, asked = clock.now_ns() + round(seconds * 1e9), [], sorted(asked_at)

        def sleep(wait_s):
            assert wait_s >= 0  # CircuitPython raises ValueError
            clock.advance(round(wait_s * 1e9) + 1000)
            if clock.now_ns() >= end_ns:
                raise Done

        def i2c(scl, sda, *, frequency):
            assert (scl, sda, frequency) == ("GP5", "GP4", 400_000)
            if not pull_ups:
                raise RuntimeError("No pull up found on SDA or SCL; check your wiring")
            return bus

        class Port:
            timeout = write_timeout = None

            @property
            def connected(self):
                return connected()

            @property
            def in_waiting(self):
                return int(bool(asked) and clock.now_ns() >= asked[0])

            def read(self, count):
                assert count == 1
                assert self.timeout == 0
                asked.pop(0)
                return b"?"

            def write(self, data):
                assert self.write_timeout == 0
                writes.append((clock.now_ns(), bytes(data)))

        stand_ins = {
            "time": types.SimpleNamespace(monotonic_ns=clock.now_ns, sleep=sleep),
            "board": types.SimpleNamespace(GP4="GP4", GP5="GP5"),
            "busio": types.SimpleNamespace(I2C=i2c),
            "microcontroller": types.SimpleNamespace(cpu=types.SimpleNamespace(uid=bytearray(b"\xe6\x61\x00\x01"))),
            "supervisor": types.SimpleNamespace(runtime=types.SimpleNamespace(autoreload=True)),
            "usb_cdc": types.SimpleNamespace(data=Port() if port else None),
            "core": core,
        }
        with monkeypatch.context() as patch:
            for name, stand_in in stand_ins.items():
                patch.setitem(sys.modules, name, stand_in)
            with pytest.raises(Done):
                runpy.run_path(str(FIRMWARE / "code.py"))
        return writes

    return run


def packets_of(writes):
    """(kind, fields, when) of every packet."""
    for when_ns, data in writes:
        for piece in data.split(b"\0"):
            if piece:
                kind, _, fields = fields_of(b"\0" + piece + b"\0")
                yield kind, fields, when_ns


def test_the_program_sends_its_clock_every_poll_and_every_frame_once(run_board, bus):
    writes = run_board(12)
    packets = list(packets_of(writes))
    clocks = [(int.from_bytes(fields, "little"), when_ns) for kind, fields, when_ns in packets if kind == "C"]
    assert len(clocks) > 12 / 0.025
    assert all(0 <= when_ns - now_us * 1000 < 1000 for now_us, when_ns in clocks)
    heat = [struct.unpack("<HQIBBh64h", fields) for kind, fields, _ in packets if kind == "H"]
    assert [fields[0] for fields in heat] == list(range(len(heat)))
    first = next(k for k, made in enumerate(bus.frames) if np.array_equal(made, heat[0][6:]))
    assert all(np.array_equal(fields[6:], made) for fields, made in zip(heat, bus.frames[first:], strict=False))
    assert len(heat) > 110
    assert max(len(data) for _, data in writes) <= 256 - 64  # with a hello it fits the RP2040's buffer


def test_the_program_says_hello_every_five_seconds_and_when_asked(run_board, clock):
    start_ns = clock.now_ns()
    hellos = [
        (round((when_ns - start_ns) / 1e9, 1), fields)
        for kind, fields, when_ns in packets_of(run_board(11, asked_at=[start_ns + 7 * SECOND_NS]))
        if kind == "I"
    ]
    assert [when for when, _ in hellos] == pytest.approx([0.3, 5.3, 7.0], abs=0.1)
    address, rate, average, age_ms, length = struct.unpack("<BBBIB", hellos[1][1][:8])
    assert (address, rate, average, length) == (0x69, 10, 0, 4)
    assert 5000 < age_ms < 5400
    assert hellos[1][1][8:] == b"\xe6\x61\x00\x01" + core.FIRMWARE.encode()


def test_the_program_tells_of_errors_once_a_second_at_most(run_board, clock, bus):
    bus.dead_from_ns, bus.dead_until_ns = clock.now_ns() + 2 * SECOND_NS, clock.now_ns() + 5 * SECOND_NS
    packets = list(packets_of(run_board(8)))
    errors = [fields for kind, fields, _ in packets if kind == "E"]
    assert 3 <= len(errors) <= 5
    assert b"Remote I/O error" in errors[0]
    assert int.from_bytes(errors[-1][:4], "little") > 100
    assert packets[-1][0] in "CH"


def test_the_program_tells_that_no_sensor_is_wired(run_board):
    kinds = [(kind, fields[4:]) for kind, fields, _ in packets_of(run_board(3.5, pull_ups=False))]
    assert kinds == [("E", b"No pull up found on SDA or SCL; check your wiring")] * 4


def test_the_program_sends_nothing_while_nobody_listens(run_board):
    assert run_board(3, connected=lambda: False) == []


def test_a_board_without_its_boot_file_says_which_is_missing(run_board):
    with pytest.raises(RuntimeError, match=r"copy boot\.py"):
        run_board(1, port=False)
