"""The rig's commands as a technician meets them: the daemon in a process of its own, on the twin, in real time."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from lrt import LrtError
from lrt.console import recording
from lrt.rig.clip import open_clip, verify_clip

Run = Callable[..., tuple[int, str, str]]
LRT = str(Path(sys.executable).parent / "lrt")
TAGS = ("--clothing", "blue", "--lighting", "bright", "--consent", "TEST")
SMALL_TWIN = '[sensor]\nkind = "twin"\n[camera]\nkind = "twin"\nsize = [320, 180]\nrate = 15\n'


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a rig file, in which no daemon of this machine's user is met."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("LRT_SOCKET", str(tmp_path / "rig.sock"))
    (tmp_path / "rig.toml").write_text(SMALL_TWIN)
    return tmp_path


@contextmanager
def serving(*options: str) -> Iterator[subprocess.Popen]:
    """`lrt serve` until it is ready to record; ended by SIGTERM if it has not ended."""
    with subprocess.Popen(
        [LRT, "serve", "--port", "0", *options], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while not healthy():
                assert process.poll() is None, process.stderr and process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield process
        finally:
            process.terminate()


def healthy() -> bool:
    try:
        found = recording.ask_daemon("status")
    except LrtError:
        return False
    return found["sensor_age_s"] < 0.5 and found["camera_age_s"] < 0.5


def capture(*options: str) -> subprocess.Popen:
    return subprocess.Popen(
        [LRT, "capture", *TAGS, *options, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_capture_uses_the_daemon_and_the_twin_wears_what_the_tags_say(run: Run, place: Path):
    with serving() as daemon:
        code, out, err = run("capture", "--clip-id", "k1", *TAGS, "--seconds", 2, "--json")
        assert code == 0, err
        done = json.loads(out)
        says_red = run("capture", "--clip-id", "k2", *TAGS, "--out", place / "elsewhere")
        _, listed, _ = run("clips", "list", "--json")
        daemon.send_signal(signal.SIGTERM)
        out, _ = daemon.communicate(timeout=20)
    assert done["clip"] == str(place / "clips/k1")
    assert done["heatmaps"] >= 10  # of 20: other tests are at work on the same cores
    assert done["images"] >= 12
    assert says_red[0] == 1
    assert "keeps its clips in" in says_red[2]
    assert [clip["clip_id"] for clip in json.loads(listed)["clips"]] == ["k1"]
    clip = open_clip(place / "clips/k1")
    assert clip.header.synthetic
    assert clip.header.twin is not None
    assert clip.header.twin["scene"]["clothing"] == "blue"
    assert daemon.returncode == 0
    assert "stopped after 1 recordings" in out
    assert not (place / "rig.sock").exists()


def test_status_and_stop_reach_a_recording_that_another_terminal_began(run: Run, place: Path):
    with serving(), capture("--clip-id", "k1") as other:
        deadline = time.monotonic() + 20
        while "recording k1" not in (told := run("status")[1]) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "recording k1" in told
        assert run("capture", "--clip-id", "k2", *TAGS)[2].startswith("lrt: clip k1 is being recorded")
        time.sleep(1.0)
        code, out, _ = run("stop", "--json")
        assert code == 0
        other_out, _ = other.communicate(timeout=20)
    assert other.returncode == 0
    assert json.loads(other_out)["heatmaps"] == json.loads(out)["heatmaps"] > 5
    assert verify_clip(place / "clips/k1").problems == ()


def test_ctrl_c_on_capture_ends_the_daemons_recording(place: Path):
    with serving(), capture("--clip-id", "k1") as client:
        deadline = time.monotonic() + 20
        while not (place / "clips/k1.partial").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1.0)
        client.send_signal(signal.SIGINT)
        out, err = client.communicate(timeout=20)
        assert client.returncode == 0, err
    assert json.loads(out)["ended"] == "stopped"
    assert verify_clip(place / "clips/k1").problems == ()


def test_a_killed_daemon_loses_a_second_and_the_next_one_mends_the_clip(place: Path):
    with serving() as daemon, capture("--clip-id", "k1") as client:
        log = place / "clips/k1.partial/clip.mcap"
        deadline = time.monotonic() + 20
        while (not log.exists() or log.stat().st_size < 600_000) and time.monotonic() < deadline:
            time.sleep(0.05)
        killed_ns = time.monotonic_ns()
        daemon.kill()
        _, err = client.communicate(timeout=20)
        assert client.returncode == 1
        assert "Traceback" not in err
        assert "rig daemon" in err
    with serving():
        deadline = time.monotonic() + 20
        while not (place / "clips/k1").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
    clip = open_clip(place / "clips/k1")
    assert clip.header.state == "recovered"
    lost_s = (killed_ns - max(clip.image_times_ns[-1], clip.heat_times_ns[-1])) / 1e9
    assert lost_s < 1.5  # a second, and what the busy machine of a test adds


def test_a_second_daemon_is_refused_in_one_line(run: Run):
    with serving():
        code, _, err = run("serve")
    assert code == 1
    assert "runs already" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["status", "stop"])
def test_without_a_daemon_the_command_that_starts_one_is_named(run: Run, command: str):
    code, _, err = run(command)
    assert code == 1
    assert "lrt serve" in err
    assert err.count("\n") == 1


# --------------------------------------------------------------------------------------------------------------- check


def test_check_is_green_on_the_twin_and_shows_every_part(run: Run):
    code, out, err = run("check", "--seconds", 6)
    assert code == 0, err
    assert out.splitlines()[-1] == "All is well."
    assert {line.split()[1] for line in out.splitlines()[:-1]} >= {"sensor", "heat", "camera", "pairing", "disk"}


def test_check_is_red_without_a_sensor_and_says_the_one_thing_to_do(run: Run, place: Path):
    (place / "rig.toml").write_text('[sensor]\nkind = "amg8833"\nbus = 97\n[camera]\nkind = "opencv"\ndevice = 97\n')
    code, out, _ = run("check", "--seconds", 1, "--json")
    found = {finding["what"]: finding for finding in json.loads(out)["findings"]}
    assert code == 1
    assert found["sensor"]["level"] == found["camera"]["level"] == "red"
    assert "raspi-config" in found["sensor"]["do"]
    code, out, _ = run("check", "--seconds", 1)
    assert code == 1
    assert "-> switch it on with raspi-config" in out
    assert out.splitlines()[-1].startswith("Do not record like this:")


def test_check_asks_the_daemon_where_one_runs(run: Run):
    with serving():
        time.sleep(2)
        code, out, _ = run("check", "--json")
    assert code == 0
    assert json.loads(out)["daemon"] is True


def test_a_sensor_that_is_pulled_turns_the_rig_red_and_back(run: Run, place: Path):
    """The twin's cable is loose for five seconds; the daemon says so, waits, and finds it again."""
    (place / "rig.toml").write_text(SMALL_TWIN + "[faults]\nsensor_gone = [[8, 5]]\n")
    with serving() as daemon:
        deadline = time.monotonic() + 40
        seen = []
        while time.monotonic() < deadline and seen != ["well", "lost", "well"]:
            problem = json.loads(run("status", "--json")[1])["sensor_problem"]
            now = "lost" if problem else "well"
            seen += [now] if seen[-1:] != [now] else []
            time.sleep(0.1)
        assert seen == ["well", "lost", "well"]
        daemon.terminate()
        _, err = daemon.communicate(timeout=20)
    assert re.search(r"AMG8833 at 0x69 of the I2C bus (has not answered for 3 s|does not answer)", err)


