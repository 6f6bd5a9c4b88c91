"""A progress bar for long work, on a terminal; nothing at all elsewhere."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def speaks() -> bool:
    """Whether this process tells a person how it goes: of those that torchrun started, the first alone."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def progress_bar(label: str, unit: str = "") -> Iterator[Callable[..., None]]:
    """A bar on stderr, and the function that moves it: `update(done, total, note="")`.

    Args:
        label: what is going on, in a word or two.
        unit: of what `done` and `total` count, shown behind them.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} " + unit),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not (console.is_terminal and speaks())) as bar:
        task = bar.add_task(label, total=1, note="")

        def update(done: float, total: float, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield update
