"""A clip on disk: what goes in comes out, and a cut costs a second."""

import json
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from mcap.reader import make_reader

from lrt.rig.clip import ClipError, ClipWriter, list_clips, log, open_clip, orient, recover_clip, verify_clip, write
from lrt.rig.records import Event, Heatmap, RigError


@pytest.fixture
def record_clip(tmp_path, header, clock, scene, write_timeline):
    """Write a clip of some seconds into tmp_path; what was written comes back too."""

    def record(seconds=3.0, clip_id="walk-01"):
        records = scene.timeline(seconds, clock.now_ns())
        with ClipWriter(tmp_path, replace(header, clip_id=clip_id), clock) as writer:
            write_timeline(writer, clock, records)
            writer.write_event(Event(clock.now_ns(), "bus-error", "Remote I/O error"))
        return tmp_path / clip_id, records

    return record


@pytest.fixture
def cut_clip(tmp_path, header, clock, scene, write_timeline):
    """A clip whose writer was never ended, four seconds in."""
    records = scene.timeline(4.0, clock.now_ns())
    writer = ClipWriter(tmp_path, header, clock)
    write_timeline(writer, clock, records)
    writer.sync()
    writer._log.abandon()  # as the kernel does for a killed process
    return tmp_path / "walk-01.partial"


def test_a_clip_gives_back_what_was_written(record_clip):
    folder, records = record_clip()
    clip = open_clip(folder)
    wrote = [record for record in records if isinstance(record, Heatmap)]
    for found, heatmap in zip(clip.heatmaps(), wrote, strict=True):
        assert np.array_equal(found.raw, heatmap.raw)
        assert found.raw.dtype == np.int16
        assert found.thermistor_raw == heatmap.thermistor_raw
        assert (found.sequence, found.earliest_ns, found.latest_ns) == (
            heatmap.sequence,
            heatmap.earliest_ns,
            heatmap.latest_ns,
        )
        assert abs(found.timestamp_ns - heatmap.timestamp_ns) < 1000  # fitted; the truth here is a line
    images = [record for record in records if not isinstance(record, Heatmap)]
    assert clip.image_times_ns.tolist() == [image.timestamp_ns for image in images]
    for index in (0, 44, 89):
        found = clip.image(index)
        difference = np.abs(found.pixels.astype(int) - images[index].pixels)
        assert difference.mean() < 3  # JPEG; red and blue exchanged would be some 60
        assert (found.timestamp_ns, found.sequence) == (images[index].timestamp_ns, images[index].sequence)
    assert [event.kind for event in clip.events()] == ["bus-error"]


def test_the_header_says_what_the_clip_is(record_clip, header):
    folder, _ = record_clip()
    found = open_clip(folder).header
    assert (found.clothing, found.lighting, found.occupants, found.consent) == ("red", "dim", 1, "C-7")
    assert found.rig == header.rig
    assert found.image_size == (64, 48)
    assert found.counts == {"heatmaps": 30, "images": 90, "events": 1}
    assert (found.state, found.ended, found.synthetic) == ("finished", "stopped", False)
    assert found.clocks["stop"]["mono_ns"] - found.clocks["start"]["mono_ns"] == pytest.approx(3e9, abs=1e8)
    assert not (folder.parent / "walk-01.partial").exists()


def test_pairs_are_the_nearest_image_of_each_heatmap(record_clip):
    folder, _ = record_clip()
    clip = open_clip(folder)
    pairs = list(clip.pairs(max_gap_ms=20))
    heat_index, image_index, error_ns = clip.pair_index(max_gap_ms=20)
    assert len(pairs) == 30
    assert np.abs(error_ns).max() < 1_000_000
    assert image_index.tolist() == (heat_index * 3).tolist()
    assert [pair.error_ns for pair in pairs] == error_ns.tolist()
    _, later, _ = clip.pair_index(max_gap_ms=20, offset_ms=-33.3)
    assert later[:5].tolist() == [1, 4, 7, 10, 13]


def test_orientation_is_applied_on_reading_and_never_to_what_is_kept(record_clip):
    folder, _ = record_clip()
    clip = open_clip(folder)
    raw = np.zeros((8, 8))
    raw[0, 1] = 1  # top row, second from the left: a quarter turn clockwise takes it to the right edge, second down
    assert np.argwhere(orient(raw, 90, False)).tolist() == [[1, 7]]
    assert np.argwhere(orient(raw, 180, False)).tolist() == [[7, 6]]
    assert np.argwhere(orient(raw, 270, False)).tolist() == [[6, 0]]
    assert np.argwhere(clip.oriented(raw)).tolist() == [[1, 0]]  # the header's rotation 90, then mirrored
    many = clip.oriented(np.stack([raw, raw]))
    assert np.array_equal(many[1], clip.oriented(raw))


