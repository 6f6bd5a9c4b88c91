"""The package is what pyproject.toml says, and light where it must be."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from lrt import __version__, cli

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def walk(group: click.Group, prefix: str = "lrt") -> list[tuple[str, click.Command]]:
    found = []
    for name, command in group.commands.items():
        inner = (
            walk(command, f"{prefix} {name}") if isinstance(command, click.Group) else [(f"{prefix} {name}", command)]
        )
        found.extend(inner)
    return found


COMMANDS = walk(cli.lrt)


def test_every_package_folder_is_listed_for_the_wheel():
    folders = {"lrt"} | {
        "lrt." + ".".join(init.parent.relative_to(ROOT).parts)
        for top in ("rig", "calibration", "dataset", "model", "console")
        for init in (ROOT / top).rglob("__init__.py")
    }

    assert set(PROJECT["tool"]["setuptools"]["packages"]) == folders


def test_only_the_command_line_stands_beside_the_folders():
    assert {path.name for path in ROOT.glob("*.py")} == {"__init__.py", "cli.py"}


def test_version_is_said_once_for_package_and_code():
    assert PROJECT["project"]["version"] == __version__


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_has_help_an_example_and_a_place_in_the_readme(name: str, command: click.Command):
    assert command.help
    assert f"  {name}" in (command.epilog or "")
    assert all(p.help for p in command.params if isinstance(p, click.Option))
    assert any(p.name == "as_json" for p in command.params)
    assert f"`{name}" in (ROOT / "README.md").read_text()


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running the code."""
    script = f"import sys\n{code}\nprint(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60).stdout
    return {name.split(".")[0] for name in out.split()}


def test_help_loads_neither_torch_nor_numpy():
    loaded = loaded_after("import lrt.cli")

    assert not loaded & {"torch", "torchvision", "numpy", "cv2", "rich", "pyarrow"}


def test_clips_are_judged_without_waiting_for_scipy():
    assert "scipy" not in loaded_after("import lrt.console.quality, lrt.dataset.quality, lrt.calibration.geometry")


def test_the_daemon_is_asked_without_waiting_for_numpy():
    loaded = loaded_after("import lrt.rig.door, lrt.console.recording, lrt.console.progress")

    assert not loaded & {"numpy", "cv2", "scipy", "mcap"}


@pytest.mark.parametrize(
    "module",
    [
        "lrt.rig.recorder",
        "lrt.rig.clip",
        "lrt.rig.twin.rig",
        "lrt.calibration.fitting",
        "lrt.dataset.build",
        "lrt.console.recording",
    ],
)
def test_rig_calibration_and_dataset_run_without_torch(module: str):
    loaded = loaded_after(f"import {module}")

    assert not loaded & {"torch", "torchvision", "picamera2", "datasets"}


def test_imports_run_one_way():
    """rig, calibration <- dataset <- model <- console <- cli."""
    may_import = {
        "rig": {"rig"},
        "calibration": {"calibration"},
        "dataset": {"dataset", "rig", "calibration"},
        "model": {"model", "dataset"},
        "console": {"console", "model", "dataset", "calibration", "rig"},
    }
    wrong = []
    for folder, allowed in may_import.items():
        for path in (ROOT / folder).rglob("*.py"):
            depth = len(path.relative_to(ROOT).parts) - 1
            for dots, target in re.findall(r"^\s*from (\.+)(\w*)", path.read_text(), re.MULTILINE):
                if len(dots) == depth + 1 and target and target not in allowed:
                    wrong.append(f"{path.relative_to(ROOT)} imports {target}")

    assert wrong == []
