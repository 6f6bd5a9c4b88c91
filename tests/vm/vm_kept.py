"""A machine as it stood, kept: to start one takes a minute of an emulated processor, to go on from there seconds."""

import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from vm_image import BenchError, Image, find_tool, key_of
from vm_machine import Kept, Machine, accelerator
from vm_powercut import DISK_BYTES

KEEP_S = 300.0


def keep_started(image: Image) -> tuple[Kept | None, bool]:
    """The image's machine as it is when all in it has started; made unless it was before, by this QEMU.

    Returns:
        It, and whether it was made now; None where the processor is real: there a start takes seconds, and what is kept
        of one processor need not go on under another.

    Raises:
        BenchError: the machine does not start, or cannot be kept.
    """
    if accelerator() == "kvm":
        return None, False
    tool = find_tool("qemu-system-x86_64") or "qemu-system-x86_64"
    version = subprocess.run([tool, "--version"], capture_output=True, check=True).stdout
    described = Path(__file__).with_name("vm_machine.py").read_bytes()  # where its devices are named
    folder = image.disk.parent / f"started-{key_of(version, described, str(DISK_BYTES))}"
    if (folder / "done").exists():
        return Kept.of(folder), False
    for old in image.disk.parent.glob("started-*"):
        shutil.rmtree(old)
    with tempfile.TemporaryDirectory(prefix="lrt-vm-") as work, Machine(image, Path(work)) as machine:
        kept = keep(machine, folder)
    (folder / "done").touch()
    return kept, True


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
