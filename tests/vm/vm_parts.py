"""The parts of the bench, by the machine that each runs on; all of them go on from the same start.

They run beside each other, two more than there are processors: a machine that is emulated in software takes one, and
waits now and then. The whole way and the service take the longest; the others stand back behind them.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import vm_picamera
from vm_image import HERE, ROOT, BenchError, Image, list_wheel, make_camera_image, pack_lrt
from vm_kept import Made, go_on, keep_ready
from vm_machine import Kept, Machine, install_lrt
from vm_power import STORIES, in_memory, judge, make_disks, tell
from vm_powercut import LoggedDisk
from vm_report import Group, Report, say

PARTS = ("i2c", "v4l2", "firmware", "power", "systemd", "whole", "picamera2")
PART_OF = dict.fromkeys(STORIES, "power")  # what is asked for by another name than it is told by
FIRST, SECOND, STAND_BACK = 0, 3, 8  # nice(1): the whole way, the service, all others
INSTALLED = ("lrt.service", "99-lrt.rules")  # of hardware/
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
        image: of the machines that record.
        ready: such a machine as it stands when lrt is in it and a scene is fed; None: each is made ready by itself.
        wheel: lrt's; each image's own pip installs it.
        packed: it, as the first image's pip has installed it.
        scenes: what sensor and camera can be made to see.
        report: what was found goes there.
    """

    only: frozenset[str]
    work: Path
    image: Image
    ready: Future[Kept | None]
    wheel: Path
    packed: Path
    scenes: dict[str, Path]
    report: Report

    def wants(self, *parts: str) -> bool:
        """Whether any of these is asked for."""
        return not self.only or not self.only.isdisjoint(parts)


def make_ready(image: Image, wheel: Path, packed: Path, scenes: Mapping[str, Path], made: Made) -> Kept | None:
    """A machine that records, as it stands when all that the parts have in common is done; see `keep_ready`.

    Raises:
        BenchError: the machine does not get there.
    """
    scripts = [HERE / "guest" / name for name in ("checks.py", "feeder.py", "set_up_job.py")]
    files = [Path(__file__), *scripts, *(ROOT / "hardware" / name for name in INSTALLED)]
    made_of = [list_wheel(wheel), *(path.name for path in scenes.values()), *(path.read_bytes() for path in files)]
    return keep_ready(image, made_of, lambda machine: _prepare(machine, packed, scenes), made)


def _prepare(machine: Machine, packed: Path, scenes: Mapping[str, Path]) -> None:
    """lrt, devices that are fed, and the users and files of hardware/PI.md."""
    _share(machine, scenes)
    install_lrt(machine, packed)
    machine.must(SET_UP)
    machine.must("/opt/lrt/bin/python /share/guest/set_up_job.py " + " ".join(f"/share/{name}" for name in INSTALLED))
    _feed(machine, *scenes)


def _share(machine: Machine, scenes: Mapping[str, Path]) -> None:
    for script, path in scenes.items():
        shutil.copy(path, machine.share / f"{script}.npz")
    for name in INSTALLED:
        shutil.copy(ROOT / "hardware" / name, machine.share)


def on_devices(bench: Bench) -> None:
    """Sensor and camera as they are, and the board's firmware."""
    with _started(bench, "devices") as machine:
        if bench.wants("i2c"):
            bench.report.add(_job(machine, "i2c", "i2c_job.py", "/share/live.npz"))
        if bench.wants("v4l2"):
            _feed(machine, *bench.scenes)  # the job before took the bus away at its end
            bench.report.add(_job(machine, "v4l2", "v4l2_job.py", "/share/live.npz", limit_s=400))
        if bench.wants("firmware"):
            machine.must("systemctl stop feeder 2>/dev/null || true")
            for path in (ROOT / "hardware/firmware/core.py", ROOT / "tests/rig/firmware_talk.py"):
                shutil.copy(path, machine.share)
            bench.report.add(_job(machine, "firmware", "firmware_job.py", "/share"))


def on_disks(bench: Bench) -> None:
    """Disks that are recorded, trained and built on, and cut."""
    with in_memory() as folder:
        disks = make_disks(folder)
        with _started(bench, "disks", disks) as machine:
            tell(machine, bench.report)
        judge(disks, folder, bench.report)


def on_service(bench: Bench) -> None:
    """The service as a Pi has it."""
    with _started(bench, "service", nice=SECOND) as machine:
        bench.report.add(_job(machine, "systemd", "systemd_job.py", limit_s=600))


def on_whole(bench: Bench) -> None:
    """The whole way with that service."""
    with _started(bench, "whole", nice=FIRST) as machine:
        bench.report.add(_job(machine, "whole", "whole_job.py", "/share/live.npz", "/share/wave.npz", limit_s=900))


def on_camera(bench: Bench) -> None:
    """picamera2, under a newer Debian, whose image is made here: the other machines need not wait for it."""
    image, made = make_camera_image(), bench.report.made
    made += image.made_now

    def prepare(machine: Machine) -> None:
        folder = bench.work / "camera-lrt"
        folder.mkdir()
        install_lrt(machine, pack_lrt(image, bench.wheel, folder))
        vm_picamera.prepare(machine)

    sources = [Path(each).read_bytes() for each in (__file__, vm_picamera.__file__)]
    kept = keep_ready(image, [list_wheel(bench.wheel), *sources], prepare, made)
    with go_on(image, bench.work / "camera", kept, prepare, nice=STAND_BACK) as machine:
        bench.report.add(_job(machine, "picamera2", "picamera_job.py"))


@contextmanager
def _started(
    bench: Bench, name: str, disks: Mapping[str, LoggedDisk] | None = None, nice: int = STAND_BACK
) -> Iterator[Machine]:
    """A machine that is ready."""
    ready = bench.ready.result()
    say(f"starting the machine of the {name}")

    def prepare(machine: Machine) -> None:
        _prepare(machine, bench.packed, bench.scenes)

    with go_on(bench.image, bench.work / name, ready, prepare, [*(disks or {}).values()], nice) as machine:
        _share(machine, bench.scenes)
        yield machine


def _feed(machine: Machine, *scenes: str) -> None:
    """Have sensor and camera show the first of these scenes from now on, and the others when they are asked for."""
    paths = " ".join(f"/share/{name}.npz" for name in scenes)
    machine.must(
        "systemctl stop feeder 2>/dev/null || true; systemctl reset-failed feeder 2>/dev/null || true; "
        "rm -f /run/feeder /run/feeder-start; "
        "systemd-run --quiet --unit=feeder --property=Nice=-10 --setenv=PYTHONUNBUFFERED=1 "
        f"/opt/lrt/bin/python /share/guest/feeder.py {paths}; "
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


MACHINES: tuple[tuple[Callable[[Bench], None], tuple[str, ...]], ...] = (  # that which may have to be made, the longest
    (on_camera, ("picamera2",)),
    (on_whole, ("whole",)),
    (on_disks, tuple(STORIES)),
    (on_service, ("systemd",)),
    (on_devices, ("i2c", "v4l2", "firmware")),
)
