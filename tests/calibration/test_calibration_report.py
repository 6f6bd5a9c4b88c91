"""The pictures show the heat where the pose puts it; the page shows all, says what to do, and needs no other file."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from lrt.calibration.check import Check
from lrt.calibration.distance import DistanceConfig, shift_at, tabulate_shifts, usable_range
from lrt.calibration.fitting import Fit, fit_calibration
from lrt.calibration.forward import Pose
from lrt.calibration.geometry import CalibrationError, write_calibration
from lrt.calibration.overlap import lay_heat, overlap
from lrt.calibration.overlay import draw_overlay, show_frames
from lrt.calibration.picture import draw_picture
from lrt.calibration.report import render_page


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
    page = draw_picture(fit, show_frames(fit, images, rig.heatmaps, rig.masks))
    assert page.ndim == 3
    assert page.dtype == np.uint8
    ribbon = (page == (255, 226, 150)).all(axis=-1).sum()
    assert (ribbon > 1000) == synthetic


# ------------------------------------------------------------------------------------------------------------ the page

FRAMES = 120
CLIPS = {"kitchen-01": "1f" * 32, "hall-02": "2e" * 32}
ADVICE = "someone is in view in 24 frames: record until there are 60 or more, 200 is good"


@dataclass
class Seen(HTMLParser):
    """A page as a browser would take it: its text, what it refers to, and its tables' rows."""

    text: str = ""
    references: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    pre: str = ""
    open: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.kinds.append(tag)
        self.references += [value or "" for name, value in attributes if name in ("src", "href", "srcset", "action")]
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "tags are closed in the order they were opened"

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        if "pre" in self.open:
            self.pre += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def row(self, first: str) -> list[str]:
        [found] = [row for row in self.rows if row and row[0] == first]
        return found


@pytest.fixture(scope="module")
def rig(simulate):
    return simulate(700, frames=FRAMES)


@pytest.fixture(scope="module")
def fit(rig) -> Fit:
    times_ns = np.arange(FRAMES) * 500_000_000
    made = fit_calibration(
        rig.heatmaps, rig.masks, rig.image_size, clips=CLIPS, masks_name="folder <b>", image_times_ns=times_ns
    )
    curve = np.stack([np.linspace(-0.5, 0.5, 21), 0.8 - np.linspace(-0.5, 0.5, 21) ** 2], axis=1)
    timed = replace(made.calibration, offset_ms=31.0, offset_ms_sd=6.0)
    return replace(made, calibration=timed, lag_r2=curve)


@pytest.fixture(scope="module")
def render(rig) -> Callable[..., str]:
    def call(fit: Fit, check: Check | None = None, distance: DistanceConfig = DistanceConfig()) -> str:  # noqa: B008
        images = [np.full((360, 640, 3), 90, np.uint8)] * FRAMES
        shown = show_frames(fit, images, rig.heatmaps, rig.masks, check.calibration if check else None)
        return render_page(fit, shown, date(2031, 2, 3), distance, check)

    return call


def see(page: str) -> Seen:
    seen = Seen()
    seen.feed(page)
    seen.close()
    assert not seen.open
    return seen


def test_the_page_refers_to_no_other_file_and_runs_nothing(fit: Fit, render):
    page = render(fit)
    seen = see(page)

    assert "://" not in page
    assert all(reference.startswith("data:image/") for reference in seen.references)
    assert len(seen.references) >= 7, "six overlays and the map of the search"
    assert not {"script", "link", "iframe", "object"} & set(seen.kinds)
    assert "default-src 'none'" in page
    assert "url(" not in page


@pytest.mark.parametrize(
    ("verdict", "advice", "do", "why"),
    [
        ("PASS", "", "Nothing to record again: use this calibration.", ""),
        ("WARN", ADVICE, "Record until there are 60 or more, 200 is good.", "Someone is in view in 24 frames."),
    ],
)
def test_the_page_begins_with_the_verdict_and_the_one_thing_to_do(fit: Fit, render, verdict, advice, do, why):
    judged = replace(fit, calibration=replace(fit.calibration, verdict=verdict, advice=advice))
    seen = see(render(judged))
    top = re.sub(r"\s+", " ", seen.text.split("See for yourself")[0])

    assert re.search(rf"2031-02-03 {verdict} {re.escape(do)} ?{re.escape(why)}", top)
    gates = [row for row in seen.rows if row[:1] in (["✓"], ["✗"])]
    assert (gates[0][:2] == ["✗", why.rstrip(".")]) == (verdict == "WARN")


