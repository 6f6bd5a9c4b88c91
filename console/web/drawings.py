"""Live drawing for the page: heat goes to a child that draws, and its pictures go to whoever wants them.

One heatmap at a time is with the child; while it draws, newer ones replace each other, so that no picture is ever
behind by more than its own drawing. Nothing is drawn while nobody looks. The camera has no part in it.
"""

import asyncio
import base64
import binascii
import re
import struct
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import LrtError
from ...rig.jpeg import jpeg_size
from ...rig.records import QUARTER_C, Heatmap
from ...rig.settings import Rig
from ..drawing import list_models, list_sources
from .calibrations import IN_USE, Calibrations
from .child import Child
from .library import WHOLE, Library
from .refusals import RefusedError
from .streams import DRAWN, HEAT, Drawing, Streams

LARGEST_PICTURE = 4 * 1024 * 1024  # bytes of a source's file
_MOST_PIXELS = 4096  # along either side: a small file can claim a gigapixel
_MOST_PICTURES = 8  # of a visit are kept, in memory alone
_PNG = b"\x89PNG\r\n\x1a\n"
_RATE_OVER = 20  # pictures over which the rate is told


class Drawings:
    """What draws, and what it draws like. On the event loop, but for `tell`."""

    def __init__(self, rig: Rig, streams: Streams, library: Library, calibrations: Calibrations) -> None:
        self._rig, self._streams = rig, streams
        self._library, self._calibrations = library, calibrations
        self._pictures: OrderedDict[str, bytes] = OrderedDict()
        self._starting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._child: Child | None = None
        self._now: dict[str, Any] | None = None  # what is drawn, as the page's state has it
        self._error: str | None = None

    # -- what there is -----------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any] | None:
        """What is drawn now."""
        return self._now

    def tell(self) -> dict[str, Any]:
        """What can draw, and what it can draw like."""
        return {
            "models": [{name: each[name] for name in ("name", "says", "available", "why")} for each in self._models()],
            "sources": [{"name": name, "kind": kind} for name, (kind, _) in self._sources().items()],
            "drawing": self._now,
            "error": self._error,
        }

    def _models(self) -> list[dict[str, Any]]:
        return list_models(self._library.folder.parent / "runs")

    def _sources(self) -> dict[str, tuple[str, str]]:
        """{name: (kind, what the child calls it)}; of two with one name the first kind counts."""
        found = {name: ("picture", name) for name in reversed(self._pictures)}
        for each in self._library.shown():
            if each.summary.state in WHOLE and each.summary.occupants > 0:
                found.setdefault(each.summary.clip_id, ("clip", str(each.summary.folder)))
        for name in list_sources():
            found.setdefault(name, ("shipped", name))
        return found

    def add_picture(self, name: str, data: str) -> str:
        """Take a source picture over.

        Args:
            name: what its file is called.
            data: the file in base64.

        Returns:
            What it is called from now on.

        Raises:
            RefusedError: it is no PNG or JPEG file, or too large.
        """
        try:
            content = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            raise RefusedError("bad", "the picture did not arrive whole; choose it again") from None
        if len(content) > LARGEST_PICTURE:
            raise RefusedError("bad", f"the picture is larger than {LARGEST_PICTURE // 2**20} MB", 413)
        width, height = _picture_size(content)
        if not (1 <= width <= _MOST_PIXELS and 1 <= height <= _MOST_PIXELS):
            raise RefusedError("bad", f"the picture is {width}x{height}; {_MOST_PIXELS} px a side are the most")
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", name.rpartition("/")[2])[:40].strip("-.") or "picture"
        called, number = stem, 1
        while called in self._sources() and self._pictures.get(called) != content:
            number += 1
            called = f"{stem}-{number}"
        self._pictures[called] = content
        while len(self._pictures) > _MOST_PICTURES:
            self._pictures.popitem(last=False)
        return called

    # -- at work -----------------------------------------------------------------------------------------------------

    async def start(self, model: str, source: str, on_change: Callable[[], None]) -> None:
        """Draw like this from now on, instead of what was drawn before.

        Raises:
            RefusedError: there is no such model or source, or none that works here.
            LrtError: what the drawer says against it.
        """
        known = next((each for each in await asyncio.to_thread(self._models) if each["name"] == model), None)
        if known is None:
            raise RefusedError("missing", f"nothing that draws is called {model[:40]}")
        if not known["available"]:
            raise RefusedError("unfit", known["why"] or "it cannot draw on this computer")
        kind, place = (await asyncio.to_thread(self._sources)).get(source, ("", ""))
        if not kind:
            raise RefusedError("missing", f"there is no picture or clip called {source[:40]}")
        async with self._starting:
            await self.stop()
            self._error = None
            child = Child("lrt.console.web.worker")
            try:
                await child.start()
                asked = {"model": known["path"], "calibration": self._calibration(), "source": place}
                await child.send(asked, self._pictures[source] if kind == "picture" else b"")
                ready, _ = await child.receive()
            except BaseException:
                await child.close()
                raise
            self._child = child
            self._now = {
                "model": model,
                "source": source,
                "camera_shown": False,
                "runtime": ready["runtime"],
                "latency_ms": None,
                "fps": None,
                "dropped": 0,
            }
            self._task = asyncio.create_task(self._draw(child, on_change))

    async def stop(self) -> None:
        """Draw no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        child, self._child, self._now = self._child, None, None
        if child is not None:
            await child.close()

    def _calibration(self) -> str | None:
        """This rig's, for a real one; the twin is the rig that its runs were cut with."""
        path = self._library.folder.parent / IN_USE
        return str(path) if not self._rig.synthetic and self._calibrations.current() is not None else None

    async def _draw(self, child: Child, on_change: Callable[[], None]) -> None:
        done_s: deque[float] = deque(maxlen=_RATE_OVER)
        last: int | None = None
        try:
            with self._streams.listen(frozenset({HEAT})) as slot:
                while True:
                    heatmap: Heatmap = (await slot.take())[HEAT]
                    if not self._streams.wants(DRAWN):
                        last = None
                        continue
                    celsius = self._streams.upright(heatmap.raw) * np.float32(QUARTER_C)
                    await child.send({"heat": True}, celsius.astype("<f4").tobytes())
                    _, picture = await child.receive()
                    latency_ms = (self._rig.clock.now_ns() - heatmap.timestamp_ns) / 1e6
                    self._streams.lay(DRAWN, Drawing(heatmap.sequence, latency_ms, picture))
                    done_s.append(time.monotonic())
                    now = self._now
                    if now is not None:
                        missed = 0 if last is None else max(0, heatmap.sequence - last - 1)
                        fps = (len(done_s) - 1) / (done_s[-1] - done_s[0]) if len(done_s) > 1 else None
                        self._now = now | {
                            "latency_ms": round(latency_ms, 1),
                            "fps": fps and round(fps, 1),
                            "dropped": now["dropped"] + missed,
                        }
                    last = heatmap.sequence
        except LrtError as error:
            self._error, self._now, self._child, self._task = str(error), None, None, None
            await child.close()
            on_change()


def _picture_size(content: bytes) -> tuple[int, int]:
    """(width, height) of a PNG or JPEG file, from its header alone."""
    try:
        if content.startswith(_PNG):
            width, height = struct.unpack(">II", content[16:24])
            return width, height
        return jpeg_size(content)
    except (ValueError, struct.error):
        raise RefusedError("bad", "that is no PNG or JPEG picture") from None
