"""A machine that runs jobs: QEMU, an overlay over a kept image, and a folder shared over 9p. It has no network."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from vm_image import BenchError, Image, find_tool

BOOT_S = 1200.0  # on a host that is busy with other things; 30 s on one that is not
STOP_S = 300.0
MEMORY_MB = 2048
_running: set[subprocess.Popen] = set()
NS_SHIFT = 1  # an instruction takes 2 to this ns


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
    """A running machine; a context manager, which shuts it down, or ends it when it will not.

    Args:
        image: what it starts from; nothing is written there.
        folder: of this machine: overlay, share and console log.
        drives: more of QEMU's options, such as a logged disk.

    Raises:
        BenchError: it did not start.
    """

    def __init__(self, image: Image, folder: Path, drives: Sequence[str] = ()) -> None:
        self._folder = folder
        self.share = folder / "share"
        for each in ("jobs", "out"):
            (self.share / each).mkdir(parents=True)
        self.console = folder / "console.log"
        overlay = folder / "overlay.qcow2"
        subprocess.run(
            [
                find_tool("qemu-img") or "qemu-img",
                "create",
                "-q",
                "-f",
                "qcow2",
                "-F",
                "raw",
                "-b",
                image.disk,
                overlay,
            ],
            check=True,
        )
        command = [
            find_tool("qemu-system-x86_64") or "qemu-system-x86_64",
            *("-machine", "q35", *processor(), "-m", str(MEMORY_MB)),
            *("-nodefaults", "-no-user-config", "-nic", "none", "-display", "none", "-no-reboot"),
            *("-serial", f"file:{self.console}"),
            *("-kernel", str(image.kernel), "-initrd", str(image.initrd)),
            *("-append", "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 panic=1"),
            *("-blockdev", f"driver=qcow2,node-name=root,file.driver=file,file.filename={overlay}"),
            *("-device", "virtio-blk-pci,drive=root,addr=0x3"),
            *("-fsdev", f"local,id=share,path={self.share},security_model=none,multidevs=remap"),
            *("-device", "virtio-9p-pci,fsdev=share,mount_tag=share,addr=0x4"),
            *("-device", "virtio-rng-pci,addr=0x5"),
            *drives,
        ]
        self._log = (folder / "qemu.log").open("w")
        began = time.monotonic()
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        _running.add(self._process)
        self._jobs = 0
        try:
            while not (self.share / "ready").exists():
                self._must_live(began + BOOT_S, "has not started")
                time.sleep(0.1)
        except BaseException:
            self._end()
            raise
        self.boot_s = time.monotonic() - began

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
        if error is None:
            (self.share / "stop").touch()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._end()
                raise BenchError(f"the machine did not shut down; see {self.console}") from None
        self._end()

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        _running.discard(self._process)
        self._log.close()

    def _must_live(self, deadline: float, what: str) -> None:
        if self._process.poll() is not None:
            said = (self._folder / "qemu.log").read_text(errors="replace").strip().splitlines()
            raise BenchError(f"QEMU ended ({self._process.returncode}): {' | '.join(said[-3:])}; see {self.console}")
        if time.monotonic() > deadline:
            raise BenchError(f"the machine {what}; see {self.console}")


def end_all() -> None:
    """End every machine at once, whatever it does; who waits for one gets a BenchError."""
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


def install_lrt(machine: Machine, packed: Path) -> float:
    """lrt into the machine's /opt/lrt, and the guest's scripts into the share; seconds it took."""
    guest = Path(__file__).with_name("guest")
    shutil.copytree(guest, machine.share / "guest", dirs_exist_ok=True)
    shutil.copy(packed, machine.share)
    done = machine.must(
        f"cd /opt/lrt/lib/python3*/site-packages; tar -xf /share/{packed.name}; mv bin/lrt /opt/lrt/bin/; "
        "ln -sf /opt/lrt/bin/lrt /usr/local/bin/lrt; lrt --version"
    )
    return done.seconds
