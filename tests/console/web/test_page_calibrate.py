"""The Calibrate page: choose clips, run, verdict and the one thing to do; then heat lies over the camera."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from lrt.calibration.geometry import read_calibration

FRAMES = 20  # the page asks for 200, which takes minutes on a busy machine


@pytest.fixture(scope="module")
def rig(serve: Callable[..., Any], record_clip: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A twin with a clip that serves and one that does not: nobody is in it."""
    folder = tmp_path_factory.mktemp("rig")
    record_clip(folder, "walk", "red", seconds=15)
    record_clip(folder, "empty", "red", seconds=3, occupants=0)
    return serve(folder=folder)


def fewer_frames(route: Any) -> None:
    """The page's own request, to the real server, with fewer frames to look at."""
    if route.request.method == "POST":
        route.continue_(post_data=json.dumps(json.loads(route.request.post_data) | {"frames": FRAMES}))
    else:
        route.continue_()


def test_a_calibration_runs_from_the_page_and_lays_heat_over_the_camera(rig: Any, phone: Callable[..., Any]) -> None:
    seen = phone(rig.url)
    page = seen.open("calibrate")
    page.route("**/api/calibrate", fewer_frames)
    page.wait_for_selector("#calibrate-clips :checked[value='walk']")
    assert page.is_disabled("#calibrate-clips [value='empty']")
    assert page.text_content("#calibrate-clips li:has([value='empty']) .why").strip() != ""
    page.click("#calibrate-go")
    page.wait_for_selector("#progress-text:not(:empty)")
    assert page.is_hidden("#calibrate-go")
    page.wait_for_selector("#result", timeout=120_000)
    verdict = page.text_content("#verdict")
    made = read_calibration(rig.folder / "calibration.json")
    assert verdict == made.verdict
    assert page.text_content("#verdict-advice").strip() != ""
    seen.until("document.querySelector('#result-overlay').naturalWidth > 0")
    with page.expect_popup() as report:
        page.click("#result-report")
    report.value.wait_for_selector("h1:has-text('Calibration')")
    report.value.close()
    # over the camera, at the place that the file says
    page.click(".tabs a[href='#live']")
    page.click("#live-over")
    page.wait_for_selector("#live-overlay:not([hidden])")
    seen.moves("#live-overlay")
    left, right = page.evaluate(
        """() => {
          const over = document.querySelector("#live-overlay"), row = Math.round(over.height / 2);
          const line = over.getContext("2d").getImageData(0, row, over.width, 1).data;
          const filled = Array.from({ length: over.width }, (_, x) => x).filter((x) => line[4 * x + 3] > 0);
          return [filled[0], filled.at(-1)];
        }"""
    )
    first, _, last, _ = made.field()
    assert left == pytest.approx(max(0, first), abs=2)
    assert right == pytest.approx(min(319, last), abs=2)


def test_nothing_chosen_is_refused_with_what_to_do(rig: Any, phone: Callable[..., Any]) -> None:
    page = phone(rig.url, "desktop").open("calibrate")
    page.wait_for_selector("#calibrate-clips :checked")
    page.uncheck("#calibrate-clips [value='walk']")
    page.click("#calibrate-go")
    page.wait_for_selector("#calibrate-refused:has-text('Choose at least one clip')")


def test_a_calibration_is_broken_off(rig: Any, phone: Callable[..., Any]) -> None:
    page = phone(rig.url).open("calibrate")
    page.wait_for_selector("#calibrate-clips :checked")
    page.click("#calibrate-go")
    page.click("#calibrate-cancel")
    page.wait_for_selector("#calibrate-go")
    page.wait_for_selector("#calibrate-refused:has-text('broken off')")
