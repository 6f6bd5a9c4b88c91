"""The rig's clock: the system's for real devices, a virtual one for the twin.

Capture is a handful of periodic tasks (poll the sensor, poll the camera, flush the clip) that a clock runs. The
system's clock gives each its thread, since a camera may block; the virtual clock runs them in the order in which
they fall due and jumps from one to the next, so that ten minutes of a twin's life pass in seconds. The tasks are
the same either way.
"""

import heapq
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Task:
    """Something to be done once a period.

    Attributes:
        name: for the thread's name and for messages.
        period_ns: from one due time to the next, or what says it (a device that is away need not be asked often); a
            step that overruns skips the due times it missed.
        step: called once a period; an exception ends the run.
    """

    name: str
    period_ns: int | Callable[[], int]
    step: Callable[[], None]

    def after(self, due_ns: int, now_ns: int) -> int:
        """When it is due again."""
        period_ns = self.period_ns if isinstance(self.period_ns, int) else self.period_ns()
        return max(due_ns + period_ns, now_ns)


class Clock(Protocol):
    """Time in ns of one monotonic clock, and what runs by it."""

    def now_ns(self) -> int: ...

    def sleep_until(self, deadline_ns: int) -> None: ...

    def advance(self, duration_ns: int) -> None:
        """Let so much time pass: the twin's bus transfers take their time."""
        ...

    def run(self, tasks: Sequence[Task], seconds: float | None, stop: threading.Event) -> None:
        """Run the tasks for so many seconds, or until `stop` is set (None: until then alone).

        Raises:
            Exception: what the first failing step raised, after every task has ended.
        """
        ...


class SystemClock:
    """CLOCK_MONOTONIC; one thread a task."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def sleep_until(self, deadline_ns: int) -> None:
        time.sleep(max(0, deadline_ns - self.now_ns()) / SECOND_NS)

    def advance(self, duration_ns: int) -> None:
        time.sleep(duration_ns / SECOND_NS)

    def run(self, tasks: Sequence[Task], seconds: float | None, stop: threading.Event) -> None:
        ended = threading.Event()
        failures: list[BaseException] = []

        def repeat(task: Task) -> None:
            due_ns = self.now_ns()
            try:
                while not ended.is_set():
                    task.step()
                    due_ns = task.after(due_ns, self.now_ns())
                    ended.wait((due_ns - self.now_ns()) / SECOND_NS)
            except BaseException as error:  # handed to the caller below
                failures.append(error)
                ended.set()

        threads = [threading.Thread(target=repeat, args=(task,), name=f"lrt-{task.name}") for task in tasks]
        deadline_ns = None if seconds is None else self.now_ns() + round(seconds * SECOND_NS)
        for thread in threads:
            thread.start()
        try:
            while not ended.is_set() and not stop.is_set():
                left_s = 0.1 if deadline_ns is None else min(0.1, (deadline_ns - self.now_ns()) / SECOND_NS)
                if left_s <= 0:
                    break
                ended.wait(left_s)
        finally:  # Ctrl-C lands in the loop above: the threads end before it goes on
            ended.set()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]


class VirtualClock:
    """A clock that stands still until a task or a device moves it on; single-threaded."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        return self._now_ns

    def advance(self, duration_ns: int) -> None:
        self._now_ns += duration_ns

    def sleep_until(self, deadline_ns: int) -> None:
        self._now_ns = max(self._now_ns, deadline_ns)

    def run(self, tasks: Sequence[Task], seconds: float | None, stop: threading.Event) -> None:
        end_ns = None if seconds is None else self._now_ns + round(seconds * SECOND_NS)
        # (due, position, task): the position settles ties, so that a run repeats exactly
        queue = [(self._now_ns, position, task) for position, task in enumerate(tasks)]
        heapq.heapify(queue)
        while queue and not stop.is_set():
            due_ns, position, task = heapq.heappop(queue)
            if end_ns is not None and due_ns >= end_ns:
                break
            self.sleep_until(due_ns)
            task.step()
            heapq.heappush(queue, (task.after(due_ns, self._now_ns), position, task))
        if end_ns is not None and not stop.is_set():
            self.sleep_until(end_ns)
