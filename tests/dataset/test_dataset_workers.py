"""Builds over several processes and machines, cut off and gone on with: always the same bytes."""

import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lrt.calibration.geometry import Calibration, write_calibration
from lrt.dataset.build import BuildConfig, build_dataset
from lrt.dataset.cut import is_whole
from lrt.dataset.place import new_folder
from lrt.dataset.schema import DatasetError
from lrt.dataset.spread import run_tasks

BUILD = """
import sys
from pathlib import Path
from lrt import LrtError
from lrt.dataset.build import build_dataset
clips, calibration, out = map(Path, sys.argv[1:4])
try:
    build_dataset(sorted(clips.glob("k-*")), calibration, out, replace=True)
except LrtError as error:
    sys.exit(str(error))
"""


def hash_all(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def inodes(dataset: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in (dataset / "data").iterdir()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def many(make_clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of five clips, k-0 to k-4."""
    root = tmp_path_factory.mktemp("many")
    for number in range(5):
        make_clip(root, f"k-{number}", number, frames=15, late_ms=number)
    return root


@pytest.fixture(scope="module")
def clips(many: Path) -> list[Path]:
    return sorted(many.iterdir())


@pytest.fixture(scope="module")
def serial(clips: list[Path], calibration_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of the five, built by one process."""
    return build_dataset(clips, calibration_path, tmp_path_factory.mktemp("serial") / "out").path


# -------------------------------------------------------------------------------------------------------- many workers


def test_two_processes_give_the_bytes_of_one(
    serial: Path, clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    seen: list[tuple[float, float]] = []
    report = build_dataset(
        clips, calibration_path, tmp_path / "out", jobs=2, on_progress=lambda *step: seen.append(step)
    )
    assert hash_all(report.path) == hash_all(serial)
    assert seen == [(done, 5) for done in range(1, 6)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of a Dask cluster of two processes."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as made:
        yield made.scheduler_address


def test_a_dask_cluster_of_two_processes_gives_the_bytes_of_one(
    cluster: str, serial: Path, clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    report = build_dataset(clips, calibration_path, tmp_path / "out", dask=cluster)
    assert hash_all(report.path) == hash_all(serial)


def test_a_bad_clip_in_a_worker_is_the_same_one_line_and_leaves_nothing(
    cluster: str, make_clip, clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    cut = make_clip(tmp_path, "k-9", frames=15)
    os.truncate(cut / "clip.mcap", 10_000)
    lines = set()
    for options in ({}, {"jobs": 2}, {"dask": cluster}):
        with pytest.raises(DatasetError.__bases__[0]) as raised:
            build_dataset([*clips, cut], calibration_path, tmp_path / "out", **options)
        lines.add(str(raised.value))
        assert names(tmp_path) == ["k-9"]
    assert len(lines) == 1
    assert "k-9: clip.mcap is damaged" in lines.pop()


# Work that every process can find: a worker need not be able to import this module, nor any package named tests.
WHERE_AM_I = "__import__('os').getpid()"
DIE = "__import__('os').kill(__import__('os').getpid(), 9)"


def test_the_clusters_processes_do_the_work_and_not_this_one(cluster: str) -> None:
    assert os.getpid() not in set(run_tasks(eval, [WHERE_AM_I] * 20, dask=cluster))


def test_a_cluster_without_workers_is_one_line_and_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("lrt.dataset.spread.WAIT_S", 1)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        pytest.raises(DatasetError, match="no Dask worker came"),
    ):
        list(run_tasks(eval, [WHERE_AM_I], dask=empty.scheduler_address))


def test_a_worker_that_is_killed_is_one_line() -> None:
    with pytest.raises(DatasetError, match="a worker was killed"):
        list(run_tasks(eval, [DIE] * 4, jobs=2))


def test_a_cluster_that_is_not_there_is_one_line(
    clips: list[Path], calibration_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("lrt.dataset.spread.WAIT_S", 1)
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        with pytest.raises(DatasetError, match=f"no Dask scheduler answers at {address}; start one"):
            build_dataset(clips, calibration_path, tmp_path / "out", dask=address)
    assert names(tmp_path) == []


@pytest.mark.parametrize("jobs", [0, -2])
def test_a_number_of_processes_that_cannot_be_is_one_line(
    clips: list[Path], calibration_path: Path, tmp_path: Path, jobs: int
) -> None:
    with pytest.raises(DatasetError, match=f"jobs is {jobs}; give 1 or more"):
        build_dataset(clips, calibration_path, tmp_path / "out", jobs=jobs)


# ------------------------------------------------------------------------------------------------ cut off, and again


def test_a_build_that_was_killed_goes_on_where_it_was(
    many: Path, serial: Path, clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    out, partial = tmp_path / "out", tmp_path / "out.partial"
    process = subprocess.Popen([sys.executable, "-c", BUILD, str(many), str(calibration_path), str(out)])
    while process.poll() is None and len(list(partial.glob("progress/k-*.json"))) < 2:
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    finished = {f"{path.stem}.parquet" for path in partial.glob("progress/k-*.json")}
    assert 2 <= len(finished) < 5
    before = {name: inode for name, inode in inodes(partial).items() if name in finished}
    report = build_dataset(clips, calibration_path, out)
    assert report.kept == len(finished)
    assert hash_all(out) == hash_all(serial)
    assert before.items() <= inodes(out).items()  # the same files, not written again
    assert names(tmp_path) == ["out"]


@pytest.fixture(scope="module")
def remains(clips: list[Path], calibration_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is left of a build that was killed after three clips."""
    code = BUILD.replace(
        "replace=True", "on_progress=lambda done, _: done == 3 and __import__('os').kill(__import__('os').getpid(), 9)"
    )
    out = tmp_path_factory.mktemp("killed") / "out"
    command = [sys.executable, "-c", code, str(clips[0].parent), str(calibration_path), str(out)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    return out.with_name("out.partial")


@pytest.fixture
def killed(remains: Path, tmp_path: Path) -> Path:
    """Where the dataset was to be; its remains lie beside."""
    shutil.copytree(remains, tmp_path / "out.partial")
    return tmp_path / "out"


def test_a_shard_that_was_damaged_since_is_made_again(
    killed: Path, serial: Path, clips: list[Path], calibration_path: Path
) -> None:
    shard = killed.with_name("out.partial") / "data" / "k-1.parquet"
    shard.write_bytes(shard.read_bytes()[:-1])
    assert build_dataset(clips, calibration_path, killed).kept == 2
    assert hash_all(killed) == hash_all(serial)


def test_what_is_asked_for_otherwise_now_is_made_again(
    killed: Path, clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    config = BuildConfig(max_gap_ms=20)
    assert build_dataset(clips[1:], calibration_path, killed, config).kept == 0
    fresh = build_dataset(clips[1:], calibration_path, tmp_path / "fresh", config)
    assert hash_all(killed) == hash_all(fresh.path)  # the first clip's shard is gone too


def test_a_folder_in_the_making_is_one_process_s(killed: Path, clips: list[Path], calibration_path: Path) -> None:
    with (
        new_folder(killed, replace=False, resume=True),
        pytest.raises(DatasetError, match="another process is building there"),
    ):
        build_dataset(clips, calibration_path, killed)


# ---------------------------------------------------------------------------------------------------- built once more


def test_the_same_clips_again_write_no_shard(
    serial: Path, clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    out = build_dataset(clips, calibration_path, tmp_path / "out").path
    before = inodes(out)
    report = build_dataset(clips, calibration_path, out, replace=True)
    assert report.kept == 5
    assert inodes(out) == before
    assert hash_all(out) == hash_all(serial)


def test_a_set_that_grows_writes_only_what_is_new(clips: list[Path], calibration_path: Path, tmp_path: Path) -> None:
    out = build_dataset(clips[:3], calibration_path, tmp_path / "out").path
    assert build_dataset(clips, calibration_path, out, replace=True).kept == 3
    assert hash_all(out) == hash_all(build_dataset(clips, calibration_path, tmp_path / "fresh").path)


def test_another_way_to_split_writes_no_shard(clips: list[Path], calibration_path: Path, tmp_path: Path) -> None:
    out = build_dataset(clips, calibration_path, tmp_path / "out").path
    report = build_dataset(clips, calibration_path, out, BuildConfig(test_clips=("k-3",)), replace=True)
    assert report.kept == 5
    assert report.info.named_splits["default"]["test"] == ["k-3"]


def test_another_calibration_writes_every_shard(
    clips: list[Path], calibration: Calibration, calibration_path: Path, tmp_path: Path
) -> None:
    out = build_dataset(clips, calibration_path, tmp_path / "out").path
    write_calibration(replace(calibration, tx=81.0), tmp_path / "moved.json")
    assert build_dataset(clips, tmp_path / "moved.json", out, replace=True).kept == 0


def test_a_shard_of_the_old_dataset_that_is_damaged_is_made_again(
    serial: Path, clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    report = build_dataset(clips, calibration_path, tmp_path / "out")
    damaged = report.path / report.info.clips[2].shard
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    assert not is_whole(report.path, report.info.clips[2])
    assert build_dataset(clips, calibration_path, report.path, replace=True).kept == 4
    assert hash_all(report.path) == hash_all(serial)


@pytest.mark.parametrize("moment", ["the old one set aside", "the new one in place"])
def test_a_process_killed_while_it_swaps_the_folders_loses_nothing(
    clips: list[Path], calibration_path: Path, tmp_path: Path, moment: str
) -> None:
    out = build_dataset(clips, calibration_path, tmp_path / "out").path
    before = hash_all(out)
    if moment == "the old one set aside":
        out.rename(tmp_path / ".out.old")
        with pytest.raises(DatasetError, match="exists already"):  # put back before anything else is done
            build_dataset(clips, calibration_path, out)
        assert hash_all(out) == before
    else:
        (tmp_path / ".out.old" / "data").mkdir(parents=True)
        assert build_dataset(clips, calibration_path, out, replace=True).kept == 5
    assert names(tmp_path) == ["out"]


# -------------------------------------------------------------------------------------------------------- disk is full


def test_a_file_that_the_system_refuses_leaves_the_old_dataset(
    many: Path, clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    out = build_dataset(clips[:2], calibration_path, tmp_path / "out").path
    before = hash_all(out)
    most = max(path.stat().st_size for path in (out / "data").iterdir()) // 2
    result = subprocess.run(
        [sys.executable, "-c", BUILD, str(many), str(calibration_path), str(out)],
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
    assert result.stderr == f"{out}: cannot be written (File too large)\n"
    assert hash_all(out) == before
    assert names(tmp_path) == ["out"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounts a small disk, so needs root")
def test_a_disk_that_fills_half_way_leaves_the_old_dataset(
    serial: Path, clips: list[Path], calibration_path: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    size = sum(path.stat().st_size for path in serial.rglob("*"))  # the new one fits; the old one is there too
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)], check=False).returncode:
        pytest.skip("may not mount")
    try:
        out = build_dataset(clips[:2], calibration_path, disk / "out").path
        before, done = hash_all(out), []
        with pytest.raises(DatasetError, match=r"out: cannot be written \(No space left on device\)"):
            build_dataset(clips, calibration_path, out, replace=True, on_progress=lambda *step: done.append(step))
        assert done[-1][0] > 1  # half-way, not at once
        assert hash_all(out) == before
        assert names(disk) == ["out"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
