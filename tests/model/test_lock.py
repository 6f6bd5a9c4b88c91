"""One folder, one writer; a lock that is gone with its process."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lrt.dataset.loading import PairSet
from lrt.model.config import train_config
from lrt.model.lock import lock_folder
from lrt.model.run import RunError
from lrt.model.train import train

_SMOKE = train_config("smoke")
SMALL = replace(_SMOKE.model, width=4, semantic_width=4, z=8, discriminator_width=4, inversion_width=4)
TINY = replace(_SMOKE, model=SMALL, batch=4, gan_steps=2, inversion_steps=1, sample_every=100)

HOLDER = """
import sys, time
from pathlib import Path
from lrt.model.lock import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_training_of_a_folder_is_told_who_writes_there_and_changes_nothing(tmp_path: Path, few: PairSet):
    out = tmp_path / "run"
    train(few, out, TINY)
    (out / ".checkpoint.pt.partial").write_bytes(b"being written")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    who = rf"{out} is being written by process {os.getpid()} on {socket.gethostname()}; stop that first"
    with lock_folder(out):
        for resume in (True, False):
            with pytest.raises(RunError, match=who):
                train(few, out, TINY, resume=resume)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert train(few, out, TINY, resume=True).finished


def test_two_trainings_cannot_begin_in_one_new_folder(tmp_path: Path, few: PairSet):
    with lock_folder(tmp_path / "new"), pytest.raises(RunError, match="is being written by process"):
        train(few, tmp_path / "new", TINY)
    assert train(few, tmp_path / "new", TINY).finished


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=f"is being written by process {holder.pid} on"), lock_folder(tmp_path):
            pytest.fail("two at once")
        holder.send_signal(signal.SIGKILL)
    with lock_folder(tmp_path):
        assert (tmp_path / "lock").read_text() == f"process {os.getpid()} on {socket.gethostname()}\n"


def test_a_file_system_without_locks_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with lock_folder(tmp_path / "run"):
        assert (tmp_path / "run").is_dir()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(RunError, match=r"cannot begin a run in .*file/run: Not a directory"),
        lock_folder(tmp_path / "file" / "run"),
    ):
        pytest.fail("made")


def test_nothing_is_left_where_there_is_no_run_to_resume(tmp_path: Path, few: PairSet):
    with pytest.raises(RunError, match="holds no run"):
        train(few, tmp_path, TINY, resume=True)
    assert not list(tmp_path.iterdir())
