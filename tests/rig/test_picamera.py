"""PiCamera against the real picamera2: what wraps a Pi's C libraries is stubbed, nothing of picamera2 itself."""

import errno
import importlib
import inspect
import os
import sys
import threading
import time
import types
from concurrent.futures import TimeoutError as WaitedInVain
from unittest.mock import MagicMock

import numpy as np
import pytest

from lrt.rig.camera import picamera
from lrt.rig.camera.picamera import PiCamera
from lrt.rig.records import EVENT_KINDS, RigError
from lrt.rig.timing.clock import VirtualClock

SECOND_NS = 1_000_000_000
FRAME_NS = 33_333_000
WIDTH, HEIGHT, STRIDE = 60, 8, 192  # libcamera pads rows: 60 pixels are 180 bytes in a stride of 192


@pytest.fixture
def package(monkeypatch):
    """The installed picamera2; libcamera, kms, prctl and pidng, which have no wheels, are stubbed."""
    before = set(sys.modules)
    stubs = {
        name: MagicMock(name=name)
        for name in ("libcamera", "kms", "pykms", "prctl", "pidng", "pidng.core", "pidng.camdefs")
    }
    for name in ("Rectangle", "Size"):
        setattr(stubs["libcamera"], name, type(name, (), {}))  # picamera2 asks isinstance() of them
    for name, stub in stubs.items():
        monkeypatch.setitem(sys.modules, name, stub)
    yield importlib.import_module("picamera2")
    for name in set(sys.modules) - before:
        if name.split(".")[0] == "picamera2":
            del sys.modules[name]


class Sync:
    """picamera2's allocator maps a frame's memory like this."""

    def __init__(self, _allocator, buffer, _write):
        self.memory = buffer.memory

    def __enter__(self):
        return self.memory

    def __exit__(self, *_error):
        pass


@pytest.fixture
def hardware(package, monkeypatch):
    """The real Picamera2 without a camera: what would reach libcamera is replaced, each call held to its signature."""
    real = package.Picamera2
    made = []

    class Camera(real):
        runs = True  # while we sleep it makes frames
        behind_ns = 0  # how much later than its stamp a frame arrives
        granted = "BGR888"  # the format that libcamera adjusts ours to
        tell = staticmethod(lambda _frame: {})  # metadata of frame number n that differs from the usual

        def __init__(self, *args, **options):
            inspect.signature(real.__init__).bind(self, *args, **options)
            self._reset_flags()
            self.camera = MagicMock()
            self.request_lock, self._requestslock = MagicMock(), MagicMock()
            self._requests = []
            self.sensor_format = "SRGGB10"
            self.helpers = sys.modules["picamera2.request"].Helpers(self)
            self.allocator = types.SimpleNamespace(sync=Sync, acquire=lambda _: None, release=lambda _: None)
            self.calls = []
            made.append(self)

        def __del__(self):
            pass

        def process(self, *stamps):
            """What picamera2's event loop does when libcamera has completed frames."""
            for stamp in stamps:
                memory = np.zeros((HEIGHT, STRIDE), np.uint8)
                memory[:, : WIDTH * 3] = np.tile(np.array([200, 100, 50], np.uint8), WIDTH)
                buffer = types.SimpleNamespace(
                    memory=memory.ravel(),
                    metadata=types.SimpleNamespace(status=sys.modules["libcamera"].FrameMetadata.Status.Success),
                )
                metadata = {
                    "SensorTimestamp": stamp,
                    "FrameDuration": FRAME_NS // 1000,
                    "ExposureTime": 9000,
                    "AnalogueGain": 2.5,
                    "ColourGains": (1.9, 1.4),
                } | self.tell(self.frames)
                metadata = {name: value for name, value in metadata.items() if value is not None}
                request = MagicMock(
                    buffers={"stream": buffer},
                    metadata={type("ControlId", (), {"name": name})(): value for name, value in metadata.items()},
                )
                self.frames += 1  # as process_requests counts them, which sees a burst at once
                self._requests.append(sys.modules["picamera2.request"].CompletedRequest(request, self))
            self.frames -= len(stamps)
            self.process_requests(MagicMock())

    def replace(name, effect=None):
        signature = inspect.signature(getattr(real, name))

        def call(self, *args, **options):
            signature.bind(self, *args, **options)
            self.calls.append((name, args, options))
            if effect is not None:
                effect(self, *args)

        monkeypatch.setattr(Camera, name, call, raising=False)

    def configure(self, configuration):
        configuration["main"] |= {"stride": STRIDE, "format": self.granted}
        self.camera_config = configuration
        self.stream_map = {"main": "stream"}

    replace("configure", configure)
    for name in ("start", "stop", "close", "set_controls"):
        replace(name)
    monkeypatch.setattr(package, "Picamera2", Camera)
    monkeypatch.setattr(Camera, "_max_queue_len", 1, raising=False)
    return made


