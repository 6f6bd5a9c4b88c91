"""Recording, from a bus of registers and a camera to a clip on disk."""

import shutil
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from lrt.rig import recorder, station
from lrt.rig.clip import ClipError, log, open_clip, recover_clip, verify_clip
from lrt.rig.computer import Computer
from lrt.rig.records import EVENT_KINDS, RigError
from lrt.rig.reopen import Reopening
from lrt.rig.settings import (
    CameraSettings,
    RecordSettings,
    Rig,
    RigSettings,
    SensorSettings,
    TwinScene,
    load_rig,
    open_rig,
)
from lrt.rig.sources import SourceEnded
from lrt.rig.station import Station, record
from lrt.rig.thermal.amg8833 import AMG8833
from lrt.rig.timing import wall
from lrt.rig.timing.clock import SystemClock
from lrt.rig.twin.faults import Faults

SECOND_NS = 1_000_000_000


class FakeCamera:
    """30 frames a second by the clock; told to, it loses frames, ends or fails."""

    poll_period_ns = 10_000_000
    frame_ns = 33_333_333
    size = (64, 48)

    def __init__(self, clock, scene, lost=(), ends_at=None, error=None):
        self.clock, self.scene, self.lost, self.ends_at = clock, scene, lost, ends_at
        self.error = error or SourceEnded("video walk.mp4 has ended")
        self.start_ns, self.number = clock.now_ns(), 0

    def poll(self):
        images = []
        while self.start_ns + self.number * SECOND_NS // 30 <= self.clock.now_ns():
            if self.number == self.ends_at:
                raise self.error
            if self.number not in self.lost:
                images.append(self.scene.image(self.number, self.start_ns))
            self.number += 1
        return images

    def take_events(self):
        return []

    def close(self):
        pass


@pytest.fixture
def rig(clock, bus, scene):
    """A rig whose camera, once lost, is not there again."""

    def make(thermal=None, record=None, **camera):
        opened = []

        def open_camera():
            if opened:
                raise RigError("camera /dev/video0 is not there; check its plug")
            opened.append(FakeCamera(clock, scene, **camera))
            return opened[0]

        settings = record or RecordSettings(reserve_mb=0, patience_s=3)
        return Rig(
            Reopening("sensor", lambda: thermal or AMG8833(clock, bus), clock, silent_ns=None),
            Reopening("camera", open_camera, clock),
            clock,
            replace(load_rig("twin"), record=settings),
        )

    return make


def test_a_minute_is_recorded_whole_and_paired_within_a_frame(tmp_path, header, rig, bus):
    progress = []
    opened = rig()
    done = record(opened, tmp_path, header, 60, threading.Event(), progress.append)
    assert 596 <= done.heatmaps <= 600
    assert done.images == 1800
    assert (done.missed, done.dropped) == (0, 0)
    assert done.torn > 0
    assert done.pairs == done.heatmaps
    assert done.pair_error_ms_p95 < 16.7
    assert done.pair_error_ms_p50 < 9
    assert done.seconds == pytest.approx(60, abs=0.1)
    assert done.header.ended == "after 60 s"
    assert len(progress) >= 55
    assert progress[-1].images > 1700
    clip = open_clip(tmp_path / "walk-01")
    assert (len(clip.heatmaps()), len(clip.image_times_ns)) == (done.heatmaps, done.images)
    made = {frame.tobytes(): made_ns for frame, made_ns in zip(np.array(bus.frames), bus.made_ns, strict=True)}
    error = [h.timestamp_ns - made[h.raw.ravel().astype(int).tobytes()] for h in clip.heatmaps()]
    assert np.percentile(np.abs(error), 95) < 2e6
    assert verify_clip(tmp_path / "walk-01").problems == ()
    assert done.bytes == (tmp_path / "walk-01/clip.mcap").stat().st_size


