"""Where heat lies in the picture: the calibration, and the view that both are cut to.

Pixel edges stand at integers and centres at +0.5. The centre of thermal pixel (row i, column j) of a sensor of R rows
and C columns, after the rig's rotation, lies in the recorded image at

    x = tx + s u (1 + k u^2),  u = j - (C - 1) / 2        y = ty + s v (1 + k v^2),  v = i - (R - 1) / 2        [px]

k is the lens term: 0 for pixels of equal size in the picture; `equal_angles` for pixels of equal angles, which grow
outwards in the picture of a camera without distortion (0.0057 for 7.5 degrees); or whatever frames kept out of the fit
were clearly better foretold by.
"""

import json
import math
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .. import LrtError, __version__, write_whole

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SCHEMA_VERSION = "1.1.0"  # 1.1 added grid, lens_k, objective and systematic
GRID = 8  # thermal pixels along either side of the AMG8833


class CalibrationError(LrtError, ValueError):
    """A calibration that cannot be made, read or applied here."""


@dataclass(frozen=True)
class Calibration:
    """The fit of one rig: `calibration.json`.

    Attributes:
        tx, ty: the image point on which the sensor's centre lies, px of the recorded image.
        s: one thermal pixel, px of the recorded image.
        offset_ms: image time + offset = heatmap time.
        tx_sd, ty_sd, s_sd, offset_ms_sd: one standard deviation of each, same units; infinite where the frames do not
            settle it.
        image_size: (width, height) of the recorded image, px.
        score: what the fit maximised, 0..1 (share of the heat's variance that the masks explain).
        overlap: IoU of the warm region and the person masks at the fit, 0..1.
        verdict: "PASS" or "WARN".
        advice: what to do about a WARN; empty on a PASS.
        masks: which source drew the person masks.
        frames: how many heatmaps the fit rests on.
        clips: {clip id: SHA-256 of its recording}.
        synthetic: True when a twin made any of the clips.
        software, schema: versions that wrote it.
        grid: (rows, columns) of the sensor.
        lens_k: how its pixels grow outwards, see the module.
        objective: what was maximised, see `lrt.calibration.fit`.
        systematic: how far tx, ty and s (px) move between three ways to fit: half of what lies between the outermost.
            The standard deviations hold the part of it that the fit itself may suffer from.
    """

    tx: float
    ty: float
    s: float
    offset_ms: float
    tx_sd: float
    ty_sd: float
    s_sd: float
    offset_ms_sd: float
    image_size: tuple[int, int]
    score: float
    overlap: float
    verdict: str
    advice: str
    masks: str
    frames: int
    clips: dict[str, str] = field(default_factory=dict)
    synthetic: bool = False
    software: str = __version__
    schema: str = SCHEMA_VERSION
    grid: tuple[int, int] = (GRID, GRID)
    lens_k: float = 0.0
    objective: str = "forward"
    systematic: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def field(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) of what the sensor sees, px of the recorded image."""
        down, across = (self.s * float(bend(count / 2, self.lens_k)) for count in self.grid)
        return self.tx - across, self.ty - down, self.tx + across, self.ty + down

    def check_image_size(self, image_size: tuple[int, int], found_in: str) -> None:
        """Refuse images of another size than the calibration was made for.

        Raises:
            CalibrationError: naming both sizes and where the other was found.
        """
        if tuple(image_size) != tuple(self.image_size):
            raise CalibrationError(
                f"{found_in}: its images are {image_size[0]}x{image_size[1]}, the calibration is for "
                f"{self.image_size[0]}x{self.image_size[1]}; calibrate again with clips of this size"
            )

    def to_json(self) -> dict[str, Any]:
        """Plain values as JSON knows them: an infinite standard deviation, one that nobody knows, is None."""
        return {name: None if value == math.inf else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """What `to_json` gave, read back.

        Raises:
            CalibrationError: a field is missing or unknown, or another major schema version wrote it.
        """
        try:
            if str(saved["schema"]).split(".")[0] != SCHEMA_VERSION.split(".")[0]:
                raise CalibrationError(f"schema {saved['schema']}, this lrt reads {SCHEMA_VERSION}")
            known = {name: math.inf if value is None else value for name, value in saved.items()}
            pairs = {name: tuple(saved[name]) for name in ("image_size", "grid", "systematic") if name in saved}
            return cls(**{**known, **pairs})
        except (TypeError, KeyError) as error:
            raise CalibrationError(f"not a calibration ({error}); make it with `lrt calibrate`") from error


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Write `calibration.json`, whole or not at all."""
    write_whole(path, (json.dumps(calibration.to_json(), indent=2) + "\n").encode())


