"""On a Raspberry Pi with sensor and camera attached: `pytest -m pi`. Nothing here was run without one.

The rig is the one of ./rig.toml or ~/.config/lrt/rig.toml, as for `lrt capture`; without either, an AMG8833 on bus 1
and the Pi's camera. The rig daemon must not be running.
"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lrt.console.recording import find_rig
from lrt.rig.clip import ClipHeader, open_clip, verify_clip
from lrt.rig.computer import read_computer
from lrt.rig.health import Health, Watch
from lrt.rig.recorder import Recording
from lrt.rig.settings import RigSettings, SettingsError, open_rig
from lrt.rig.station import Station

pytestmark = pytest.mark.pi
SECONDS = 12


@pytest.fixture(scope="module")
def settings() -> RigSettings:
    try:
        return find_rig(None)
    except SettingsError:
        return RigSettings()


@pytest.fixture(scope="module")
def recorded(
    settings: RigSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Recording, Path, Health]]:
    """A clip of the rig, its folder, and the health of the same seconds."""
    root = tmp_path_factory.mktemp("clips")
    header = ClipHeader("pi", "white", "bright", 0, "TEST", settings.as_dict())
    with open_rig(settings) as rig:
        station, watch = Station(rig), Watch(rig)
        station.listeners.append(watch.see)
        station.start(root, header, SECONDS)
        station.run(threading.Event(), SECONDS + 1)
        health = watch.judge(root)
        yield station.stop(), root / "pi", health


def test_every_heatmap_is_read_once_and_whole(recorded):
    recording, folder, _ = recorded
    assert abs(recording.heatmaps - 9.9 * SECONDS) < 4
    assert recording.missed == 0
    assert verify_clip(folder).duplicates == 0


def test_temperatures_are_those_of_a_room(recorded):
    celsius = np.stack([heatmap.celsius for heatmap in open_clip(recorded[1]).heatmaps()])
    assert 5 < np.median(celsius) < 40
    assert (celsius.std(axis=0) > 0.02).all(), "a pixel that never changes is dead"


def test_pairs_are_no_further_apart_than_half_a_frame(recorded, settings):
    recording, _, _ = recorded
    assert recording.dropped == 0
    assert recording.pair_error_ms_p95 < 1000 / settings.camera.rate / 2 + 4


def test_the_health_report_finds_nothing_red(recorded):
    assert recorded[2].level != "red", recorded[2]


def test_a_read_of_the_sensor_is_as_quick_as_400_khz_allows(settings):
    if settings.sensor.kind != "amg8833":
        pytest.skip("the sensor is not on this computer's I2C bus")
    with open_rig(settings) as rig:
        Station(rig).run(threading.Event(), 3)
        assert rig.thermal.tell("read_ms") < 4.0


def test_the_computer_tells_its_temperature_and_has_power_enough():
    computer = read_computer()
    assert computer.celsius is not None
    assert 10 < computer.celsius < 85
    assert computer.now == ()


def test_the_sensors_time_and_the_cameras_are_one_clock(recorded):
    """Both begin and end together: no stream is off by a boot time or an epoch."""
    clip = open_clip(recorded[1])
    assert abs(clip.heat_times_ns[0] - clip.image_times_ns[0]) < 0.5e9
    assert abs(clip.heat_times_ns[-1] - clip.image_times_ns[-1]) < 0.5e9


def test_the_user_may_open_the_devices(settings):
    for path in (f"/dev/i2c-{settings.sensor.bus}", settings.sensor.port):
        if path and Path(path).exists():
            assert os.access(path, os.R_OK | os.W_OK), path
