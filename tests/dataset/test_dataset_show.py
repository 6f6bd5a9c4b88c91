"""The contact sheet shows the pairs that are there, where the labels say."""

from dataclasses import replace

import numpy as np
import pytest

from lrt.dataset.build import BuildReport
from lrt.dataset.loading import PairSet, load_pairs
from lrt.dataset.show import PAPER, colour_heat, draw_contact_sheet


@pytest.fixture(scope="module")
def pairs(report: BuildReport) -> PairSet:
    return load_pairs(report.path)


def test_a_picture_stands_left_of_its_own_heat_in_the_row_of_its_clip(pairs: PairSet) -> None:
    sheet = draw_contact_sheet(pairs, columns=12, zoom=2)
    for index in range(len(pairs)):
        y, x = 88 + 112 * pairs.clip[index], 16 + 266 * pairs.frame[index]
        picture = np.kron(pairs.images[index], np.ones((2, 2, 1), np.uint8))
        heat = np.kron(colour_heat(pairs.heatmaps[index]), np.ones((16, 16, 1), np.uint8))
        np.testing.assert_array_equal(sheet[y : y + 80, x : x + 128], picture)
        np.testing.assert_array_equal(sheet[y : y + 80, x + 130 : x + 258], heat)


def test_there_is_a_row_for_each_clip_until_there_are_too_many(pairs: PairSet) -> None:
    tall, short = draw_contact_sheet(pairs), draw_contact_sheet(pairs, clips=1)
    assert tall.dtype == np.uint8
    assert tall.shape[0] - short.shape[0] == 80 + 24 + 8


def test_more_columns_than_pairs_leaves_paper(pairs: PairSet) -> None:
    sheet = draw_contact_sheet(pairs, columns=20)
    assert (sheet[80:160, -200:-20] == PAPER).all()


def test_what_a_twin_made_is_marked_in_red(pairs: PairSet) -> None:
    def count_red(sheet: np.ndarray) -> int:
        red = sheet.astype(int)
        return int(((red[:60, :, 0] - red[:60, :, 1]) > 100).sum())

    assert count_red(draw_contact_sheet(pairs)) == 0
    assert count_red(draw_contact_sheet(replace(pairs, synthetic=True))) > 200


def test_warmer_is_brighter() -> None:
    ramp = colour_heat(np.linspace(19, 30, 12, dtype=np.float32)[None])[0]
    luminance = ramp.astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > 0).all()
