"""Frames into a video file, whole or not at all, with what OpenCV's wheel can encode.

The wheel has no H.264. What it has was tried on a recording at 1312x400: MPEG-4 part 2 takes a few ms a frame, VP9
half a second, so a minute would take a quarter of an hour. MPEG-4 plays in the players of Windows and macOS, VLC and
ffmpeg; browsers do not know it: for them and for slides there is GIF.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from .show import ShowError

RATES = {".mp4": 30, ".avi": 30, ".gif": 10}  # frames/s: a camera's, and the sensor's; a GIF's clock ticks in 1/100 s
CODECS = {".mp4": "mp4v", ".avi": "MJPG"}  # MJPG: every frame by itself, for cutting to the frame
ENDINGS = tuple(RATES)


def write_film(out: Path, frames: Iterable[np.ndarray], rate: int, size: tuple[int, int], count: int) -> None:
    """Write a video.

    Args:
        out: its ending says the kind.
        frames: `count` of them, (H, W, 3) uint8, RGB, of even `size` (width, height).
        rate: frames a second.

    Raises:
        ShowError: this OpenCV cannot encode it, or the disk refuses.
    """
    with _partial(out) as partial:
        if out.suffix.lower() == ".gif":
            _write_gif(partial, frames, rate)
            written = count
        else:
            written = _write_video(partial, frames, rate, size)
        if written != count:
            raise ShowError(f"{out}: {written} of {count} frames reached the disk; is there room on it?")


@contextmanager
def _partial(out: Path) -> Iterator[Path]:
    """A neighbour to write, which takes `out`'s name at the end; an error or Ctrl-C takes it away."""
    partial = out.with_name(f".{out.stem}.partial{out.suffix}")  # OpenCV goes by the ending
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(out)
    except OSError as error:
        raise ShowError(f"{out}: cannot be written ({error.strerror or error})") from error
    finally:
        partial.unlink(missing_ok=True)


def _write_video(path: Path, frames: Iterable[np.ndarray], rate: int, size: tuple[int, int]) -> int:
    """How many frames the file holds in the end: OpenCV does not say when the disk is full."""
    path.touch()  # says why it cannot be written, which OpenCV does not
    codec = CODECS[path.suffix.lower()]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, size)
    if not writer.isOpened():
        raise ShowError(f"this OpenCV cannot encode {codec}; install opencv-python-headless, or write a .gif")
    try:
        for frame in frames:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    finally:
        writer.release()
    film = cv2.VideoCapture(str(path))
    held = int(film.get(cv2.CAP_PROP_FRAME_COUNT))
    film.release()
    return held


def _write_gif(path: Path, frames: Iterable[np.ndarray], rate: int) -> None:
    if not hasattr(cv2, "imwriteanimation"):  # before OpenCV 4.11
        raise ShowError(f"OpenCV {cv2.__version__} cannot write a GIF; give a name that ends in .mp4")
    path.touch()
    animation = cv2.Animation()
    animation.frames = [cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) for frame in frames]
    animation.durations = [1000 // rate] * len(animation.frames)
    if not cv2.imwriteanimation(str(path), animation):
        raise ShowError(f"{path.name}: OpenCV could not write the GIF; is there room on the disk?")