def test_any_mcap_viewer_finds_the_images_and_the_heat(record_clip):
    folder, records = record_clip(1.0)
    with (folder / "clip.mcap").open("rb") as file:
        messages = list(make_reader(file, validate_crcs=True).iter_messages())
    names = {channel.topic: (schema.name, schema.encoding) for schema, channel, _ in messages}
    assert names == {
        "/rgb": ("foxglove.CompressedImage", "protobuf"),
        "/thermal": ("lrt.Heatmap", "jsonschema"),
        "/events": ("lrt.Event", "jsonschema"),
    }
    heat = [message for _, channel, message in messages if channel.topic == "/thermal"]
    wrote = [record for record in records if isinstance(record, Heatmap)]
    assert json.loads(heat[3].data)["raw"] == wrote[3].raw.ravel().tolist()
    assert heat[3].log_time == heat[3].publish_time == json.loads(heat[3].data)["timestamp_ns"]


def test_the_image_message_is_the_protobuf_that_its_schema_describes(record_clip):
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    folder, records = record_clip(1.0)
    with (folder / "clip.mcap").open("rb") as file:
        schema, _, message = next(make_reader(file).iter_messages(topics="/rgb"))
    pool = descriptor_pool.DescriptorPool()
    for each in descriptor_pb2.FileDescriptorSet.FromString(schema.data).file:
        pool.Add(each)
    image = message_factory.GetMessageClass(pool.FindMessageTypeByName(schema.name)).FromString(message.data)
    assert image.timestamp.seconds * 10**9 + image.timestamp.nanos == records[1].timestamp_ns
    assert image.format == "jpeg"
    assert image.data[:2] == b"\xff\xd8"


def test_two_recordings_of_the_same_are_the_same_bytes(tmp_path, header, make_scene, make_clock, write_timeline):
    digests = []
    for root in ("one", "two"):
        clock = make_clock(10**9)
        with ClipWriter(tmp_path / root, header, clock) as writer:
            write_timeline(writer, clock, make_scene().timeline(1.0, 10**9))
        digests.append(open_clip(tmp_path / root / "walk-01").sha256)
    assert digests[0] == digests[1]


@pytest.mark.parametrize("clip_id", ["", "a/b", "..", ".x", "-x", "a\n", "x" * 65, "ä", "a b"])
def test_a_clip_id_that_is_no_plain_name_is_refused(header, clip_id):
    with pytest.raises(ClipError, match="use 1 to 64 letters"):
        replace(header, clip_id=clip_id)


def test_a_recording_needs_a_consent_form(header):
    with pytest.raises(ClipError, match="--consent"):
        replace(header, consent=" ")


def test_an_existing_clip_is_never_overwritten(record_clip, header, clock, tmp_path):
    folder, _ = record_clip()
    before = (folder / "clip.mcap").read_bytes()
    with pytest.raises(ClipError, match=r"walk-01 is in .* already"):
        ClipWriter(tmp_path, header, clock)
    assert (folder / "clip.mcap").read_bytes() == before
    (tmp_path / "walk-02.partial").mkdir()
    with pytest.raises(ClipError, match=r"cut short .* recover"):
        ClipWriter(tmp_path, replace(header, clip_id="walk-02"), clock)


@pytest.mark.parametrize(
    ("error", "ended"), [(KeyboardInterrupt(), "Ctrl-C"), (RigError("the sensor was unplugged"), "the sensor was")]
)
def test_ctrl_c_and_a_lost_device_finish_the_clip(tmp_path, header, clock, scene, write_timeline, error, ended):
    with pytest.raises(type(error)), ClipWriter(tmp_path, header, clock) as writer:  # noqa: PT012
        write_timeline(writer, clock, scene.timeline(1.0, clock.now_ns()))
        raise error
    clip = open_clip(tmp_path / "walk-01")
    assert len(clip.heatmaps()) == 10
    assert clip.header.ended.startswith(ended)


