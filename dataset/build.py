"""From clips and a calibration to a dataset: one Parquet shard a clip, a card, and what it was built from.

A clip makes its shard by itself, so clips can be built in any order, on any machine. The folder is made beside its
name and renamed when whole; the same clips give the same bytes.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .. import __version__
from ..calibration.geometry import GRID, Calibration, View, find_view, read_calibration
from ..rig.clip import ClipHeader, open_clip
from .card import render_card
from .info import CALIBRATION_NAME, CARD_NAME, DATA_NAME, ClipInfo, DatasetInfo, PairErrors, read_info, write_info
from .loading import COLDEST_C, WARMEST_C
from .place import new_folder
from .schema import DatasetError, make_schema, store_grids, store_images
from .splits import choose_test_clips
from .tags import CLOTHING, LIGHTING, VOCABULARY_VERSION, TagError, check_tags

ROWS_PER_GROUP = 1000  # about 6 MB of pictures in memory at a time
HISTOGRAM_BINS = 10
SENSOR_FIELD_DEG = 60.0  # AMG8833 datasheet: viewing angle, typical, over 8 pixels
SENSORS = {
    "amg8833": "AMG8833 on I2C",
    "serial": "thermopile array on a microcontroller (serial)",
    "twin": "AMG8833 as the rig's digital twin plays it",
}
CAMERAS = {"picamera2": "Raspberry Pi camera", "opencv": "camera or video file through OpenCV", "twin": "digital twin"}
TOO_FAR = "no picture near enough in time"


@dataclass(frozen=True)
class BuildConfig:
    """How a dataset is cut, paired and split."""

    shape: tuple[int, int] = (5, 8)  # heatmap rows, columns; the paper's. (12, 16) in PAIR-LRT-Human
    upscale: int = 8  # picture pixels along a heatmap cell; the generators' three doublings
    max_gap_ms: float = 50.0  # half the sensor's period at 10 Hz: further away another heatmap is nearer
    test_fraction: float = 0.1  # of the clips, held out when none is named
    test_clips: tuple[str, ...] = ()  # ids of the clips held out; empty: by `test_fraction`

    def __post_init__(self) -> None:
        if len(self.shape) != 2 or min(self.shape) < 1 or self.upscale < 1:
            raise DatasetError(f"shape {self.shape} and upscale {self.upscale}: give whole numbers of 1 or more")
        if not self.max_gap_ms > 0:
            raise DatasetError(f"max gap is {self.max_gap_ms} ms; give more than 0")
        if not 0 <= self.test_fraction < 1:
            raise DatasetError(f"test fraction is {self.test_fraction}; give 0 or more and less than 1")


@dataclass(frozen=True)
class BuildReport:
    """What a build made.

    Attributes:
        path: the dataset's folder.
        info: everything that `dataset.json` says, among it `pairs`, `splits` and `left_out`.
    """

    path: Path
    info: DatasetInfo


def build_dataset(
    clips: Sequence[Path],
    calibration: Path,
    out: Path,
    config: BuildConfig | None = None,
    *,
    replace: bool = False,
    on_progress: Callable[[float, float], None] | None = None,
) -> BuildReport:
    """Build a dataset and say what is in it.

    Args:
        clips: folders of finished clips, all of the rig that was calibrated; their order does not matter.
        calibration: `calibration.json`; a copy goes into the dataset.
        out: the folder to make; `<out>.partial` stands while it is being built.
        config: how to cut, pair and split; the paper's way by default.
        replace: take the place of a dataset of ours that stands there.
        on_progress: called with clips done and clips in all.

    Raises:
        DatasetError: no clips, an id twice, clips that do not belong together, no consent, a clip without a single
            pair, or something else where the dataset should go.
        CalibrationError: no calibration, or one for images of another size.
        ClipError: a clip that is missing, unfinished or damaged.
        TagError: a tag that the vocabulary does not know.
    """
    config = config or BuildConfig()
    fitted = read_calibration(calibration)
    view = find_view(fitted, config.shape)
    found = _read_headers(clips, fitted)
    test = choose_test_clips(list(found), config.test_fraction, config.test_clips)
    splits = ["test" if clip_id in test else "train" for clip_id in found]
    calibration_bytes = calibration.read_bytes()
    calibration_id = hashlib.sha256(calibration_bytes).hexdigest()

    made: list[ClipInfo] = []
    errors_ms: list[np.ndarray] = []
    with new_folder(out, replace) as folder:
        (folder / DATA_NAME).mkdir()
        for number, ((clip, _), split) in enumerate(zip(found.values(), splits, strict=True)):
            shard = f"{DATA_NAME}/{split}-{splits[:number].count(split):05d}-of-{splits.count(split):05d}.parquet"
            clip_info, clip_errors_ms = build_shard(clip, split, folder, shard, view, config, calibration_id)
            made.append(clip_info)
            errors_ms.append(clip_errors_ms)
            if on_progress:
                on_progress(number + 1, len(found))
        header = next(iter(found.values()))[1]
        info = _describe(header, made, np.concatenate(errors_ms), view, config, calibration_id)
        (folder / CALIBRATION_NAME).write_bytes(calibration_bytes)
        (folder / CARD_NAME).write_text(render_card(info, fitted), encoding="utf-8")
        write_info(info, folder)
    return BuildReport(path=out, info=read_info(out))


def build_shard(
    clip: Path, split: str, folder: Path, shard: str, view: View, config: BuildConfig, calibration_id: str
) -> tuple[ClipInfo, np.ndarray]:
    """Write one clip's shard.

    Args:
        clip: the clip's folder.
        folder, shard: the dataset's folder, and the file's path inside it.

    Returns:
        What is in the shard, and (pairs,) float32, ms: how much later each picture is than its heatmap.

    Raises:
        ClipError: the clip is unfinished or damaged.
        DatasetError: not one heatmap has a picture near enough.
    """
    recording = open_clip(clip)
    header = recording.header
    heat_index, image_index, errors_ns = recording.pair_index(config.max_gap_ms, view.calibration.offset_ms)
    heatmaps, times_ns = recording.heatmaps(), recording.heat_times_ns
    count = len(heat_index)
    if not count:
        raise DatasetError(
            f"{clip}: none of its {len(heatmaps)} heatmaps has a picture within {config.max_gap_ms:g} ms; "
            "leave the clip out, or look at it with `lrt clips show`"
        )
    full_c = np.stack([recording.oriented(heatmaps[index].celsius) for index in heat_index])
    heat_c = view.sample_heatmap(full_c)
    errors_ms = (errors_ns / 1e6).astype(np.float32)
    schema = make_schema(config.shape)
    columns = {
        "heatmap": store_grids(heat_c),
        "heatmap_full": store_grids(full_c),
        "clip_id": pa.array([header.clip_id] * count),
        "frame": pa.array(np.arange(count, dtype=np.int32)),
        "t_ns": pa.array(times_ns[heat_index] - times_ns[0]),
        "dt_ms": pa.array(errors_ms),
        "clothing": pa.array(np.full(count, CLOTHING.index(header.clothing), np.int64)),
        "lighting": pa.array(np.full(count, LIGHTING.index(header.lighting), np.int64)),
        "occupants": pa.array(np.full(count, header.occupants, np.int16)),
        "calibration_id": pa.array([calibration_id] * count),
        "synthetic": pa.array([header.synthetic] * count),
    }
    with (folder / shard).open("wb") as file, _open_shard(file, schema) as writer:
        for start in range(0, count, ROWS_PER_GROUP):
            rows = slice(start, start + ROWS_PER_GROUP)
            images = (recording.image(int(index)).pixels for index in image_index[rows])
            pngs = [encode_png(view.crop_image(pixels, config.upscale)) for pixels in images]
            group = {name: column[rows] for name, column in columns.items()}
            writer.write_table(pa.Table.from_pydict({"rgb": store_images(pngs), **group}, schema=schema))
    made = ClipInfo(
        clip_id=header.clip_id,
        split=split,
        shard=shard,
        sha256=recording.sha256,
        clothing=header.clothing,
        lighting=header.lighting,
        occupants=header.occupants,
        synthetic=header.synthetic,
        heatmaps=len(heatmaps),
        pairs=count,
        left_out={TOO_FAR: len(heatmaps) - count},
        pair_error_ms_p95=_percentile(errors_ms, 95),
        coldest_c=round(float(heat_c.min()), 3),
        warmest_c=round(float(heat_c.max()), 3),
        saturated=round(float(((heat_c < COLDEST_C) | (heat_c > WARMEST_C)).mean()), 6),
    )
    return made, errors_ms


def _open_shard(file: BinaryIO, schema: pa.Schema) -> pq.ParquetWriter:
    """A Parquet writer with every choice pinned that changes the bytes, as defaults change between versions."""
    return pq.ParquetWriter(
        file,
        schema,
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=3,
        write_page_checksum=True,  # a bit that turns on a card or a copy is an error, not a wrong picture
        # pictures do not repeat
        use_dictionary=["clip_id", "calibration_id"],  # pyright: ignore[reportArgumentType]: the stub knows bool alone
    )


def encode_png(pixels: np.ndarray) -> bytes:
    """A PNG file of (H, W, 3) uint8 RGB."""
    # OpenCV's own level and filter: the smallest of those measured, and the fastest
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


def _percentile(errors_ms: np.ndarray, percent: float) -> float:
    return round(float(np.percentile(np.abs(errors_ms), percent)), 3)


def _read_headers(folders: Sequence[Path], calibration: Calibration) -> dict[str, tuple[Path, ClipHeader]]:
    """{clip id: folder and header} in the order of the ids, all looked at before any work is done."""
    if not folders:
        raise DatasetError("no clips; name at least one folder that `lrt capture` made")
    found: dict[str, tuple[Path, ClipHeader]] = {}
    for folder in folders:
        header = ClipHeader.read(folder)
        if header.clip_id in found:
            other = found[header.clip_id][0]
            raise DatasetError(f"{folder}: clip id {header.clip_id} is also that of {other}; give each clip once")
        found[header.clip_id] = (folder, header)
        try:
            check_tags(header.clothing, header.lighting, header.occupants)
        except TagError as error:
            raise TagError(f"{folder}: {error}") from error
        if header.image_size is not None:  # else it is cut, or has no pictures: said when it is opened
            calibration.check_image_size(header.image_size, str(folder))
        if calibration.synthetic != header.synthetic:
            made_by, fitted_on = ("the twin", "a real rig") if header.synthetic else ("a real rig", "the twin")
            raise DatasetError(
                f"{folder}: recorded by {made_by}, but the calibration was made on {fitted_on}; run `lrt calibrate` "
                "on clips of the same rig"
            )
        first_folder, first = next(iter(found.values()))
        if _mounting(header) != _mounting(first):
            raise DatasetError(
                f"{folder} and {first_folder} come from different rigs ({_mounting(header)} and {_mounting(first)}); "
                "calibrate each and build a dataset of each"
            )
    return dict(sorted(found.items()))


def _mounting(header: ClipHeader) -> str:
    """What of the rig's settings a calibration rests on, in words."""
    sensor, camera = header.rig.get("sensor", {}), header.rig.get("camera", {})
    mirrored = ", mirrored" if sensor.get("mirror") else ""
    kinds = f"sensor {sensor.get('kind', 'unknown')}, camera {camera.get('kind', 'unknown')}"
    return f"{kinds}, turned by {sensor.get('rotation', 0)} degrees{mirrored}"