@pytest.fixture
def clock(hardware):
    class CameraClock(VirtualClock):
        """While we sleep the camera runs."""

        def sleep_until(self, deadline_ns):
            while self.now_ns() + FRAME_NS <= deadline_ns:
                self.advance(FRAME_NS)
                for camera in hardware:
                    if camera.runs:
                        camera.process(self.now_ns() - camera.behind_ns)
            super().sleep_until(deadline_ns)

    return CameraClock(start_ns=10 * SECOND_NS)


def opened(clock, **options):
    return PiCamera(clock, size=(WIDTH, HEIGHT), **options)


def frozen(camera):
    """The controls that were set."""
    (controls,) = next(args for name, args, _ in camera.calls if name == "set_controls")
    return controls


def test_the_camera_is_configured_by_the_real_packages_rules_and_once(clock, hardware):
    with opened(clock, rate=30) as camera:
        assert camera.frame_ns == round(SECOND_NS / 30)
        assert camera.stamps == "kernel"
        hardware[0].process(clock.now_ns())
        camera.poll()
    (made,) = hardware
    configuration = made.camera_config
    assert configuration["main"]["format"] == "BGR888"
    assert configuration["controls"]["FrameDurationLimits"] == (33333, 33333)
    assert configuration["buffer_count"] == 6
    assert camera.size == (WIDTH, HEIGHT)
    assert [name for name, _, _ in made.calls] == ["configure", "start", "set_controls", "close"]
    assert made.pre_callback is None


def test_a_format_that_libcamera_put_in_the_place_of_ours_is_named(clock, package, hardware):
    package.Picamera2.granted = "NV12"
    with pytest.raises(RigError, match=r"camera 0 gives NV12 instead of BGR888 \(RGB\) frames"):
        opened(clock)
    assert [name for name, _, _ in hardware[0].calls] == ["configure", "close"]  # and it never started


def test_memory_in_pieces_is_named_with_what_helps(clock, package, monkeypatch):
    def configure(_self, _configuration):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")  # what the ioctl of picamera2's allocator raises

    monkeypatch.setattr(package.Picamera2, "configure", configure)
    with pytest.raises(RigError, match="restart the Pi"):
        opened(clock)


def test_what_libcamera_refuses_is_said_in_one_line(clock, package, monkeypatch):
    def start(_self):
        raise RuntimeError("Failed to start camera: Input/output error")

    monkeypatch.setattr(package.Picamera2, "start", start)
    with pytest.raises(RigError, match=r"camera 0 cannot be started with \(60, 8\) at 30/s \(Failed to start"):
        opened(clock)


def test_exposure_and_colour_are_frozen_at_what_they_settled_on(clock, hardware):
    start_ns = clock.now_ns()
    with opened(clock) as camera:
        assert camera.take_events() == []
    assert clock.now_ns() - start_ns < 0.5 * SECOND_NS  # ten steady frames are enough
    assert frozen(hardware[0]) == {
        "AeEnable": False,
        "AwbEnable": False,
        "ExposureTime": 9000,
        "AnalogueGain": 2.5,
        "ColourGains": (1.9, 1.4),
    }


def test_it_is_waited_until_the_colour_has_settled(clock, package, hardware):
    package.Picamera2.tell = staticmethod(lambda frame: {"ColourGains": (1.9 - 0.4 * 0.9**frame, 1.4)})
    with opened(clock) as camera:
        assert camera.take_events() == []
    red, _ = frozen(hardware[0])["ColourGains"]
    assert red == pytest.approx(1.9, rel=0.01)
    assert red != pytest.approx(1.5, rel=0.1)


@pytest.mark.parametrize("lock", [{"AeLocked": True}, {"AeState": 2}])
def test_exposure_that_flickers_has_settled_when_the_camera_says_so(clock, package, lock):
    flicker = {"AnalogueGain": None}
    package.Picamera2.tell = staticmethod(lambda frame: flicker | lock | {"ExposureTime": 9000 + frame % 3 * 500})
    with opened(clock) as camera:
        assert camera.take_events() == []
        assert clock.now_ns() < 11 * SECOND_NS


