"""The page on the network: its address, its key, and the thread in which it is served beside the daemon."""

import asyncio
import io
import ipaddress
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import segno
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from ... import LrtError, write_whole
from ...rig.daemon import Daemon
from .app import make_app
from .guard import Rules, is_number, own_names
from .hub import Hub

PORT = 8642
LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"
_MOST_CONNECTIONS = 128
_SILENT_S = 15.0  # a connection on which nothing was asked for is closed after it
_BUFFER = 128 * 1024  # bytes that the system holds for a client who does not read: some pictures, not seconds of them
_START_S, _STOP_S = 20.0, 5.0


class PageError(LrtError, OSError):
    """The page cannot be served where it was asked for."""


@dataclass(frozen=True)
class PageConfig:
    """Where the page is served."""

    listen: str = LOOPBACK  # the address; beyond loopback a key is demanded
    port: int = PORT  # 0: any that is free

    @property
    def is_open(self) -> bool:
        """Whether others than this computer can reach it."""
        return not (self.listen == "localhost" or (is_number(self.listen) and _is_loopback(self.listen)))


@contextmanager
def open_page(
    daemon: Daemon, config: PageConfig, say: Callable[[str], None], state: Path | None = None
) -> Iterator[str]:
    """The page, served from a thread until the end of the `with` block.

    Args:
        daemon: whose page it is.
        config: where.
        say: told where to open it, and its key.
        state: the folder in which the key is kept; None: see `state_folder`.

    Yields:
        Its address, as http://.../ without the key.

    Raises:
        PageError: the address is not this computer's, or the port is taken.
    """
    with closing(_listen(config)) as listening:
        token = find_key(state or state_folder()) if config.is_open else None
        rules = Rules(token, own_names() | {config.listen.lower()}) if token else Rules()
        page = _Page(daemon, rules, listening)
        page.start()
        try:
            address = _address(config, listening.getsockname()[1])
            _say_where(address, token, say)
            yield address
        finally:
            page.stop()


class _Page:
    """The server and its thread; the hub is made on the thread's own event loop, which its parts belong to."""

    def __init__(self, daemon: Daemon, rules: Rules, listening: socket.socket) -> None:
        self._daemon, self._rules, self._listening = daemon, rules, listening
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._server: _Server | None = None
        self._thread = threading.Thread(target=self._run, name="lrt-page", daemon=True)

    def start(self) -> None:
        """Serve; comes back when phones are answered."""
        self._thread.start()
        self._ready.wait(_START_S)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # handed to who opened the page
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        hub = Hub(self._daemon)
        self._server = _Server(make_app(hub, self._rules), hub, self._ready)
        await self._server.serve([self._listening])


class _Server(uvicorn.Server):
    """uvicorn, told what this page needs."""

    def __init__(self, app: ASGIApp, hub: Hub, ready: threading.Event) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        super().__init__(
            uvicorn.Config(
                app,
                http=_Protocol,
                loop="asyncio",
                ws="websockets-sansio",
                ws_max_size=16 * 1024,
                ws_ping_interval=5.0,
                ws_ping_timeout=10.0,
                ws_per_message_deflate=False,
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_keep_alive=20,
                timeout_graceful_shutdown=2,
                h11_max_incomplete_event_size=16 * 1024,
            )
        )
        self._hub, self._ready = hub, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End; the streams first, for else it would wait for them."""
        self._hub.stopping.set()
        await super().shutdown(sockets)


class _Protocol(H11Protocol):
    """Lets go of who connects and asks for nothing: such connections could take every place."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has connected."""
        super().connection_made(transport)
        self.loop.call_later(_SILENT_S, self._let_go)

    def _let_go(self) -> None:
        if self.scope is None and not self.transport.is_closing():
            self.transport.close()


def _listen(config: PageConfig) -> socket.socket:
    """The socket, listening."""
    family = socket.AF_INET6 if ":" in config.listen else socket.AF_INET
    try:
        listening = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise PageError(
            f"the page cannot be served here ({error.strerror}); `lrt serve --no-http` leaves it out"
        ) from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        listening.bind((config.listen, config.port))
        listening.listen(_MOST_CONNECTIONS)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise PageError(
            f"the page cannot be served at {config.listen} port {config.port} ({reason}); give another --port, or "
            "--no-http"
        ) from error
    return listening


def find_key(folder: Path) -> str:
    """The key: made once, at random, and kept where only this user reads; take the file away for another.

    Phones that have it come back by themselves after a restart.

    Raises:
        PageError: it can be neither read nor written.
    """
    path = folder / "page.key"
    try:
        if path.is_file():
            kept = path.read_text(encoding="ascii").strip()
            if len(kept) >= 22:
                return kept
        token = secrets.token_urlsafe(18)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        write_whole(path, f"{token}\n".encode())
        path.chmod(0o600)
    except (OSError, ValueError) as error:
        raise PageError(f"the page's key {path} cannot be read or written ({error}); see to its rights") from error
    return token


def state_folder() -> Path:
    """Where the daemon keeps what is its own: a service's folder, $XDG_STATE_HOME/lrt, ~/.local/state/lrt without."""
    if service := os.environ.get("STATE_DIRECTORY"):
        return Path(service.partition(":")[0])
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "lrt"


def _address(config: PageConfig, port: int) -> str:
    host = config.listen
    if host in (EVERYWHERE, "::"):
        host = _own_address() or f"{socket.gethostname().partition('.')[0]}.local"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def _own_address() -> str | None:
    """This computer's address on its network; nothing is sent."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # RFC 5737: nobody's; the system only looks up the way there
        found = probe.getsockname()[0]
        return None if _is_loopback(found) else found
    return None


def _is_loopback(number: str) -> bool:
    return ipaddress.ip_address(number).is_loopback


def _say_where(address: str, token: str | None, say: Callable[[str], None]) -> None:
    if token is None:
        say(f"page {address} (this computer alone; --listen lets phones in)")
        return
    entrance = f"{address}enter?token={token}"
    drawn = io.StringIO()
    segno.make(entrance, error="l").terminal(drawn, compact=True)
    say(f"page {address}, key {token}; or scan this with the phone:\n{drawn.getvalue()}")
