"""A stranger gets nothing from any route, whichever way they ask."""

import asyncio
import json
import socket
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.responses import JSONResponse
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from lrt.console.web.app import make_routes
from lrt.console.web.guard import ENTRANCE, OPEN, Buckets, Guard, Rules, host_name
from lrt.console.web.hub import Hub
from lrt.console.web.server import find_key

FILL = {"clip_id": "kitchen-01", "number": "3", "name": "main.js"}
CHANGES = {"POST", "DELETE"}


@pytest.fixture(scope="module")
def locked(page_server):
    """A page on all addresses, and so behind a key; asked by this computer's loopback."""
    return page_server(listen="0.0.0.0")


@pytest.fixture(scope="module")
def loopback(page_server):
    return page_server()


@pytest.fixture(scope="module")
def ours(locked):
    """Its address, as a stranger on this computer would call it."""
    return f"http://127.0.0.1:{locked.port}"


@pytest.fixture
def stranger(ours):
    with httpx.Client(base_url=ours, headers={"Origin": ours}, timeout=30) as client:
        yield client


def routes(served) -> list[tuple[str, str]]:
    """(method, path) of every route of the app, its parameters filled in; "SOCKET" for those that are none of HTTP."""
    found = []
    for route in make_routes(Hub(served.daemon), Rules("x")):
        path = route.path
        for name, value in FILL.items():
            path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:int}}", value)
        assert "{" not in path, path
        found += [(method, path) for method in sorted(getattr(route, "methods", None) or {"SOCKET"})]
    return found


def test_without_the_key_every_route_refuses_but_the_entrance(locked, stranger, ours):
    asked = routes(locked)
    assert len(asked) > 30
    assert {path for _, path in asked} >= {"/", "/api/camera.mjpg", "/api/stream", "/api/clips/kitchen-01/thumb.jpg"}
    for method, path in asked:
        if method == "SOCKET":
            with pytest.raises(InvalidStatus) as refused:
                connect(f"ws{ours[4:]}{path}", origin=ours)
            assert refused.value.response.status_code == 403, path
            continue
        answer = stranger.request(method, path, json={} if method in CHANGES else None)
        if path in OPEN:
            assert answer.status_code in (200, 401), path
            continue
        assert answer.status_code == 401, (method, path)
        if method != "HEAD":
            assert "asks for its key" in answer.text if path == "/" else answer.json()["code"] == "token", path
        assert "set-cookie" not in answer.headers


def test_with_the_key_no_route_says_that_it_is_missing(locked, stranger):
    assert stranger.post(ENTRANCE, json={"token": locked.token}).json() == {"ok": True}
    for method, path in routes(locked):
        if method == "GET" and not path.endswith("mjpg"):
            assert stranger.get(path).status_code != 401, path
        elif method in CHANGES and path not in OPEN:
            assert stranger.request(method, path, json={}).status_code not in (401, 403, 415, 500), path


def test_the_code_on_the_terminal_opens_the_page_with_a_cookie_that_scripts_and_other_sites_cannot_use(
    locked, stranger, ours
):
    answer = stranger.get(f"{ENTRANCE}?token={locked.token}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookies = [each.lower() for each in answer.headers.get_list("set-cookie")]
    assert {each.partition("=")[0] for each in cookies} == {"lrt_key", "lrt_phone"}
    assert all("httponly" in each and "samesite=strict" in each and "path=/" in each for each in cookies)
    assert locked.token.lower() not in "".join(cookies)  # who sees the cookie does not have the key
    assert stranger.get("/").status_code == 200
    assert stranger.get("/api/state").json()["server_id"]
    with connect(
        f"ws{ours[4:]}/api/stream",
        origin=ours,
        additional_headers={"Cookie": "; ".join(f"{name}={value}" for name, value in stranger.cookies.items())},
    ) as line:
        assert json.loads(line.recv())["state"]["sensor"]["shape"] == [8, 8]


def test_a_wrong_key_or_cookie_opens_nothing_and_guessing_is_stopped(page_server):
    served = page_server(listen="0.0.0.0")
    ours = f"http://127.0.0.1:{served.port}"
    with httpx.Client(base_url=ours, headers={"Origin": ours}) as stranger:
        for cookie in ("", "x", served.token, "0" * 64):
            assert stranger.get("/api/state", headers={"Cookie": f"lrt_key={cookie}"}).status_code == 401
        answers = [stranger.post(ENTRANCE, json={"token": f"guess {k}"}) for k in range(12)]
        assert [answer.json()["code"] for answer in answers[:8]] == ["token"] * 8
        assert answers[-1].json()["code"] == "rate"
        assert stranger.get(f"{ENTRANCE}?token=guess").status_code in (401, 429)
        assert stranger.post(ENTRANCE, json={"token": None}).status_code in (401, 429)
        assert "lrt_key" not in stranger.cookies


def test_the_key_is_random_kept_for_this_user_alone_and_the_same_after_a_restart(tmp_path):
    key = find_key(tmp_path / "a")
    assert len(key) >= 22
    assert key != find_key(tmp_path / "b")
    assert find_key(tmp_path / "a") == key
    assert (tmp_path / "a/page.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "192.168.1.7", "localhost:x", "", "[::1"]
)
def test_on_loopback_a_name_that_is_not_this_computers_is_refused_so_rebinding_gets_nowhere(loopback, host):
    client = loopback.client()
    answer = client.get("/api/state", headers={"Host": host, "Origin": f"http://{host}"})
    assert answer.status_code in (400, 403)


def test_numbers_and_own_names_are_hosts_behind_a_key_and_other_names_are_not():
    rules = Rules("key", frozenset({"localhost", "rig.local"}))
    assert all(map(rules.is_ours, ("10.42.0.1:8642", "rig.local:8642", "RIG.local", "[fe80::1]:8642", "localhost")))
    assert not any(map(rules.is_ours, ("evil.example", "rig.local.evil.example", "", "rig.local:evil")))
    assert host_name("[::1]:8642") == "::1"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "https://127.0.0.1", "http://127.0.0.1:1"])