def test_the_page_gives_every_parameter_with_its_spread_and_unit(fit: Fit, render):
    seen, c = see(render(fit)), fit.calibration

    assert seen.row("tx")[1] == f"{c.tx:.1f} +- {c.tx_sd:.1f} px"
    assert seen.row("ty")[2] == f"{c.ty_sd / c.s:.1%}"
    assert seen.row("s")[1] == f"{c.s:.2f} +- {c.s_sd:.2f} px"
    assert seen.row("s")[3] == f"{fit.systematic[2]:.2f} px"
    assert seen.row("offset")[1] == "31.0 +- 6.0 ms"
    unknown = replace(fit, calibration=replace(c, tx_sd=np.inf, offset_ms_sd=0.0))
    assert see(render(unknown)).row("tx")[1:3] == [f"{c.tx:.1f} +- ? px", "not known"]
    assert see(render(unknown)).row("offset")[1] == "31.0 ms"


def test_the_page_can_be_cited_and_names_the_calibration_as_a_dataset_does(fit: Fit, render, tmp_path: Path):
    seen = see(render(fit))
    write_calibration(fit.calibration, tmp_path / "calibration.json")
    identity = hashlib.sha256((tmp_path / "calibration.json").read_bytes()).hexdigest()

    assert json.loads(seen.pre) == json.loads((tmp_path / "calibration.json").read_text())
    assert seen.text.count(identity) == 2
    cited = re.sub(r"\s+", " ", seen.text.rsplit("Cite this", 1)[1])
    for part in ("2031-02-03", f"{FRAMES} frames of 2 clips", "folder <b>", f"r2 = {fit.calibration.score:.2f}"):
        assert part in cited
    assert seen.row("clip hall-02")[1] == CLIPS["hall-02"]


@pytest.mark.parametrize("synthetic", [False, True])
def test_the_page_warns_of_the_people_it_shows_and_marks_what_a_twin_made(fit: Fit, render, synthetic: bool):
    text = see(render(replace(fit, calibration=replace(fit.calibration, synthetic=synthetic)))).text

    assert ("This page shows people" in text) != synthetic
    assert ("Made by the rig's digital twin" in text) == synthetic
    assert ("a rig's digital twin made them" in text.rsplit("Cite this", 1)[1]) == synthetic


def test_every_figure_is_a_drawing_with_a_caption(fit: Fit, render):
    page = render(fit)
    figures = re.findall(r'<figure class="card">.*?</figure>', page, re.DOTALL)

    assert len(figures) == 9
    for number, figure in enumerate(figures, start=1):
        tree = ElementTree.fromstring(figure)
        assert tree[0].text.startswith(f"{number}. ")
        assert tree.find("svg").attrib["viewBox"]
        assert len(list(tree.find("svg"))) > 5
        assert len(tree.find("figcaption").text) > 60
        assert "nan" not in figure.lower().replace("dominant", "")


def draw(page: str, title: str) -> ElementTree.Element:
    """The drawing under a title."""
    [figure] = [f for f in re.findall(r'<figure class="card">.*?</figure>', page, re.DOTALL) if f". {title}<" in f]
    return ElementTree.fromstring(figure).find("svg")


def test_frames_that_counted_less_than_half_are_marked(fit: Fit, render):
    weight = np.ones(FRAMES)
    weight[[3, 30, 77]] = 0.1
    page = render(replace(fit, weight=weight))
    svg = draw(page, "What is left, frame by frame")

    assert len([part for part in svg if part.get("class") == "warm"]) == 3
    assert len([part for part in svg if part.tag == "circle"]) == FRAMES - 3
    assert "3 of 120 frames (triangles)" in page


def test_the_cross_stands_where_the_fit_is_in_the_search(fit: Fit, render):
    """Its place among the tick labels of both axes."""
    svg = draw(render(fit), "Search over place")
    x, y = map(float, re.match(r"M([\d.]+) ([\d.]+)h14", svg.find("path[@class='cross']").get("d")).groups())
    ticks = [part for part in svg.findall("text") if re.fullmatch(r"[\d.]+", part.text or "")]
    across = [(float(part.text), float(part.get("x"))) for part in ticks if part.get("text-anchor") == "middle"]
    down = [(float(part.text), float(part.get("y")) - 4) for part in ticks if part.get("text-anchor") == "end"]

    assert np.interp(x + 7, *np.transpose(across)[::-1]) == pytest.approx(fit.calibration.tx, abs=1)
    assert np.interp(y, *np.transpose(down)[::-1]) == pytest.approx(fit.calibration.ty, abs=1)


def test_maps_show_each_pixels_number_and_leave_out_what_looks_past_the_image(fit: Fit, render):
    residual = np.full((8, 8), 0.25)
    residual[2, 5], residual[7] = 0.75, np.nan
    svg = draw(render(replace(fit, residual_map=residual)), "What is left, pixel by pixel")
    squares = svg.findall("rect")

    assert [part.get("class") for part in squares] == ["shade"] * 56 + ["hatched"] * 8
    darkest = max(range(64), key=lambda number: float(squares[number].get("fill-opacity")))
    assert divmod(darkest, 8) == (2, 5)
    assert [part.text for part in svg.findall("text")].count("0.25") == 55


