"""On a Raspberry Pi with sensor and camera attached: `pytest -m pi`. Nothing here was run without one."""

import threading
from pathlib import Path

import numpy as np
import pytest

from lrt.rig.clip import ClipHeader, ClipWriter, open_clip, verify_clip
from lrt.rig.recorder import Recording, record
from lrt.rig.settings import RigSettings, open_rig

pytestmark = pytest.mark.pi
SECONDS = 12


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recording, Path]:
    """A clip of the rig that `RigSettings()` describes: AMG8833 on bus 1, Pi camera, 640x480 at 30/s."""
    root = tmp_path_factory.mktemp("clips")
    settings = RigSettings()
    header = ClipHeader("pi", "white", "bright", 0, "TEST", settings.as_dict())
    with open_rig(settings) as rig, ClipWriter(root, header, rig.clock) as writer:
        return record(rig, writer, SECONDS, threading.Event()), root / "pi"


def test_every_heatmap_is_read_once_and_whole(recorded):
    recording, folder = recorded

    assert abs(recording.heatmaps - 9.9 * SECONDS) < 4
    assert recording.missed == 0
    assert verify_clip(folder).duplicates == 0


def test_temperatures_are_those_of_a_room(recorded):
    celsius = np.stack([heatmap.celsius for heatmap in open_clip(recorded[1]).heatmaps()])

    assert 5 < np.median(celsius) < 40
    assert (celsius.std(axis=0) > 0.02).all(), "a pixel that never changes is dead"


def test_pairs_are_no_further_apart_than_half_a_frame(recorded):
    recording, _ = recorded

    assert recording.dropped == 0
    assert recording.pair_error_ms_p95 < 1000 / 30 / 2 + 2
