"""The rig daemon and its door, on threads and sockets, with devices of numbers alone."""

import os
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from lrt.console.people import admit_clip
from lrt.dataset.ledger import add_consent, withdraw_consent
from lrt.rig import door
from lrt.rig.clip import ClipWriter, open_clip, verify_clip
from lrt.rig.daemon import Daemon
from lrt.rig.door import DaemonError, Door, answer, ask, daemon_runs, socket_path
from lrt.rig.records import Heatmap, Image, RigError
from lrt.rig.reopen import Reopening
from lrt.rig.settings import RecordSettings, Rig, load_rig
from lrt.rig.timing.clock import SystemClock

START = {"do": "start", "clip_id": "a1", "clothing": "red", "lighting": "dim", "consent": "C-7", "occupants": 1}


class Source:
    """Records by the system's clock, until it is pulled out."""

    warm_ns = 0
    poll_period_ns = 5_000_000

    def __init__(self, clock, frame_ns, make):
        self.clock, self.frame_ns, self.make = clock, frame_ns, make
        self.pulled = False
        self.number = 0
        self.start_ns = clock.now_ns()

    def open(self):
        if self.pulled:
            raise RigError("it is not there; plug it in")
        self.start_ns, self.number = self.clock.now_ns(), 0
        return self

    def poll(self):
        if self.pulled:
            raise RigError("it was pulled out; plug it in")
        records = []
        while self.start_ns + self.number * self.frame_ns <= self.clock.now_ns():
            records.append(self.make(self.start_ns + self.number * self.frame_ns, self.number))
            self.number += 1
        return records

    def take_events(self):
        return []

    def close(self):
        pass


class Parts:
    """A daemon's rig, and what is behind it."""

    def __init__(self):
        self.clock = SystemClock()
        random = np.random.default_rng(5)

        def heatmap(stamp_ns, number):
            raw = random.integers(80, 90, (8, 8)).astype(np.int16)
            return Heatmap(stamp_ns, raw, 400, number, stamp_ns - 10**7, stamp_ns + 10**7)

        self.sensor = Source(self.clock, 100_000_000, heatmap)
        pixels = np.full((48, 64, 3), 90, np.uint8)
        self.camera = Source(self.clock, 40_000_000, lambda stamp_ns, number: Image(stamp_ns, pixels, number))
        settings = replace(
            load_rig("twin"), record=RecordSettings(preroll_s=0.5, reserve_mb=0, patience_s=2), source="numbers"
        )
        self.rig = Rig(
            Reopening("sensor", self.sensor.open, self.clock, silent_ns=None),
            Reopening("camera", self.camera.open, self.clock),
            self.clock,
            settings,
        )
        self.said: list[str] = []


@pytest.fixture
def parts():
    return Parts()


@pytest.fixture
def at_work(parts, tmp_path):
    """`with at_work() as path`: a daemon behind a door, in a thread; stopped at the end, whatever it is doing."""

    @contextmanager
    def run():
        daemon, stop = Daemon(parts.rig, tmp_path / "clips", admit_clip, parts.said.append), threading.Event()
        with Door(tmp_path / "door/rig.sock", daemon.handle) as opened:
            thread = threading.Thread(target=daemon.run, args=(stop,))
            thread.start()
            try:
                wait_for(lambda: daemon.station.newest.keys() >= {Heatmap})
                yield opened.path
            finally:
                stop.set()
                thread.join()

    return run


