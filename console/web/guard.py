"""Who may ask the console for anything at all: every request passes here before it meets a route.

A browser that runs a stranger's page reaches 127.0.0.1 and the local network too. So a request must name this computer
(Host: against DNS rebinding), changes must come from our own page (Origin, JSON alone), and what another site embeds
is refused (Sec-Fetch-Site). Beyond loopback a key is demanded by every route but the entrance.
"""

import hashlib
import hmac
import ipaddress
import secrets
import socket
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .refusals import RefusedError, answer

KEY_COOKIE, PHONE_COOKIE = "lrt_key", "lrt_phone"
ENTRANCE = "/enter"
OPEN = frozenset({ENTRANCE, "/enter.css", "/enter.js"})  # what needs no key: the form that asks for it
PICTURES = "/api/draw/source"  # the one route that takes pictures
LARGEST_BODY, LARGEST_PICTURE = 64 * 1024, 6 * 1024 * 1024  # bytes
CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
_REQUESTS, _BURST = 60.0, 300.0  # a second and at once, of one address; a page that plays a clip asks 10 times a second
_TRIES, _TRIES_BURST = 0.1, 8.0  # of wrong keys, likewise
_MOST_ADDRESSES = 1024


@dataclass(frozen=True)
class Rules:
    """What is asked of a request.

    Attributes:
        token: the key; None: none is demanded, which is for loopback alone.
        names: what this computer may be called in Host, lower case. Its addresses as numbers come on top where a key
            is demanded: no name server can lend those.
    """

    token: str | None = None
    names: frozenset[str] = frozenset({"localhost", "127.0.0.1", "::1"})

    @property
    def cookie(self) -> str:
        """What the key's cookie must hold: made from the key, and not the key."""
        return hmac.new((self.token or "").encode(), b"lrt console", hashlib.sha256).hexdigest()

    def knows(self, token: object) -> bool:
        """Whether it is the key."""
        given = token.encode() if isinstance(token, str) else b""
        return self.token is None or hmac.compare_digest(given, self.token.encode())

    def admits(self, cookie: str | None) -> bool:
        """Whether the cookie opens every route."""
        return self.token is None or hmac.compare_digest((cookie or "").encode(), self.cookie.encode())

    def is_ours(self, host: str) -> bool:
        """Whether a Host header names this computer."""
        name = host_name(host)
        if name in self.names:
            return True
        return self.token is not None and is_number(name)


def own_names() -> frozenset[str]:
    """What this computer is called on its network."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return frozenset({"localhost", "127.0.0.1", "::1", name, short, f"{short}.local"})


def host_name(host: str) -> str:
    """The name in a Host header, lower case, without port and brackets; "" if there is none."""
    host = host.strip().lower()
    if host.startswith("["):
        name, bracket, rest = host[1:].partition("]")
        return name if bracket and (not rest or (rest[0] == ":" and rest[1:].isdigit())) else ""
    name, colon, port = host.partition(":")
    return name if not colon or port.isdigit() else ""


def is_number(name: str) -> bool:
    """Whether it is an address as numbers."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@dataclass
class Buckets:
    """How much each address may still ask for: `rate` a second, `burst` at once."""

    rate: float
    burst: float
    left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, address: str, share: float = 1.0) -> bool:
        """Take one, or less; False if there is none left."""
        now_s = time.monotonic()
        left, then_s = self.left.pop(address, (self.burst, now_s))
        left = min(self.burst, left + (now_s - then_s) * self.rate)
        enough = left >= share
        self.left[address] = (left - share if enough else left, now_s)
        while len(self.left) > _MOST_ADDRESSES:
            self.left.popitem(last=False)
        return enough


class Guard:
    """The app, behind the rules; an ASGI app itself."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app, self._rules = app, rules
        self._requests, self._tries = Buckets(_REQUESTS, _BURST), Buckets(_TRIES, _TRIES_BURST)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        address = asked.client.host if asked.client else ""
        phone = asked.cookies.get(PHONE_COOKIE, "")
        known = len(phone) == 22 and phone.replace("-", "").replace("_", "").isalnum()
        scope["lrt.phone"] = phone if known else f"at {address}"
        scope["lrt.try"] = lambda: self._tries.take(address)
        fresh = None if known else secrets.token_urlsafe(16)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if fresh and message["status"] < 400 and scope["path"] in ("/", ENTRANCE):
                    headers.append("Set-Cookie", f"{PHONE_COOKIE}={fresh}; Path=/; HttpOnly; SameSite=Strict")
            await send(message)

        try:
            limit = self._check(scope, asked, address)
        except RefusedError as refusal:
            await self._refuse(scope, receive, guarded, refusal)
            return
        await self._app(scope, _measured(receive, limit) if scope["type"] == "http" else receive, guarded)

    def _check(self, scope: Scope, asked: HTTPConnection, address: str) -> int:
        """The longest body that may follow, bytes.

        Raises:
            RefusedError: with the reason.
        """
        headers, path = asked.headers, scope["path"]
        if not self._requests.take(address):
            raise RefusedError("rate", "too many requests at once; wait a moment")
        if len(headers.getlist("host")) != 1 or not self._rules.is_ours(headers.get("host", "")):
            raise RefusedError("foreign", "this address is not the rig's own; open the one that `lrt serve` printed")
        self._check_site(scope, headers)
        if path not in OPEN and not self._rules.admits(asked.cookies.get(KEY_COOKIE)):
            raise RefusedError("token", "the key is missing or no longer holds; scan the code that `lrt serve` shows")
        limit = LARGEST_PICTURE if path == PICTURES else LARGEST_BODY
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            raise RefusedError("bad", f"too long: at most {limit // 1024} KiB are taken", 413)
        return limit

    @staticmethod
    def _check_site(scope: Scope, headers: Headers) -> None:
        """Refuse what another site's page sends, or embeds."""
        socket_asked = scope["type"] == "websocket"
        changes = not socket_asked and scope["method"] not in ("GET", "HEAD")
        origin = headers.get("origin")
        ours = {f"{scheme}://{headers.get('host', '').lower()}" for scheme in ("http", "https")}
        if (changes or socket_asked or origin is not None) and (origin or "").lower() not in ours:
            raise RefusedError("foreign", "this was sent by another site's page, and is refused")
        site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode", "navigate")
        if site not in ("none", "same-origin") and mode != "navigate":
            raise RefusedError("foreign", "another site's page may not show this")
        if changes and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RefusedError("bad", "a change is asked for in JSON: Content-Type application/json", 415)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, refusal: RefusedError) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: 403
            return
        response: Response = answer(refusal)
        if refusal.code == "token" and scope["path"] == "/" and scope["method"] == "GET":
            from .pages import entrance

            response = entrance(401)
        await response(scope, receive, send)


def _measured(receive: Receive, limit: int) -> Receive:
    """The request's body, refused as soon as it is longer than it may be."""
    taken = 0

    async def measured() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise RefusedError("bad", f"too long: at most {limit // 1024} KiB are taken", 413)
        return message

    return measured
