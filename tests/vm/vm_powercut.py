"""Cutting the power: a log of every write and flush of a disk, replayed to any point, what was not flushed half lost.

The log is QEMU's blklogwrites (the format of Linux's dm-log-writes). A cut keeps all that was written before the last
flush; of what came after it each 4 KiB block is kept or not, by a throw of a coin, as a disk's cache would.
"""

import json
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from vm_image import BenchError, find_tool

MAGIC, VERSION = 0x6A736677736872, 1
FLUSH, FUA, DISCARD, MARKED = 1, 2, 4, 8
SECTOR, BLOCK = 512, 4096
DISK_BYTES = 80 * 1024 * 1024
MARK_AT = DISK_BYTES - BLOCK
_LOG_BYTES = 4 * 1024 * 1024 * 1024  # sparse


@dataclass(frozen=True)
class Entry:
    """One request: where it wrote, and where in the log its bytes stand."""

    start: int  # byte on the disk
    length: int
    flags: int
    at: int  # byte in the log


@dataclass(frozen=True)
class Cut:
    """A disk as a power cut left it.

    Attributes:
        number: of the cut.
        entry: it came before this one.
        pending: blocks of the file system that were written and not flushed; about half were lost.
        mark: the last thing the machine said before.
        image: the disk.
    """

    number: int
    entry: int
    pending: int
    mark: dict
    image: Path


class LoggedDisk:
    """A small ext4 disk whose writes are logged.

    Args:
        folder: of its image and its log.
        name: of the two.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.image, self.log = folder / f"{name}.img", folder / f"{name}.log"
        self.before = folder / f"{name}.before"
        with self.before.open("wb") as file:
            file.truncate(DISK_BYTES)
        kilobytes = (DISK_BYTES - 64 * 1024) // 1024
        at_once = "lazy_itable_init=0,lazy_journal_init=0"
        command = [find_tool("mke2fs") or "mke2fs", "-q", "-t", "ext4", "-b", str(BLOCK), "-m", "0", "-E", at_once]
        subprocess.run([*command, self.before, f"{kilobytes}k"], check=True)
        shutil.copy(self.before, self.image)
        with self.log.open("wb") as file:
            file.truncate(_LOG_BYTES)

    @property
    def backing(self) -> str:
        """QEMU's `-blockdev`, without a name.

        Flushes stand in the log, and do not wait for the host's own disk: how busy that is must not be what is judged.
        """
        parts = {"file": self.image, "log": self.log}
        files = [f"{part}.driver=file,{part}.filename={path},{part}.cache.no-flush=on" for part, path in parts.items()]
        return f"driver=blklogwrites,{','.join(files)}"

    def entries(self) -> list[Entry]:
        """The log, in order.

        Raises:
            BenchError: it is no such log.
        """
        found: list[Entry] = []
        with self.log.open("rb") as file:
            magic, version, count, sector = struct.unpack("<QQQI", file.read(28))
            if (magic, version) != (MAGIC, VERSION):
                raise BenchError(f"{self.log} is no log of writes; does this QEMU have blklogwrites?")
            at = sector
            for _ in range(count):
                file.seek(at)
                start, sectors, flags, _ = struct.unpack("<QQQQ", file.read(32))
                at += sector
                held = 0 if flags & (DISCARD | MARKED) else sectors * sector
                found.append(Entry(start * sector, sectors * sector, flags, at))
                at += held
        return found

    def cuts(self, count: int, seed: int, work: Path) -> Iterator[Cut]:
        """So many cuts at random points after the first mark, in order; the image is good until the next is asked for.

        Half are drawn among all requests, half among those with something unflushed.
        """
        entries = self.entries()
        rng = np.random.default_rng(seed)
        marks = [number for number, each in enumerate(entries) if each.start == MARK_AT and each.length]
        if not marks:
            raise BenchError("the machine wrote no mark on its logged disk")
        pending = _pending(entries)
        first, last = marks[0] + 1, len(entries)
        busy = [number for number in range(first, last) if pending[number]]
        if not busy:
            raise BenchError("nothing was ever unflushed on the logged disk; is its write cache off?")
        drawn = np.concatenate([rng.integers(first, last, count - count // 2), rng.choice(busy, count // 2)])
        durable, image = work / "durable.img", work / "cut.img"
        _copy_sparse(self.before, durable)
        held = 0  # entries that `durable` has
        log = np.memmap(self.log, np.uint8, "r")
        for number, point in enumerate(np.sort(drawn).tolist()):
            flushed = _last_flush(entries, point)
            with durable.open("r+b") as disk:
                for entry in entries[held:flushed]:
                    _write(disk, log, entry)
            held = max(held, flushed)
            _copy_sparse(durable, image)
            unflushed = 0
            with image.open("r+b") as disk:
                for entry in entries[flushed:point]:
                    if entry.start >= MARK_AT or entry.flags & FUA:
                        _write(disk, log, entry)
                        continue
                    for offset in range(0, entry.length, BLOCK):
                        unflushed += 1
                        if rng.random() < 0.5:
                            part = min(BLOCK, entry.length - offset)
                            _write(disk, log, Entry(entry.start + offset, part, entry.flags, entry.at + offset))
                disk.seek(MARK_AT)
                mark = json.loads(disk.read(BLOCK).strip(b"\0 ") or b"{}")
            yield Cut(number, point, unflushed, mark, image)


def mend(image: Path) -> tuple[bool, str]:
    """Have e2fsck mend the disk as a start of the machine would; whether it could, and what it said.

    Twice: what it mended must then be clean.
    """
    tool = find_tool("e2fsck") or "e2fsck"
    first = subprocess.run([tool, "-fy", image], capture_output=True, text=True, check=False)
    second = subprocess.run([tool, "-fn", image], capture_output=True, text=True, check=False)
    return first.returncode in (0, 1) and second.returncode == 0, (first.stdout + second.stdout).strip()


def read_tree(image: Path, inside: str, out: Path) -> None:
    """Copy a folder of the disk out, without mounting it."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    tool = find_tool("debugfs") or "debugfs"
    subprocess.run([tool, "-R", f"rdump {inside} {out}", image], capture_output=True, check=True)


def _copy_sparse(source: Path, target: Path) -> None:
    """A copy that takes no longer than what is in it."""
    target.unlink(missing_ok=True)
    subprocess.run(["cp", "--sparse=always", source, target], check=True)


def _write(disk: BinaryIO, log: np.ndarray, entry: Entry) -> None:
    if entry.length and not entry.flags & (DISCARD | MARKED):
        disk.seek(entry.start)
        disk.write(log[entry.at : entry.at + entry.length].tobytes())


def _last_flush(entries: Sequence[Entry], point: int) -> int:
    """How many entries the last flush before a point made durable."""
    for number in range(point - 1, -1, -1):
        if entries[number].flags & FLUSH:
            return number
    return 0


def _pending(entries: Sequence[Entry]) -> list[int]:
    """For a cut before each entry: how many requests of the file system are unflushed."""
    counts, waiting = [], 0
    for entry in entries:
        counts.append(waiting)
        if entry.flags & FLUSH:
            waiting = 0
        elif entry.length and entry.start < MARK_AT:
            waiting += 1
    return counts