def wait_for(true, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def test_a_clip_is_started_stopped_and_whole_and_begins_before_the_button(at_work, tmp_path):
    with at_work() as path:
        time.sleep(0.6)
        assert ask({"do": "status"}, path)["recording"] is None
        assert ask(START, path)["recording"]["name"] == "a1"
        time.sleep(0.8)
        assert ask({"do": "list"}, path)["clips"][0]["state"] == "recording"
        done = ask({"do": "stop", "clip_id": "a1"}, path)
    clip = open_clip(tmp_path / "clips/a1")
    assert done["clips"] == [str(tmp_path / "clips/a1")]
    assert 1.1 < done["seconds"] < 2.2
    assert done["heatmaps"] == len(clip.heatmaps()) >= 10
    assert done["missed"] == done["lost_images"] == 0
    assert (clip.header.clothing, clip.header.consent, clip.header.synthetic) == ("red", "C-7", True)
    assert verify_clip(tmp_path / "clips/a1").problems == ()


def test_a_recording_of_so_many_seconds_ends_by_itself_and_tells_afterwards(at_work):
    with at_work() as path:
        ask({**START, "seconds": 0.5}, path)
        wait_for(lambda: ask({"do": "status"}, path)["recording"] is None)
        assert ask({"do": "stop", "clip_id": "a1"}, path)["ended"].startswith("after ")
        with pytest.raises(DaemonError, match="a2 is not what was recorded last"):
            ask({"do": "stop", "clip_id": "a2"}, path)


def test_a_daemon_that_is_told_to_end_finishes_its_clip(at_work, parts, tmp_path):
    with at_work() as path:
        ask(START, path)
        time.sleep(0.3)
    assert open_clip(tmp_path / "clips/a1").header.ended == "the rig daemon was stopped"
    assert any("a1 finished" in line for line in parts.said)
    assert not path.exists()


def test_cut_clips_are_recovered_when_it_starts(at_work, parts, tmp_path, scene, make_clock, write_timeline, header):
    clock = make_clock(10**9)
    writer = ClipWriter(tmp_path / "clips", header, clock)
    write_timeline(writer, clock, scene.timeline(3.0, 10**9))
    writer.sync()
    writer._log.abandon()
    (tmp_path / "clips/empty.partial").mkdir()
    with at_work():
        wait_for(lambda: any("walk-01 was cut short; recovered 30 heatmaps" in line for line in parts.said))
    assert open_clip(tmp_path / "clips/walk-01").header.state == "recovered"


def test_room_and_free_tags_are_kept_and_a_withdrawn_consent_is_refused(at_work, tmp_path):
    add_consent(tmp_path / "clips", "C-8", "share", date(2026, 2, 1))
    withdraw_consent(tmp_path / "clips", "C-8", date(2026, 3, 1))
    with at_work() as path:
        with pytest.raises(DaemonError, match="C-8 was withdrawn on 2026-03-01"):
            ask({**START, "consent": "C-7,C-8"}, path)
        for change, words in (({"room": "The Hall"}, "room 'The Hall'"), ({"tags": "sofa"}, "'tags' is 'sofa'")):
            with pytest.raises(DaemonError, match=words):
                ask({**START, **change}, path)
        assert ask({**START, "room": "hall", "tags": ["sofa"]}, path)["warnings"] == []
        ask({"do": "stop"}, path)
    header = open_clip(tmp_path / "clips/a1").header
    assert (header.room, header.tags) == ("hall", ["sofa"])
    assert header.vocabulary is not None
    assert sorted(entry.name for entry in (tmp_path / "clips").iterdir()) == ["a1", "consents.toml"]


def test_what_cannot_be_recorded_is_refused_with_its_reason(at_work, tmp_path):
    with at_work() as path:
        for change, words in (
            ({"clothing": "pink"}, "pink"),
            ({"clip_id": "../x"}, "1 to 64"),
            ({"consent": " "}, "consent"),
            ({"consent": None}, "'consent' is None"),
            ({"occupants": "1"}, "'occupants' is '1'"),
            ({"occupants": True}, "'occupants' is True"),
            ({"seconds": -1}, "'seconds' is -1"),
            ({"seconds": float("nan")}, "'seconds' is nan"),
        ):
            with pytest.raises(DaemonError, match=words):
                ask({**START, **change}, path)
        ask(START, path)
        with pytest.raises(DaemonError, match="a1 is being recorded; stop that one first"):
            ask({**START, "clip_id": "a2"}, path)
        ask({"do": "stop"}, path)
        with pytest.raises(DaemonError, match="already"):
            ask(START, path)
    assert sorted(folder.name for folder in (tmp_path / "clips").iterdir()) == ["a1"]


def test_nothing_is_begun_while_a_device_is_gone_and_all_is_well_again_when_it_is_back(at_work, parts):
    with at_work() as path:
        parts.sensor.pulled = True
        wait_for(lambda: ask({"do": "status"}, path)["sensor_problem"])
        found = ask({"do": "status"}, path)
        assert found["health"] == "red"
        with pytest.raises(DaemonError, match=r"sensor is not well: .*plug it in"):
            ask(START, path)
        parts.sensor.pulled = False
        wait_for(lambda: not ask({"do": "status"}, path)["sensor_problem"])
        wait_for(lambda: ask({"do": "status"}, path)["sensor_age_s"] < 0.5)
        ask(START, path)
        ask({"do": "stop"}, path)


def test_a_change_of_health_is_said_with_the_thing_to_do(at_work, parts):
    with at_work():
        wait_for(lambda: "health green" in parts.said)
        parts.camera.pulled = True
        wait_for(lambda: "health red: plug it in" in parts.said)


def test_a_refused_start_costs_the_preroll_nothing(at_work):
    with at_work() as path:
        ask(START, path)
        ask({"do": "stop"}, path)
        time.sleep(0.6)
        with pytest.raises(DaemonError, match="already"):
            ask(START, path)
        assert ask({**START, "clip_id": "a2"}, path)["recording"]["seconds"] > 0.3


def test_a_device_that_stays_away_ends_the_clip_and_the_daemon_goes_on(at_work, parts, tmp_path):
    with at_work() as path:
        ask(START, path)
        time.sleep(0.3)
        parts.camera.pulled = True
        wait_for(lambda: ask({"do": "status"}, path)["recording"] is None)
        with pytest.raises(DaemonError, match="camera has given nothing for 2 s"):
            ask({"do": "stop", "clip_id": "a1"}, path)
        parts.camera.pulled = False
        wait_for(lambda: not ask({"do": "status"}, path)["camera_problem"])
    assert open_clip(tmp_path / "clips/a1").header.ended.startswith("the camera has given nothing")


@pytest.mark.parametrize(
    "line", [b"", b"\xff\xfe", b"[]", b'"status"', b"{}", b'{"do": 3}', b"{" * 1000, b'{"do": "status"'], ids=repr
)
def test_a_line_that_is_no_request_is_answered_as_such(line):
    answered = answer(lambda _: {}, line)
    assert answered["ok"] is False
    assert "not understood" in answered["error"]


def test_a_deed_it_does_not_know_is_named(at_work):
    with at_work() as path, pytest.raises(DaemonError, match="no 'dance'; it knows status, check"):
        ask({"do": "dance"}, path)


def test_an_endless_line_is_cut_off_and_the_next_client_is_served(at_work):
    with at_work() as path:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(path))
            with pytest.raises(OSError, match=r"[Bb]roken pipe|[Rr]eset"):  # noqa: PT012
                for _ in range(200):
                    line.sendall(b"x" * 10_000)
        assert ask({"do": "status"}, path)["recording"] is None