def test_any_other_error_leaves_all_of_it_to_be_recovered(tmp_path, header, clock, scene, write_timeline):
    with pytest.raises(ZeroDivisionError), ClipWriter(tmp_path, header, clock) as writer:  # noqa: PT012
        write_timeline(writer, clock, scene.timeline(1.5, clock.now_ns()))
        raise ZeroDivisionError
    assert recover_clip(tmp_path / "walk-01.partial").heatmaps == 15


def test_a_recording_of_nothing_leaves_nothing(tmp_path, header, clock):
    with pytest.raises(RigError), ClipWriter(tmp_path, header, clock):
        raise RigError("no sensor")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_what_was_recorded(tmp_path, header, clock, scene, write_timeline, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    with pytest.raises(ClipError, match=r"No space left on device.*lrt clips recover"):  # noqa: SIM117, PT012
        with ClipWriter(tmp_path, header, clock) as writer:
            write_timeline(writer, clock, scene.timeline(2.0, clock.now_ns()))
            monkeypatch.setattr(log, "_sync_data", full)
            write_timeline(writer, clock, scene.timeline(2.0, clock.now_ns()))
    monkeypatch.undo()
    assert recover_clip(tmp_path / "walk-01.partial").heatmaps >= 20


def test_a_disk_that_takes_half_a_chunk_keeps_every_chunk_before_it(
    tmp_path, header, clock, make_scene, write_timeline
):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    scene = make_scene(size=(320, 240))
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (700_000, hard)
    )  # the kernel cuts a write short there, as at a disk's end
    try:
        with pytest.raises(ClipError, match="lrt clips recover"), ClipWriter(tmp_path, header, clock) as writer:  # noqa: PT012
            for second in range(30):
                write_timeline(writer, clock, scene.timeline(1.0, (second + 1) * 10**9))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    written = (tmp_path / "walk-01.partial/clip.mcap").stat().st_size
    assert 400_000 < written <= 700_000
    assert recover_clip(tmp_path / "walk-01.partial").bytes > written - 300_000


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path, header, clock, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(ClipError, match="cannot be written in"):
        ClipWriter(tmp_path / "file", header, clock)

    def full(_folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "_sync_folder", full)
    with pytest.raises(ClipError, match="No space left"):
        ClipWriter(tmp_path / "clips", header, clock)
    assert list((tmp_path / "clips").iterdir()) == []  # the name is free again


def test_a_clip_that_is_being_recorded_is_left_alone(tmp_path, header, clock, scene, write_timeline):
    with ClipWriter(tmp_path, header, clock) as writer:
        write_timeline(writer, clock, scene.timeline(2.0, clock.now_ns()))
        assert [clip.state for clip in list_clips(tmp_path)] == ["recording"]
        with pytest.raises(ClipError, match="being recorded at this moment"):
            recover_clip(tmp_path / "walk-01.partial")
        assert verify_clip(tmp_path / "walk-01.partial").problems == ("It is being recorded at this moment.",)
    assert len(open_clip(tmp_path / "walk-01").heatmaps()) == 20


def test_a_cut_clip_is_listed_refused_and_recovered_under_its_own_name(cut_clip, tmp_path):
    assert [(clip.state, clip.clip_id) for clip in list_clips(tmp_path)] == [("cut", "walk-01")]
    for folder in (cut_clip, tmp_path / "walk-01"):
        with pytest.raises(ClipError, match=r"cut short while recording; `lrt clips recover .*partial"):
            open_clip(folder)
    assert "cut short" in verify_clip(cut_clip).problems[0]
    report = recover_clip(cut_clip)
    assert (report.state, report.heatmaps, report.images) == ("recovered", 40, 120)
    clip = open_clip(tmp_path / "walk-01")
    assert clip.header.image_size == (64, 48)
    assert clip.image(119).pixels.shape == (48, 64, 3)
    assert verify_clip(tmp_path / "walk-01").problems == ()
    with pytest.raises(ClipError, match="nothing to recover"):
        recover_clip(tmp_path / "walk-01")


def test_wherever_a_clip_is_cut_its_whole_chunks_come_back(cut_clip, tmp_path):
    whole = (cut_clip / "clip.mcap").read_bytes()
    random = np.random.default_rng(9)
    lengths = [0, 5, 8, 40, *random.integers(50, len(whole), 25), len(whole) - 1]
    counts, refusals = [], []
    for number, length in enumerate(sorted(int(length) for length in lengths)):
        folder = tmp_path / f"cut-{number}" / "walk-01.partial"
        folder.mkdir(parents=True)
        shutil.copy(cut_clip / "clip.json", folder)
        (folder / "clip.mcap").write_bytes(whole[:length])
        try:
            report = recover_clip(folder)
        except ClipError as error:
            refusals.append(str(error))
            assert (folder / "clip.mcap").stat().st_size == length  # untouched
            counts.append(0)
            continue
        assert verify_clip(folder.with_name("walk-01")).problems == ()
        counts.append(report.heatmaps)
        # a chunk is a second: never more than that is lost of what the disk held
        assert report.heatmaps >= int(40 * length / len(whole)) - 13
    assert refusals
    assert all("nothing can be recovered" in refusal for refusal in refusals)
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] == 40


