"""The rig at work: its devices are polled, their newest records kept, and a recording is fed while there is one.

Sensor and camera are polled each by its own task; the camera's also compresses. What they give waits in an inbox for
the one task that writes. A card that stalls for seconds then costs no frame, and one that stalls for longer costs
images, counted and written as events; heatmaps are never let go.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .clip import ClipError, ClipHeader
from .computer import read_computer
from .jpeg import compress
from .recorder import Recorder, Recording
from .records import SENSOR_SHAPE, Event, Heatmap, Image, Jpeg, RigError
from .reopen import Reopening
from .settings import Rig
from .sources import SourceEnded
from .timing.clock import SECOND_NS, Task
from .timing.wall import WallClock

_INBOX_BYTES = 64 * 1024 * 1024  # of images waiting: 40 s of 640x480 at 30/s; SD cards stall 10 to 500 ms
_WRITE_PERIOD_NS = 50_000_000
_LATE_NS = 200_000_000  # what was made before a recording's end has arrived by then

Record = Heatmap | Jpeg | Event


@dataclass(frozen=True)
class Progress:
    """How far a recording is."""

    seconds: float
    heatmaps: int
    images: int
    dropped: int


class Station:
    """A rig at work. `run` runs it; everything else may be called from any thread meanwhile.

    Args:
        rig: open.
        preroll_s: so much of the past is kept while nothing is recorded, and a recording begins with it.

    Attributes:
        listeners: called with every record, from the writing thread: to be quick, and not to raise.
        watchers: called with every heatmap and image as it comes, before it waits for the writing thread, from the
            threads that poll: to be quicker still.
        on_second: called once a second from the writing thread.
        newest: the newest heatmap and the newest image, by their type.
        outcome: of the last recording: what came of it, or the error that ended it.
    """

    def __init__(self, rig: Rig, preroll_s: float = 0.0) -> None:
        self.rig = rig
        self.listeners: list[Callable[[Record], None]] = []
        self.watchers: list[Callable[[Heatmap | Jpeg], None]] = []
        self.on_second: Callable[[], None] = lambda: None
        self.newest: dict[type, Any] = {}
        self.outcome: Recording | Exception | None = None
        self._clock = rig.clock
        self._preroll_ns = round(preroll_s * SECOND_NS)
        self._kept: deque[Record] = deque()
        self._inbox_lock = threading.Lock()
        self._inbox: list[Record] = []
        self._inbox_bytes = 0
        self._dropped = 0  # images, not yet said
        self._desk = threading.RLock()  # who holds it reads and writes the recorder and what is kept
        self._recorder: Recorder | None = None
        self._recorded = threading.Event()  # a recording has ended
        self._over: SourceEnded | None = None  # a video file has come to its end
        self._heard_ns = {Heatmap: self._clock.now_ns(), Jpeg: self._clock.now_ns()}
        self._looked_ns = self._clock.now_ns()  # at the disk and the time of day
        self._glitches = np.zeros(SENSOR_SHAPE, bool)  # of the heatmap before
        self._wall = WallClock(self._clock)
        self._on_progress: Callable[[Progress], None] | None = None
        self._torn_before = 0
        self._troubles: tuple[str, ...] = ()  # of the computer, already said
        self._name, self._begun_ns = "", 0  # of the last recording: its first clip, and when it was asked for

    def run(self, stop: threading.Event, seconds: float | None = None) -> None:
        """Be at work until `stop` is set, or for so long; a recording that is then under way stays to be stopped.

        Raises:
            Exception: a bug in one of the tasks, after all of them have ended.
        """
        self._clock.run(
            [
                Task("thermal", lambda: self.rig.thermal.poll_period_ns, self._poll_thermal),
                Task("camera", lambda: self.rig.camera.poll_period_ns, self._poll_camera),
                Task("writer", _WRITE_PERIOD_NS, self._write_waiting),
            ],
            seconds,
            stop,
        )

    # -- a recording -----------------------------------------------------------------------------------------------

    def start(
        self,
        root: Path,
        header: ClipHeader,
        seconds: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Begin a recording, with what was kept from before.

        Args:
            root: the folder of clips.
            header: the clip's tags and settings.
            seconds: how long, from now on; None: until `stop`.
            on_progress: called about once a second, from the writing thread.

        Raises:
            ClipError: there is one under way; or see `Recorder`.
        """
        with self._desk:
            if self._recorder is not None:
                raise ClipError(f"clip {self._recorder.clip_id} is being recorded; stop that one first")
            self._take_inbox()
            now_ns = self._clock.now_ns()
            start_ns = max(now_ns - self._preroll_ns, self._kept[0].timestamp_ns) if self._kept else now_ns
            recorder = Recorder(root, header, self._clock, self.rig.settings.record, start_ns, seconds)
            kept, self._kept = self._kept, deque()
            self._name, self._begun_ns = recorder.name, now_ns
            self._recorded.clear()
            self.outcome, self._on_progress = None, on_progress
            self._recorder = recorder
            self._torn_before = self._torn()
            warm_ns = self.rig.thermal.warm_ns
            if warm_ns > recorder.start_ns:
                settled_s = (warm_ns - now_ns) / SECOND_NS
                self._say("warming-up", f"The sensor has just been switched on; it settles within {settled_s:.0f} s.")
            self._note_time()
            for record in kept:
                self._write(record)
            self._sync()  # until the first second is over, a power cut would else cost the time before the button too

    def stop(self, ended: str = "stopped", clip_id: str | None = None) -> Recording:
        """End the recording, with all that has been taken until now.

        Args:
            ended: why, a phrase.
            clip_id: of which recording; None: whichever.

        Raises:
            ClipError: there is none, or another, or the disk refused.
            RigError: it had ended before, for want of a device; what came before is in the clip.
        """
        with self._desk:
            if clip_id not in (None, self._name):
                raise ClipError(f"clip {clip_id} is not what was recorded last")
            if self._recorder is not None:
                self._conclude(ended)
            return self.result()

    def result(self) -> Recording:
        """What came of the last recording.

        Raises:
            ClipError: there was none, or the disk refused.
            RigError: it ended for want of a device.
        """
        if isinstance(self.outcome, Recording):
            return self.outcome
        raise self.outcome or ClipError("nothing is being recorded")

    def leave(self, error: BaseException) -> None:
        """After an error of ours: keep what can be kept of the recording."""
        with self._desk:
            if self._recorder is not None:
                recorder, self._recorder = self._recorder, None
                recorder.leave(error)

    def forget(self) -> None:
        """Let go of what was kept from before: the twin shows something else now."""
        with self._desk:
            self._take_inbox()
            self._kept.clear()

    @property
    def recorder(self) -> Recorder | None:
        """The recording under way."""
        return self._recorder

    @property
    def recorded(self) -> threading.Event:
        """Set while no recording is under way that was begun."""
        return self._recorded

    def age_s(self, kind: type) -> float:
        """How long ago the last heatmap (Heatmap) or image (Jpeg) came, s."""
        return (self._clock.now_ns() - self._heard_ns[kind]) / SECOND_NS

    # -- the tasks -------------------------------------------------------------------------------------------------

    def _poll_thermal(self) -> None:
        for heatmap in self._ask(self.rig.thermal, Heatmap):
            glitches = heatmap.glitches
            if glitches.any() and not np.array_equal(glitches, self._glitches):
                where = ", ".join(f"({row}, {column})" for row, column in np.argwhere(glitches)[:4])
                self._lay(Event(heatmap.timestamp_ns, "glitch", f"{glitches.sum()} pixels no room has: {where}."))
            self._glitches = glitches
            self._show(heatmap)
            self._lay(heatmap)

    def _poll_camera(self) -> None:
        for image in self._ask(self.rig.camera, Jpeg):
            jpeg = compress(image) if isinstance(image, Image) else image
            self._show(jpeg)
            with self._inbox_lock:
                if self._inbox_bytes + len(jpeg.data) > _INBOX_BYTES:
                    self._dropped += 1
                    continue
                self._inbox_bytes += len(jpeg.data)
                self._inbox.append(jpeg)

    def _ask(self, device: Reopening[Any], kind: type) -> list[Any]:
        try:
            records = device.poll()
        except SourceEnded as ended:
            self._over = ended
            return []
        finally:
            for event in device.take_events():
                self._lay(event)
        if records:
            self._heard_ns[kind] = self._clock.now_ns()
        return records

    def _show(self, record: Heatmap | Jpeg) -> None:
        for watcher in list(self.watchers):
            watcher(record)

    def _lay(self, record: Record) -> None:
        with self._inbox_lock:
            self._inbox.append(record)

    def _write_waiting(self) -> None:
        with self._desk:
            self._take_inbox()
            now_ns = self._clock.now_ns()
            if now_ns - self._looked_ns >= SECOND_NS:
                self._looked_ns = now_ns
                self._look_about()
            self._end_when_due(now_ns)
            self._over = None

    # -- at the desk -----------------------------------------------------------------------------------------------

    def _take_inbox(self) -> None:
        with self._inbox_lock:
            waiting, self._inbox = self._inbox, []
            self._inbox_bytes = 0
            dropped, self._dropped = self._dropped, 0
        if dropped and self._recorder is not None:
            self._recorder.dropped += dropped
            self._say("dropped", f"{dropped} images dropped: the disk was too slow.")
        for record in waiting:
            self.newest[type(record)] = record
            for listener in list(self.listeners):
                listener(record)
            if self._recorder is not None:
                self._write(record)
            elif self._preroll_ns:
                self._kept.append(record)
        oldest_ns = self._clock.now_ns() - self._preroll_ns - _LATE_NS
        while self._kept and self._kept[0].timestamp_ns < oldest_ns:
            self._kept.popleft()

    def _write(self, record: Record) -> None:
        if self._recorder is None:  # the one before could not be written
            return
        try:
            self._recorder.write(record)
        except ClipError as error:
            self._fail(error)

    def _sync(self) -> None:
        if self._recorder is None:
            return
        try:
            self._recorder.sync()
        except ClipError as error:
            self._fail(error)

    def _say(self, kind: str, detail: str) -> None:
        self._write(Event(self._clock.now_ns(), kind, detail))

    def _look_about(self) -> None:
        """Once a second: the time of day, the computer, the disk, and whoever watches."""
        for kind, detail in self._wall.changes():
            self._say(kind, detail)
        troubles = read_computer().now
        if troubles and troubles != self._troubles:
            self._say("throttled", f"The computer says: {', '.join(troubles)}.")
        self._troubles = troubles
        self.on_second()
        recorder = self._recorder
        if recorder is None:
            return
        if recorder.disk_is_low():
            self._conclude(f"disk low: {self.rig.settings.record.reserve_mb} MB are kept in reserve")
        elif self._on_progress is not None:
            self._on_progress(Progress(recorder.seconds, recorder.heatmaps, recorder.images, recorder.dropped))

    def _end_when_due(self, now_ns: int) -> None:
        recorder = self._recorder
        if recorder is None:
            return
        patience_ns = round(self.rig.settings.record.patience_s * SECOND_NS)
        silent = [
            device
            for device, kind in ((self.rig.thermal, Heatmap), (self.rig.camera, Jpeg))
            if now_ns - max(self._heard_ns[kind], self._begun_ns) > patience_ns
        ]
        if recorder.until_ns is not None and now_ns >= recorder.until_ns + _LATE_NS:
            self._conclude(f"after {round(recorder.seconds, 1):g} s")
        elif self._over is not None:
            self._conclude(str(self._over))
        elif silent:
            device = silent[0]
            problem = device.problem or "check its cable"
            error = RigError(f"the {device.name} has given nothing for {patience_ns / SECOND_NS:.0f} s: {problem}")
            self._conclude(str(error), error)

    def _conclude(self, ended: str, error: RigError | None = None) -> None:
        self._take_inbox()  # what came while the last of it was being written
        recorder = self._recorder
        if recorder is None:  # it could not be written
            return
        self._note_time()
        try:
            recorder.note_ends({Heatmap: self.rig.thermal.frame_ns, Jpeg: self.rig.camera.frame_ns})
            if error is not None and not (recorder.heatmaps or recorder.images):
                recorder.leave(error)  # nothing came: nothing stays
                self.outcome = error
            else:
                recording = recorder.conclude(ended, self._torn() - self._torn_before)
                self.outcome = error or recording
        except ClipError as refused:
            self._fail(refused)
        self._recorder = None
        self._recorded.set()

    def _fail(self, error: ClipError) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.leave(error)
        self.outcome = error
        self._recorded.set()

    def _note_time(self) -> None:
        for kind, detail in self._wall.reading():
            self._say(kind, detail)

    def _torn(self) -> int:
        return self.rig.thermal.tell("torn_reads", 0)  # a serial line has none


def record(
    rig: Rig,
    root: Path,
    header: ClipHeader,
    seconds: float | None,
    stop: threading.Event,
    on_progress: Callable[[Progress], None] | None = None,
) -> Recording:
    """Record one clip until the time is over, `stop` is set, Ctrl-C, or a video file's end; then finish it.

    Args:
        rig: open.
        root: the folder of clips.
        header: the clip's tags and settings.
        seconds: of the rig's clock; None: until stopped.
        stop: may be set from a signal handler or another thread.
        on_progress: called about once a second, from the writing thread.

    Raises:
        RigError: a device fell silent and did not come back; what came before is in the clip.
        ClipError: the clip is there already, or the disk refused.
    """
    station = Station(rig)
    station.start(root, header, seconds, on_progress)

    class Stop(threading.Event):
        """Either of the two."""

        def is_set(self) -> bool:
            return stop.is_set() or station.recorded.is_set()

    try:
        station.run(Stop())
    except KeyboardInterrupt:
        return station.stop("Ctrl-C")
    except BaseException as error:
        station.leave(error)
        raise
    return station.stop()
