"""What programs beside the daemon do: calibrate and draw, refuse, end, and are ended."""

import asyncio
import base64
import json
import struct
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from websockets.sync.client import connect

from lrt.calibration.geometry import Calibration
from lrt.console.web import calibrations
from lrt.console.web.calibrations import Calibrations
from lrt.console.web.child import Child, ChildError, pack
from lrt.console.web.drawings import _picture_size
from lrt.console.web.library import Library
from lrt.model.mark import SYNTHETIC
from lrt.rig.clip import ClipHeader, ClipWriter

TAGS = {"clothing": "red", "lighting": "dim", "occupants": 1, "consent": "P07"}


@pytest.fixture(scope="module")
def served(page_server):
    return page_server()


def wait_for(true, seconds=60.0):
    ends_s = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < ends_s, "it never came"
        time.sleep(0.1)
    return found


def write_clip(served, clip_id, pictures_late_s=0.0):
    rig = served.numbers.rig
    served.clips.mkdir(exist_ok=True)
    header = ClipHeader(clip_id, **TAGS, rig=rig.settings.as_dict(), synthetic=rig.synthetic)
    with ClipWriter(served.clips, header, rig.clock) as writer:
        for number in range(30):
            writer.write_heatmap(served.numbers.sensor.make(10**9 + number * 100_000_000, number))
            late_ns = round(pictures_late_s * 1e9)
            writer.write_image(served.numbers.camera.make(10**9 + late_ns + number * 100_000_000, number))


def test_a_calibration_that_cannot_be_is_told_in_its_own_words_and_leaves_nothing(served):
    """The clip's pictures are ten seconds off: the child finds no pair, and says so through the page."""
    write_clip(served, "apart-01", pictures_late_s=10)
    client = served.client()
    assert client.post("/api/calibrate", json={"clips": ["apart-01"], "frames": 20}).json() == {"ok": True}
    assert client.get("/api/state").json()["job"]["kind"] == "calibrate"
    assert client.post("/api/calibrate", json={"clips": ["apart-01"]}).json()["code"] == "busy"
    error = wait_for(lambda: client.get("/api/calibrate").json()["error"])
    assert "within 50 ms" in error
    assert client.get("/api/state").json()["job"] is None
    assert client.get("/api/calibrate").json()["result"] is None
    assert client.get("/api/calibrate/report").json()["code"] == "missing"
    assert {path.name for path in served.clips.parent.iterdir()} <= {"clips", "state"}


