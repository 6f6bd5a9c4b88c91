"""The sensor of a rig, opened without its camera."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from lrt.rig.clip import orient
from lrt.rig.records import RigError
from lrt.rig.settings import RigSettings, TwinScene, load_rig, open_rig, open_thermal

SCENE = TwinScene("red", "bright", 1, seed_name="alone")


def take(source, clock, count: int) -> list:
    """So many heatmaps."""
    found = []
    while len(found) < count:
        found += source.poll()
        clock.advance(source.poll_period_ns)
    return found[:count]


def test_no_camera_is_made_when_the_sensor_is_opened_alone(monkeypatch: pytest.MonkeyPatch):
    """Of the twin: every class that gives pictures refuses to be made, and rendering a picture is refused too."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a camera was opened")

    for place in (
        "lrt.rig.twin.camera.TwinCamera.__init__",
        "lrt.rig.camera.opencv.OpenCVCamera.__init__",
        "lrt.rig.camera.picamera.PiCamera.__init__",
        "cv2.VideoCapture",
    ):
        monkeypatch.setattr(place, refuse)
    with open_thermal(load_rig("twin"), SCENE, live=False) as thermal:
        heatmaps = take(thermal.sensor, thermal.clock, 5)
    assert all(heatmap.raw.shape == (8, 8) for heatmap in heatmaps)
    assert thermal.sensor.device is None
    with pytest.raises(AssertionError, match="a camera was opened"), open_rig(load_rig("twin"), SCENE):
        pass  # that is what the refusal would have looked like


def test_it_gives_the_heat_that_the_whole_rig_gives():
    settings = load_rig("twin")
    with open_thermal(settings, SCENE, live=False) as thermal:
        alone = take(thermal.sensor, thermal.clock, 8)
    with open_rig(settings, SCENE) as rig:
        whole = take(rig.thermal, rig.clock, 8)
    np.testing.assert_array_equal([one.raw for one in alone], [one.raw for one in whole])


def test_a_real_sensor_is_opened_without_its_camera_too(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """The file names a USB camera that is not there: who opens it says so; the sensor is asked alone."""
    file = tmp_path / "rig.toml"
    file.write_text('sensor.bus = 97\ncamera.kind = "opencv"\ncamera.device = "/dev/no-camera"\n')
    monkeypatch.setattr("lrt.rig.settings._open_camera", lambda *_: pytest.fail("a camera was opened"))
    with pytest.raises(RigError, match="I2C bus 97"), open_thermal(load_rig(str(file))):
        pass


def test_live_heat_comes_at_the_sensors_pace_and_ends_with_the_block():
    stop = threading.Event()
    with open_thermal(load_rig("twin"), SCENE) as thermal:
        begun_ns = thermal.clock.now_ns()
        found = []
        while len(found) < 4:
            found += thermal.sensor.poll()
            stop.wait(thermal.sensor.poll_period_ns / 1e9)
        took_s = (thermal.clock.now_ns() - begun_ns) / 1e9
    assert took_s > 0.25
    assert found[0].timestamp_ns <= thermal.clock.now_ns()
    assert orient(found[0].celsius, 90, True).shape == (8, 8)


def test_drivers_of_cameras_are_not_even_imported():
    """In an interpreter of its own, where nothing was imported before."""
    code = (
        "import sys\nfrom lrt.rig.settings import TwinScene, load_rig, open_thermal\n"
        "with open_thermal(load_rig('twin'), TwinScene('red', 'dim'), live=False) as thermal:\n"
        "    while not thermal.sensor.poll(): thermal.clock.advance(thermal.sensor.poll_period_ns)\n"
        "print(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert not {name for name in out.split() if name.startswith("lrt.rig.camera.") or name.startswith("picamera2")}


def test_the_twin_must_be_told_what_to_show():
    with pytest.raises(Exception, match="what to show"), open_thermal(RigSettings(*_twin())):
        pass


def _twin():
    settings = load_rig("twin")
    return settings.sensor, settings.camera
