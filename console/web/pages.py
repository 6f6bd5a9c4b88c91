"""The page's files, as they are sent: the entrance, the page itself, and what it is made of."""

import re
from pathlib import Path

from starlette.responses import Response

from .refusals import RefusedError

STATIC = Path(__file__).parent / "static"
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}(\.[a-z0-9-]{1,20}){1,2}")


def entrance(status: int = 200) -> Response:
    """The page that asks for the key; it tells nothing of the rig."""
    return static("enter.html", status)


def page() -> Response:
    """The console's page."""
    return static("index.html")


def static(name: str, status: int = 200) -> Response:
    """One of the page's files.

    Raises:
        RefusedError: there is none of that name.
    """
    path = STATIC / name
    if not _NAME.fullmatch(name) or path.suffix not in _KINDS or not path.is_file():
        raise RefusedError("missing", "there is no such file")
    return Response(path.read_bytes(), status, {"Cache-Control": "no-cache"}, _KINDS[path.suffix])