def read_calibration(path: Path) -> Calibration:
    """Read `calibration.json`.

    Raises:
        CalibrationError: no such file, not JSON, a field missing or unknown, or another major schema version.
    """
    try:
        return Calibration.from_json(json.loads(path.read_text()))
    except FileNotFoundError as error:
        raise CalibrationError(f"{path}: no such file; make it with `lrt calibrate CLIP... --out {path}`") from error
    except CalibrationError as error:
        raise CalibrationError(f"{path}: {error}") from error
    except (ValueError, OSError) as error:
        raise CalibrationError(f"{path}: not a calibration ({error}); make it with `lrt calibrate`") from error


@dataclass(frozen=True)
class View:
    """The part of the image that image and heatmap are cut to: what both sensors see, in one aspect.

    Attributes:
        x, y: its left and top edge, px of the recorded image.
        cell: one heatmap cell, px of the recorded image.
        shape: (rows, columns) of heatmap cells; the picture is `upscale` times that.
        calibration: where the sensor lies.
    """

    x: float
    y: float
    cell: float
    shape: tuple[int, int]
    calibration: Calibration

    def sample_heatmap(self, celsius: np.ndarray) -> np.ndarray:
        """Heat over the view.

        Args:
            celsius: (..., R, C) float32, degC, after the rig's rotation.

        Returns:
            (..., rows, columns) float32, degC; each cell the mean over the area it covers.
        """
        c = self.calibration
        rows, columns = self.shape
        places_y = unbend((self.y + self.cell * np.arange(rows + 1) - c.ty) / c.s, c.lens_k)
        places_x = unbend((self.x + self.cell * np.arange(columns + 1) - c.tx) / c.s, c.lens_k)
        down = area_weights(places_y + c.grid[0] / 2, c.grid[0])
        across = area_weights(places_x + c.grid[1] / 2, c.grid[1])
        return (down @ celsius @ across.T).astype(np.float32)

    def crop_image(self, pixels: np.ndarray, upscale: int = 8) -> np.ndarray:
        """The view's part of an image, resized by area.

        Args:
            pixels: (H, W, 3) uint8, of the size the calibration was made for.
            upscale: picture pixels along a heatmap cell; 8 in the paper.

        Returns:
            (upscale rows, upscale columns, 3) uint8.
        """
        rows, columns = self.shape
        step = self.cell / upscale
        height, width, colours = pixels.shape
        down = _keep_weights(self.y, step, rows * upscale, height)
        across = _keep_weights(self.x, step, columns * upscale, width)
        lower = down @ pixels.astype(np.float32).reshape(height, -1)
        lower = lower.reshape(-1, width, colours).transpose(1, 0, 2).reshape(width, -1)
        picture = (across @ lower).reshape(columns * upscale, rows * upscale, colours).transpose(1, 0, 2)
        return np.ascontiguousarray(np.clip(np.rint(picture), 0, 255).astype(np.uint8))


def find_view(calibration: Calibration, shape: tuple[int, int] = (5, 8)) -> View:
    """The largest view of the given aspect that lies in the image and on the sensor.

    Placed as near the image's centre as it goes; moved onto whole thermal pixels where that keeps it inside, so that
    a heatmap cell is a thermal pixel and nothing is interpolated. With a lens term no cell can be one, and it stays.

    Args:
        shape: (rows, columns) of heatmap cells; (5, 8) in the paper, (12, 16) in PAIR-LRT-Human.

    Raises:
        CalibrationError: sensor and image share less than one thermal pixel.
    """
    width, height = calibration.image_size
    rows, columns = shape
    s = calibration.s
    bent = 2 * bend(np.array(calibration.grid[::-1]) / 2, calibration.lens_k)  # of the sensor's field, in s
    corner = np.array([calibration.tx, calibration.ty]) - s * bent / 2  # px
    low = np.maximum(corner, 0.0)
    high = np.minimum(corner + s * bent, [width, height])
    span = high - low
    if (span < s).any():
        raise CalibrationError(
            f"the sensor's field covers {max(span[0], 0):.0f}x{max(span[1], 0):.0f} px of the image; calibrate again"
        )
    cell = float(min(span[0] / columns, span[1] / rows))
    size = np.array([columns * cell, rows * cell])
    middle = np.clip(np.array([width, height]) / 2 - size / 2, low, high - size)
    snapped = corner + s * np.rint((middle - corner) / s)
    inside = (snapped >= low - 1e-9) & (snapped <= high - size + 1e-9) & (calibration.lens_k == 0)
    x, y = np.where(inside, snapped, middle)
    return View(x=float(x), y=float(y), cell=cell, shape=shape, calibration=calibration)


