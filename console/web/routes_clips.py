"""Routes: what to record next, and the clips on the disk."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ...dataset.consent import read_ledger
from .asking import Held, phone_of, read_json, take, take_words
from .hub import Hub
from .protocol import propose, tell_consents, tell_protocol
from .refusals import RefusedError

_KEEP = "private, max-age=0, must-revalidate"


def clip_routes(hub: Hub) -> list[BaseRoute]:
    """The guided list, and the library."""
    library = hub.library

    def look() -> tuple[Any, Any, Any]:
        shown, ledger = library.shown(), read_ledger(hub.clips)
        before = hub.desk.before
        newest = next((each.header.room for each in shown if each.header), "")
        room = before.header.room if before is not None else newest
        table = tell_protocol(hub.vocabulary(), shown, hub.daemon.rig.synthetic, room)
        return table, propose(table, shown, before, ledger), tell_consents(ledger, shown)

    async def protocol(_: Request) -> Response:
        return JSONResponse((await asyncio.to_thread(look))[0])

    async def proposal(_: Request) -> Response:
        return JSONResponse((await asyncio.to_thread(look))[1])

    async def consents(_: Request) -> Response:
        return JSONResponse((await asyncio.to_thread(look))[2])

    async def clips(_: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(library.list))

    async def thumb(request: Request) -> Response:
        return _jpeg(await asyncio.to_thread(library.thumb, _id(request)))

    async def frames(request: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(library.frames, _id(request)))

    async def image(request: Request) -> Response:
        return _jpeg(await asyncio.to_thread(library.image, _id(request), request.path_params["number"]))

    async def mend(request: Request) -> Response:
        body = await read_json(request)
        tags: dict[str, Any] = {
            name: take(body, name, str, None) for name in ("clothing", "lighting", "consent", "room")
        }
        tags |= {"occupants": take(body, "occupants", int, None), "tags": take_words(body, "tags", None)}
        mended = await asyncio.to_thread(library.mend, _id(request), tags)
        hub.change()
        return JSONResponse({"ok": True, "warnings": mended["warnings"]})

    async def download(request: Request) -> Response:
        clip_id = _id(request)
        if request.method == "HEAD":
            library.find(clip_id)
            return Response(media_type="application/zip")
        packed = await asyncio.to_thread(library.download, clip_id)

        async def pieces() -> AsyncIterator[bytes]:
            while piece := await asyncio.to_thread(next, packed, b""):
                yield piece

        named = {"Content-Disposition": f'attachment; filename="{clip_id}.zip"'}
        return Held(pieces(), packed.close, hub.stopping, "application/zip", named)

    async def remove(request: Request) -> Response:
        clip_id, phone = _id(request), phone_of(request)
        if (await read_json(request)).get("confirm") != clip_id:
            raise RefusedError("bad", f"clip {clip_id} is deleted for good: confirm it by its id")
        hub.seat.refuse_others(phone)
        await asyncio.to_thread(library.remove, clip_id)
        hub.change()
        return JSONResponse({"ok": True})

    return [
        Route("/api/protocol", protocol),
        Route("/api/proposal", proposal),
        Route("/api/consents", consents),
        Route("/api/clips", clips),
        Route("/api/clips/{clip_id}", remove, methods=["DELETE"]),
        Route("/api/clips/{clip_id}/thumb.jpg", thumb),
        Route("/api/clips/{clip_id}/frames", frames),
        Route("/api/clips/{clip_id}/image/{number:int}.jpg", image),
        Route("/api/clips/{clip_id}/tags", mend, methods=["POST"]),
        Route("/api/clips/{clip_id}/download", download),
    ]


def _id(request: Request) -> str:
    return request.path_params["clip_id"]


def _jpeg(data: bytes) -> Response:
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": _KEEP})
