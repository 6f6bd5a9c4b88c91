"""Recording from the page: the flow, what it is refused for, who may, and what is said of what came of it."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.sync.client import connect

from lrt.console.web.desk import judge_recording
from lrt.console.web.seat import Seat
from lrt.dataset.consent import today
from lrt.dataset.ledger import add_consent, withdraw_consent
from lrt.rig.clip import ClipHeader, open_clip, verify_clip
from lrt.rig.recorder import Recording

WISH = {"clothing": "red", "lighting": "dim", "occupants": 1, "consent": "P07", "room": "kitchen", "phone": "anna"}


@pytest.fixture(scope="module")
def served(page_server):
    return page_server()


@pytest.fixture
def anna(served):
    """A phone that leaves everything as it was."""
    client = served.client()
    yield client
    client.post("/api/stop", json={})
    client.post("/api/seat", json={"take": False})


def record(client, clip_id, **more):
    return client.post("/api/record", json={**WISH, "clip_id": clip_id, **more})


def state(client):
    return client.get("/api/state").json()


def wait_for(true, seconds=20.0):
    ends_s = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < ends_s, "it never came"
        time.sleep(0.05)
    return found


def socket_of(served, client):
    """A page of this phone's that is open."""
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    return connect(
        f"ws{served.url[4:]}/api/stream", origin=served.url, additional_headers={"Cookie": cookies}, max_queue=None
    )


def test_a_tagged_clip_is_recorded_stopped_and_whole(anna):
    assert record(anna, "whole-01", tags=["sofa"]).json() == {"ok": True, "warnings": []}
    at = wait_for(lambda: (found := state(anna)["recording"]) and found["heatmaps"] > 12 and found)
    assert (at["clip_id"], at["phase"], at["by_me"], at["clothing"]) == ("whole-01", "recording", True, "red")
    assert at["coverage"]["shape"] == [8, 8]
    assert at["coverage"]["seen_s"][5][0] > 0.3 > at["coverage"]["seen_s"][5][7]  # who is there stands at the left
    done = anna.post("/api/stop", json={}).json()
    header = open_clip(Path(done["clips"][0])).header
    assert (header.clothing, header.lighting, header.consent, header.room) == ("red", "dim", "P07", "kitchen")
    assert header.tags == ["sofa"]
    assert verify_clip(Path(done["clips"][0])).problems == ()
    last = wait_for(lambda: state(anna)["last"])
    assert (last["clip_id"], last["heatmaps"]) == ("whole-01", done["heatmaps"])


def test_a_recording_of_given_length_ends_by_itself_and_every_phone_is_told(served, anna):
    with socket_of(served, served.client()) as watcher:
        assert record(anna, "timed-01", seconds=2).status_code == 200
        seen = []
        ends_s = time.monotonic() + 20
        while time.monotonic() < ends_s and not (
            seen and seen[-1]["last"] and seen[-1]["last"]["clip_id"] == "timed-01"
        ):
            said = watcher.recv(timeout=20)
            if isinstance(said, str) and "state" in (told := json.loads(said)):
                seen.append(told["state"])
        assert any(each["recording"] and each["recording"]["by_me"] is False for each in seen)
        assert seen[-1]["recording"] is None
        assert 1.5 < seen[-1]["last"]["seconds"] < 2.8  # with half a second, at most, from before the button
    assert anna.post("/api/stop", json={}).json()["code"] == "gone"