def test_warming_up_bus_errors_and_gaps_are_events_of_the_clip(tmp_path, header, rig, clock, bus):
    opened = rig(lost=range(100, 104))
    bus.dead_from_ns, bus.dead_until_ns = clock.now_ns() + SECOND_NS, clock.now_ns() + SECOND_NS * 3 // 2
    done = record(opened, tmp_path, header, 6, threading.Event())
    events = open_clip(tmp_path / "walk-01").events()
    kinds = [event.kind for event in events]
    assert kinds[0] == "warming-up"
    assert "within 15 s" in events[0].detail
    assert kinds.count("bus-error") > 10
    assert kinds.count("thermal-gap") == 1
    assert [event.detail for event in events if event.kind == "image-gap"] == ["4 images missing before number 104."]
    assert done.missed == int(next(event.detail.split()[0] for event in events if event.kind == "thermal-gap"))
    assert done.events == len(events)


def test_the_end_of_a_video_file_ends_the_recording_well(tmp_path, header, rig):
    done = record(rig(ends_at=75), tmp_path, header, None, threading.Event())
    assert done.images == 75
    assert done.header.ended == "video walk.mp4 has ended"
    assert open_clip(tmp_path / "walk-01").header.state == "finished"


def test_a_device_that_stays_away_ends_it_with_all_that_came_before(tmp_path, header, rig):
    opened = rig(ends_at=75, error=RigError("camera /dev/video0 gives no more frames"))
    with pytest.raises(RigError, match=r"camera has given nothing for 3 s: camera /dev/video0 is not there"):
        record(opened, tmp_path, header, None, threading.Event())
    clip = open_clip(tmp_path / "walk-01")
    assert len(clip.image_times_ns) == 75
    assert 53 <= len(clip.heatmaps()) <= 57  # it was waited for
    assert clip.header.ended.startswith("the camera has given nothing for 3 s")
    lost = [event.detail for event in clip.events() if event.kind == "device-lost"]
    assert lost == ["The camera is lost: camera /dev/video0 gives no more frames."]


def test_a_camera_that_falls_silent_is_lost_too(tmp_path, header, rig):
    with pytest.raises(RigError, match="camera has given nothing for 4 s"):
        record(
            rig(lost=range(60, 10_000), record=RecordSettings(reserve_mb=0, patience_s=4)),
            tmp_path,
            header,
            None,
            threading.Event(),
        )
    clip = open_clip(tmp_path / "walk-01")
    assert len(clip.image_times_ns) == 60
    assert 58 <= len(clip.heatmaps()) <= 62
    assert "device-lost" in [event.kind for event in clip.events()]


def test_a_recording_in_which_nothing_came_leaves_nothing(tmp_path, header, rig, bus, clock):
    opened = rig(lost=range(10_000))
    bus.dead_from_ns, bus.dead_until_ns = clock.now_ns(), 10**18
    with pytest.raises(RigError, match="has given nothing"):
        record(opened, tmp_path, header, None, threading.Event())
    assert list(tmp_path.iterdir()) == []


def test_a_camera_that_falls_silent_just_before_the_end_is_mentioned(tmp_path, header, rig):
    """No later frame shows the gap, and the driver has not given up yet."""
    done = record(
        rig(lost=range(270, 10_000), record=RecordSettings(reserve_mb=0)), tmp_path, header, 10, threading.Event()
    )
    said = [event.detail for event in open_clip(tmp_path / "walk-01").events() if event.kind == "image-gap"]
    assert said == ["30 images missing at the end."]
    assert (done.images, done.lost_images) == (270, 30)


def test_a_recording_that_is_stopped_by_hand_misses_nothing_that_is_under_way(tmp_path, header, rig):
    at_work = Station(rig())
    at_work.start(tmp_path, header)
    at_work.run(threading.Event(), 2.07)
    done = at_work.stop()
    assert (done.lost_images, done.missed) == (0, 0)
    assert not [event for event in open_clip(tmp_path / "walk-01").events() if event.kind.endswith("gap")]


