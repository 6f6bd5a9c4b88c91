"""The firmware's own bytes over a pseudo-terminal and the real pyserial, whole and damaged in every way."""

import fcntl
import os
import select
import struct
import sys
import termios
import threading
import time
import tty
from contextlib import suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrt.rig.records import EVENT_KINDS, RigError
from lrt.rig.thermal import mcu, port
from lrt.rig.thermal.mcu import Board, MCUSensor, cobs_decode, open_packet
from lrt.rig.thermal.serial import SerialSensor, parse_line
from lrt.rig.timing.clock import SystemClock, VirtualClock
from lrt.rig.timing.stamps import fit_stamps

SECOND_NS = 1_000_000_000
TICK_NS = 23_000_000
HELLO = {"address": 0x69, "frames_per_second": 10, "moving_average": False, "age_ms": 60_000, "board_id": b"\xe6\x61"}


def load_core():
    """hardware/firmware/core.py, which no package holds."""
    spec = spec_from_file_location("firmware_core", Path(__file__).parents[2] / "hardware" / "firmware" / "core.py")
    core = module_from_spec(spec)
    spec.loader.exec_module(core)
    return core


core = load_core()


class Cable:
    """A board at the other end of a cable: what it would send is sent when a test says so.

    Attributes:
        hello: what it answers to `?`; None: it does not.
        boot_ns: by our clock, when its own began.
    """

    def __init__(self, clock):
        self.clock = clock
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.port = os.ttyname(self.slave)
        self.hello = core.hello_packet(**HELLO)
        self.boot_ns = clock.now_ns() - 20 * SECOND_NS
        self.sequence = 0
        self._pulled = threading.Event()
        self._answering = threading.Thread(target=self._answer)
        self._answering.start()

    def _answer(self):
        while not self._pulled.is_set():
            asked = select.select([self.master], [], [], 0.01)[0] and b"?" in os.read(self.master, 100)
            if asked and self.hello:
                os.write(self.master, self.hello)

    def waiting(self):
        """Bytes at our end that nobody has read."""
        return int.from_bytes(fcntl.ioctl(self.slave, termios.FIONREAD, bytes(4)), sys.byteorder)

    def send(self, data):
        """Write, and wait until it is through: the kernel hands it over in its own time, and our clock stands still."""
        through = self.waiting() + len(data)
        os.write(self.master, data)
        while self.waiting() < through:
            time.sleep(0.0001)

    def now_us(self):
        return (self.clock.now_ns() - self.boot_ns) // 1000

    def heat(self, raw, thermistor=400, status=0, torn=0):
        """A heat packet of a frame that was made between 30 ms and 10 ms ago."""
        now_us = self.now_us()
        pixels = np.asarray(raw).astype("<i2").tobytes()
        packet = core.heat_packet(self.sequence, now_us - 30_000, now_us - 10_000, status, torn, thermistor, pixels)
        self.sequence += 1
        return packet

    def tick(self, sensor, count=1, late_ns=1_200_000, *packets):
        """So many polls' worth: the board's clock and, first, packets; they arrive late. What came of it."""
        heatmaps = []
        for number in range(count):
            self.send(core.clock_packet(self.now_us()) + (b"".join(packets) if number == 0 else b""))
            self.clock.advance(late_ns)
            heatmaps += sensor.poll()
            self.clock.advance(TICK_NS - late_ns)
        return heatmaps

    def frame(self, sensor, raw, count=4, **options):
        """A frame, and the polls until the next."""
        return self.tick(sensor, count, 1_200_000, self.heat(raw, **options))

    def pull(self):
        if not self._pulled.is_set():
            self._pulled.set()
            self._answering.join()
            os.close(self.slave)
            os.close(self.master)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(port, "_WAIT_S", 0.02)


@pytest.fixture
def cable(clock):
    cable = Cable(clock)
    yield cable
    cable.pull()


