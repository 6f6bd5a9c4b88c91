"""Whatever is asked for, and however: an answer in words, no fault of ours, nothing from outside the clips' folder."""

import json
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrt.console.web.guard import host_name
from lrt.console.web.library import Library
from lrt.console.web.refusals import RefusedError

ODD_IDS = [
    "..",
    ".",
    "../x",
    "a/b",
    "a\\b",
    "a\n",
    "x" * 65,
    "\x00",
    "-a",
    "_a",
    "ä",
    "a.b",
    " a",
    "%2e%2e",
    "clip.json",
]
FIELDS = ("clip_id", "clothing", "lighting", "occupants", "consent", "room", "tags", "seconds", "countdown_s", "phone")
MORE = ("take", "confirm", "clips", "masks", "frames", "model", "source", "name", "data", "token")
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
BODIES = st.dictionaries(st.sampled_from(FIELDS + MORE), ANY, max_size=8)
POSTS = (
    "/api/record",
    "/api/stop",
    "/api/seat",
    "/api/calibrate",
    "/api/calibrate/cancel",
    "/api/draw",
    "/api/draw/stop",
    "/api/draw/source",
    "/api/clips/none/tags",
    "/enter",
)
LAZY = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def served(page_server):
    return page_server()


@pytest.fixture(scope="module")
def client(served):
    return served.client()


@LAZY
@given(clip_id=st.text(max_size=80) | st.sampled_from(ODD_IDS))
def test_no_id_leads_anywhere_or_to_a_fault(client, clip_id):
    for path in ("frames", "thumb.jpg", "download", "image/0.jpg"):
        answer = client.get(f"/api/clips/{quote(clip_id, safe='')}/{path}")
        assert answer.status_code in (400, 404, 422)
        assert answer.json()["error"]


@settings(max_examples=300, deadline=None)
@given(clip_id=st.text(max_size=80) | st.sampled_from(ODD_IDS))
def test_a_folder_is_found_by_a_whole_id_inside_the_clips_folder_or_not_at_all(tmp_path_factory, clip_id):
    root = tmp_path_factory.getbasetemp() / "bodies"
    (root / "clips/real-01").mkdir(parents=True, exist_ok=True)
    (root / "outside").mkdir(exist_ok=True)
    try:
        found = Library(root / "clips", lambda: False).find(clip_id)
    except RefusedError:
        assert clip_id != "real-01"
    else:
        assert found == root / "clips/real-01"


@LAZY
@given(path=st.sampled_from(POSTS), body=BODIES)
def test_no_body_is_a_fault_and_none_without_all_tags_records(served, client, path, body):
    answer = client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code < 500 or answer.json()["code"] != "fault"
    assert "error" in answer.json() or answer.status_code == 200
    if not {"clip_id", "clothing", "lighting", "consent", "occupants"} <= body.keys():
        assert served.daemon.station.recorder is None


@LAZY
@given(path=st.sampled_from(POSTS), body=st.binary(max_size=200) | ANY.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_are_a_fault(client, path, body):
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code < 500 or answer.json()["code"] != "fault"


def test_json_nested_without_end_is_refused(client):
    deep = "[" * 30_000 + "]" * 30_000
    assert client.post("/api/record", content=deep, headers={"Content-Type": "application/json"}).status_code == 400


@given(host=st.text(max_size=60))
def test_a_host_header_of_anything_is_a_name_or_none(host):
    name = host_name(host)
    assert name == "" or name in host.lower().strip()
