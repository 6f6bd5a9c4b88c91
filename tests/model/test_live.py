"""Live drawing: the newest heatmap wins, the rest are counted, nothing waits in a queue."""

import threading
import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from lrt.model.drawer import About, Drawer, DrawingError
from lrt.model.live import Heat, LiveDrawer, Newest, Shown, Tally, draw_newest, encode_drawn


class Slow(Drawer):
    """Draws a flat picture as bright as the heatmap's first value, and takes its time."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.about = About("flat", (5, 8), 4, True, "", None)
        self.runtime = "none"
        self.seconds = seconds

    def _code(self, images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), -1)[:, :4].astype(np.float32)

    def _draw(self, z: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
        time.sleep(self.seconds)
        picture = np.empty((len(z), 40, 64, 3), np.float32)
        picture[:] = heatmaps[:, 0, 0, None, None, None] / 255
        picture[..., 2] = z[:, 0, None, None] / 255
        return picture


class Gated(Slow):
    """Draws only while it may, and says when it has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def _draw(self, z: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
        self.begun.set()
        self.go_on.wait(30)
        return super()._draw(z, heatmaps)


def crop(celsius: np.ndarray) -> np.ndarray:
    return celsius[2:7]


def source(blue: int) -> np.ndarray:
    return np.full((40, 64, 3), blue, np.uint8)


def heats(values: list[float], every_s: float = 0.0) -> Iterator[Heat]:
    for value in values:
        time.sleep(every_s)
        yield Heat(time.monotonic_ns(), np.full((8, 8), value, np.float32))


def test_a_picture_is_drawn_of_the_cropped_heat_and_the_newest_source():
    live = LiveDrawer(Slow(), crop, source(7))
    celsius = np.arange(64, dtype=np.float32).reshape(8, 8)
    drawn = live.draw(celsius)
    np.testing.assert_array_equal(drawn.heatmap, celsius[2:7])
    assert drawn.picture[0, 0].tolist() == [16, 16, 7]
    live.set_source(source(9))
    assert live.draw(celsius).picture[0, 0].tolist() == [16, 16, 9]
    assert drawn.ms >= 0


def test_what_cannot_be_drawn_is_refused_at_once():
    with pytest.raises(DrawingError, match="the picture is 128 x 96"):
        LiveDrawer(Slow(), crop, np.zeros((96, 128, 3), np.uint8))
    live = LiveDrawer(Slow(), crop, source(0))
    with pytest.raises(DrawingError, match="no numbers"):
        live.draw(np.full((8, 8), np.nan))


def test_the_newest_heatmap_is_drawn_and_those_before_it_are_counted():
    """37 that come while a picture is drawn are let go: the next is drawn of the newest, not of the oldest."""
    gated = Gated()
    live = LiveDrawer(gated, crop, source(0))
    gated.begun.clear()
    gated.go_on.clear()

    def burst() -> Iterator[Heat]:
        yield from heats([0.0])
        gated.begun.wait(30)
        yield from heats([float(value) for value in range(1, 39)])
        gated.go_on.set()  # asked for more: the last of them is in its place

    shown = list(draw_newest(burst(), live))
    assert [float(one.heat.celsius[0, 0]) for one in shown] == [0.0, 38.0]
    assert [one.dropped for one in shown] == [37, 37]  # counted when the picture is ready
    assert all(one.latency_ms >= one.drawn.ms for one in shown)


def test_one_that_draws_fast_enough_drops_nothing():
    asked = threading.Semaphore(1)

    def in_step() -> Iterator[Heat]:
        for _ in range(10):
            asked.acquire(timeout=30)
            yield from heats([20.0])

    count = 0
    for shown in draw_newest(in_step(), LiveDrawer(Slow(), crop, source(0))):
        count += 1
        assert shown.dropped == 0
        asked.release()
    assert count == 10


def test_a_failure_of_the_sensor_comes_through_after_what_was_there():
    def failing() -> Iterator[Heat]:
        yield from heats([20.0])
        time.sleep(0.2)
        raise OSError("unplugged")

    pictures = draw_newest(failing(), LiveDrawer(Slow(), crop, source(0)))
    assert next(pictures).heat.celsius[0, 0] == 20.0
    with pytest.raises(OSError, match="unplugged"):
        next(pictures)


def test_it_ends_when_it_is_told_to_and_takes_the_reader_along():
    def endless(stop: threading.Event) -> Iterator[Heat]:
        while not stop.is_set():
            yield from heats([20.0], 0.01)

    live = LiveDrawer(Slow(), crop, source(0))
    stop = threading.Event()
    for count, _ in enumerate(draw_newest(endless(stop), live, stop)):
        if count == 3:
            stop.set()
    began = time.monotonic()
    timed = threading.Event()
    assert list(draw_newest(endless(timed), live, timed, seconds=0.3))
    assert time.monotonic() - began < 20
    assert timed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "heat"]


