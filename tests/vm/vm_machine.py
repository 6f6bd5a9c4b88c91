"""A machine that runs jobs: QEMU, an overlay over a kept image, and a folder shared over 9p. It has no network."""

import json
import os
import select
import shlex
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from vm_control import Control
from vm_image import BenchError, Image, find_tool
from vm_powercut import DISK_BYTES, LoggedDisk

BOOT_S = 1200.0  # on a host that is busy with other things; 30 s on one that is not
STOP_S = 30.0
MEMORY_MB = 2048
_running: set[subprocess.Popen] = set()
_over = threading.Event()
NS_SHIFT = 1  # an instruction takes 2 to this ns
QUICK = "cache.no-flush=on"  # of what is thrown away at the end
SLOTS = (0x1A, 0x1B, 0x1C, 0x1D)  # on the machine's bus, of the disks whose writes are logged
LOGGED = "/dev/disk/by-id/virtio-logged"  # and the disk's number


@dataclass(frozen=True)
class Kept:
    """A machine that was stopped as it stood: its memory, and what it had written on its disk."""

    memory: Path
    overlay: Path

    @classmethod
    def of(cls, folder: Path) -> Self:
        """That of a folder."""
        return cls(folder / "memory", folder / "overlay.qcow2")


@dataclass(frozen=True)
class Done:
    """What came of a job.

    Attributes:
        code: its exit status; 124 where it ran out of time.
        text: what it printed, errors too.
        seconds: it took, as the host saw it.
    """

    code: int
    text: str
    seconds: float

    @property
    def found(self) -> dict:
        """The JSON object in its last line.

        Raises:
            BenchError: it failed, or printed none.
        """
        lines = self.text.strip().splitlines()
        try:
            found = json.loads(lines[-1])
        except (IndexError, ValueError):
            raise BenchError(f"a job ended with {self.code} and no result: {' | '.join(lines[-6:])}") from None
        return found


