"""The clips on the disk as a phone sees them, and what to record next."""

import base64
import io
import time
import zipfile
from datetime import timedelta

import numpy as np
import pytest

from lrt.console.web.library import Library
from lrt.console.web.protocol import propose_id
from lrt.console.web.refusals import RefusedError
from lrt.dataset.consent import today
from lrt.dataset.ledger import add_consent
from lrt.rig.clip import ClipHeader, ClipWriter, check_clip_id, open_clip
from lrt.rig.jpeg import decode_jpeg
from lrt.rig.records import Heatmap, Jpeg

TAGS = {"clothing": "red", "lighting": "dim", "occupants": 1, "consent": "P07"}


@pytest.fixture(scope="module")
def served(page_server):
    return page_server()


def write_clip(served, clip_id, seconds=4.0, **tags):
    """A clip of the rig's devices, written at once: as whole as a recorded one."""
    rig = served.numbers.rig
    header = ClipHeader(clip_id, **{**TAGS, **tags}, rig=rig.settings.as_dict(), synthetic=rig.synthetic)
    served.clips.mkdir(exist_ok=True)
    begun_ns = rig.clock.now_ns()
    with ClipWriter(served.clips, header, rig.clock) as writer:
        for number in range(round(seconds * 10)):
            writer.write_heatmap(served.numbers.sensor.make(begun_ns + number * 100_000_000, number))
        for number in range(round(seconds * 20)):
            writer.write_image(served.numbers.camera.make(begun_ns + number * 50_000_000, number))
    return served.clips / clip_id


def wait_for(true, seconds=30.0):
    ends_s = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < ends_s, "it never came"
        time.sleep(0.05)
    return found


def test_an_empty_folder_is_no_dead_end(served):
    client = served.client()
    assert client.get("/api/clips").json() == []
    assert client.get("/api/protocol").json()["done"] == 0
    assert client.get("/api/proposal").json() == {
        "clip_id": "clip-white-bright",
        "clothing": "white",
        "lighting": "bright",
        "occupants": 1,
        "consent": "",
        "room": "",
    }
    assert client.get("/api/consents").json() == []
    assert client.get("/api/calibrate").json()["clips"] == []


def test_a_clip_is_listed_looked_at_and_shown(served):
    folder = write_clip(served, "shown-01", room="kitchen")
    client, clip = served.client(), open_clip(folder)
    listed = client.get("/api/clips").json()[0]
    assert (listed["clip_id"], listed["state"], listed["room"], listed["consent"]) == (
        "shown-01",
        "finished",
        "kitchen",
        "P07",
    )
    assert listed["bytes"] == sum(file.stat().st_size for file in folder.iterdir())
    quality = wait_for(lambda: client.get("/api/clips").json()[0]["quality"])
    assert quality["level"] in ("green", "amber", "red")
    assert all(found["do"] and found["level"] != "green" for found in quality["findings"])

    thumb = decode_jpeg(client.get("/api/clips/shown-01/thumb.jpg").content)
    assert thumb.shape == (240, 320, 3)

    frames = client.get("/api/clips/shown-01/frames").json()
    heat = np.frombuffer(base64.b64decode(frames["heat"]), "<i2").reshape(frames["count"], 8, 8)
    assert np.array_equal(heat, clip.oriented(np.stack([heatmap.raw for heatmap in clip.heatmaps()])))
    assert frames["low"] < heat.min() / 4 + 1 < heat.max() / 4 < frames["high"] + 1
    times = np.array(frames["times_s"])
    assert len(frames["image_times_s"]) == len(clip.image_times_ns)
    assert np.diff(times) == pytest.approx(0.1, abs=0.02)

    for number in (0, 17, frames["count"] - 1):
        nearest = np.abs(clip.image_times_ns - clip.heat_times_ns[number]).argmin()
        assert client.get(f"/api/clips/shown-01/image/{number}.jpg").content == clip.jpeg(int(nearest))
    for number in (frames["count"], 10**30):
        assert client.get(f"/api/clips/shown-01/image/{number}.jpg").json()["code"] == "missing"


