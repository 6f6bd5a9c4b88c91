"""Heat and pictures reach everybody who watches, newest first, and nobody's slowness reaches the recorder."""

import json
import socket
import struct
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from websockets.sync.client import connect

from lrt.console.web.coverage import Coverage
from lrt.console.web.streams import MOST_CAMERAS, MOST_SOCKETS, WIDEST, shrink
from lrt.rig.clip import open_clip, orient
from lrt.rig.jpeg import decode_jpeg
from lrt.rig.records import Heatmap

WISH = {"clothing": "red", "lighting": "dim", "occupants": 1, "consent": "P07", "phone": "anna"}


@pytest.fixture(scope="module")
def served(page_server):
    return page_server(size=(800, 600), synthetic=False, rotation=90, mirror=True)


def line_to(served, **more):
    return connect(f"ws{served.url[4:]}/api/stream", origin=served.url, max_queue=None, **more)


def heat_from(line):
    """(sequence, age in ms, (8, 8) quarter-degrees) of the next heatmap."""
    while isinstance(said := line.recv(timeout=20), str):
        pass
    kind, sequence, age_ms = struct.unpack("<B3xId", said[:16])
    assert (kind, len(said)) == (1, 16 + 128)
    return sequence, age_ms, np.frombuffer(said[16:], "<i2").reshape(8, 8)


def parts_of(answer):
    """(headers, content) of each part of a multipart stream."""
    pending = b""
    for chunk in answer.iter_raw():
        pending += chunk
        while (at := pending.find(b"\r\n\r\n")) >= 0:
            head = pending[:at].decode().removeprefix("--frame\r\n")
            headers = dict(line.split(": ") for line in head.split("\r\n") if ": " in line)
            length = int(headers["Content-Length"])
            end = at + 4 + length
            if len(pending) < end + len("\r\n--frame\r\n"):
                break
            assert pending[end:].startswith(b"\r\n--frame\r\n")  # the next boundary is there already
            yield headers, pending[at + 4 : end]
            pending = pending[end + len("\r\n--frame\r\n") :]


def wait_for(true, seconds=20.0):
    ends_s = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < ends_s, "it never came"
        time.sleep(0.05)
    return found


def test_heat_comes_upright_by_number_and_soon(served):
    seen = {}

    def note(record):
        if isinstance(record, Heatmap):
            seen[record.sequence] = record.raw

    served.daemon.station.watchers.insert(0, note)
    try:
        with line_to(served) as line:
            got = [heat_from(line) for _ in range(8)]
    finally:
        served.daemon.station.watchers.remove(note)
    numbers = [sequence for sequence, _, _ in got]
    assert numbers == sorted(set(numbers))
    for sequence, age_ms, heat in got[1:]:
        assert 0 <= age_ms < 5000
        assert np.array_equal(heat, orient(seen[sequence], 90, True))


def test_the_state_comes_at_once_and_again_and_wishes_are_heard(served):
    with line_to(served) as line:
        first = json.loads(line.recv(timeout=20))["state"]
        assert first["camera"]["size"] == [800, 600]
        assert first["rig"] == "file"
        line.send(json.dumps({"want": ["drawn"]}))
        line.send(json.dumps({"ping": 7}))
        while line.recv(timeout=20) != json.dumps({"pong": 7}):  # from then on the wish holds
            pass
        later = [line.recv(timeout=20) for _ in range(3)]
        assert all(isinstance(each, str) and "state" in json.loads(each) for each in later)  # no heat any more


@pytest.mark.parametrize("said", ["{", "[]", b"\x00\x01", '{"want": 5}', '{"ping": "x"}', "9" * 5000])
def test_what_a_page_says_without_sense_hurts_nobody(served, said):
    with line_to(served) as line, line_to(served) as other:
        line.send(said)
        assert len([heat_from(other) for _ in range(3)]) == 3
    assert served.client().get("/api/state").status_code == 200


def test_the_cameras_stream_is_no_wider_than_a_phone_needs_and_no_faster_than_fifteen_a_second(served):
    stamps = []
    with served.client().stream("GET", "/api/camera.mjpg") as answer:
        assert answer.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
        for headers, content in parts_of(answer):
            assert decode_jpeg(content).shape == (480, WIDEST, 3)
            stamps.append(int(headers["X-Timestamp-Ns"]))
            if len(stamps) == 12:
                break
    assert stamps == sorted(set(stamps))
    assert (stamps[-1] - stamps[0]) / 11 / 1e9 > 1 / 16
    small = decode_jpeg(served.client().get("/api/camera.jpg").content)
    assert small.shape == (480, WIDEST, 3)