def test_what_was_kept_from_before_the_button_is_on_the_disk_at_once(tmp_path, header, rig):
    at_work = Station(rig(), preroll_s=3.0)
    at_work.run(threading.Event(), 5)
    at_work.start(tmp_path, header)
    shutil.copytree(tmp_path / "walk-01.partial", tmp_path / "cut/walk-01.partial")  # as a power cut leaves it
    at_work.stop()
    assert recover_clip(tmp_path / "cut/walk-01.partial").heatmaps >= 28


def test_a_stuck_bus_ends_it_after_the_patience_and_the_camera_goes_on_until_then(tmp_path, header):
    """SDA held low: every transfer times out after a second, as Linux's adapters do."""
    twin = RigSettings(
        SensorSettings(kind="twin"),
        CameraSettings(kind="twin", size=(64, 36), rate=15.0),
        RecordSettings(reserve_mb=0, patience_s=8),
        faults=Faults(bus_stuck_at=4.0),
        source="twin",
    )
    with (
        open_rig(twin, TwinScene("red", "dim", 1)) as opened,
        pytest.raises(RigError, match=r"sensor has given nothing for 8 s: AMG8833 at 0x69 .* does not answer"),
    ):
        record(opened, tmp_path, header, 60, threading.Event())
    clip = open_clip(tmp_path / "walk-01")
    assert clip.header.ended.startswith("the sensor has given nothing for 8 s")
    kinds = [event.kind for event in clip.events()]
    assert kinds.count("bus-error") >= 2
    assert kinds.count("device-lost") == 1
    assert 34 <= len(clip.heatmaps()) <= 40
    assert len(clip.image_times_ns) > 15 * 9  # the virtual clock's one thread waits for the bus, too


def test_a_sensor_that_was_pulled_and_put_back_costs_the_frames_between(tmp_path, header, rig, bus, clock):
    """NACKs for six seconds: the driver gives up after three, and is opened again once the sensor answers."""
    opened = rig(record=RecordSettings(reserve_mb=0, patience_s=30))
    start_ns = clock.now_ns()
    bus.dead_from_ns, bus.dead_until_ns = start_ns + 4 * SECOND_NS, start_ns + 10 * SECOND_NS
    done = record(opened, tmp_path, header, 20, threading.Event())
    clip = open_clip(tmp_path / "walk-01")
    kinds = [event.kind for event in clip.events() if event.kind.startswith(("device", "thermal"))]
    assert kinds == ["device-lost", "device-back", "thermal-gap"]
    assert done.images == 600
    sequence = [heatmap.sequence for heatmap in clip.heatmaps()]
    assert done.missed == sequence[-1] - sequence[0] + 1 - len(sequence)
    made = {frame.tobytes(): number for number, frame in enumerate(np.array(bus.frames))}
    numbers = [made[heatmap.raw.ravel().astype(int).tobytes()] for heatmap in clip.heatmaps()]
    assert np.diff(sequence).max() == pytest.approx(np.diff(numbers).max(), abs=1)  # as many as the sensor made
    assert 60 <= done.missed <= 120
    away_s = next(float(event.detail.split()[-2]) for event in clip.events() if event.kind == "device-back")
    assert 3 < away_s < 8


def test_ctrl_c_ends_it_as_stop_does(tmp_path, header, rig):
    done = record(rig(ends_at=45, error=KeyboardInterrupt()), tmp_path, header, None, threading.Event())
    assert (done.images, done.header.ended) == (45, "Ctrl-C")


def test_stop_ends_it_between_two_polls(tmp_path, header, rig):
    stop = threading.Event()
    done = record(rig(), tmp_path, header, None, stop, lambda at: stop.set() if at.seconds > 2 else None)
    assert 2 < done.seconds < 3.5
    assert done.header.ended == "stopped"