class Machine:
    """A running machine; a context manager, which ends it.

    Args:
        image: what it starts from; nothing is written there.
        folder: of this machine: overlay, share and console log.
        disks: those whose writes are logged; in the machine `LOGGED` and their place among these.
        kept: such a machine as it stood once: it goes on from there. None: it is switched on.
        nice: how far it stands back behind other machines, as nice(1) has it.

    Attributes:
        overlay: all that it wrote on its disk.
        control: QEMU's monitor.
        boot_s: until all in it was started, or stood again.

    Raises:
        BenchError: it did not start.
    """

    def __init__(
        self, image: Image, folder: Path, disks: Sequence[LoggedDisk] = (), kept: Kept | None = None, nice: int = 0
    ) -> None:
        self._folder = folder
        self.share = folder / "share"
        for each in ("jobs", "out"):
            (self.share / each).mkdir(parents=True)
        self.console = folder / "console.log"
        self.overlay = folder / "overlay.qcow2"
        below, kind = (kept.overlay, "qcow2") if kept else (image.disk, "raw")
        make = [find_tool("qemu-img") or "qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", below]
        subprocess.run([*make, self.overlay], check=True)
        self._log = (folder / "qemu.log").open("w")
        self._jobs = 0
        self._port, its_port = socket.socketpair()
        control, its_control = socket.socketpair()
        began = time.monotonic()
        if _over.is_set():
            raise BenchError("stopped")
        with its_port, its_control:
            ends = {"port": its_port.fileno(), "control": its_control.fileno()}
            command = [
                *("nice", "-n", str(nice)),
                *self._describe(image, disks),
                *(part for name, end in ends.items() for part in ("-chardev", f"socket,id={name},fd={end}")),
                *("-serial", "chardev:port", "-mon", "chardev=control,mode=control"),
                *(("-incoming", f"exec:cat {shlex.quote(str(kept.memory))}") if kept else ()),
            ]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, pass_fds=[*ends.values()]
            )
        _running.add(self._process)
        try:
            self.control = Control(control)
            started = self._has_read if kept else self._hears
            while not started():
                self._must_live(began + BOOT_S, "has not started")
                time.sleep(0.05)
            self.control.ask("cont")  # it was kept standing still
        except BaseException as error:
            ended = self._process.poll()
            self._end()
            if isinstance(error, OSError | ValueError):  # the socket's other end is gone
                raise BenchError(f"QEMU ended ({ended}): {self._last_words()}") from None
            raise
        self.boot_s = time.monotonic() - began

    def take_jobs(self) -> None:
        """Have its agent mount the share and wait for jobs. Until then the machine can be kept as it is.

        Raises:
            BenchError: it does not.
        """
        self._port.sendall(f"{time.time():.0f}\n".encode())  # a kept machine's clock has the day on which it was kept
        end = time.monotonic() + BOOT_S
        while not (self.share / "ready").exists():
            self._must_live(end, "does not take jobs")
            time.sleep(0.05)

    def leave_share(self) -> None:
        """Have its agent let go of the share, so that the machine can be kept as it stands.

        Raises:
            BenchError: it does not.
        """
        self._port.recv(4096)  # what it said when it had started
        (self.share / "leave").touch()
        end = time.monotonic() + BOOT_S
        while not self._hears():
            self._must_live(end, "does not let go of the share")

    def run(self, script: str, limit_s: float = 300.0) -> Done:
        """Run a shell script as root in the machine, and wait for it.

        Raises:
            BenchError: the machine died, or is silent ten times as long as the job may take by its own clock.
        """
        self._jobs += 1
        name = f"{self._jobs:03d}"
        inner = self.share / "jobs" / f"{name}.inner"
        inner.write_text(script)
        job = inner.with_suffix(".tmp")
        job.write_text(f"cd /tmp; timeout -k 10 {limit_s:.0f} sh -eu /share/jobs/{inner.name}\n")
        began = time.monotonic()
        job.rename(job.with_suffix(".sh"))
        answer = self.share / "out" / f"{name}.rc"
        while not answer.exists():
            self._must_live(began + 10 * limit_s, f"hangs in job {name}")
            time.sleep(0.05)
        text = (self.share / "out" / f"{name}.txt").read_text(errors="replace")
        return Done(int(answer.read_text()), text, time.monotonic() - began)

    def must(self, script: str, limit_s: float = 300.0) -> Done:
        """`run`, of a job that has to succeed.

        Raises:
            BenchError: it did not.
        """
        done = self.run(script, limit_s)
        if done.code:
            lines = done.text.strip().splitlines()
            raise BenchError(
                f"in the machine, `{script.strip().splitlines()[-1]}` gave {done.code}: {' | '.join(lines[-6:])}"
            )
        return done

    def python(self, name: str, *arguments: str, limit_s: float = 300.0) -> dict:
        """Run one of the guest's scripts by lrt's Python; the JSON object in its last line.

        Raises:
            BenchError: it failed.
        """
        words = " ".join(f"'{each}'" for each in arguments)
        done = self.run(f"/opt/lrt/bin/python -W error::DeprecationWarning:lrt /share/guest/{name} {words}", limit_s)
        if done.code:
            lines = done.text.strip().splitlines()
            raise BenchError(f"{name} {words} gave {done.code}: {' | '.join(lines[-8:])}")
        return done.found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:  # its disk goes with it; the logged ones are no longer mounted
            try:
                self.control.ask("quit")
                self._process.wait(STOP_S)
            except (OSError, ValueError, subprocess.TimeoutExpired):
                pass
        self._end()

    def _describe(self, image: Image, disks: Sequence[LoggedDisk]) -> list[str]:
        """QEMU's command, but for how it is talked to. A machine that was kept has to be described as it was then."""
        command = [
            find_tool("qemu-system-x86_64") or "qemu-system-x86_64",
            *("-machine", "q35", *processor(), "-m", str(MEMORY_MB)),
            *("-nodefaults", "-no-user-config", "-nic", "none", "-display", "none", "-no-reboot"),
            *("-serial", f"file:{self.console}"),
            *("-kernel", str(image.kernel), "-initrd", str(image.initrd)),
            *("-append", "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 panic=1"),
            *(
                "-blockdev",
                f"driver=qcow2,node-name=root,{QUICK},file.driver=file,file.filename={self.overlay},file.{QUICK}",
            ),
            *("-device", "virtio-blk-pci,drive=root,addr=0x3"),
            *("-fsdev", f"local,id=share,path={self.share},security_model=none,multidevs=remap"),
            *("-device", "virtio-9p-pci,fsdev=share,mount_tag=share,addr=0x4"),
            *("-device", "virtio-rng-pci,addr=0x5"),
        ]
        for number, slot in enumerate(SLOTS):
            backing = disks[number].backing if number < len(disks) else f"driver=null-co,size={DISK_BYTES}"
            command += ["-blockdev", f"{backing},node-name=logged{number}"]
            command += ["-device", f"virtio-blk-pci,drive=logged{number},addr={slot:#x},serial=logged{number}"]
        return command

    def _has_read(self) -> bool:
        """Whether what was kept of it has been read."""
        return self.control.ask("query-status")["status"] != "inmigrate"

    def _hears(self) -> bool:
        """Whether the machine's agent has said that all is started."""
        return bool(select.select([self._port], [], [], 1.0)[0])

    def _last_words(self) -> str:
        said = (self._folder / "qemu.log").read_text(errors="replace").strip().splitlines()
        return f"{' | '.join(said[-3:])}; see {self.console}"

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        _running.discard(self._process)
        self._port.close()
        self._log.close()

    def _must_live(self, deadline: float, what: str) -> None:
        if self._process.poll() is not None:
            raise BenchError(f"QEMU ended ({self._process.returncode}): {self._last_words()}")
        if time.monotonic() > deadline:
            raise BenchError(f"the machine {what}; see {self.console}")


def end_all() -> None:
    """End every machine at once, whatever it does, and start no other; who waits for one gets a BenchError."""
    _over.set()
    for process in list(_running):
        process.kill()


def accelerator() -> str:
    """KVM where the processor and this user can, else software emulation."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "tcg"
    can = ("vmx" in flags or " svm" in flags) and os.access("/dev/kvm", os.R_OK | os.W_OK)
    return "kvm" if can else "tcg"


def processor() -> list[str]:
    """QEMU's options for it.

    Emulated, its clock counts instructions, 2 ns each: to itself it is as quick as a small computer, however slow or
    busy the host is, so that delays in it are lrt's and not the emulation's.
    """
    if accelerator() == "kvm":
        return ["-accel", "kvm", "-cpu", "host", "-smp", "2"]
    return ["-accel", "tcg", "-icount", f"shift={NS_SHIFT},sleep=on", "-cpu", "max", "-smp", "1"]


def install_lrt(machine: Machine, packed: Path) -> None:
    """The machine takes jobs, with the guest's scripts in the share, and lrt in its /opt/lrt."""
    share_scripts(machine)
    shutil.copy(packed, machine.share)
    machine.take_jobs()
    machine.must(
        f"cd /opt/lrt/lib/python3*/site-packages; tar -xf /share/{packed.name}; mv bin/lrt /opt/lrt/bin/; "
        "ln -sf /opt/lrt/bin/lrt /usr/local/bin/lrt"
    )


def share_scripts(machine: Machine) -> None:
    """The guest's scripts into the share."""
    shutil.copytree(Path(__file__).with_name("guest"), machine.share / "guest", dirs_exist_ok=True)