def test_light_that_never_settles_is_frozen_after_3_s_and_said(clock, package, hardware):
    package.Picamera2.tell = staticmethod(lambda frame: {"ExposureTime": 9000 + frame % 3 * 500, "AeLocked": False})
    start_ns = clock.now_ns()
    with opened(clock) as camera:
        (event,) = camera.take_events()
    assert event.kind in EVENT_KINDS
    assert "had not settled after 3 s" in event.detail
    assert 3 * SECOND_NS <= clock.now_ns() - start_ns < 3.1 * SECOND_NS
    assert frozen(hardware[0])["AeEnable"] is False


def test_a_slow_camera_needs_no_ten_frames(clock):
    with opened(clock, rate=2) as camera:
        assert camera.take_events() == []


def test_a_monochrome_sensor_has_no_white_balance_to_freeze(clock, package, hardware):
    package.Picamera2.tell = staticmethod(lambda _frame: {"ColourGains": None})
    opened(clock).close()
    assert frozen(hardware[0]) == {"AeEnable": False, "ExposureTime": 9000, "AnalogueGain": 2.5}


def test_a_camera_that_tells_nothing_has_nothing_to_freeze(clock, package, hardware):
    package.Picamera2.tell = staticmethod(
        lambda _frame: {"ColourGains": None, "ExposureTime": None, "AnalogueGain": None}
    )
    with opened(clock) as camera:
        assert camera.take_events() == []
    assert "set_controls" not in [name for name, _, _ in hardware[0].calls]


@pytest.mark.parametrize(("behind_s", "said"), [(-0.3, "+0.300 s"), (1.2, "-1.200 s"), (-3600, "+3600.000 s")])
def test_stamps_of_another_clock_are_refused(clock, package, hardware, behind_s, said):
    """CLOCK_BOOTTIME of a computer that has slept lies ahead of CLOCK_MONOTONIC."""
    package.Picamera2.behind_ns = round(behind_s * SECOND_NS)
    with pytest.raises(RigError) as refused:
        opened(clock)
    assert f"camera 0 stamps its frames {said} from CLOCK_MONOTONIC" in str(refused.value)
    assert hardware[0].calls[-1][0] == "close"


def test_stamps_may_be_as_old_as_a_frame_takes_to_come(clock, package):
    package.Picamera2.behind_ns = 90_000_000
    with opened(clock) as camera:
        assert camera.take_events() == []


def test_every_frame_of_a_burst_is_kept_as_red_green_blue(clock, hardware):
    with opened(clock) as camera:
        assert camera.poll() == []  # what came while the camera settled is not given out
        start = clock.now_ns()
        stamps = [start + number * FRAME_NS for number in range(1, 5)]
        hardware[0].process(*stamps[:3])  # picamera2 keeps the last of these for capture_request, we all three
        hardware[0].process(stamps[3])
        images = camera.poll()
    assert [image.timestamp_ns for image in images] == stamps
    assert [image.sequence for image in images] == [0, 1, 2, 3]
    assert images[0].pixels.shape == (HEIGHT, WIDTH, 3)
    assert images[0].pixels[3, 5].tolist() == [200, 100, 50]
    assert images[0].pixels.flags.c_contiguous


def test_a_lost_frame_is_a_jump_of_the_sequence(clock, hardware):
    with opened(clock) as camera:
        start = clock.now_ns()
        hardware[0].process(start + FRAME_NS, start + 4 * FRAME_NS)
        first, second = camera.poll()
    assert second.sequence - first.sequence == 3


def test_a_frame_that_took_longer_by_its_own_duration_hides_no_lost_one(clock, hardware):
    """A frame's FrameDuration is the time to the next one's start."""
    durations_us = [33_333, 66_666, 33_333, 33_333]
    with opened(clock) as camera:
        made, start = hardware[0], clock.now_ns()
        first = made.frames
        made.tell = lambda frame: {"FrameDuration": durations_us[frame - first]}
        stamps = start + 1000 * np.cumsum([0, *durations_us[:2], 2 * durations_us[2]])  # one lost before the last
        made.process(*(int(stamp) for stamp in stamps))
        assert [image.sequence for image in camera.poll()] == [0, 1, 2, 4]


def test_the_oldest_frames_go_when_nobody_fetches_them(clock, hardware, monkeypatch):
    monkeypatch.setattr(picamera, "_WAITING_BYTES", 20 * 3 * WIDTH * HEIGHT)
    with opened(clock) as camera:
        start = clock.now_ns()
        hardware[0].process(*(start + number * FRAME_NS for number in range(1, 31)))
        images = camera.poll()
    assert [image.sequence for image in images] == list(range(10, 30))


