"""The health report: what it says of rigs with known troubles."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lrt.rig import health
from lrt.rig.computer import Computer, read_computer
from lrt.rig.health import Health, Watch, judge_permissions
from lrt.rig.settings import (
    CameraSettings,
    RecordSettings,
    RigSettings,
    SensorSettings,
    SyncSettings,
    TwinScene,
    load_rig,
    open_rig,
)
from lrt.rig.station import Station
from lrt.rig.twin.faults import Faults

SMALL = CameraSettings(kind="twin", size=(64, 36), rate=15.0)


def examine(folder: Path, faults: Faults | None = None, seconds: float = 10.0, **settings) -> Health:
    """The twin's health after some seconds of its life."""
    rig = RigSettings(SensorSettings(kind="twin"), SMALL, faults=faults or Faults(), source="twin", **settings)
    with open_rig(rig, TwinScene("red", "bright", 1), patient=True) as opened:
        station, watch = Station(opened), Watch(opened)
        station.listeners.append(watch.see)
        station.run(threading.Event(), seconds)
        return watch.judge(folder)


def find(report: Health, what: str) -> health.Finding:
    (found,) = [finding for finding in report.findings if finding.what == what]
    return found


def test_a_healthy_rig_is_green_and_says_what_it_gives(tmp_path):
    report = examine(tmp_path)
    assert report.level == "green", report
    assert report.advice == ""
    assert "heatmaps/s" in find(report, "sensor").says
    assert ", 0 repeated, 0 missed; a read takes 2.9 ms" in find(report, "sensor").says
    assert find(report, "camera").says == "15.0 images/s, 0 missing"
    assert "within 3" in find(report, "pairing").says


def test_a_sensor_that_is_not_there_is_red_with_the_thing_to_do(tmp_path):
    report = examine(tmp_path, Faults(sensor_gone=((0, 100),)))
    found = find(report, "sensor")
    assert (report.level, found.level) == ("red", "red")
    assert "does not answer" in found.says
    assert "wiring" in found.do
    assert report.advice == found.do
    assert find(report, "camera").level == "green"


def test_a_camera_that_is_not_there_is_red(tmp_path):
    found = find(examine(tmp_path, Faults(camera_gone=((0, 100),))), "camera")
    assert (found.level, found.says, found.do) == ("red", "the twin's camera is not there", "plug it in")


def test_a_sensor_that_was_pulled_a_moment_ago_is_red_before_the_driver_gives_up(tmp_path):
    found = find(examine(tmp_path, Faults(sensor_gone=((8, 100),))), "sensor")
    assert found.level == "red"
    assert "old" in found.says


def test_missed_heatmaps_and_lost_images_are_amber(tmp_path):
    report = examine(tmp_path, Faults(nack_bursts=((3, 1.0),), dropped_frames=0.1))
    assert find(report, "sensor").level == "amber"
    assert find(report, "camera").level == "amber"
    assert "missing" in find(report, "camera").says


def test_stray_pixels_are_amber(tmp_path):
    found = find(examine(tmp_path, Faults(stray_pixels=0.3)), "heat")
    assert found.level == "amber"
    assert "stray pixels" in found.says


def test_a_low_camera_rate_cannot_pair_and_says_what_to_set(tmp_path):
    rig = RigSettings(SensorSettings(kind="twin"), replace(SMALL, rate=5.0), source="twin")
    with open_rig(rig, TwinScene("red", "bright", 1)) as opened:
        station, watch = Station(opened), Watch(opened)
        station.listeners.append(watch.see)
        station.run(threading.Event(), 10)
        found = find(watch.judge(tmp_path), "pairing")
    assert found.level == "red"
    assert "raise [camera] rate" in found.do


def test_a_disk_at_its_reserve_is_red_and_a_nearly_full_one_amber(tmp_path, monkeypatch):
    assert find(examine(tmp_path, record=RecordSettings(reserve_mb=9_999_999), seconds=2), "disk").level == "red"
    rate = 15 * 1500  # bytes/s of such small images, roughly
    usage = type("Usage", (), {"free": 500_000_000 + rate * 60})
    monkeypatch.setattr(health.shutil, "disk_usage", lambda _: usage)
    found = find(examine(tmp_path / "not/yet/there", seconds=3), "disk")
    assert found.level == "amber"
    assert found.says.endswith("minutes left")


