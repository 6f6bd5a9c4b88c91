"""Pictures drawn from heat as it comes: the newest heatmap wins; older ones are let go and counted, never queued.

live = LiveDrawer(load_drawer("twin"), view.sample_heatmap, source)
for shown in draw_newest(heat_of_the_sensor, live):
    show(shown.drawn.picture)
"""

import threading
import time
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from .drawer import Drawer
from .mark import DRAWN, SYNTHETIC, encode_jpeg, encode_png
from .pictures import enlarge, label

LOOK_S = 0.2  # how long a wait for heat may keep somebody from being stopped
FIRST_S = 20.0  # a sensor is opened, and gives its first heatmap, within so long
WORD = "synthetic"  # seen on every picture
Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Heat:
    """One heatmap of a live sensor.

    Attributes:
        timestamp_ns: CLOCK_MONOTONIC, when it could first be read.
        celsius: (8, 8) float32, degC, upright as the camera would see the scene.
    """

    timestamp_ns: int
    celsius: np.ndarray


@dataclass(frozen=True, eq=False)
class Drawn:
    """One picture.

    Attributes:
        picture: (H, W, 3) uint8, RGB.
        heatmap: (h, w) float32, degC: what it was drawn from, cropped to the picture.
        ms: what cropping and drawing took.
    """

    picture: np.ndarray
    heatmap: np.ndarray
    ms: float


@dataclass(frozen=True, eq=False)
class Shown:
    """One picture of a live sensor.

    Attributes:
        heat: what it was drawn from.
        drawn: the picture.
        latency_ms: from the heatmap's time stamp to the picture, waiting included.
        dropped: heatmaps let go so far because another was being drawn.
    """

    heat: Heat
    drawn: Drawn
    latency_ms: float
    dropped: int


class LiveDrawer:
    """A drawer with a source picture and a crop: heat of the sensor in, picture out. For one thread at a time.

    Args:
        drawer: see `load_drawer`.
        crop: cuts (8, 8) degC, upright, to the (h, w) that the drawer takes: a calibration's `View.sample_heatmap`.
        source: (H, W, 3) uint8, RGB, of the drawer's size: who lends clothing and light.

    Raises:
        DrawingError: the source is of another size.
    """

    def __init__(self, drawer: Drawer, crop: Callable[[np.ndarray], np.ndarray], source: np.ndarray) -> None:
        self.drawer, self._crop = drawer, crop
        self.set_source(source)
        self.draw(np.full((8, 8), 20.0, np.float32))  # the first picture takes a runtime several times as long

    def set_source(self, source: np.ndarray) -> None:
        """Dress and light what is drawn from now on like another picture; arguments and errors as above."""
        self._z = self.drawer.code(source[None])

    def draw(self, celsius: np.ndarray) -> Drawn:
        """The picture of one heatmap.

        Args:
            celsius: (8, 8) float32, degC, upright.

        Raises:
            DrawingError: values that are no numbers.
        """
        began = time.perf_counter()
        heatmap = np.asarray(self._crop(np.asarray(celsius, np.float32)), np.float32)
        picture = self.drawer.picture(self._z, heatmap[None])[0]
        return Drawn(picture, heatmap, (time.perf_counter() - began) * 1e3)


