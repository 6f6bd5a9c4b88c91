"""The daemon's door: a local socket, a line of JSON in, a line of JSON out.

    {"do": "status"}                                   {"ok": true, "result": {...}}
    {"do": "start", "clip_id": "kitchen-01", ...}      {"ok": false, "error": "clip kitchen-01 is ... already"}

A socket in the file system rather than a port: who may use it is a matter of its group and mode, and no web page can
reach it.
"""

import json
import os
import socket
import socketserver
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from .. import LrtError

SYSTEM_SOCKET = Path("/run/lrt/rig.sock")  # hardware/lrt.service: RuntimeDirectory=lrt
_LONGEST_REQUEST = 64 * 1024  # bytes
_MOST_CLIENTS = 16
_IDLE_S = 60.0  # a client that says nothing for so long is let go

Request = dict[str, Any]
Handler = Callable[[Request], dict[str, Any]]


class DaemonError(LrtError, OSError):
    """The rig daemon is not running, runs already, or has refused what it was asked."""


def socket_path() -> Path:
    """Where the daemon's socket is: $LRT_SOCKET, the system service's if there is one, else the user's own."""
    if named := os.environ.get("LRT_SOCKET"):
        return Path(named)
    try:
        if SYSTEM_SOCKET.exists():
            return SYSTEM_SOCKET
    except PermissionError:  # it is there, for a group that this user is not in: speaking to it will say so
        return SYSTEM_SOCKET
    own = os.environ.get("XDG_RUNTIME_DIR")
    return Path(own) / "lrt/rig.sock" if own else Path(f"/tmp/lrt-{os.getuid()}/rig.sock")


def ask(request: Request, path: Path | None = None, timeout_s: float = 30.0) -> Any:
    """Ask the daemon for something.

    Args:
        request: `do`, and what belongs to it.
        path: of its socket.
        timeout_s: how long it may take to answer.

    Returns:
        Its result: values that JSON can hold.

    Raises:
        DaemonError: it does not run, does not answer, or refuses; one line.
    """
    path = path or socket_path()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(timeout_s)
            line.connect(str(path))
            with suppress(BrokenPipeError):  # turned away before it was heard: why stands in the answer
                line.sendall(json.dumps(request).encode() + b"\n")
            with line.makefile("rb") as answers:
                answer = json.loads(answers.readline())
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise DaemonError(f"no rig daemon runs ({path}); start one: lrt serve") from error
    except PermissionError as error:
        raise DaemonError(f"no right to speak to the rig daemon ({path}); sudo usermod -aG lrt $USER") from error
    except (OSError, ValueError) as error:
        raise DaemonError(f"the rig daemon at {path} does not answer ({error})") from error
    if not answer.get("ok"):
        raise DaemonError(str(answer.get("error", "the rig daemon refused")))
    return answer["result"]


def daemon_runs(path: Path | None = None) -> bool:
    """Whether a daemon stands behind the socket; one that may not be spoken to does not count."""
    path = path or socket_path()
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(2.0)
        line.connect(str(path))
        return True
    return False


class Door:
    """The socket, open and served from a thread; a context manager.

    Args:
        path: where; its folder is made, for this user and group alone.
        handler: what answers a request; an `LrtError` it raises becomes the answer.

    Raises:
        DaemonError: another daemon is behind it, or it cannot be made.
    """

    def __init__(self, path: Path, handler: Handler) -> None:
        self.path = path
        if daemon_runs(path):
            raise DaemonError(f"a rig daemon runs already ({path}); stop that one first")
        try:
            if not path.parent.exists():
                path.parent.mkdir(parents=True, mode=0o700)
            path.unlink(missing_ok=True)  # of a daemon that was killed
            self._server = _Server(str(path), handler)
            path.chmod(0o660)
        except OSError as error:
            raise DaemonError(f"the socket {path} cannot be made ({error.strerror or error})") from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="lrt-door", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take the socket away."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> "Door":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False  # a client that hangs must not keep a clip from being finished

    def __init__(self, path: str, handler: Handler) -> None:
        self.handler = handler
        self.places = threading.BoundedSemaphore(_MOST_CLIENTS)
        super().__init__(path, _Client)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no fault of ours; anything else is a bug and keeps its traceback."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Client(socketserver.StreamRequestHandler):
    timeout = _IDLE_S

    def handle(self) -> None:
        server: Any = self.server
        if not server.places.acquire(blocking=False):
            self._answer({"ok": False, "error": f"{_MOST_CLIENTS} programs speak to the rig daemon already"})
            return
        try:
            while line := self.rfile.readline(_LONGEST_REQUEST + 1):
                if len(line) > _LONGEST_REQUEST:
                    self._answer({"ok": False, "error": "the request is too long"})
                    return
                self._answer(answer(server.handler, line))
        finally:
            server.places.release()

    def _answer(self, answered: dict[str, Any]) -> None:
        self.wfile.write(json.dumps(answered, default=str).encode() + b"\n")


def answer(handler: Handler, line: bytes) -> dict[str, Any]:
    """What a line of JSON is answered with."""
    try:
        request = json.loads(line)
        if not isinstance(request, dict) or not isinstance(request.get("do"), str):
            raise ValueError('not an object with a "do"')
    except ValueError as error:
        return {"ok": False, "error": f"the request is not understood: {error}"}
    try:
        return {"ok": True, "result": handler(request)}
    except LrtError as error:
        return {"ok": False, "error": str(error)}
