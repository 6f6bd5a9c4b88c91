"""PiCamera against the real picamera2: what wraps a Pi's C libraries is stubbed, nothing of picamera2 itself."""

import importlib
import inspect
import sys
import types
from unittest.mock import MagicMock

import numpy as np
import pytest

from lrt.rig.camera import picamera
from lrt.rig.camera.picamera import PiCamera
from lrt.rig.records import RigError
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
            self.frame_ns = 0
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
                }
                request = MagicMock(
                    buffers={"stream": buffer},
                    metadata={type("ControlId", (), {"name": name})(): value for name, value in metadata.items()},
                )
                self._requests.append(sys.modules["picamera2.request"].CompletedRequest(request, self))
            display = MagicMock()
            self.process_requests(display)

    def replace(name, effect=None):
        signature = inspect.signature(getattr(real, name))

        def call(self, *args, **options):
            signature.bind(self, *args, **options)
            self.calls.append((name, args, options))
            if effect is not None:
                effect(self, *args)

        monkeypatch.setattr(Camera, name, call, raising=False)

    def configure(self, configuration):
        configuration["main"]["stride"] = STRIDE
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
                        camera.process(self.now_ns())
            super().sleep_until(deadline_ns)

    return CameraClock(start_ns=10 * SECOND_NS)


@pytest.fixture(autouse=True)
def slept(monkeypatch):
    """How long the computer has slept since it was started, ns: not at all, whatever the one of this test has done."""
    slept = [0]
    clocks = {"MONOTONIC": lambda: 5 * SECOND_NS, "BOOTTIME": lambda: 5 * SECOND_NS + slept[0]}
    fake = types.SimpleNamespace(
        CLOCK_MONOTONIC="MONOTONIC", CLOCK_BOOTTIME="BOOTTIME", clock_gettime_ns=lambda clock: clocks[clock]()
    )
    monkeypatch.setattr(picamera, "time", fake)
    return slept


@pytest.fixture(autouse=True)
def _running(hardware, package):
    package.Picamera2.runs = True
    return hardware


def test_the_camera_is_configured_by_the_real_packages_rules(clock, hardware):
    with PiCamera(clock, size=(WIDTH, HEIGHT), rate=30) as camera:
        pass
    (made,) = hardware
    configuration = made.camera_config
    assert configuration["main"]["format"] == "BGR888"
    assert configuration["controls"]["FrameDurationLimits"] == (33333, 33333)
    assert camera.size == (WIDTH, HEIGHT)
    assert [name for name, _, _ in made.calls] == ["configure", "start", "set_controls", "stop", "close"]
    assert made.pre_callback is None


def test_exposure_and_colour_are_frozen_at_what_they_settled_on(clock, hardware):
    PiCamera(clock, size=(WIDTH, HEIGHT)).close()
    (controls,) = next(args for name, args, _ in hardware[0].calls if name == "set_controls")
    assert controls == {
        "AeEnable": False,
        "AwbEnable": False,
        "ExposureTime": 9000,
        "AnalogueGain": 2.5,
        "ColourGains": (1.9, 1.4),
    }


def test_every_frame_of_a_burst_is_kept_as_red_green_blue(clock, hardware):
    with PiCamera(clock, size=(WIDTH, HEIGHT)) as camera:
        assert camera.poll() == []  # what came while the camera settled is not given out
        start = clock.now_ns()
        stamps = [start + number * FRAME_NS for number in range(1, 5)]
        hardware[0].process(*stamps[:3])  # picamera2 keeps the last of these for capture_request, we all three
        hardware[0].process(stamps[3])
        images = camera.poll()
    assert [image.timestamp_ns for image in images] == stamps
    assert np.diff([image.sequence for image in images]).tolist() == [1, 1, 1]
    assert images[0].pixels.shape == (HEIGHT, WIDTH, 3)
    assert images[0].pixels[3, 5].tolist() == [200, 100, 50]
    assert images[0].pixels.flags.c_contiguous


def test_a_lost_frame_is_a_jump_of_the_sequence(clock, hardware):
    with PiCamera(clock, size=(WIDTH, HEIGHT)) as camera:
        start = clock.now_ns()
        hardware[0].process(start + FRAME_NS, start + 4 * FRAME_NS)
        first, second = camera.poll()
    assert second.sequence - first.sequence == 3


def test_a_frame_that_cannot_be_read_does_not_end_the_cameras_thread(clock, hardware):
    with PiCamera(clock, size=(WIDTH, HEIGHT)) as camera:
        hardware[0].stream_map = {}
        hardware[0].process(clock.now_ns() + FRAME_NS)  # raises nothing here
        with pytest.raises(RigError, match="could not be read"):
            camera.poll()


def test_a_camera_that_never_speaks_is_closed_and_named(clock, hardware, package):
    package.Picamera2.runs = False
    with pytest.raises(RigError, match="no frame within 2 s"):
        PiCamera(clock, size=(WIDTH, HEIGHT))
    assert hardware[0].calls[-1][0] == "close"


def test_a_computer_that_has_slept_is_refused_for_its_two_clocks_differ(clock, slept):
    slept[0] = 3_600 * SECOND_NS
    with pytest.raises(RigError, match="has slept"):
        PiCamera(clock)


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