class Newest(Generic[Item]):
    """A place for one item: what is put there replaces what nobody has taken yet. From any thread.

    Attributes:
        dropped: items that were replaced.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._there = threading.Condition()
        self._item: Item | None = None
        self._over = False
        self._failure: BaseException | None = None

    def put(self, item: Item) -> None:
        """Put an item there."""
        with self._there:
            self.dropped += self._item is not None
            self._item = item
            self._there.notify()

    def end(self, failure: BaseException | None = None) -> None:
        """Nothing more will come; `failure` is why, if something went wrong."""
        with self._there:
            self._over, self._failure = True, failure
            self._there.notify_all()

    @property
    def over(self) -> bool:
        """Whether nothing more will come, and nothing is left."""
        with self._there:
            return self._over and self._item is None

    def take(self, timeout_s: float | None = None) -> Item | None:
        """The newest item, waited for; None when none comes in that time, or ever.

        Raises:
            BaseException: the failure that ended it.
        """
        with self._there:
            self._there.wait_for(lambda: self._item is not None or self._over, timeout_s)
            item, self._item = self._item, None
            if item is None and self._failure is not None:
                raise self._failure
            return item


def draw_newest(
    heat: Iterable[Heat], live: LiveDrawer, stop: threading.Event | None = None, seconds: float | None = None
) -> Iterator[Shown]:
    """A picture of the newest heatmap, again and again, while heat comes.

    The heat is read by a thread of its own, so that a picture's time costs no heatmap its stamp.

    Args:
        heat: ends, or goes on until nobody asks any more; asked for from that thread.
        live: what draws.
        stop: ends it; set when it has ended, for `heat` to see.
        seconds: ends it so long after the first heatmap; FIRST_S later than that where none comes.

    Raises:
        Exception: what reading the heat raised.
    """
    stop = stop or threading.Event()
    newest: Newest[Heat] = Newest()

    def read() -> None:
        try:
            for one in heat:
                if stop.is_set():
                    break
                newest.put(one)
            if isinstance(heat, Generator):
                heat.close()  # here, where it was read: what it opened is closed
        except BaseException as error:
            newest.end(error)
        else:
            newest.end()

    reader = threading.Thread(target=read, name="heat", daemon=True)
    begun_ns, first = time.monotonic_ns(), True
    reader.start()
    try:
        while not (newest.over and not reader.is_alive()) and not stop.is_set():
            if seconds is not None and time.monotonic_ns() - begun_ns >= (seconds + FIRST_S * first) * 1e9:
                return
            one = newest.take(LOOK_S)
            if one is None:
                continue
            if first:
                begun_ns, first = time.monotonic_ns(), False
            drawn = live.draw(one.celsius)
            latency_ms = (time.monotonic_ns() - one.timestamp_ns) / 1e6
            yield Shown(one, drawn, latency_ms, newest.dropped)
    finally:
        stop.set()
        reader.join(5 * LOOK_S)  # before somebody closes the sensor under it


class Tally:
    """What a live sitting came to."""

    def __init__(self) -> None:
        self._latency_ms, self._drawing_ms = array("f"), array("f")
        self._first_ns = self._last_ns = 0
        self._dropped = 0

    def add(self, shown: Shown) -> None:
        """Count one picture."""
        self._last_ns = time.monotonic_ns()
        self._first_ns = self._first_ns or self._last_ns
        self._latency_ms.append(shown.latency_ms)
        self._drawing_ms.append(shown.drawn.ms)
        self._dropped = shown.dropped

    def summary(self) -> dict[str, float | int | None]:
        """pictures, dropped, seconds, fps, latency_ms_p50 and _p95, drawing_ms_p50; None for want of pictures."""
        count = len(self._latency_ms)
        seconds = (self._last_ns - self._first_ns) / 1e9

        def at(values: array, share: float) -> float | None:
            return round(float(np.quantile(np.asarray(values), share)), 2) if count else None

        return {
            "pictures": count,
            "dropped": self._dropped,
            "seconds": round(seconds, 2),
            "fps": round((count - 1) / seconds, 2) if seconds > 0 else None,
            "latency_ms_p50": at(self._latency_ms, 0.5),
            "latency_ms_p95": at(self._latency_ms, 0.95),
            "drawing_ms_p50": at(self._drawing_ms, 0.5),
        }


def encode_drawn(picture: np.ndarray, scale: int = 6, quality: int | None = None) -> bytes:
    """A drawn picture as a file that says so to eyes and to programs.

    Args:
        picture: (H, W, 3) uint8, RGB, as drawn.
        scale: every pixel becomes scale x scale, and the word stands in the lower left corner.
        quality: of a JPEG, 0 to 100; None: a PNG.
    """
    large = label(enlarge(picture, scale), WORD)
    if quality is None:
        return encode_png(large, SYNTHETIC, DRAWN)
    return encode_jpeg(large, SYNTHETIC, DRAWN, quality)
