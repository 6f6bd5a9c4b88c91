"""Talk with a running QEMU by its own protocol: JSON, a line each way."""

import json
import socket
from typing import Any

from vm_image import BenchError


class Control:
    """QEMU's monitor, over a socket that is connected.

    Raises:
        OSError, ValueError: QEMU ended, or speaks something else.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._lines = connected.makefile("rw", encoding="utf-8")
        self._lines.readline()  # its greeting
        self.ask("qmp_capabilities")

    def ask(self, what: str, **how: Any) -> dict[str, Any]:
        """Have QEMU do or tell something.

        Raises:
            BenchError: it refused.
            OSError, ValueError: it ended.
        """
        self._lines.write(json.dumps({"execute": what, "arguments": how}) + "\n")
        self._lines.flush()
        while True:
            said = json.loads(self._lines.readline())
            if "error" in said:
                raise BenchError(f"QEMU refused `{what}`: {said['error'].get('desc')}")
            if "return" in said:  # what is neither is an event, which nobody waits for
                return said["return"]