def test_tags_are_mended_by_the_vocabulary_and_the_clip_remembers(served):
    folder, client = write_clip(served, "mended-01"), served.client()
    answer = client.post("/api/clips/mended-01/tags", json={"clothing": "blue", "tags": ["sofa"], "phone": "anna"})
    assert answer.json()["ok"]
    header = ClipHeader.read(folder)
    assert (header.clothing, header.lighting, header.tags) == ("blue", "dim", ["sofa"])
    assert [(each["tag"], each["old"]) for each in header.history] == [("clothing", "red"), ("tags", [])]
    assert client.post("/api/clips/mended-01/tags", json={"clothing": "pink"}).json()["code"] == "tags"
    assert client.post("/api/clips/mended-01/tags", json={"occupants": "1"}).json()["code"] == "bad"
    assert client.post("/api/clips/mended-01/tags", json={}).status_code == 400
    assert client.post("/api/clips/none/tags", json={"clothing": "blue"}).json()["code"] == "missing"


def test_a_copy_is_the_clip_byte_for_byte(served):
    folder, client = write_clip(served, "copied-01"), served.client()
    answer = client.get("/api/clips/copied-01/download")
    assert answer.headers["content-disposition"] == 'attachment; filename="copied-01.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.testzip() is None
        assert {name: packed.read(name) for name in packed.namelist()} == {
            f"copied-01/{file.name}": file.read_bytes() for file in folder.iterdir()
        }


def test_copies_wait_while_a_clip_is_recorded_and_are_two_at_most(served):
    write_clip(served, "busy-01", seconds=20)
    client = served.client()
    assert client.post("/api/record", json={**TAGS, "clip_id": "rec-01"}).status_code == 200
    assert client.get("/api/clips/busy-01/download").json()["code"] == "busy"
    client.post("/api/stop", json={})
    client.post("/api/seat", json={"take": False})
    library = Library(served.clips, lambda: False)
    first, second = library.download("busy-01"), library.download("busy-01")
    next(first)
    with pytest.raises(RefusedError, match="copies are under way"):
        library.download("busy-01")
    first.close()
    first.close()  # once is enough
    third = library.download("busy-01")
    with pytest.raises(RefusedError):
        library.download("busy-01")
    second.close()
    third.close()


def test_a_clip_is_deleted_when_its_id_is_given_again_and_no_other_is(served):
    folder, client = write_clip(served, "doomed-01"), served.client()
    client.get("/api/clips/doomed-01/frames")
    for confirm in ({}, {"confirm": "shown-01"}, {"confirm": True}, {"confirm": "doomed"}):
        assert client.request("DELETE", "/api/clips/doomed-01", json=confirm).json()["code"] == "bad"
    assert folder.is_dir()
    assert client.request("DELETE", "/api/clips/doomed-01", json={"confirm": "doomed-01"}).json() == {"ok": True}
    assert not folder.exists()
    assert client.get("/api/clips/doomed-01/frames").json()["code"] == "missing"
    assert client.get("/api/clips/doomed-01/thumb.jpg").json()["code"] == "missing"


def test_a_clip_that_was_cut_or_damaged_is_told_in_words_and_kept_out_of_calibrating(served):
    folder, client = write_clip(served, "broken-01"), served.client()
    log = folder / "clip.mcap"
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 0xFF
    log.write_bytes(content)
    for path in ("thumb.jpg", "frames", "image/0.jpg"):
        answer = client.get(f"/api/clips/broken-01/{path}")
        assert answer.status_code == 400
        assert "damaged" in answer.json()["error"]
    quality = wait_for(
        lambda: next(each for each in client.get("/api/clips").json() if each["clip_id"] == "broken-01")["quality"]
    )
    assert quality["level"] == "red"
    told = {each["clip_id"]: each for each in client.get("/api/calibrate").json()["clips"]}
    assert told["broken-01"]["usable"] is False
    assert told["broken-01"]["why"]
    (served.clips / "odd").mkdir()
    (served.clips / "odd/clip.json").write_text("{")
    assert {"odd": "unreadable"}.items() <= {
        each["clip_id"]: each["state"] for each in client.get("/api/clips").json()
    }.items()


