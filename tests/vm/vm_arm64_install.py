"""lrt's wheel and tests as the working tree has them, installed in a folder of the run; what else pip would find."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from vm_arm64_root import DEPENDENCIES, INSTALL_S, SITE, VENV, Done, enter, for_a_pi
from vm_image import HERE, ROOT, BenchError, read_dependencies

LEFT_OUT = {"build", "runs", "clips", "demo", "datasets"}  # of the tree's first level; and what begins with a point
BOOKWORM = ("3.11", 36)  # Python and glibc


def copy_tree(work: Path) -> None:
    """The working tree, as tree/ in the run's folder; lrt itself is not taken from it."""

    def ignore(folder: str, names: list[str]) -> set[str]:
        top = Path(folder) == ROOT
        return {
            name
            for name in names
            if name == "__pycache__"
            or name.endswith(".egg-info")
            or (top and (name in LEFT_OUT or name.startswith(".")))
        }

    shutil.copytree(ROOT, work / "tree", ignore=ignore)


def install(root: Path, work: Path, wheel: Path) -> Done:
    """lrt's wheel into a virtual environment of the run, over the root's dependencies, by the root's own pip.

    pip is asked at the end whether anything is missing or does not fit, by what the packages say of aarch64.
    """
    (work / "jobs").mkdir()
    for job in (HERE / "vm_arm64_job.py", HERE / "guest/checks.py"):
        shutil.copy(job, work / "jobs")
    script = f"""
        {DEPENDENCIES}/bin/python -m venv --without-pip {VENV}
        echo {DEPENDENCIES}/{SITE} > {VENV}/{SITE}/dependencies.pth
        pip=$(echo /opt/wheels/pip-*.whl)/pip
        {VENV}/bin/python $pip install --quiet --no-index --no-deps /srv/wheel/{wheel.name}
        {VENV}/bin/lrt --version
        {VENV}/bin/python $pip check
    """
    return enter(root, work, ["/bin/sh", "-euc", script], INSTALL_S)


def read_pins() -> list[str]:
    """What hardware/PI.md has one pin on Bookworm.

    Raises:
        BenchError: it no longer says so as it did.
    """
    said = re.search(r"pip install ('[^\n]*') \.\n", (ROOT / "hardware/PI.md").read_text())
    if said is None:
        raise BenchError("hardware/PI.md no longer has Bookworm's `pip install '...' .`: read_pins must be told anew")
    return re.findall(r"'([^']*)'", said[1])


def draw_extra() -> list[str]:
    """The packages of `pip install 'lrt[draw]'`, which the README has one install on a Pi."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["draw"]


def resolve(requirements: list[str], python: str, glibc: int) -> tuple[bool, str]:
    """Whether pip finds wheels for a Pi of all that is asked for and what that asks for, installing nothing.

    Returns:
        Whether it does, and how many, or what it said.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--target", "none"]
    command += ["--report", "-", *for_a_pi(python, glibc), *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        return False, " | ".join(errors[-2:])
    files = [each["download_info"]["url"].rsplit("/", 1)[-1] for each in json.loads(done.stdout)["install"]]
    built = sum("aarch64" in file for file in files)
    return all(file.endswith(".whl") for file in files), f"{len(files)} wheels, {built} of them aarch64's own"


def resolutions() -> list[tuple[str, list[str], str, int]]:
    """What else is resolved, not run: a claim's name, packages, Python, glibc."""
    base, (python, glibc) = read_dependencies(), BOOKWORM
    return [
        ("Bookworm's Python 3.11: wheels for all of the base install", base, python, glibc),
        ("and with the pins that its picamera2 wants", [*base, *read_pins()], python, glibc),
        ("Trixie: wheels for the extra `draw`", draw_extra(), "3.13", 41),
        ("Bookworm: wheels for the extra `draw`", draw_extra(), python, glibc),
    ]