def test_places_are_few_refused_in_words_and_given_back(served):
    clients = [served.client() for _ in range(MOST_CAMERAS + 1)]
    streams = [client.stream("GET", "/api/camera.mjpg") for client in clients[:-1]]
    answers = [stream.__enter__() for stream in streams]
    assert {answer.status_code for answer in answers} == {200}
    refused = clients[-1].get("/api/camera.mjpg")
    assert (refused.status_code, refused.json()["code"]) == (503, "rate")
    for stream in streams:
        stream.__exit__(None, None, None)

    def again():
        with clients[-1].stream("GET", "/api/camera.mjpg") as answer:
            return answer.status_code == 200

    wait_for(again)

    with ExitStack() as lines:
        for _ in range(MOST_SOCKETS):
            lines.enter_context(line_to(served))
        with line_to(served) as one_more:
            assert json.loads(one_more.recv(timeout=20))["code"] == "rate"

    def socket_again():
        with line_to(served) as line:
            return "state" in json.loads(line.recv(timeout=20))

    wait_for(socket_again)


def test_a_picture_is_made_smaller_never_larger():
    pixels = np.random.default_rng(1).integers(0, 255, (900, 1600, 3), np.uint8)
    data = cv2.imencode(".jpg", pixels)[1].tobytes()
    assert decode_jpeg(shrink(data, 1600, 320)).shape == (180, 320, 3)
    assert shrink(data, 1600, 1600) is data


def deaf(served, path, upgrade=False):
    """A client that asks and never reads, with a small window."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect((urlsplit(served.url).hostname, served.port))
    asked = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{served.port}", f"Origin: {served.url}"]
    if upgrade:
        asked += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
        asked += ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
    line.sendall(("\r\n".join(asked) + "\r\n\r\n").encode())
    return line


def test_clients_that_never_read_cost_the_recorder_nothing_and_the_others_no_freshness(page_server):
    """Every heatmap and picture that the devices gave is in the clip, though eight clients hang on the line."""
    served = page_server(size=(640, 480))
    client = served.client()
    slow = [deaf(served, "/api/camera.mjpg") for _ in range(2)]
    slow += [deaf(served, "/api/stream", upgrade=True) for _ in range(6)]
    try:
        time.sleep(1.5)  # their buffers are full now: a picture is 300 kB
        assert client.post("/api/record", json={**WISH, "clip_id": "slow-01"}).status_code == 200
        ages, stamps = [], []
        with client.stream("GET", "/api/camera.mjpg") as answer:
            for headers, _ in parts_of(answer):
                ages.append((time.monotonic_ns() - int(headers["X-Timestamp-Ns"])) / 1e6)
                stamps.append(int(headers["X-Timestamp-Ns"]))
                if len(stamps) == 40:
                    break
        slow.pop().close()  # one vanishes
        done = client.post("/api/stop", json={}).json()
    finally:
        for line in slow:
            line.close()
    clip = open_clip(next(served.clips.glob("slow-01")))
    assert (done["missed"], done["lost_images"], done["dropped"]) == (0, 0, 0)
    for sequence in (np.array([heatmap.sequence for heatmap in clip.heatmaps()]), clip.image_sequences):
        assert np.array_equal(sequence, np.arange(sequence[0], sequence[0] + len(sequence)))
    assert np.median(ages) < 500  # not seconds of buffered film


def test_a_client_that_hung_is_let_go_and_its_place_is_free(page_server):
    served = page_server(size=(640, 480))
    slow = [deaf(served, "/api/camera.mjpg") for _ in range(MOST_CAMERAS)]
    try:
        wait_for(lambda: served.client().get("/api/camera.mjpg").status_code == 503 or None)
    finally:
        for line in slow:
            line.close()

    def free():
        with served.client().stream("GET", "/api/camera.mjpg") as answer:
            return answer.status_code == 200

    wait_for(free)


def test_coverage_says_where_the_occupant_has_not_been():
    coverage = Coverage()
    room = np.full((8, 8), 21.0)
    person = room.copy()
    person[3:, :2] = 27.0
    for number in range(60):
        coverage.see(person, number * 100_000_000)
    told = coverage.tell(occupants=1)
    assert told["seen_s"][5][0] == pytest.approx(5.9)
    assert told["seen_s"][5][7] == 0
    assert told["hint"] == "the occupant has not yet been at the right edge"
    assert coverage.tell(occupants=0)["hint"] is None
    coverage.begin()
    for number in range(60):
        coverage.see(room, number * 100_000_000)
    assert "step in front" in str(coverage.tell(1)["hint"])
    coverage.begin()
    assert coverage.tell(1)["hint"] is None  # nothing is said of the first seconds
