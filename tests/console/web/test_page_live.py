"""The Live page: both streams move, heat is read under the finger, health in plain words; it comes back by itself."""

import signal
from collections.abc import Callable
from typing import Any

import pytest

UNPLUGGED = """
[faults]
sensor_gone = [[14.0, 9.0]]
"""


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_both_streams_move(rig: Any, phone: Callable[..., Any], size: str) -> None:
    seen = phone(rig.url, size)
    page = seen.open()
    seen.until("document.querySelector('#live-camera').naturalWidth === 320")
    seen.moves("#live-camera")
    seen.moves("#live-heat")
    low = float(page.text_content("#live-low").split()[0])
    high = float(page.text_content("#live-high").split()[0])
    assert 0 < low < high < 60


def test_heat_is_read_under_the_finger_and_by_arrow_keys(rig: Any, phone: Callable[..., Any]) -> None:
    seen = phone(rig.url)
    page = seen.open()
    seen.until("document.querySelector('#live-low').textContent !== '–'")
    box = page.locator("#live-heat").bounding_box()
    # the middle of row 2, column 7
    page.touchscreen.tap(box["x"] + 6.5 / 8 * box["width"], box["y"] + 1.5 / 8 * box["height"])
    seen.until("/^[0-9.]+\\s°C at row 2, column 7$/.test(document.querySelector('#live-reading').textContent)")
    page.focus("#live-heat")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    seen.until("document.querySelector('#live-reading').textContent.endsWith('row 3, column 6')")
    page.keyboard.press("Escape")
    seen.until("document.querySelector('#live-reading').textContent === 'Touch the heat to read it'")


def test_interpolation_is_a_switch_that_the_phone_remembers(rig: Any, phone: Callable[..., Any]) -> None:
    seen = phone(rig.url)
    page = seen.open()
    page.wait_for_selector("#live-heat:not(.squares)")
    seen.until("document.querySelector('#live-heat').width === 128")
    page.click("#live-smooth")
    seen.until("document.querySelector('#live-heat').width === 8")
    page.reload(wait_until="commit")
    page.wait_for_selector("#live-smooth[aria-pressed=false]")


def test_without_a_calibration_the_overlay_says_what_to_do(rig: Any, phone: Callable[..., Any]) -> None:
    page = phone(rig.url).open()
    page.click("#live-over")
    page.wait_for_selector("#live-over-why:has-text('run Calibrate first')")
    assert page.is_hidden("#live-overlay")


def test_the_health_light_opens_the_findings_and_gives_the_focus_back(rig: Any, phone: Callable[..., Any]) -> None:
    page = phone(rig.url).open()
    page.focus("#light")
    page.keyboard.press("Enter")
    page.wait_for_selector("#findings li:has-text('camera')")
    page.wait_for_selector("#findings li:has-text('disk')")
    page.keyboard.press("Escape")
    page.wait_for_selector("#health-dialog", state="hidden")
    assert page.evaluate("document.activeElement.id") == "light"


def test_an_unplugged_sensor_is_said_and_comes_back(serve: Callable[..., Any], phone: Callable[..., Any]) -> None:
    seen = phone(serve(faults=UNPLUGGED).url)
    page = seen.open()
    page.wait_for_selector("#live-heat-veil:not([hidden])")
    page.wait_for_selector("#live-health.red:has-text('sensor')")
    page.wait_for_selector("#live-heat-veil", state="hidden")
    seen.moves("#live-heat")


def test_a_daemon_that_is_gone_is_said_and_the_page_comes_back(
    serve: Callable[..., Any], phone: Callable[..., Any]
) -> None:
    rig = serve()
    seen = phone(rig.url)
    page = seen.open()
    seen.until("document.querySelector('#live-camera').naturalWidth === 320")
    rig.stop(signal.SIGKILL)
    page.wait_for_selector("#banner:has-text('does not answer')")
    page.wait_for_selector("#live-heat-veil:has-text('No connection')")
    rig.start_again()
    page.wait_for_selector("#banner", state="hidden")
    seen.moves("#live-camera")
    seen.moves("#live-heat")


def test_the_fifth_phone_still_sees_pictures(rig: Any, phone: Callable[..., Any]) -> None:
    """The rig serves four moving pictures; whoever comes later gets single ones, one after the other."""
    for _ in range(4):
        page = phone(rig.url).open()
        page.wait_for_selector("#live-camera[src*='.mjpg']")
    last = phone(rig.url)
    last.open()
    last.page.wait_for_selector("#live-camera[src*='.jpg']")
    last.moves("#live-camera")
