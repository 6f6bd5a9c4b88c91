"""What becomes of a clip afterwards: tags mended with a history, removal, recovery where it lies and at start."""

import json
import resource
import shutil
from dataclasses import replace

import numpy as np
import pytest

from lrt.rig.clip import (
    ClipError,
    ClipWriter,
    list_clips,
    log,
    mend,
    mend_tags,
    open_clip,
    recover_clip,
    recover_cut_clips,
    remove_clip,
    verify_clip,
)


@pytest.fixture
def make_clip(tmp_path, header, clock, make_scene, write_timeline):
    """`make_clip("one")`: a finished clip of two seconds; `cut=True`: one whose writer was killed."""

    def make(clip_id="one", cut=False, seconds=2.0, size=(64, 48)):
        writer = ClipWriter(tmp_path, replace(header, clip_id=clip_id), clock)
        write_timeline(writer, clock, make_scene(size=size).timeline(seconds, clock.now_ns()))
        if cut:
            writer.sync()
            writer._log.abandon()
            return tmp_path / f"{clip_id}.partial"
        writer.finish()
        return tmp_path / clip_id

    return make


# ---------------------------------------------------------------------------------------------------------------- tags


def test_a_mended_tag_keeps_what_stood_there_and_leaves_the_recording_whole(make_clip):
    folder = make_clip()
    before = (folder / "clip.mcap").read_bytes()
    mend_tags(folder, "anna", clothing="blue")
    mend_tags(folder, "ben", clothing="green", consent="C-8", lighting="dim")
    header = open_clip(folder).header
    assert (header.clothing, header.consent, header.lighting) == ("green", "C-8", "dim")
    assert [(step["by"], step["tag"], step["old"], step["new"]) for step in header.history] == [
        ("anna", "clothing", "red", "blue"),
        ("ben", "clothing", "blue", "green"),
        ("ben", "consent", "C-7", "C-8"),
    ]
    assert all(step["real_ns"] > 1.7e18 for step in header.history)
    assert (folder / "clip.mcap").read_bytes() == before
    assert verify_clip(folder).problems == ()


def test_tags_that_are_so_already_are_said_to_be(make_clip):
    with pytest.raises(ClipError, match="has these tags already"):
        mend_tags(make_clip(), "anna", clothing="red")


def test_a_cut_clip_is_recovered_before_its_tags_are_mended(make_clip):
    with pytest.raises(ClipError, match="recover"):
        mend_tags(make_clip(cut=True), "anna", clothing="blue")


def test_a_consent_cannot_be_mended_away(make_clip):
    folder = make_clip()
    with pytest.raises(ClipError, match="consent"):
        mend_tags(folder, "anna", consent="")
    assert open_clip(folder).header.consent == "C-7"


# -------------------------------------------------------------------------------------------------------------- removal


