"""`lrt dataset import` and `export` as a person types them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from lrt.cli import lrt
from lrt.console.results import StageError
from lrt.dataset.loading import load_pairs


def run(*words: str | Path) -> str:
    """What a command prints on stdout."""
    result = CliRunner().invoke(lrt, [str(word) for word in words], catch_exceptions=False, standalone_mode=False)
    assert result.return_value == 0
    return result.stdout


@pytest.fixture
def twin(make_pairs: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset in the working folder."""
    monkeypatch.chdir(tmp_path)
    make_pairs(tmp_path / "twin")
    return Path("twin")


def test_out_as_the_authors_have_it_and_in_again(twin: Path) -> None:
    """Two commands, and the pairs are there again."""
    said = run("dataset", "export", twin, "--format", "authors", "--out", "theirs")
    assert said == (
        "theirs: 18 pairs of 3 clips, heat in steps of 0.043 degC, 6.11 % of it clipped "
        "(made by the twin: not data about people)\n"
    )
    said = run("dataset", "import", "theirs", "--layout", "lrt-human", "--out", "back")
    assert said.splitlines()[0] == "back: 18 pairs of 3 clips (12 train, 6 test), scope internal"
    assert len(load_pairs(Path("back"), "test")) == 6


@pytest.mark.parametrize(
    ("name", "says"),
    [("lerobot", "2 train episodes, 1 test episodes"), ("webdataset", "1 train tar files, 1 test tar files")],
)
def test_out_in_other_formats(name: str, says: str, twin: Path) -> None:
    """What was written is counted."""
    assert says in run("dataset", "export", twin, "--format", name, "--out", "out")


def test_json_has_the_figures(twin: Path) -> None:
    """For scripts."""
    found = json.loads(run("dataset", "export", twin, "--format", "webdataset", "--out", "out", "--json"))
    assert found == {
        "out": "out",
        "format": "webdataset",
        "pairs": 18,
        "clips": 3,
        "scope": "internal",
        "synthetic": True,
        "written": {"train": 1, "test": 1},
    }


def test_another_format_is_one_line(twin: Path) -> None:
    """With those there are."""
    with pytest.raises(StageError, match="format 'zip' is not known; choose one of authors, lerobot, webdataset"):
        run("dataset", "export", twin, "--format", "zip", "--out", "out")


def test_options_reach_the_import(twin: Path) -> None:
    """Range, rate, scope and the clips held out."""
    run("dataset", "export", twin, "--format", "authors", "--out", "theirs")
    said = run(
        *("dataset", "import", "theirs", "--layout", "lrt-human", "--out", "back", "--range-c", "10", "40"),
        *("--rate-hz", "8", "--scope", "share", "--test", "a", "--json"),
    )
    found = json.loads(said)
    assert (found["scope"], found["splits"]) == ("share", {"train": 11, "test": 7})
    assert "heat is 10 to 40 degC" in found["notes"][0]
    assert "order at 8 Hz" in " ".join(found["notes"])
