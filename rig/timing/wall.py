"""The time of day beside the rig's clock: what a stamp was by the wall, and when somebody set the wall clock."""

import ctypes
import time

from .clock import SECOND_NS, Clock, SystemClock

_READ_EVERY_NS = 10 * SECOND_NS
_STEP_NS = 200_000_000  # NTP slews by less in a second; more was a step
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


def read_clocks(clock: Clock) -> dict[str, int]:
    """The rig's clock beside the system's, ns, so that a stamp can be turned into the time of day.

    Returns:
        `mono_ns` (the rig's: CLOCK_MONOTONIC, or the twin's own), `boot_ns`, `real_ns`.
    """
    mono_ns = clock.now_ns()
    boot_ns = mono_ns
    if isinstance(clock, SystemClock) and hasattr(time, "CLOCK_BOOTTIME"):  # Linux has it
        boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return {"mono_ns": mono_ns, "boot_ns": boot_ns, "real_ns": time.time_ns()}


def is_synchronised() -> bool | None:
    """Whether the kernel knows the time of day from outside (NTP): a Pi before the fifth has no clock of its own.

    Returns:
        None where the kernel cannot be asked.
    """
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (AttributeError, OSError):  # not Linux
        return None
    return adjtimex(ctypes.create_string_buffer(512)) != _TIME_ERROR  # a struct timex whose `modes` is 0 only reads


class WallClock:
    """Watches the time of day; of a virtual clock there is none to watch.

    Args:
        clock: the rig's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watches = isinstance(clock, SystemClock)
        self._read_ns = clock.now_ns()
        self._ahead_ns = self._ahead()

    def changes(self) -> list[tuple[str, str]]:
        """What is to be said of the time of day, to be asked once a second: (kind, detail) of events."""
        if not self._watches:
            return []
        ahead_ns, before_ns = self._ahead(), self._ahead_ns
        self._ahead_ns = ahead_ns
        found = []
        if abs(ahead_ns - before_ns) > _STEP_NS:
            step_s = (ahead_ns - before_ns) / SECOND_NS
            found.append(("clock-step", f"The time of day was set by {step_s:+.1f} s; stamps are not by it."))
        if found or self._clock.now_ns() - self._read_ns >= _READ_EVERY_NS:
            found += self.reading()
        return found

    def reading(self) -> list[tuple[str, str]]:
        """The time of day now."""
        if not self._watches:
            return []
        self._read_ns = self._clock.now_ns()
        clocks = read_clocks(self._clock)
        synchronised = {True: "yes", False: "no", None: "unknown"}[is_synchronised()]
        said = " ".join(f"{name}={value}" for name, value in clocks.items())
        return [("clock", f"{said} synchronised={synchronised}")]

    def _ahead(self) -> int:
        return time.time_ns() - self._clock.now_ns()
