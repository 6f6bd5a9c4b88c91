"""What a finished dataset says of itself: `dataset.json` and the card, from its shards and how they were made."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..calibration.geometry import GRID, Calibration, View, read_calibration
from ..rig.clip import ClipHeader
from .card import render_card
from .croissant import render_croissant
from .info import CALIBRATION_NAME, CARD_NAME, CROISSANT_NAME, ClipInfo, DatasetInfo, PairErrors, write_info
from .schema import DatasetError

HISTOGRAM_BINS = 10
SENSOR_FIELD_DEG = 60.0  # AMG8833 datasheet: viewing angle, typical, over 8 pixels
SENSORS = {
    "amg8833": "AMG8833 on I2C",
    "serial": "thermopile array on a microcontroller (serial)",
    "twin": "AMG8833 as the rig's digital twin plays it",
}
CAMERAS = {"picamera2": "Raspberry Pi camera", "opencv": "camera or video file through OpenCV", "twin": "digital twin"}


def name_devices(header: ClipHeader, calibration: Calibration) -> tuple[str, str]:
    """Sensor and camera of a clip in words, without what would tell one device from another of its kind."""
    sensor, camera = (str(header.rig.get(device, {}).get("kind", "unknown")) for device in ("sensor", "camera"))
    width, height = calibration.image_size
    return SENSORS.get(sensor, sensor), f"{CAMERAS.get(camera, camera)}, {width}x{height}"


def find_field_of_view(view: View) -> tuple[float, float]:
    """(width, height) of a view, degrees, from the sensor's nominal field."""
    rows, columns = view.shape
    cell_deg = SENSOR_FIELD_DEG / GRID * view.cell / view.calibration.s
    return round(columns * cell_deg, 2), round(rows * cell_deg, 2)


def measure_pair_errors(folder: Path, clips: Sequence[ClipInfo], max_gap_ms: float) -> PairErrors:
    """How far apart heat and picture are, from the finished shards: four bytes a pair in memory.

    Args:
        folder: the dataset's.
        max_gap_ms: where the histogram ends.

    Raises:
        DatasetError: a shard that cannot be read.
    """
    columns = []
    for clip in clips:
        try:
            columns.append(pq.read_table(folder / clip.shard, columns=["dt_ms"]).column(0).to_numpy())
        except (pa.ArrowException, OSError) as error:
            raise DatasetError(f"{folder / clip.shard}: damaged; build the dataset again") from error
    errors_ms = np.concatenate(columns)
    edges_ms = np.linspace(-max_gap_ms, max_gap_ms, HISTOGRAM_BINS + 1)
    counts, _ = np.histogram(np.clip(errors_ms, -max_gap_ms, max_gap_ms), edges_ms)
    p50, p95, worst = (round(float(each), 3) for each in np.percentile(np.abs(errors_ms), (50, 95, 100)))
    return PairErrors(p50, p95, worst, tuple(edges_ms.tolist()), tuple(counts.tolist()))


def write_description(info: DatasetInfo, folder: Path) -> None:
    """Write the card, `croissant.json` and `dataset.json` beside the shards, and the calibration if there is one.

    Raises:
        OSError: the disk refuses.
    """
    path = folder / CALIBRATION_NAME
    calibration = read_calibration(path) if path.exists() else None
    (folder / CARD_NAME).write_text(render_card(info, calibration), encoding="utf-8")
    (folder / CROISSANT_NAME).write_text(render_croissant(info), encoding="utf-8")
    write_info(info, folder)