@pytest.fixture
def mute_cable(cable, monkeypatch):
    """A board that does not answer, which costs no second."""
    monkeypatch.setattr(mcu, "_HELLO_READS", 2)
    cable.hello = None
    return cable


@pytest.fixture
def sensor(cable, clock):
    """Open, and its clock matched."""
    with MCUSensor(cable.port, clock) as sensor:
        sensor.poll()
        cable.tick(sensor, 12)
        assert sensor.take_events() == []
        yield sensor


def some_frame(seed):
    random = np.random.default_rng(seed)
    return random.integers(-2048, 2048, (8, 8)).astype(np.int16)


@pytest.mark.parametrize("raw", [some_frame(1), some_frame(2), np.zeros((8, 8)), np.full((8, 8), -2048)])
@pytest.mark.parametrize("thermistor", [-2047, -187, 0, 2047])
def test_a_frame_comes_back_exactly(cable, sensor, raw, thermistor):
    (heatmap,) = cable.frame(sensor, raw, thermistor=thermistor)
    assert heatmap.raw.dtype == np.int16
    assert heatmap.raw.shape == (8, 8)
    assert np.array_equal(heatmap.raw, raw)
    assert heatmap.thermistor_raw == thermistor
    assert sensor.take_events() == []


def test_the_stamps_are_the_boards_bounds_in_our_time(cable, sensor, clock):
    for _ in range(20):
        sent_ns = clock.now_ns()
        (heatmap,) = cable.frame(sensor, some_frame(0))
        # late by the packets' least time, which nothing tells from the clocks' distance
        assert heatmap.earliest_ns - (sent_ns - 30_000_000) == pytest.approx(1_200_000, abs=10_000)
        assert heatmap.latest_ns - (sent_ns - 10_000_000) == pytest.approx(1_200_000, abs=10_000)
        assert heatmap.timestamp_ns == (heatmap.earliest_ns + heatmap.latest_ns) // 2