def test_changes_and_sockets_asked_for_by_another_sites_page_are_refused(loopback, origin):
    client = loopback.client()
    for method, path in (("POST", "/api/stop"), ("POST", "/api/record"), ("DELETE", "/api/clips/kitchen-01")):
        assert client.request(method, path, json={}, headers={"Origin": origin}).json()["code"] == "foreign"
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws{loopback.url[4:]}/api/stream", origin=origin or None)
    assert refused.value.response.status_code == 403


def test_a_change_without_any_origin_is_refused_too(loopback):
    with httpx.Client(base_url=loopback.url) as client:
        assert client.post("/api/stop", json={}).status_code == 403


def test_another_sites_page_cannot_show_the_camera(loopback):
    client = loopback.client()
    embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert client.get("/api/camera.jpg", headers=embedded).json()["code"] == "foreign"
    assert client.get("/api/camera.jpg", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert client.get("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_a_form_could_send_is_not_taken(loopback, kind):
    answer = loopback.client().post("/api/stop", content=b"{}", headers={"Content-Type": kind})
    assert answer.status_code == 415


def test_a_body_that_is_too_long_is_refused_whether_its_length_was_told_or_not(loopback):
    client, long = loopback.client(), b'{"a": "' + b"x" * 70_000 + b'"}'
    told = client.post("/api/record", content=long, headers={"Content-Type": "application/json"})
    untold = client.post("/api/record", content=iter([long]), headers={"Content-Type": "application/json"})
    assert (told.status_code, untold.status_code) == (413, 413)
    larger = b'{"name": "a.png", "data": "' + b"A" * 100_000 + b'"}'  # pictures may be
    taken = client.post("/api/draw/source", content=larger, headers={"Content-Type": "application/json"})
    assert taken.json()["error"] == "that is no PNG or JPEG picture"


def test_too_many_requests_are_refused_and_later_ones_are_not():
    buckets = Buckets(rate=1000.0, burst=5.0)
    assert sum(buckets.take("a") for _ in range(6)) == 5
    assert buckets.take("b")
    buckets.left["a"] = (0.0, buckets.left["a"][1] - 1.0)  # a second ago
    assert buckets.take("a")
    for number in range(3000):
        buckets.take(str(number))
    assert len(buckets.left) <= 1024


def test_a_flood_of_requests_is_refused_in_words(monkeypatch):
    monkeypatch.setattr("lrt.console.web.guard._REQUESTS", 0.0)  # else a slow machine gets them back meanwhile

    async def app(scope, receive, send):
        await JSONResponse({})(scope, receive, send)

    async def flood():
        transport = httpx.ASGITransport(Guard(app, Rules()))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return [await client.get("/api/state") for _ in range(500)]

    answers = asyncio.run(flood())
    assert {answer.status_code for answer in answers[:250]} == {200}
    assert answers[-1].json() == {"error": "too many requests at once; wait a moment", "code": "rate"}


def test_every_answer_forbids_scripts_from_elsewhere_and_being_framed(loopback):
    client = loopback.client()
    for path in ("/", "/static/icon.svg", "/api/state", "/api/clips/none/frames", "/nowhere", "/enter"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers


def test_ways_out_of_the_static_files_lead_nowhere(loopback):
    for path in ("/static/../app.py", "/static/%2e%2e%2fapp.py", "/static/..%5capp.py", "/static/", "/static/.hidden"):
        with socket.create_connection((urlsplit(loopback.url).hostname, loopback.port)) as line:
            line.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda line=line: line.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 404"), path
        assert b"import" not in answer


def test_who_connects_and_says_nothing_or_dribbles_is_let_go(page_server, monkeypatch):
    monkeypatch.setattr("lrt.console.web.server._SILENT_S", 0.5)
    monkeypatch.setattr("lrt.console.web.asking._LONGEST_S", 0.5)
    served = page_server()
    address = (urlsplit(served.url).hostname, served.port)
    with socket.create_connection(address, timeout=20) as silent, socket.create_connection(address, timeout=20) as half:
        half.sendall(b"GET / HTTP/1.1\r\nHost: 127")
        assert silent.recv(100) == b""
        assert half.recv(100) == b""
    with socket.create_connection(address, timeout=20) as slow:
        head = f"POST /api/stop HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nOrigin: {served.url}\r\n"
        slow.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{{".encode())
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")
    assert served.client().get("/api/state").status_code == 200
