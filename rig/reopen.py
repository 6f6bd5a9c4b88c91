"""A device that is opened again when it is lost: a pulled plug costs the frames until it is back, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, TypeVar

from .records import Event, Heatmap, Image, Jpeg, RigError
from .sources import SILENCE_NS, WARM_UP_NS, Camera, Device, Sensor, SourceEnded
from .timing.clock import SECOND_NS, Clock

_FIRST_WAIT_NS, _LONGEST_WAIT_NS = SECOND_NS // 2, 4 * SECOND_NS  # from one attempt to the next; doubled every time
_ABSENT_POLL_NS = 100_000_000

Record = TypeVar("Record", bound=Heatmap | Image | Jpeg)


class Reopening(Device, Generic[Record]):
    """A sensor or camera, opened again with back-off whenever it raises `RigError`; a context manager.

    The sequence numbers go on over a gap by the time it took, so that frames that were missed leave a jump.

    Args:
        name: what to call it, like "sensor".
        open_device: opens it, or raises `RigError`.
        clock: the rig's.
        silent_ns: given nothing for so long, it is lost, though it says nothing of it (a camera's driver often does
            not); None: it knows its own silence.
        patient: it need not be there yet: a first failure is waited out like any other.

    Attributes:
        device: the device; None while it is lost.
        problem: why it is lost, a sentence; None while it is there.

    Raises:
        RigError: the first opening failed, and we are not `patient`.
    """

    def __init__(
        self,
        name: str,
        open_device: Callable[[], Any],
        clock: Clock,
        silent_ns: int | None = SILENCE_NS,
        patient: bool = False,
    ) -> None:
        self.name = name
        self._open, self._clock, self._silent_ns = open_device, clock, silent_ns
        self.device: Any = None
        self.problem: str | None = None
        self._events: list[Event] = []
        self._last: Record | None = None  # the newest that was given out
        self._base: int | None = 0  # what is added to the device's numbers; None until it has given one after a loss
        self._frame_ns = _ABSENT_POLL_NS
        self._wait_ns = _FIRST_WAIT_NS
        self._retry_ns = self._lost_ns = self._heard_ns = clock.now_ns()
        try:
            self._take(open_device())
        except RigError as error:
            if not patient:
                raise
            self._lose(error)

    def poll(self) -> list[Record]:
        """The records that are new since the last poll; none while the device is lost.

        Raises:
            SourceEnded: a recorded source has no more; opened again, it begins anew.
        """
        if self.device is None:
            self._try_again()
            return []
        try:
            records = self.device.poll()
        except SourceEnded as ended:
            self._lose(ended)
            raise
        except RigError as error:
            self._lose(error)
            return []
        now_ns = self._clock.now_ns()
        if records:
            self._heard_ns, self._wait_ns = now_ns, _FIRST_WAIT_NS
        elif self._silent_ns is not None and now_ns - self._heard_ns > max(self._silent_ns, 5 * self._frame_ns):
            self._lose(RigError(f"the {self.name} has given nothing for 3 s; check its cable"))
        return [self._number(record) for record in records]

    def take_events(self) -> list[Event]:
        """What went wrong since this was last asked: the device's own events, its losses and returns."""
        if self.device is not None:
            self._events += self.device.take_events()
        events, self._events = self._events, []
        return events

    @property
    def poll_period_ns(self) -> int:
        """The device's own; while it is lost there is less to ask."""
        return _ABSENT_POLL_NS if self.device is None else self.device.poll_period_ns

    @property
    def frame_ns(self) -> int:
        """From one of its frames to the next."""
        return self._frame_ns

    @property
    def warm_ns(self) -> int:
        """When a sensor's readings have settled; while it is lost, at the earliest."""
        return self._clock.now_ns() + WARM_UP_NS if self.device is None else self.device.warm_ns

    def tell(self, name: str, otherwise: Any = None) -> Any:
        """What the device knows of itself and not every one does, like `torn_reads`, `read_ms` or `stamps`."""
        return getattr(self.device, name, otherwise)

    def close(self) -> None:
        """Let go of the device."""
        device, self.device = self.device, None
        if device is not None:
            device.close()

    def _take(self, device: Sensor | Camera) -> None:
        self.device, self.problem = device, None
        self._frame_ns = device.frame_ns
        self._heard_ns = self._clock.now_ns()

    def _try_again(self) -> None:
        if self._clock.now_ns() < self._retry_ns:
            return
        try:
            self._take(self._open())
        except RigError as error:
            self.problem = str(error)
            self._wait()
        else:
            now_ns = self._clock.now_ns()
            away_s = (now_ns - self._lost_ns) / SECOND_NS
            self._events.append(Event(now_ns, "device-back", f"The {self.name} is there again after {away_s:.1f} s."))

    def _lose(self, error: RigError) -> None:
        self.problem, self._base = str(error), None
        now_ns = self._lost_ns = self._clock.now_ns()
        self._wait()
        if self.device is not None:
            self._events += self.device.take_events()
            self._events.append(Event(now_ns, "device-lost", f"The {self.name} is lost: {error}."))
        try:
            self.close()
        except OSError:  # what is gone cannot always be let go of
            self.device = None

    def _wait(self) -> None:
        self._retry_ns = self._clock.now_ns() + self._wait_ns
        self._wait_ns = min(2 * self._wait_ns, _LONGEST_WAIT_NS)

    def _number(self, record: Record) -> Record:
        if self._base is None:
            self._base = -record.sequence
            if self._last is not None:
                frames = round((record.timestamp_ns - self._last.timestamp_ns) / self._frame_ns)
                self._base += self._last.sequence + max(1, frames)
        self._last = replace(record, sequence=record.sequence + self._base)
        return self._last
