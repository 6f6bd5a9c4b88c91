"""The machine's disk: Debian packages, lrt's dependencies and our kernel module, made once and kept.

Nothing of lrt itself is in it: its wheel is installed when the machine has started, so that a change of lrt costs no
new image. Two things are kept, each by the hash of what it is made of: the tree of Debian packages with our module, and
the image, which is the tree with lrt's dependencies in /opt/lrt.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "debugfs": "e2fsprogs",
}
BASE = ("systemd", "systemd-sysv", "udev", "dbus", "kmod", "python3", "python3-venv", "procps")
KERNEL = ("linux-image-amd64", "initramfs-tools")
LAYOUT = "1"  # count up when this file makes another image of the same packages
BUILD = ("linux-headers-amd64", "gcc", "make", "libc6-dev", "v4l2loopback-dkms")
RIG = (*BASE, *KERNEL, *BUILD, "v4l-utils", "i2c-tools", "micropython")
CAMERA = (*BASE, "python3-libcamera", "libcamera-ipa", "libcamera-tools", "python3-prctl")
CAMERA_WHEELS = ("av", "jsonschema", "libarchive-c", "piexif", "pillow", "simplejpeg", "tqdm", "videodev2")
PICAMERA = "picamera2>=0.3.30"


class BenchError(Exception):
    """What the bench cannot do here; one line that says what to do."""


@dataclass(frozen=True)
class Image:
    """A finished image.

    Attributes:
        disk: raw ext4, to be used under an overlay.
        kernel, initrd: of it.
        tree: what the disk was made of.
        made: of its two parts, the tree of packages and the image itself, whether each was made now, rather than found.
    """

    disk: Path
    kernel: Path
    initrd: Path
    tree: Path
    made: tuple[bool, bool]

    @property
    def made_now(self) -> list[tuple[str, bool]]:
        """Each part by its name."""
        return list(zip(("tree", "image"), self.made, strict=True))


def check_tools() -> None:
    """Refuse to begin without what the bench needs.

    Raises:
        BenchError: a program is missing, or we are not root, whom a Debian tree needs.
    """
    missing = sorted({package for tool, package in TOOLS.items() if find_tool(tool) is None})
    if missing:
        raise BenchError(f"programs are missing; sudo apt-get install --no-install-recommends {' '.join(missing)}")
    if os.geteuid() != 0:
        raise BenchError(
            "a Debian tree can only be made as root; run it with sudo -E, in a virtual machine or container"
        )


def find_tool(name: str) -> str | None:
    """The program's path; those in /sbin are found too, which a user's PATH often lacks."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def cache_folder() -> Path:
    """Where images and rendered scenes are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "lrt-vm"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def alone(bench: str) -> Iterator[None]:
    """No other run of that bench makes, uses or forgets what is kept, or tells the kernel of QEMU, at the same time.

    Raises:
        BenchError: one does.
    """
    with (cache_folder() / f"{bench}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BenchError(f"another {bench} is at work here; wait for its end") from None
        yield


def _new_log(name: str) -> Path:
    """An empty log among what is kept."""
    log = cache_folder() / name
    log.unlink(missing_ok=True)
    return log


def key_of(*parts: str | bytes) -> str:
    """16 hexadecimal digits of what something is made of."""
    hashed = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        hashed.update(len(data).to_bytes(8, "little") + data)
    return hashed.hexdigest()[:16]


def make_image() -> Image:
    """The machine that records: trixie, kernel, v4l2loopback, our I2C module, lrt's dependencies in /opt/lrt.

    Raises:
        BenchError: a step failed; its last lines, and where all that the tools said is.
    """
    log = _new_log("build.log")
    tree, made = _make_tree("trixie", RIG, log)
    return _make("trixie", tree, tree, made, "3.13", read_dependencies(), [], log)


def make_camera_image() -> Image:
    """The machine with the real picamera2: forky, under the kernel of the other machine.

    Forky's libcamera fills in all of a virtual camera's metadata, which trixie's does not.

    Raises:
        BenchError: as of the other.
    """
    log = _new_log("build-camera.log")
    kernel, _ = _make_tree("trixie", RIG, log)
    tree, made = _make_tree("forky", CAMERA, log)
    return _make("forky", tree, kernel, made, "3.14", [*read_dependencies(), *CAMERA_WHEELS], [PICAMERA], log)


def read_dependencies() -> list[str]:
    """What pyproject.toml says that lrt needs."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


