"""Machines as they stood, kept: to start one takes a minute of an emulated processor, to go on from there seconds.

Each image's machine is kept twice, by the hash of what made it so: when all in it has started, and when it is ready for
its parts. A change of lrt costs the second alone.
"""

import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vm_image import BenchError, Image, find_tool, key_of
from vm_machine import Kept, Machine, accelerator, share_scripts
from vm_powercut import DISK_BYTES, LoggedDisk

KEEP_S = 300.0
Made = list[tuple[str, bool]]  # what is kept, and whether it was made in this run
Prepare = Callable[[Machine], None]  # of a machine that has started: it takes jobs in the end, and all is done there


def keep_ready(image: Image, made_of: Sequence[str | bytes], prepare: Prepare, made: Made) -> Kept | None:
    """The image's machine as it is when it is ready; made unless it was before, of the same and by this QEMU.

    Args:
        made_of: all that `prepare` makes it of, itself among that.
        prepare: how it gets ready.
        made: of each of the two that are kept, "started" and "ready", whether it was made now is added.

    Returns:
        It; None where the processor is real: there a start takes seconds, and what is kept of one processor need not
        go on under another.

    Raises:
        BenchError: the machine does not start or get ready, or cannot be kept.
    """
    if accelerator() == "kvm":
        return None
    tool = find_tool("qemu-system-x86_64") or "qemu-system-x86_64"
    version = subprocess.run([tool, "--version"], capture_output=True, check=True).stdout
    described = Path(__file__).with_name("vm_machine.py").read_bytes()  # where its devices are named
    key = key_of(version, described, str(DISK_BYTES))
    started = _keep_as(image, "started", key, None, lambda _: None, made)

    def get_ready(machine: Machine) -> None:
        prepare(machine)
        machine.leave_share()

    return _keep_as(image, "ready", key_of(key, *made_of), started, get_ready, made)


def _keep_as(image: Image, name: str, key: str, start: Kept | None, prepare: Prepare, made: Made) -> Kept:
    folder = image.disk.parent / f"{name}-{key}"
    found = (folder / "done").exists()
    made.append((name, not found))
    if found:
        return Kept.of(folder)
    for old in image.disk.parent.glob(f"{name}-*"):
        shutil.rmtree(old)
    with tempfile.TemporaryDirectory(prefix="lrt-vm-") as work, Machine(image, Path(work), kept=start) as machine:
        prepare(machine)
        kept = keep(machine, folder)
    (folder / "done").touch()
    return kept


@contextmanager
def go_on(
    image: Image,
    folder: Path,
    kept: Kept | None,
    prepare: Prepare,
    disks: Sequence[LoggedDisk] = (),
    nice: int = 0,
) -> Iterator[Machine]:
    """A machine that goes on from there, and takes jobs; `prepare` makes it ready where none is kept.

    Args:
        folder: of this machine, which is made.
        disks, nice: see `Machine`.
    """
    folder.mkdir()
    with Machine(image, folder, disks, kept, nice) as machine:
        if kept is None:
            prepare(machine)
        else:
            share_scripts(machine)
            machine.take_jobs()
        yield machine


def keep(machine: Machine, folder: Path) -> Kept:
    """Stop a machine that has let go of its share, or has not joined it yet, and keep it as it stands.

    Args:
        folder: for it, which is made.

    Raises:
        BenchError: it cannot be kept.
    """
    folder.mkdir()
    kept = Kept.of(folder)
    machine.control.ask("stop")
    machine.control.ask("migrate", uri=f"exec:cat > {shlex.quote(str(kept.memory))}")
    end = time.monotonic() + KEEP_S
    while (state := machine.control.ask("query-migrate").get("status")) != "completed":
        if state in ("failed", "cancelled") or time.monotonic() > end:
            raise BenchError(f"the machine cannot be kept ({state}); see {machine.console}")
        time.sleep(0.1)
    shutil.copy(machine.overlay, kept.overlay)
    return kept