def test_a_finer_sensors_maps_have_a_square_for_each_pixel(fit: Fit, render):
    fine = replace(fit.calibration, grid=(24, 32))
    svg = draw(
        render(replace(fit, calibration=fine, coverage=np.zeros((24, 32)), residual_map=np.full((24, 32), 0.2))),
        "What is left, pixel by pixel",
    )

    assert len(svg.findall("rect")) == 24 * 32


def test_a_check_shows_both_poses_and_how_far_it_moved(fit: Fit, render):
    old = replace(fit.calibration, tx=fit.calibration.tx - 9.0, clips={"monday": "0" * 64})
    check = Check(
        calibration=old,
        fit=fit,
        moved={"tx": 9.0, "ty": 0.0, "s": 0.0},
        sds={"tx": 4.5, "ty": 0.0, "s": 0.0},
        r2=0.5,
        best_r2=0.8,
        overlap=0.4,
        best_overlap=0.7,
        verdict="MOVED",
        advice="the heat lies to the right: calibrate again",
        notes=("said <i>plainly</i>",),
    )
    page = render(fit, check)
    seen = see(page)

    assert "MOVED\n" in seen.text
    assert "Calibrate again." in seen.text
    assert next(row[1:3] for row in seen.rows if row[:1] == ["tx"]) == ["+9.0 px", "4.5 sd"]
    assert "Said <i>plainly</i>." in seen.text
    assert page.count("old calibration</span>") == page.count("best of these clips</span>") == 3


def test_the_distance_table_follows_the_setting(fit: Fit, render):
    seen = see(render(fit, distance=DistanceConfig(baseline_cm=5, distance_m=2)))

    assert seen.row("2 m")[1] == "+0.000"
    assert float(seen.row("1 m")[1]) == pytest.approx(0.190, abs=0.001)
    assert "from 1.3 m to 4.2 m" in re.sub(r"\s+", " ", seen.text)


# ------------------------------------------------------------------------------------------------------------ distance


@pytest.mark.parametrize(
    ("baseline_cm", "tabulated"),
    [(2, (0.152, 0.076, 0.051, 0.038)), (3, (0.228, 0.114, 0.076, 0.057)), (5, (0.380, 0.190, 0.127, 0.095))],
)
def test_shifts_are_those_worked_out_by_hand(baseline_cm: float, tabulated: tuple[float, ...]):
    """7.6 b / z at 1, 2, 3 and 4 m; calibrated at 2 m, what is there is taken away everywhere."""
    config = DistanceConfig(baseline_cm=baseline_cm, distance_m=2)
    for distance_m, whole in zip((1, 2, 3, 4), tabulated, strict=True):
        assert shift_at(distance_m, config) == pytest.approx(whole - tabulated[1], abs=0.0015)


def test_shifts_in_pixels_are_those_of_the_image_and_the_picture():
    """A camera of 440 px focal length: s = 440 tan 7.5 deg = 57.9 px; 5 cm at 1 m are 22 px, 11 of them left."""
    s = 440 * np.tan(np.radians(7.5))
    [near] = tabulate_shifts(DistanceConfig(5, 2), s, s, distances_m=(1.0,))
    [cramped] = tabulate_shifts(DistanceConfig(5, 2), s, s / 2, distances_m=(1.0,))

    assert near.image_px == pytest.approx(11.0)
    assert near.picture_px == pytest.approx(8 * near.thermal_px)
    assert cramped.picture_px == pytest.approx(2 * near.picture_px)
    assert [row.distance_m for row in tabulate_shifts(DistanceConfig(), s, None)] == [0.7, 1, 1.5, 2, 3, 4, 6]


@pytest.mark.parametrize(
    ("baseline_cm", "near", "far"), [(2, 0.86, np.inf), (3, 1.07, 16.3), (4, 1.21, 5.8), (5, 1.31, 4.2), (0, 0, np.inf)]
)
def test_the_usable_range_is_that_worked_out_by_hand(baseline_cm: float, near: float, far: float):
    found = usable_range(DistanceConfig(baseline_cm=baseline_cm, distance_m=2))

    assert found[0] == pytest.approx(near, abs=0.006)
    assert found[1] == pytest.approx(far, rel=0.01)


@pytest.mark.parametrize("wrong", [{"baseline_cm": -1}, {"baseline_cm": float("nan")}, {"distance_m": 0}])
def test_a_rig_that_cannot_be_is_refused(wrong: dict[str, float]):
    [name] = wrong
    with pytest.raises(CalibrationError, match="--" + name.replace("_", "-")):
        DistanceConfig(**wrong)
