"""What sensor and camera give, to everyone who watches: the newest frame wins, and nobody's slowness is felt by others.

The threads that poll the devices lay a frame down and ring, without waiting for anything (`Streams.see`). An event loop
hands it on. Each watcher has a slot that holds the newest of each kind; while one is being sent, those that come
replace each other there. Nothing is queued but what the system's own buffers hold, and those are kept small
(server.py).
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ...rig.clip import orient
from ...rig.jpeg import decode_jpeg
from ...rig.records import Heatmap, Jpeg
from ...rig.settings import Rig
from .refusals import RefusedError

HEAT, CAMERA, DRAWN, NEWS = "heat", "camera", "drawn", "news"
MOST_SOCKETS, MOST_CAMERAS = 16, 4
WIDEST = 640  # px of the camera's stream
_FRAME_S = 1 / 15  # from one picture of the stream to the next, at least
_EARLY_S = 0.012  # so much sooner is soon enough: a camera of 15/s is passed through whole
_QUALITY = 80
_HEAT_KIND, _DRAWN_KIND = 1, 2
BOUNDARY = "frame"


@dataclass(frozen=True, eq=False)
class Drawing:
    """A drawn picture.

    Attributes:
        sequence: of the heatmap that it was drawn from.
        latency_ms: from that heatmap to the picture.
        data: a PNG or JPEG file, marked synthetic.
    """

    sequence: int
    latency_ms: float
    data: bytes


class Slot:
    """What one watcher has not been sent yet: the newest of each kind it wants. Used on the loop alone."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self.wanted = wanted
        self._waiting: dict[str, Any] = {}
        self._rung = asyncio.Event()

    def offer(self, kind: str, frame: Any) -> None:
        """Lay a frame down, over the one of its kind that waits."""
        if kind in self.wanted:
            self._waiting[kind] = frame
            self._rung.set()

    async def take(self) -> dict[str, Any]:
        """Everything that waits, as soon as there is something."""
        await self._rung.wait()
        self._rung.clear()
        waiting, self._waiting = self._waiting, {}
        return waiting


