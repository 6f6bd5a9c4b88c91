"""What the jobs in the machine share: named checks, and the answer that the host reads from the last line."""

import faulthandler
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

PARAMETERS = Path("/sys/module/lrt_i2c/parameters")
CONTROL = Path("/run/feeder")
RIG = """
[sensor]
kind = "amg8833"
bus = 1

[camera]
kind = "opencv"
device = {device}
size = [640, 360]
rate = 15

[record]
preroll_s = 2.0
reserve_mb = 5
patience_s = 12.0
"""


class Checks:
    """Named claims, each held or not, and figures; nothing stops at the first that does not hold."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self.figures: dict[str, Any] = {}
        faulthandler.dump_traceback_later(120, repeat=True)

    def hold(self, name: str, holds: Any, says: object = "") -> None:
        """Note whether a claim holds, and what was seen; where a job hangs, its last line tells after what."""
        print(f"{'held' if holds else 'NOT'}  {name}: {says}", flush=True)
        said = "; ".join(map(str, says)) if isinstance(says, list) else str(says)
        self.found.append({"name": name, "ok": bool(holds), "says": said})

    @contextmanager
    def trying(self, name: str) -> Iterator[None]:
        """An exception within is a claim that does not hold; none is noted where all goes well."""
        try:
            yield
        except Exception as error:
            self.hold(name, False, f"{type(error).__name__}: {error}")

    def answer(self) -> None:
        """Print it all, as the host wants it."""
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps({"checks": self.found, "figures": self.figures}, default=float))


def write_rig(path: Path, device: str = "0") -> Path:
    """The rig file of the machine's own devices."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(RIG.format(device=device))
    return path


def read_jpegs(scene: str) -> list[bytes]:
    """The pictures of a scene's file, in order."""
    with np.load(scene) as file:
        ends, joined = file["jpeg_ends"].tolist(), file["jpeg"]
    return [joined[start:end].tobytes() for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def set_bus(name: str, value: int) -> None:
    """One of the I2C module's parameters."""
    (PARAMETERS / name).write_text(f"{value}\n")


def read_bus(name: str) -> int:
    """What one of them is now."""
    return int((PARAMETERS / name).read_text())


def sh(command: str, limit_s: float = 60.0) -> tuple[int, str]:
    """A shell command: its exit status, and all it printed. One that takes too long is ended with all it started."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        ["/bin/sh", "-c", command], stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        try:
            said, errors = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return 124, f"no end within {limit_s:g} s"
        return process.returncode, (said + errors).strip()


def last_json(said: str) -> dict[str, Any]:
    """The JSON object that a command printed among what it said; {} where there is none."""
    lines = [line for line in said.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {}


def wait_for(holds: Callable[[], Any], limit_s: float, period_s: float = 0.2) -> bool:
    """Whether something comes to hold within a time."""
    end_s = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > end_s:
            return False
        time.sleep(period_s)
    return True
