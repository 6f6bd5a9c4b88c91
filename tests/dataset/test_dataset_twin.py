"""From the twin through the recorder into a dataset: the heat must lie over the person."""

import threading

import numpy as np
import pytest

from lrt.calibration.geometry import Calibration, write_calibration
from lrt.dataset.build import BuildConfig, BuildReport, build_dataset
from lrt.dataset.loading import load_pairs
from lrt.rig.clip import ClipHeader
from lrt.rig.settings import CameraSettings, RigSettings, SensorSettings, TwinScene, open_rig
from lrt.rig.station import record

SIZE = (160, 120)


@pytest.fixture(scope="module")
def twin(calibration: Calibration, tmp_path_factory: pytest.TempPathFactory) -> BuildReport:
    """Four seconds with a person and four of the empty room, cut by the twin's own truth."""
    root = tmp_path_factory.mktemp("twin")
    settings = RigSettings(SensorSettings(kind="twin"), CameraSettings(kind="twin", size=SIZE, rate=15.0))
    truth = {}
    for name, occupants in (("empty", 0), ("person", 1)):
        with open_rig(settings, TwinScene("red", "bright", occupants, name)) as rig:
            truth = rig.truth or {}
            header = ClipHeader(
                name, "red", "bright", occupants, "TWIN", settings.as_dict(), synthetic=True, twin=truth
            )
            record(rig, root, header, 4, threading.Event())
    fields = {name: truth[name] for name in ("tx", "ty", "s", "offset_ms")}
    write_calibration(
        Calibration(**{**vars(calibration), **fields, "image_size": SIZE, "synthetic": True}), root / "calibration.json"
    )
    clips = [root / "person", root / "empty"]
    return build_dataset(clips, root / "calibration.json", root / "out", BuildConfig(test_fraction=0))


def test_every_heatmap_of_the_twin_has_its_picture_within_half_a_camera_period(twin: BuildReport) -> None:
    assert twin.info.pairs >= 70  # 10 a second
    assert sum(twin.info.left_out.values()) <= 1  # the recording's first may come before the first picture
    assert twin.info.pair_errors.worst_ms <= 1000 / 15 / 2 + 1


def test_heat_lies_over_the_person_to_the_column(twin: BuildReport) -> None:
    pairs = load_pairs(twin.path)
    empty, person = (pairs.clip == pairs.clip_ids.index(name) for name in ("empty", "person"))
    moved = np.abs(pairs.images[person] - np.median(pairs.images[empty], axis=0)).mean(axis=-1)
    moved = moved.reshape(-1, 5, 8, 8, 8).mean(axis=(2, 4))
    warmed = pairs.heatmaps[person] - np.median(pairs.heatmaps[empty], axis=0)

    def agree(across: int) -> float:
        return float(np.corrcoef(moved.ravel(), np.roll(warmed, across, axis=2).ravel())[0, 1])

    # along the column a standing person is much the same one row further
    assert agree(0) > 0.6
    assert agree(0) > 0.3 + max(agree(1), agree(-1))


def test_what_the_twin_made_says_so_everywhere(twin: BuildReport) -> None:
    assert twin.info.synthetic
    assert all(clip.synthetic for clip in twin.info.clips)
    assert load_pairs(twin.path).synthetic
    card = (twin.path / "README.md").read_text()
    assert "> **Made by the rig's digital twin: not data about people.**" in card
    assert "\n- synthetic\n" in card
    assert "Nobody was recorded." in card
