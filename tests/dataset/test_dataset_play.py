"""A clip's video shows each picture and each heatmap at its own time, says what it is, and is whole or not there."""

import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from lrt.calibration.geometry import Calibration, CalibrationError, write_calibration
from lrt.dataset.play import GAP, HEAD, MARGIN, play_clip
from lrt.dataset.show import ShowError
from lrt.rig.clip import ClipError

PANEL = 360
WIDE = 480  # a 160x120 image at that height
HEAT_X = MARGIN + WIDE + GAP
SIZE = (MARGIN + WIDE + GAP + PANEL + MARGIN, HEAD + PANEL + 52)


def read(path: Path) -> np.ndarray:
    """(N, H, W, 3) uint8, RGB."""
    film = cv2.VideoCapture(str(path))
    frames = []
    while True:
        found, frame = film.read()
        if not found:
            break
        frames.append(frame[..., ::-1])
    film.release()
    return np.stack(frames)


def shown_picture(frame: np.ndarray) -> int:
    """Which of the clip's pictures a frame shows: their blue rises by 15 with each."""
    return round((float(frame[HEAD + 30 : HEAD + 330, MARGIN + 10 : MARGIN + 470, 2].mean()) - 30) / 15)


def heat_panel(frame: np.ndarray) -> np.ndarray:
    """(8, 8, 3): the colours in the middle of each thermal pixel."""
    at = (np.arange(8) * 45 + 22).astype(int)
    return frame[HEAD + at][:, HEAT_X + at]


@pytest.fixture
def clip(make_clip: Callable[..., Path], tmp_path: Path) -> Path:
    """1.2 s; heat and picture every 100 ms, at the same moments."""
    return make_clip(tmp_path, "kitchen-01")


def test_the_video_has_the_clips_length_at_a_constant_rate(clip: Path, tmp_path: Path) -> None:
    told: list[tuple[float, float]] = []
    done = play_clip(clip, tmp_path / "a.mp4", on_progress=lambda at, of: told.append((at, of)))
    film = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert film.get(cv2.CAP_PROP_FPS) == done.rate == 30
    film.release()
    frames = read(tmp_path / "a.mp4")
    assert len(frames) == done.frames == 34  # 1.1 s from the first record to the last, both shown
    assert frames.shape[1:] == (SIZE[1], SIZE[0], 3)
    assert done.size == SIZE
    assert told[-1] == (34, 34)
    assert not done.synthetic


