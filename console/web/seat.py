"""One technician records at a time; everybody else watches. Used on the event loop alone."""

import time
from collections import Counter

from .refusals import RefusedError

_AWAY_S = 10.0  # a phone whose page has been closed for so long has left its seat
NAMELESS = "another phone"


class Seat:
    """Who may record.

    A phone is told apart by its cookie, and sits as long as its page is open; what it is called is only for the others
    to read.
    """

    def __init__(self) -> None:
        self._holder: str | None = None
        self._name = ""
        self._pages: Counter[str] = Counter()
        self._left_s = 0.0  # when its last page was closed, or it sat down without one

    def come(self, phone: str) -> None:
        """A page of this phone's has opened its socket."""
        self._pages[phone] += 1

    def leave(self, phone: str) -> None:
        """A page of this phone's has lost its socket."""
        self._pages[phone] -= 1
        if self._pages[phone] <= 0:
            del self._pages[phone]
            if phone == self._holder:
                self._left_s = time.monotonic()

    def is_away(self) -> bool:
        """Whether who holds the seat has closed the page a while ago."""
        return self._holder is not None and not self._pages[self._holder] and time.monotonic() - self._left_s > _AWAY_S

    def look(self, recording: bool) -> None:
        """Free the seat of who left, unless a recording of theirs is under way."""
        if not recording and self.is_away():
            self._holder = None

    def holds(self, phone: str) -> bool:
        """Whether it is this phone's."""
        return phone == self._holder

    def take(self, phone: str, name: str, recording: bool, by_force: bool) -> None:
        """Sit down.

        Args:
            name: what the others are told.
            recording: whether a recording is under way.
            by_force: asked for in so many words, so that an idle holder gets up.

        Raises:
            RefusedError: somebody else has it.
        """
        self.look(recording)
        taken = self._holder is not None and self._holder != phone
        if taken and recording and not self.is_away():
            raise RefusedError("seat", f"{self._name or NAMELESS} is recording; watch, or wait until it has ended")
        if taken and not recording and not by_force:
            raise RefusedError("seat", f"{self._name or NAMELESS} has the rig in hand; take it over first")
        self._holder, self._name, self._left_s = phone, name, time.monotonic()

    def give(self, phone: str, recording: bool) -> None:
        """Get up.

        Raises:
            RefusedError: a recording is under way.
        """
        if phone == self._holder:
            if recording:
                raise RefusedError("seat", "a recording is under way; stop it first")
            self._holder = None

    def refuse_others(self, phone: str) -> None:
        """Refuse what only who has the rig in hand may do, where somebody else has it.

        Raises:
            RefusedError: so it is.
        """
        if self._holder not in (None, phone) and not self.is_away():
            raise RefusedError("seat", f"{self._name or NAMELESS} has the rig in hand; take it over first")

    def tell(self, phone: str) -> dict[str, object]:
        """The seat, as this phone sees it."""
        return {
            "taken": self._holder is not None,
            "mine": self.holds(phone),
            "by": None if self._holder is None else self._name or NAMELESS,
        }
