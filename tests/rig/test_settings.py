"""The rig file: read whole, or refused in one line that names the file and the key."""

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from lrt.rig.records import RigError
from lrt.rig.settings import (
    CameraSettings,
    RecordSettings,
    RigSettings,
    SensorSettings,
    SettingsError,
    TwinScene,
    load_rig,
    open_rig,
)

WHOLE = """
[sensor]
kind = "serial"
port = "/dev/ttyACM0"
baud = 57600
rotation = 270
mirror = true

[camera]
kind = "opencv"
device = 2
size = [800, 600]
rate = 15
"""


@pytest.fixture
def write_rig(tmp_path):
    def write(text, name="rig.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_rig_file_says_what_it_says(write_rig):
    settings = load_rig(str(write_rig(WHOLE)))
    assert (settings.sensor.kind, settings.sensor.port, settings.sensor.baud) == ("serial", "/dev/ttyACM0", 57600)
    assert (settings.sensor.rotation, settings.sensor.mirror) == (270, True)
    assert (settings.camera.kind, settings.camera.device, settings.camera.size) == ("opencv", 2, (800, 600))
    assert settings.camera.rate == 15.0
    assert settings.as_dict()["sensor"]["rotation"] == 270
    assert not settings.synthetic


def test_an_empty_rig_file_is_a_pi_with_its_own_camera(write_rig):
    settings = load_rig(str(write_rig("")))
    assert (settings.sensor.kind, settings.sensor.bus, settings.sensor.address) == ("amg8833", 1, 0x69)
    assert (settings.camera.kind, settings.camera.size, settings.camera.rate) == ("picamera2", (640, 480), 30.0)


def test_the_twin_is_a_choice_like_any_other(write_rig):
    assert load_rig("twin").synthetic
    assert load_rig(str(write_rig('sensor.kind = "twin"\ncamera.kind = "twin"\ncamera.rate = 10'))).camera.rate == 10


def test_the_nearest_folder_with_a_rig_file_counts(tmp_path, write_rig):
    (tmp_path / "near").mkdir()
    write_rig("sensor.bus = 3")
    assert load_rig(None, [tmp_path / "near", tmp_path]).sensor.bus == 3
    (tmp_path / "near/rig.toml").write_text("sensor.bus = 4")
    assert load_rig(None, [tmp_path / "near", tmp_path]).sensor.bus == 4


def test_without_any_rig_file_the_twin_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"no rig.toml .*--rig twin"):
        load_rig(None, [tmp_path])


_TWIN = '[sensor]\nkind = "twin"\n[camera]\nkind = "twin"\n[faults]\n'


def test_the_example_file_shows_every_key_with_its_default():
    path = Path(__file__).parents[2] / "hardware/rig.example.toml"
    assert replace(load_rig(str(path)), source="") == RigSettings()
    text = path.read_text()
    for table in (SensorSettings, CameraSettings, RecordSettings):
        for each in fields(table):
            assert re.search(rf"^(# )?{each.name} = ", text, re.MULTILINE), each.name


def test_faults_of_the_twin_are_spans_of_seconds(write_rig):
    faults = load_rig(str(write_rig(_TWIN + "sensor_gone = [[5, 2], [20, 1.5]]\nlate_s = 1"))).faults
    assert faults.sensor_gone == ((5.0, 2.0), (20.0, 1.5))
    assert faults.late_s == 1.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[sensor", "not TOML"),
        ("[lens]", "'lens' is not known"),
        ("sensor = 3", r"must be a table, \[sensor\]"),
        ("[sensor]\nbuss = 1", r"\[sensor\] buss is not known; choose among kind, bus"),
        ('[sensor]\nbus = "one"', r"\[sensor\] bus is 'one'; give a whole number"),
        ("[sensor]\nbus = true", r"\[sensor\] bus is True; give a whole number"),
        ("[sensor]\nmirror = 1", "give a true or false"),
        ("[sensor]\nrotation = 45", r"rotation is 45; choose one of 0, 90, 180, 270"),
        ("[sensor]\naddress = 0x70", "address is 112"),
        ('[sensor]\nkind = "mlx"', "kind is 'mlx'; choose one of amg8833, mcu, serial, twin"),
        ('[sensor]\nkind = "serial"', "port is missing"),
        ("[sensor]\nbaud = 0", "baud is 0"),
        ("[sensor]\nrate = 5", r"\[sensor\] rate is 5; choose one of 10, 1"),
        ("[camera]\ndevice = true", "device is True"),
        ('[camera]\ndevice = "/dev/video0"', "a /dev/ path for opencv"),
        ('[camera]\nkind = "opencv"\ndevice = "video0"', "a /dev/ path for opencv"),
        ("[record]\npreroll_s = 90", r"\[record\] preroll_s is 90"),
        ("[record]\nsplit_mb = 0", "split_mb is 0"),
        ("[record]\npatience_s = 0", "patience_s is 0"),
        ("[faults]\nstray_pixels = 0.1", "a real rig has faults of its own"),
        (_TWIN + "sensor_gone = [1]", r"give \[\[start, length\]"),
        (_TWIN + "nacks = 1", "choose among nack_bursts"),
        ('[camera]\nfile = "a.mp4"', "file is for kind"),
        ("[camera]\nsize = [640]", "give two whole numbers"),
        ("[camera]\nsize = [640, 0]", "size is"),
        ("[camera]\nrate = 0", "rate is 0"),
        ('[camera]\nkind = "twin"', "the twin is sensor and camera in one"),
    ],
)
def test_what_cannot_be_is_refused_with_file_and_key(write_rig, text, words):
    path = write_rig(text)
    with pytest.raises(SettingsError, match=words) as caught:
        load_rig(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value).removeprefix(str(path)).strip()


def test_a_rig_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"none.toml cannot be read"):
        load_rig(str(tmp_path / "none.toml"))


def test_a_device_that_is_not_there_is_one_line(write_rig):
    settings = load_rig(str(write_rig('sensor.bus = 97\ncamera.kind = "opencv"')))
    with pytest.raises(RigError, match="I2C bus 97"), open_rig(settings):
        pass


def test_the_twin_must_be_told_what_to_show():
    with pytest.raises(SettingsError, match="what to show"), open_rig(RigSettings(*_twin())):
        pass


def _twin():
    settings = load_rig("twin")
    return settings.sensor, settings.camera


def test_a_scene_has_one_occupant_unless_said():
    assert TwinScene("red", "dim").occupants == 1