def test_more_clients_than_there_are_places_are_told_so(at_work):
    with at_work() as path:
        silent = [socket.socket(socket.AF_UNIX) for _ in range(door._MOST_CLIENTS)]
        try:
            for line in silent:
                line.connect(str(path))
                line.sendall(b'{"do": "status"}\n')
                line.recv(10)
            for _ in range(100):  # the door may close before the request is sent, or after
                with pytest.raises(DaemonError, match="16 programs"):
                    ask({"do": "status"}, path)
        finally:
            for line in silent:
                line.close()
        wait_for(lambda: is_served(path))


def is_served(path):
    try:
        ask({"do": "status"}, path)
    except DaemonError:
        return False
    return True


def test_a_second_daemon_is_refused_and_a_killed_ones_socket_is_taken_over(tmp_path):
    path = tmp_path / "rig.sock"
    with Door(path, lambda _: {}):
        assert daemon_runs(path)
        with pytest.raises(DaemonError, match="runs already"):
            Door(path, lambda _: {})
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    assert not daemon_runs(path)
    with Door(path, lambda _: {"here": 1}):
        assert ask({"do": "x"}, path) == {"here": 1}


def test_the_door_is_for_its_user_and_group_alone(tmp_path):
    with Door(tmp_path / "new/rig.sock", lambda _: {}) as opened:
        assert opened.path.stat().st_mode & 0o777 == 0o660
        assert opened.path.parent.stat().st_mode & 0o777 == 0o700


def test_where_no_daemon_is_the_command_for_one_is_named(tmp_path):
    with pytest.raises(DaemonError, match="lrt serve"):
        ask({"do": "status"}, tmp_path / "rig.sock")


def test_the_socket_is_the_one_named_then_the_services_then_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setattr(door, "SYSTEM_SOCKET", tmp_path / "system.sock")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("LRT_SOCKET", raising=False)
    assert socket_path() == tmp_path / "lrt/rig.sock"
    (tmp_path / "system.sock").touch()
    assert socket_path() == tmp_path / "system.sock"
    monkeypatch.setenv("LRT_SOCKET", str(tmp_path / "named.sock"))
    assert socket_path() == tmp_path / "named.sock"


def test_a_service_that_may_not_be_spoken_to_is_named_with_the_remedy(tmp_path, monkeypatch):
    class Closed(type(tmp_path)):
        def exists(self, **_options):
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(door, "SYSTEM_SOCKET", Closed(tmp_path / "system.sock"))
    monkeypatch.delenv("LRT_SOCKET", raising=False)
    assert socket_path() == tmp_path / "system.sock"

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(door.socket.socket, "connect", refuse)
    with pytest.raises(DaemonError, match="usermod -aG lrt"):
        ask({"do": "status"})


# ------------------------------------------------------------------------------------------------------------- systemd


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What the service manager is told: a datagram socket, as systemd's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        def take():
            found = []
            while True:
                try:
                    found.append(manager.recv(4096).decode())
                except BlockingIOError:
                    return found

        yield take


def test_the_service_manager_is_told_ready_alive_and_stopping(at_work, told):
    with at_work() as path:
        time.sleep(1.3)
        ask(START, path)
        time.sleep(1.2)
    found = told()
    assert found[0] == "READY=1"
    assert "WATCHDOG=1" in found
    assert "STATUS=recording a1" in found
    assert "STOPPING=1" in found


def test_the_watchdog_is_not_fed_while_a_stream_is_stale(at_work, parts, told):
    with at_work():
        wait_for(lambda: "WATCHDOG=1" in told())
        parts.camera.pulled = True
        time.sleep(2.3)
        told()
        time.sleep(1.5)
        stale = told()
        assert "WATCHDOG=1" not in stale
        assert any("pulled" in line or "not there" in line for line in stale)
        parts.camera.pulled = False
        wait_for(lambda: "WATCHDOG=1" in told())


def test_without_a_service_manager_nothing_is_told(monkeypatch):
    from lrt.rig.notify import notify

    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    notify("READY=1")


def test_an_abstract_notify_socket_is_spoken_to(monkeypatch):
    from lrt.rig.notify import notify

    name = f"lrt-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        manager.settimeout(2)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        notify("READY=1")
        assert manager.recv(100) == b"READY=1"
