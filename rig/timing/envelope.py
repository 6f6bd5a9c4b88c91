"""Our time for what another device's clock says, from messages that it stamps and that arrive late.

What arrives is late by a least time that never changes and by noise that is never negative (USB's schedule, a busy
computer: 10 ms at the 99th percentile, 80 ms at worst). So the line from its clock to ours touches the earliest
arrivals from below, where a least-squares line would lie the mean lateness above. Of all lines below every arrival the
one taken has the least sum of distances to them (Moon, Skelly and Towsley, "Estimation and removal of clock skew from
network delay measurements", INFOCOM 1999): the edge of the lower convex hull under the arrivals' middle.

Simulated with 43 messages a second, up to 500 ppm between the clocks and a least time of 1.2 ms, times come out 1.2 ms
late and from the tenth second on scatter by less than 0.02 ms (standard deviation), or 0.1 ms when hardly any message
is punctual; arrivals scatter by 2.5 ms and more (tests/rig/test_envelope.py). The 1.2 ms stay: nothing in one-way
messages tells them from the clocks' distance.
"""

from collections import deque
from itertools import pairwise

_WINDOW_NS = 60_000_000_000  # long enough to meet punctual messages, short enough that a warming clock keeps its rate
_BLOCK_NS = 5_000_000_000  # of the window, whose oldest part is let go by blocks
_MOST_SKEW = 500e-6  # between two clocks; a crystal's is under 100e-6
_JUMP_NS = 1_000_000_000  # no message comes so much before the punctual ones: their clock is another one now
_SETTLED_COUNT, _SETTLED_NS = 10, 200_000_000


class Envelope:
    """A line from a remote clock to ours, under the arrivals of the last 60 s; its memory is bounded by them."""

    def __init__(self) -> None:
        self._forget()

    def add(self, remote_ns: int, arrival_ns: int) -> bool:
        """Take a message's stamp and its arrival.

        Args:
            remote_ns: when it was sent, by the remote clock; ascending.
            arrival_ns: when it came, by ours; as late as it likes.

        Returns:
            Whether the line goes on. False: the remote clock went back, ran ahead by a second or was silent for the
            whole window: it is another clock now, or was misread, and a new line begins.
        """
        late_ns = arrival_ns - remote_ns
        goes_on = not self._blocks or (
            0 <= remote_ns - self._newest_ns <= _WINDOW_NS and late_ns > self._least_late_ns() - _JUMP_NS
        )
        if not goes_on:
            self._forget()
        if not self._blocks:
            self._first_arrival_ns = arrival_ns
        if not self._blocks or remote_ns - self._blocks[-1][0][0] > _BLOCK_NS:
            self._blocks.append([])
        _extend_hull(self._blocks[-1], (remote_ns, late_ns))
        while self._blocks[0][-1][0] < remote_ns - _WINDOW_NS:
            self._blocks.popleft()
        self._newest_ns, self._last_arrival_ns = remote_ns, arrival_ns
        self._count += 1
        self._line = None
        return goes_on

    @property
    def settled(self) -> bool:
        """Whether enough was heard for a line: ten messages over 0.2 s of our time.

        One alone may be 80 ms late, and many that waited in a buffer come all at once.
        """
        return self._count >= _SETTLED_COUNT and self._last_arrival_ns - self._first_arrival_ns >= _SETTLED_NS

    @property
    def newest_ns(self) -> int:
        """The last stamp that was taken, by the remote clock."""
        return self._newest_ns

    def to_ours(self, remote_ns: int) -> int:
        """Our time, ns, of a time of the remote clock; late by the messages' least time.

        Raises:
            ValueError: nothing was added yet.
        """
        if self._line is None:
            self._line = self._fit()
        origin_ns, late_ns, skew = self._line
        return remote_ns + round(late_ns + skew * (remote_ns - origin_ns))

    def _forget(self) -> None:
        self._blocks: deque[list[tuple[int, int]]] = deque()  # hulls of (stamp, lateness): what may yet touch the line
        self._line: tuple[int, float, float] | None = None
        self._newest_ns = self._first_arrival_ns = self._last_arrival_ns = self._count = 0

    def _least_late_ns(self) -> int:
        return min(late_ns for block in self._blocks for _, late_ns in block)

    def _fit(self) -> tuple[int, float, float]:
        """(origin, lateness there, skew) of the line."""
        if not self._blocks:
            raise ValueError("no message has been added")
        hull: list[tuple[int, int]] = []
        for block in self._blocks:
            for point in block:
                _extend_hull(hull, point)
        middle_ns = (hull[0][0] + hull[-1][0]) // 2
        skew = 0.0
        for (left_ns, left_late), (right_ns, right_late) in pairwise(hull):
            if left_ns <= middle_ns <= right_ns:
                skew = (right_late - left_late) / (right_ns - left_ns)
                break
        # The distances' sum is convex in the skew, so that the nearest skew that clocks can have is the best of those.
        skew = min(max(skew, -_MOST_SKEW), _MOST_SKEW)
        return middle_ns, min(late_ns - skew * (stamp_ns - middle_ns) for stamp_ns, late_ns in hull), skew


def _extend_hull(hull: list[tuple[int, int]], point: tuple[int, int]) -> None:
    """Add a point to a lower convex hull, in place; its stamp is not before the last one's (Andrew 1979)."""
    if hull and hull[-1][0] == point[0]:
        point = min(hull.pop(), point)
    while len(hull) > 1:
        (x0, y0), (x1, y1) = hull[-2:]
        if (x1 - x0) * (point[1] - y0) > (y1 - y0) * (point[0] - x0):
            break
        hull.pop()
    hull.append(point)
