"""Small clips with known heat, colours and times, made by the real writer, and datasets built from them."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lrt.calibration.geometry import Calibration, write_calibration
from lrt.dataset.build import BuildConfig, BuildReport, build_dataset
from lrt.rig.clip import ClipHeader, ClipWriter
from lrt.rig.records import Heatmap, Image
from lrt.rig.timing.clock import VirtualClock

MS_NS = 1_000_000
START_NS = 5_000 * MS_NS
RIG = {"sensor": {"kind": "amg8833", "rotation": 0, "mirror": False}, "camera": {"kind": "opencv"}}
MakeClip = Callable[..., Path]


def raw_of(clip: int, frame: int) -> np.ndarray:
    """(8, 8) int16, quarter-degrees: neighbours and successive frames differ, 20..27.75 degC."""
    return (80 + (np.arange(64) * 5 + frame * 7 + clip * 3) % 32).reshape(8, 8).astype(np.int16)


def picture_of(clip: int, frame: int) -> np.ndarray:
    """(120, 160, 3) uint8: six by eight squares of 20 px, smooth in colour, so that JPEG keeps them."""
    down, across = np.mgrid[0:6, 0:8]
    squares = np.stack([40 + 25 * across, 40 + 30 * down, np.full((6, 8), 30 + 15 * ((frame + clip) % 12))], -1)
    return cv2.resize(squares.astype(np.uint8), (160, 120), interpolation=cv2.INTER_NEAREST)


@pytest.fixture(scope="session")
def heat_of() -> Callable[[int, int], np.ndarray]:
    """`heat_of(clip, frame)` -> (8, 8) float32, degC: what the sensor of that clip saw."""
    return lambda clip, frame: raw_of(clip, frame).astype(np.float32) / 4


@pytest.fixture(scope="session")
def make_clip() -> MakeClip:
    """`make_clip(root, "kitchen-01", number=1, ...)` -> its folder: heat every 100 ms, a picture `late_ms` after."""

    def make(
        root: Path,
        clip_id: str,
        number: int = 0,
        frames: int = 12,
        late_ms: float = 0,
        skip_images: Sequence[int] = (),
        rig: dict[str, Any] = RIG,
        picture: Callable[[int, int], np.ndarray] = picture_of,
        raw: Callable[[int, int], np.ndarray] = raw_of,
        **tags: Any,
    ) -> Path:
        fields = {"clothing": "red", "lighting": "dim", "occupants": 1, "consent": "P07", **tags}
        header = ClipHeader(clip_id=clip_id, rig=rig, **fields)
        with ClipWriter(root, header, VirtualClock(START_NS)) as writer:
            for frame in range(frames):
                time_ns = START_NS + frame * 100 * MS_NS
                # known to within nothing: the reader's fit has no room to move it
                writer.write_heatmap(Heatmap(time_ns, raw(number, frame), 352, frame, time_ns, time_ns))
                if frame not in skip_images:
                    image_ns = time_ns + round(late_ms * MS_NS)
                    writer.write_image(Image(image_ns, picture(number, frame), frame))
        return writer.folder

    return make


@pytest.fixture(scope="session")
def calibration() -> Calibration:
    """The sensor's pixels are 20 px squares of a 160x120 image: its column 0 at the left edge, row 1 at the top."""
    return Calibration(
        tx=80.0,
        ty=60.0,
        s=20.0,
        offset_ms=0.0,
        tx_sd=0.4,
        ty_sd=0.5,
        s_sd=0.06,
        offset_ms_sd=3.0,
        image_size=(160, 120),
        score=0.8,
        overlap=0.7,
        verdict="PASS",
        advice="",
        masks="test",
        frames=36,
    )


@pytest.fixture(scope="session")
def calibration_path(calibration: Calibration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It, in a file."""
    path = tmp_path_factory.mktemp("calibration") / "calibration.json"
    write_calibration(calibration, path)
    return path


@pytest.fixture(scope="session")
def clips(make_clip: MakeClip, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three clips: kitchen-00 (red, dim), kitchen-01 (blue, bright), kitchen-02 (white, dim, nobody)."""
    root = tmp_path_factory.mktemp("clips")
    return [
        make_clip(root, "kitchen-00", 0),
        make_clip(root, "kitchen-01", 1, clothing="blue", lighting="bright", room="kitchen", tags=["test"]),
        make_clip(root, "kitchen-02", 2, clothing="white", occupants=0),
    ]


@pytest.fixture(scope="session")
def report(clips: list[Path], calibration_path: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildReport:
    """A dataset of the three, kitchen-01 held out."""
    out = tmp_path_factory.mktemp("datasets") / "kitchen"
    return build_dataset(clips, calibration_path, out, BuildConfig(test_clips=("kitchen-01",)))


@pytest.fixture
def copy(report: BuildReport, tmp_path: Path) -> Path:
    """A copy of the dataset, to damage."""
    return Path(shutil.copytree(report.path, tmp_path / "copy"))
