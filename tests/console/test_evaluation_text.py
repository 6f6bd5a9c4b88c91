"""What `lrt evaluate` says, to the letter, and the page that shows the same."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from lrt.console.evaluation import evaluation_text
from lrt.console.evaluation_page import draw_bar, write_evaluation_page, write_sides_page
from lrt.console.figures import Row
from lrt.model.pictures import write_png

PLAIN = {
    "mae": 0.0612,
    "pairs": 4000,
    "clips": 20,
    "split": "test",
    "synthetic": True,
    "regression": False,
    "clips_trained_on": 0,
    "heat_image_correlation": 0.51,
    "heat_image_correlation_real": 0.7,
    "heat_image_correlation_shuffled": 0.01,
    "z_diversity": 0.1,
    "z_diversity_real": 0.15,
    "reconstruction": {
        "mae_low": 0.05,
        "mae_high": 0.07,
        "mae_of_batches": 0.0613,
        "mae_of_frames": 0.0611,
        "mae_of_source": 0.08,
        "source_rank": 0.42,
        "untrimmed_clips": ["hall-1"],
        "per_clip": {"hall-1": 0.05, "hall-2": 0.07},
    },
    "control": None,
    "silhouette": None,
    "distances": None,
    "memory": None,
    "page": "runs/kitchen/evaluation/index.html",
}
ONE = {"value": 0.8, "low": 0.7, "high": 0.9, "real": 0.95, "shuffled": 0.2}
CONTROL = {
    "sources": 45,
    "heatmaps": 35,
    "pictures": 547,
    "judge_saw_these_clips": True,
    "warmth_error_c": ONE,
    "clothing_accuracy": None,
    "clothing_recall": {"red": 0.0, "blue": 0.5},
    "clothing_of_heat": ONE,
    "lighting_accuracy": ONE,
    "code_heat_r2": {**ONE, "low": None, "high": None},
    "warmth_spread_c": 0.1,
    "empty": {"sources": 3, "warmth_error_c": ONE, "lighting_accuracy": None, "clothing": {}},
}
FAR = {"value": 8.32, "low": 8.0, "high": 8.6, "of_seeds": []}


def test_a_plain_evaluation_gives_the_error_three_ways():
    assert evaluation_text(PLAIN).splitlines() == [
        "redrawn from one picture each: 20 test clips",
        "  reconstruction error, 0..1                  0.0612 [0.0500 .. 0.0700], "
        "source shown for every heatmap 0.0800",
        "  by batches of 128, as the published 0.0272  0.0613",
        "  by frames, which corrects that              0.0611",
        "  rank of the source frame, 0 best, 1 worst   0.42",
        "  the run was trained on 0 of them",
        "  1 clip of fewer than 150 frames used whole; the published figure leaves out 50 at each end",
        "whether pictures change where the heat does, and with the code",
        "  heat-image correlation                      0.51, real 0.70, shuffled 0.01",
        "  difference that the code makes, 0..1        0.10, real 0.15",
        "runs/kitchen/evaluation/index.html",
    ]


def test_of_a_regression_one_line_says_what_does_not_apply():
    lines = evaluation_text({**PLAIN, "regression": True}).splitlines()
    note = "  a regression takes no code: what would follow a source, and the grid's columns, do not apply"
    assert lines[4] == note
    left_out = ("rank of the source frame", "difference that the code makes")
    assert not any(name in line for line in lines for name in left_out)
    assert len(lines) == len(evaluation_text(PLAIN).splitlines()) - 1


def test_control_stands_between_its_bounds_and_says_what_it_cannot_tell():
    lines = evaluation_text({**PLAIN, "control": CONTROL}).splitlines()[10:-1]
    assert lines == [
        "45 sources, 35 heatmaps of other clips, 547 pictures, read by a small network, which learned from some of "
        "these clips",
        "  warmth off the heatmap's, degC              0.80 [0.70 .. 0.90], real 0.95, shuffled 0.20",
        "  clothing of the source                      no labels, or no other clips, to tell by",
        "  light of the source                         0.80 [0.70 .. 0.90], real 0.95, shuffled 0.20",
        "  clothing of the heatmap's clip instead      0.80 [0.70 .. 0.90], real 0.95, shuffled 0.20",
        "  heat found in the code, R2                  0.80, real 0.95, shuffled 0.20",
        "  warmth that moves with the source, degC     0.10",
        "  sources of empty rooms: warmth off, degC    0.80 [0.70 .. 0.90], real 0.95, shuffled 0.20",
        "  sources of empty rooms: light               no labels, or no other clips, to tell by",
        "  3 of the sources show an empty room",
        "  never drawn when asked for: red",
    ]


def test_only_inceptions_distances_are_fid_and_kid():
    common = {
        "features": "over something",
        "pictures": 9,
        "fewer_than_features": False,
        "precision": FAR,
        "recall": FAR,
    }
    inception = {**common, "fid": FAR, "kid": FAR, "fid_of_real": 1.5, "kid_of_real": None}
    other = {**common, "frechet_distance": FAR, "kernel_distance": FAR, "fewer_than_features": True}
    said = evaluation_text({**PLAIN, "distances": inception}).splitlines()
    assert said[10] == "9 drawn and 9 real pictures, over something"
    assert said[11] == "  FID                                         8.32 [8.00 .. 8.60], real 1.50"
    assert said[12] == "  KID                                         8.3200 [8.0000 .. 8.6000]"
    said = evaluation_text({**PLAIN, "distances": other})
    assert "FID" not in said
    assert "trust the kernel's" in said


def test_a_bar_goes_from_the_failing_generator_to_the_perfect_one():
    bar = draw_bar(Row("error", 0.06, low=0.04, high=0.07, best=0.0, worst=0.08))
    assert bar is not None
    assert (bar.value, bar.low, bar.high, bar.beyond) == (
        pytest.approx(25),
        pytest.approx(12.5),
        pytest.approx(50),
        False,
    )
    beyond = draw_bar(Row("error", 0.09, best=0.0, worst=0.08))
    assert beyond is not None
    assert (beyond.value, beyond.beyond) == (0, True)
    assert draw_bar(Row("no bounds", 0.5)) is None
    assert draw_bar(Row("bounds alike", 0.5, best=0.2, worst=0.2)) is None


class Text(HTMLParser):
    """The words of a page, and where its pictures come from."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words, self.sources = "", []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.words += data

    def handle_starttag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value for name, value in attrs if name == "src"]


