"""Routes: the state, the socket, the camera, and recording."""

import asyncio
import json
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..results import plain
from .asking import Held, phone_of, read_json, take, take_name
from .desk import Wish
from .hub import Hub
from .refusals import RefusedError
from .streams import BOUNDARY, CAMERA, DRAWN, HEAT, NEWS, Slot, pack_drawing

_CHATTER, _CHATTER_S = 40, 10.0  # so many messages may a page send in so many seconds


def live_routes(hub: Hub) -> list[BaseRoute]:
    """What a page watches, and the recording buttons."""

    async def state(request: Request) -> Response:
        return JSONResponse(await hub.fresh(phone_of(request)))

    async def stream(websocket: WebSocket) -> None:
        await _stream(hub, websocket)

    async def film(request: Request) -> Response:
        kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        if request.method == "HEAD":
            return Response(media_type=kind)
        watching = hub.streams.watch("cameras", frozenset({CAMERA}))
        slot = watching.__enter__()  # before the answer begins, so that it can be a refusal
        return Held(hub.streams.film(slot), lambda: _leave(watching), hub.stopping, kind)

    async def snapshot(_: Request) -> Response:
        jpeg = hub.streams.newest(CAMERA)
        if jpeg is None:
            raise RefusedError("missing", "the camera has given no picture yet")
        stamp = {"X-Timestamp-Ns": str(jpeg.timestamp_ns)}
        return Response(await hub.streams.picture(jpeg), media_type="image/jpeg", headers=stamp)

    async def record(request: Request) -> Response:
        wish = Wish.read(await read_json(request))
        try:
            warnings = await hub.desk.record(phone_of(request), wish)
        finally:
            hub.change()
        return JSONResponse({"ok": True, "warnings": warnings})

    async def stop(request: Request) -> Response:
        await read_json(request)
        try:
            return JSONResponse(plain(await hub.desk.stop(phone_of(request))))
        finally:
            hub.change()

    async def seat(request: Request) -> Response:
        body, phone = await read_json(request), phone_of(request)
        recording = hub.desk.recording
        if take(body, "take", bool):
            hub.seat.take(phone, take_name(body), recording, by_force=True)
        else:
            hub.seat.give(phone, recording)
        hub.change()
        return JSONResponse({"ok": True, "seat": hub.seat.tell(phone)})

    return [
        Route("/api/state", state),
        WebSocketRoute("/api/stream", stream),
        Route("/api/camera.mjpg", film),
        Route("/api/camera.jpg", snapshot),
        Route("/api/record", record, methods=["POST"]),
        Route("/api/stop", stop, methods=["POST"]),
        Route("/api/seat", seat, methods=["POST"]),
    ]


def _leave(watching: Any) -> None:
    watching.__exit__(None, None, None)


async def _stream(hub: Hub, websocket: WebSocket) -> None:
    """One phone's socket: heat, drawings and the state to it, wishes from it."""
    phone = phone_of(websocket)
    await websocket.accept()
    try:
        with hub.streams.watch("sockets", frozenset({HEAT, NEWS})) as slot:
            hub.seat.come(phone)
            tasks = [
                asyncio.create_task(each)
                for each in (_send(hub, websocket, slot, phone), _listen(websocket, slot), _wait(hub.stopping))
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                hub.seat.leave(phone)
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, WebSocketDisconnect | RuntimeError):
                raise error
        with suppress(RuntimeError, WebSocketDisconnect):
            await websocket.close(1001 if hub.stopping.is_set() else 1000)
    except RefusedError as refusal:
        await websocket.send_text(json.dumps({"error": str(refusal), "code": refusal.code}))
        await websocket.close(1013)


async def _send(hub: Hub, websocket: WebSocket, slot: Slot, phone: str) -> None:
    await websocket.send_text(json.dumps({"state": await hub.fresh(phone)}))
    while True:
        for kind, frame in (await slot.take()).items():
            if kind == HEAT:
                await websocket.send_bytes(hub.streams.pack_heat(frame))
            elif kind == DRAWN:
                await websocket.send_bytes(pack_drawing(frame))
            elif kind == NEWS:
                await websocket.send_text(json.dumps({"state": hub.personal(frame, phone)}))
            else:
                await websocket.send_text(json.dumps({kind: frame}))


async def _listen(websocket: WebSocket, slot: Slot) -> None:
    loop = asyncio.get_running_loop()
    heard: list[float] = []
    while True:
        try:
            said = json.loads(await websocket.receive_text())
        except (ValueError, KeyError):  # no JSON, or bytes
            await websocket.close(1007)
            return
        heard = [*(at for at in heard if loop.time() - at < _CHATTER_S), loop.time()]
        if len(heard) > _CHATTER or not isinstance(said, dict):
            await websocket.close(1008)
            return
        wanted = said.get("want")
        if isinstance(wanted, list):
            slot.wanted = frozenset({NEWS, "pong"} | ({HEAT, DRAWN} & {str(each) for each in wanted}))
        if "ping" in said and type(said["ping"]) in (int, float):
            slot.wanted |= {"pong"}
            slot.offer("pong", said["ping"])


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
