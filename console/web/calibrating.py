"""The child that calibrates: asked once, it tells how far it is, and ends.

<- {"clips": [...], "out": "...", "masks": "small", "weights": null, "frames": 200}
-> {"phase": "...", "done": 12, "total": 200}      and at last {"result": {...}}
"""

import os
import threading
from pathlib import Path

from ..calibrating import calibrate
from .child import Parent, run_child


def work(parent: Parent) -> None:
    """Calibrate as the parent asks."""
    asked = parent.hear()
    if asked is None:
        return
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    head, _ = asked
    parent.say({"phase": "reading the clips", "done": 0, "total": 0})

    def tell(done: float, total: float, note: str = "") -> None:  # noqa: ARG001
        phase = "looking for people" if done < total else "fitting heat to picture"
        parent.say({"phase": phase, "done": done, "total": total})

    result = calibrate(
        [Path(clip) for clip in head["clips"]],
        Path(head["out"]),
        masks=head["masks"],
        weights=None if head["weights"] is None else Path(head["weights"]),
        frames=head["frames"],
        on_progress=tell,
    )
    parent.say({"result": result})


def _end_with(parent: Parent) -> None:
    while parent.hear() is not None:
        pass
    os._exit(1)  # the daemon is gone: nobody wants the result


if __name__ == "__main__":
    run_child(work, nice=10)
