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
    bend,
    find_view,
    read_calibration,
    unbend,
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


# ------------------------------------------------------------------------------------------------- other grids, lenses


def test_a_file_from_before_grids_and_lenses_is_read_as_8x8_without(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    write_calibration(calibration, path)
    saved = json.loads(path.read_text())
    for name in ("grid", "lens_k", "objective", "systematic"):
        del saved[name]
    path.write_text(json.dumps({**saved, "schema": "1.0.0"}))
    old = read_calibration(path)
    assert (old.grid, old.lens_k, old.objective) == ((8, 8), 0.0, "forward")
    assert replace(old, schema=calibration.schema) == calibration


def test_a_grid_and_a_lens_term_survive_the_file(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    other = replace(calibration, grid=(24, 32), lens_k=0.0004, systematic=(0.5, 4.0, 0.25))
    write_calibration(other, path)
    assert read_calibration(path) == other


@pytest.mark.parametrize("lens_k", [0.0, 0.0057, 0.02, -0.004])
def test_unbending_undoes_bending(lens_k: float) -> None:
    u = np.linspace(-4.5, 4.5, 37)
    np.testing.assert_allclose(unbend(bend(u, lens_k), lens_k), u, atol=1e-6)


def test_beyond_the_fold_of_a_barrel_the_fold_is_all_there_is() -> None:
    assert unbend(np.array([100.0]), -0.02) == pytest.approx(np.sqrt(1 / 0.06))


def test_a_field_is_as_wide_as_its_columns_and_a_lens_widens_it(calibration: Calibration) -> None:
    left, top, right, bottom = replace(calibration, grid=(6, 10)).field()
    assert (right - left, bottom - top) == (10 * calibration.s, 6 * calibration.s)
    wider = replace(calibration, lens_k=0.0057).field()
    assert wider[2] - wider[0] == pytest.approx(8 * calibration.s * (1 + 0.0057 * 16))


@pytest.mark.parametrize("grid", [(16, 12), (24, 32)])
@pytest.mark.parametrize("lens_k", [0.0, 0.0057])
def test_a_warm_thermal_pixel_comes_out_where_the_calibration_puts_it(
    calibration: Calibration, grid: tuple[int, int], lens_k: float
) -> None:
    """On any grid, with a lens or without: the centre of heat in the view is the pixel's own place in the image."""
    k = lens_k * (4 / (max(grid) / 2)) ** 2  # the same bend at the edge
    moved = replace(calibration, grid=grid, s=480 / max(grid), lens_k=k)
    view = find_view(moved, (40, 64))
    heatmap = np.zeros(grid, np.float32)
    row, column = grid[0] // 2 + 1, grid[1] // 2 - 3
    heatmap[row, column] = 1
    seen = view.sample_heatmap(heatmap)
    assert seen.shape == (40, 64)
    x = view.x + view.cell * (seen.sum(axis=0) @ (np.arange(64) + 0.5)) / seen.sum()
    y = view.y + view.cell * (seen.sum(axis=1) @ (np.arange(40) + 0.5)) / seen.sum()
    u, v = column - (grid[1] - 1) / 2, row - (grid[0] - 1) / 2
    assert x == pytest.approx(moved.tx + moved.s * bend(u, k), abs=0.03 * moved.s)
    assert y == pytest.approx(moved.ty + moved.s * bend(v, k), abs=0.03 * moved.s)
