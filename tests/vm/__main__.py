"""The rig on a real kernel, in a virtual machine: `make test-vm`, or `python tests/vm`.

Builds the machine's image once, starts it, runs the jobs of guest/ in it, cuts its disks' power on paper, and writes
report.json and report.html beside this file. Exit code 1 where a check did not hold.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from vm_cut_clips import judge_cuts
from vm_cut_files import judge_builds, judge_checkpoints, make_checkpoints
from vm_image import ROOT, BenchError, cache_folder, check_tools, make_image
from vm_machine import Machine, accelerator, install_lrt
from vm_powercut import LoggedDisk
from vm_report import NOT_RUN, Group, Report, write_report
from vm_scene import make_scene

SCENE_S = 24
RECORD_S, CARELESS_S, CHECKPOINT_S, BUILD_S = 50, 14, 20, 40
CUTS, CONTROL_CUTS, FILE_CUTS = 240, 40, 60
SEED = 8
SET_UP = """
modprobe i2c-dev
modprobe lrt_i2c
modprobe v4l2loopback video_nr=0 card_label=twin exclusive_caps=0
udevadm settle
"""


def main() -> int:
    wanted = argparse.ArgumentParser(prog="tests/vm", description=__doc__)
    wanted.add_argument("--keep", action="store_true", help="keep the machines' folders, and say where they are")
    wanted.add_argument("--only", nargs="*", default=[], metavar="PART", help="i2c v4l2 systemd whole power")
    wanted.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of report.json and report.html")
    asked = wanted.parse_args()
    began_s = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix="lrt-vm-"))
    try:
        check_tools()
        report = run_all(asked.only, work)
    except BenchError as error:
        print(f"test-vm: {error}", file=sys.stderr)
        return 1
    finally:
        if asked.keep:
            print(f"test-vm: kept {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    report.finish(time.monotonic() - began_s)
    write_report(report, asked.out, partial=bool(asked.only))
    print(report.table())
    return int(not report.ok)


def run_all(only: Sequence[str], work: Path) -> Report:
    """Every part that is asked for; one that breaks is said to have, and the others go on."""
    log = cache_folder() / "build.log"
    log.unlink(missing_ok=True)
    report = Report(accelerator())

    def wants(part: str) -> bool:
        return not only or part in only

    say("making the image and the scenes; the first time takes minutes")
    with ThreadPoolExecutor(1) as aside:
        making = aside.submit(make_image, log)
        wheel = make_wheel(work)
        scenes = {script: make_scene(script, SCENE_S) for script in ("live", "wave")}
        image = making.result()
    report.cold = image.built
    first = work / "rig"
    first.mkdir()
    disks = {name: LoggedDisk(first, name, slot) for slot, name in enumerate(("cut", "control", "run", "sets"), 0x1A)}
    say("starting the machine")
    with Machine(image, first, [option for disk in disks.values() for option in disk.options]) as machine:
        report.figures["boot_s"] = machine.boot_s
        report.figures["install_s"] = install_lrt(machine, wheel)
        for script, path in scenes.items():
            shutil.copy(path, machine.share / f"{script}.npz")
        for name in ("lrt.service", "99-lrt.rules"):
            shutil.copy(ROOT / "hardware" / name, machine.share)
        machine.must(SET_UP)
        feed(machine, "live")
        if wants("i2c"):
            report.add(job(machine, "i2c", "i2c_job.py", "/share/live.npz"))
            feed(machine, "live")  # it took the bus away at its end
        if wants("v4l2"):
            report.add(job(machine, "v4l2", "v4l2_job.py", "/share/live.npz", limit_s=400))
        if wants("systemd") or wants("whole"):
            report.add(
                job(machine, "systemd", "systemd_job.py", "/share/lrt.service", "/share/99-lrt.rules", limit_s=600)
            )
        if wants("whole"):
            report.add(whole(machine))
        if wants("power"):
            power(machine, disks, report, with_clips=wants("whole"))
    if wants("power"):
        judge(disks, report)
    report.not_run += NOT_RUN
    return report


def say(text: str) -> None:
    """How far it is."""
    print(f"test-vm: {text}", flush=True)


def make_wheel(work: Path) -> Path:
    """lrt's wheel, of the working tree as it is; built from a copy, for setuptools leaves its own files behind."""
    copy = work / "tree"
    unwanted = shutil.ignore_patterns(
        ".*", "tests", "bench", "build", "*.egg-info", "__pycache__", "runs", "clips", "demo"
    )
    shutil.copytree(ROOT, copy, ignore=unwanted)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", work / "wheel", copy]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list((work / "wheel").glob("*.whl"))
    if done.returncode or not wheels:
        raise BenchError(f"lrt's wheel could not be built: {done.stderr.strip().splitlines()[-1:]}")
    shutil.rmtree(copy)
    return wheels[0]


