"""What a recording draws from: a thermal sensor and a camera, real or twin."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Protocol, Self

from .records import Event, Heatmap, Image, Jpeg, RigError

SILENCE_NS = 3_000_000_000  # a source that gives nothing for so long is taken for dead
WARM_UP_NS = 15_000_000_000  # an AMG8833's readings settle 15 s after power-up (datasheet, "setup time")
FRAME_NS = 100_000_000  # the AMG8833 makes a frame every 100 ms by its own clock


class SourceEnded(RigError):  # noqa: N818 (a signal rather than a failure)
    """A source that was recorded before (a video file) has given its last frame."""


class Source(Protocol):
    """A device that is asked, every `poll_period_ns`, what is new."""

    @property
    def poll_period_ns(self) -> int: ...

    def take_events(self) -> list[Event]:
        """What went wrong since this was last asked; reading went on."""
        ...

    def close(self) -> None: ...


class Sensor(Source, Protocol):
    """A thermal sensor."""

    @property
    def frame_ns(self) -> int:
        """From one of its frames to the next."""
        ...

    @property
    def warm_ns(self) -> int:
        """When its readings have settled, by the rig's clock."""
        ...

    def poll(self) -> list[Heatmap]: ...


class Camera(Source, Protocol):
    """A camera."""

    @property
    def frame_ns(self) -> int:
        """From one of its frames to the next."""
        ...

    def poll(self) -> list[Image | Jpeg]: ...


class Device(ABC):
    """What is closed at the end of its `with` block."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it; a second time does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
