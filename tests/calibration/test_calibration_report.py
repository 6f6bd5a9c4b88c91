"""The pictures show the heat where the pose puts it."""

import numpy as np
import pytest

from lrt.calibration.fit import fit_calibration
from lrt.calibration.forward import Pose
from lrt.calibration.overlap import lay_heat, overlap
from lrt.calibration.report import draw_overlay, draw_report


def test_heat_lies_where_the_pose_puts_it() -> None:
    """The warmest place of a single warm pixel's heat is that pixel's centre in the image."""
    celsius = np.full((8, 8), 22, np.float32)
    celsius[2, 6] = 28
    pose = Pose(tx=300.0, ty=190.0, s=60.0)
    heat, field = lay_heat(celsius, pose, (640, 360), (640, 360))
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert abs(column + 0.5 - (300 + 60 * 2.5)) <= 2
    assert abs(row + 0.5 - (190 - 60 * 1.5)) <= 2
    assert not field[:, :60].any()
    assert field[180, 62:538].all()


def test_an_overlay_is_bright_over_heat_and_outlines_the_mask() -> None:
    celsius = np.full((8, 8), 22, np.float32)
    celsius[3:5, 3:5] = 29
    image = np.full((180, 320, 3), 60, np.uint8)
    mask = np.zeros((90, 160), bool)
    mask[20:70, 60:100] = True
    drawn = draw_overlay(image, celsius, Pose(160, 90, 32), mask)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert drawn[90, 160].sum() > 2 * drawn[30, 60].sum()
    green = drawn[..., 1].astype(int) - drawn[..., 0] > 60
    assert green.sum() > 200
    assert not green[:30].any()
    assert (image == 60).all(), "the image itself is left as it was"


def test_overlap_is_one_for_heat_that_is_the_mask_and_zero_apart() -> None:
    heatmaps = np.full((10, 8, 8), 22, np.float32)
    masks = np.zeros((10, 80, 80), bool)
    heatmaps[5:, 2:6, 2:6] = 28
    masks[5:, 20:60, 20:60] = True
    pose = Pose(40, 40, 10)
    assert overlap(heatmaps, masks, pose, (80, 80)) > 0.85
    assert overlap(heatmaps, masks[:, ::-1, ::-1] & (np.indices((80, 80)).sum(0) < 30), pose, (80, 80)) == 0
    assert overlap(heatmaps, np.zeros_like(masks), pose, (80, 80)) == 0


@pytest.mark.parametrize("synthetic", [False, True])
def test_a_report_holds_both_rows_and_says_what_a_twin_made(simulate, synthetic: bool) -> None:
    rig = simulate(700, frames=40)
    fit = fit_calibration(rig.heatmaps, rig.masks, rig.image_size, synthetic=synthetic)
    images = [np.full((360, 640, 3), 90, np.uint8)] * 40
    page = draw_report(fit, images, rig.heatmaps, rig.masks)
    assert page.ndim == 3
    assert page.dtype == np.uint8
    ribbon = (page == (255, 226, 150)).all(axis=-1).sum()
    assert (ribbon > 1000) == synthetic
