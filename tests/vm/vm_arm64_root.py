"""A Debian root for aarch64, and programs in it, by QEMU's user emulation of a Pi 4's processor.

No package is configured and nothing of the root's own runs while it is unpacked (mmdebstrap's `extract`), so that takes
seconds; pip then installs lrt's dependencies there, as it would on a Pi. What is made is kept by the hash of what it is
of, and never written again: lrt's wheel, the tests and all they write lie in a folder of the run, seen there as /srv.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from vm_image import BenchError, cache_folder, find_tool, key_of, mirror, read_dependencies, run

CPU = "cortex-a72"  # a Pi 4's; without a model QEMU also reckons pointer authentication, which makes Python 20x slower
QEMU = "qemu-aarch64-static"
TOOLS = {
    QEMU: "qemu-user-static",
    "mmdebstrap": "mmdebstrap",
    "unshare": "util-linux",
    "mount": "mount",
    "chroot": "coreutils",
    "ip": "iproute2",
}
LAYOUT = "1"  # count up when this file makes another root of the same packages
SUITE, PYTHON = "trixie", "3.13"  # Raspberry Pi OS's of today
PYTHON_NEEDS = ("python3", "libpython3-stdlib", "libstdc++6", "libc-bin")
TESTS_NEED = ("dash", "coreutils", "micropython", "mount", "procps")  # joblib ends its workers by procps's pgrep
PACKAGES = (*PYTHON_NEEDS, *TESTS_NEED)
# What the quick tests import beside lrt, each with a wheel for a Pi or in plain Python.
TESTING = (
    "pytest>=8.3",
    "pytest-rerunfailures>=15",
    "hypothesis>=6.100",
    "pillow>=10",
    "protobuf>=5",
    "simplejpeg>=1.7",
    "httpx>=0.27",
    "piexif>=1.1",
    "videodev2>=0.0.4",
)
ALONE = ("picamera2>=0.3.30",)  # without what it asks for, as in the Makefile
DEPENDENCIES, TESTED_WITH, VENV = "/opt/dependencies", "/opt/testing", "/srv/lrt"  # in the root; the last is of the run
SITE = f"lib/python{PYTHON}/site-packages"
ENVIRONMENT = {
    "PATH": f"{VENV}/bin:/usr/bin:/bin",
    "HOME": "/tmp",
    "LC_ALL": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "QEMU_CPU": CPU,
}
INSTALL_S = 1800.0  # 90 s and less where nothing else runs
_OURS = "lrt-aarch64"
# ELF, 64 bits, little end first, a program or a shared object, of machine 183: kernel's binfmt-misc.rst, QEMU's script
_MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
_FORMATS = "/proc/sys/fs/binfmt_misc"
_COMPUTERS_OWN, _REGISTERED = "the computer's own", "registered for the run"
_HOLD = f"""
formats=$1; ours=$1/$2; entry=$3
exec 2>&1
[ -e "$formats/register" ] || mount -t binfmt_misc binfmt_misc "$formats"
theirs=$formats/qemu-aarch64
if grep -qsx enabled "$theirs" && grep -q '^flags:.*F' "$theirs"; then
    echo "{_COMPUTERS_OWN}"
    exit
fi
[ ! -e "$ours" ] || echo -1 > "$ours"
printf %s "$entry" > "$formats/register"
echo "{_REGISTERED}"
read -r _ || true
echo -1 > "$ours"
"""
_ENTER = """
root=$1; work=$2; scratch=$3; access=$4; shift 4
mount --bind "$root" "$root"
mount -o "remount,bind,$access" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 dev "$root/dev"
for node in null zero full random urandom tty; do
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount --bind "$work" "$root/srv"
mount --bind "$scratch" "$root/tmp"
ip link set lo up
chroot "$root" /bin/sh -c 'cd /srv/tree 2>/dev/null || cd /tmp; exec "$@"' x "$@"
"""
_going: set[subprocess.Popen] = set()
_ended = Event()


@dataclass(frozen=True)
class Done:
    """What came of a program in the root.

    Attributes:
        code: its exit status; 124 where it ran out of time.
        text: what it printed, errors too.
        seconds: it took.
    """

    code: int
    text: str
    seconds: float

    @property
    def last(self) -> str:
        """The end of what it said, for a report's line."""
        return " | ".join(self.text.strip().splitlines()[-4:])[-500:]


