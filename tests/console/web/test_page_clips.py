"""The Clips page: a clip is played, judged in words, mended, taken away and deleted."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def rig(serve: Callable[..., Any], record_clip: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A twin with two clips of six seconds."""
    folder = tmp_path_factory.mktemp("rig")
    for clip_id, clothing in (("walk-01", "red"), ("walk-02", "green")):
        record_clip(folder, clip_id, clothing, seconds=6)
    return serve(folder=folder)


def open_clip(page: Any, clip_id: str) -> None:
    page.click(f"[data-clip='{clip_id}']")
    page.wait_for_selector(f"#clip-title:has-text('{clip_id}')")


def test_clips_are_listed_with_picture_tags_and_verdict(rig: Any, phone: Callable[..., Any]) -> None:
    seen = phone(rig.url)
    page = seen.open("clips")
    page.wait_for_selector(".clip:has-text('walk-01'):has-text('red, bright, 1 person')")
    seen.until("[...document.querySelectorAll('.thumbnail')].filter((each) => each.naturalWidth > 0).length === 2")
    page.wait_for_selector(".clip:has-text('walk-01') .quality:not(:has-text('Not yet'))")
    verdict = page.text_content(".clip:has-text('walk-01') .quality")
    assert verdict.split(":")[0].strip(". ") in ("Good", "Doubtful", "Do not use")


def test_heat_plays_beside_the_picture_and_follows_the_finger(rig: Any, phone: Callable[..., Any]) -> None:
    seen = phone(rig.url)
    page = seen.open("clips")
    open_clip(page, "walk-01")
    seen.until("document.querySelector('#player-image').naturalWidth > 0")
    page.wait_for_selector("#player-time:has-text('0.0 s of')")
    page.click("#player-play")
    seen.moves("#player-heat")
    seen.moves("#player-image")
    seen.until("document.querySelector('#player-play').textContent === 'Play'")  # it stops at the end by itself
    assert page.input_value("#player-seek") == page.get_attribute("#player-seek", "max")
    page.focus("#player-seek")
    page.keyboard.press("Home")
    page.wait_for_selector("#player-time:has-text('0.0 s of')")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#player-time:has-text('0.1 s of')")
    page.keyboard.press("Escape")
    page.wait_for_selector("#clip-dialog", state="hidden")
    assert page.evaluate("document.activeElement.dataset.clip") == "walk-01"


def test_a_tag_is_mended_and_the_old_one_stays_in_the_history(rig: Any, phone: Callable[..., Any]) -> None:
    page = phone(rig.url).open("clips")
    open_clip(page, "walk-01")
    page.click("#mend-clothing .choice:has-text('black')")
    page.fill("#mend-room", "hall")
    page.fill("#mend-tags", "sofa, glasses")
    page.click("#mend button[type=submit]")
    page.wait_for_selector("#mend-note:has-text('Saved')")
    page.keyboard.press("Escape")
    page.wait_for_selector(".clip:has-text('walk-01'):has-text('black, bright')")
    kept = json.loads((rig.clips / "walk-01/clip.json").read_text())
    assert (kept["clothing"], kept["room"], kept["tags"]) == ("black", "hall", ["sofa", "glasses"])
    assert '"red"' in json.dumps(kept["history"])


def test_a_clip_is_downloaded_whole(rig: Any, phone: Callable[..., Any], tmp_path: Path) -> None:
    page = phone(rig.url).open("clips")
    open_clip(page, "walk-01")
    with page.expect_download() as coming:
        page.click("#clip-download")
    coming.value.save_as(tmp_path / "clip.zip")
    with zipfile.ZipFile(tmp_path / "clip.zip") as archive:
        assert archive.testzip() is None
        inside = {Path(name).name: archive.read(name) for name in archive.namelist()}
    assert inside["clip.mcap"] == (rig.clips / "walk-01/clip.mcap").read_bytes()


def test_a_clip_is_deleted_only_after_a_yes_that_names_it(rig: Any, phone: Callable[..., Any]) -> None:
    page = phone(rig.url).open("clips")
    open_clip(page, "walk-02")
    page.click("#clip-delete")
    page.wait_for_selector("#ask-title:has-text('Delete walk-02?')")
    assert page.evaluate("document.activeElement.id") == "ask-no"
    page.keyboard.press("Escape")
    page.wait_for_selector("#ask", state="hidden")
    assert (rig.clips / "walk-02/clip.mcap").exists()
    page.click("#clip-delete")
    page.click("#ask-yes")
    page.wait_for_selector("#clip-dialog", state="hidden")
    page.wait_for_selector("[data-clip='walk-02']", state="detached")
    assert not (rig.clips / "walk-02").exists()
