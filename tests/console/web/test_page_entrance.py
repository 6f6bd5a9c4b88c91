"""A stranger on the network sees the entrance and nothing else; the key opens, and a key that has gone is said."""

import re
import signal
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="module")
def rig(serve: Callable[..., Any]) -> Any:
    return serve("--listen")


def token_of(rig: Any) -> str:
    found = re.search(r"key ([A-Za-z0-9_-]+)[;.]", " ".join(rig.said))
    assert found, rig.said
    return found[1]


def test_a_stranger_sees_only_the_entrance_and_the_key_opens(rig: Any, phone: Callable[..., Any]) -> None:
    page = phone(rig.url).page
    page.goto(rig.url)
    page.wait_for_selector("h1:has-text('asks for its key')")
    assert page.locator("nav, canvas, img").count() == 0
    assert page.evaluate("fetch('/api/state').then((answer) => answer.status)") == 401
    assert page.evaluate("fetch('/static/main.js').then((answer) => answer.status)") == 401
    page.fill("#token", "not-the-key")
    page.click("button")
    page.wait_for_selector("#refused:not(:empty)")
    page.fill("#token", token_of(rig))
    page.click("button")
    page.wait_for_selector("#live:not([hidden])")
    page.wait_for_selector("body:not(.away)")
    assert page.evaluate("document.cookie") == ""  # no script may read the key


def test_the_address_in_the_square_code_opens_at_once(rig: Any, phone: Callable[..., Any]) -> None:
    seen = phone(rig.url)
    seen.page.goto(f"{rig.url}enter?token={token_of(rig)}")
    seen.page.wait_for_selector("#live:not([hidden])")
    assert "token" not in seen.page.url


def test_a_key_that_no_longer_opens_is_said_with_the_way_back(rig: Any, phone: Callable[..., Any]) -> None:
    seen = phone(rig.url)
    seen.page.goto(f"{rig.url}enter?token={token_of(rig)}")
    seen.page.wait_for_selector("body:not(.away) #light")
    seen.context.clear_cookies()
    rig.stop(signal.SIGKILL)
    rig.start_again()
    seen.page.wait_for_selector("#banner:has-text('no longer opens')")
    seen.page.click("#banner-act")
    seen.page.wait_for_selector("h1:has-text('asks for its key')")
