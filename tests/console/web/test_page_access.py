"""Everybody can use the page: narrow phones, thumbs, sunlight and the dark, keyboards and screen readers."""

from collections.abc import Callable
from typing import Any

import pytest

TABS = ("live", "record", "clips", "calibrate", "draw")
# Every visible text whose contrast with what is behind it is below AA: 4.5, or 3 for large text
FAINT = """() => {
  const parse = (colour) => (colour.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const over = (top, under) => { const a = top[3] ?? 1; return [0, 1, 2].map((k) => a * top[k] + (1 - a) * under[k]); };
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const found = [];
  let looked = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
    if (element.closest(".unseen, .skip, noscript, option")) continue;
    const style = getComputedStyle(element), under = behind(element);
    const [one, two] = [light(over(parse(style.color), under)), light(under)].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05), px = parseFloat(style.fontSize);
    const large = px >= 24 || (px >= 18.66 && Number(style.fontWeight) >= 700);
    looked += 1;
    if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)} ${walk.currentNode.textContent.trim()}`);
  }
  return { found, looked };
}"""
# What is to be seen or pressed, and what of it has no name for a screen reader
NAMELESS = """() => {
  const kinds = "button, a[href], input, select, canvas, img:not([alt]), section";
  const all = [...document.querySelectorAll(kinds)].filter((each) => each.checkVisibility());
  const named = (each) => each.labels?.length || each.textContent.trim()
    || ["aria-label", "aria-labelledby", "aria-hidden"].some((name) => each.getAttribute(name));
  return { count: all.length, nameless: all.filter((each) => !named(each)).map((each) => each.outerHTML) };
}"""


def test_360_pixels_have_no_sideways_scroll_and_nothing_too_small_for_a_thumb(
    rig: Any, phone: Callable[..., Any]
) -> None:
    page = phone(rig.url, "narrow").open()
    for tab in TABS:
        page.click(f".tabs a[href='#{tab}']")
        page.wait_for_selector(f"#{tab}:not([hidden])")
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, tab
        small = page.evaluate(
            """() => [...document.querySelectorAll("button, .button, select, .tabs a, .choice, .check, main input")]
            .filter((each) => each.checkVisibility() && !each.closest(".choice, .check, .hidden-input"))
            .filter((each) => each.getBoundingClientRect().height < 44)
            .map((each) => each.id || each.textContent)"""
        )
        assert small == [], tab


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(rig: Any, phone: Callable[..., Any], scheme: str) -> None:
    page = phone(rig.url, "phone", scheme).open()
    for tab in TABS:
        page.click(f".tabs a[href='#{tab}']")
        page.wait_for_selector(f"#{tab}:not([hidden])")
        page.wait_for_timeout(300)
        seen = page.evaluate(FAINT)
        assert seen["found"] == [], tab
        assert seen["looked"] > 8, tab


def test_everything_to_see_or_press_has_a_name(rig: Any, phone: Callable[..., Any]) -> None:
    page = phone(rig.url).open()
    for tab in TABS:
        page.click(f".tabs a[href='#{tab}']")
        page.wait_for_selector(f"#{tab}:not([hidden])")
        seen = page.evaluate(NAMELESS)
        assert seen["nameless"] == [], tab
        assert seen["count"] > 6, tab
    assert page.evaluate("document.querySelectorAll('header, nav[aria-label], main, h1').length") == 4