def test_a_countdown_is_told_can_be_cancelled_and_leaves_nothing(served, anna):
    assert record(anna, "count-01", countdown_s=5).status_code == 200
    at = state(anna)["recording"]
    assert at["phase"] == "countdown"
    assert 0 < at["countdown_s"] <= 5
    assert record(anna, "count-02").json()["code"] == "busy"
    assert anna.post("/api/stop", json={}).json() == {"cancelled": True}
    assert state(anna)["recording"] is None
    assert not (served.clips / "count-01.partial").exists()
    assert record(anna, "count-01", countdown_s=1).status_code == 200
    wait_for(lambda: (found := state(anna)["recording"]) and found["phase"] == "recording")
    anna.post("/api/stop", json={})
    assert (served.clips / "count-01").is_dir()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"clothing": "pink"}, "tags"),
        ({"lighting": ""}, "tags"),
        ({"occupants": -1}, "tags"),
        ({"occupants": 1.5}, "bad"),
        ({"occupants": True}, "bad"),
        ({"consent": ""}, "bad"),
        ({"consent": "Anna Meier"}, "consent"),
        ({"clip_id": "../x"}, "bad"),
        ({"clip_id": "a\n"}, "bad"),
        ({"clip_id": ""}, "bad"),
        ({"clip_id": 7}, "bad"),
        ({"room": "the Kitchen"}, "bad"),
        ({"tags": ["a", 1]}, "bad"),
        ({"seconds": 0}, "bad"),
        ({"seconds": "60"}, "bad"),
        ({"countdown_s": 11}, "bad"),
        ({"countdown_s": -1}, "bad"),
    ],
)
def test_what_cannot_be_recorded_is_refused_in_one_line_with_its_reason(served, anna, change, code):
    answer = record(anna, **{"clip_id": "never", **change})
    assert 400 <= answer.status_code < 500
    assert answer.json()["code"] == code
    assert "\n" not in answer.json()["error"]
    assert state(anna)["recording"] is None
    assert not any(served.clips.glob("never*"))


def test_nothing_is_recorded_over_a_clip_or_under_a_consent_that_was_taken_back(served, anna):
    (served.clips / "there-01").mkdir(parents=True)
    assert record(anna, "there-01").json()["code"] == "exists"
    (served.clips / "there-01").rmdir()
    add_consent(served.clips, "P66", "internal", today())
    withdraw_consent(served.clips, "P66", today())
    refused = record(anna, "never", consent="P66").json()
    assert refused["code"] == "consent"
    assert "withdrawn" in refused["error"]
    (served.clips / "consents.toml").unlink()


def test_a_sensor_that_is_pulled_out_is_told_refuses_a_recording_and_comes_back(served, anna):
    served.numbers.sensor.pulled = True
    try:
        wait_for(lambda: state(anna)["sensor"]["problem"])
        refused = record(anna, "never").json()
        assert refused["code"] == "unfit"
        assert "sensor" in refused["error"]
        wait_for(lambda: state(anna)["health"]["level"] == "red")
    finally:
        served.numbers.sensor.pulled = False
    wait_for(lambda: state(anna)["sensor"]["problem"] is None)
    wait_for(lambda: record(anna, "back-01", seconds=1).status_code == 200)


def test_a_sensor_that_is_pulled_out_during_the_countdown_is_told_afterwards(served, anna):
    assert record(anna, "late-01", countdown_s=1).status_code == 200
    served.numbers.sensor.pulled = True
    try:
        last = wait_for(lambda: (found := state(anna)["last"]) and found["clip_id"] == "late-01" and found)
        assert (last["ok"], last["level"]) == (False, "red")
        assert "sensor" in last["says"]
    finally:
        served.numbers.sensor.pulled = False
    wait_for(lambda: state(anna)["sensor"]["problem"] is None)


def test_of_two_phones_one_records_and_the_other_watches_until_it_takes_over(served, anna):
    bob = served.client()
    with socket_of(served, anna), socket_of(served, bob):
        assert anna.post("/api/seat", json={"take": True, "phone": "anna"}).json()["ok"]
        assert state(bob)["seat"] == {"taken": True, "mine": False, "by": "anna"}
        assert state(anna)["seat"]["mine"]
        refused = record(bob, "never").json()
        assert refused["code"] == "seat"
        assert "anna" in refused["error"]
        wait_for(lambda: record(anna, "mine-01").status_code == 200)
        assert bob.post("/api/stop", json={}).json()["code"] == "seat"
        assert bob.post("/api/seat", json={"take": True, "phone": "bob"}).json()["code"] == "seat"
        assert anna.post("/api/seat", json={"take": False}).json()["code"] == "seat"
        assert bob.request("DELETE", "/api/clips/mine-01", json={"confirm": "mine-01"}).json()["code"] == "seat"
        assert anna.post("/api/stop", json={}).status_code == 200
        assert bob.post("/api/seat", json={"take": True, "phone": "bob"}).json()["ok"]
        assert record(anna, "never").json()["code"] == "seat"
        assert record(bob, "his-01", seconds=1).status_code == 200
        wait_for(lambda: state(bob)["recording"] is None)
        assert bob.post("/api/seat", json={"take": False}).json()["seat"]["taken"] is False