def _make(
    suite: str,
    tree: Path,
    kernel: Path,
    made: bool,
    python: str,
    wheels: Sequence[str],
    alone: Sequence[str],
    log: Path,
) -> Image:
    """The image of a tree with wheels in /opt/lrt, `alone` without what they ask for; kernel and modules of another."""
    guest = [(HERE / "guest" / name).read_bytes() for name in ("agent.sh", "bench-agent.service")]
    folder = cache_folder() / f"{suite}-{key_of(tree.name, kernel.name, *wheels, *alone, *guest, LAYOUT)}"
    built = not (folder / "done").exists()
    if built:
        _forget_others(f"{suite}-", folder)
        fetched = _download(wheels, python, folder, log)
        if alone:
            _download(["--no-deps", *alone], python, folder, log)
        _install(tree, fetched, log)
        _finish(tree, kernel, folder, "4G", log)
    return Image(folder / "root.img", folder / "vmlinuz", folder / "initrd.img", tree, (made, built))


def make_wheel(work: Path) -> Path:
    """lrt's wheel, of the working tree as it is; built from a copy, for setuptools leaves its own files behind.

    Args:
        work: a folder of the run, where the wheel stays.

    Raises:
        BenchError: it cannot be built.
    """
    copy = work / "wheel-tree"
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


def list_wheel(wheel: Path) -> str:
    """What is in a wheel, whenever it was packed: it also has the times of its files."""
    with zipfile.ZipFile(wheel) as file:
        return "\n".join(sorted(f"{each.filename} {each.CRC}" for each in file.infolist()))


def pack_lrt(image: Image, wheel: Path, out: Path) -> Path:
    """lrt as the machine's own pip installs it, compiled, to be unpacked there: pip alone takes a minute there.

    Args:
        out: a folder for the archive.

    Raises:
        BenchError: it cannot be installed.
    """
    root, place = image.tree / "root", Path("var/tmp/lrt-wheel")
    shutil.rmtree(root / place, ignore_errors=True)
    (root / place).mkdir(parents=True)
    shutil.copy(wheel, root / place)
    install = f"/opt/lrt/bin/pip install --quiet --no-index --no-deps --target /{place}/lrt /{place}/{wheel.name}"
    log = _new_log("build-lrt.log")
    _chroot(root, install, log, "pip install of lrt")
    run(["tar", "-C", root / place / "lrt", "-cf", out / "lrt.tar", "."], log, "packing lrt")
    shutil.rmtree(root / place)
    return out / "lrt.tar"


def run(command: Sequence[str | Path], log: Path, what: str, environment: dict[str, str] | None = None) -> None:
    """A step, its output in the log.

    Raises:
        BenchError: it failed.
    """
    with log.open("a") as file:
        file.write(f"\n== {what}\n")
        file.flush()
        full = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin", **(environment or {})}
        done = subprocess.run(
            [str(part) for part in command], stdout=file, stderr=file, stdin=subprocess.DEVNULL, env=full, check=False
        )
    if done.returncode:
        last = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-4:]
        raise BenchError(f"{what} failed ({done.returncode}): {' | '.join(last)}; all of it in {log}")


def mirror() -> str | None:
    """The Debian mirror of this host's apt; None where it has none, and mmdebstrap then takes its own default."""
    places = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    for place in places:
        if not place.is_file():
            continue
        for line in place.read_text(errors="replace").splitlines():
            found = re.match(r"\s*(?:deb\s+(?:\[[^]]*\]\s+)?|URIs:\s*)(\S+?/debian)/?(?:\s|$)", line)
            if found:
                return found[1]
    return None


def _forget_others(prefix: str, kept: Path) -> None:
    """What is no longer asked for, or was not finished: gigabytes."""
    for old in cache_folder().glob(f"{prefix}*"):
        if str(old) in Path("/proc/mounts").read_text():
            raise BenchError(
                f"{old} is still in use, or was left mounted; `mount | grep {old}`, umount those, try again"
            )
        shutil.rmtree(old)
    kept.mkdir(parents=True)


