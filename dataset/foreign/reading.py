"""Clips of the authors' layout, read: a folder of PNG each, or all of them shuffled in two .npy files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from ..schema import DatasetError
from .layout import HEAT, LEVELS, RGB, Layout, to_levels

SHUFFLED_ID = "shuffled"  # of the one stand-in clip that shuffled arrays make
ROWS_AT_ONCE = 1000
TOLERANCE = 1e-3  # by which a float may leave -1..1, for what wrote it may have rounded


class Source(Protocol):
    """A clip to be read."""

    @property
    def clip_id(self) -> str:
        """Its name."""
        ...

    def read_heat(self, coldest_c: float, warmest_c: float) -> np.ndarray:
        """(N, h, w) float32, degC.

        Args:
            coldest_c, warmest_c: what the lowest and the highest value stand for, degC.
        """
        ...

    def read_images(self) -> Iterator[np.ndarray]:
        """N pictures, each (H, W, 3) uint8, RGB."""
        ...


def find_sources(folder: Path, layout: Layout, heat: str = "") -> Sequence[Source]:
    """The clips in a folder, in the order of their names; one stand-in, where all there is are shuffled arrays.

    Args:
        heat: name of the heat's folder or array, without its ending; the layout's usual one by default.

    Raises:
        DatasetError: the folder does not have this layout, or a picture or a heatmap lacks its other half.
    """
    if (folder / RGB).is_dir() and (folder / (heat or HEAT)).is_dir():
        return list(_find_clips(folder, layout, heat or HEAT))
    rgb_path, heat_path = folder / layout.rgb_array, folder / (f"{heat}.npy" if heat else layout.heat_array)
    if rgb_path.is_file() and heat_path.is_file():
        return [ShuffledArrays(rgb_path, heat_path, layout)]
    holds = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) if folder.is_dir() else "no such folder"
    raise DatasetError(
        f"{folder}: not the layout {layout.name}, which is the folders {RGB} and {heat or HEAT}, or the files "
        f"{rgb_path.name} and {heat_path.name}; found {holds or 'nothing'}"
    )


def _find_clips(folder: Path, layout: Layout, heat: str) -> Iterator["ClipFolder"]:
    """Every clip, its files seen to be paired."""
    rgb_clips, heat_clips = ({path.name for path in (folder / side).iterdir() if path.is_dir()} for side in (RGB, heat))
    if not rgb_clips:
        raise DatasetError(f"{folder / RGB}: holds no folder of a clip")
    for clip_id in sorted(rgb_clips ^ heat_clips):
        has, lacks = (RGB, heat) if clip_id in rgb_clips else (heat, RGB)
        raise DatasetError(f"{folder / has / clip_id}: there is no {lacks}/{clip_id} to go with it")
    for clip_id in sorted(rgb_clips):
        rgb_folder, heat_folder = folder / RGB / clip_id, folder / heat / clip_id
        rgb_names, heat_names = _list_names(rgb_folder), _list_names(heat_folder)
        if rgb_names != heat_names:
            lone = sorted(set(rgb_names) ^ set(heat_names), key=len)[0]
            raise DatasetError(
                f"{rgb_folder}: {len(rgb_names)} pictures, but {len(heat_names)} heatmaps in {heat}/{clip_id}; "
                f"{lone} has no other half"
            )
        yield ClipFolder(clip_id, rgb_folder, heat_folder, rgb_names, layout)


def _list_names(folder: Path) -> list[str]:
    """`0.png`, `1.png`, ..., by number."""
    names = [path.name for path in folder.glob("*.png")]
    for name in names:
        if not name.removesuffix(".png").isdecimal():
            raise DatasetError(f"{folder / name}: frames are named by number, as 0.png")
    if not names:
        raise DatasetError(f"{folder}: holds no PNG")
    return sorted(names, key=lambda name: int(name.removesuffix(".png")))


@dataclass(frozen=True)
class ClipFolder:
    """A clip in its two folders of PNG."""

    clip_id: str
    rgb_folder: Path
    heat_folder: Path
    names: list[str]
    layout: Layout

    def read_heat(self, coldest_c: float, warmest_c: float) -> np.ndarray:
        """See `Source`.

        Raises:
            DatasetError: a PNG that does not decode, or is not of the layout's size or of 8 bits.
        """
        levels = np.empty((len(self.names), *self.layout.heatmap_shape), np.float32)
        for number, name in enumerate(self.names):
            decoded = _decode(self.heat_folder / name, self.layout.heatmap_shape, self.layout)
            levels[number] = decoded if decoded.ndim == 2 else decoded[..., 0]
        return coldest_c + levels / LEVELS * (warmest_c - coldest_c)

    def read_images(self) -> Iterator[np.ndarray]:
        """See `Source`.

        Raises:
            DatasetError: as `read_heat`.
        """
        for name in self.names:
            path = self.rgb_folder / name
            decoded = _decode(path, self.layout.image_shape, self.layout)
            if decoded.ndim != 3 or decoded.shape[2] != 3:
                raise DatasetError(f"{path}: not a picture of three channels")
            yield cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def _decode(path: Path, shape: tuple[int, int], layout: Layout) -> np.ndarray:
    """A PNG as OpenCV has it, seen to be of this size and of 8 bits."""
    decoded = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise DatasetError(f"{path}: cannot be decoded as PNG; copy it again, or take the pair out")
    if decoded.shape[:2] != shape:
        (height, width), (rows, columns) = decoded.shape[:2], shape
        raise DatasetError(f"{path}: is {width}x{height}, where {layout.name} has {columns}x{rows}")
    if decoded.dtype != np.uint8:
        raise DatasetError(f"{path}: has {8 * decoded.dtype.itemsize} bits a channel, where {layout.name} has 8")
    return decoded


class ShuffledArrays:
    """All pairs in two arrays, whose order tells nothing: a stand-in for a clip.

    Args:
        rgb_path, heat_path: the two files.

    Raises:
        DatasetError: a file that is no array, or arrays that do not fit together or the layout.
    """

    clip_id = SHUFFLED_ID

    def __init__(self, rgb_path: Path, heat_path: Path, layout: Layout) -> None:
        self._layout = layout
        self._rgb_path, self._heat_path = rgb_path, heat_path
        self._rgb = _open_array(rgb_path, (*layout.image_shape, 3), layout)
        self._heat = _open_array(heat_path, (*layout.heatmap_shape, 1), layout)
        if len(self._rgb) != len(self._heat):
            raise DatasetError(
                f"{rgb_path}: {len(self._rgb)} pictures, but {len(self._heat)} heatmaps in {heat_path.name}"
            )

    def read_heat(self, coldest_c: float, warmest_c: float) -> np.ndarray:
        """See `Source`."""
        share = np.concatenate([(part + 1) / 2 for part in self._read_floats(self._heat, self._heat_path)])
        return coldest_c + share[..., 0] * np.float32(warmest_c - coldest_c)

    def read_images(self) -> Iterator[np.ndarray]:
        """See `Source`."""
        for part in self._read_floats(self._rgb, self._rgb_path):
            images = to_levels(part)
            yield from np.ascontiguousarray(images[..., ::-1] if self._layout.channels == "bgr" else images)

    def _read_floats(self, array: np.ndarray, path: Path) -> Iterator[np.ndarray]:
        """(n, ..., channels) float32, in -1..1, some rows at a time: the file may be larger than memory."""
        for start in range(0, len(array), ROWS_AT_ONCE):
            part = np.asarray(array[start : start + ROWS_AT_ONCE], np.float32)
            if not np.abs(part).max() <= 1 + TOLERANCE:  # so that NaN is refused too
                raise DatasetError(f"{path}: holds {part.flat[np.abs(part).argmax()]:g}, where floats lie in -1..1")
            yield part


def _open_array(path: Path, shape: tuple[int, ...], layout: Layout) -> np.ndarray:
    """The array of a .npy file, not in memory, seen to be of the layout's shape."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{path}: not an array that can be read ({error})") from error
    if array.ndim != 4 or array.shape[1:] != shape or not len(array) or array.dtype.kind != "f":
        found, wanted = (" x ".join(map(str, sizes)) for sizes in (array.shape, ("N", *shape)))
        raise DatasetError(f"{path}: {array.dtype} of {found}, where {layout.name} has floats of {wanted}")
    return array