def test_a_seat_is_free_ten_seconds_after_its_page_was_closed_but_not_while_it_records(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("lrt.console.web.seat.time.monotonic", lambda: now[0])
    seat = Seat()
    seat.come("a")
    seat.take("a", "anna", recording=False, by_force=False)
    now[0] += 60
    assert not seat.is_away()
    seat.leave("a")
    now[0] += 9
    seat.look(recording=False)
    assert seat.holds("a")
    now[0] += 2
    seat.look(recording=True)
    assert seat.holds("a")
    seat.take("b", "bob", recording=True, by_force=True)  # who went away can be taken over from, to stop it
    assert seat.holds("b")
    now[0] += 11
    seat.look(recording=False)
    assert seat.tell("b") == {"taken": False, "mine": False, "by": None}


def made(**counts) -> Recording:
    whole = Recording(
        header=ClipHeader("a", "red", "dim", 1, "P07", {}),
        clips=(Path("a"),),
        ended="stopped",
        seconds=30.0,
        heatmaps=300,
        images=450,
        events=0,
        dropped=0,
        missed=0,
        lost_images=0,
        torn=0,
        pairs=300,
        pair_error_ms_mean=10.0,
        pair_error_ms_p50=10.0,
        pair_error_ms_p95=20.0,
        pair_error_ms_max=30.0,
        bytes=10,
    )
    return replace(whole, **counts)


@pytest.mark.parametrize(
    ("counts", "level", "word"),
    [
        ({}, "green", "300 heatmaps"),
        ({"heatmaps": 6, "missed": 33, "pairs": 6}, "red", "33 of 39 heatmaps were missed"),
        ({"missed": 7}, "amber", "7 of 307 heatmaps were missed"),
        ({"missed": 3}, "green", "Saved"),
        ({"lost_images": 500}, "red", "500 of 950 pictures were missed"),
        ({"images": 0, "pairs": 0}, "red", "no pictures"),
        ({"heatmaps": 0, "pairs": 0}, "red", "no heatmaps"),
        ({"pairs": 280}, "amber", "20 heatmaps have no picture"),
        ({"dropped": 1}, "amber", "too slow"),
        ({"heatmaps": 29, "pairs": 29}, "amber", "short"),
    ],
)
def test_what_came_of_a_recording_is_green_only_where_hardly_anything_is_missing(counts, level, word):
    told = judge_recording(made(**counts))
    assert told["level"] == level
    assert told["ok"] == (level != "red")
    assert word in told["says"]


def test_stopping_at_the_very_end_of_a_countdown_leaves_nothing_recording(served, anna, monkeypatch):
    begin = served.daemon.start

    def slowly(*arguments):
        time.sleep(1.0)  # the twin draws its room; a slow disk
        return begin(*arguments)

    monkeypatch.setattr(served.daemon, "start", slowly)
    assert record(anna, "edge-01", countdown_s=0.2).status_code == 200
    time.sleep(0.6)
    done = anna.post("/api/stop", json={}).json()
    assert [Path(clip).name for clip in done["clips"]] == ["edge-01"]
    time.sleep(1.0)
    assert state(anna)["recording"] is None


def test_a_file_beside_the_clips_that_cannot_be_read_is_told_and_the_page_lives(page_server):
    served = page_server(synthetic=False)
    client = served.client()
    assert state(client)["vocabulary"]["clothing"][0] == "white"
    served.clips.mkdir(exist_ok=True)
    (served.clips / "vocabulary.toml").write_text("version = [")
    wait_for(lambda: "vocabulary.toml" in (found := state(client)["health"])["advice"] and found["level"] == "red")
    (served.clips / "vocabulary.toml").write_text(
        'version = 2\nclothing = ["white", "red", "green", "blue", "black", "grey"]\n'
    )
    wait_for(lambda: "grey" in state(client)["vocabulary"]["clothing"])


def test_a_rig_whose_health_is_red_is_refused_with_what_is_wrong_and_what_to_do(page_server):
    """Four pictures a second: most heatmaps have none near enough."""
    served = page_server(period_ns=250_000_000)
    client = served.client()
    wait_for(lambda: any(found["what"] == "pairing" for found in state(client)["health"]["findings"]))
    refused = record(client, "never").json()
    assert refused["code"] == "unfit"
    assert "have an image within" in refused["error"]
    assert "raise [camera] rate" in refused["error"]
    assert not any(served.clips.glob("never*"))
