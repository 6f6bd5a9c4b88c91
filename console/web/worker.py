"""The child that draws: opened once, it draws one heatmap after the other, each when it is sent, until its stdin ends.

<- {"model": "twin", "calibration": null, "source": "red-bright"}     a picture's file follows as bytes, if it is one
-> {"runtime": "...", "model": "..."}
<- {"heat": true}    256 bytes: 64 float32, degC, upright
-> {"ms": 21.3}      a picture's file, marked synthetic
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..drawing import Drawing, open_drawing
from .child import ChildError, Parent, run_child

_SCALE = 6  # a picture of 64x40 is sent as one of 384x240, so that the word on it can be read
_QUALITY = 85  # a JPEG: 12 kB, where a PNG has 50


def work(parent: Parent) -> None:
    """Draw as the parent asks."""
    from ...model.live import encode_drawn

    asked = parent.hear()
    if asked is None:
        return
    head, data = asked
    calibration = head["calibration"]
    drawing = open_drawing(head["model"], Path(calibration) if calibration else None, "cpu")
    live = drawing.live(_find_source(drawing, head, data))
    parent.say({"runtime": drawing.runtime, "model": drawing.about.model})
    while (asked := parent.hear()) is not None:
        celsius = np.frombuffer(asked[1], "<f4").reshape(8, 8)
        drawn = live.draw(celsius)
        parent.say({"ms": drawn.ms}, encode_drawn(drawn.picture, scale=_SCALE, quality=_QUALITY))


def _find_source(drawing: Drawing, head: dict[str, Any], data: bytes) -> np.ndarray:
    """The source's picture, of the drawer's size."""
    if not data:
        return drawing.source(head["source"])
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ChildError(f"{head['source']} is not a picture that can be read; give a PNG or JPEG file")
    return drawing.fit(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), head["source"])


if __name__ == "__main__":
    run_child(work, nice=5)