def test_packets_that_waited_three_seconds_keep_their_stamps(cable, sensor, clock):
    cable.frame(sensor, some_frame(0))
    sent = []
    for _ in range(10):
        sent.append(clock.now_ns())
        cable.send(core.clock_packet(cable.now_us()) + cable.heat(some_frame(1)))
        clock.advance(SECOND_NS // 10)
    clock.advance(2 * SECOND_NS)
    heatmaps = sensor.poll()
    assert np.abs(np.array([h.latest_ns for h in heatmaps]) - np.array(sent) + 8_800_000).max() < 1_000_000
    assert [heatmap.sequence for heatmap in heatmaps] == list(range(1, 11))


def test_there_are_no_heatmaps_before_the_clocks_are_matched(cable, clock):
    with MCUSensor(cable.port, clock) as sensor:
        sensor.poll()
        assert cable.tick(sensor, 9, 80_000_000 // 4, cable.heat(some_frame(0))) == []
        assert cable.frame(sensor, some_frame(0)) == []
        assert [heatmap.sequence for heatmap in cable.frame(sensor, some_frame(0))] == [0]


def test_what_waited_before_the_first_poll_is_let_go(cable, clock):
    with MCUSensor(cable.port, clock) as sensor:
        for _ in range(20):
            cable.send(core.clock_packet(cable.now_us()) + cable.heat(some_frame(0)))
            clock.advance(SECOND_NS // 10)
        assert sensor.poll() == []
        cable.tick(sensor, 12)
        assert len(cable.frame(sensor, some_frame(0))) == 1


def test_half_a_packet_from_before_the_first_poll_spoils_no_other(cable, clock):
    cable.hello += cable.heat(some_frame(0))[:50]
    with MCUSensor(cable.port, clock) as sensor:
        sensor.poll()
        cable.tick(sensor, 12)
        assert sensor.take_events() == []


def test_the_sequence_goes_on_when_the_boards_sixteen_bits_wrap(cable, sensor):
    cable.sequence = 65_533
    numbers = [heatmap.sequence for k in range(6) for heatmap in cable.frame(sensor, some_frame(k))]
    assert numbers == list(range(6))


def test_a_frame_the_sensor_missed_and_one_lost_on_the_way_are_jumps(cable, sensor):
    numbers = []
    for k in range(8):
        if k in (2, 3, 6):  # lost on the way, or missed by the board: the same to us
            cable.heat(some_frame(k))
            cable.tick(sensor, 4)
        else:
            numbers += [heatmap.sequence for heatmap in cable.frame(sensor, some_frame(k))]
    assert numbers == [0, 1, 4, 5, 7]


def damage(packet, random):
    """A packet with something wrong in it."""
    data, at = bytearray(packet), int(random.integers(0, len(packet)))
    match random.integers(0, 7):
        case 0:
            data[at] ^= 1 << random.integers(0, 8)
        case 1:
            del data[at]
        case 2:
            data.insert(at, random.integers(0, 256))
        case 3:
            data[at] = (data[at] + random.integers(1, 256)) % 256
        case 4:
            del data[at:]
        case 5:
            del data[at : at + int(random.integers(1, 40))]
        case 6:
            for _ in range(3):
                data[random.integers(0, len(data))] ^= 1 << random.integers(0, 8)
    return bytes(data)


def test_of_three_hundred_damaged_packets_none_becomes_a_wrong_heatmap(cable, sensor, clock):
    random, sent, found = np.random.default_rng(11), {}, []
    for number in range(600):
        raw = some_frame(number)
        sent[number] = raw, clock.now_ns()
        packet = cable.heat(raw, thermistor=number)
        found += cable.tick(sensor, 4, 1_200_000, damage(packet, random) if number % 2 else packet)
    for heatmap in found:
        raw, sent_ns = sent[heatmap.sequence]
        assert np.array_equal(heatmap.raw, raw)
        assert heatmap.thermistor_raw == heatmap.sequence
        assert abs(heatmap.latest_ns - sent_ns + 8_800_000) < 100_000
    given = {heatmap.sequence for heatmap in found}
    assert {number for number in range(600) if number % 2 == 0} <= given  # nor does one harm its neighbours
    assert len(given) - 300 < 20  # damage to a zero between two packets is none
    events = sensor.take_events()
    assert {event.kind for event in events} == {"bus-error"} <= set(EVENT_KINDS)
    assert sensor.damaged_packets == len(events) >= 280


def test_of_four_hundred_damaged_messages_no_packet_but_some_lines_pass_for_good():
    """A flipped bit or a lost byte in each: what a long cable does."""
    random, silent = np.random.default_rng(4), {"packets": 0, "lines": 0}
    for number in range(400):
        raw, thermistor = random.integers(60, 140, (8, 8)).astype(np.int16), int(random.integers(300, 500))
        values = [*(raw.ravel() / 4), thermistor / 16]
        line = ",".join(f"{value:.2f}" for value in values).encode()
        packet = core.heat_packet(number, 10**9, 10**9 + 23_000, 0, 0, thermistor, raw.astype("<i2").tobytes())[1:-1]
        for kind, message in (("packets", packet), ("lines", line)):
            data, at = bytearray(message), int(random.integers(0, len(message)))
            if random.random() < 0.5:
                data[at] ^= 1 << random.integers(0, 8)
            else:
                del data[at]
            if kind == "lines":
                found = parse_line(bytes(data))
                good = found is None or (np.array_equal(found[0], raw) and found[1] == thermistor)
                silent[kind] += not good
            else:
                with suppress(ValueError):
                    silent[kind] += open_packet(bytes(data)) != open_packet(packet)
    assert silent == {"packets": 0, "lines": 113}


def test_values_no_sensor_gives_are_no_heatmap_whatever_their_crc(cable, sensor):
    for raw, thermistor in ((np.full((8, 8), 2048), 0), (np.full((8, 8), -2049), 0), (some_frame(0), 2048)):
        assert cable.frame(sensor, raw, thermistor=thermistor) == []
        assert "no such values" in sensor.take_events()[0].detail


def test_a_packet_of_another_time_or_given_before_is_no_heatmap(cable, sensor):
    now_us, pixels = cable.now_us(), some_frame(0).astype("<i2").tobytes()
    for earliest_us, latest_us in ((now_us - 5_000_000, now_us - 4_980_000), (now_us - 200_000, now_us - 1000)):
        assert cable.tick(sensor, 1, 1, core.heat_packet(0, earliest_us, latest_us, 0, 0, 0, pixels)) == []
        assert "not of now" in sensor.take_events()[0].detail
    packet = cable.heat(some_frame(0))
    assert len(cable.tick(sensor, 1, 1, packet, packet)) == 1
    assert "not later than the last" in sensor.take_events()[0].detail


def test_an_overflow_is_said_and_kept_with_the_frame(cable, sensor):
    (heatmap,) = cable.frame(sensor, some_frame(0), status=0x04, torn=2)
    assert heatmap.status == 0x04
    assert sensor.torn_reads == 2
    (event,) = sensor.take_events()
    assert (event.kind, event.detail) == ("overflow", "a pixel overflowed (STAT 0x04)")


def test_a_board_that_restarts_is_matched_anew_and_its_frames_numbered_on(cable, sensor, clock):
    before = cable.frame(sensor, some_frame(0))
    cable.boot_ns, cable.sequence = clock.now_ns() + SECOND_NS, 0
    clock.advance(2 * SECOND_NS)
    cable.send(core.hello_packet(**{**HELLO, "age_ms": 300}))
    assert cable.frame(sensor, some_frame(1)) == []  # not before its clock is known
    cable.tick(sensor, 10)
    start_ns = clock.now_ns()
    (after,) = cable.frame(sensor, some_frame(2))
    assert after.latest_ns == pytest.approx(start_ns - 8_800_000, abs=1_000_000)
    assert after.sequence - before[0].sequence == round((after.timestamp_ns - before[0].timestamp_ns) / 1e8)
    events = {event.kind: event.detail for event in sensor.take_events()}
    assert "clock jumped by -19.3 s" in events["bus-error"]
    assert "reset its sensor" in events["warming-up"]
    assert 12 * SECOND_NS < sensor.warm_ns - clock.now_ns() < 15 * SECOND_NS


def test_a_sensor_that_is_not_ready_is_not_said_to_be_reset_again_and_again(cable, sensor, clock):
    for _ in range(3):
        clock.advance(5 * SECOND_NS)
        cable.send(core.hello_packet(**{**HELLO, "age_ms": 0}))
        cable.frame(sensor, some_frame(0))
        assert sensor.warm_ns > clock.now_ns() + 14 * SECOND_NS
    assert sensor.take_events() == []


def test_a_program_that_restarts_on_a_board_that_does_not_is_numbered_on(cable, sensor):
    numbers = [heatmap.sequence for k in range(3) for heatmap in cable.frame(sensor, some_frame(k))]
    cable.sequence = 0
    cable.tick(sensor, 12)
    numbers += [heatmap.sequence for k in range(3) for heatmap in cable.frame(sensor, some_frame(k))]
    assert numbers == [0, 1, 2, 6, 7, 8]


def test_the_board_says_who_it_is_while_it_is_opened(cable, clock):
    cable.hello = core.hello_packet(**{**HELLO, "frames_per_second": 1, "address": 0x68, "moving_average": True})
    with MCUSensor(cable.port, clock) as sensor:
        assert sensor.board == Board(core.FIRMWARE, "e661", address=0x68, rate=1, average=True)
        assert sensor.frame_ns == SECOND_NS
        assert sensor.warm_ns == clock.now_ns() - 45 * SECOND_NS


def test_a_board_that_does_not_answer_is_taken_for_just_switched_on(mute_cable, clock):
    with MCUSensor(mute_cable.port, clock) as sensor:
        assert sensor.board is None
        assert sensor.warm_ns == clock.now_ns() + 15 * SECOND_NS
        sensor.poll()
        mute_cable.send(core.hello_packet(**HELLO))
        mute_cable.tick(sensor, 2)
        assert sensor.board is not None
        assert sensor.warm_ns < clock.now_ns()
        assert sensor.take_events() == []


def test_another_protocol_is_one_line_that_says_what_to_flash(cable, clock, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(core, "PROTOCOL", 2)
        cable.hello = core.hello_packet(**HELLO)
    with pytest.raises(RigError, match=r"protocol 2 and this lrt speaks 1; flash .*hardware/firmware") as caught:
        MCUSensor(cable.port, clock)
    assert "\n" not in str(caught.value)
    cable.hello = core.hello_packet(**HELLO)
    MCUSensor(cable.port, clock).close()  # the port was let go


@pytest.mark.parametrize(
    "packet", [core.packet(0x58, b"abc"), core.packet(0x48, b"short"), core.packet(0x49, b"\1" * 8)]
)
def test_a_packet_of_no_known_form_is_dropped_and_said(cable, sensor, packet):
    assert cable.tick(sensor, 1, 1, packet) == []
    assert [event.kind for event in sensor.take_events()] == ["bus-error"]


def test_errors_on_the_board_are_events(cable, sensor):
    cable.tick(sensor, 1, 1, core.error_packet(3, "[Errno 19] No such device"))
    (event,) = sensor.take_events()
    assert event.detail == "the board has met 3 errors, the last: [Errno 19] No such device"


def test_an_unplugged_board_is_said_in_one_line(cable, sensor):
    cable.pull()
    with pytest.raises(RigError, match=r"/dev/.* was lost .*check its plug") as caught:
        sensor.poll()
    assert "\n" not in str(caught.value)


def test_a_board_that_falls_silent_is_given_up_after_three_seconds_and_at_first_eight(cable, clock):
    with MCUSensor(cable.port, clock) as sensor:
        sensor.poll()
        clock.advance(7_900_000_000)
        assert sensor.poll() == []
        cable.tick(sensor, 4, 1, cable.heat(some_frame(0)))
        clock.advance(2_800_000_000)
        assert sensor.poll() == []
        clock.advance(200_000_000)
        with pytest.raises(RigError, match="no heatmap for 3 s; the board runs and sends other packets"):
            sensor.poll()


def test_slow_frames_are_waited_for_longer(cable, clock):
    cable.hello = core.hello_packet(**{**HELLO, "frames_per_second": 1})
    with MCUSensor(cable.port, clock) as sensor:
        sensor.poll()
        cable.tick(sensor, 1, 1, cable.heat(some_frame(0)))
        clock.advance(4_900_000_000)
        assert sensor.poll() == []
        clock.advance(200_000_000)
        with pytest.raises(RigError, match="no heatmap for 5 s"):
            sensor.poll()


def test_trouble_that_is_over_is_not_blamed(cable, sensor, clock):
    cable.tick(sensor, 1, 1, core.error_packet(1, "No such device"))
    cable.frame(sensor, some_frame(0))
    clock.advance(4 * SECOND_NS)
    with pytest.raises(RigError, match="the board runs and sends other packets"):
        sensor.poll()


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        (b"", "nothing comes; does the board run"),
        (b"\0garbage\0more\0", "no packets of our firmware"),
        (b"\0" + core.error_packet(4, "No such device"), r"not its sensor \(No such device\)"),
    ],
)
def test_silence_is_told_by_what_was_heard(mute_cable, clock, sent, complaint):
    with MCUSensor(mute_cable.port, clock) as sensor:
        sensor.poll()
        mute_cable.send(sent)
        clock.advance(8_100_000_000)
        with pytest.raises(RigError, match=complaint):
            sensor.poll()


def test_a_port_that_is_being_read_is_refused_in_one_line(cable, sensor, clock):
    for another in (MCUSensor, SerialSensor):
        with pytest.raises(RigError, match="being read by another program; stop that one") as caught:
            another(cable.port, clock)
        assert "\n" not in str(caught.value)
    assert len(cable.frame(sensor, some_frame(0))) == 1
    sensor.close()
    MCUSensor(cable.port, clock).close()


def test_a_port_that_is_not_there_is_named():
    with pytest.raises(RigError, match=r"/dev/ttyNONE cannot be opened .*plugged in"):
        MCUSensor("/dev/ttyNONE", SystemClock())


def test_the_board_and_this_driver_give_what_the_sensor_made(cable, sensor, clock, bus):
    """The firmware's reader on a bus of registers, over the cable; 1 ms late and, one in five, 15 ms more."""
    reader = core.Reader(bus, 0x69, cable.now_us, lambda s: clock.advance(round(s * 1e9)))
    random, heatmaps = np.random.default_rng(8), []
    end_ns = clock.now_ns() + 30 * SECOND_NS
    while clock.now_ns() < end_ns:
        due_ns = clock.now_ns() + TICK_NS
        frame = reader.poll()
        cable.send(core.clock_packet(cable.now_us()) + (core.heat_packet(*frame) if frame else b""))
        clock.advance(1_000_000 + (random.random() < 0.2) * int(random.integers(0, 15_000_000)))
        heatmaps += sensor.poll()
        clock.sleep_until(due_ns)
    first = next(k for k, made in enumerate(bus.frames) if np.array_equal(made, heatmaps[0].raw.ravel()))
    for heatmap, made in zip(heatmaps, bus.frames[first:], strict=False):
        assert np.array_equal(heatmap.raw.ravel(), made)
    assert [heatmap.sequence for heatmap in heatmaps] == list(range(len(heatmaps)))
    assert len(heatmaps) > 290
    table = np.array([(h.sequence, h.earliest_ns, h.latest_ns) for h in heatmaps])
    error_ns = fit_stamps(*table.T) - 1_000_000 - np.array(bus.made_ns[first : first + len(heatmaps)])
    assert np.percentile(np.abs(error_ns), 95) < 2e6


@settings(max_examples=200, database=None, derandomize=True, deadline=None)
@given(st.lists(st.one_of(st.just(b"\0"), st.binary(max_size=300))).map(b"".join))
def test_unstuffing_undoes_the_boards_stuffing(data):
    assert cobs_decode(core.cobs_encode(data)) == data


@settings(max_examples=300, database=None, derandomize=True, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_packet_or_are_refused(data):
    try:
        kind, protocol, fields = open_packet(data)
    except ValueError:
        return
    body = bytes((kind, protocol)) + fields
    assert cobs_decode(data) == body + struct.pack("<H", core.crc16(body))


def test_whatever_comes_between_packets_costs_no_frame_and_makes_none():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mcu, "_HELLO_READS", 0)
        patch.setattr(port, "_WAIT_S", 0.001)
        clock = VirtualClock(10**9)
        cable = Cable(clock)

        @settings(max_examples=40, database=None, derandomize=True, deadline=None)
        @given(st.lists(st.one_of(st.binary(max_size=400), st.binary(min_size=1, max_size=4).map(lambda b: b * 1500))))
        def check(garbage):
            with MCUSensor(cable.port, clock) as sensor:
                sensor.poll()
                cable.tick(sensor, 12)
                cable.frame(sensor, some_frame(0))
                found, start = [], cable.sequence
                for data in garbage:
                    for part in range(0, len(data), 1000):
                        cable.send(data[part : part + 1000])
                        sensor.poll()
                    found += cable.frame(sensor, some_frame(cable.sequence), thermistor=cable.sequence % 2000)
                assert [heatmap.thermistor_raw for heatmap in found] == [
                    (start + k) % 2000 for k in range(len(garbage))
                ]
                assert [heatmap.sequence for heatmap in found] == list(range(1, len(found) + 1))
                assert {event.kind for event in sensor.take_events()} <= {"bus-error"}

        check()
        cable.pull()
