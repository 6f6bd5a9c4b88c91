"""What a request says: its JSON, field by field, and which phone it comes from."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from .refusals import RefusedError

_LONGEST_S = 20.0  # that a request's body may take: a picture over a weak network
_LONGEST_TEXT, _MOST_WORDS, _LONGEST_NAME = 200, 32, 40
_KINDS = {str: "text", int: "a whole number", bool: "true or false", list: "a list"}


async def read_json(request: Request) -> dict[str, Any]:
    """The object in a request's body.

    Raises:
        RefusedError: it is none.
    """
    try:
        async with asyncio.timeout(_LONGEST_S):
            content = await request.body()
        found = json.loads(content)
    except TimeoutError:
        raise RefusedError("rate", "the request took too long to arrive; try again nearer to the rig", 408) from None
    except (ValueError, RecursionError):
        raise RefusedError("bad", "the request is not JSON") from None
    if not isinstance(found, dict):
        raise RefusedError("bad", "the request is not a JSON object")
    return found


def phone_of(connection: HTTPConnection) -> str:
    """Which phone asks; see guard.py."""
    return connection.scope["lrt.phone"]


def take(body: dict[str, Any], name: str, kind: type, *otherwise: Any) -> Any:
    """A field of a request's JSON.

    Raises:
        RefusedError: it is missing and nothing stands for it, or it is of another kind.
    """
    value = body.get(name)
    if value is None and otherwise:
        return otherwise[0]
    if type(value) is not kind:
        raise RefusedError("bad", f"'{name}' must be {_KINDS[kind]}, and is {'missing' if value is None else 'not'}")
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        raise RefusedError("bad", f"'{name}' is too long")
    return value


def take_number(body: dict[str, Any], name: str, otherwise: float | None, low: float, high: float) -> float | None:
    """A number of a request's JSON, in its range."""
    value = body.get(name, otherwise)
    if value is None:
        return None
    if type(value) not in (int, float) or not low <= value <= high:
        raise RefusedError("bad", f"'{name}' must be {low:g} to {high:g}")
    return float(value)


def take_words(body: dict[str, Any], name: str, *otherwise: Any) -> Any:
    """A list of words of a request's JSON."""
    words = take(body, name, list, *otherwise)
    if isinstance(words, list) and (len(words) > _MOST_WORDS or not all(type(word) is str for word in words)):
        raise RefusedError("bad", f"'{name}' must be a list of words, {_MOST_WORDS} at most")
    return words


def take_name(body: dict[str, Any]) -> str:
    """What a phone is called: printable, and not long."""
    return "".join(letter for letter in take(body, "phone", str, "") if letter.isprintable()).strip()[:_LONGEST_NAME]


class Held(StreamingResponse):
    """A response that goes on until the client hangs up or the daemon ends, and lets go of what it holds then.

    Args:
        parts: what is sent.
        release: called once, whatever ends it.
        stopping: set when the daemon ends.
        media_type, headers: of the response.
    """

    def __init__(
        self,
        parts: AsyncIterator[bytes],
        release: Callable[[], None],
        stopping: asyncio.Event,
        media_type: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(parts, media_type=media_type, headers=headers)
        self._release, self._stopping = release, stopping

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send it."""

        async def hang_up() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        sending = asyncio.create_task(self.stream_response(send))
        others = [asyncio.create_task(hang_up()), asyncio.create_task(_wait(self._stopping))]
        try:
            await asyncio.wait([sending, *others], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, *others):
                task.cancel()
            ended = await asyncio.gather(sending, *others, return_exceptions=True)
            with suppress(RuntimeError):
                await self.body_iterator.aclose()  # type: ignore[attr-defined]
            self._release()
        if isinstance(ended[0], Exception) and not isinstance(ended[0], OSError):
            raise ended[0]


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
