"""Where heat lies in the picture, and the view both are cut to."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lrt.calibration.geometry import (
    Calibration,
    CalibrationError,
    area_weights,
    find_view,
    read_calibration,
    write_calibration,
)


@pytest.fixture
def calibration() -> Calibration:
    return Calibration(
        tx=330.0, ty=172.0, s=60.0, offset_ms=12.0, tx_sd=1.0, ty_sd=4.0, s_sd=1.2, offset_ms_sd=6.0,
        image_size=(640, 360), score=0.8, overlap=0.6, verdict="PASS", advice="", masks="small", frames=200,
        clips={"kitchen-01": "ab" * 32}, synthetic=True,
    )  # fmt: skip


def test_area_weights_average_over_what_an_interval_covers() -> None:
    weights = area_weights(np.array([0.5, 2.0, 4.0]), 4)
    np.testing.assert_allclose(weights, [[1 / 3, 2 / 3, 0, 0], [0, 0, 0.5, 0.5]], rtol=1e-6)


def test_an_interval_that_reaches_out_takes_the_part_inside() -> None:
    np.testing.assert_allclose(area_weights(np.array([-5.0, 1.0]), 3), [[1, 0, 0]])


def test_an_interval_outside_is_refused() -> None:
    with pytest.raises(CalibrationError, match="outside"):
        area_weights(np.array([-3.0, -1.0]), 3)


def test_a_view_on_whole_thermal_pixels_gives_their_very_values(calibration: Calibration) -> None:
    view = find_view(calibration)
    heatmap = np.random.default_rng(0).normal(24, 2, (8, 8)).astype(np.float32)
    assert view.cell == calibration.s
    first_row = round((view.y - (calibration.ty - 4 * calibration.s)) / calibration.s)
    np.testing.assert_allclose(view.sample_heatmap(heatmap), heatmap[first_row : first_row + 5], rtol=1e-6)


def test_a_view_lies_in_the_image_and_on_the_sensor(calibration: Calibration) -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        moved = replace(calibration, tx=rng.uniform(200, 440), ty=rng.uniform(100, 260), s=rng.uniform(45, 90))
        view = find_view(moved, (12, 16))
        left, top = moved.tx - 4 * moved.s, moved.ty - 4 * moved.s
        right, bottom = view.x + 16 * view.cell, view.y + 12 * view.cell
        assert view.x >= max(0, left) - 1e-6
        assert view.y >= max(0, top) - 1e-6
        assert right <= min(640, left + 8 * moved.s) + 1e-6
        assert bottom <= min(360, top + 8 * moved.s) + 1e-6


def test_heat_and_picture_of_a_view_show_the_same_place(calibration: Calibration) -> None:
    """A bright square under one thermal pixel comes out over the heatmap cell that is warm."""
    image = np.zeros((360, 640, 3), np.uint8)
    heatmap = np.zeros((8, 8), np.float32)
    i, j = 4, 5
    x, y = calibration.tx + calibration.s * (j - 4), calibration.ty + calibration.s * (i - 4)
    image[round(y) : round(y + calibration.s), round(x) : round(x + calibration.s)] = 255
    heatmap[i, j] = 1
    view = find_view(calibration)
    picture = view.crop_image(image, upscale=8)[..., 0] / 255
    blocks = picture.reshape(5, 8, 8, 8).mean(axis=(1, 3))
    np.testing.assert_allclose(blocks, view.sample_heatmap(heatmap), atol=0.01)


def test_a_sensor_that_looks_elsewhere_is_refused(calibration: Calibration) -> None:
    with pytest.raises(CalibrationError, match="calibrate again"):
        find_view(replace(calibration, tx=-220.0))


def test_a_calibration_read_back_is_the_one_written(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    write_calibration(calibration, path)
    assert read_calibration(path) == calibration


def test_an_unsettled_parameter_is_null_in_strict_json(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    unsettled = replace(calibration, ty_sd=np.inf)
    write_calibration(unsettled, path)
    assert json.loads(path.read_text())["ty_sd"] is None
    assert read_calibration(path) == unsettled


@pytest.mark.parametrize("garbage", ["", "not json", "[1, 2]", "{}", '{"schema": "1.0.0"}'])
def test_garbage_is_refused_in_one_line(garbage: str, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(garbage)
    with pytest.raises(CalibrationError, match="lrt calibrate") as caught:
        read_calibration(path)
    assert "\n" not in str(caught.value)


def test_another_major_schema_is_refused(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    write_calibration(calibration, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": "2.0.0"}))
    with pytest.raises(CalibrationError, match=r"schema 2\.0\.0"):
        read_calibration(path)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="lrt calibrate"):
        read_calibration(tmp_path / "none.json")


def test_images_of_another_size_are_refused(calibration: Calibration) -> None:
    with pytest.raises(CalibrationError, match="clip kitchen-02: its images are 640x480"):
        calibration.check_image_size((640, 480), "clip kitchen-02")
