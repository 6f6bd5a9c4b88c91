"""Ctrl-C and SIGTERM: work ends in order."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click

from .progress import speaks


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, so that work ends in order; a second Ctrl-C interrupts it."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        if speaks():
            click.echo("lrt: finishing; once more to break off", err=True)

    for number in before:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
