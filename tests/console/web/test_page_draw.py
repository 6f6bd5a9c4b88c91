"""The Draw page: the person is drawn from live heat, marked synthetic, with the camera hidden unless asked for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lrt.calibration.geometry import Calibration
from lrt.dataset.loading import PairSet
from lrt.model.config import train_config
from lrt.model.train import train
from lrt.rig.twin.rig import open_twin

SMOKE = train_config("smoke")
SMALL = replace(SMOKE.model, width=4, semantic_width=4, z=8, discriminator_width=4, inversion_width=4)
TINY = replace(SMOKE, model=SMALL, batch=4, gan_steps=2, inversion_steps=2)


@pytest.fixture(scope="module")
def rig(serve: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A twin beside a run that was hardly trained: what it draws is worth nothing, the way there is the real one."""
    folder = tmp_path_factory.mktemp("rig")
    truth = open_twin("red", "bright", 1, "any", size=(320, 180)).truth()
    calibration = Calibration(
        **{name: truth[name] for name in ("tx", "ty", "s", "offset_ms")},
        tx_sd=1, ty_sd=1, s_sd=1, offset_ms_sd=1, image_size=(320, 180), score=1, overlap=1,
        verdict="PASS", advice="", masks="small", frames=1, synthetic=True,
    )  # fmt: skip
    random = np.random.default_rng(0)
    number = np.zeros(8, np.int16)
    noise = PairSet(
        images=random.integers(0, 256, (8, 40, 64, 3), np.uint8),
        heatmaps=random.uniform(19, 30, (8, 5, 8)).astype(np.float32),
        clip=number.astype(np.int32), frame=np.arange(8, dtype=np.int32),
        clothing=number, lighting=number, occupants=number,
        clip_ids=("noise",), subjects=("",), rooms=("",), tags=((),), synthetic=True,
    )  # fmt: skip
    train(noise, folder / "runs/tiny", TINY, calibration=calibration.to_json())
    return serve(folder=folder)


def test_a_picture_is_drawn_from_live_heat_without_the_camera(
    rig: Any, phone: Callable[..., Any], tmp_path: Path
) -> None:
    picture = tmp_path / "my picture.png"
    cv2.imwrite(str(picture), np.random.default_rng(1).integers(0, 256, (40, 64, 3), np.uint8))
    seen = phone(rig.url)
    asked: list[str] = []
    seen.page.on("request", lambda request: asked.append(request.url))
    page = seen.open("draw")
    page.click("#models .choice:has-text('tiny')")
    page.set_input_files("#source-file", picture)
    page.wait_for_selector("#source-note:has-text('is there and chosen')")
    asked.clear()
    page.click("#draw-go")
    seen.until("!document.querySelector('#draw-stop').hidden", patience_ms=170_000)  # torch is imported meanwhile
    seen.until("document.querySelector('#drawn-veil').hidden", patience_ms=90_000)
    seen.moves("#drawn")
    seen.moves("#draw-heat")
    assert page.is_visible(".stamp:has-text('SYNTHETIC')")
    page.wait_for_selector("#draw-figures:has-text('ms from heat to picture')")
    assert page.is_hidden("#draw-camera-stage")
    assert [url for url in asked if "camera" in url] == []
    page.click("#draw-show-camera")
    page.wait_for_selector("#draw-camera-stage:not([hidden])")
    seen.until("document.querySelector('#draw-camera').naturalWidth === 320")
    page.click("#draw-stop")
    page.wait_for_selector("#draw-go")
    assert page.is_hidden("#draw-pictures")


def test_what_is_no_picture_is_refused_in_words(rig: Any, phone: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    page = phone(rig.url, "desktop").open("draw")
    page.wait_for_selector("#models .choice")
    page.set_input_files("#source-file", tmp_path / "notes.png")
    page.wait_for_selector("#source-note:has-text('is no picture that this browser can open')")
