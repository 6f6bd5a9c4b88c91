"""Telling systemd how it goes: sd_notify(3), a datagram to the socket it names."""

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Tell the service manager, if there is one.

    Args:
        state: `READY=1`, `WATCHDOG=1`, `STOPPING=1`, `STATUS=...`; several on lines of their own.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address[0] == "@":  # of Linux's abstract kind
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.sendto(state.encode(), address)
