"""Where networks compute: which device, and on how many of the CPU's threads."""

import contextlib
from collections.abc import Iterator

import torch

from .. import LrtError


class DeviceError(LrtError, ValueError):
    """A device that torch cannot use here."""


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` is CUDA where there is one, else the CPU.

    Raises:
        DeviceError: torch has no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(f"device '{name}' is not usable here; give cpu, cuda or auto") from error
    return device


@contextlib.contextmanager
def cpu_threads(count: int | None) -> Iterator[None]:
    """So many threads for torch's work on the CPU until the block ends; None leaves them as they are."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
