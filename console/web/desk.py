"""The desk: a technician asks for a recording, counts down, stops it, and is told honestly what came of it."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from ... import LrtError
from ...dataset.quality import QualityRules
from ...rig.clip import ClipHeader, check_clip_id
from ...rig.daemon import Daemon
from ...rig.health import AMBER, GREEN, LEVELS, RED
from ...rig.recorder import Recording
from .asking import take, take_name, take_number, take_words
from .refusals import RefusedError
from .seat import Seat

LONGEST_COUNTDOWN_S, LONGEST_S = 10.0, 24 * 3600.0
_RULES = QualityRules()


@dataclass(frozen=True)
class Wish:
    """A recording as the page asks for it.

    Attributes:
        header: its tags.
        seconds: how long; None: until it is stopped.
        countdown_s: before it begins.
        phone: what the others are told, who records.
    """

    header: ClipHeader
    seconds: float | None
    countdown_s: float
    phone: str

    @classmethod
    def read(cls, body: dict[str, Any]) -> "Wish":
        """The wish in a request's JSON.

        Raises:
            RefusedError: a field is missing, of another kind, or out of its range.
            ClipError: an id, a room or a tag of other letters; no consent.
        """
        tags = {name: take(body, name, str) for name in ("clip_id", "clothing", "lighting", "consent")}
        header = ClipHeader(
            **tags,
            occupants=take(body, "occupants", int),
            room=take(body, "room", str, ""),
            tags=take_words(body, "tags", []),
            rig={},
        )
        check_clip_id(header.clip_id)
        if not 0 <= header.occupants <= 20:
            raise RefusedError("tags", f"occupants is {header.occupants}; give 0 to 20")
        seconds = take_number(body, "seconds", None, 1.0, LONGEST_S)
        countdown_s = take_number(body, "countdown_s", 0.0, 0.0, LONGEST_COUNTDOWN_S)
        return cls(header, seconds, countdown_s or 0.0, take_name(body))


@dataclass(eq=False)
class _Countdown:
    wish: Wish
    phone: str
    ends_s: float
    over: bool = False  # the recording is being begun
    task: asyncio.Task[None] | None = None


@dataclass(eq=False)
class Desk:
    """Recordings, begun and ended for phones. Used on the event loop, but for `look`.

    Attributes:
        last: what came of the last recording, as the page's state has it.
        before: the wish before, whose tags are proposed again.
    """

    daemon: Daemon
    seat: Seat
    last: dict[str, Any] | None = None
    before: Wish | None = None
    _countdown: _Countdown | None = None
    _mine: tuple[str, str] = ("", "")  # recording's name, phone
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _outcome: Any = None  # the last that was looked at
    _seen: ClipHeader | None = None  # of the recording under way

    @property
    def recording(self) -> bool:
        """Whether something is recorded, or counted down to."""
        return self._countdown is not None or self.daemon.station.recorder is not None

    async def record(self, phone: str, wish: Wish) -> list[str]:
        """Begin a recording, or the countdown to it; the phone takes the seat.

        Returns:
            What to warn of.

        Raises:
            RefusedError, LrtError: why not.
        """
        async with self._asking:
            if self._countdown is not None:
                raise RefusedError("busy", f"clip {self._countdown.wish.header.clip_id} is about to begin")
            if (recorder := self.daemon.station.recorder) is not None:
                raise RefusedError("busy", f"clip {recorder.clip_id} is being recorded; stop that one first")
            self.seat.take(phone, wish.phone, recording=False, by_force=False)
            self._refuse(wish.header)
            warnings = await asyncio.to_thread(self._foresee, wish.header)
            self.before = wish
            if wish.countdown_s:
                count = _Countdown(wish, phone, time.monotonic() + wish.countdown_s)
                self._countdown = count
                count.task = asyncio.create_task(self._begin_after(count))
            else:
                await self._begin(phone, wish)
            return warnings

    def _refuse(self, header: ClipHeader) -> None:
        clips = self.daemon.clips
        if (clips / header.clip_id).exists() or (clips / f"{header.clip_id}.partial").exists():
            raise RefusedError("exists", f"clip {header.clip_id} is there already; choose another id")
        if self.daemon.watch.minutes_left(clips) <= 0:
            raise RefusedError("full", "the disk is full: delete clips, or copy them away first")

    def _foresee(self, header: ClipHeader) -> list[str]:
        warnings = self.daemon.foresee(header)
        for found in self.daemon.check()["findings"]:
            if found["level"] == RED:
                raise RefusedError("unfit", f"nothing should be recorded like this: {found['says']}; {found['do']}")
        return list(warnings)

    async def _begin(self, phone: str, wish: Wish) -> None:
        self._mine = (wish.header.clip_id, phone)
        await asyncio.to_thread(self.daemon.start, wish.header, wish.seconds)

    async def _begin_after(self, count: _Countdown) -> None:
        await asyncio.sleep(max(0.0, count.ends_s - time.monotonic()))
        count.over = True
        try:
            await self._begin(count.phone, count.wish)
        except LrtError as error:  # the sensor was pulled out meanwhile, or the disk is full
            self.last = _say_error(count.wish.header.clip_id, error)
        finally:
            self._countdown = None

    async def stop(self, phone: str) -> dict[str, Any]:
        """End the recording, or the countdown.

        Returns:
            What was recorded; `cancelled` in a countdown.

        Raises:
            RefusedError: nothing is being recorded, or another phone records.
            LrtError: it had ended for want of a device, or the disk refused.
        """
        count = self._countdown
        if count is not None:
            self._refuse_others(phone, count.phone)
            if not count.over:
                self.cancel()
                return {"cancelled": True}
            if count.task is not None:  # too late to cancel: what begins is stopped at once
                await asyncio.wait({count.task})
        recorder = self.daemon.station.recorder
        if recorder is None:
            raise RefusedError("gone", "nothing is being recorded; it has ended already")
        if self._mine[0] == recorder.name:
            self._refuse_others(phone, self._mine[1])
        return await asyncio.to_thread(self.daemon.stop)

    def _refuse_others(self, phone: str, owner: str) -> None:
        if phone != owner and self.seat.holds(owner) and not self.seat.is_away():
            raise RefusedError("seat", "another phone is recording; only it can stop")

    def cancel(self) -> None:
        """The daemon ends: a countdown leads nowhere."""
        if self._countdown is not None and self._countdown.task is not None:
            self._countdown.task.cancel()
        self._countdown = None

    def look(self) -> str | None:
        """See whether a recording has ended, by itself or by the door too; its clip's id if so. From one thread."""
        station = self.daemon.station
        recorder, outcome = station.recorder, station.outcome
        if recorder is not None:
            self._seen = recorder.header
        if outcome is None or outcome is self._outcome:
            return None
        self._outcome = outcome
        if isinstance(outcome, Recording):
            self.last = judge_recording(outcome)
            return self.last["clip_id"]
        clip_id = self._seen.clip_id if self._seen is not None else self._mine[0]
        self.last = _say_error(clip_id, outcome)
        return clip_id if (self.daemon.clips / clip_id).is_dir() else None

    def learn_quality(self, clip_id: str, quality: dict[str, Any]) -> None:
        """A clip has been looked at: what the rules found counts for what is said of the last recording."""
        last = self.last
        if last is None or last["clip_id"] != clip_id or quality["level"] == GREEN:
            return
        level = max(last["level"], quality["level"], key=LEVELS.index)
        says = last["says"] if quality["says"] in last["says"] else f"{last['says']} {quality['says']}"
        self.last = last | {"level": level, "ok": level != RED, "says": says}

    def tell(self, phone: str, coverage: dict[str, Any] | None) -> dict[str, Any] | None:
        """The recording under way, as the page's state has it."""
        count, recorder = self._countdown, self.daemon.station.recorder
        if recorder is not None:
            header = recorder.header
            told = {
                "clip_id": recorder.clip_id,
                "name": recorder.name,
                "seconds": round(recorder.seconds, 2),
                "heatmaps": recorder.heatmaps,
                "images": recorder.images,
                "dropped": recorder.dropped,
                "until": None if recorder.until_ns is None else (recorder.until_ns - recorder.start_ns) / 1e9,
                "phase": "recording",
                "countdown_s": None,
                "by_me": self._mine == (recorder.name, phone),
            }
        elif count is not None:
            header = count.wish.header
            told = {
                "clip_id": header.clip_id,
                "name": header.clip_id,
                "seconds": 0.0,
                "heatmaps": 0,
                "images": 0,
                "dropped": 0,
                "until": count.wish.seconds,
                "phase": "countdown",
                "countdown_s": round(max(0.0, count.ends_s - time.monotonic()), 2),
                "by_me": count.phone == phone,
            }
        else:
            return None
        tags = {name: getattr(header, name) for name in ("clothing", "lighting", "occupants")}
        return told | tags | {"coverage": coverage}


