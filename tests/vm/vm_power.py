"""Power cuts: disks that are recorded, trained and built on in a machine, and then cut a few hundred times on paper."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vm_cut_clips import Verdict, judge_cuts
from vm_cut_files import FilesVerdict, judge_builds, judge_checkpoints, make_checkpoints
from vm_image import BenchError
from vm_machine import LOGGED, Machine
from vm_powercut import Cut, LoggedDisk
from vm_report import Report, say

SEED = 8
ROOM_BYTES = 1024**3  # the disks and their logs took a third of it


@dataclass(frozen=True)
class Story:
    """What is written on a disk, and how what a cut leaves of it is judged.

    Attributes:
        words: the guest's script and its words; DEVICE stands for the disk's own.
        judging: takes the cuts and a folder to work in.
        cuts: how many.
    """

    words: tuple[str, ...]
    judging: Callable[[Iterable[Cut], Path], Verdict | FilesVerdict]
    cuts: int


STORIES = {
    "clips": Story(("power_record.py", "/mnt/clips/clips", "DEVICE", "30"), judge_cuts, 240),
    "control": Story(("power_record.py", "/mnt/control/clips", "DEVICE", "6", "--careless"), judge_cuts, 40),
    "checkpoints": Story(
        ("power_files.py", "checkpoints", "/mnt/checkpoints/run", "DEVICE", "15", "/share/payloads"),
        judge_checkpoints,
        60,
    ),
    "builds": Story(
        (
            *("power_files.py", "builds", "/mnt/builds/sets/dataset", "DEVICE", "6", "/share/live.npz"),
            *("/mnt/clips/clips/cut-003", "/mnt/clips/clips/cut-001"),  # of 7.7 s and 5.1 s
        ),
        judge_builds,
        60,
    ),
}


@contextmanager
def in_memory() -> Iterator[Path]:
    """A folder for the disks, in memory where there is room: how busy the host's own disk is must not be judged.

    Images that are made at the same time fill it with gigabytes, and whoever writes then waits.
    """
    ram = Path("/dev/shm")
    roomy = ram.is_dir() and shutil.disk_usage(ram).free > ROOM_BYTES
    with tempfile.TemporaryDirectory(
        prefix="lrt-vm-", dir=ram if roomy else None, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def make_disks(folder: Path) -> dict[str, LoggedDisk]:
    """A logged disk for each story."""
    return {name: LoggedDisk(folder, name) for name in STORIES}


def tell(machine: Machine, report: Report) -> None:
    """Have the machine write on its disks; what breaks is noted, and the other disks are written all the same."""
    payloads = machine.share / "payloads"
    payloads.mkdir()
    make_checkpoints(payloads)
    machine.must("udevadm settle")
    for number, (name, story) in enumerate(STORIES.items()):
        device = f"{LOGGED}{number}"
        machine.must(f"mkdir -p /mnt/{name}; mount -o noatime {device} /mnt/{name}")
        say(f"power: {name} are written")
        words = [device if word == "DEVICE" else word for word in story.words]
        try:
            report.figures[f"power_{name}"] = machine.python(*words, limit_s=400)
        except BenchError as error:
            report.add_broken(name, str(error))
    machine.must("umount " + " ".join(f"/mnt/{name}" for name in STORIES))  # the clips were built on


def judge(disks: Mapping[str, LoggedDisk], folder: Path, report: Report) -> None:
    """Cut the power, a few hundred times, of each disk whose story was told to its end.

    Args:
        folder: to work in.
    """
    for name, story in STORIES.items():
        if report.has(name):
            continue
        say(f"power: {story.cuts} cuts of the disk with {name}")
        began_s = time.monotonic()
        try:
            verdict = story.judging(disks[name].cuts(story.cuts, SEED, folder), folder)
        except BenchError as error:
            report.add_broken(name, str(error))
            continue
        report.add_cuts(name, verdict, time.monotonic() - began_s)
