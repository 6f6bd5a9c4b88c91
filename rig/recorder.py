"""Recording: everything the rig yields goes into a clip, and whatever is lost is said there.

Sensor and camera are polled each by its own task; what they give waits in an inbox for the one task that encodes and
writes. A card that stalls for half a second then costs no frame, and one that stalls for longer costs images, counted
and written as events; heatmaps are never let go.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .clip import LOG_NAME, ClipError, ClipHeader, ClipWriter
from .records import Event, Heatmap, Image, RigError
from .settings import Rig
from .sources import SILENCE_NS, SourceEnded
from .timing.clock import SECOND_NS, Task
from .timing.pairing import pair_nearest
from .timing.stamps import fit_stamps

_INBOX_BYTES = 64 * 1024 * 1024  # of images waiting: 2.4 s of 640x480 at 30/s; SD cards stall 10 to 500 ms
_WRITE_PERIOD_NS = 50_000_000
_PAIR_GAP_NS = 50_000_000  # a heatmap with no image nearer than half its own period has no pair


@dataclass(frozen=True)
class Progress:
    """How far a recording is."""

    seconds: float
    heatmaps: int
    images: int
    dropped: int


@dataclass(frozen=True)
class Recording:
    """What came of a recording.

    Attributes:
        dropped: images let go because the disk was too slow.
        missed: heatmaps that the sensor made and nobody read.
        torn: reads that mixed two frames; caught and repeated.
        pairs: heatmaps with an image at most 50 ms off.
        pair_error_ms_p50, pair_error_ms_p95: of those pairs, how far off; NaN without any.
        bytes: of the clip's log.
    """

    header: ClipHeader
    seconds: float
    heatmaps: int
    images: int
    events: int
    dropped: int
    missed: int
    torn: int
    pairs: int
    pair_error_ms_p50: float
    pair_error_ms_p95: float
    bytes: int


def record(
    rig: Rig,
    writer: ClipWriter,
    seconds: float | None,
    stop: threading.Event,
    on_progress: Callable[[Progress], None] | None = None,
) -> Recording:
    """Record until the time is over, `stop` is set, Ctrl-C, or a video file's end; then finish the clip.

    Args:
        rig: open.
        writer: open and empty; finished here, except after an error, when its own `with` block does what can be done.
        seconds: of the rig's clock; None: until stopped.
        stop: may be set from a signal handler or another thread.
        on_progress: called about once a second, from the writing thread.

    Raises:
        RigError: a device fell silent or was unplugged; what came before is in the clip.
        ClipError: the disk refused.
    """
    desk = _Desk(rig, writer, on_progress)
    tasks = [
        Task("thermal", rig.thermal.poll_period_ns, desk.poll_thermal),
        Task("camera", rig.camera.poll_period_ns, desk.poll_camera),
        Task("writer", _WRITE_PERIOD_NS, desk.write_waiting),
    ]
    try:
        rig.clock.run(tasks, seconds, stop)
        ended = "stopped" if stop.is_set() else f"after {seconds:g} s"
    except SourceEnded as error:
        ended = str(error)
    except KeyboardInterrupt:
        ended = "Ctrl-C"
    except ClipError:
        raise
    except BaseException:
        desk.write_waiting()
        raise
    desk.write_waiting()
    return desk.conclude(writer.finish(ended))


class _Desk:
    """Where sources lay down what they have and the writer takes it up."""

    def __init__(self, rig: Rig, writer: ClipWriter, on_progress: Callable[[Progress], None] | None) -> None:
        self._rig, self._writer, self._on_progress = rig, writer, on_progress
        self._lock = threading.Lock()
        self._inbox: list[Heatmap | Image | Event] = []
        self._image_bytes = 0  # in the inbox
        self._dropped = self._dropped_said = 0
        self._start_ns = self._told_ns = self._seen_ns = rig.clock.now_ns()
        self._last: dict[type, int] = {}  # the last sequence number of heatmaps and of images
        self._bounds: list[tuple[int, int, int]] = []  # sequence, earliest, latest of every heatmap
        self._image_ns: list[int] = []
        self._events = 0
        if rig.thermal.warm_ns > self._start_ns:
            settled_s = (rig.thermal.warm_ns - self._start_ns) / SECOND_NS
            self._say("warming-up", f"The sensor was reset just now; its readings settle within {settled_s:.0f} s.")

    def poll_thermal(self) -> None:
        """Take what the sensor has."""
        heatmaps = self._rig.thermal.poll()
        faults = self._rig.thermal.take_faults()
        with self._lock:
            self._inbox += heatmaps
        for fault in faults:
            self._say("bus-error", fault)

    def poll_camera(self) -> None:
        """Take what the camera has, as long as there is room.

        Raises:
            RigError: it has had nothing for 3 s. (A sensor knows its own silence, a camera's driver often does not.)
        """
        images = self._rig.camera.poll()
        now_ns = self._rig.clock.now_ns()
        if images:
            self._seen_ns = now_ns
        elif now_ns - self._seen_ns > SILENCE_NS:
            raise RigError("the camera has given no image for 3 s; check its cable")
        for image in images:
            with self._lock:
                if self._image_bytes + image.pixels.nbytes > _INBOX_BYTES:
                    self._dropped += 1
                else:
                    self._inbox.append(image)
                    self._image_bytes += image.pixels.nbytes

    def write_waiting(self) -> None:
        """Write all that waits."""
        with self._lock:
            waiting, self._inbox = self._inbox, []
            dropped = self._dropped
        if dropped > self._dropped_said:
            self._write_event("dropped", f"{dropped - self._dropped_said} images dropped: the disk was too slow.")
            self._dropped_said = dropped
        for item in waiting:
            if isinstance(item, Heatmap):
                self._note_gap(item, "thermal-gap", "heatmaps missed")
                self._writer.write_heatmap(item)
                self._bounds.append((item.sequence, item.earliest_ns, item.latest_ns))
            elif isinstance(item, Image):
                self._note_gap(item, "image-gap", "images missing")
                self._writer.write_image(item)
                self._image_ns.append(item.timestamp_ns)
                with self._lock:
                    self._image_bytes -= item.pixels.nbytes
            else:
                self._writer.write_event(item)
                self._events += 1
        now_ns = self._rig.clock.now_ns()
        if self._on_progress is not None and now_ns - self._told_ns >= SECOND_NS:
            self._told_ns = now_ns
            seconds = (now_ns - self._start_ns) / SECOND_NS
            self._on_progress(Progress(seconds, len(self._bounds), len(self._image_ns), dropped))

    def conclude(self, header: ClipHeader) -> Recording:
        """Count what was written."""
        sequence, earliest_ns, latest_ns = np.array(self._bounds, np.int64).reshape(-1, 3).T
        heat_ns = fit_stamps(sequence, earliest_ns, latest_ns)
        _, _, error_ns = pair_nearest(heat_ns, np.sort(np.array(self._image_ns, np.int64)), _PAIR_GAP_NS)
        error_ms = np.abs(error_ns) / 1e6
        p50, p95 = np.percentile(error_ms, (50, 95)) if error_ms.size else (np.nan, np.nan)
        return Recording(
            header=header,
            seconds=(self._rig.clock.now_ns() - self._start_ns) / SECOND_NS,
            heatmaps=len(sequence),
            images=len(self._image_ns),
            events=self._events,
            dropped=self._dropped,
            missed=int(sequence[-1] - sequence[0]) + 1 - len(sequence) if len(sequence) else 0,
            torn=getattr(self._rig.thermal, "torn_reads", 0),  # a serial line has none
            pairs=len(error_ns),
            pair_error_ms_p50=float(p50),
            pair_error_ms_p95=float(p95),
            bytes=(self._writer.folder / LOG_NAME).stat().st_size,
        )

    def _say(self, kind: str, detail: str) -> None:
        with self._lock:
            self._inbox.append(Event(self._rig.clock.now_ns(), kind, detail))

    def _note_gap(self, item: Heatmap | Image, kind: str, what: str) -> None:
        last = self._last.get(type(item))
        self._last[type(item)] = item.sequence
        if last is not None and item.sequence - last > 1:
            self._write_event(kind, f"{item.sequence - last - 1} {what} before number {item.sequence}.")

    def _write_event(self, kind: str, detail: str) -> None:
        self._writer.write_event(Event(self._rig.clock.now_ns(), kind, detail))
        self._events += 1