def test_a_folder_that_may_not_be_written_is_red(tmp_path, monkeypatch):
    monkeypatch.setattr(health.os, "access", lambda *_: False)
    assert find(examine(tmp_path, seconds=2), "disk").level == "red"


def test_a_measured_time_offset_is_told(tmp_path):
    sync = SyncSettings(offset_ms=52.4, spread_ms=3.1, correlation=0.95, measured="2026-11-24")
    assert find(examine(tmp_path, sync=sync, seconds=2), "time offset").says == (
        "heat comes 52 +- 3 ms after the picture (2026-11-24)"
    )


@pytest.mark.parametrize(("brightness", "words"), [(0.0, "black"), (255.0, "white")], ids=["lens cap", "glare"])
def test_a_picture_that_shows_nothing_is_amber(tmp_path, monkeypatch, brightness, words):
    monkeypatch.setattr(health, "decode_jpeg", lambda *_, **__: np.full((4, 4), brightness))
    found = find(examine(tmp_path, seconds=3), "camera")
    assert found.level == "amber"
    assert words in found.says


def test_rights_that_are_missing_are_red_with_the_group(tmp_path, monkeypatch):
    port, video = tmp_path / "ttyACM0", tmp_path / "video0"
    port.touch()
    settings = RigSettings(SensorSettings("serial", port=str(port)), CameraSettings("opencv", file="a.mp4"))
    assert [finding.level for finding in judge_permissions(settings)] == ["green"]
    monkeypatch.setattr(health.os, "access", lambda *_: False)
    (found,) = judge_permissions(settings)
    assert (found.level, found.says) == ("red", f"no right to open {port}")
    assert "usermod -aG dialout" in found.do
    port.unlink()
    assert [finding.level for finding in judge_permissions(settings)] == ["green"]  # its absence is another matter
    assert not video.exists()


def judged(computer: Computer) -> Sequence[health.Finding]:
    return list(health._judge_computer(computer))


def test_a_weak_power_supply_is_red_now_and_amber_afterwards(tmp_path):
    file = tmp_path / "sys/devices/platform/soc/soc:firmware/get_throttled"
    file.parent.mkdir(parents=True)
    heat = tmp_path / "sys/class/thermal/thermal_zone0/temp"
    heat.parent.mkdir(parents=True)
    heat.write_text("61234\n")
    file.write_text("50005\n")
    computer = read_computer(tmp_path)
    assert computer.celsius == pytest.approx(61.234)
    assert computer.now == ("its power supply is too weak", "it is throttled")
    assert computer.before == computer.now
    (found,) = judged(computer)
    assert (found.level, found.do) == ("red", "use the Pi's own power supply")
    file.write_text("50000\n")
    (found,) = judged(read_computer(tmp_path))
    assert found.level == "amber"
    assert "since it was started" in found.says
    file.write_text("0\n")
    (found,) = judged(read_computer(tmp_path))
    assert (found.level, found.says) == ("green", "61 degC")
    heat.write_text("84000\n")
    assert judged(read_computer(tmp_path))[0].level == "amber"


def test_a_computer_that_tells_nothing_is_left_out(tmp_path):
    assert read_computer(tmp_path) == Computer()
    assert judged(Computer()) == []


def test_the_report_is_as_bad_as_its_worst_line_and_advises_on_that():
    green, amber, red = (health.Finding(level, level, "", f"do {level}") for level in health.LEVELS)
    assert Health((green, amber)).advice == "do amber"
    assert Health((amber, red, green)).advice == "do red"
    assert Health((amber, red)).level == "red"
    assert Health(()).level == "green"


def test_the_default_rig_file_is_judged_without_any_of_its_devices(tmp_path):
    """On a laptop: no bus, no picamera2; two red lines and no traceback."""
    settings = replace(load_rig("twin"), sensor=SensorSettings(bus=97), camera=CameraSettings())
    with open_rig(settings, patient=True) as opened:
        station, watch = Station(opened), Watch(opened)
        station.run(threading.Event(), 0.3)
        report = watch.judge(tmp_path)
    assert find(report, "sensor").level == find(report, "camera").level == "red"
    assert "I2C bus 97 is not there" in find(report, "sensor").says
