"""All parts of the console, and the state that every phone is told once a second and at every change."""

import asyncio
import secrets
import time
from pathlib import Path
from typing import Any

from ... import LrtError
from ...dataset.tags import DEFAULT, Vocabulary, find_vocabulary
from ...rig.daemon import Daemon
from ...rig.health import RED
from ...rig.records import Event, Heatmap, Jpeg
from ...rig.timing.clock import SECOND_NS
from .calibrations import Calibrations
from .coverage import Coverage
from .desk import Desk
from .drawings import Drawings
from .library import Library
from .seat import Seat
from .streams import NEWS, Streams

State = dict[str, Any]
_JUDGE_EVERY = 2  # states; health looks back ten seconds, and takes some ms
_FRESH_S = 0.2  # a state so young is not made again, however many ask


class Hub:
    """What the routes use.

    Args:
        daemon: at work.

    Attributes:
        server_id: another at every start, so that a page knows that it must look again.
        stopping: set, on the loop, when the daemon ends: streams end then.
    """

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.server_id = secrets.token_hex(8)
        self.streams, self.seat, self.coverage = Streams(daemon.rig), Seat(), Coverage()
        self.desk = Desk(daemon, self.seat)
        self.library = Library(daemon.clips, lambda: self.desk.recording, self._learn)
        self.calibrations = Calibrations(daemon.rig, self.library)
        self.drawings = Drawings(daemon.rig, self.streams, self.library, self.calibrations)
        self.stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._looking = asyncio.Lock()
        self._looked_s = 0.0
        self._state: State = {}
        self._health: State = {}
        self._told = 0
        self._covering = ""  # the recording whose coverage is kept

    # -- from the daemon's threads -----------------------------------------------------------------------------------

    def attach(self) -> None:
        """From now on take what the rig gives; on the loop."""
        self.streams.attach(asyncio.get_running_loop())
        self.daemon.station.watchers.append(self.streams.see)
        self.daemon.station.listeners.append(self._cover)

    def detach(self) -> None:
        """Take no more."""
        self.daemon.station.watchers.remove(self.streams.see)
        self.daemon.station.listeners.remove(self._cover)
        self.streams.attach(None)

    def _cover(self, record: Heatmap | Jpeg | Event) -> None:
        recorder = self.daemon.station.recorder
        if isinstance(record, Heatmap) and recorder is not None:
            if recorder.name != self._covering:
                self._covering = recorder.name
                self.coverage.begin()
            self.coverage.see(self.streams.upright(record.celsius), record.timestamp_ns)

    # -- on the loop -----------------------------------------------------------------------------------------------

    def change(self) -> None:
        """Have the state told now."""
        self._changed.set()

    async def keep_telling(self) -> None:
        """Once a second, and at every change, until cancelled: look, and hand the state to every socket."""
        while True:
            await self._refresh()
            self.seat.look(self.desk.recording)
            self.streams.lay(NEWS, self._state)
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), 1.0)
            except TimeoutError:
                continue

    async def keep_looking(self) -> None:
        """Have the rules look at every clip, one after the other, until cancelled."""
        while True:
            looked = await asyncio.to_thread(self.library.look_at_one)
            if looked:
                self.change()
            await asyncio.sleep(0.1 if looked else 1.0)

    async def close(self) -> None:
        """The daemon ends, and what runs beside it."""
        self.desk.cancel()
        await self.calibrations.cancel()
        await self.drawings.stop()

    async def fresh(self, phone: str) -> State:
        """The state of this moment, as a phone sees it."""
        if time.monotonic() - self._looked_s > _FRESH_S:
            await self._refresh()
        return self.personal(self._state, phone)

    async def _refresh(self) -> None:
        async with self._looking:  # from one thread at a time
            try:
                self._state = await asyncio.to_thread(self._look)
            except (LrtError, OSError) as error:  # a file beside the clips that cannot be read, a disk that is gone
                finding = {"what": "page", "level": RED, "says": str(error), "do": str(error)}
                health = {"level": RED, "advice": str(error), "findings": [finding]}
                self._state = {**self._state, "health": health}
            self._looked_s = time.monotonic()

    def personal(self, state: State, phone: str) -> State:
        """The state as a phone sees it: whose the seat and the recording are."""
        coverage = None
        if (recorder := self.daemon.station.recorder) is not None and recorder.name == self._covering:
            coverage = self.coverage.tell(recorder.header.occupants)
        return state | {
            "recording": self.desk.tell(phone, coverage),
            "last": self.desk.last,
            "seat": self.seat.tell(phone),
            "job": self.calibrations.job(),
            "drawing": self.drawings.state(),
        }

    # -- in a thread -----------------------------------------------------------------------------------------------

    def _look(self) -> State:
        daemon, rig = self.daemon, self.daemon.rig
        ended = self.desk.look()
        if ended is not None and (quality := self.library.quality_of(ended)) is not None:
            self.desk.learn_quality(ended, quality)
        if self._told % _JUDGE_EVERY == 0 or not self._health:
            self._health = daemon.check()
        self._told += 1
        station, settings = daemon.station, rig.settings
        vocabulary = self.vocabulary()
        return {
            "server_id": self.server_id,
            "rig": "twin" if rig.synthetic else "file",
            "synthetic": rig.synthetic,
            "clips_folder": daemon.clips.name,
            "vocabulary": {"clothing": list(vocabulary.clothing), "lighting": list(vocabulary.lighting)},
            "health": self._health,
            "sensor": {
                "age_s": round(station.age_s(Heatmap), 3),
                "problem": rig.thermal.problem,
                "shape": [8, 8],
                "rate": round(SECOND_NS / rig.thermal.frame_ns, 2),
            },
            "camera": {
                "age_s": round(station.age_s(Jpeg), 3),
                "problem": rig.camera.problem,
                "size": list(station.newest[Jpeg].size if Jpeg in station.newest else settings.camera.size),
            },
            "disk_minutes": round(daemon.watch.minutes_left(daemon.clips), 1),
            "calibration": self.calibrations.state(),
        }

    def vocabulary(self) -> Vocabulary:
        """What clips recorded here are tagged by."""
        return DEFAULT if self.daemon.rig.synthetic else find_vocabulary(self.clips)

    def _learn(self, clip_id: str, quality: State) -> None:
        self.desk.learn_quality(clip_id, quality)

    @property
    def clips(self) -> Path:
        """The folder of the clips."""
        return self.daemon.clips
