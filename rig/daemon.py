"""The rig daemon: it owns the devices, keeps the last seconds, and records when it is asked to.

`lrt capture` asks through the door (rig/door.py); a page may call `handle` itself. Under systemd it tells that it is
ready and that it is alive, the latter only while heat and picture are both fresh: a rig that hangs is started anew.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from .clip import ClipError, ClipHeader, list_clips, recover_cut_clips
from .door import DaemonError, Door, Request
from .health import Watch
from .notify import notify
from .records import Heatmap, Jpeg, RigError
from .settings import Rig, RigSettings, TwinScene, open_rig
from .station import Station
from .sync_check import SECONDS, MotionWatch, as_settings
from .timing.clock import SECOND_NS

_FRESH_S = 1.0  # the watchdog is fed while both streams are younger
_JUDGE_EVERY = 5  # seconds
_TAGS = {"clip_id": str, "clothing": str, "lighting": str, "consent": str, "occupants": int}
_MORE_TAGS = {"room": str, "tags": list}  # may be left out
Admit = Callable[[ClipHeader, Path], tuple[ClipHeader, Sequence[str]]]
_AT_FIRST = TwinScene("red", "bright", 1)  # what the twin shows until a clip's tags say otherwise
WAVING = TwinScene("red", "bright", 1, script="wave")


class Daemon:
    """What the daemon does when it is asked; made by `open_daemon`.

    Args:
        rig: open.
        clips: the folder in which it keeps its clips.
        admit: given a clip's header and the folder, raises an `LrtError` for tags that are none and for a consent under
            which nothing may be recorded; gives the header to record with, and what to warn of.
        say: told, a line each, what a technician would want to know.

    Attributes:
        recordings: how many it has begun.
    """

    def __init__(self, rig: Rig, clips: Path, admit: Admit, say: Callable[[str], None]) -> None:
        self.rig, self.clips, self._admit, self._say = rig, clips.absolute(), admit, say
        self.station = Station(rig, rig.settings.record.preroll_s)
        self.watch = Watch(rig)
        self.station.listeners.append(self.watch.see)
        self.station.on_second = self._tell
        self.recordings = 0
        self._starting = threading.Lock()
        self._told, self._level = "", ""  # what was said last
        self._seconds = 0
        self._deeds: dict[str, Callable[[Request], dict[str, Any]]] = {
            "status": lambda _: self.status(),
            "check": lambda _: self.check(),
            "list": lambda _: {"clips": list(map(asdict, list_clips(self.clips))) if self.clips.is_dir() else []},
            "start": self._start,
            "stop": lambda request: self.stop(request.get("clip_id")),
            "sync": lambda request: self.sync(request.get("seconds", SECONDS)),
        }

    def run(self, stop: threading.Event) -> None:
        """Be at work until `stop` is set; then finish the clip at hand."""
        mending = threading.Thread(target=self._mend, name="lrt-mend", daemon=True)
        mending.start()
        notify("READY=1")
        try:
            self.station.run(stop)
        except BaseException as error:
            self.station.leave(error)
            raise
        notify("STOPPING=1")
        if self.station.recorder is not None:
            recording = self.station.stop("the rig daemon was stopped")
            self._say(f"{recording.clips[-1].name} finished: {recording.heatmaps} heatmaps, {recording.images} images")

    def handle(self, request: Request) -> dict[str, Any]:
        """Do what a request asks for.

        Args:
            request: `do`: status, check, list, start (with a clip's tags, and `seconds` or none), stop or sync.

        Returns:
            Values that `json.dumps(..., default=str)` can hold.

        Raises:
            LrtError: it is not understood, or refused; one line.
        """
        deed = self._deeds.get(request["do"])
        if deed is None:
            raise DaemonError(f"the rig daemon knows no '{request['do']}'; it knows {', '.join(self._deeds)}")
        return deed(request)

    def status(self) -> dict[str, Any]:
        """What it is doing, and whether all is well."""
        station, recorder = self.station, self.station.recorder
        outcome = station.outcome
        return {
            "synthetic": self.rig.synthetic,
            "rig": self.rig.settings.source,
            "clips": str(self.clips),
            "health": self.watch.judge(self.clips).level,
            "sensor_age_s": round(station.age_s(Heatmap), 3),
            "camera_age_s": round(station.age_s(Jpeg), 3),
            "sensor_problem": self.rig.thermal.problem,
            "camera_problem": self.rig.camera.problem,
            "recording": None
            if recorder is None
            else {
                "name": recorder.name,
                "clip_id": recorder.clip_id,
                "seconds": recorder.seconds,
                "heatmaps": recorder.heatmaps,
                "images": recorder.images,
                "dropped": recorder.dropped,
            },
            "last_error": str(outcome) if isinstance(outcome, Exception) else None,
        }

    def check(self) -> dict[str, Any]:
        """The health report of the last ten seconds."""
        return self.watch.judge(self.clips).as_dict()

    def stop(self, clip_id: str | None = None) -> dict[str, Any]:
        """End the recording, or fetch what came of one that ended by itself.

        Args:
            clip_id: which, as it was started; None: whichever.

        Raises:
            ClipError: there was none, or another, or the disk refused.
            RigError: it ended for want of a device.
        """
        return self.station.stop(clip_id=clip_id).summary()

    def sync(self, seconds: float) -> dict[str, Any]:
        """Watch somebody wave, and take the time offset over for the clips to come.

        Args:
            seconds: how long.

        Raises:
            ClipError: a clip is being recorded.
            RigError: the rig is not fit.
            SyncError: what was seen does not tell.
        """
        if type(seconds) not in (int, float) or not 1 <= seconds <= 600:
            raise DaemonError(f"sync: 'seconds' is {seconds!r}; give 1 to 600")
        with self._starting:
            self._refuse_busy()
            self._refuse_unfit()
            self.rig.show(WAVING)
            self.station.forget()
            watch = MotionWatch()
            self.station.listeners.append(watch.see)
            try:
                time.sleep(seconds)
            finally:
                self.station.listeners.remove(watch.see)
                self.rig.show(_AT_FIRST)
            sync = as_settings(watch.measure())
            self.rig.settings = replace(self.rig.settings, sync=sync)
        return {**asdict(sync), "rig": str(self.rig.settings.file or "")}

    def start(self, header: ClipHeader, seconds: float | None) -> Sequence[str]:
        """Begin a recording.

        Returns:
            What to warn of.

        Raises:
            LrtError: see `admit`.
            RigError: the rig is not fit to record.
            ClipError: see `Recorder`; or a clip is being recorded.
        """
        header, warnings = self._admit(replace(header, synthetic=self.rig.synthetic), self.clips)
        with self._starting:
            self._refuse_busy()
            self._refuse_unfit()
            if self.rig.twin is not None:
                self.rig.show(TwinScene(header.clothing, header.lighting, header.occupants, header.clip_id))
                self.station.forget()
            self.station.start(self.clips, header_of(self.rig, header), seconds)
            self.recordings += 1
        for warning in warnings:
            self._say(warning)
        return warnings

    def foresee(self, header: ClipHeader) -> Sequence[str]:
        """What would be warned of if this were recorded now, before a countdown.

        Raises:
            LrtError: what it would be refused for, as far as can be told.
        """
        _, warnings = self._admit(replace(header, synthetic=self.rig.synthetic), self.clips)
        self._refuse_busy()
        self._refuse_unfit()
        return warnings

    def _start(self, request: Request) -> dict[str, Any]:
        wanted = _TAGS | {name: kind for name, kind in _MORE_TAGS.items() if name in request}
        for name, kind in wanted.items():
            if type(request.get(name)) is not kind:
                raise DaemonError(f"start: '{name}' is {request.get(name)!r}; give it as {kind.__name__}")
        seconds = request.get("seconds")
        if seconds is not None and not (type(seconds) in (int, float) and 0 < seconds <= 24 * 3600):
            raise DaemonError(f"start: 'seconds' is {seconds!r}; give 0 to 86400, or leave it out")
        tags = {name: request[name] for name in wanted}
        warnings = self.start(ClipHeader(**tags, rig=self.rig.settings.as_dict()), seconds)
        return {**self.status(), "warnings": list(warnings)}

    def _refuse_busy(self) -> None:
        if self.station.recorder is not None:
            raise ClipError(f"clip {self.station.recorder.clip_id} is being recorded; stop that one first")

    def _refuse_unfit(self) -> None:
        for name, device, kind in (("sensor", self.rig.thermal, Heatmap), ("camera", self.rig.camera, Jpeg)):
            problem = device.problem
            if problem is None and not self._is_fresh(kind):
                problem = f"it has given nothing for {self.station.age_s(kind):.1f} s"
            if problem is not None:
                raise RigError(f"nothing can be recorded, for the {name} is not well: {problem}")

    def _is_fresh(self, kind: type) -> bool:
        frame_s = (self.rig.thermal.frame_ns if kind is Heatmap else self.rig.camera.frame_ns) / SECOND_NS
        return self.station.age_s(kind) < max(_FRESH_S, 2.5 * frame_s)

    def _tell(self) -> None:
        """Once a second, from the writing thread: so that a writer that hangs is noticed too."""
        if self._is_fresh(Heatmap) and self._is_fresh(Jpeg):
            notify("WATCHDOG=1")
        recorder = self.station.recorder
        problems = [device.problem for device in (self.rig.thermal, self.rig.camera) if device.problem]
        told = f"recording {recorder.clip_id}" if recorder else "; ".join(problems) or "ready to record"
        if recorder and problems:
            told += f", without {'; '.join(problems)}"
        notify(f"STATUS={told}")
        if told != self._told:
            self._told = told
            self._say(told)
        self._seconds += 1
        if self._seconds % _JUDGE_EVERY == 0:
            health = self.watch.judge(self.clips)
            if health.level != self._level:
                self._level = health.level
                self._say(f"health {health.level}{f': {health.advice}' if health.advice else ''}")

    def _mend(self) -> None:
        reports, refusals = recover_cut_clips(self.clips)
        for report in reports:
            self._say(f"{report.clip_id} was cut short; recovered {report.heatmaps} heatmaps, {report.images} images")
        for refusal in refusals:
            self._say(str(refusal))


def header_of(rig: Rig, header: ClipHeader) -> ClipHeader:
    """The header with what the rig knows of itself."""
    return replace(header, rig=rig.settings.as_dict(), synthetic=rig.synthetic, twin=rig.truth)


@contextmanager
def open_daemon(
    settings: RigSettings,
    clips: Path,
    socket: Path,
    admit: Admit,
    say: Callable[[str], None],
) -> Iterator[Daemon]:
    """The daemon, its door open and its devices too, as far as they are there; all closed at the end.

    Raises:
        DaemonError: another one runs.
    """
    with open_rig(settings, _AT_FIRST, live=True, patient=True) as rig:
        daemon = Daemon(rig, clips, admit, say)
        with Door(socket, daemon.handle):
            yield daemon