def test_a_frame_that_cannot_be_read_is_an_event_and_a_jump(clock, hardware):
    with opened(clock) as camera:
        made, start = hardware[0], clock.now_ns()
        made.process(start + FRAME_NS)
        made.tell = lambda _frame: {"SensorTimestamp": None}
        made.process(start + 2 * FRAME_NS)  # raises nothing here
        made.tell = lambda _frame: {}
        made.stream_map, streams = {}, made.stream_map
        made.process(start + 3 * FRAME_NS)
        made.stream_map = streams
        made.process(start + 3 * FRAME_NS + 1, start + 4 * FRAME_NS)
        made.process(start + 4 * FRAME_NS)  # the same stamp again
        images = camera.poll()
        (event,) = camera.take_events()
    assert [image.sequence for image in images] == [0, 2, 3]
    assert event.kind == "bus-error"
    assert "3 frames left out, the last one unreadable" in event.detail
    assert "SensorTimestamp" not in event.detail


def test_nothing_but_unreadable_frames_is_a_dead_camera_after_30(clock, hardware):
    with opened(clock) as camera:
        hardware[0].stream_map = {}
        start = clock.now_ns()
        for number in range(1, 30):
            hardware[0].process(start + number * FRAME_NS)
            assert camera.poll() == []
        hardware[0].process(start + 30 * FRAME_NS)
        with pytest.raises(RigError, match="camera 0 gives only bad frames, the last one unreadable"):
            camera.poll()


def test_a_slow_camera_with_nothing_but_unreadable_frames_is_dead_after_3_s(clock, hardware):
    with opened(clock, rate=2) as camera:
        hardware[0].stream_map = {}
        hardware[0].runs = False
        for _ in range(6):
            hardware[0].process(clock.now_ns())
            assert camera.poll() == []
            clock.advance(SECOND_NS // 2)
        with pytest.raises(RigError, match="only bad frames"):
            camera.poll()


def test_a_camera_that_never_speaks_is_closed_and_named(clock, hardware, package):
    package.Picamera2.runs = False
    with pytest.raises(RigError, match="no frame within 3 s"):
        opened(clock)
    assert hardware[0].calls[-1][0] == "close"


def test_no_camera_is_said_in_one_line(clock, package, monkeypatch):
    def none(number):
        raise RuntimeError(f"No camera number {number} found")

    monkeypatch.setattr(package, "Picamera2", none)
    with pytest.raises(RigError, match=r"camera 1 cannot be opened .*No camera number 1"):
        PiCamera(clock, number=1)


def test_without_picamera2_the_way_to_get_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(RigError, match="apt install python3-picamera2"):
        PiCamera(VirtualClock())


def test_a_camera_that_hangs_or_complains_is_closed_all_the_same_and_once(clock, package, monkeypatch):
    monkeypatch.setattr(picamera, "_CLOSING_S", 0.05)
    closed, end = [], threading.Event()

    def hang(self):
        closed.append(self)
        end.wait(10)
        raise RuntimeError("Device is busy")

    monkeypatch.setattr(package.Picamera2, "close", hang)
    camera = opened(clock)
    start_s = time.monotonic()
    camera.close()
    camera.close()
    end.set()
    assert time.monotonic() - start_s < 2
    assert len(closed) == 1


@pytest.mark.filterwarnings("ignore:setDaemon", "ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_picamera2_waits_for_its_dead_thread_when_stopped_and_not_when_closed(clock, package, hardware, monkeypatch):
    """Why `close` calls picamera2's `close` and not `stop` first: its own thread, killed by an exception."""
    real = package.Picamera2.__mro__[1]
    camera = opened(clock)
    made = hardware[0]
    made.notifyme_r, made.notifyme_w = os.pipe2(os.O_NONBLOCK)
    made.notifymeread = os.fdopen(made.notifyme_r, "rb")
    made.is_open = made.started = True
    made.camera_idx, made._cm = 0, MagicMock()
    made._preview = None
    monkeypatch.setattr(made, "process_requests", MagicMock(side_effect=RuntimeError("a callback that raises")))
    monkeypatch.setattr(sys.modules["picamera2.picamera2"], "DmaAllocator", MagicMock())
    made.start_preview()
    os.write(made.notifyme_w, b"\0")
    made._preview.thread.join(10)
    assert not made._preview.thread.is_alive()
    with pytest.raises(WaitedInVain):
        made.dispatch_functions([made.stop_], wait=0.2, immediate=True)  # as stop() does, with wait=True
    monkeypatch.setattr(package.Picamera2, "close", real.close)
    monkeypatch.setattr(package.Picamera2, "stop", real.stop)
    libcameras = made.camera
    camera.close()
    assert libcameras.stop.called
    assert libcameras.release.called
    assert not made.is_open
