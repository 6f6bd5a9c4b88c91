"""A clip as a video: what the camera saw and what the sensor felt, side by side, as the times were.

The video's rate is constant and the clip's is not: each moment shows the latest picture there was by then, and the
heatmap nearest to it. Where either is missing for a while, the video says so.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..calibration.geometry import Calibration, read_calibration
from ..calibration.overlap import lay_heat
from ..rig.clip import Clip, open_clip
from .film import ENDINGS, RATES, write_film
from .loading import COLDEST_C, WARMEST_C
from .show import ShowError, check_new_file, colour_heat, scale_heat

BACK, INK, QUIET, LINE, ALARM = (21, 23, 26), (233, 230, 225), (150, 154, 162), (235, 235, 235), (255, 120, 90)
FONT = cv2.FONT_HERSHEY_SIMPLEX
MARGIN, GAP, HEAD, FOOT = 12, 8, 36, 52  # px: around, between panels, above and below them
PANEL_PX = {".mp4": 360, ".avi": 360, ".gif": 240}  # height of a panel
LONGEST_S = {".gif": 30.0}  # a GIF is held in memory until it is written, and grows by about 1 MB a second
STALE_NS = 500_000_000  # a picture or a heatmap further off than this is said to be missing


@dataclass(frozen=True)
class PlayReport:
    """What was made: its frames, their rate (1/s) and size (width, height), and how long it plays (s)."""

    path: Path
    frames: int
    rate: int
    size: tuple[int, int]
    seconds: float
    synthetic: bool


def play_clip(
    folder: Path,
    out: Path,
    calibration: Path | None = None,
    start_s: float = 0.0,
    seconds: float | None = None,
    on_progress: Callable[[float, float], None] | None = None,
) -> PlayReport:
    """Write a clip as a video.

    Args:
        folder: the clip, whole.
        out: a new file; its ending says the kind (`film.ENDINGS`).
        calibration: `calibration.json` of the rig: its time offset is applied, the sensor's field drawn into the
            picture, and a third panel lays the heat over it.
        start_s: begin so long after the clip's beginning, s.
        seconds: end after so long; None: at the clip's end.
        on_progress: called with frames done and frames in all.

    Raises:
        ShowError: a clip without pictures or heat, nothing left after `start_s`, too long for a GIF, or `out` is of an
            unknown kind, is there already or cannot be written.
        ClipError: the clip is missing, cut or damaged.
        CalibrationError: no calibration, or one for images of another size.
    """
    check_new_file(out, ENDINGS)
    clip = open_clip(folder)
    for what, times_ns in (("pictures", clip.image_times_ns), ("heatmaps", clip.heat_times_ns)):
        if not len(times_ns):
            raise ShowError(f"{folder}: the clip holds no {what}; there is nothing to put side by side")
    fitted = read_calibration(calibration) if calibration else None
    first_image = clip.image(0).pixels
    if fitted:
        fitted.check_image_size((first_image.shape[1], first_image.shape[0]), str(folder))
    ending = out.suffix.lower()
    rate = RATES[ending]
    moments_ns = _find_moments(clip, fitted, rate, start_s, seconds)
    longest = LONGEST_S.get(ending)
    if longest and len(moments_ns) > longest * rate:
        raise ShowError(
            f"{out}: {len(moments_ns) / rate:.0f} s are too long for a {ending[1:].upper()}; give --seconds "
            f"{longest:.0f} or less, or a name that ends in .mp4"
        )
    stage = _Stage.lay_out(clip, fitted, first_image.shape[:2], PANEL_PX[ending])
    write_film(out, _draw_frames(clip, fitted, stage, moments_ns, on_progress), rate, stage.size, len(moments_ns))
    return PlayReport(out, len(moments_ns), rate, stage.size, len(moments_ns) / rate, clip.header.synthetic)


def _find_moments(
    clip: Clip, calibration: Calibration | None, rate: int, start_s: float, seconds: float | None
) -> np.ndarray:
    """(N,) int64, ns, on the heatmaps' clock: evenly spaced, from the clip's first record to its last."""
    images_ns = clip.image_times_ns + _offset_ns(calibration)
    begin_ns = min(images_ns[0], clip.heat_times_ns[0]) + round(start_s * 1e9)
    end_ns = max(images_ns[-1], clip.heat_times_ns[-1])
    if begin_ns > end_ns:
        raise ShowError(
            f"clip {clip.header.clip_id}: is {(end_ns - begin_ns) / 1e9 + start_s:.1f} s long, less than --start"
        )
    count = int((end_ns - begin_ns) * rate // 1_000_000_000) + 1
    if seconds is not None:
        count = min(count, max(1, round(seconds * rate)))
    return begin_ns + np.arange(count, dtype=np.int64) * 1_000_000_000 // rate


def _offset_ns(calibration: Calibration | None) -> int:
    return round(calibration.offset_ms * 1e6) if calibration else 0


@dataclass(frozen=True, eq=False)
class _Stage:
    """Where things stand in a frame, and what is the same in all of them.

    Attributes:
        back: (H, W, 3) uint8, RGB: the frame without panels, time and heat.
        picture, heat, over: (x, y, width, height) of the panels; `over` only with a calibration.
        scale_c: ends of the heat's colour scale, degC.
    """

    back: np.ndarray
    picture: tuple[int, int, int, int]
    heat: tuple[int, int, int, int]
    over: tuple[int, int, int, int] | None
    scale_c: tuple[float, float]

    @property
    def size(self) -> tuple[int, int]:
        return self.back.shape[1], self.back.shape[0]

    @classmethod
    def lay_out(cls, clip: Clip, calibration: Calibration | None, image: tuple[int, int], panel: int) -> "_Stage":
        wide = round(panel * image[1] / image[0])
        picture = (MARGIN, HEAD, wide, panel)
        heat = (MARGIN + wide + GAP, HEAD, panel, panel)
        over = (heat[0] + panel + GAP, HEAD, wide, panel) if calibration else None
        x, _, width, _ = over or heat
        size = (_even(x + width + MARGIN), _even(HEAD + panel + FOOT))
        back = np.full((size[1], size[0], 3), BACK, np.uint8)
        name = clip.header.clip_id
        _write(back, name, MARGIN, 23, INK, 0.55)
        left = MARGIN + _width(name, 0.55) + 14
        _write(back, _shorten(_list_tags(clip), size[0] - MARGIN - left), left, 23, QUIET)
        heatmaps = np.stack([heatmap.celsius for heatmap in clip.heatmaps()])
        stage = cls(back, picture, heat, over, scale_heat(heatmaps))
        stage._draw_legend()
        if over:
            _write(back, "heat over picture; box: what the sensor sees", over[0], HEAD + panel + 22, QUIET)
        return stage

    def _draw_legend(self) -> None:
        """The colours of heat under their panel, with both ends, and 19 and 30 degC where they lie between."""
        x, y, width, height = self.heat
        low, high = self.scale_c
        y += height + 6
        ramp = np.linspace(low, high, width, dtype=np.float32)[None]
        self.back[y : y + 8, x : x + width] = colour_heat(ramp, low, high)
        for mark in (COLDEST_C, WARMEST_C):
            if low < mark < high:
                at = x + round((mark - low) / (high - low) * (width - 1))
                self.back[y : y + 11, at] = INK
        _write(self.back, f"{low:g}", x, y + 22, QUIET)
        end = f"{high:g} degC"
        _write(self.back, end, x + width - _width(end), y + 22, QUIET)


def _draw_frames(
    clip: Clip,
    calibration: Calibration | None,
    stage: _Stage,
    moments_ns: np.ndarray,
    on_progress: Callable[[float, float], None] | None,
) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8, RGB, for each moment."""
    images_ns = clip.image_times_ns + _offset_ns(calibration)
    heats_ns = clip.heat_times_ns
    heatmaps = clip.oriented(np.stack([heatmap.celsius for heatmap in clip.heatmaps()]))
    pick_image = np.searchsorted(images_ns, moments_ns, side="right") - 1
    after = np.searchsorted(heats_ns, moments_ns).clip(0, len(heats_ns) - 1)
    before = (after - 1).clip(0)
    pick_heat = np.where(heats_ns[after] - moments_ns < moments_ns - heats_ns[before], after, before)
    begin_ns = min(images_ns[0], heats_ns[0])
    length_s = (max(images_ns[-1], heats_ns[-1]) - begin_ns) / 1e9
    at_image, pixels = -1, None
    for number, moment_ns in enumerate(moments_ns):
        if pick_image[number] != at_image:
            at_image = int(pick_image[number])
            pixels = clip.image(at_image).pixels
        celsius = heatmaps[pick_heat[number]]
        frame = stage.back.copy()
        _draw_panels(frame, stage, pixels, celsius, calibration)
        if clip.header.synthetic:
            _stamp_twin(frame, stage.picture)
        picture_age_ns = moment_ns - images_ns[at_image] if pixels is not None else None
        _say_missing(frame, stage.picture, "picture", picture_age_ns)
        _say_missing(frame, stage.heat, "heat", abs(int(moment_ns - heats_ns[pick_heat[number]])))
        at_s = (moment_ns - begin_ns) / 1e9
        foot = stage.size[1] - 14
        _write(frame, f"{_tell_time(at_s)} of {_tell_time(length_s)}", MARGIN, foot - 14, INK, 0.55)
        now = f"now {celsius.min():.1f} to {celsius.max():.1f} degC"
        _write(frame, now, stage.heat[0] + (stage.heat[2] - _width(now)) // 2, foot + 4, INK)
        if on_progress:
            on_progress(number + 1, len(moments_ns))
        yield frame


def _draw_panels(
    frame: np.ndarray, stage: _Stage, pixels: np.ndarray | None, celsius: np.ndarray, calibration: Calibration | None
) -> None:
    x, y, width, height = stage.heat
    colours = colour_heat(celsius, *stage.scale_c)
    frame[y : y + height, x : x + width] = cv2.resize(colours, (width, height), interpolation=cv2.INTER_NEAREST)
    if pixels is None:
        return
    x, y, width, height = stage.picture
    picture = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    panel = frame[y : y + height, x : x + width]
    panel[:] = picture
    if calibration is None or stage.over is None:
        return
    _draw_field(panel, calibration)
    x, y, width, height = stage.over
    heat, field = lay_heat(celsius, calibration, calibration.image_size, (width, height))
    low, high = stage.scale_c
    level = np.clip((heat - low) / (high - low), 0, 1)[..., None]
    grey = 0.65 * picture.mean(axis=-1, keepdims=True)
    share = (0.15 + 0.6 * level) * field[..., None]
    panel = frame[y : y + height, x : x + width]
    panel[:] = (grey * (1 - share) + colour_heat(heat, low, high) * share).astype(np.uint8)
    _draw_field(panel, calibration)


def _draw_field(panel: np.ndarray, calibration: Calibration) -> None:
    """The outline of what the sensor sees, as far as it lies in the panel."""
    scale = np.array([panel.shape[1] / calibration.image_size[0], panel.shape[0] / calibration.image_size[1]] * 2)
    left, top, right, bottom = np.rint(np.array(calibration.field()) * scale).astype(int).tolist()
    canvas = np.ascontiguousarray(panel)
    cv2.rectangle(canvas, (left, top), (right, bottom), LINE, 1, cv2.LINE_AA)
    panel[:] = canvas


def _stamp_twin(frame: np.ndarray, panel: tuple[int, int, int, int]) -> None:
    """Say in the picture itself that no camera took it."""
    x, y, _, height = panel
    text = "digital twin: no person"
    strip = frame[y + height - 24 : y + height, x : x + _width(text) + 16]
    strip[:] = strip // 3
    _write(frame, text, x + 8, y + height - 8, (255, 205, 90))


def _say_missing(frame: np.ndarray, panel: tuple[int, int, int, int], what: str, age_ns: int | None) -> None:
    """Where the clip has nothing of it: held pictures must not pass for a person who stands still."""
    if age_ns is not None and age_ns <= STALE_NS:
        return
    x, y, width, _ = panel
    text = f"no {what} yet" if age_ns is None else f"no {what} for {age_ns / 1e9:.1f} s"
    frame[y : y + 24, x : x + width] //= 3
    _write(frame, text, x + 8, y + 17, ALARM)


def _list_tags(clip: Clip) -> str:
    header = clip.header
    who = "nobody in view" if header.occupants == 0 else f"{header.clothing} shirt, {header.occupants} in view"
    return ", ".join([who, f"{header.lighting} light", *([header.room] if header.room else []), *header.tags])


def _shorten(text: str, room: int) -> str:
    """As much of a line as there is room for, px."""
    if _width(text) <= room:
        return text
    while text and _width(f"{text}...") > room:
        text = text[:-1]
    return f"{text}..."


def _tell_time(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def _even(count: int) -> int:
    """Video planes are halved: no odd sides."""
    return count + count % 2


def _width(text: str, size: float = 0.45) -> int:
    return cv2.getTextSize(text, FONT, size, 1)[0][0]


def _write(frame: np.ndarray, text: str, x: int, y: int, ink: tuple[int, int, int], size: float = 0.45) -> None:
    cv2.putText(frame, text, (x, y), FONT, size, ink, 1, cv2.LINE_AA)
