"""What every test may use: the command line, run in this process."""

import os
import sys
from collections.abc import Callable

import pytest

from lrt import cli

Run = Callable[..., tuple[int, str, str]]

# One thread for what a test computes and for every command that it starts: tests run side by side, one a core, and
# threads that wait for a busy core spin. numpy, torch and OpenCV read these when they are loaded, later than this.
for name in ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ.setdefault(name, "1")

LONG = ("test_demo.py", "test_smoke_preset.py", "test_cli.py")  # a minute or more each, and the first the longest
LIVE = ("web", "test_cli_rig.py", "test_drawing_commands.py")  # folders and files


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: with files side by side the others fit beside them, and none is left over at the end.

    Tests of a rig that lives by real seconds, in a process of its own, may be starved by whatever runs beside them:
    they get two more tries.
    """
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))
    for item in items:
        if item.path.name in LIVE or item.path.parent.name in LIVE:
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=2))


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a test is kept in the user's own cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`run("models", "--json")` -> (exit code, stdout, stderr), as the installed entry point would give them."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lrt", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return call