def check_tools() -> None:
    """Refuse to begin without what is needed.

    Raises:
        BenchError: this computer is no Linux or an aarch64 itself, a program is missing, or we are not root.
    """
    if platform.system() != "Linux":
        raise BenchError("user emulation is the Linux kernel's; run it on Linux, as root")
    if platform.machine() in ("aarch64", "arm64"):
        raise BenchError("this computer is aarch64 itself: `make test` runs every test here, with nothing emulated")
    missing = sorted({package for tool, package in TOOLS.items() if find_tool(tool) is None})
    if missing:
        raise BenchError(f"programs are missing; sudo apt-get install --no-install-recommends {' '.join(missing)}")
    if os.geteuid() != 0:
        raise BenchError("an emulated root needs root's rights: sudo -E, in a virtual machine or container")


@contextmanager
def emulating() -> Iterator[str]:
    """Have the kernel start aarch64's programs by QEMU, also those that a program in the root starts.

    Where the computer does so already, and opened QEMU when it was told, that serves. Else a name of our own is
    registered by a process that keeps the kernel's table mounted, for a newer kernel forgets what is in a table that
    nobody has mounted; it takes the name out again when we end, however we end.

    Yields:
        "the computer's own" or "registered for the run".

    Raises:
        BenchError: it does not, and may not be told to.
    """
    entry = f":{_OURS}:M::{_MAGIC}:{_MASK}:{find_tool(QEMU)}:F"
    command = ["unshare", "--mount", "sh", "-euc", _HOLD, "hold", _FORMATS, _OURS, entry]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True) as holder:
        said = (holder.stdout.readline() if holder.stdout else "").strip()
        if said not in (_COMPUTERS_OWN, _REGISTERED):
            raise BenchError(
                f"the kernel cannot be told of QEMU (binfmt_misc): {said}; run it in a virtual machine, or have the "
                "host of this container register qemu-aarch64 with flag F"
            )
        yield said  # at the end the pipe is closed, which the holder waits for


def make_root() -> tuple[Path, bool]:
    """Debian's Python for aarch64, and in /opt/dependencies all that lrt's base install and its tests ask for.

    Returns:
        The root's folder, which is kept; whether it was made now.

    Raises:
        BenchError: a step failed; its last lines.
    """
    wheels = [*read_dependencies(), *TESTING]
    folder = cache_folder() / f"arm64-{key_of(SUITE, *PACKAGES, *wheels, *ALONE, LAYOUT)}"
    root, log = folder / "root", cache_folder() / "build-arm64.log"
    if (folder / "done").exists():
        return root, False
    for old in cache_folder().glob("arm64-*"):
        shutil.rmtree(old)
    folder.mkdir()
    log.unlink(missing_ok=True)
    unpack = ["mmdebstrap", "--variant=extract", "--mode=root", "--architectures=arm64"]
    unpack += ['--aptopt=Acquire::Check-Valid-Until "false"', f"--include={','.join(PACKAGES)}", SUITE, str(root)]
    run([*unpack, *([source] if (source := mirror()) else [])], log, "mmdebstrap arm64", {"TMPDIR": str(folder)})
    for name in ("bin", "lib", "sbin"):  # made by a package's configuration, which has not run
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    for name in ("proc", "dev", "tmp", "srv", "opt/wheels"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "usr/bin/sh").unlink(missing_ok=True)
    (root / "usr/bin/sh").symlink_to("dash")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    fetch(["pip", *wheels], PYTHON, 41, root / "opt/wheels", log)
    fetch(["--no-deps", *ALONE], PYTHON, 41, root / "opt/wheels", log)
    _install_dependencies(root)
    (folder / "done").touch()
    return root, True


