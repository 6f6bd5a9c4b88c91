"""Recording, from a bus of registers and a camera to a clip on disk."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from lrt.rig import recorder
from lrt.rig.clip import ClipError, ClipWriter, log, open_clip, recover_clip, verify_clip
from lrt.rig.recorder import record
from lrt.rig.records import RigError
from lrt.rig.settings import Rig, TwinScene, load_rig, open_rig
from lrt.rig.sources import SourceEnded
from lrt.rig.thermal.amg8833 import AMG8833
from lrt.rig.timing.clock import SystemClock

SECOND_NS = 1_000_000_000


class FakeCamera:
    """30 frames a second by the clock; told to, it loses frames, ends or fails."""

    poll_period_ns = 10_000_000
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

    def close(self):
        pass


@pytest.fixture
def rig(clock, bus, scene):
    def make(**camera):
        sensor = AMG8833(clock, bus)
        return Rig(sensor, FakeCamera(clock, scene, **camera), clock, load_rig("twin"))

    return make


def test_a_minute_is_recorded_whole_and_paired_within_a_frame(tmp_path, header, rig, clock, bus):
    progress = []
    opened = rig()
    with ClipWriter(tmp_path, header, clock) as writer:
        done = record(opened, writer, 60, threading.Event(), progress.append)
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
    with ClipWriter(tmp_path, header, clock) as writer:
        done = record(opened, writer, 6, threading.Event())
    events = open_clip(tmp_path / "walk-01").events()
    kinds = [event.kind for event in events]
    assert kinds[0] == "warming-up"
    assert "within 15 s" in events[0].detail
    assert kinds.count("bus-error") > 10
    assert kinds.count("thermal-gap") == 1
    assert [event.detail for event in events if event.kind == "image-gap"] == ["4 images missing before number 104."]
    assert done.missed == int(next(event.detail.split()[0] for event in events if event.kind == "thermal-gap"))
    assert done.events == len(events)


def test_the_end_of_a_video_file_ends_the_recording_well(tmp_path, header, rig, clock):
    with ClipWriter(tmp_path, header, clock) as writer:
        done = record(rig(ends_at=75), writer, None, threading.Event())
    assert done.images == 75
    assert done.header.ended == "video walk.mp4 has ended"
    assert open_clip(tmp_path / "walk-01").header.state == "finished"


def test_an_unplugged_device_ends_it_with_all_that_came_before(tmp_path, header, rig, clock):
    opened = rig(ends_at=75, error=RigError("camera /dev/video0 gives no more frames"))
    with pytest.raises(RigError, match="no more frames"), ClipWriter(tmp_path, header, clock) as writer:
        record(opened, writer, None, threading.Event())
    clip = open_clip(tmp_path / "walk-01")
    assert len(clip.image_times_ns) == 75
    assert clip.header.ended == "camera /dev/video0 gives no more frames"


def test_a_camera_that_falls_silent_ends_it_after_three_seconds(tmp_path, header, rig, clock):
    with pytest.raises(RigError, match="no image for 3 s"), ClipWriter(tmp_path, header, clock) as writer:
        record(rig(lost=range(60, 10_000)), writer, None, threading.Event())
    clip = open_clip(tmp_path / "walk-01")
    assert len(clip.image_times_ns) == 60
    assert 48 <= len(clip.heatmaps()) <= 52


def test_ctrl_c_ends_it_as_stop_does(tmp_path, header, rig, clock):
    with ClipWriter(tmp_path, header, clock) as writer:
        done = record(rig(ends_at=45, error=KeyboardInterrupt()), writer, None, threading.Event())
    assert (done.images, done.header.ended) == (45, "Ctrl-C")


def test_stop_ends_it_between_two_polls(tmp_path, header, rig, clock):
    stop = threading.Event()
    with ClipWriter(tmp_path, header, clock) as writer:
        done = record(rig(), writer, None, stop, lambda at: stop.set() if at.seconds > 2 else None)
    assert 2 < done.seconds < 3.5
    assert done.header.ended == "stopped"


def test_images_that_the_disk_cannot_take_are_dropped_and_said_so(tmp_path, header, rig, clock, monkeypatch):
    monkeypatch.setattr(recorder, "_INBOX_BYTES", 10 * 64 * 48 * 3)
    monkeypatch.setattr(recorder, "_WRITE_PERIOD_NS", SECOND_NS)  # a card that takes a second for anything
    with ClipWriter(tmp_path, header, clock) as writer:
        done = record(rig(), writer, 10, threading.Event())
    assert done.dropped >= 150
    assert done.images + done.dropped == 300
    assert done.heatmaps >= 97  # never a heatmap
    clip = open_clip(tmp_path / "walk-01")
    dropped = [event for event in clip.events() if event.kind == "dropped"]
    assert sum(int(event.detail.split()[0]) for event in dropped) == done.dropped


def test_a_full_disk_ends_it_and_leaves_what_can_be_recovered(tmp_path, header, rig, clock, monkeypatch):
    calls = []

    def fill(_descriptor):
        calls.append(1)
        if len(calls) > 4:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(log, "_sync_data", fill)
    with pytest.raises(ClipError, match="No space left"), ClipWriter(tmp_path, header, clock) as writer:
        record(rig(), writer, 60, threading.Event())
    monkeypatch.undo()
    assert recover_clip(tmp_path / "walk-01.partial").heatmaps >= 35


def test_threads_of_the_system_clock_record_the_same_way(tmp_path, header, scene, make_scene):
    clock = SystemClock()

    class Heat:
        poll_period_ns = 10_000_000
        warm_ns = 0

        def __init__(self):
            self.start_ns, self.number = clock.now_ns(), 0

        def poll(self):
            if clock.now_ns() - self.start_ns < self.number * 100_000_000:
                return []
            self.number += 1
            return [make_scene().heatmap(self.number - 1, self.start_ns)]

        def take_faults(self):
            return []

        def close(self):
            pass

    opened = Rig(Heat(), FakeCamera(clock, scene), clock, load_rig("twin"))
    with ClipWriter(tmp_path, header, clock) as writer:
        done = record(opened, writer, 1.2, threading.Event())
    assert 6 <= done.heatmaps <= 13  # fewer on a busy machine
    assert 18 <= done.images <= 38
    assert done.dropped == 0
    assert verify_clip(tmp_path / "walk-01").problems == ()


def test_the_twin_is_recorded_like_any_rig_and_says_that_it_is_one(tmp_path, header):
    settings = load_rig("twin")
    with open_rig(settings, TwinScene("red", "dim", 1, seed_name="walk-01")) as opened:
        header = replace(header, rig=settings.as_dict(), synthetic=opened.synthetic, twin=opened.truth)
        with ClipWriter(tmp_path, header, opened.clock) as writer:
            done = record(opened, writer, 2, threading.Event())
    assert 18 <= done.heatmaps <= 20
    assert done.pair_error_ms_p95 < 1000 / settings.camera.rate / 2 + 1
    clip = open_clip(tmp_path / "walk-01")
    assert clip.header.synthetic
    assert clip.header.twin is not None
    assert clip.header.twin["s"] == pytest.approx(62, abs=4)  # pixels of the image to a thermal pixel
    assert clip.header.image_size == settings.camera.size
    assert 15 < np.median([heatmap.celsius for heatmap in clip.heatmaps()]) < 30