def test_a_clip_cut_after_its_data_loses_nothing(record_clip):
    folder, _ = record_clip()
    whole = (folder / "clip.mcap").read_bytes()
    (folder / "clip.mcap").write_bytes(whole[:-20])
    with pytest.raises(ClipError, match="damaged"):
        open_clip(folder)
    report = recover_clip(folder)
    assert (report.heatmaps, report.images) == (30, 90)


def test_every_flipped_bit_is_found(record_clip):
    folder, _ = record_clip()
    path = folder / "clip.mcap"
    whole = bytearray(path.read_bytes())
    for place in np.random.default_rng(4).integers(0, len(whole), 60):
        damaged = whole.copy()
        damaged[place] ^= 1 << int(place) % 8
        path.write_bytes(damaged)
        assert verify_clip(folder).problems, f"byte {place}"
        if place < len(whole) * 0.9:  # the data; behind it lies the index, which only verify reads
            with pytest.raises(ClipError):
                open_clip(folder)
    path.write_bytes(whole)
    assert verify_clip(folder).problems == ()


def test_a_damaged_chunk_in_the_middle_costs_itself_alone_and_the_old_file_is_kept(record_clip):
    folder, _ = record_clip(6.0)
    path = folder / "clip.mcap"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 0x10
    path.write_bytes(damaged)
    report = recover_clip(folder)
    assert 45 <= report.heatmaps < 60
    assert report.problems == ("Recovered: 1 damaged chunks left out, 0 bytes lost at the end.",)
    assert (folder / "clip.mcap.damaged").read_bytes() == damaged
    assert verify_clip(folder).problems == ()
    assert open_clip(folder).heatmaps()[-1].sequence == 59


def test_a_damaged_first_chunk_does_not_take_the_others_with_it(record_clip):
    folder, _ = record_clip(6.0)
    path = folder / "clip.mcap"
    damaged = bytearray(path.read_bytes())
    damaged[1000] ^= 1  # where the channels are declared
    path.write_bytes(damaged)
    assert 45 <= recover_clip(folder).heatmaps < 60
    assert open_clip(folder).heatmaps()[-1].sequence == 59


def test_damage_that_hides_all_behind_it_keeps_the_old_file_too(record_clip):
    folder, _ = record_clip(6.0)
    path = folder / "clip.mcap"
    damaged = bytearray(path.read_bytes())
    second = damaged.index(b"\x06", 2000)  # a chunk's opcode; its length, eight bytes, follows
    while int.from_bytes(damaged[second + 1 : second + 9], "little") not in range(5_000, 300_000):
        second = damaged.index(b"\x06", second + 1)
    damaged[second + 6] ^= 0x40  # the chunk now claims to be longer than the file
    path.write_bytes(damaged)
    report = recover_clip(folder)
    assert 0 < report.heatmaps < 60
    assert (folder / "clip.mcap.damaged").read_bytes() == damaged
    assert verify_clip(folder).problems == ()


def test_a_damaged_index_is_written_anew(record_clip):
    folder, _ = record_clip()
    path = folder / "clip.mcap"
    damaged = bytearray(path.read_bytes())
    damaged[-100] ^= 1
    path.write_bytes(damaged)
    assert verify_clip(folder).problems
    assert recover_clip(folder).heatmaps == 30
    assert verify_clip(folder).problems == ()


def test_counts_gaps_and_duplicates_are_reported(tmp_path, header, clock, scene, write_timeline):
    records = scene.timeline(3.0, clock.now_ns())
    heat = [record for record in records if isinstance(record, Heatmap)]
    lost = {id(heat[12]), id(heat[13])}
    records = [
        replace(record, raw=heat[20].raw) if record is heat[21] else record
        for record in records
        if id(record) not in lost
    ]
    with ClipWriter(tmp_path, header, clock) as writer:
        write_timeline(writer, clock, records)
    report = verify_clip(tmp_path / "walk-01")
    assert (report.heatmaps, report.thermal_missed, report.thermal_gaps) == (28, 2, 1)
    assert (report.images, report.image_missed, report.image_gaps) == (90, 0, 0)
    assert report.duplicates == 1
    assert report.problems == ()


