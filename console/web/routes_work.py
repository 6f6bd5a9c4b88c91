"""Routes: calibration and live drawing, which programs beside the daemon do."""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .asking import phone_of, read_json, take, take_number, take_words
from .calibrations import FEWEST, FRAMES, MOST_FRAMES
from .guard import PICTURES
from .hub import Hub
from .refusals import RefusedError

# The report is a page of its own, its style and pictures in it: it may show those, run nothing, ask for nothing.
_REPORT = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"


def work_routes(hub: Hub) -> list[BaseRoute]:
    """Calibrate, and draw."""
    calibrations, drawings = hub.calibrations, hub.drawings

    async def calibration(_: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(calibrations.tell))

    async def calibrate(request: Request) -> Response:
        body = await read_json(request)
        hub.seat.refuse_others(phone_of(request))
        frames = take_number(body, "frames", FRAMES, FEWEST, MOST_FRAMES)
        masks = take(body, "masks", str, calibrations.usual_masks)
        calibrations.start(take_words(body, "clips"), masks, round(frames or FRAMES), hub.change)
        hub.change()
        return JSONResponse({"ok": True})

    async def cancel(request: Request) -> Response:
        await read_json(request)
        hub.seat.refuse_others(phone_of(request))
        await calibrations.cancel()
        return JSONResponse({"ok": True})

    async def report(_: Request) -> Response:
        path = calibrations.beside(".html")
        content = await asyncio.to_thread(path.read_bytes)
        return Response(content, media_type="text/html", headers={"Content-Security-Policy": _REPORT})

    async def overlay(_: Request) -> Response:
        path = calibrations.beside(".png")
        return Response(await asyncio.to_thread(path.read_bytes), media_type="image/png")

    async def draw(request: Request) -> Response:
        body = await read_json(request)
        try:
            await drawings.start(take(body, "model", str), take(body, "source", str), hub.change)
        finally:
            hub.change()
        return JSONResponse({"ok": True, "drawing": drawings.state()})

    async def what_draws(_: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(drawings.tell))

    async def stop(request: Request) -> Response:
        await read_json(request)
        await drawings.stop()
        hub.change()
        return JSONResponse({"ok": True})

    async def source(request: Request) -> Response:
        body = await read_json(request)
        name, data = take(body, "name", str), body.get("data")
        if not isinstance(data, str):
            raise RefusedError("bad", "'data' must be the picture's file in base64")
        return JSONResponse({"name": await asyncio.to_thread(drawings.add_picture, name, data)})

    return [
        Route("/api/calibrate", calibration),
        Route("/api/calibrate", calibrate, methods=["POST"]),
        Route("/api/calibrate/cancel", cancel, methods=["POST"]),
        Route("/api/calibrate/report", report),
        Route("/api/calibrate/overlay.png", overlay),
        Route("/api/draw", what_draws),
        Route("/api/draw", draw, methods=["POST"]),
        Route("/api/draw/stop", stop, methods=["POST"]),
        Route(PICTURES, source, methods=["POST"]),
    ]