def test_the_guided_list_counts_what_is_good_and_proposes_what_is_missing(page_server):
    served = page_server()
    client = served.client()
    write_clip(served, "white-01", clothing="white", lighting="bright", room="hall.2")
    write_clip(served, "empty-01", clothing="white", lighting="dim", occupants=0)  # nobody in it: does not count
    table = client.get("/api/protocol").json()
    assert (table["rows"], table["columns"]) == (["white", "red", "green", "blue", "black"], ["bright", "dim"])
    assert (table["total"], len(table["cells"]), len(table["cells"][0])) == (10, 5, 2)
    wait_for(lambda: all(each["quality"] for each in client.get("/api/clips").json()))
    table = client.get("/api/protocol").json()
    bad = client.get("/api/clips").json()[0]["quality"]["level"] == "red"
    first = table["cells"][0][0]
    assert first["clips"] == ["white-01"]
    assert first["state"] == ("doubtful" if bad else "done")
    assert table["done"] == (0 if bad else 1)
    assert table["cells"][0][1]["state"] == "missing"
    proposal = client.get("/api/proposal").json()
    assert (proposal["clothing"], proposal["lighting"]) == ("white", "dim")
    assert proposal["consent"] == "P07"
    assert table["cells"][0][1]["proposed"] == proposal["clip_id"]
    assert all(cell["proposed"] for row in table["cells"] for cell in row)


@pytest.mark.parametrize("room", ["", "kitchen", "a.b", "_x", "...", "ü", "-" * 70, "x" * 90])
def test_proposed_ids_are_ids_and_new(room):
    taken = set()
    for _ in range(3):
        clip_id = propose_id(room, "red", "dim", taken)
        check_clip_id(clip_id)
        assert clip_id not in taken
        taken.add(clip_id)


def test_consents_of_the_ledger_and_of_clips_are_told_with_what_holds(page_server):
    served = page_server()
    write_clip(served, "a-01", consent="P99,P07")
    add_consent(served.clips, "P07", "share", today(), subject="S-1")
    add_consent(served.clips, "P08", "internal", today() - timedelta(days=9), expires=today() - timedelta(days=2))
    told = {each["id"]: (each["holds"], each["says"]) for each in served.client().get("/api/consents").json()}
    assert told["P07"] == (True, "S-1, share")
    assert told["P08"][0] is False
    assert "expired" in told["P08"][1]
    assert told["P99"] == (True, "not in the ledger")


def test_a_link_out_of_the_folder_is_no_clip(served, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "clip.json").write_text("{}")
    (served.clips / "link-01").symlink_to(outside)
    client = served.client()
    for path in ("frames", "thumb.jpg", "download", "image/1.jpg"):
        assert client.get(f"/api/clips/link-01/{path}").status_code == 422
    assert client.request("DELETE", "/api/clips/link-01", json={"confirm": "link-01"}).status_code == 422
    assert (outside / "clip.json").exists()
    (served.clips / "link-01").unlink()


def test_heatmaps_and_pictures_alone_make_clips_that_can_still_be_shown(served):
    rig, client = served.numbers.rig, served.client()
    header = ClipHeader("heat-only", **TAGS, rig={}, synthetic=True)
    with ClipWriter(served.clips, header, rig.clock) as writer:
        writer.write_heatmap(Heatmap(5, np.full((8, 8), 84, np.int16), 400, 0, 4, 6))
    header = ClipHeader("picture-only", **TAGS, rig={}, synthetic=True)
    with ClipWriter(served.clips, header, rig.clock) as writer:
        found: Jpeg = served.numbers.camera.make(5, 0)
        writer.write_image(found)
    assert client.get("/api/clips/heat-only/frames").json()["count"] == 1
    assert client.get("/api/clips/heat-only/thumb.jpg").json()["code"] == "missing"
    assert client.get("/api/clips/picture-only/frames").json()["count"] == 0
    assert client.get("/api/clips/picture-only/thumb.jpg").status_code == 200
    assert client.get("/api/clips/picture-only/image/0.jpg").json()["code"] == "missing"