def test_images_that_the_disk_cannot_take_are_dropped_and_said_so(tmp_path, header, rig, monkeypatch):
    monkeypatch.setattr(station, "_INBOX_BYTES", 20_000)  # some fifteen images
    monkeypatch.setattr(station, "_WRITE_PERIOD_NS", SECOND_NS)  # a card that takes a second for anything
    done = record(rig(), tmp_path, header, 10, threading.Event())
    assert done.dropped >= 50
    assert 280 <= done.images + done.lost_images <= 300  # the last of the dropped came after the end
    assert done.heatmaps >= 97  # never a heatmap
    clip = open_clip(tmp_path / "walk-01")
    dropped = [event for event in clip.events() if event.kind == "dropped"]
    assert sum(int(event.detail.split()[0]) for event in dropped) == done.dropped


def test_a_full_disk_ends_it_and_leaves_what_can_be_recovered(tmp_path, header, rig, monkeypatch):
    calls = []

    def fill(_descriptor):
        calls.append(1)
        if len(calls) > 6:  # one at the start, and one every 0.8 s
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(log, "_sync_data", fill)
    with pytest.raises(ClipError, match="No space left"):
        record(rig(), tmp_path, header, 60, threading.Event())
    monkeypatch.undo()
    assert recover_clip(tmp_path / "walk-01.partial").heatmaps >= 35


@pytest.fixture
def live_rig(scene, make_scene):
    """Devices by the system's clock, each polled by its thread."""
    clock = SystemClock()

    class Heat:
        poll_period_ns, frame_ns, warm_ns = 10_000_000, 100_000_000, 0

        def __init__(self):
            self.start_ns, self.number = clock.now_ns(), 0

        def poll(self):
            if clock.now_ns() - self.start_ns < self.number * self.frame_ns:
                return []
            self.number += 1
            return [make_scene().heatmap(self.number - 1, self.start_ns)]

        def take_events(self):
            return []

        def close(self):
            pass

    return Rig(
        Reopening("sensor", Heat, clock),
        Reopening("camera", lambda: FakeCamera(clock, scene), clock),
        clock,
        load_rig("twin"),
    )


def test_threads_of_the_system_clock_record_the_same_way(tmp_path, header, live_rig):
    done = record(live_rig, tmp_path, header, 1.2, threading.Event())
    assert 6 <= done.heatmaps <= 13  # fewer on a busy machine
    assert 18 <= done.images <= 38
    assert done.dropped == 0
    assert verify_clip(tmp_path / "walk-01").problems == ()


def test_a_card_that_stalls_for_a_second_at_a_time_costs_no_frame(tmp_path, header, live_rig, monkeypatch):
    sync = log._sync_data

    def stall(descriptor):
        time.sleep(1.0)
        sync(descriptor)

    monkeypatch.setattr(log, "_sync_data", stall)
    done = record(live_rig, tmp_path, header, 3.5, threading.Event())
    assert (done.dropped, done.lost_images, done.missed) == (0, 0, 0)
    assert done.images >= 100
    assert done.heatmaps >= 33


def test_the_twin_is_recorded_like_any_rig_and_says_that_it_is_one(tmp_path, header):
    settings = load_rig("twin")
    with open_rig(settings, TwinScene("red", "dim", 1, seed_name="walk-01")) as opened:
        header = replace(header, rig=settings.as_dict(), synthetic=opened.synthetic, twin=opened.truth)
        done = record(opened, tmp_path, header, 2, threading.Event())
    assert 18 <= done.heatmaps <= 20
    assert done.pair_error_ms_p95 < 1000 / settings.camera.rate / 2 + 1
    clip = open_clip(tmp_path / "walk-01")
    assert clip.header.synthetic
    assert clip.header.twin is not None
    assert clip.header.twin["s"] == pytest.approx(62, abs=4)  # pixels of the image to a thermal pixel
    assert clip.header.image_size == settings.camera.size
    assert 15 < np.median([heatmap.celsius for heatmap in clip.heatmaps()]) < 30


# ------------------------------------------------------------------------------------------------- splitting, the disk


