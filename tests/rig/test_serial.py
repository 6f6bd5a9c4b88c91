"""The authors' text lines, over a pseudo-terminal and the real pyserial."""

import os
import time
import tty

import numpy as np
import pytest

from lrt.rig.records import RigError
from lrt.rig.thermal.serial import SerialSensor, parse_line
from lrt.rig.timing.clock import SystemClock


class Board:
    """The other end of the cable."""

    def __init__(self):
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.port = os.ttyname(self.slave)

    def send(self, data):
        os.write(self.master, data)

    def unplug(self):
        os.close(self.slave)
        os.close(self.master)
        self.master = None


@pytest.fixture
def board():
    board = Board()
    yield board
    if board.master is not None:
        board.unplug()


def frame(seed=0):
    random = np.random.default_rng(seed)
    return random.integers(-80, 400, (8, 8)).astype(np.int16), int(random.integers(-320, 1600))


def line_of(raw, thermistor_raw):
    """As Arduino's print(float) writes it: two digits."""
    values = [*(raw.ravel() / 4), thermistor_raw / 16]
    return ",".join(f"{value:.2f}" for value in values).encode()


@pytest.fixture
def sensor(board):
    """Open and polled once: what came before would be let go."""
    with SerialSensor(board.port, SystemClock()) as sensor:
        sensor.poll()
        yield sensor


def read_all(sensor, want, seconds=2.0):
    heatmaps, deadline = [], time.monotonic() + seconds
    while len(heatmaps) < want and time.monotonic() < deadline:
        heatmaps += sensor.poll()
    return heatmaps


@pytest.mark.parametrize("seed", range(5))
def test_a_line_gives_back_the_registers(seed):
    raw, thermistor_raw = frame(seed)
    found = parse_line(line_of(raw, thermistor_raw) + b"\r")
    assert found is not None
    assert np.array_equal(found[0], raw)
    assert found[0].dtype == np.int16
    assert found[1] == thermistor_raw


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"20.25", b"20.30"),  # no quarter of a degree
        (b"20.25", b"101.00"),
        (b"20.25", b"-20.25"),
        (b"20.25", b"nan"),
        (b"20.25", b"inf"),
        (b"20.25", b"2\xb0.25"),
        (b"20.25", b""),
        (b",20.25", b""),  # 64 fields
        (b"20.25", b"20.25,20.25"),  # 66
        (b"27.06", b"27.03"),  # no sixteenth
    ],
)
def test_a_damaged_line_is_never_guessed_at(old, new):
    good = b",".join([b"21.00"] * 30 + [b"20.25"] + [b"22.75"] * 33 + [b"27.06"])
    assert parse_line(good) is not None
    assert parse_line(good.replace(old, new, 1)) is None


def test_frames_are_read_over_a_port_and_damage_is_counted(board, sensor):
    frames = [frame(seed) for seed in range(6)]
    lines = [line_of(*each) for each in frames]
    lines[2] = lines[2].replace(b".", b"", 1)
    board.send(b"5,20.25\r\n")  # the line that was under way when the port was opened
    for line in lines:
        board.send(line + b"\r\n")
        time.sleep(0.002)
    heatmaps = read_all(sensor, 5)
    assert [heatmap.sequence for heatmap in heatmaps] == [0, 1, 3, 4, 5]
    for heatmap in heatmaps:
        assert np.array_equal(heatmap.raw, frames[heatmap.sequence][0])
    assert sensor.damaged_lines == 1
    (event,) = sensor.take_events()
    assert event.kind == "bus-error"
    assert "damaged line" in event.detail
    assert heatmaps[0].timestamp_ns < event.timestamp_ns <= time.monotonic_ns()
    assert sensor.take_events() == []


def test_a_lost_line_end_costs_two_frames_and_two_numbers(board, sensor):
    board.send(b"\n" + line_of(*frame(0)) + b",0" + line_of(*frame(1)) + b"\n" + line_of(*frame(2)) + b"\n")
    assert [heatmap.sequence for heatmap in read_all(sensor, 1)] == [2]


def test_a_stamp_is_the_arrival_less_the_time_on_the_wire(board):
    clock = SystemClock()
    with SerialSensor(board.port, clock, baud=9600) as sensor:
        sensor.poll()
        line = line_of(*frame(0)) + b"\r\n"
        board.send(b"\n")
        before_ns = clock.now_ns()
        board.send(line)
        (heatmap,) = read_all(sensor, 1)
        after_ns = clock.now_ns()
    wire_ns = round(len(line) * 10 / 9600 * 1e9)
    assert before_ns - wire_ns <= heatmap.timestamp_ns <= after_ns - wire_ns
    assert heatmap.earliest_ns == heatmap.latest_ns == heatmap.timestamp_ns


def test_lines_that_waited_before_the_first_poll_are_let_go_for_nobody_knows_their_time(board):
    with SerialSensor(board.port, SystemClock()) as sensor:
        lines = b"\n" + (line_of(*frame(0)) + b"\n") * 5
        board.send(lines)
        while sensor._port.in_waiting < len(lines):
            time.sleep(0.001)
        assert sensor.poll() == []
        board.send(b"\n" + line_of(*frame(1)) + b"\n")
        (heatmap,) = read_all(sensor, 1)
    assert np.array_equal(heatmap.raw, frame(1)[0])


def test_a_port_that_is_not_there_is_named():
    with pytest.raises(RigError, match=r"/dev/ttyNONE cannot be opened .*plugged in") as caught:
        SerialSensor("/dev/ttyNONE", SystemClock())
    assert "\n" not in str(caught.value)


def test_an_unplugged_board_is_said_in_one_line(board, sensor):
    board.unplug()
    with pytest.raises(RigError, match="was lost"):
        read_all(sensor, 1)


def test_a_port_that_is_being_read_is_refused_in_one_line(board, sensor):
    with pytest.raises(RigError, match="being read by another program") as caught:
        SerialSensor(board.port, SystemClock())
    assert "\n" not in str(caught.value)
    board.send(b"\n" + line_of(*frame()) + b"\n")
    assert len(read_all(sensor, 1)) == 1


def test_a_silent_board_is_said_after_three_seconds(board, clock):
    with SerialSensor(board.port, clock) as sensor:
        clock.advance(60_000_000_000)  # the camera was slow to open
        assert sensor.poll() == []
        clock.advance(7_900_000_000)  # it may be booting
        assert sensor.poll() == []
        board.send(b"\n" + line_of(*frame()) + b"\n")
        assert len(read_all(sensor, 1)) == 1
        clock.advance(2_900_000_000)
        assert sensor.poll() == []
        clock.advance(200_000_000)
        with pytest.raises(RigError, match="no heatmap for 3 s; does the board run, at this baud"):
            sensor.poll()


def test_noise_without_an_end_of_line_does_not_pile_up(board, sensor):
    board.send(b"\n")
    for _ in range(5):
        board.send(b"\x00" * 1000)
        sensor.poll()
    while not (events := sensor.take_events()):
        sensor.poll()
    assert "without an end" in events[0].detail
    board.send(b"\n" + line_of(*frame()) + b"\n")
    assert len(read_all(sensor, 1)) == 1