# ---------------------------------------------------------------------------------------------------------- sync-check


def test_sync_check_measures_the_twins_offset_and_keeps_the_rig_files_comments(run: Run, place: Path):
    (place / "rig.toml").write_text("# Anna's rig\n" + SMALL_TWIN)
    code, out, err = run("sync-check", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["offset_ms"] == pytest.approx(32.5, abs=15)
    assert found["correlation"] >= 0.6
    text = (place / "rig.toml").read_text()
    assert text.startswith("# Anna's rig\n")
    assert tomllib.loads(text)["sync"]["offset_ms"] == found["offset_ms"]
    assert "raise and lower an arm" in err
    code, out, err = run("capture", "--clip-id", "k1", *TAGS, "--seconds", 1, "--json")
    assert code == 0, err
    assert open_clip(place / "clips/k1").header.rig["sync"]["offset_ms"] == found["offset_ms"]


def test_a_sync_check_that_sees_too_little_writes_nothing(run: Run, place: Path, monkeypatch: pytest.MonkeyPatch):
    from lrt.rig import daemon
    from lrt.rig.settings import TwinScene

    monkeypatch.setattr(daemon, "WAVING", TwinScene("red", "bright", 0))  # an empty room
    before = (place / "rig.toml").read_bytes()
    code, _, err = run("sync-check", "--seconds", 12)
    assert code == 1
    assert "raise and lower an arm" in err.splitlines()[-1]
    assert (place / "rig.toml").read_bytes() == before


# ---------------------------------------------------------------------------------------------------------- clips


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    recording.capture("k1", "blue", "bright", "TEST", 1, 2, "twin", folder)
    return folder


def test_clips_of_every_state_are_listed(run: Run, recorded: Path, tmp_path: Path):
    for name, change in (
        ("whole", {}),
        ("cut.partial", {"state": "recording", "clocks": {"start": {"mono_ns": 1, "boot_ns": 1, "real_ns": 1}}}),
        ("strange", {"schema": "lrt.clip/9"}),
    ):
        shutil.copytree(recorded / "k1", tmp_path / "all" / name)
        header = json.loads((tmp_path / "all" / name / "clip.json").read_text())
        (tmp_path / "all" / name / "clip.json").write_text(json.dumps({**header, **change}))
    (tmp_path / "all/cut.partial/clip.mcap").unlink()
    code, out, err = run("clips", "list", "--dir", tmp_path / "all")
    assert code == 0, err
    assert [line.split()[-2:] for line in out.splitlines()] == [
        ["cut", "twin"],
        ["MB", "unreadable"],
        ["finished", "twin"],
    ]
    for command in ("verify", "recover", "show"):
        code, _, err = run("clips", command, tmp_path / "all/strange")
        assert (code, err.count("\n")) == (1, 1)
    code, _, err = run("clips", "recover", tmp_path / "all/cut.partial")
    assert code == 1
    assert "clip.mcap is missing" in err


def test_tags_are_mended_with_a_history_and_only_to_what_there_is(run: Run, recorded: Path):
    code, out, err = run("clips", "tag", recorded / "k1", "--clothing", "green")
    assert code == 0, err
    assert "clothing green" in out
    _, shown, _ = run("clips", "show", recorded / "k1", "--json")
    assert [(step["old"], step["new"]) for step in json.loads(shown)["history"]] == [("blue", "green")]
    for options, words in (
        (("--clothing", "pink"), "pink"),
        ((), "nothing to mend"),
        (("--occupants", -1), "occupants"),
        (("--clothing", "green"), "already"),
    ):
        code, _, err = run("clips", "tag", recorded / "k1", *options)
        assert code == 1
        assert words in err


def test_remove_asks_and_without_a_yes_nothing_is_removed(recorded: Path):
    command = [LRT, "clips", "remove", str(recorded / "k1")]
    for answer in ("n\n", "", "\n"):
        done = subprocess.run(command, input=answer, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "for good?" in done.stderr
        assert (recorded / "k1").exists()
    done = subprocess.run(command, input="y\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert list(recorded.iterdir()) == []


def test_a_cut_clip_is_mended_by_the_next_capture_and_said(run: Run, place: Path):
    script = "from lrt.console import recording; recording.capture('k1', 'red', 'dim', 'TEST', 1, 1e6, 'twin')"
    with subprocess.Popen([sys.executable, "-c", script], cwd=place, env=os.environ) as process:
        log = place / "clips/k1.partial/clip.mcap"
        deadline = time.monotonic() + 60
        while (not log.exists() or log.stat().st_size < 600_000) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
    code, out, err = run("capture", "--clip-id", "k2", *TAGS, "--seconds", 1)
    assert code == 0, err
    assert "k1 had been cut short, and was recovered" in out
    clip = open_clip(place / "clips/k1")
    assert np.diff(clip.image_times_ns).max() < 1.5e9 / 15
