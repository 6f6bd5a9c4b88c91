"""What came of it: report.json for machines, report.html for people, a table for the terminal."""

import json
import os
import platform
import resource
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import jinja2
from vm_cut_clips import Verdict
from vm_cut_files import FilesVerdict
from vm_image import ROOT, cache_folder

from lrt import __version__, write_whole

TITLES = {
    "i2c": "Sensor on I2C",
    "v4l2": "Camera on V4L2",
    "firmware": "Firmware on MicroPython",
    "systemd": "The service",
    "whole": "The whole way",
    "clips": "Power cuts: clips",
    "control": "Power cuts: the control",
    "checkpoints": "Power cuts: checkpoints",
    "builds": "Power cuts: datasets",
    "picamera2": "picamera2 on libcamera",
}
NOT_RUN = [
    "A Raspberry Pi: its camera pipeline (ISP, exposure, white balance), its I2C controller, copper, lens and warmth",
    "Raspberry Pi OS and its own packages of libcamera and picamera2",
    "Timing figures of a Pi: the machine's clock counts instructions, 2 ns each, or is the host's under KVM",
    "arm64: `make test-arm64` runs the base install and the quick tests there, in a Debian without a kernel of its own",
    "CircuitPython, and the firmware's program on a board: only its core ran, on MicroPython, on a made-up bus",
    "A USB serial board: udev names one that the kernel plugs into itself, and nothing is read from it",
    "torch in the machine: checkpoints come from the host, by the run's own save; lrt.write_whole writes them there",
    "A disk that lies about its flushes, and cuts that spoil what was flushed before: cheap cards do both",
]
RESULT_KEYS = {
    "i2c": "i2c_driver_ok",
    "v4l2": "v4l2_ok",
    "picamera2": "picamera2_ok",
    "systemd": "systemd_ok",
    "firmware": "firmware_ok",
    "whole": "whole_ok",
}


@dataclass(frozen=True)
class Group:
    """One part of the bench.

    Attributes:
        checks: each `name`, `ok`, `says`.
        figures: by name.
    """

    name: str
    checks: list[dict[str, Any]]
    figures: dict[str, Any]
    seconds: float

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(check["ok"] for check in self.checks)


@dataclass
class Report:
    """All of it, as it comes in.

    Attributes:
        speeds: the host's `host_speed`, before the first part and after the last one.
    """

    accelerator: str
    speeds: list[float] = field(default_factory=lambda: [host_speed()])
    groups: list[Group] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    not_run: list[str] = field(default_factory=list)
    made: list[tuple[str, bool]] = field(default_factory=list)
    seconds: float = 0.0
    cpu_s: float = 0.0
    partial: bool = False

    def add(self, group: Group) -> None:
        """A part that is over; they come from several machines, and stand in the order of the titles."""
        self.groups.append(group)
        self.groups.sort(key=lambda each: list(TITLES).index(each.name))

    def has(self, name: str) -> bool:
        """Whether a part is over."""
        return any(group.name == name for group in self.groups)

    def add_broken(self, name: str, why: str) -> None:
        """A part that did not run to its end."""
        self.add(Group(name, [{"name": f"{TITLES[name]} runs to its end", "ok": False, "says": why}], {}, 0.0))

    def add_cuts(self, name: str, verdict: Verdict | FilesVerdict, seconds: float) -> None:
        """The cuts of one disk."""
        if isinstance(verdict, Verdict):
            self.add(_judge_clips(name, verdict, seconds))
        else:
            self.add(_judge_files(name, verdict, seconds))

    @property
    def ok(self) -> bool:
        """Whether every check of every part that was run holds."""
        return bool(self.groups) and all(group.ok for group in self.groups)

    @property
    def kind(self) -> str:
        """What was made in this run of all that is kept: "cold" all, "warm" nothing, "changed" what has lrt in it."""
        made, found = ({name for name, now in self.made if now == made} for made in (True, False))
        if not made or not found:
            return "cold" if made else "warm"
        return "changed" if made == {"ready"} and "ready" not in found else "mixed"

    def finish(self, seconds: float, partial: bool) -> None:
        """Note how long all of it took, on how much of a processor, and whether it was some parts only."""
        used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        self.seconds, self.cpu_s = seconds, sum(each.ru_utime + each.ru_stime for each in used)
        self.partial = partial
        self.speeds.append(host_speed())

    def to_json(self) -> dict[str, Any]:
        """The figures first, then every check."""
        found = {group.name: group for group in self.groups}
        named = {key: found[name].ok if name in found else None for name, key in RESULT_KEYS.items()}
        clips = found["clips"].figures if "clips" in found else {}
        cuts = {key: clips.get(key) for key in ("cuts", "cut_lost_s_max", "acknowledged_lost", "unmendable")}
        return {
            **named,
            **cuts,
            **self._seconds(),
            "ok": self.ok,
            "checks": sum(len(group.checks) for group in self.groups),
            "checks_held": sum(check["ok"] for group in self.groups for check in group.checks),
            "groups": {
                group.name: {
                    "ok": group.ok,
                    "seconds": round(group.seconds, 1),
                    "figures": group.figures,
                    "checks": group.checks,
                }
                for group in self.groups
            },
            "machine": {
                **self.figures,
                "accelerator": self.accelerator,
                "host": platform.machine(),
                "host_cpus": os.cpu_count(),
                "host_load": round(os.getloadavg()[2], 1),
                "host_speed": [round(speed, 1) for speed in self.speeds],
                "seconds": round(self.seconds, 1),
                "cpu_seconds": round(self.cpu_s, 1),
                "kind": self.kind,
            },
            "not_run": self.not_run,
            "lrt": __version__,
            "day": datetime.now(UTC).date().isoformat(),
        }

    def _seconds(self) -> dict[str, float | None]:
        """Of the last whole runs of each kind on this computer at which all held; this one may be among them."""
        kept = cache_folder() / "seconds.json"
        known = json.loads(kept.read_text()) if kept.is_file() else {}
        if self.ok and not self.partial and self.kind != "mixed":
            known[f"seconds_{self.kind}"] = round(self.seconds, 1)
            write_whole(kept, json.dumps(known).encode())
        return {name: known.get(name) for name in ("seconds_cold", "seconds_changed", "seconds_warm")}

    def table(self) -> str:
        """What a terminal shows: parts, what did not hold, what was not run."""
        lines = [f"{'part':<28} {'checks':>9} {'seconds':>8}"]
        for group in self.groups:
            held = sum(check["ok"] for check in group.checks)
            verdict = "ok" if group.ok else "NOT OK"
            lines.append(
                f"{TITLES[group.name]:<28} {held:>4} of {len(group.checks):<2} {group.seconds:>7.0f}  {verdict}"
            )
            lines += [f"    not held: {check['name']}: {check['says']}" for check in group.checks if not check["ok"]]
        lines += ["", "not run, and counted nowhere:", *(f"  - {each}" for each in self.not_run)]
        held = "all held" if self.ok else "NOT all held"
        lines += ["", f"{held}, {self.seconds:.0f} s {self.kind}, {self.cpu_s:.0f} s of processors' time"]
        return "\n".join(lines)