def test_a_calibration_is_broken_off_at_once(served):
    write_clip(served, "whole-01")
    client = served.client()
    assert client.post("/api/calibrate", json={"clips": ["whole-01"]}).json() == {"ok": True}
    begun_s = time.monotonic()
    assert client.post("/api/calibrate/cancel", json={}).json() == {"ok": True}
    assert time.monotonic() - begun_s < 10
    told = client.get("/api/calibrate").json()
    assert told["error"] == "the calibration was broken off"
    assert client.get("/api/state").json()["job"] is None
    assert not list(served.clips.parent.glob(".calibrating*"))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"clips": []}, "bad"),
        ({"clips": ["none"]}, "missing"),
        ({"clips": ["../x"]}, "bad"),
        ({"clips": "whole-01"}, "bad"),
        ({"clips": ["whole-01"], "masks": "../weights"}, "bad"),
        ({"clips": ["whole-01"], "frames": 1}, "bad"),
        ({}, "bad"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(served, body, code):
    answer = served.client().post("/api/calibrate", json=body)
    assert answer.json()["code"] == code
    assert served.client().get("/api/state").json()["job"] is None


def fit(verdict: str, tx: float) -> Calibration:
    return Calibration(
        tx=tx,
        ty=120.0,
        s=30.0,
        offset_ms=50.0,
        tx_sd=0.5,
        ty_sd=0.5,
        s_sd=0.1,
        offset_ms_sd=5.0,
        image_size=(320, 240),
        score=0.6,
        overlap=0.7,
        verdict=verdict,
        advice="" if verdict == "PASS" else "record more",
        masks="small",
        frames=200,
        clips={"a": "0" * 64},
    )


def test_a_doubtful_calibration_does_not_drive_out_a_good_one_and_old_ones_stay(served, tmp_path):
    kept = Calibrations(served.numbers.rig, Library(tmp_path / "clips", lambda: False))

    def make(calibration: Calibration) -> Path:
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        for ending, content in ((".json", json.dumps(asdict(calibration))), (".png", "p"), (".html", "h")):
            (scratch / f"calibration{ending}").write_text(content)
        return kept._keep(scratch / "calibration.json")

    assert make(fit("WARN", 150.0)).name == "calibration.json"
    assert make(fit("PASS", 160.0)).name == "calibration.json"
    assert len(list(tmp_path.glob("calibration-2*.json"))) == 1  # the first, with its picture and page
    assert len(list(tmp_path.glob("calibration-2*.*"))) == 3
    assert make(fit("WARN", 170.0)).name == "calibration-warn.json"
    found = kept.state()
    assert found is not None
    assert (found["tx"], found["verdict"], found["image_size"]) == (160.0, "PASS", [320, 240])
    assert {each["name"] for each in kept.tell()["calibrations"]} >= {
        "calibration.json",
        "calibration-warn.json",
    }


def test_a_child_refuses_in_words_and_one_that_dies_is_told_with_its_last():
    async def ask(module: str) -> str:
        child = Child(module)
        await child.start()
        try:
            asked = {"clips": ["/nowhere/at-all"], "out": "/nowhere/c.json"}
            await child.send({**asked, "masks": "small", "weights": None, "frames": 20})
            while True:
                await child.receive()
        except ChildError as error:
            return str(error)
        finally:
            await child.close()

    assert "no folder" in asyncio.run(ask("lrt.console.web.calibrating"))
    assert "has ended: " in asyncio.run(ask("lrt.console.web.nowhere"))


def test_a_child_ends_with_its_parent():
    """Its stdin is closed, as a daemon's death does it, while it is at work."""
    child = subprocess.Popen(
        [sys.executable, "-m", "lrt.console.web.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.close()
    assert child.wait(60) == 0
    child.stdout.close()


def test_messages_survive_the_way():
    async def through() -> tuple[dict, bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(pack({"ä": [1, None]}, b"\x00\xff" * 500))
        child = Child("none")

        class Process:
            stdout = reader

        child._process = Process()  # type: ignore[assignment]
        return await child.receive()

    assert asyncio.run(through()) == ({"ä": [1, None]}, b"\x00\xff" * 500)


def picture(width: int, height: int, ending: str = ".png") -> bytes:
    pixels = np.random.default_rng(2).integers(0, 255, (height, width, 3), np.uint8)
    return cv2.imencode(ending, pixels)[1].tobytes()


def test_source_pictures_are_taken_by_what_they_are_and_named_without_paths(served):
    client = served.client()

    def send(name: str, content: bytes) -> dict:
        data = base64.b64encode(content).decode()
        return client.post("/api/draw/source", json={"name": name, "data": data}).json()

    assert send("../../etc/anna.png", picture(64, 40)) == {"name": "anna.png"}
    assert send("anna.png", picture(64, 40)) == {"name": "anna.png"}  # the same picture once more
    assert send("anna.png", picture(64, 40, ".jpg")) == {"name": "anna.png-2"}
    assert send("...", picture(8, 8)) == {"name": "picture"}
    assert send("text.png", b"no picture")["code"] == "bad"
    bomb = picture(8, 8)[:16] + (60_000).to_bytes(4, "big") * 2 + picture(8, 8)[24:]
    assert "60000x60000" in send("bomb.png", bomb)["error"]
    assert send("large.png", picture(8, 8) + bytes(4 * 1024 * 1024))["code"] == "bad"
    assert client.post("/api/draw/source", json={"name": "a", "data": "!!"}).json()["code"] == "bad"
    sources = {each["name"]: each["kind"] for each in client.get("/api/draw").json()["sources"]}
    assert sources["anna.png"] == "picture"
    assert not list(served.clips.parent.rglob("*anna*"))  # in memory alone


def test_sizes_are_read_from_headers_alone():
    assert _picture_size(picture(31, 17)) == (31, 17)
    assert _picture_size(picture(31, 17, ".jpg")[:400] + b"") == (31, 17)


def test_what_cannot_draw_is_refused_in_words(served):
    client = served.client()
    model = client.get("/api/draw").json()["models"][0]["name"]
    assert client.post("/api/draw", json={"model": "none", "source": "x"}).json()["code"] == "missing"
    assert client.post("/api/draw", json={"model": model, "source": "no such"}).json()["code"] in ("missing", "unfit")
    assert client.post("/api/draw/stop", json={}).json() == {"ok": True}
    assert client.get("/api/state").json()["drawing"] is None


def test_the_run_that_ships_draws_live_marked_as_synthetic_and_stops(served):
    """Heat in, picture out, through a child; only while somebody looks, and never a heatmap twice."""
    client = served.client()
    assert client.post("/api/draw", json={"model": "twin", "source": "red-bright"}, timeout=120).status_code == 200
    assert client.get("/api/state").json()["drawing"]["latency_ms"] is None  # nobody looks yet
    with connect(f"ws{served.url[4:]}/api/stream", origin=served.url, max_queue=None) as line:
        line.send(json.dumps({"want": ["drawn"]}))
        drawn = []
        while len(drawn) < 4:
            said = line.recv(timeout=60)
            if isinstance(said, bytes) and (said[0] == 2 or drawn):  # heat may be on its way when the wish arrives
                assert said[0] == 2
                drawn.append((*struct.unpack("<Id", said[4:16]), said[16:]))
    numbers = [sequence for sequence, _, _ in drawn]
    assert numbers == sorted(set(numbers))
    for _, latency_ms, content in drawn:
        assert 0 < latency_ms < 60_000
        assert SYNTHETIC.encode() in content  # its metadata say so
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert pixels.shape[0] * 64 == pixels.shape[1] * 40
    told = client.get("/api/state").json()["drawing"]
    assert (told["model"], told["source"], told["camera_shown"]) == ("twin", "red-bright", False)
    assert told["latency_ms"] > 0
    assert told["dropped"] >= 0
    tiny = {"name": "tiny.png", "data": base64.b64encode(picture(8, 8)).decode()}
    named = client.post("/api/draw/source", json=tiny).json()["name"]
    refused = client.post("/api/draw", json={"model": "twin", "source": named}).json()  # 8x8: of no use
    assert "8x8" in refused["error"]
    assert client.post("/api/draw/stop", json={}).json() == {"ok": True}
    assert client.get("/api/state").json()["drawing"] is None


@pytest.mark.parametrize(("synthetic", "usual"), [(True, "small"), (False, "maskrcnn")])
def test_a_real_rig_is_not_calibrated_by_a_network_that_knows_the_twin_alone(page_server, synthetic, usual):
    masks = page_server(synthetic=synthetic).client().get("/api/calibrate").json()["masks"]
    assert [each["name"] for each in masks if each["default"]] == [usual]


def test_a_pi_without_pytorch_is_calibrated_by_the_selfie_segmenter_once_its_model_is_there(
    served, tmp_path, monkeypatch
):
    monkeypatch.setattr(calibrations, "find_spec", lambda _: None)
    told = Calibrations(served.numbers.rig, Library(tmp_path / "clips", lambda: False))

    before = {each["name"]: each for each in told.tell()["masks"]}
    (tmp_path / "selfie_segmentation.tflite").write_bytes(b"a network")
    after = {each["name"]: each for each in told.tell()["masks"]}

    assert not any(each["available"] for each in before.values())
    assert str(tmp_path) in before["selfie"]["says"]
    assert "PyTorch" in before["small"]["says"]
    assert [name for name, each in after.items() if each["available"]] == ["selfie"]


def test_a_model_that_is_none_is_told_through_the_page(page_server):
    served = page_server()
    write_clip(served, "whole-01")
    client = served.client()
    refused = client.post("/api/calibrate", json={"clips": ["whole-01"], "masks": "selfie"}).json()
    assert (refused["code"], "hardware/PI.md" in refused["error"]) == ("bad", True)
    (served.clips.parent / "mediapipe-0.10-any.whl").write_bytes(b"no package")

    assert client.post("/api/calibrate", json={"clips": ["whole-01"], "masks": "selfie"}).json() == {"ok": True}

    error = wait_for(lambda: client.get("/api/calibrate").json()["error"])
    assert "not a selfie segmenter that lrt knows" in error
