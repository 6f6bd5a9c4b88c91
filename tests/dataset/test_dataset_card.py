"""The card's figures are those of the dataset."""

from dataclasses import replace

import pytest

from lrt.calibration.geometry import Calibration
from lrt.dataset.build import BuildReport
from lrt.dataset.card import categorise_size, draw_histogram, render_card


@pytest.fixture(scope="module")
def card(report: BuildReport) -> list[str]:
    return (report.path / "README.md").read_text().splitlines()


@pytest.mark.parametrize(
    "line",
    [
        "| Thermal sensor | AMG8833 on I2C |",
        "| Heatmap resolution | 8x5 (of the sensor's 8x8) |",
        "| Camera | camera or video file through OpenCV, 160x120 |",
        "| RGB resolution | 64x40 |",
        "| Field of view | 60.0 x 37.5 degrees |",
        "| Pairs | 36 (24 train, 12 test) |",
        "| Occupants | 0, 1 |",
        "| Clothing | 3 colours |",
        "| Lighting conditions | 2 |",
        "| blue | 12 | 0 | 12 |",
        "| all | 12 | 24 | 36 |",
        "| kitchen-01 | test | 12 | 0 | blue | bright | 1 | 0.0 ms | 20.0 to 27.8 degC |",
        "| One thermal pixel | 20.00 px +- 0.06 |",
        "| Sensor's centre | x 80.0 px +- 0.40, y 60.0 px +- 0.50 |",
        "| Cut from the image | 160x100 px at (0, 20) |",
        "No heatmap was left out.",
        "No clip was left out.",
        "| default | 2 | 24 | 1 | 12 |",
        "| leave-red-out | 2 | 24 | 1 | 12 |",
        "| Rooms | kitchen |",
        "| People | not known |",
        "| Scope of the consents | internal |",
        "| 3 | consent |",
    ],
)
def test_the_card_holds(card: list[str], line: str) -> None:
    assert line in card


def test_a_card_of_real_clips_speaks_of_consent_and_not_of_the_twin(card: list[str]) -> None:
    text = "\n".join(card)
    assert "recorded under a consent" in text
    assert "twin:" not in text


def test_every_table_has_as_many_cells_a_row_as_its_head(card: list[str]) -> None:
    head = 0
    for before, line in zip(["", *card], card, strict=False):
        if line.startswith("|"):
            head = head if before.startswith("|") else line.count("|")
            assert line.count("|") == head, line


def test_a_warning_of_the_calibration_stands_on_the_card(report: BuildReport, calibration: Calibration) -> None:
    doubtful = replace(calibration, verdict="WARN", advice="walk about more")
    assert "| Verdict | WARN: walk about more |" in render_card(report.info, doubtful)


def test_what_the_calibration_did_not_settle_is_unknown(report: BuildReport, calibration: Calibration) -> None:
    text = render_card(report.info, replace(calibration, s_sd=float("inf")))
    assert "| One thermal pixel | 20.00 px +- unknown |" in text.splitlines()


def test_a_card_of_an_import_says_what_it_does_not_know(report: BuildReport) -> None:
    clips = tuple(
        replace(clip, pair_error_ms_p95=None, clothing="unknown", occupants=-1, warnings=())
        for clip in report.info.clips
    )
    info = replace(
        report.info,
        clips=clips,
        pair_errors=None,
        field_of_view_deg=None,
        view={},
        has_full=False,
        notes=("One more thing.",),
    )
    lines = render_card(info, None).splitlines()
    for line in (
        "| Field of view | not known |",
        "| Heatmap resolution | 8x5 |",
        "| Occupants | not known |",
        "| unknown | 12 | 24 | 36 |",
        "| kitchen-01 | test | 12 | 0 | unknown | bright | not known | not known | 20.0 to 27.8 degC |",
        "How far apart heat and picture are is not known.",
        "There is none: heat and pictures came cut to each other.",
        "One more thing.",
    ):
        assert line in lines
    assert not any("heatmap_full" in line for line in lines)


def test_the_card_says_what_may_be_done_and_leaves_the_owner_to_say_the_rest(card: list[str]) -> None:
    text = " ".join(card)
    assert "Do not try to find out who is in it" in text
    assert "*write here whom to ask, before this dataset is passed on*" in text
    assert "*Not chosen yet: whoever passes this dataset on names one here" in text


def test_what_was_left_out_stands_on_the_card(report: BuildReport, calibration: Calibration) -> None:
    clips = tuple(replace(clip, left_out={"no picture near enough in time": 2}) for clip in report.info.clips)
    text = render_card(replace(report.info, clips=clips), calibration)
    assert "| 6 | no picture near enough in time |" in text.splitlines()


def test_the_longest_bar_of_the_histogram_is_the_fullest_bin_and_one_pair_shows() -> None:
    lines = draw_histogram((-50.0, 0.0, 50.0), (1, 1000))
    assert lines[0] == f"  -50.0 ..   +0.0 ms  {'#':<40}  1"
    assert lines[1] == f"   +0.0 ..  +50.0 ms  {'#' * 40}  1000"


@pytest.mark.parametrize(("pairs", "name"), [(999, "n<1K"), (1000, "1K<n<10K"), (21_959, "10K<n<100K")])
def test_the_size_is_in_the_hubs_words(pairs: int, name: str) -> None:
    assert categorise_size(pairs) == name
