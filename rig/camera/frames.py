"""What every camera needs: its frames numbered by their stamps, and the bad ones among them counted."""

import threading
from collections import deque

from ..records import Event, RigError
from ..timing.clock import SECOND_NS, Clock

_STEPS = 9  # that tell the period: 5 frames after a camera has changed its rate, so has ours
_FEWEST_STEPS = 3
_MOST_BAD = 30  # in a row
_BAD_NS = 3 * SECOND_NS  # or for so long, of a slow camera


class FrameCounter:
    """Numbers frames so that a lost one leaves its number out.

    The period is what the camera really delivers, the median of its last nine: a webcam halves its rate in the dark,
    whatever it was asked for. So one that loses every second frame for good looks like a slower one.

    Args:
        frame_ns: from one frame to the next, until there are frames to tell.
    """

    def __init__(self, frame_ns: int) -> None:
        self._asked_ns = frame_ns
        self._steps: deque[int] = deque(maxlen=_STEPS)
        self._last_ns: int | None = None
        self._sequence = -1

    @property
    def period_ns(self) -> int:
        """From one frame to the next, lately."""
        if len(self._steps) < _FEWEST_STEPS:
            return self._asked_ns
        return sorted(self._steps)[len(self._steps) // 2]

    def count(self, stamp_ns: int, frame_ns: int | None = None) -> int:
        """The number of the frame with this stamp.

        Args:
            stamp_ns: of the frame.
            frame_ns: from the frame before it to its successor, where the camera tells that.

        Raises:
            ValueError: it is not after the one before; it has no number then.
        """
        if self._last_ns is None:
            self._sequence += 1
        else:
            step_ns = stamp_ns - self._last_ns
            if step_ns <= 0:
                raise ValueError(f"stamped {-step_ns / 1e6:.1f} ms before the one that came before it")
            self._sequence += max(1, round(step_ns / (frame_ns or self.period_ns)))
            self._steps.append(step_ns)
        self._last_ns = stamp_ns
        return self._sequence

    def restart(self) -> None:
        """Begin with 0 again; the period stays."""
        self._last_ns, self._sequence = None, -1


class Troubles:
    """Bad frames and what else a recording should know of. One bad frame is an event; a run of them is a dead camera.

    Any thread may call it.

    Args:
        name: of the camera, to begin a sentence with.
        clock: stamps the events.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self._name, self._clock = name, clock
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._new, self._reason = 0, ""
        self._row, self._row_since_ns = 0, 0

    def bad(self, reason: str) -> None:
        """A frame came that cannot be given out."""
        now_ns = self._clock.now_ns()
        with self._lock:
            if not self._row:
                self._row_since_ns = now_ns
            self._row += 1
            self._new += 1
            self._reason = reason

    def good(self) -> None:
        """A frame came that is as it should be."""
        self._row = 0

    def say(self, kind: str, detail: str) -> None:
        """Something else happened."""
        with self._lock:
            self._events.append(Event(self._clock.now_ns(), kind, detail))

    def check(self) -> None:
        """Find out whether it still makes sense to go on.

        Raises:
            RigError: 30 bad frames in a row, or none but bad ones for 3 s.
        """
        with self._lock:
            if self._row >= _MOST_BAD or (self._row > 1 and self._clock.now_ns() - self._row_since_ns >= _BAD_NS):
                raise RigError(f"{self._name} gives only bad frames, the last one {self._reason}")

    def take_events(self) -> list[Event]:
        """What happened since this was last asked; bad frames make one event together."""
        with self._lock:
            events, self._events = self._events, []
            if self._new:
                frames = "one frame" if self._new == 1 else f"{self._new} frames"
                detail = f"{self._name}: {frames} left out, the last one {self._reason}."
                events.append(Event(self._clock.now_ns(), "bus-error", detail))
                self._new = 0
        return events