def test_a_header_that_disagrees_with_the_log_is_found(record_clip):
    folder, _ = record_clip()
    said = json.loads((folder / "clip.json").read_text())
    said["counts"]["images"] = 91
    (folder / "clip.json").write_text(json.dumps(said))
    with pytest.raises(ClipError, match=r"clip.json says"):
        open_clip(folder)
    assert any("91" in problem for problem in verify_clip(folder).problems)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "has no clip.json"),
        ("{", "cannot be read"),
        ("[]", "schema is None"),
        ('{"schema": "lrt.clip/9"}', "lrt.clip/9"),
        ('{"schema": "lrt.clip/1"}', "a field is missing"),
    ],
)
def test_what_is_no_clip_is_said_in_one_line(tmp_path, content, words):
    folder = tmp_path / "x"
    folder.mkdir()
    if content is not None:
        (folder / "clip.json").write_text(content)
    with pytest.raises(ClipError, match=words) as caught:
        open_clip(folder)
    assert "\n" not in str(caught.value)


def test_a_missing_clip_and_a_missing_folder_are_said_in_one_line(tmp_path):
    with pytest.raises(ClipError, match="is not there"):
        open_clip(tmp_path / "nowhere")
    with pytest.raises(ClipError, match="is not there"):
        list_clips(tmp_path / "nowhere")


RECORD_FOREVER = """
import sys, time
from pathlib import Path
import numpy as np
from lrt.rig.clip import ClipHeader, ClipWriter
from lrt.rig.records import Heatmap, Image
from lrt.rig.timing.clock import SystemClock
clock = SystemClock()
header = ClipHeader("killed", "red", "dim", 1, "C-1", {})
random = np.random.default_rng(0)
with ClipWriter(Path(sys.argv[1]), header, clock) as writer:
    for number in range(100_000):
        now = clock.now_ns()
        writer.write_image(Image(now, random.integers(0, 256, (48, 64, 3), np.uint8), number))
        if number % 3 == 0:
            writer.write_heatmap(Heatmap(now, np.full((8, 8), number % 400, np.int16), 400, number // 3, now, now))
            print(now, flush=True)
        time.sleep(0.01)
"""


def test_a_killed_recording_loses_a_second_at_most(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", RECORD_FOREVER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    written_ns = [int(process.stdout.readline())]
    while written_ns[-1] - written_ns[0] < 1_700_000_000:
        written_ns.append(int(process.stdout.readline()))
    process.send_signal(signal.SIGKILL)
    written_ns += [int(line) for line in process.stdout.read().split()]
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    report = recover_clip(tmp_path / "killed.partial")
    heatmaps = open_clip(tmp_path / "killed").heatmaps()
    assert report.heatmaps == len(heatmaps) > 0
    assert [heatmap.latest_ns for heatmap in heatmaps] == written_ns[: len(heatmaps)]
    assert written_ns[-1] - heatmaps[-1].latest_ns < 1_200_000_000


@pytest.mark.parametrize(("took_ms", "most_ms"), [(5, 820), (100, 820), (300, 820), (600, 1520), (1500, 3770)])
def test_a_slow_cards_syncs_begin_earlier_and_leave_time_to_write(
    tmp_path, header, make_clock, monkeypatch, took_ms, most_ms
):
    """A power cut loses what came since the last whole sync began: the longest of these while a disk takes its time."""
    clock = make_clock(10**9)
    syncs = []

    def take_time(_descriptor):
        began_ns = clock.now_ns()
        clock.advance(took_ms * 10**6)
        syncs.append((began_ns, clock.now_ns()))

    monkeypatch.setattr("lrt.rig.clip.log._sync_data", take_time)
    with ClipWriter(tmp_path, header, clock) as writer:
        while clock.now_ns() < 30 * 10**9:
            clock.advance(10 * 10**6)
            writer.write_event(Event(clock.now_ns(), "bus-error", "Remote I/O error"))
    exposed = [after[1] - before[0] for before, after in pairwise(syncs)]
    assert max(exposed) <= most_ms * 10**6
    assert sum(end - begin for begin, end in syncs) <= 0.7 * 29 * 10**9, "the rest is for writing"