@pytest.mark.parametrize("ending", [".mp4", ".avi"])
def test_each_picture_is_held_until_the_next_and_the_heat_is_the_nearest(
    clip: Path, tmp_path: Path, ending: str, heat_of: Callable[[int, int], np.ndarray]
) -> None:
    play_clip(clip, tmp_path / f"a{ending}")
    frames = read(tmp_path / f"a{ending}")
    assert [shown_picture(frame) for frame in frames] == [min(number // 3, 11) for number in range(34)]
    # two frames of three lie nearer to a heatmap than a third of its period
    for number in (0, 10, 31):
        colours = heat_panel(frames[number]).astype(int).sum(axis=-1).ravel()
        celsius = heat_of(0, round(number / 3)).ravel()
        assert np.corrcoef(colours, celsius)[0, 1] > 0.98
    assert np.abs(heat_panel(frames[0]).astype(int) - heat_panel(frames[3])).mean() > 20  # the heat moved


def test_a_stretch_without_pictures_is_marked_and_the_heat_goes_on(
    make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    gap = make_clip(tmp_path, "gap", frames=20, skip_images=range(4, 16))
    play_clip(gap, tmp_path / "gap.mp4")
    frames = read(tmp_path / "gap.mp4")

    def alarm(frame: np.ndarray) -> int:
        head = frame[HEAD : HEAD + 24, MARGIN : MARGIN + 160].astype(int)
        return int(((head[..., 0] > 150) & (head[..., 2] < 120)).sum())

    held = [number for number, frame in enumerate(frames) if alarm(frame) > 30]
    assert held == list(range(25, 48))  # from half a second after picture 3 (at 0.3 s) until picture 16
    assert np.abs(heat_panel(frames[30]).astype(int) - heat_panel(frames[36])).mean() > 20


def test_before_the_first_picture_there_is_none(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    play_clip(make_clip(tmp_path, "late", skip_images=(0, 1)), tmp_path / "late.mp4")
    frames = read(tmp_path / "late.mp4")
    below = frames[:, HEAD + 40 : HEAD + 300, MARGIN + 20 : MARGIN + 400].mean(axis=(1, 2, 3))
    assert (below[:6] < 40).all()
    assert (below[6:] > 60).all()


@pytest.fixture
def fitted(calibration: Calibration, tmp_path: Path) -> Path:
    """Of a sensor that sees the middle of the image, and pictures that are 200 ms late."""
    path = tmp_path / "calibration.json"
    write_calibration(replace(calibration, s=12.0, offset_ms=-200.0), path)
    return path


def test_a_calibration_moves_the_times_and_shows_the_sensors_field(clip: Path, fitted: Path, tmp_path: Path) -> None:
    done = play_clip(clip, tmp_path / "a.avi", fitted)
    frames = read(tmp_path / "a.avi")
    assert done.size == (SIZE[0] + WIDE + GAP, SIZE[1])
    # Picture 2 was taken with heatmap 0
    assert len(frames) == round(1.3 * 30) + 1
    assert [shown_picture(frame) for frame in frames[:30:3]] == list(range(10))
    # The field is 96 px of 160 wide: from 32 to 128, and from 12 to 108 downwards, three times as large here
    play_clip(clip, tmp_path / "plain.avi", seconds=0.1)
    added = np.abs(frames[0].astype(int)[:, : SIZE[0]] - read(tmp_path / "plain.avi")[0]).sum(axis=-1)
    added = added[HEAD : HEAD + PANEL, MARGIN : MARGIN + WIDE]
    assert {round(at / 3) for at in np.flatnonzero(np.median(added[60:300], axis=0) > 60)} == {32, 128}
    assert {round(at / 3) for at in np.flatnonzero(np.median(added[:, 120:360], axis=1) > 60)} == {12, 108}
    over = frames[0][HEAD : HEAD + PANEL, HEAT_X + PANEL + GAP :][:, :WIDE].astype(int)
    colourful = np.ptp(over, axis=-1)
    assert colourful[60:300, 110:370].mean() > 25  # heat within the field
    assert colourful[:, :80].mean() < 6  # grey outside


def test_a_part_of_a_clip_can_be_shown(clip: Path, tmp_path: Path) -> None:
    done = play_clip(clip, tmp_path / "a.mp4", start_s=0.5, seconds=0.3)
    frames = read(tmp_path / "a.mp4")
    assert len(frames) == done.frames == 9
    assert [shown_picture(frame) for frame in frames] == [5, 5, 5, 6, 6, 6, 7, 7, 7]


def test_a_twins_clip_says_so_in_the_picture(make_clip: Callable[..., Path], clip: Path, tmp_path: Path) -> None:
    twin = make_clip(tmp_path / "twins", "kitchen-01", synthetic=True)
    assert play_clip(twin, tmp_path / "twin.avi", seconds=0.1).synthetic
    play_clip(clip, tmp_path / "real.avi", seconds=0.1)
    corner = np.s_[0, HEAD + PANEL - 24 : HEAD + PANEL, MARGIN : MARGIN + 150]
    assert read(tmp_path / "twin.avi")[corner].mean() < 0.6 * read(tmp_path / "real.avi")[corner].mean()


def test_the_tags_are_in_the_caption_and_stay_within_the_frame(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    many = [f"a-tag-of-my-own-{number}" for number in range(30)]
    captions = []
    for number, tags in enumerate(({}, {"room": "kitchen"}, {"clothing": "white"}, {"room": "kitchen", "tags": many})):
        folder = make_clip(tmp_path / f"{number}", "kitchen-01", **tags)
        play_clip(folder, tmp_path / f"{number}.avi", seconds=0.1)
        captions.append(read(tmp_path / f"{number}.avi")[0][: HEAD - 8].astype(int))
    for one in range(4):
        for other in range(one):
            assert (np.abs(captions[one] - captions[other]) > 60).sum() > 100
    ink = np.flatnonzero((captions[3].max(axis=-1) > 90).any(axis=0))
    assert SIZE[0] - 40 < ink[-1] < SIZE[0] - MARGIN


@pytest.mark.skipif(not hasattr(cv2, "imreadanimation"), reason="OpenCV before 4.11 knows no GIF")
def test_a_gif_runs_at_the_sensors_rate(clip: Path, tmp_path: Path) -> None:
    done = play_clip(clip, tmp_path / "a.gif")
    found, animation = cv2.imreadanimation(str(tmp_path / "a.gif"))
    assert found
    assert len(animation.frames) == done.frames == 12
    assert set(animation.durations) == {100}
    assert animation.frames[0].shape[1::-1] == done.size
    assert np.abs(animation.frames[0].astype(int) - animation.frames[6]).mean() > 5


def test_the_command_says_what_it_made(
    run: Callable[..., tuple[int, str, str]], clip: Path, fitted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.mp4"
    code, said, _ = run("clips", "play", str(clip), "--out", str(out), "--calibration", str(fitted), "--start", "0.5")
    assert code == 0
    assert said == f"{out}: 0.8 s, 25 frames of 1360x448\n"
    assert len(read(out)) == 25
    code, _, err = run("clips", "play", str(clip), "--out", str(out))
    assert code == 1
    assert err == f"lrt: {out}: exists already; name another file or move this one away\n"


# ----------------------------------------------------------------------------------------------------------- bad input


def test_what_cannot_be_played_is_said_before_any_work(
    make_clip: Callable[..., Path], clip: Path, calibration: Calibration, tmp_path: Path
) -> None:
    blind = make_clip(tmp_path, "blind", skip_images=range(12))
    (tmp_path / "there.mp4").write_bytes(b"a film of mine")
    wrong = tmp_path / "wrong.json"
    write_calibration(replace(calibration, image_size=(640, 480)), wrong)
    out = tmp_path / "a.mp4"
    with pytest.raises(ShowError, match=r"blind: the clip holds no pictures"):
        play_clip(blind, out)
    with pytest.raises(ShowError, match=r"a\.webm: give a name that ends in \.mp4 or \.avi or \.gif"):
        play_clip(clip, tmp_path / "a.webm")
    with pytest.raises(ShowError, match=r"there\.mp4: exists already"):
        play_clip(clip, tmp_path / "there.mp4")
    with pytest.raises(ShowError, match="there is no folder"):
        play_clip(clip, tmp_path / "films" / "a.mp4")
    with pytest.raises(ShowError, match="cannot be written"):
        play_clip(clip, Path("/proc/a.mp4"))
    with pytest.raises(ShowError, match="cannot be written"):
        play_clip(clip, Path("/proc/a.gif"))
    with pytest.raises(ShowError, match=r"kitchen-01: is 1\.1 s long, less than --start"):
        play_clip(clip, out, start_s=5)
    with pytest.raises(CalibrationError, match="the calibration is for 640x480"):
        play_clip(clip, out, wrong)
    with pytest.raises(ClipError, match="is not there"):
        play_clip(tmp_path / "nothing", out)
    assert (tmp_path / "there.mp4").read_bytes() == b"a film of mine"
    assert not out.exists()


def test_a_gif_that_would_be_too_long_is_refused(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    long = make_clip(tmp_path, "long", frames=310, skip_images=range(1, 310))
    with pytest.raises(ShowError, match=r"a\.gif: 31 s are too long for a GIF; give --seconds 30 or less"):
        play_clip(long, tmp_path / "a.gif")


def test_a_full_disk_leaves_nothing_behind(clip: Path, tmp_path: Path) -> None:
    """A real limit on the size of files stands for the disk's end."""
    script = (
        "import sys; from pathlib import Path; from lrt.dataset.play import play_clip; from lrt import LrtError\n"
        "try: play_clip(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except LrtError as error: print(error)"
    )
    out = tmp_path / "films" / "a.avi"
    out.parent.mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", script, str(clip), str(out)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert "a.avi: " in ran.stdout
    assert "is there room on it?" in ran.stdout
    assert list(out.parent.iterdir()) == []
