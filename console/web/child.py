"""A program beside the daemon, for work that wants torch or a core: it may be slow, large, or end at any time.

Both speak in messages, over the child's stdin and stdout: a head in JSON, and bytes where there are any.

    u32 length of the head | u32 length of the bytes | head | bytes          little-endian

A child ends when its stdin does: so it cannot outlive the daemon.
"""

import asyncio
import json
import os
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from ... import LrtError

_LENGTHS = struct.Struct("<II")
_LARGEST = 32 * 1024 * 1024  # bytes
_LAST_WORDS = 2000  # characters of stderr that are kept
_END_S = 3.0  # a child that was asked to end is given so long

Message = tuple[dict[str, Any], bytes]


class ChildError(LrtError, RuntimeError):
    """A program beside the daemon refused, or ended."""


def pack(head: dict[str, Any], data: bytes = b"") -> bytes:
    """A message."""
    packed = json.dumps(head).encode()
    return _LENGTHS.pack(len(packed), len(data)) + packed + data


class Child:
    """One child, on the event loop.

    Args:
        module: what it runs, as `lrt.console.web.calibrating`.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._last_words = ""

    async def start(self) -> None:
        """Start it; it leaves a core to the recorder."""
        threads = str(max(1, (os.cpu_count() or 2) - 1))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"OMP_NUM_THREADS": threads, **os.environ},
        )
        self._listening = asyncio.create_task(self._listen(self._process.stderr))

    async def send(self, head: dict[str, Any], data: bytes = b"") -> None:
        """Tell it something.

        Raises:
            ChildError: it has ended.
        """
        stdin = self._running.stdin
        assert stdin is not None
        try:
            stdin.write(pack(head, data))
            await stdin.drain()
        except (ConnectionError, RuntimeError) as error:
            raise self._ended() from error

    async def receive(self) -> Message:
        """What it says next.

        Raises:
            ChildError: it says that it refuses (`error` in the head), or has ended.
        """
        stdout = self._running.stdout
        assert stdout is not None
        try:
            head_length, length = _LENGTHS.unpack(await stdout.readexactly(_LENGTHS.size))
            if max(head_length, length) > _LARGEST:
                raise ChildError("the program beside the daemon does not make sense; start it again")
            head = json.loads(await stdout.readexactly(head_length))
            data = await stdout.readexactly(length)
        except asyncio.IncompleteReadError as error:
            await asyncio.sleep(0.05)  # its last words are on their way
            raise self._ended() from error
        if "error" in head:
            raise ChildError(head["error"])
        return head, data

    async def close(self) -> None:
        """Have it end, and wait for that."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _END_S)
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise ChildError("the program beside the daemon was ended")
        return self._process

    def _ended(self) -> ChildError:
        lines = self._last_words.strip().splitlines()
        why = f": {lines[-1]}" if lines else ", perhaps for want of memory"
        return ChildError(f"the program beside the daemon has ended{why}")

    async def _listen(self, stderr: asyncio.StreamReader | None) -> None:
        while stderr is not None and (said := await stderr.read(4096)):
            self._last_words = (self._last_words + said.decode(errors="replace"))[-_LAST_WORDS:]


class Parent:
    """The daemon, as its child sees it: messages from stdin, answers to what was stdout.

    Whatever a library prints goes to stderr from now on.

    Args:
        nice: by how much the recorder goes before.
    """

    def __init__(self, nice: int) -> None:
        os.nice(nice)
        self._to: IO[bytes] = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self._from: IO[bytes] = sys.stdin.buffer

    def hear(self) -> Message | None:
        """The next message; None when there is no parent any more."""
        lengths = self._from.read(_LENGTHS.size)
        if len(lengths) < _LENGTHS.size:
            return None
        head_length, length = _LENGTHS.unpack(lengths)
        return json.loads(self._from.read(head_length)), self._from.read(length)

    def say(self, head: dict[str, Any], data: bytes = b"") -> None:
        """Tell the daemon something."""
        self._to.write(pack(head, data))
        self._to.flush()


def run_child(work: Callable[[Parent], None], nice: int) -> None:
    """The whole of a child's life: an `LrtError` is told to the parent; a bug keeps its traceback."""
    parent = Parent(nice)
    with suppress(BrokenPipeError):
        try:
            work(parent)
        except LrtError as error:
            parent.say({"error": str(error)})
