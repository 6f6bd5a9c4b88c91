import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from lrt.console.page import Picture, Stage, draw_curves, write_page


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.full((4, 6, 3), 200, np.uint8))
    return Picture(path, "six by four <grey>")


def test_a_page_needs_nothing_outside_itself(tmp_path: Path, picture: Picture):
    stage = Stage("one", "One", "Text.", "lrt one", 1.4, [("a", "1")], [picture])
    write_page(tmp_path / "page.html", "Title", "Sub", [("figure", "7")], [stage], synthetic=False)
    html = (tmp_path / "page.html").read_text()

    assert re.findall(r'(?:src|href)="(?!data:)', html) == []
    assert "@import" not in html
    assert "six by four &lt;grey&gt;" in html


@pytest.mark.parametrize("synthetic", [True, False])
def test_what_the_twin_made_says_so_on_the_page(tmp_path: Path, synthetic: bool):
    write_page(tmp_path / "page.html", "Title", "Sub", [], [], synthetic=synthetic)

    assert ("digital twin" in (tmp_path / "page.html").read_text()) is synthetic


def test_curves_lie_inside_their_frame(tmp_path: Path):
    draw_curves(tmp_path / "c.svg", {"loss": [(0, 2.0), (10, -1.0)], "other": [(0, 1.0), (10, -1.0)]}, "step", "loss")
    svg = (tmp_path / "c.svg").read_text()
    corners = [
        tuple(map(float, point.split(","))) for line in re.findall('points="([^"]+)"', svg) for point in line.split()
    ]

    assert len(corners) == 4
    assert all(60 <= x <= 710 and 14 <= y <= 256 for x, y in corners)
    assert len(set(re.findall(r'<text x="718" y="([\d.]+)"', svg))) == 2  # the two names do not cover one another


def test_no_points_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="no points"):
        draw_curves(tmp_path / "c.svg", {}, "step", "loss")
