"""What draws, with the crop that its heat takes and the pictures that dress it: as `lrt live` and a page ask for it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..calibration.geometry import Calibration, View, find_view, read_calibration
from ..model.drawer import CARD, SHIPPED, SHIPPED_FOLDER, About, Drawer, load_drawer
from .pictures import read_image
from .results import PAIR_GAP_MS, Result, StageError

if TYPE_CHECKING:
    from ..model.live import LiveDrawer

SOURCES = SHIPPED_FOLDER / "sources"  # pictures of the twin


@dataclass(frozen=True, eq=False)
class Drawing:
    """A drawer, and how heat and pictures of the rig are cut for it.

    Attributes:
        drawer: what draws.
        view: what part of heatmap and image it takes.
    """

    drawer: Drawer
    view: View

    @property
    def about(self) -> About:
        """What draws, and where it comes from."""
        return self.drawer.about

    @property
    def runtime(self) -> str:
        """What computes, with its version."""
        return self.drawer.runtime

    def source(self, name: str | Path) -> np.ndarray:
        """The picture that is meant, of the drawer's size.

        Args:
            name: a picture file; a clip's folder, whose frame with the warmest person is taken; a name of
                `list_sources`, or SHIPPED, the first of them.

        Returns:
            (8h, 8w, 3) uint8, RGB.

        Raises:
            StageError: nothing is called so, or it is a picture of another size.
            ClipError: a clip that is cut or damaged.
        """
        path = Path(name)
        if path.is_dir():
            return self._of_clip(path)
        if path.is_file():
            return self.fit(read_image(path), str(path))
        shipped = list_sources()
        wanted = shipped[0] if str(name) == SHIPPED and shipped else str(name)
        if wanted not in shipped:
            raise StageError(
                f"source {name}: no such picture or clip, nor one of those that come with lrt: {', '.join(shipped)}"
            )
        return self.fit(read_image(SOURCES / f"{wanted}.png"), wanted)

    def fit(self, pixels: np.ndarray, found_in: str) -> np.ndarray:
        """A picture as the drawer takes it: of its size already, or a whole frame of the calibrated camera, cropped.

        Args:
            pixels: (H, W, 3) uint8, RGB.
            found_in: where it is from, for messages.

        Returns:
            (8h, 8w, 3) uint8, RGB.

        Raises:
            StageError: it is of neither size.
        """
        rows, columns = self.about.image_shape
        if pixels.shape[:2] == (rows, columns):
            return pixels
        width, height = self.view.calibration.image_size
        if (pixels.shape[1], pixels.shape[0]) != (width, height):
            raise StageError(
                f"{found_in}: the picture is {pixels.shape[1]}x{pixels.shape[0]}; a source is {columns}x{rows}, or a "
                f"whole frame of the calibrated camera, {width}x{height}"
            )
        return self.view.crop_image(pixels, rows // self.view.shape[0])

    def live(self, source: np.ndarray) -> "LiveDrawer":
        """Ready to draw from the sensor's heat.

        Args:
            source: of `source` or `fit`.
        """
        from ..model.live import LiveDrawer

        return LiveDrawer(self.drawer, self.view.sample_heatmap, source)

    def _of_clip(self, folder: Path) -> np.ndarray:
        """The image of a clip that goes with the heatmap whose warmest pixel stands out most: somebody is in view."""
        from ..rig.clip import open_clip

        clip = open_clip(folder)
        heat_index, image_index, _ = clip.pair_index(PAIR_GAP_MS)
        if len(heat_index) == 0:
            raise StageError(f"{folder}: the clip has no picture beside a heatmap; give another source")
        found = clip.heatmaps()
        celsius = self.view.sample_heatmap(clip.oriented(np.stack([found[int(k)].celsius for k in heat_index])))
        warmth = celsius.max(axis=(1, 2)) - np.median(celsius, axis=(1, 2))
        return self.fit(clip.image(int(image_index[int(warmth.argmax())])).pixels, str(folder))


def open_drawing(
    model: str | Path, calibration: Path | None = None, device: str = "auto", threads: int | None = None
) -> Drawing:
    """What draws, ready.

    Args:
        model: a finished run, an export, or SHIPPED.
        calibration: of the rig whose heat will be drawn; None: the one that the run's data was cut with, which is right
            for the rig it was recorded with.
        device, threads: as of `load_drawer`.

    Raises:
        DrawingError, RunError, DeviceError, CalibrationError: see there.
        StageError: there is no calibration.
    """
    drawer = load_drawer(model, device, threads)
    if calibration is not None:
        chosen = read_calibration(calibration)
    elif drawer.about.calibration is not None:
        chosen = Calibration.from_json(drawer.about.calibration)
    else:
        raise StageError(
            f"{model}: it carries no calibration, and heat cannot be cut to its pictures; give --calibration FILE, or "
            "train on a dataset that `lrt build-dataset` made"
        )
    return Drawing(drawer, find_view(chosen, drawer.about.heatmap_shape))


def list_sources() -> list[str]:
    """The names of the pictures that come with lrt, the best first."""
    return sorted((path.stem for path in SOURCES.glob("*.png")), key=lambda name: (name != "red-bright", name))


def list_models(folder: Path = Path("runs")) -> list[Result]:
    """What could draw: the run that comes with lrt, then the finished runs and the exports in a folder.

    Returns:
        name, path (what `open_drawing` takes), says (a line about it), available, why (not; else None) of each.
    """
    found = [_describe(SHIPPED, SHIPPED_FOLDER, SHIPPED)]
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if (path / CARD).is_file() or (path / "config.json").is_file():
            found.append(_describe(path.name, path, str(path)))
    return found


def _describe(name: str, folder: Path, path: str) -> Result:
    """One of them, without opening it."""
    why = _why_not(folder)
    try:
        saved = json.loads(next(p for p in (folder / CARD, folder / "config.json") if p.is_file()).read_text())
        about: dict[str, Any] = saved.get("about") or {"model": saved["model"], "synthetic": saved["synthetic"]}
        says = f"{about['model']}, trained on " + ("the twin: it shows nobody" if about["synthetic"] else "people")
    except (OSError, ValueError, KeyError, StopIteration):
        says, why = "cannot be read", why or "its card cannot be read"
    return {"name": name, "path": path, "says": says, "available": why is None, "why": why}


def _why_not(folder: Path) -> str | None:
    """Why it cannot be drawn with here; None when it can."""
    from importlib.util import find_spec

    from ..model.drawer import DrawingError
    from ..model.exported import READERS, read_card

    if (folder / CARD).is_file():
        try:
            formats = [form.format for form in read_card(folder).forms]
        except DrawingError as error:
            return str(error)
        readers = {reader for format in formats for reader in READERS[format]}
        if any(find_spec(reader) for reader in readers):
            return None
        return "no runtime for it is installed: pip install 'lrt[draw]', or 'lrt[train]'"
    if not (folder / "inversion.safetensors").is_file():
        return "its training is not finished"
    return None if find_spec("torch") else "it takes PyTorch: pip install 'lrt[train]'"