def test_a_clip_is_split_at_its_size_and_the_parts_hold_every_frame_once(tmp_path, header, rig, monkeypatch):
    monkeypatch.setattr(RecordSettings, "split_bytes", 300_000)
    done = record(rig(), tmp_path, header, 30, threading.Event())
    parts = [open_clip(folder) for folder in done.clips]
    assert [folder.name for folder in done.clips[:3]] == ["walk-01", "walk-01-part2", "walk-01-part3"]
    assert len(parts) >= 3
    images = [part.image(k).sequence for part in parts for k in range(len(part.image_times_ns))]
    assert images == list(range(900))
    heat = [heatmap.sequence for part in parts for heatmap in part.heatmaps()]
    assert heat == list(range(heat[0], heat[0] + len(heat)))
    assert done.heatmaps == len(heat)
    assert done.images == 900
    assert done.missed == 0
    assert sum((folder / "clip.mcap").stat().st_size for folder in done.clips) == done.bytes
    assert [part.header.follows for part in parts] == [None, *(folder.name for folder in done.clips[:-1])]
    assert parts[0].header.ended == "split: goes on in walk-01-part2"
    assert {part.header.clothing for part in parts} == {"red"}


def test_where_the_next_part_is_there_already_the_clip_goes_on_in_itself(tmp_path, header, rig, monkeypatch):
    monkeypatch.setattr(RecordSettings, "split_bytes", 300_000)
    (tmp_path / "walk-01-part2").mkdir()
    done = record(rig(), tmp_path, header, 10, threading.Event())
    assert (done.clips, done.images) == ((tmp_path / "walk-01",), 300)
    assert any(event.kind == "split" and "already" in event.detail for event in open_clip(done.clips[0]).events())


def test_an_id_that_leaves_no_room_for_parts_is_refused_before_anything_is_recorded(tmp_path, header, rig):
    with pytest.raises(ClipError, match="1 to 64"):
        record(rig(), tmp_path, replace(header, clip_id="x" * 60), 10, threading.Event())
    assert list(tmp_path.iterdir()) == []


def test_it_stops_cleanly_at_the_disks_reserve(tmp_path, header, rig, monkeypatch):
    free = [10**9]
    monkeypatch.setattr(recorder.Recorder, "_free_bytes", lambda _: free[0])
    opened = rig(record=RecordSettings(reserve_mb=500))

    def fill(_at):
        free[0] -= 10**8

    done = record(opened, tmp_path, header, 60, threading.Event(), fill)
    assert done.header.ended == "disk low: 500 MB are kept in reserve"
    assert 5 < done.seconds < 9
    assert verify_clip(tmp_path / "walk-01").problems == ()


def test_no_recording_is_begun_on_a_disk_at_its_reserve(tmp_path, header, rig):
    with pytest.raises(ClipError, match=r"MB left, and 9999999 MB are kept in reserve; make room"):
        record(rig(record=RecordSettings(reserve_mb=9_999_999)), tmp_path / "clips", header, 10, threading.Event())
    assert not (tmp_path / "clips").exists()


# --------------------------------------------------------------------------------------------------------- the station


def test_a_recording_begins_with_what_was_kept_from_before_the_button(tmp_path, header, rig, clock):
    opened = rig()
    at_work = Station(opened, preroll_s=3.0)
    at_work.run(threading.Event(), 10)
    pressed_ns = clock.now_ns()
    at_work.start(tmp_path, header, 2)
    at_work.run(threading.Event(), 2.5)
    done = at_work.stop()
    clip = open_clip(tmp_path / "walk-01")
    first_ns = min(clip.image_times_ns[0], clip.heat_times_ns[0])
    assert 2.8e9 < pressed_ns - first_ns < 3.3e9
    assert done.seconds == pytest.approx(5, abs=0.35)
    assert (done.missed, done.lost_images) == (0, 0)
    assert 48 <= done.heatmaps <= 53
    assert 145 <= done.images <= 160