class Streams:
    """The newest of everything, and who watches."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._newest: dict[str, Any] = {}
        self._handed: dict[str, Any] = {}
        self._slots: set[Slot] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ringing = False
        self._small: tuple[Jpeg, bytes] | None = None
        self.places = {"sockets": MOST_SOCKETS, "cameras": MOST_CAMERAS}

    # -- from any thread -------------------------------------------------------------------------------------------

    def see(self, record: Heatmap | Jpeg) -> None:
        """Take a record of the station's: called by the threads that poll the devices, so nothing here waits."""
        self.lay(HEAT if isinstance(record, Heatmap) else CAMERA, record)

    def lay(self, kind: str, frame: Any) -> None:
        """Have a frame handed to everyone who wants its kind."""
        self._newest[kind] = frame
        loop = self._loop
        if loop is None or self._ringing:
            return
        self._ringing = True
        try:
            loop.call_soon_threadsafe(self._hand_out)
        except RuntimeError:  # the loop has just been closed: nobody watches any more
            self._loop = None

    def newest(self, kind: str) -> Any:
        """The newest frame of a kind; None before the first."""
        return self._newest.get(kind)

    # -- on the loop -----------------------------------------------------------------------------------------------

    def attach(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """From now on frames are handed out on this loop; None: nowhere."""
        self._loop, self._ringing = loop, False

    def _hand_out(self) -> None:
        self._ringing = False  # before looking: what comes from now on rings again
        for kind, frame in list(self._newest.items()):
            if self._handed.get(kind) is not frame:
                self._handed[kind] = frame
                for slot in self._slots:
                    slot.offer(kind, frame)

    @contextmanager
    def watch(self, place: str, wanted: frozenset[str]) -> Iterator[Slot]:
        """A slot, for as long as the watcher is there.

        Args:
            place: "sockets" or "cameras".

        Raises:
            RefusedError: too many watch.
        """
        if not self.places[place]:
            most = {"sockets": MOST_SOCKETS, "cameras": MOST_CAMERAS}[place]
            raise RefusedError("rate", f"{most} watch already; close the page on another phone", 503)
        self.places[place] -= 1
        try:
            with self.listen(wanted) as slot:
                yield slot
        finally:
            self.places[place] += 1

    @contextmanager
    def listen(self, wanted: frozenset[str]) -> Iterator[Slot]:
        """A slot for a part of the console's own; it takes no watcher's place."""
        slot = Slot(wanted)
        self._slots.add(slot)
        try:
            yield slot
        finally:
            self._slots.discard(slot)

    def wants(self, kind: str) -> bool:
        """Whether anybody watches frames of a kind."""
        return any(kind in slot.wanted for slot in self._slots)

    def pack_heat(self, heatmap: Heatmap) -> bytes:
        """A heatmap as the page reads it: kind, sequence, age in ms, then quarter-degrees, upright."""
        age_ms = (self._rig.clock.now_ns() - heatmap.timestamp_ns) / 1e6
        head = struct.pack("<B3xId", _HEAT_KIND, heatmap.sequence & 0xFFFFFFFF, age_ms)
        return head + self.upright(heatmap.raw).astype("<i2").tobytes()

    def upright(self, raw: np.ndarray) -> np.ndarray:
        """(..., 8, 8) heat as the camera sees the scene."""
        sensor = self._rig.settings.sensor
        return np.ascontiguousarray(orient(raw, sensor.rotation, sensor.mirror))

    async def picture(self, jpeg: Jpeg) -> bytes:
        """An image as a JPEG no wider than the stream's; made once, whoever asks."""
        if jpeg.size[0] <= WIDEST:
            return jpeg.data
        if self._small is None or self._small[0] is not jpeg:
            self._small = (jpeg, await asyncio.to_thread(shrink, jpeg.data, jpeg.size[0], WIDEST))
        return self._small[1]

    async def film(self, slot: Slot) -> AsyncIterator[bytes]:
        """The camera's stream, multipart. Each part ends with the next one's boundary: browsers show it at once then.

        Every part tells when its image was taken, ns of the rig's clock.
        """
        loop = asyncio.get_running_loop()
        due_s = 0.0
        yield f"--{BOUNDARY}\r\n".encode()
        while True:
            jpeg: Jpeg = (await slot.take())[CAMERA]
            now_s = loop.time()
            if now_s < due_s - _EARLY_S:
                continue  # another one comes before this one would be missed
            due_s = max(due_s + _FRAME_S, now_s)
            data = await self.picture(jpeg)
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n"
            stamp = f"X-Timestamp-Ns: {jpeg.timestamp_ns}\r\n\r\n"
            yield (head + stamp).encode() + data + f"\r\n--{BOUNDARY}\r\n".encode()


def pack_drawing(drawing: Drawing) -> bytes:
    """A drawn picture as the page reads it: kind, sequence of its heatmap, latency in ms, then the file."""
    head = struct.pack("<B3xId", _DRAWN_KIND, drawing.sequence & 0xFFFFFFFF, drawing.latency_ms)
    return head + drawing.data


def shrink(data: bytes, width: int, widest: int) -> bytes:
    """A JPEG made no wider than so many px.

    Raises:
        ValueError: it is no picture that can be read.
    """
    if width <= widest:
        return data
    reduce = next((by for by in (8, 4, 2) if width // by >= widest), 1)
    pixels = decode_jpeg(data, reduce=reduce)
    height = max(1, round(pixels.shape[0] * widest / pixels.shape[1]))
    return pack_jpeg(cv2.resize(pixels, (widest, height), interpolation=cv2.INTER_AREA))


def pack_jpeg(pixels: np.ndarray, quality: int = _QUALITY) -> bytes:
    """(H, W, 3) uint8 RGB as a JPEG file."""
    return cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[
        1
    ].tobytes()
