"""The run that ships with lrt: it is there, it is whole, it says what it is, and it follows heat and source."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from lrt.console.drawing import SOURCES, list_models, list_sources, open_drawing
from lrt.dataset.tags import CLOTHING, LIGHTING
from lrt.model.drawer import SHIPPED, SHIPPED_FOLDER, find_shipped, load_drawer
from lrt.model.exported import open_form, read_card
from lrt.model.measures import heat_image_correlation
from lrt.rig.settings import TwinScene, load_rig, open_thermal


@pytest.fixture(scope="module")
def heat() -> np.ndarray:
    """(60, 8, 8) degC of a minute of the twin."""
    found = []
    with open_thermal(load_rig("twin"), TwinScene("red", "bright", seed_name="shipped"), live=False) as thermal:
        while len(found) < 600:
            found += [one.celsius for one in thermal.sensor.poll()]
            thermal.clock.advance(thermal.sensor.poll_period_ns)
    return np.stack(found[:600:10])


def test_it_is_small_and_every_form_of_it_is_whole():
    card = read_card(SHIPPED_FOLDER)
    assert sum(path.stat().st_size for path in SHIPPED_FOLDER.rglob("*") if path.is_file()) < 6e6
    z, heatmaps = np.zeros((1, card.about.z), np.float32), np.full((1, 5, 8), 22, np.float32)
    pictures = [
        open_form(SHIPPED_FOLDER, card, form, reader).draw(z, heatmaps)
        for form, reader in zip(card.forms, ("onnxruntime", "torch"), strict=True)
    ]
    np.testing.assert_allclose(pictures[0], pictures[1], atol=1e-5)


def test_it_says_that_it_shows_nobody():
    saved = json.loads((SHIPPED_FOLDER / "card.json").read_text())
    assert saved["about"]["synthetic"] is True
    assert saved["about"]["calibration"]["synthetic"] is True
    assert "no figure of this run is about people" in (SHIPPED_FOLDER / "README.md").read_text()
    assert list_models(Path("nowhere"))[0] == {
        "name": "twin",
        "path": "twin",
        "says": "spade-sr-64, trained on the twin: it shows nobody",
        "available": True,
        "why": None,
    }


def test_its_name_is_a_folder_of_ones_own_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert find_shipped(SHIPPED) == SHIPPED_FOLDER
    monkeypatch.chdir(tmp_path)
    (tmp_path / SHIPPED).mkdir()
    assert find_shipped(SHIPPED) == Path(SHIPPED)


def test_there_is_a_source_of_every_clothing_and_light():
    assert sorted(list_sources()) == sorted(f"{shirt}-{light}" for shirt in CLOTHING for light in LIGHTING)
    drawing = open_drawing(SHIPPED)
    np.testing.assert_array_equal(drawing.source(SHIPPED), drawing.source("red-bright"))
    for path in SOURCES.iterdir():
        assert b"algorithmicMedia" in path.read_bytes()
        assert cv2.imread(str(path)).shape == (40, 64, 3)


def test_what_it_draws_follows_the_heat(heat: np.ndarray):
    """Brightness and warmth go together from frame to frame, as in `lrt evaluate`; in shuffled frames they do not."""
    drawing = open_drawing(SHIPPED)
    live = drawing.live(drawing.source("red-bright"))
    drawn = [live.draw(one) for one in heat]
    pictures = np.stack([one.picture for one in drawn]).astype(np.float32) / 255
    cropped, clip = np.stack([one.heatmap for one in drawn]), np.zeros(len(heat), np.int32)
    following = heat_image_correlation(pictures, cropped, clip)
    shuffled = heat_image_correlation(pictures, cropped[::-1].copy(), clip)
    assert following > 0.3
    assert following > shuffled + 0.2


def test_light_follows_the_source(heat: np.ndarray):
    drawing = open_drawing(SHIPPED)
    drawer = load_drawer(SHIPPED)
    cropped = drawing.view.sample_heatmap(heat[::6])

    def brightness(name: str) -> float:
        return float(drawer.draw(drawer.code(drawing.source(name)[None]), cropped).mean())

    for shirt in CLOTHING:
        assert brightness(f"{shirt}-bright") > brightness(f"{shirt}-dim") + 0.05
