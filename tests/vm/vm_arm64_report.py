"""What came of it: arm64.json for machines, a table for the terminal."""

import json
import os
import platform
import resource
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vm_arm64_root import CPU
from vm_arm64_tests import NOT_RUN, FileRow

from lrt import __version__, write_whole

UNSEEN = [
    "A Raspberry Pi: its kernel, devices, timing and memory; the kernel here is this computer's",
    "Timing: a program under emulation takes several times as long, each instruction its own number of times",
    "32-bit Raspberry Pi OS (armv7l), and a Pi 5's processor",
    "Debian's picamera2 and libcamera; pip's picamera2 ran on stubs of libcamera",
    "Bookworm's Python: its wheels were looked for, nothing ran",
]


@dataclass
class Report:
    """All of it, as it comes in.

    Attributes:
        checks: each `name`, `ok`, `says`.
        rows: of each file of tests.
        figures: by name.
        qemu: its version.
        format: how the kernel comes to start aarch64's programs.
        cold: whether the root was made in this run.
        seconds, cpu_s: of all of it; the second is what processors worked on it.
    """

    checks: list[dict[str, Any]] = field(default_factory=list)
    rows: list[FileRow] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    qemu: str = ""
    format: str = ""
    cold: bool = False
    seconds: float = 0.0
    cpu_s: float = 0.0

    def hold(self, name: str, ok: bool, says: str) -> None:
        """Note whether a claim holds, and what was seen."""
        self.checks.append({"name": name, "ok": ok, "says": says})

    @property
    def ok(self) -> bool:
        """Whether all that was run holds."""
        return bool(self.checks and self.rows) and all(
            [*(each["ok"] for each in self.checks), *(row.ok for row in self.rows)]
        )

    def total(self, what: str) -> int:
        """Tests that passed, failed or were skipped."""
        return sum(getattr(row, what) for row in self.rows)

    def finish(self, seconds: float) -> None:
        """Note how long all of it took, and on how much of a processor: other programs may be at work beside it."""
        used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        self.seconds, self.cpu_s = seconds, sum(each.ru_utime + each.ru_stime for each in used)

    def to_json(self) -> dict[str, Any]:
        """The figures first, then every check and file."""
        return {
            "ok": self.ok,
            "checks": len(self.checks),
            "checks_held": sum(each["ok"] for each in self.checks),
            "tests": {what: self.total(what) for what in ("passed", "failed", "skipped")} | {"files": len(self.rows)},
            "seconds": round(self.seconds, 1),
            "cpu_seconds": round(self.cpu_s, 1),
            "kind": "cold" if self.cold else "warm",
            "figures": self.figures,
            "claims": self.checks,
            "files": [asdict(row) for row in sorted(self.rows, key=lambda row: row.file)],
            "not_run": [f"tests/{each}: {why}" for each, why in sorted(NOT_RUN.items())] + UNSEEN,
            "machine": {
                "emulator": self.qemu,
                "cpu_model": CPU,
                "binfmt_misc": self.format,
                "host": platform.machine(),
                "host_cpus": os.cpu_count(),
                "host_load": round(os.getloadavg()[2], 1),
            },
            "lrt": __version__,
            "day": datetime.now(UTC).date().isoformat(),
        }

    def table(self) -> str:
        """What a terminal shows: files, what did not hold, what was not run."""
        lines = ["", f"{'tests/':<44} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}"]
        for row in sorted(self.rows, key=lambda row: row.file):
            lines.append(f"{row.file:<44} {row.passed:>7} {row.failed:>7} {row.skipped:>8} {row.seconds:>8.0f}")
            lines += [f"    failed: {each}" for each in row.says]
        lines.append(f"{'all':<44} {self.total('passed'):>7} {self.total('failed'):>7} {self.total('skipped'):>8}")
        held = sum(each["ok"] for each in self.checks)
        lines += ["", f"checks: {held} of {len(self.checks)} held"]
        lines += [f"    not held: {each['name']}: {each['says']}" for each in self.checks if not each["ok"]]
        lines += ["", "not run, and counted nowhere:"]
        lines += [f"  - tests/{each}: {why}" for each, why in sorted(NOT_RUN.items())]
        lines += [f"  - {each}" for each in UNSEEN]
        verdict = "all held" if self.ok else "NOT all held"
        kind = "cold, the root was made" if self.cold else "warm, the root was found"
        return "\n".join(
            [*lines, "", f"{verdict}, {self.seconds:.0f} s ({self.cpu_s:.0f} s of processors' time), {kind}"]
        )


def say(text: str) -> None:
    """How far it is."""
    print(f"test-arm64: {text}", flush=True)


def write_report(report: Report, path: Path) -> None:
    """arm64.json, whole or not at all."""
    write_whole(path, (json.dumps(report.to_json(), indent=2, default=float, ensure_ascii=False) + "\n").encode())