def test_while_nothing_is_recorded_no_more_is_kept_than_the_preroll(rig):
    at_work = Station(rig(), preroll_s=3.0)
    at_work.run(threading.Event(), 60)
    assert 115 <= len(at_work._kept) <= 135


def test_a_second_recording_at_the_same_time_is_refused_and_the_first_goes_on(tmp_path, header, rig):
    at_work = Station(rig())
    at_work.start(tmp_path, header)
    at_work.run(threading.Event(), 1)
    with pytest.raises(ClipError, match="walk-01 is being recorded"):
        at_work.start(tmp_path, replace(header, clip_id="walk-02"))
    at_work.run(threading.Event(), 1)
    assert at_work.stop().images == 60


def test_stop_without_a_recording_says_so(rig):
    with pytest.raises(ClipError, match="nothing is being recorded"):
        Station(rig()).stop()


def test_glitches_are_events_and_stay_in_the_data(tmp_path, header, rig, bus):
    opened = rig()
    made = bus._byte

    def stray(register):
        return {0x80 + 20: 2, 0x81 + 20: 0}.get(register, made(register))  # pixel 10 reads 0.5 degC

    bus._byte = stray
    record(opened, tmp_path, header, 3, threading.Event())
    clip = open_clip(tmp_path / "walk-01")
    said = [event.detail for event in clip.events() if event.kind == "glitch"]
    assert said == ["1 pixels no room has: (1, 2)."]  # once, for it stays the same
    assert all(heatmap.raw[1, 2] == 2 and heatmap.glitches.sum() == 1 for heatmap in clip.heatmaps())


def test_a_weak_power_supply_is_an_event_once_while_it_lasts(tmp_path, header, rig, clock, monkeypatch):
    start_ns = clock.now_ns()

    def weak():
        troubled = 3 <= (clock.now_ns() - start_ns) / SECOND_NS < 6
        return Computer(now=("its power supply is too weak",) if troubled else ())

    monkeypatch.setattr(station, "read_computer", weak)
    record(rig(), tmp_path, header, 9, threading.Event())
    said = [event for event in open_clip(tmp_path / "walk-01").events() if event.kind == "throttled"]
    assert [event.detail for event in said] == ["The computer says: its power supply is too weak."]
    assert 3 < (said[0].timestamp_ns - start_ns) / SECOND_NS < 4.5


def test_every_kind_of_event_that_is_written_is_explained(tmp_path, header, rig, bus, clock):
    bus.dead_from_ns, bus.dead_until_ns = clock.now_ns() + SECOND_NS, clock.now_ns() + 6 * SECOND_NS
    record(rig(record=RecordSettings(reserve_mb=0)), tmp_path, header, 9, threading.Event())
    kinds = {event.kind for event in open_clip(tmp_path / "walk-01").events()}
    assert kinds >= {"warming-up", "bus-error", "device-lost", "device-back", "thermal-gap"}
    assert kinds <= set(EVENT_KINDS)


def test_the_time_of_day_stands_in_the_clip_and_a_step_of_it_moves_no_stamp(tmp_path, header, live_rig, monkeypatch):
    """An hour is added to the wall clock in mid-recording, as NTP does on a Pi that finds a network."""
    shift = [0]
    true_time = wall.time.time_ns
    monkeypatch.setattr(wall.time, "time_ns", lambda: true_time() + shift[0])

    def step(_progress):
        shift[0] = 3_600 * SECOND_NS

    done = record(live_rig, tmp_path, header, 2.6, threading.Event(), step)
    clip = open_clip(tmp_path / "walk-01")
    kinds = [event.kind for event in clip.events()]
    assert kinds.count("clock-step") == 1
    assert kinds.count("clock") >= 3  # at the start, at the step, at the end
    assert "+3600.0 s" in next(event.detail for event in clip.events() if event.kind == "clock-step")
    assert np.diff(clip.image_times_ns).max() < 0.5e9
    assert done.seconds == pytest.approx(2.6, abs=0.1)
