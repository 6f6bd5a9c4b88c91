"""A serial port with a board on it that sends heatmaps: ours alone, read piece by piece, given up when silent."""

import errno
from abc import abstractmethod
from collections.abc import Iterator

import serial

from ..records import Event, Heatmap, RigError
from ..sources import FRAME_NS, SILENCE_NS, Device
from ..timing.clock import SECOND_NS, Clock

_WAIT_S = 0.05  # for the first byte of a poll
_LONGEST = 4096  # bytes; more without an end is nothing that a board of ours sends
_BOOT_NS = 5 * SECOND_NS  # opening the port resets an Arduino: its loader and the sketch's set-up take some seconds


class PortSensor(Device):
    """The port, open; what its bytes mean is told by `_take`.

    Args:
        port: /dev/serial/by-id/... or the like.
        clock: stamps what arrives.
        baud: of a real serial line; USB ports ignore it.

    Attributes:
        frame_ns: from one of the sensor's frames to the next.

    Raises:
        RigError: no such port, no right to open it, or another program holds it.
    """

    poll_period_ns = 1_000_000  # a poll waits for the next bytes by itself

    def __init__(self, port: str, clock: Clock, baud: int) -> None:
        self._clock = clock
        self._name = f"serial port {port}"
        self.frame_ns = FRAME_NS
        try:
            # exclusive: two programs on one port would each get some of the bytes
            self._port = serial.Serial(port, baud, timeout=_WAIT_S, write_timeout=1, exclusive=True)
        except (OSError, ValueError) as error:  # SerialException is an OSError; ValueError: a baud it cannot do
            code = getattr(error, "errno", None)
            if code in (errno.EAGAIN, errno.EBUSY):
                raise RigError(
                    f"{self._name} is being read by another program; stop that one (`lrt serve`?) first"
                ) from error
            hint = "add the user to the group dialout and log in again" if code == errno.EACCES else "is it plugged in?"
            raise RigError(f"{self._name} cannot be opened ({_reason(error)}); {hint}") from error
        self._buffer = b""
        self._synchronised = False  # the first piece is met somewhere in its middle
        self._polled = False
        self._heard_ns = clock.now_ns()
        self._events: list[Event] = []

    def poll(self) -> list[Heatmap]:
        """The heatmaps that came since the last poll; waits up to 50 ms for a byte.

        What came before the first poll is let go: nobody knows when it did.

        Raises:
            RigError: the port was unplugged, or no heatmap came for 3 s (at first 8 s) or five frames.
        """
        if not self._polled:
            self._polled = True
            self._discard()
            self._heard_ns = self._clock.now_ns() + _BOOT_NS
        chunk = self._read()
        now_ns = self._clock.now_ns()
        heatmaps = self._take(chunk, now_ns)
        silence_ns = max(SILENCE_NS, 5 * self.frame_ns)
        if now_ns - self._heard_ns > silence_ns:
            raise RigError(f"{self._name} has given no heatmap for {silence_ns / SECOND_NS:.0f} s; {self._complaint()}")
        return heatmaps

    def take_events(self) -> list[Event]:
        """What went wrong since this was last asked."""
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """Close the port."""
        self._port.close()

    @abstractmethod
    def _take(self, chunk: bytes, now_ns: int) -> list[Heatmap]:
        """The heatmaps that bytes complete; sets `_heard_ns` when there is a sound one."""

    @abstractmethod
    def _complaint(self) -> str:
        """Why there may be no heatmaps, and what to do."""

    def _pieces(self, chunk: bytes, end: bytes) -> Iterator[tuple[bytes, int]]:
        """The pieces that a chunk completes, each without its end; and how many bytes have come from its first on."""
        self._buffer += chunk
        while (at := self._buffer.find(end)) >= 0:
            piece, waiting = self._buffer[:at], len(self._buffer)
            self._buffer = self._buffer[at + len(end) :]
            if self._synchronised:
                yield piece, waiting
            self._synchronised = True
        if len(self._buffer) > _LONGEST:
            self._say("bus-error", f"{len(self._buffer)} bytes without an end dropped")
            self._buffer, self._synchronised = b"", False

    def _read(self) -> bytes:
        try:
            chunk = self._port.read(1)
            return chunk + self._port.read(self._port.in_waiting) if chunk else chunk
        except (OSError, TypeError) as error:  # pyserial meets a vanished port with either
            raise self._lost(error) from error

    def _write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except (OSError, TypeError) as error:
            raise self._lost(error) from error

    def _discard(self) -> None:
        self._buffer, self._synchronised = b"", False
        try:
            while waiting := self._port.in_waiting:
                self._port.read(waiting)
        except (OSError, TypeError) as error:
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> RigError:
        return RigError(f"{self._name} was lost ({_reason(error)}); check its plug")

    def _say(self, kind: str, detail: str) -> None:
        self._events.append(Event(self._clock.now_ns(), kind, detail))


def _reason(error: Exception) -> str:
    """pyserial wraps the system's words in its own: the system's are enough."""
    return getattr(error, "strerror", None) or str(error)