def test_its_time_counts_from_the_first_heatmap(monkeypatch: pytest.MonkeyPatch):
    """A sensor that takes its time to open is not cut off; one that never gives anything is, after a while."""

    def late(stop: threading.Event) -> Iterator[Heat]:
        stop.wait(0.6)
        while not stop.is_set():
            yield from heats([20.0], 0.01)

    def silent(stop: threading.Event) -> Iterator[Heat]:
        stop.wait(30)
        yield from heats([])

    live = LiveDrawer(Slow(), crop, source(0))
    stop = threading.Event()
    assert list(draw_newest(late(stop), live, stop, seconds=0.3))
    monkeypatch.setattr("lrt.model.live.FIRST_S", 0.2)
    stop, began = threading.Event(), time.monotonic()
    assert list(draw_newest(silent(stop), live, stop, seconds=0.1)) == []
    assert time.monotonic() - began < 10


def test_a_place_for_the_newest_holds_one():
    newest: Newest[int] = Newest()
    assert newest.take(0.01) is None
    for item in range(5):
        newest.put(item)
    assert newest.take() == 4
    assert newest.dropped == 4
    newest.put(7)
    newest.end()
    assert not newest.over
    assert newest.take() == 7
    assert newest.over
    assert newest.take() is None


def test_a_tally_says_rate_and_latency(monkeypatch: pytest.MonkeyPatch):
    """11 pictures, one every 50 ms; latencies of 10, 20, ... 110 ms."""
    assert Tally().summary()["latency_ms_p95"] is None
    now_ns = iter(range(10**9, 2 * 10**9, 50_000_000))
    monkeypatch.setattr("lrt.model.live.time.monotonic_ns", lambda: next(now_ns))
    tally, live = Tally(), LiveDrawer(Slow(), crop, source(0))
    for number in range(11):
        celsius = np.full((8, 8), 20, np.float32)
        tally.add(Shown(Heat(0, celsius), live.draw(celsius), 10.0 * (number + 1), number // 4))
    found = tally.summary()
    assert found == {
        "pictures": 11,
        "dropped": 2,
        "seconds": 0.5,
        "fps": 20.0,
        "latency_ms_p50": 60.0,
        "latency_ms_p95": 105.0,
        "drawing_ms_p50": found["drawing_ms_p50"],
    }


def test_an_encoded_picture_says_what_it_is_to_eyes_and_to_programs():
    grey = np.full((40, 64, 3), 128, np.uint8)
    png = encode_drawn(grey, 6)
    assert b"trainedAlgorithmicMedia" in png
    decoded = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (240, 384, 3)
    corner, rest = decoded[-40:, :160], decoded[:-40]
    assert (rest == 128).all()
    assert corner.max() > 200  # letters
    assert (decoded != 128).any(axis=2).mean() < 0.06  # and they hide next to nothing
    jpeg = encode_drawn(grey, 6, quality=80)
    assert jpeg[:2] == b"\xff\xd8"
    assert b"trainedAlgorithmicMedia" in jpeg
