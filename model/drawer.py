"""What draws pictures from heat: one interface, whatever computes them. No torch in here.

drawer = load_drawer("runs/kitchen")  # or what `lrt export` made of it, or "twin", which ships with lrt
z = drawer.code(source[None])
picture = drawer.picture(z, heatmap[None])[0]
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .. import LrtError

BATCH = 128  # pictures drawn at once
CARD = "card.json"  # what an export is known by
SHIPPED = "twin"  # the run that comes with lrt
SHIPPED_FOLDER = Path(__file__).parent / "shipped" / SHIPPED


class DrawingError(LrtError, RuntimeError):
    """What draws cannot be opened, or it was given heat or a picture of another size than its own."""


@dataclass(frozen=True)
class About:
    """What draws, and where it comes from.

    Attributes:
        model: its name in `config.MODELS`.
        heatmap_shape: rows and columns of the heatmaps it takes.
        z: length of its codes.
        synthetic: a twin made its data: its pictures show nobody.
        data_sha256: of the pairs it learned from.
        calibration: how heat and picture were cut for it; None where nobody knows.
    """

    model: str
    heatmap_shape: tuple[int, int]
    z: int
    synthetic: bool
    data_sha256: str
    calibration: dict[str, Any] | None

    @property
    def image_shape(self) -> tuple[int, int]:
        """Rows and columns of a picture."""
        return 8 * self.heatmap_shape[0], 8 * self.heatmap_shape[1]


class Drawer(ABC):
    """A trained generator with its inversion encoder, taking and giving what people handle: pixels and degrees.

    To be called from one thread at a time.

    Attributes:
        about: what it is.
        runtime: what computes, with its version.
    """

    about: About
    runtime: str

    def code(self, images: np.ndarray) -> np.ndarray:
        """z~ = I(x): the light and the clothing of each image.

        Args:
            images: (N, 8h, 8w, 3) uint8, RGB.

        Returns:
            (N, z) float32.

        Raises:
            DrawingError: images of another size than the model's.
        """
        if images.shape[1:] != (*self.about.image_shape, 3):
            rows, columns = self.about.image_shape
            raise DrawingError(
                f"the picture is {images.shape[2]} x {images.shape[1]}; this run takes {columns} x {rows}"
            )
        return _in_batches(self._code, images)

    def noise(self, count: int, seed: int) -> np.ndarray:
        """(count, z) float32, standard normal, the seed's own: codes of nobody in particular."""
        return np.random.default_rng(seed).standard_normal((count, self.about.z), np.float32)

    def draw(self, z: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
        """G(z, h).

        Args:
            z: (N, z) float32, or (1, z): one code for all.
            heatmaps: (N, h, w) float32, degC.

        Returns:
            (N, 8h, 8w, 3) float32 in [0, 1], RGB, unrounded.

        Raises:
            DrawingError: heatmaps of another size than the model's, or with values that are no numbers.
        """
        if heatmaps.shape[1:] != self.about.heatmap_shape:
            rows, columns = self.about.heatmap_shape
            raise DrawingError(
                f"a heatmap is {heatmaps.shape[2]} x {heatmaps.shape[1]}; this run takes {columns} x {rows}: "
                "crop it as its calibration says"
            )
        if not np.isfinite(heatmaps).all():
            raise DrawingError("a heatmap holds values that are no numbers; read it again, or leave it out")
        z = np.broadcast_to(z, (len(heatmaps), self.about.z))
        return _in_batches(self._draw, z, heatmaps)

    def picture(self, z: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
        """`draw`, rounded to pixels: (N, 8h, 8w, 3) uint8."""
        return np.rint(self.draw(z, heatmaps) * 255).astype(np.uint8)

    @abstractmethod
    def _code(self, images: np.ndarray) -> np.ndarray:
        """`code` of one batch."""

    @abstractmethod
    def _draw(self, z: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
        """`draw` of one batch, as many codes as heatmaps."""


def _in_batches(work: Callable[..., np.ndarray], *arrays: np.ndarray) -> np.ndarray:
    """What the work makes of arrays of equal length, a batch at a time."""
    starts = range(0, max(len(arrays[0]), 1), BATCH)
    return np.concatenate([work(*(array[first : first + BATCH] for array in arrays)) for first in starts])


def load_drawer(path: Path | str, device: str = "auto", threads: int | None = None) -> Drawer:
    """What lies there, ready to draw, by the best runtime that is installed for it.

    Args:
        path: the folder of a finished run, or one that `lrt export` made; SHIPPED: the run that comes with lrt.
        device: torch's name of one, or "auto"; anything but the CPU asks for PyTorch.
        threads: of the CPU; None: as many as the runtime takes by itself.

    Raises:
        DrawingError: nothing to draw with lies there, it is damaged, or no runtime for it is installed.
        RunError, DeviceError: see `drawing.Painter`.
    """
    folder = find_shipped(path)
    if (folder / CARD).is_file():
        from .exported import open_exported

        return open_exported(folder, device, threads)
    if not (folder / "config.json").is_file():
        raise DrawingError(
            f"{path} is neither a run nor an export: there is no config.json and no {CARD}; train one with "
            f"`lrt train`, or give {SHIPPED}, the run that comes with lrt"
        )
    needs_torch(path)
    from .device import pick_device
    from .drawing import Painter

    return Painter(folder, pick_device(device), threads)


def find_shipped(path: Path | str) -> Path:
    """The folder that is meant: SHIPPED is the run that comes with lrt, unless a folder here has that name."""
    if str(path) == SHIPPED and not Path(path).exists():
        return SHIPPED_FOLDER
    return Path(path)


def needs_torch(path: Path | str) -> None:
    """Say in one line what to install where PyTorch is missing.

    Raises:
        DrawingError: it is.
    """
    if find_spec("torch") is None:
        raise DrawingError(
            f"{path} takes PyTorch: pip install 'lrt[train]'; or export it to ONNX where PyTorch is, and draw with "
            "pip install 'lrt[draw]'"
        )