def feed(machine: Machine, script: str) -> None:
    """Have sensor and camera show a scene from now on."""
    machine.must(
        "systemctl stop feeder 2>/dev/null || true; systemctl reset-failed feeder 2>/dev/null || true; "
        "rm -f /run/feeder /run/feeder-start; "
        "systemd-run --quiet --unit=feeder --property=Nice=-10 --setenv=PYTHONUNBUFFERED=1 "
        f"/opt/lrt/bin/python /share/guest/feeder.py /share/{script}.npz 7200; "
        "n=0; while [ ! -e /run/feeder-start ]; do sleep 0.5; n=$((n+1)); [ $n -lt 120 ]; done"
    )


def job(machine: Machine, name: str, script: str, *arguments: str, limit_s: float = 300.0) -> Group:
    """A guest's script, its checks as a group."""
    return group_of(name, lambda: machine.python(script, *arguments, limit_s=limit_s))


def group_of(name: str, work: Callable[[], dict]) -> Group:
    """What a part found; a part that breaks is a check that did not hold."""
    say(name)
    began_s = time.monotonic()
    try:
        found = work()
    except BenchError as error:
        found = {"checks": [{"name": f"{name} runs to its end", "ok": False, "says": str(error)}], "figures": {}}
    return Group(name, found["checks"], found["figures"], time.monotonic() - began_s)


def whole(machine: Machine) -> Group:
    """The whole way: the wave for the offset, then the life for the clips."""

    def go() -> dict:
        machine.must("systemctl stop lrt")
        feed(machine, "wave")
        machine.must("systemctl start lrt", 120)
        found = machine.python("whole_job.py", "/share/wave.npz", "start", limit_s=300)
        machine.must("systemctl stop lrt")
        feed(machine, "live")
        machine.must("systemctl start lrt", 120)
        rest = machine.python("whole_job.py", "/share/live.npz", "finish", limit_s=900)
        return {"checks": found["checks"] + rest["checks"], "figures": found["figures"] | rest["figures"]}

    return group_of("whole", go)


def power(machine: Machine, disks: dict[str, LoggedDisk], report: Report, with_clips: bool) -> None:
    """Record, train and build on the logged disks; there are clips to build from where the whole way was gone."""
    payloads = machine.share / "payloads"
    payloads.mkdir()
    make_checkpoints(payloads)
    device = "/dev/disk/by-id/virtio-"
    machine.run("systemctl stop lrt")
    machine.must(
        "udevadm settle; "
        + "".join(f"mkdir -p /mnt/{name}; mount -o noatime {device}{name} /mnt/{name}; " for name in disks)
    )
    clips = "/var/lib/lrt/clips"
    built_of = (f"{clips}/whole-1", f"{clips}/whole-2", "/var/tmp/whole/calibration.json")
    runs = {
        "cut": ("power_record.py", "/mnt/cut/clips", f"{device}cut", str(RECORD_S)),
        "control": ("power_record.py", "/mnt/control/clips", f"{device}control", str(CARELESS_S), "--careless"),
        "run": ("power_files.py", "checkpoints", "/mnt/run/run", f"{device}run", str(CHECKPOINT_S), "/share/payloads"),
        "sets": ("power_files.py", "builds", "/mnt/sets/sets/dataset", f"{device}sets", str(BUILD_S), *built_of),
    }
    if not with_clips:
        report.broken["sets"] = "the whole way was not gone, so there are no clips to build from"
    for name in report.broken:
        del runs[name]
    for name, command in runs.items():
        say(f"power: {command[0]} on disk {name}")
        try:
            report.figures[f"power_{name}"] = machine.python(*command, limit_s=400)
        except BenchError as error:
            report.broken[name] = str(error)
    machine.must("".join(f"umount /mnt/{name}; " for name in disks))


def judge(disks: dict[str, LoggedDisk], report: Report) -> None:
    """Cut the power, a few hundred times."""
    ram = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="lrt-vm-", dir=ram if ram.is_dir() else None))
    plan = {
        "cut": ("clips", judge_cuts, CUTS),
        "control": ("control", judge_cuts, CONTROL_CUTS),
        "run": ("checkpoints", judge_checkpoints, FILE_CUTS),
        "sets": ("builds", judge_builds, FILE_CUTS),
    }
    try:
        for name, (title, judging, count) in plan.items():
            if name in report.broken:
                report.add_broken(title, report.broken[name])
                continue
            say(f"power: {count} cuts of the disk with {title}")
            began_s = time.monotonic()
            try:
                verdict = judging(disks[name].cuts(count, SEED, folder), folder)
            except BenchError as error:
                report.add_broken(title, str(error))
                continue
            report.add_cuts(title, verdict, time.monotonic() - began_s)
    finally:
        with suppress(OSError):
            shutil.rmtree(folder)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