def _describe(
    header: ClipHeader,
    made: Sequence[ClipInfo],
    errors_ms: np.ndarray,
    view: View,
    config: BuildConfig,
    calibration_id: str,
) -> DatasetInfo:
    """Everything that `dataset.json` says."""
    rows, columns = config.shape
    width, height = view.calibration.image_size
    sensor, camera = (str(header.rig.get(device, {}).get("kind", "unknown")) for device in ("sensor", "camera"))
    edges_ms = np.linspace(-config.max_gap_ms, config.max_gap_ms, HISTOGRAM_BINS + 1)
    counts, _ = np.histogram(np.clip(errors_ms, -config.max_gap_ms, config.max_gap_ms), edges_ms)
    cell_deg = SENSOR_FIELD_DEG / GRID * view.cell / view.calibration.s
    return DatasetInfo(
        clips=tuple(made),
        heatmap_shape=config.shape,
        image_shape=(rows * config.upscale, columns * config.upscale),
        field_of_view_deg=(round(columns * cell_deg, 2), round(rows * cell_deg, 2)),
        view={"x": view.x, "y": view.y, "cell": view.cell},
        sensor=SENSORS.get(sensor, sensor),
        camera=f"{CAMERAS.get(camera, camera)}, {width}x{height}",
        pair_errors=PairErrors(
            p50_ms=_percentile(errors_ms, 50),
            p95_ms=_percentile(errors_ms, 95),
            worst_ms=_percentile(errors_ms, 100),
            edges_ms=tuple(float(edge) for edge in edges_ms),
            counts=tuple(int(count) for count in counts),
        ),
        calibration_id=calibration_id,
        config=asdict(config),
        synthetic=any(clip.synthetic for clip in made),
        versions={
            "lrt": __version__,
            "vocabulary": str(VOCABULARY_VERSION),
            "opencv": cv2.__version__,  # writes the PNG
            "pyarrow": pa.__version__,  # writes the Parquet
        },
    )
