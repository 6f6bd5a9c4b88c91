"""What `lrt serve` does, apart from the words it prints: the rig daemon, its door and its page."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from .people import admit_clip
from .recording import find_rig
from .results import Result


def serve(
    rig: str | None,
    out: Path,
    socket: Path | None,
    stop: threading.Event,
    say: Callable[[str], None],
    http: bool = True,
    port: int = 8642,
    listen: str | None = None,
) -> Result:
    """Run the rig daemon until `stop` is set.

    Args:
        rig: "twin", a rig file, or None: see `find_rig`.
        out: folder of the clips.
        socket: where its door is; None: see `rig.door.socket_path`.
        say: told, a line each, what a technician would want to know.
        http: whether the page is served.
        port: of the page; 0: any that is free.
        listen: the address that phones reach it at; None: this computer alone.

    Raises:
        SettingsError, DaemonError: no such rig; another daemon runs.
        PageError: the page cannot be served there.
    """
    from ..rig.daemon import open_daemon
    from ..rig.door import socket_path

    settings, socket = find_rig(rig), socket or socket_path()
    with open_daemon(settings, out, socket, admit_clip, say) as daemon, ExitStack() as page:
        say(f"rig {settings.source}, clips in {out}, door {socket}; Ctrl-C ends it")
        address = None
        if http:
            from .web.server import LOOPBACK, PageConfig, open_page

            address = page.enter_context(open_page(daemon, PageConfig(listen or LOOPBACK, port), say))
        daemon.run(stop)
    return {"socket": str(socket), "page": address, "recordings": daemon.recordings}
