"""The console as an app: its routes, its errors, and what runs beside them on the event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from ... import LrtError
from . import pages
from .asking import read_json
from .guard import KEY_COOKIE, Guard, Rules
from .hub import Hub
from .refusals import RefusedError, on_error, on_fault, on_missing
from .routes_clips import clip_routes
from .routes_live import live_routes
from .routes_work import work_routes


def make_app(hub: Hub, rules: Rules) -> ASGIApp:
    """The console as an ASGI app, guarded.

    Args:
        hub: all its parts; the app keeps telling its state while it runs.
        rules: who may ask.
    """

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        hub.attach()
        beside = [asyncio.create_task(each) for each in (hub.keep_telling(), hub.keep_looking())]
        try:
            yield
        finally:
            hub.detach()
            await hub.close()
            for task in beside:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    app = Starlette(
        routes=make_routes(hub, rules),
        lifespan=life,
        exception_handlers={LrtError: on_error, 404: on_missing, 405: on_missing, Exception: on_fault},
    )
    return Guard(app, rules)


def make_routes(hub: Hub, rules: Rules) -> list[BaseRoute]:
    """Every route of the console."""
    return [*page_routes(rules), *live_routes(hub), *clip_routes(hub), *work_routes(hub)]


def page_routes(rules: Rules) -> list[BaseRoute]:
    """The page, what it is made of, and the entrance."""

    def opened(response: Response) -> Response:
        if rules.token is not None:
            response.set_cookie(KEY_COOKIE, rules.cookie, httponly=True, samesite="strict", path="/")
        return response

    def check(request: Request, token: object) -> None:
        if not rules.knows(token):
            if not request.scope["lrt.try"]():
                raise RefusedError("rate", "too many wrong keys; wait a minute")
            raise RefusedError("token", "this is not the key; scan the code that `lrt serve` shows, or type it anew")

    async def index(_: Request) -> Response:
        return pages.page()

    async def enter(request: Request) -> Response:
        token = request.query_params.get("token")
        if request.method == "POST":
            check(request, (await read_json(request)).get("token"))
            return opened(JSONResponse({"ok": True}))
        if token is None:
            return pages.entrance()
        try:
            check(request, token)
        except RefusedError as refusal:  # a person sees this: a page to try again with
            return pages.entrance(refusal.status)
        return opened(RedirectResponse("/", 303))

    async def static(request: Request) -> Response:
        return pages.static(request.path_params["name"])

    async def enter_css(_: Request) -> Response:
        return pages.static("enter.css")

    async def enter_js(_: Request) -> Response:
        return pages.static("enter.js")

    return [
        Route("/", index),
        Route("/enter", enter, methods=["GET", "POST"]),
        Route("/enter.css", enter_css),
        Route("/enter.js", enter_js),
        Route("/static/{name}", static),
    ]
