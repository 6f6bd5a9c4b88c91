"""Where in the heat the occupant of a recording has been, and where not yet: a clip should show all of the view.

A pixel is warm where it stands out from the room, as the quality rules have it. What the room is, the cooler part of
the same heatmap says: an occupant close by fills half of it, and hardly ever more than 60 %.
"""

import threading

import numpy as np

from ...dataset.quality import QualityRules

_ROOM = 0.3  # quantile of a heatmap's pixels that is taken for the room
_LONGEST_S = 0.5  # a heatmap counts for no more than this, whatever was lost before it
_FIRST_WORDS_S = 4.0  # nothing is said before: somebody who has pressed the button walks in
_SEEN_S = 1.0  # so long in a part of the view is enough
_WARM_C = QualityRules().body_c


class Coverage:
    """Seconds that somebody warm was in each thermal pixel, since `begin`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.begin()

    def begin(self) -> None:
        """Forget what was seen: another recording."""
        with self._lock:
            self._seen_s = np.zeros((8, 8))
            self._watched_s = 0.0
            self._last_ns: int | None = None

    def see(self, celsius: np.ndarray, timestamp_ns: int) -> None:
        """Take a heatmap.

        Args:
            celsius: (8, 8) degC, upright.
            timestamp_ns: its stamp.
        """
        warm = celsius > np.quantile(celsius, _ROOM) + _WARM_C
        with self._lock:
            if self._last_ns is not None:
                seconds = min(max(0.0, (timestamp_ns - self._last_ns) / 1e9), _LONGEST_S)
                self._seen_s += seconds * warm
                self._watched_s += seconds
            self._last_ns = timestamp_ns

    def tell(self, occupants: int) -> dict[str, object]:
        """Seconds by pixel, and the one thing to do, if any.

        Args:
            occupants: how many the clip is tagged with; of an empty room nothing is asked.
        """
        with self._lock:
            seen_s, watched_s = self._seen_s.copy(), self._watched_s
        return {
            "shape": list(seen_s.shape),
            "seen_s": seen_s.round(2).tolist(),
            "hint": _hint(seen_s) if occupants and watched_s >= _FIRST_WORDS_S else None,
        }


def _hint(seen_s: np.ndarray) -> str | None:
    across, down = seen_s.max(axis=0), seen_s.max(axis=1)
    if across.max() < _SEEN_S:
        return "nobody stands out from the room yet: step in front of the rig"
    # Two columns to a side: whoever stands at an edge is cut by it. Above, only near people reach the upper rows.
    parts = (
        (across[:2], "the occupant has not yet been at the left edge"),
        (across[-2:], "the occupant has not yet been at the right edge"),
        (across[3:5], "the occupant has not yet been in the middle"),
        (down[:3], "the occupant has not yet come near"),
    )
    return next((says for part, says in parts if part.max() < _SEEN_S), None)