def centred(count: int) -> np.ndarray:
    """(count,) float64: places of a row of pixels about its middle."""
    return np.arange(count) - (count - 1) / 2


def bend(u: np.ndarray | float, lens_k: float) -> np.ndarray:
    """Where a place u thermal pixels from the sensor's centre lies in the image, in thermal pixels of its centre."""
    u = np.asarray(u, dtype=np.float64)
    return u * (1 + lens_k * u * u)


def equal_angles(grid: tuple[int, int] = (GRID, GRID)) -> float:
    """The lens term of a sensor whose pixels are equal angles, seen by a camera without distortion.

    A pixel at the angle u a lies tan(u a) / a from the centre, in pixels of the centre: u (1 + (a u)^2 / 3 + ...).

    Args:
        grid: (rows, columns); the pixels are taken to share a field of 60 degrees along the longer side, as the
            AMG8833's eight do (datasheet: 7.5 degrees each).
    """
    return math.radians(60 / max(grid)) ** 2 / 3


def unbend(v: np.ndarray, lens_k: float) -> np.ndarray:
    """The place whose `bend` is v. Beyond where a negative term folds the field back, the fold's own place."""
    v = np.asarray(v, dtype=np.float64)
    if lens_k == 0:
        return v
    if lens_k < 0:
        fold = np.sqrt(-1 / (3 * lens_k))
        # u = 2 fold sin(a) makes the cubic v = 2/3 fold sin(3 a)
        return 2 * fold * np.sin(np.arcsin(np.clip(1.5 * v / fold, -1, 1)) / 3)
    # The one real root of a depressed cubic (Cardano)
    root = np.sqrt(v * v / 4 + 1 / (27 * lens_k))
    scale = np.cbrt(1 / lens_k)
    return scale * (np.cbrt(v / 2 + root) + np.cbrt(v / 2 - root))


@lru_cache(maxsize=8)
def _keep_weights(start: float, step: float, count: int, length: int) -> "csr_array":
    """`area_weights` of so many equal cells, kept, for every image of a clip is cut alike.

    Args:
        start: the first cell's edge, px of the source row; step: a cell, px.
        count: of cells; length: of the source row, px.

    Returns:
        (count, length) float32. Sparse, as a picture's pixel covers few of the image's: the same pixels as the dense
        product, which waits on BLAS threads. scipy.sparse takes a third of a second to import; heat does without it.

    Raises:
        CalibrationError: a cell lies outside the row.
    """
    from scipy.sparse import csr_array

    return csr_array(area_weights(start + step * np.arange(count + 1), length))


def area_weights(edges: np.ndarray, length: int) -> np.ndarray:
    """Weights that average a row of pixels over intervals: resizing by area, at any fraction of a pixel.

    Args:
        edges: (n + 1,) rising, in pixels of the source; interval k is [edges[k], edges[k + 1]].
        length: pixels in the source row; what reaches outside takes the part inside.

    Returns:
        (n, length) float32; every row sums to 1.
    """
    pixels = np.arange(length)
    edges = np.asarray(edges, dtype=np.float64)
    upper = np.minimum(edges[1:, None], pixels + 1)
    lower = np.maximum(edges[:-1, None], pixels)
    covered = np.maximum(upper - lower, 0.0)
    total = covered.sum(axis=1, keepdims=True)
    if (total <= 0).any():
        raise CalibrationError("a view reaches outside the image or the sensor; calibrate again")
    return (covered / total).astype(np.float32)