def say(text: str) -> None:
    """How far it is."""
    print(f"test-vm: {text}", flush=True)


def host_speed() -> float:
    """How fast this host is just now: turns of a plain Python loop, millions a second, the median of five tries.

    A shared host can be half as fast an hour later: without this, two runs' seconds cannot be compared.
    """
    turns, tries_s = 1_000_000, []
    for _ in range(5):
        began_s = time.perf_counter()
        for _ in range(turns):
            pass
        tries_s.append(time.perf_counter() - began_s)
    return turns / median(tries_s) / 1e6


def write_report(report: Report, out: Path) -> None:
    """report.json and report.html; of a run of some parts, under other names: it is no report."""
    stem = "report-part" if report.partial else "report"
    found = report.to_json()
    write_whole(out / f"{stem}.json", (json.dumps(found, indent=2, default=float) + "\n").encode())
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([Path(__file__).parent, ROOT / "console"]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("report.html.jinja").render(report=found, titles=TITLES, figure=show_figure)
    write_whole(out / f"{stem}.html", html.encode())


def show_figure(value: Any) -> str:
    """A figure as a person reads it."""
    if value is None:
        return "not run"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _judge_clips(name: str, verdict: Verdict, seconds: float) -> Group:
    lost, behind = (max(values, default=0.0) for values in (verdict.lost_s, verdict.behind_s))
    figures = {
        "cuts": verdict.cuts,
        "cuts_with_unflushed": verdict.unflushed,
        "cuts_within_a_clip": len(verdict.lost_s),
        "cut_lost_s_max": lost,
        "cut_behind_clock_s_max": behind,
        "acknowledged_lost": verdict.acknowledged_lost,
        "unmendable": verdict.unmendable,
        "damaged": verdict.damaged,
        "clips_recovered": verdict.recovered,
        "clips_finished": verdict.finished,
    }
    if name == "control":
        says = f"at {verdict.acknowledged_lost} of {verdict.cuts} cuts"
        tells = _check("without syncs, what was promised is lost: the cuts tell", verdict.acknowledged_lost > 0, says)
        return Group(name, [tells], figures, seconds)
    says = "; ".join(verdict.faults[:4])
    checks = [
        _check("at least 200 cuts were made", verdict.cuts >= 200, str(verdict.cuts)),
        _check("e2fsck mends every disk", verdict.unmendable == 0, says),
        _check("nothing that was promised is lost", verdict.acknowledged_lost == 0, says),
        _check("every clip is whole once recovered, and every clip.json", verdict.damaged == 0, says),
        _check("at most one second of a clip is lost", lost <= 1.0, f"{lost:.2f} s; to the cut itself {behind:.2f} s"),
    ]
    return Group(name, checks, figures, seconds)


def _judge_files(name: str, verdict: FilesVerdict, seconds: float) -> Group:
    figures = {
        "cuts": verdict.cuts,
        "cuts_with_unflushed": verdict.unflushed,
        "promised_lost": verdict.promised_lost,
        "unmendable": verdict.unmendable,
        "damaged": verdict.damaged,
    }
    says = "; ".join(verdict.faults[:4])
    checks = [
        _check("e2fsck mends every disk", verdict.unmendable == 0, says),
        _check("nothing that was promised is lost", verdict.promised_lost == 0, says),
        _check("what is there is whole", verdict.damaged == 0, says),
    ]
    return Group(name, checks, figures, seconds)


def _check(name: str, ok: bool, says: str) -> dict[str, Any]:
    return {"name": name, "ok": ok, "says": says}
