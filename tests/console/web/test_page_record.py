"""The Record page: a tagged clip by finger or by keyboard, refused with the reason, one technician at a time."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def header(clip: Path) -> dict[str, Any]:
    return json.loads((clip / "clip.json").read_text())


def choose(page: Any, seconds: str, countdown: str = "0") -> None:
    page.wait_for_selector("#next:not(:empty)")
    page.fill("#consent", "P07")
    page.select_option("#seconds", seconds)
    page.select_option("#countdown", countdown)


@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_a_tagged_clip_is_recorded_and_the_next_is_proposed(rig: Any, phone: Callable[..., Any], size: str) -> None:
    seen = phone(rig.url, size)
    page = seen.open("record")
    choose(page, seconds="")
    light = {"phone": "dim", "desktop": "bright"}[size]
    page.click("#clothing .choice:has-text('blue')")
    page.click(f"#lighting .choice:has-text('{light}')")
    page.click("#more summary")
    page.fill("#clip-id", f"by-{size}")
    page.fill("#room", "kitchen")
    seen.start(lambda: page.click("#go"))
    page.wait_for_selector("body.recording #running-word:has-text('Recording')")
    assert "blue" in page.text_content("#running-what")
    seen.until("/^[0-9]+:[0-9]{2}$/.test(document.querySelector('#running-time').textContent)")
    seen.until("parseInt(document.querySelector('#running-count').textContent) >= 30")
    seen.moves("#record-camera")
    seen.moves("#record-heat")
    page.wait_for_selector("#coverage-grid")
    page.click("#stop")
    page.wait_for_selector("#last:has-text('by-')")
    page.wait_for_selector("#record-form")
    assert page.is_hidden("#running")
    clip = header(rig.clips / f"by-{size}")
    assert (clip["clothing"], clip["lighting"], clip["occupants"]) == ("blue", light, 1)
    assert (clip["consent"], clip["room"]) == ("P07", "kitchen")
    # the form goes on by itself: something that is not done, under a name of its own
    seen.until(
        "document.querySelector('#clip-id').value !== '' && !document.querySelector('#clip-id').value.startsWith('by-')"
    )
    assert page.locator("#protocol .cell.missing").count() < 10


def test_nobody_is_recorded_without_a_consent(rig: Any, phone: Callable[..., Any]) -> None:
    page = phone(rig.url).open("record")
    page.wait_for_selector("#next:not(:empty)")
    page.fill("#consent", "")
    page.click("#go")
    page.wait_for_selector("#refused:has-text('nobody is recorded without one')")
    assert page.evaluate("document.activeElement.id") == "consent"
    assert page.is_visible("#go")


def test_a_name_that_is_taken_is_refused_with_the_reason(rig: Any, phone: Callable[..., Any]) -> None:
    taken = rig.clips / "taken"
    taken.mkdir()
    seen = phone(rig.url)
    page = seen.open("record")
    choose(page, seconds="20")
    page.click("#more summary")
    page.fill("#clip-id", "taken")
    seen.start(lambda: page.click("#go"), refused="taken is there already")
    page.fill("#clip-id", "not/a name")
    page.click("#go")
    page.wait_for_selector("#refused:has-text('letters, digits')")
    assert page.is_hidden("#running")
    taken.rmdir()


def test_the_countdown_can_be_cancelled_and_leaves_nothing(rig: Any, phone: Callable[..., Any]) -> None:
    seen = phone(rig.url)
    page = seen.open("record")
    choose(page, seconds="20", countdown="10")
    page.click("#more summary")
    page.fill("#clip-id", "never")
    seen.start(lambda: page.click("#go"))
    page.wait_for_selector("#running-head.counting #running-word:has-text('Starts in')")
    page.wait_for_selector("#stop:has-text('Cancel')")
    page.click("#stop")
    page.wait_for_selector("#running", state="hidden")
    page.wait_for_selector("#go")
    assert list(rig.clips.glob("never*")) == []


def test_a_keyboard_alone_can_record(rig: Any, phone: Callable[..., Any]) -> None:
    seen = phone(rig.url, "desktop")
    page = seen.open("live")
    page.wait_for_selector(".tabs a[href='#record']")

    def tab_to(what: str) -> None:
        for _ in range(60):
            if page.evaluate("what => Boolean(document.activeElement?.matches(what))", what):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"Tab never reaches {what}: {page.evaluate('document.activeElement.outerHTML')}")

    tab_to(".tabs a[href='#record']")
    page.keyboard.press("Enter")
    page.wait_for_selector("#next:not(:empty)")
    tab_to("#clothing input")
    page.keyboard.press("ArrowRight")
    chosen = page.evaluate("document.querySelector('#clothing input:checked').value")
    tab_to("#consent")
    page.keyboard.type("P07")
    tab_to("#seconds")
    page.keyboard.type("until")
    tab_to("#countdown")
    page.keyboard.type("at once")
    tab_to("#go")
    seen.start(lambda: page.press("#go", "Enter"))  # a seat taken over in between has the focus
    page.wait_for_selector("#running-word:has-text('Recording')")
    name = page.text_content("#running-what").split(":")[0]
    seen.until("document.activeElement.id === 'stop'")
    seen.until("parseInt(document.querySelector('#running-count').textContent) >= 5")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"#last:has-text('{name}')")
    assert header(rig.clips / name)["clothing"] == chosen


def test_of_two_phones_one_records_and_the_other_watches(rig: Any, phone: Callable[..., Any]) -> None:
    first, second = phone(rig.url), phone(rig.url)
    one, two = first.open("record"), second.open("record")
    choose(one, seconds="")
    choose(two, seconds="")
    one.click("#more summary")
    one.fill("#phone-name", "Anna's phone")
    one.fill("#clip-id", "of-two")
    first.start(lambda: one.click("#go"))
    one.wait_for_selector("#running-word:has-text('Recording')")
    two.wait_for_selector('#running-word:has-text("Anna\'s phone records")')
    assert two.is_hidden("#stop")
    assert two.is_hidden("#go")
    second.moves("#record-heat")
    two.click(".tabs a[href='#live']")
    two.wait_for_selector("#strip:has-text('of-two')")
    assert two.is_hidden("#strip-stop")
    first.until("parseInt(document.querySelector('#running-count').textContent) >= 5")
    one.click("#stop")
    two.wait_for_selector("#strip", state="hidden")
    two.click(".tabs a[href='#record']")
    two.wait_for_selector('#seat-note:has-text("Anna\'s phone")')
    two.click("#seat-take")
    two.wait_for_selector("#seat-note", state="hidden")
    one.wait_for_selector("#seat-note")
    assert header(rig.clips / "of-two")["occupants"] == 1


def test_a_full_disk_is_said_and_nothing_is_begun(serve: Callable[..., Any], phone: Callable[..., Any]) -> None:
    rig = serve(faults="[record]\nreserve_mb = 10000000\n")
    seen = phone(rig.url)
    page = seen.open("record")
    choose(page, seconds="20")
    page.wait_for_selector("#unfit:not(:empty)")
    page.click("#go")
    page.wait_for_selector("#refused:has-text('disk is full')")
    assert page.is_hidden("#running")
    assert [path.name for path in rig.clips.iterdir()] == []
    page.click(".tabs a[href='#live']")
    page.wait_for_selector("#live-disk:has-text('full')")
