"""The parts of the bench, by the machine that each runs on: one that reads devices, one with the service, one of forky.

They run beside each other, as many as there are processors: a machine that is emulated in software takes one.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vm_image import ROOT, BenchError, Image, make_camera_image, pack_lrt
from vm_machine import Machine, install_lrt
from vm_picamera import try_picamera
from vm_power import BUILDS, RECORDINGS, Story, judge, make_disks, tell
from vm_powercut import LoggedDisk
from vm_report import Group, Report, say

PARTS = ("i2c", "v4l2", "firmware", "power", "systemd", "whole", "builds", "picamera2")
ON_DEVICES = ("i2c", "v4l2", "firmware", *RECORDINGS)
ON_SERVICE = ("systemd", "whole", *BUILDS)
ON_CAMERA = ("picamera2",)
PART_OF = dict.fromkeys(RECORDINGS, "power")  # what is asked for by another name than it is told by
SET_UP = """
modprobe i2c-dev
modprobe lrt_i2c
modprobe v4l2loopback video_nr=0 card_label=twin exclusive_caps=0
udevadm settle
"""


@dataclass(frozen=True)
class Bench:
    """What every machine needs.

    Attributes:
        only: the parts that are asked for; none means all.
        work: a folder for all that is made in this run.
        wheel: lrt's; each image's own pip installs it.
        packed: it, as the first image's pip has installed it.
        scenes: what sensor and camera can be made to see.
        report: what was found goes there.
    """

    only: frozenset[str]
    work: Path
    wheel: Path
    packed: Path
    scenes: dict[str, Path]
    report: Report

    def wants(self, *parts: str) -> bool:
        """Whether any of these is asked for."""
        return not self.only or not self.only.isdisjoint(parts)


def on_devices(bench: Bench, image: Image) -> None:
    """Sensor and camera as they are, the board's firmware, and disks recorded on."""
    stories = RECORDINGS if bench.wants("power") else {}
    with _started(bench, image, "devices", stories) as (machine, disks):
        if bench.wants("i2c"):
            _feed(machine, "live")
            bench.report.add(_job(machine, "i2c", "i2c_job.py", "/share/live.npz"))
        _feed(machine, "live")  # that job took the bus away at its end
        if bench.wants("v4l2"):
            bench.report.add(_job(machine, "v4l2", "v4l2_job.py", "/share/live.npz", limit_s=400))
        tell(machine, stories, bench.report)
        if bench.wants("firmware"):
            machine.must("systemctl stop feeder")
            for path in (ROOT / "hardware/firmware/core.py", ROOT / "tests/rig/firmware_talk.py"):
                shutil.copy(path, machine.share)
            bench.report.add(_job(machine, "firmware", "firmware_job.py", "/share"))
    judge(disks, stories, bench.report)


def on_service(bench: Bench, image: Image) -> None:
    """The service as a Pi has it, the whole way with it, and datasets built of what that recorded."""
    stories = BUILDS if bench.wants("builds") else {}
    with _started(bench, image, "service", stories) as (machine, disks):
        _feed(machine, "live")
        unit, rules = "/share/lrt.service", "/share/99-lrt.rules"
        bench.report.add(_job(machine, "systemd", "systemd_job.py", unit, rules, limit_s=600))
        if bench.wants("whole", "builds"):
            bench.report.add(_group("whole", lambda: _whole(machine)))
        tell(machine, stories, bench.report)
    judge(disks, stories, bench.report)


def on_camera(bench: Bench) -> None:
    """picamera2, under a newer Debian, whose image is made here: the other machines need not wait for it."""
    image = make_camera_image()
    bench.report.made += image.made
    folder = bench.work / "camera"
    folder.mkdir()
    packed = pack_lrt(image, bench.wheel, folder)
    bench.report.add(_group("picamera2", lambda: try_picamera(image, folder, packed)))


@contextmanager
def _started(
    bench: Bench, image: Image, name: str, stories: Mapping[str, Story]
) -> Iterator[tuple[Machine, dict[str, LoggedDisk]]]:
    """A machine with bus, camera and lrt in it, and its logged disks, which outlast it."""
    folder = bench.work / name
    folder.mkdir()
    disks = make_disks(folder, stories)
    say(f"starting the machine of the {name}")
    with Machine(image, folder, [option for disk in disks.values() for option in disk.options]) as machine:
        bench.report.figures[f"{name}_boot_s"] = machine.boot_s
        bench.report.figures[f"{name}_install_s"] = install_lrt(machine, bench.packed)
        for script, path in bench.scenes.items():
            shutil.copy(path, machine.share / f"{script}.npz")
        for each in ("lrt.service", "99-lrt.rules"):
            shutil.copy(ROOT / "hardware" / each, machine.share)
        machine.must(SET_UP)
        yield machine, disks


def _feed(machine: Machine, script: str) -> None:
    """Have sensor and camera show a scene from now on."""
    machine.must(
        "systemctl stop feeder 2>/dev/null || true; systemctl reset-failed feeder 2>/dev/null || true; "
        "rm -f /run/feeder /run/feeder-start; "
        "systemd-run --quiet --unit=feeder --property=Nice=-10 --setenv=PYTHONUNBUFFERED=1 "
        f"/opt/lrt/bin/python /share/guest/feeder.py /share/{script}.npz 7200; "
        "n=0; while [ ! -e /run/feeder-start ]; do sleep 0.5; n=$((n+1)); [ $n -lt 120 ]; done"
    )


def _job(machine: Machine, name: str, script: str, *arguments: str, limit_s: float = 300.0) -> Group:
    """A guest's script, its checks as a group."""
    return _group(name, lambda: machine.python(script, *arguments, limit_s=limit_s))


def _group(name: str, work: Callable[[], dict]) -> Group:
    """What a part found; a part that breaks is a check that did not hold."""
    say(name)
    began_s = time.monotonic()
    try:
        found = work()
    except BenchError as error:
        found = {"checks": [{"name": f"{name} runs to its end", "ok": False, "says": str(error)}], "figures": {}}
    return Group(name, found["checks"], found["figures"], time.monotonic() - began_s)


def _whole(machine: Machine) -> dict:
    """The whole way: the wave for the offset, then the life for the clips."""
    machine.must("systemctl stop lrt")
    _feed(machine, "wave")
    machine.must("systemctl start lrt", 120)
    found = machine.python("whole_job.py", "/share/wave.npz", "start", limit_s=300)
    machine.must("systemctl stop lrt")
    _feed(machine, "live")
    machine.must("systemctl start lrt", 120)
    rest = machine.python("whole_job.py", "/share/live.npz", "finish", limit_s=900)
    return {"checks": found["checks"] + rest["checks"], "figures": found["figures"] | rest["figures"]}
