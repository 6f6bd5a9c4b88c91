"""`lrt serve` with its page, as a technician starts it: the twin, in a process of its own."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from lrt.console.web.server import PageConfig

RIG = '[sensor]\nkind = "twin"\n[camera]\nkind = "twin"\nsize = [160, 90]\nrate = 10\n'


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LRT_SOCKET", str(tmp_path / "door"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "rig.toml").write_text(RIG)
    return tmp_path


def test_the_daemon_with_its_page_is_small_has_no_torch_and_ends_in_order(place, serve):
    rig = serve(folder=place)
    with httpx.Client(base_url=rig.url, headers={"Origin": rig.url.rstrip("/")}, timeout=30) as client:
        for path in ("/", "/api/state", "/api/clips", "/api/calibrate", "/api/draw", "/api/camera.jpg"):
            assert client.get(path).status_code in (200, 404), path
        status = Path(f"/proc/{rig.process.pid}/status").read_text()
        loaded = Path(f"/proc/{rig.process.pid}/maps").read_text()
        rss = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert rss
        assert int(rss[1]) / 1024 <= 200
        assert "libtorch" not in loaded
        assert "onnxruntime" not in loaded
        with client.stream("GET", "/api/camera.mjpg") as film:  # an open stream does not keep it from ending
            next(film.iter_raw())
            rig.stop()
    assert rig.process.returncode == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", rig.port)).close()


def test_listening_shows_the_key_and_a_code_and_a_phone_gets_in_with_it(place, serve):
    rig = serve("--listen", folder=place)
    said = "\n".join(rig.said)
    key = re.search(r"key ([A-Za-z0-9_-]{22,})", said)
    assert key
    with httpx.Client(base_url=f"http://127.0.0.1:{rig.port}", timeout=30) as phone:
        assert phone.get("/api/state").status_code == 401
        assert phone.get(f"/enter?token={key[1]}").status_code == 303
        assert phone.get("/api/state").status_code == 200


def serve_once(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from lrt.cli import main; main()", "serve", "--rig", "rig.toml", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=os.environ)


def test_a_port_that_is_taken_or_an_address_of_another_computer_is_one_line(place):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = serve_once("--port", str(port))
    assert done.returncode == 1
    line = done.stderr.strip().splitlines()[-1]
    assert f"port {port}" in line
    assert "--port" in line
    assert "--no-http" in line
    done = serve_once("--listen", "192.0.2.1")
    assert done.returncode == 1
    assert "192.0.2.1" in done.stderr.strip().splitlines()[-1]
    assert not (place / "door").exists()


@pytest.mark.parametrize(
    ("listen", "is_open"),
    [
        ("127.0.0.1", False),
        ("127.0.0.9", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),
        ("::", True),
        ("192.168.1.4", True),
        ("rig.local", True),
    ],
)
def test_only_this_computers_own_addresses_do_without_a_key(listen, is_open):
    assert PageConfig(listen).is_open is is_open
