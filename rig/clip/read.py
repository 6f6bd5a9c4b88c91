"""Reading a clip: the records that the rig yielded, in the order of their time."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..records import Event, Heatmap, Image, Pair
from ..timing.pairing import pair_nearest
from ..timing.stamps import fit_stamps
from .compressed import decode_message, decode_pixels
from .header import FINISHED, HEADER_NAME, LOG_NAME, RECOVERED, ClipError, ClipHeader
from .log import EVENTS, RGB, THERMAL, Entry, decode_event, decode_heatmap, read_data, read_index

_MS_NS = 1_000_000


class Clip:
    """A whole clip, every CRC of it right; made by `open_clip`. The images stay on disk until they are asked for.

    Attributes:
        folder: where it lies.
        header: its clip.json.
        image_times_ns: (M,) int64, ascending.
        image_sequences: (M,) int64, the camera's count of them; a jump is an image that was missed.
    """

    def __init__(self, folder: Path, header: ClipHeader, entries: list[Entry]) -> None:
        self.folder = folder
        self.header = header
        by_topic: dict[str, list[Entry]] = {RGB: [], THERMAL: [], EVENTS: []}
        for entry in entries:
            by_topic[entry.topic].append(entry)
        self._images = sorted(by_topic[RGB], key=lambda entry: entry.time_ns)
        self.image_times_ns = np.array([entry.time_ns for entry in self._images], np.int64)
        self.image_sequences = np.array([entry.sequence for entry in self._images], np.int64)
        self._thermal = sorted(by_topic[THERMAL], key=lambda entry: entry.sequence)
        with (folder / LOG_NAME).open("rb") as file:
            heatmaps = [decode_heatmap(read_data(file, entry)) for entry in self._thermal]
            self._events = [decode_event(read_data(file, entry)) for entry in by_topic[EVENTS]]
        stamps_ns = fit_stamps(
            np.array([heatmap.sequence for heatmap in heatmaps], np.int64),
            np.array([heatmap.earliest_ns for heatmap in heatmaps], np.int64),
            np.array([heatmap.latest_ns for heatmap in heatmaps], np.int64),
        )
        self._heatmaps = [
            replace(heatmap, timestamp_ns=int(stamp)) for heatmap, stamp in zip(heatmaps, stamps_ns, strict=True)
        ]

    def heatmaps(self) -> list[Heatmap]:
        """Every heatmap, in the sensor's own order of pixels, its timestamp_ns fitted (timing/stamps.py)."""
        return list(self._heatmaps)

    @property
    def heat_times_ns(self) -> np.ndarray:
        """(N,) int64, ns: the heatmaps' fitted stamps."""
        return np.array([heatmap.timestamp_ns for heatmap in self._heatmaps], np.int64)

    def oriented(self, celsius: np.ndarray) -> np.ndarray:
        """Heatmaps turned and mirrored as the rig's settings say the sensor is mounted.

        Args:
            celsius: (..., 8, 8), any unit, the sensor's own order.

        Returns:
            A view of the same shape, upright as the camera sees the scene.
        """
        sensor = self.header.rig.get("sensor", {})
        return orient(celsius, sensor.get("rotation", 0), sensor.get("mirror", False))

    def image(self, index: int) -> Image:
        """The image at a position of `image_times_ns`, decoded.

        Raises:
            IndexError: there is none.
            ClipError: it cannot be decoded.
        """
        entry = self._images[index]
        try:
            pixels = decode_pixels(self._message(index))
        except ValueError as error:
            raise ClipError(f"clip {self.header.clip_id}: image {index}: {error}") from error
        return Image(entry.time_ns, pixels, entry.sequence)

    def jpeg(self, index: int) -> bytes:
        """The file of the image at a position of `image_times_ns`, as it was recorded.

        Raises:
            IndexError: there is none.
            ClipError: its message holds none.
        """
        try:
            return decode_message(self._message(index))
        except ValueError as error:
            raise ClipError(f"clip {self.header.clip_id}: image {index}: {error}") from error

    @property
    def image_bytes(self) -> np.ndarray:
        """(M,) int64: how long each image's message is; its stamp takes up to ten bytes of it, the rest is the JPEG."""
        return np.array([entry.length for entry in self._images], np.int64)

    @property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """(N,) and (M,) int64: where heatmaps and images stand in the file, which is the order in which they came."""
        heat, images = ([entry.offset for entry in entries] for entries in (self._thermal, self._images))
        return np.array(heat, np.int64), np.array(images, np.int64)

    def pair_index(self, max_gap_ms: float, offset_ms: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which image goes with which heatmap.

        Args:
            max_gap_ms: heatmaps whose nearest image is further off have no pair.
            offset_ms: image time + offset = heatmap time.

        Returns:
            heat_index, image_index, error_ns: as `timing.pairing.pair_nearest` gives them.
        """
        return pair_nearest(
            self.heat_times_ns, self.image_times_ns, round(max_gap_ms * _MS_NS), round(offset_ms * _MS_NS)
        )

    def pairs(self, max_gap_ms: float, offset_ms: float = 0.0) -> Iterator[Pair]:
        """The pairs of `pair_index`, one at a time, images decoded on the way."""
        heat_index, image_index, _ = self.pair_index(max_gap_ms, offset_ms)
        for heat, image in zip(heat_index, image_index, strict=True):
            yield Pair(self._heatmaps[heat], self.image(int(image)))

    def events(self) -> list[Event]:
        """What happened while it was recorded."""
        return list(self._events)

    def _message(self, index: int) -> bytes:
        with (self.folder / LOG_NAME).open("rb") as file:
            return read_data(file, self._images[index])

    @property
    def sha256(self) -> str:
        """Of clip.mcap, hexadecimal, as the header has it."""
        return self.header.sha256 or ""


def open_clip(folder: Path) -> Clip:
    """The clip in a folder, read once from end to end and found whole.

    Raises:
        ClipError: it is missing, cut, damaged, or no clip; one line that says what to do.
    """
    folder = Path(folder)
    header = ClipHeader.read(folder)
    name = f"clip {folder.name}"
    if header.state not in (FINISHED, RECOVERED):
        raise ClipError(f"{name} was cut short while recording; `lrt clips recover {folder}` mends it")
    try:
        index = read_index(folder / LOG_NAME)
    except OSError as error:
        raise ClipError(f"{name}: {LOG_NAME} cannot be read ({error.strerror})") from error
    if index.problem is not None:
        raise ClipError(f"{name}: {LOG_NAME} is damaged: {index.problem}; `lrt clips recover {folder}`")
    found = count_entries(index.entries)
    if found != header.counts:
        raise ClipError(f"{name}: {LOG_NAME} holds {found}, {HEADER_NAME} says {header.counts}; restore a copy")
    return Clip(folder, header, index.entries)


def orient(celsius: np.ndarray, rotation: int, mirror: bool) -> np.ndarray:
    """(..., 8, 8) heatmaps turned clockwise by `rotation` degrees (0, 90, 180, 270), then mirrored left to right."""
    turned = np.rot90(celsius, k=-(rotation // 90), axes=(-2, -1))
    return turned[..., ::-1] if mirror else turned


def count_entries(entries: list[Entry]) -> dict[str, int]:
    """`heatmaps`, `images` and `events` among a log's entries, as the header counts them."""
    topics = [entry.topic for entry in entries]
    return {"heatmaps": topics.count(THERMAL), "images": topics.count(RGB), "events": topics.count(EVENTS)}