def judge_recording(done: Recording) -> dict[str, Any]:
    """What came of a recording, in plain words; green only where hardly anything is missing.

    The thresholds are those that clips are held against for a dataset.
    """
    findings: list[tuple[str, str]] = []
    for missed, kept, what in ((done.missed, done.heatmaps, "heatmaps"), (done.lost_images, done.images, "pictures")):
        made = missed + kept
        share = missed / made if made else 1.0
        if not kept:
            findings.append((RED, f"There are no {what} in it."))
        elif share > _RULES.most_missing:
            level = RED if share > _RULES.most_broken else AMBER
            findings.append((level, f"{missed} of {made} {what} were missed."))
    if done.dropped:
        findings.append((AMBER, f"{done.dropped} pictures were let go: the disk was too slow."))
    if done.heatmaps and done.images:
        alone = 1 - done.pairs / done.heatmaps
        if alone > _RULES.most_unpaired:
            level = RED if alone > _RULES.most_broken else AMBER
            findings.append((level, f"{done.heatmaps - done.pairs} heatmaps have no picture near enough in time."))
        if done.heatmaps < _RULES.least_heatmaps:
            findings.append((AMBER, f"It is short: {done.heatmaps} heatmaps."))
    level = max((level for level, _ in findings), key=LEVELS.index, default=GREEN)
    head = {
        GREEN: f"Saved: {done.heatmaps} heatmaps, {done.images} pictures.",
        AMBER: "Saved, but look at it.",
        RED: "Saved, but of no use: record it again.",
    }[level]
    return {
        "clip_id": done.clips[-1].name,
        "ok": level != RED,
        "level": level,
        "says": " ".join([head, *(says for _, says in findings)]),
        "heatmaps": done.heatmaps,
        "images": done.images,
        "seconds": round(done.seconds, 2),
        "ended": done.ended,
    }


def _say_error(clip_id: str, error: Exception) -> dict[str, Any]:
    return {
        "clip_id": clip_id,
        "ok": False,
        "level": RED,
        "says": f"Not as it should be: {error}.",
        "heatmaps": 0,
        "images": 0,
        "seconds": 0.0,
        "ended": str(error),
    }
