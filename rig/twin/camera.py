"""The twin's camera: frames of the scene by the camera's own clock."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ..records import Event, Image, RigError
from ..timing.clock import SECOND_NS, Clock, SystemClock
from .faults import Faults
from .scene import Scene

_BUFFERS = 4  # frames that wait for whoever polls too seldom; older ones are lost, as a driver loses them
_ALL = 1_000_000  # by a virtual clock nobody polls too seldom: what takes its time holds up the camera's polls with it


@dataclass(frozen=True)
class CameraSettings:
    """One camera.

    Attributes:
        seed: its clock's phase and jitter, which frames it drops.
        rate: frames/s as asked for.
        drift_ppm: of its clock.
        jitter_ns: sd of a time stamp about its true instant.
        stamp_lag_ns: the stamp is this much later than what the picture shows: half the exposure and the readout.
        delivery_ns: a frame can be had so long after its stamp.
    """

    seed: int = 0
    rate: float = 15.0
    drift_ppm: float = -35.0
    jitter_ns: int = 300_000
    stamp_lag_ns: int = 18_000_000
    delivery_ns: int = 12_000_000


class TwinCamera:
    """A camera that looks at the scene; polled like any other.

    Args:
        scene: its time 0 is the clock's time when the camera is made.
        clock: read, never moved.
        settings: the camera.
        faults: what goes wrong, and when.
    """

    def __init__(
        self,
        scene: Scene,
        clock: Clock,
        settings: CameraSettings | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.settings = settings or CameraSettings()
        self._faults = faults or Faults()
        self._scene, self._clock = scene, clock
        self._open_ns = clock.now_ns()
        self._period_ns = SECOND_NS / self.settings.rate * (1 + self.settings.drift_ppm * 1e-6)
        phase = np.random.default_rng([self.settings.seed, 47]).uniform(0.3, 1.0)
        self._phase_ns = phase * self._period_ns + self.settings.stamp_lag_ns
        self._buffers = _BUFFERS if isinstance(clock, SystemClock) else _ALL
        self._next = 0
        self._late: list[tuple[int, int, int]] = []  # (due, stamp, number) of frames that are late
        self._closed = False

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), px."""
        return self._scene.settings.size

    @property
    def poll_period_ns(self) -> int:
        """How often it should be asked: four times a frame."""
        return round(self._period_ns / 4)

    def poll(self) -> list[Image]:
        """The frames that have arrived since this was last asked, in the order of their arrival.

        By the system's clock the newest four: who asks too seldom loses the others, and waits for no drawing of them.
        """
        if self._closed:
            return []
        now_ns = self._clock.now_ns()
        arrived: list[tuple[int, int, int]] = []
        while True:
            stamp_ns, late, dropped = self._frame(self._next)
            due_ns = stamp_ns + self.settings.delivery_ns
            if due_ns > now_ns:
                break
            if self._faults.no_camera((stamp_ns - self._open_ns) / SECOND_NS):
                pass
            elif late:
                self._late.append((due_ns + round(self._faults.late_s * SECOND_NS), stamp_ns, self._next))
            elif not dropped:
                arrived.append((due_ns, stamp_ns, self._next))
            self._next += 1
        arrived += [frame for frame in self._late if frame[0] <= now_ns]
        self._late = [frame for frame in self._late if frame[0] > now_ns]
        return [self._take(stamp_ns, number) for _, stamp_ns, number in sorted(arrived)[-self._buffers :]]

    def take_events(self) -> list[Event]:
        """None: what is lost shows in the sequence."""
        return []

    def close(self) -> None:
        """No frames until it is opened again."""
        self._closed = True

    def reopen(self) -> Self:
        """Plug it in: frames from now on.

        Raises:
            RigError: it is not there.
        """
        now_ns = self._clock.now_ns()
        if self._faults.no_camera((now_ns - self._open_ns) / SECOND_NS):
            raise RigError("the twin's camera is not there; plug it in")
        while self._frame(self._next)[0] + self.settings.delivery_ns <= now_ns:
            self._next += 1
        self._closed, self._late = False, []
        return self

    def show(self, scene: Scene) -> None:
        """Look at another scene from now on."""
        self._scene = scene

    @property
    def frame_ns(self) -> int:
        """From one frame to the next."""
        return round(self._period_ns)

    def _frame(self, number: int) -> tuple[int, bool, bool]:
        """(time stamp, is late, is dropped) of a frame."""
        rng = np.random.default_rng([self.settings.seed, 53, number])
        true_ns = self._open_ns + self._phase_ns + number * self._period_ns
        stamp_ns = round(true_ns + np.clip(rng.standard_normal(), -3, 3) * self.settings.jitter_ns)
        lost, late = rng.random(2)
        return stamp_ns, bool(late < self._faults.late_frames), bool(lost < self._faults.dropped_frames)

    def _take(self, stamp_ns: int, number: int) -> Image:
        shown_ns = self._open_ns + self._phase_ns + number * self._period_ns - self.settings.stamp_lag_ns
        look = self._scene.look(max(0.0, (shown_ns - self._open_ns) / SECOND_NS))
        return Image(stamp_ns, look.image, number)
