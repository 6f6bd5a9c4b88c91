"""Live drawing: the newest heatmap wins, the rest are counted, nothing waits in a queue."""

import threading
import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from lrt.model.drawer import About, Drawer, DrawingError
from lrt.model.live import Heat, LiveDrawer, Newest, Tally, draw_newest, encode_drawn


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
    """One that draws four times slower than heat comes: a quarter is drawn, each fresh, and all are accounted for."""
    live = LiveDrawer(Slow(0.08), crop, source(0))
    values = [float(value) for value in range(40)]
    shown = list(draw_newest(heats(values, 0.02), live))
    drawn = [float(one.heat.celsius[0, 0]) for one in shown]
    assert drawn == sorted(drawn)
    assert drawn[-1] == 39.0  # the last is never lost
    assert len(shown) + shown[-1].dropped == 40
    assert shown[-1].dropped > 10
    waits_ms = [one.latency_ms - one.drawn.ms for one in shown]
    assert np.median(waits_ms) < 60  # a queue's tenth picture would have waited 0.6 s


def test_one_that_draws_fast_enough_drops_nothing():
    shown = list(draw_newest(heats([20.0] * 10, 0.03), LiveDrawer(Slow(), crop, source(0))))
    assert len(shown) == 10
    assert shown[-1].dropped == 0


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
    assert len(list(draw_newest(endless(timed), live, timed, seconds=0.3))) > 3
    assert time.monotonic() - began < 3
    assert timed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "heat"]


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


def test_a_tally_says_rate_and_latency():
    assert Tally().summary()["latency_ms_p95"] is None
    tally = Tally()
    for shown in draw_newest(heats([20.0] * 12, 0.02), LiveDrawer(Slow(), crop, source(0))):
        tally.add(shown)
    found = tally.summary()
    assert found["pictures"] == 12
    assert found["dropped"] == 0
    assert 5 < found["fps"] <= 51
    assert 0 < found["latency_ms_p50"] <= found["latency_ms_p95"]


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