def pictures(folder) -> dict[str, str]:
    paths = {name: folder / f"{name}.png" for name in ("grid", "curves", "worst")}
    for path in paths.values():
        write_png(path, np.zeros((4, 6, 3), np.uint8), "a test's")
    return {name: str(path) for name, path in paths.items()}


def test_the_page_shows_the_same_figures_and_needs_no_other_file(tmp_path):
    result = {**PLAIN, "control": CONTROL, "pictures": pictures(tmp_path)}
    write_evaluation_page(tmp_path / "index.html", result, "kitchen: spade-sr-64")
    page = Text((tmp_path / "index.html").read_text())
    for shown in ("0.0612", "[0.0500 .. 0.0700]", "kitchen: spade-sr-64", "hall-2", "never drawn when asked for: red"):
        assert shown.casefold() in re.sub(r"\s+", " ", page.words).casefold()
    assert len(page.sources) == 3
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)


def test_two_sides_stand_beside_each_other(tmp_path):
    unseen = {**PLAIN, "mae": 0.0812, "clips": 4, "pictures": pictures(tmp_path)}
    result = {
        "named": "leave-red-out",
        "seen": {**PLAIN, "pictures": pictures(tmp_path)},
        "unseen": unseen,
        "seen_was_trained_on": False,
        "mae_gap": {"value": 0.02, "low": 0.01, "high": 0.03},
        "page": "index.html",
    }
    said = evaluation_text(result).splitlines()
    assert said[0] == (
        "leave-red-out: 20 clips like those trained on, but held out (seen), 4 of what it never saw (unseen)"
    )
    assert re.match(r"  reconstruction error, 0..1 +seen    0.0612", said[1])
    assert re.match(r" +unseen  0.0812", said[2])
    assert said[-2].endswith("0.0200 [0.0100 .. 0.0300]")
    write_sides_page(tmp_path / "index.html", result, "kitchen: spade-sr-64")
    words = Text((tmp_path / "index.html").read_text()).words
    assert "0.0612" in words
    assert "0.0812" in words