def _make_tree(suite: str, packages: Sequence[str], log: Path) -> tuple[Path, bool]:
    """Debian's packages and our module, as a folder that is kept, for it outlasts many a change of lrt's dependencies.

    Returns:
        The folder, and whether it was made now.
    """
    module = (HERE / "guest/lrt_i2c.c").read_bytes()
    folder = cache_folder() / f"tree-{suite}-{key_of(suite, *packages, module, LAYOUT)}"
    if (folder / "done").exists():
        return folder, False
    _forget_others(f"tree-{suite}-", folder)
    tree = folder / "root"
    command = [
        "mmdebstrap",
        "--variant=minbase",
        "--mode=root",
        '--aptopt=Acquire::Check-Valid-Until "false"',
        *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "man", "locale")),
        "--dpkgopt=force-unsafe-io",  # nothing of it has to outlast a power cut
        f"--include={','.join(packages)}",
        suite,
        tree,
        *([source] if (source := mirror()) else []),
    ]
    run(command, log, f"mmdebstrap {suite}", {"TMPDIR": str(folder)})
    if "linux-headers-amd64" in packages:
        _build_module(tree, log)
    for unused in ("usr/src", "usr/lib/gcc", "usr/libexec/gcc", "var/lib/apt/lists", "var/cache/apt"):
        shutil.rmtree(tree / unused, ignore_errors=True)  # the modules are made
    (folder / "done").touch()
    return folder, True


def _chroot(tree: Path, command: str, log: Path, what: str) -> None:
    run(["chroot", tree, "/bin/sh", "-euc", command], log, what, {"LC_ALL": "C.UTF-8", "HOME": "/tmp"})


def _build_module(tree: Path, log: Path) -> None:
    """Our I2C bus, for the kernel that is in the tree; v4l2loopback was built by its own package."""
    build = tree / "usr/src/lrt_i2c"
    build.mkdir()
    shutil.copy(HERE / "guest/lrt_i2c.c", build)
    (build / "Makefile").write_text("obj-m := lrt_i2c.o\n")
    _chroot(
        tree,
        "version=$(ls /lib/modules); make -C /lib/modules/$version/build M=/usr/src/lrt_i2c modules; "
        "mkdir -p /lib/modules/$version/updates; cp /usr/src/lrt_i2c/lrt_i2c.ko /lib/modules/$version/updates/; "
        "depmod $version; modinfo -k $version lrt_i2c v4l2loopback >/dev/null",
        log,
        "building lrt_i2c.ko",
    )


def _download(requirements: Sequence[str], python: str, folder: Path, log: Path) -> Path:
    """Wheels for the guest's Python, fetched as this host's pip fetches anything."""
    wheels = folder / "wheels"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", wheels, "--only-binary=:all:"]
    command += ["--python-version", python, "--implementation", "cp"]
    for platform in ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "any"):
        command += ["--platform", platform]
    run([*command, *requirements], log, "pip download")
    return wheels


def _install(tree: Path, wheels: Path, log: Path) -> None:
    """As hardware/PI.md sets up /opt/lrt, but from a folder of wheels."""
    root = tree / "root"
    shutil.rmtree(root / "opt", ignore_errors=True)
    shutil.move(wheels, root / "opt/wheels")
    _chroot(
        root,
        "python3 -m venv --system-site-packages /opt/lrt; "
        "/opt/lrt/bin/pip install --quiet --no-index --no-deps /opt/wheels/*.whl; rm -r /opt/wheels",
        log,
        "pip install into /opt/lrt",
    )


def _finish(tree: Path, kernel: Path, folder: Path, size: str, log: Path) -> None:
    """Kernel and initrd out, the agent in, and all of it into an ext4 image."""
    root, boot, modules = tree / "root", kernel / "root/boot", "usr/lib/modules"
    shutil.copy(next(boot.glob("vmlinuz-*")), folder / "vmlinuz")
    shutil.copy(next(boot.glob("initrd.img-*")), folder / "initrd.img")
    if kernel != tree:
        shutil.rmtree(root / modules, ignore_errors=True)
        shutil.copytree(kernel / "root" / modules, root / modules, symlinks=True)
    agent = root / "usr/local/sbin/bench-agent"
    shutil.copy(HERE / "guest/agent.sh", agent)
    agent.chmod(0o755)
    shutil.copy(HERE / "guest/bench-agent.service", root / "etc/systemd/system/")
    (root / "etc/fstab").write_text("/dev/vda / ext4 defaults,noatime 0 1\n")
    (root / "etc/hostname").write_text("lrt-bench\n")
    (root / "etc/machine-id").write_text(f"{key_of('lrt-bench') * 2}\n")  # else every start is a first one
    for part in ("etc", "var"):
        (root / part / ".updated").touch()  # and brings caches up to date that are so already
    _chroot(
        root,
        "systemctl enable bench-agent.service; systemctl mask systemd-timesyncd.service apt-daily.timer "
        "apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer >/dev/null",
        log,
        "enabling the agent",
    )
    run(["mke2fs", "-q", "-t", "ext4", "-d", root, folder / "root.img", size], log, "mke2fs")
    (folder / "done").touch()