def test_a_removed_clip_is_gone_and_the_others_are_not(make_clip, tmp_path):
    one, two = make_clip("one"), make_clip("two", cut=True)
    remove_clip(two)
    assert [clip.clip_id for clip in list_clips(tmp_path)] == ["one"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one"]
    assert open_clip(one).header.clip_id == "one"


def test_what_is_no_clip_is_never_removed(tmp_path, make_clip):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/holiday.jpg").write_bytes(b"x")
    with pytest.raises(ClipError, match="is not a clip"):
        remove_clip(tmp_path / "photos")
    with pytest.raises(ClipError, match="is not there"):
        remove_clip(tmp_path / "nothing")
    assert (tmp_path / "photos/holiday.jpg").exists()
    assert make_clip().exists()


def test_a_clip_that_is_being_recorded_is_not_removed(tmp_path, header, clock, scene, write_timeline):
    with ClipWriter(tmp_path, header, clock) as writer:
        write_timeline(writer, clock, scene.timeline(1.0, clock.now_ns()))
        with pytest.raises(ClipError, match="being recorded"):
            remove_clip(tmp_path / "walk-01.partial")
    assert open_clip(tmp_path / "walk-01").image_times_ns.size == 30


def test_a_removal_that_was_cut_leaves_nothing_that_looks_like_a_clip(make_clip, tmp_path, monkeypatch):
    folder = make_clip()

    def refuse(_path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(ClipError, match="Input/output error"):
        remove_clip(folder)
    monkeypatch.undo()
    assert not folder.exists()
    assert [path.name for path in tmp_path.iterdir()] == [".one.removing"]
    make_clip()
    remove_clip(folder)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------------- recovery


def test_a_cut_clip_is_completed_where_it_lies(make_clip, monkeypatch):
    """The bytes it had stay as they are, and no copy is made: a full disk is no hindrance."""
    folder = make_clip(cut=True, seconds=5.0)
    before = (folder / "clip.mcap").read_bytes()
    monkeypatch.setattr(mend, "_copy_entries", lambda *_: pytest.fail("it was copied"))
    recover_clip(folder)
    log_after = folder.with_name("one") / "clip.mcap"
    after = log_after.read_bytes()
    assert after[: len(before)] == before
    assert len(after) - len(before) < 4000
    assert verify_clip(folder.with_name("one")).problems == ()


@pytest.mark.parametrize("beyond", [1, 17, 900, 30_000])
def test_what_was_being_written_when_it_was_cut_is_overwritten(make_clip, beyond):
    folder = make_clip(cut=True, seconds=5.0)
    path = folder / "clip.mcap"
    whole = path.read_bytes()
    index = log.read_index(path)
    path.write_bytes(whole[: index.whole_to] + bytes(range(256)) * (beyond // 256) + b"\x06" * (beyond % 256))
    report = recover_clip(folder)
    assert (report.heatmaps, report.images) == (50, 150)
    assert verify_clip(folder.with_name("one")).problems == ()


def test_a_recovery_that_is_itself_cut_can_be_begun_again(make_clip, tmp_path):
    """Power fails at any byte of what recovery appends."""
    folder = make_clip(cut=True, seconds=3.0)
    path = folder / "clip.mcap"
    before, header = path.read_bytes(), (folder / "clip.json").read_bytes()
    recover_clip(folder)
    after = (tmp_path / "one/clip.mcap").read_bytes()
    for length in range(len(before), len(after), 97):
        again = tmp_path / f"again-{length}" / "one.partial"
        again.mkdir(parents=True)
        (again / "clip.json").write_bytes(header)
        (again / "clip.mcap").write_bytes(after[:length])
        assert recover_clip(again).images == 90
        assert (again.with_name("one") / "clip.mcap").read_bytes() == after


def test_a_log_of_another_hand_is_copied_rather_than_continued(make_clip, monkeypatch):
    """A version of lrt that writes other chunks must still recover what this one wrote, and the other way round."""
    monkeypatch.setattr(log, "_CHUNK_BYTES", 3_000)
    folder = make_clip(cut=True, seconds=4.0)
    monkeypatch.setattr(log, "_CHUNK_BYTES", 256 * 1024)
    monkeypatch.setattr(log, "_EVENT_SCHEMA", {"type": "object"})
    assert recover_clip(folder).images == 120
    assert verify_clip(folder.with_name("one")).problems == ()


def test_a_disk_that_is_full_to_the_last_byte_still_lets_a_clip_be_recovered(make_clip):
    """The kernel refuses to let any file grow beyond the size of the cut log and its index: no copy has room."""
    folder = make_clip(cut=True, seconds=6.0, size=(320, 240))
    path = folder / "clip.mcap"
    with path.open("ab") as file:
        file.write(b"\x06" * 20_000)  # of a chunk that was never finished
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
    try:
        assert recover_clip(folder).images == 180
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_all_cut_clips_of_a_folder_are_recovered_and_the_hopeless_ones_named(
    make_clip, tmp_path, header, clock, scene, write_timeline
):
    make_clip("one")
    make_clip("two", cut=True)
    make_clip("three", cut=True)
    (make_clip("four", cut=True) / "clip.mcap").write_bytes(b"\x89MCAP0\r\n")
    (tmp_path / "five.partial").mkdir()
    with ClipWriter(tmp_path, replace(header, clip_id="six"), clock) as writer:
        write_timeline(writer, clock, scene.timeline(1.0, clock.now_ns()))
        reports, refusals = recover_cut_clips(tmp_path)
    assert [report.clip_id for report in reports] == ["three", "two"]
    assert len(refusals) == 1
    assert "four.partial" in str(refusals[0])
    assert [(clip.clip_id, clip.state) for clip in list_clips(tmp_path)] == [
        ("four", "cut"),
        ("one", "finished"),
        ("six", "finished"),
        ("three", "recovered"),
        ("two", "recovered"),
    ]
    assert recover_cut_clips(tmp_path / "nowhere") == ([], [])


def test_every_flipped_bit_of_the_header_is_found_too(make_clip):
    """Tags, consent, settings: a card that forgets a bit must not change whose clip it is."""
    folder = make_clip()
    path = folder / "clip.json"
    whole = bytearray(path.read_bytes())
    assert verify_clip(folder).problems == ()
    for place in np.random.default_rng(8).integers(0, len(whole), 150):
        damaged = whole.copy()
        damaged[place] ^= 1 << int(place) % 8
        path.write_bytes(damaged)
        try:
            problems = verify_clip(folder).problems
        except ClipError:
            continue
        same = json.loads(damaged) == json.loads(whole)  # one kind of white space for another
        assert problems or same, f"byte {place}"
    path.write_bytes(whole)
    mend_tags(folder, "anna", clothing="blue")
    assert verify_clip(folder).problems == ()


def test_a_clip_of_an_earlier_version_without_the_new_fields_is_read(make_clip):
    folder = make_clip()
    said = json.loads((folder / "clip.json").read_text())
    del said["history"], said["follows"], said["checksum"]
    (folder / "clip.json").write_text(json.dumps(said))
    assert open_clip(folder).header.history == []