def _install_dependencies(root: Path) -> None:
    """By pip in the root itself: it reads each package's conditions as on a Pi, and wants nothing but the wheels.

    What the tests import lies apart, so that a technician's commands do not see it.
    """
    base, testing, alone = (" ".join(f"'{each}'" for each in some) for some in (read_dependencies(), TESTING, ALONE))
    script = f"""
        pip="$(echo /opt/wheels/pip-*.whl)/pip install --quiet --no-index --find-links /opt/wheels"
        for place in {DEPENDENCIES} {TESTED_WITH}; do python3 -m venv --without-pip $place; done
        echo {DEPENDENCIES}/{SITE} > {TESTED_WITH}/{SITE}/dependencies.pth
        {DEPENDENCIES}/bin/python $pip {base}
        {TESTED_WITH}/bin/python $pip {testing}
        {TESTED_WITH}/bin/python $pip --no-deps {alone}
    """
    with tempfile.TemporaryDirectory(prefix="lrt-arm64-") as work:
        done = enter(root, Path(work), ["/bin/sh", "-euc", script], INSTALL_S, writable=True)
    if done.code:
        raise BenchError(f"pip in the root gave {done.code}: {done.last}")


def fetch(requirements: Sequence[str], python: str, glibc: int, folder: Path, log: Path) -> None:
    """Wheels for a Pi, by this computer's pip, which builds nothing.

    Args:
        requirements: as pip takes them.
        python: "3.13".
        glibc: the newest that a wheel may ask for: 41 is glibc 2.41.
        folder: to put them in.

    Raises:
        BenchError: one has no wheel, or there is no network.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder)]
    run([*command, *for_a_pi(python, glibc), *requirements], log, "pip download for aarch64")


def for_a_pi(python: str, glibc: int) -> list[str]:
    """pip's options for wheels that a Pi with this Python and glibc takes, plain Python among them."""
    options = ["--only-binary=:all:", "--python-version", python, "--implementation", "cp"]
    for minor in range(glibc, 16, -1):
        options += ["--platform", f"manylinux_2_{minor}_aarch64"]
    return [*options, "--platform", "manylinux2014_aarch64", "--platform", "any"]


def enter(root: Path, work: Path, command: Sequence[str], limit_s: float, writable: bool = False) -> Done:
    """Run a program in the root, alone with its own processes, no network but its own loopback, and nothing kept.

    Args:
        work: the run's folder, /srv there.
        command: /bin/sh's words there; it begins in /srv/tree.
        limit_s: then it and all it started is killed.
        writable: the root itself is being made.
    """
    if ended():
        return Done(130, "stopped", 0.0)
    began = time.monotonic()
    scratch = work / f"scratch-{time.monotonic_ns()}"
    scratch.mkdir()
    apart = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "/bin/sh", "-euc", _ENTER, "enter"]
    full = {**ENVIRONMENT, "PATH": f"{ENVIRONMENT['PATH']}:/usr/sbin:/sbin"}
    process = subprocess.Popen(
        [*apart, str(root), str(work), str(scratch), "rw" if writable else "ro", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=full,
        start_new_session=True,
    )
    _going.add(process)
    try:
        text, _ = process.communicate(timeout=limit_s)
        code = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        text, _ = process.communicate()
        code = 124
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        _going.discard(process)
        shutil.rmtree(scratch, ignore_errors=True)
    return Done(code, text, time.monotonic() - began)


def end_all() -> None:
    """End whatever runs in the root."""
    _ended.set()
    for process in list(_going):
        process.kill()


def ended() -> bool:
    """Whether `end_all` was called: what came to its end since was ended."""
    return _ended.is_set()
