"""Pictures from heat alone: one source image lends light and clothing, every heatmap becomes a picture."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from .. import LrtError
from ..dataset.loading import normalise_heatmap
from .drawer import Drawer, load_drawer
from .mark import DRAWN, SYNTHETIC, mp4_mark
from .pictures import MARGIN, PAPER, enlarge, paint_heat, write_png, write_text

VIDEO_SCALE = 6  # 64 x 40 becomes 384 x 240 beside its heat
FRAMES_PER_S = 10.0  # the sensor's rate


class SynthesisError(LrtError, RuntimeError):
    """The pictures cannot be written."""


def synthesise(
    run: Path | str | Drawer, heatmaps: Iterable[np.ndarray], source: np.ndarray, device: str = "auto"
) -> Iterator[np.ndarray]:
    """A picture for each heatmap, as it comes: a clip's or a live rig's.

    Args:
        run: what `load_drawer` opens, or what it made of that.
        heatmaps: (h, w) float32, degC, one at a time: cropped to the image as the run's calibration says.
        source: (8h, 8w, 3) uint8, RGB: whose light and clothing the pictures wear.

    Returns:
        (8h, 8w, 3) uint8, RGB, one for each heatmap.

    Raises:
        RunError: the run has no trained weights.
        DrawingError: at once when there is nothing to draw with, or the source is of another size; on the way when a
            heatmap is.
    """
    drawer = run if isinstance(run, Drawer) else load_drawer(run, device)
    z = drawer.code(source[None])
    return (drawer.picture(z, np.asarray(heatmap, np.float32)[None])[0] for heatmap in heatmaps)


def write_pictures(pictures: Sequence[np.ndarray], heatmaps: Sequence[np.ndarray] | np.ndarray, out: Path) -> Path:
    """Write every picture as PNG, and a video of heat and picture side by side; all say that they are synthetic.

    Args:
        pictures: (H, W, 3) uint8, RGB each.
        heatmaps: as many, (h, w) float32, degC each.
        out: the folder; made when it is not there.

    Returns:
        the video's path: VP9 in MP4, which browsers play, 10 frames a second.

    Raises:
        SynthesisError: there are no pictures, the folder cannot be written, or OpenCV has no VP9 encoder.
    """
    if len(pictures) == 0:
        raise SynthesisError("there are no pictures to write: no heatmaps came")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(pictures):
            write_png(out / f"{number:06d}.png", picture, SYNTHETIC, DRAWN)
    except OSError as error:
        raise SynthesisError(f"cannot write pictures into {out}: {error.strerror}") from error
    return _write_video(pictures, np.stack(list(heatmaps)), out / "drawn.mp4")


def _write_video(pictures: Sequence[np.ndarray], heatmaps: np.ndarray, path: Path) -> Path:
    frames = (beside_heat(heat, picture, VIDEO_SCALE) for heat, picture in zip(heatmaps, pictures, strict=True))
    first = next(frames)
    partial = path.with_name(f".{path.name}")  # OpenCV chooses the container by the name's end
    size = (first.shape[1], first.shape[0])
    writer = cv2.VideoWriter(str(partial), cv2.VideoWriter.fourcc(*"vp09"), FRAMES_PER_S, size)
    if not writer.isOpened():
        raise SynthesisError(f"this OpenCV cannot encode VP9; the pictures are in {path.parent}, the video is not")
    for frame in (first, *frames):
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    with partial.open("ab") as file:
        file.write(mp4_mark("heat, and beside it " + SYNTHETIC))
    partial.replace(path)
    return path


def beside_heat(heatmap: np.ndarray, picture: np.ndarray, scale: int) -> np.ndarray:
    """Heat and the picture drawn from it side by side, enlarged, with what they are written below.

    Args:
        heatmap: (h, w) float32, degC.
        picture: (H, W, 3) uint8, RGB.
        scale: every pixel of the picture becomes scale x scale.

    Returns:
        (rows, columns, 3) uint8, RGB, of even sides.
    """
    heat = paint_heat(normalise_heatmap(heatmap[None]), picture.shape[:2])[0]
    left, right = enlarge(heat, scale), enlarge(picture, scale)
    height, width = left.shape[:2]
    frame = np.full((height + 24, 2 * width + 2 * MARGIN, 3), PAPER, np.uint8)  # even sides: video planes are halved
    frame[:height, :width] = left
    frame[:height, width + 2 * MARGIN :] = right
    write_text(frame, "heat", (4, height + 17))
    write_text(frame, "synthetic", (width + 2 * MARGIN + 4, height + 17))
    return frame
