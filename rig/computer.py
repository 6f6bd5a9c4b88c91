"""What the computer says of itself: too hot, too little power, slowed down. A Raspberry Pi does, others little."""

from dataclasses import dataclass
from pathlib import Path

# bits of get_throttled (Raspberry Pi documentation, vcgencmd): now, and 16 higher since it was started
_TROUBLES = {
    0: "its power supply is too weak",
    1: "its processor is held back",
    2: "it is throttled",
    3: "it is near its temperature limit",
}
_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
_TEMPERATURE = "sys/class/thermal/thermal_zone0/temp"


@dataclass(frozen=True)
class Computer:
    """A computer's state.

    Attributes:
        celsius: of its processor; None where it does not tell.
        now: troubles at this moment, phrases.
        before: troubles since it was started, phrases.
    """

    celsius: float | None = None
    now: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


def read_computer(root: Path = Path("/")) -> Computer:
    """The state by what the kernel shows under /sys; what it does not show is left out.

    Args:
        root: of the file system.
    """
    bits = _read_number(root / _THROTTLED, 16) or 0
    millidegrees = _read_number(root / _TEMPERATURE, 10)
    return Computer(
        celsius=None if millidegrees is None else millidegrees / 1000,
        now=tuple(text for bit, text in _TROUBLES.items() if bits >> bit & 1),
        before=tuple(text for bit, text in _TROUBLES.items() if bits >> bit + 16 & 1),
    )


def _read_number(path: Path, base: int) -> int | None:
    try:
        return int(path.read_text().strip(), base)
    except (OSError, ValueError):
        return None
