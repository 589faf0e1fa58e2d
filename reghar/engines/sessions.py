"""Which of several equal places a request goes to: sessions stay where their prefix cache is."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Place = TypeVar("Place", bound=Hashable)

REMEMBERED_SESSIONS = 1 << 16
"""Sessions whose place is remembered; far more than are ever in flight."""


class Sessions(Generic[Place]):
    """Sends a new session to the place with the fewest requests in flight, and its later ones after it."""

    def __init__(self, places: Iterable[Place]) -> None:
        self.in_flight: dict[Place, int] = dict.fromkeys(places, 0)
        self._homes: OrderedDict[str, Place] = OrderedDict()

    def __len__(self) -> int:
        """How many places there are."""
        return len(self.in_flight)

    def home(self, session: str, open_places: Iterable[Place] | None = None) -> Place:
        """The place for the next request of a session; another one where its own is not open."""
        there = list(self.in_flight if open_places is None else open_places)
        home = self._homes.get(session)
        if home is None or home not in there:
            home = min(there, key=self.in_flight.__getitem__)
        if session:
            self._homes[session] = home
            self._homes.move_to_end(session)
            if len(self._homes) > REMEMBERED_SESSIONS:
                self._homes.popitem(last=False)
        return home

    @contextmanager
    def at(self, place: Place) -> Iterator[None]:
        """Counts a request at a place while it runs."""
        self.in_flight[place] += 1
        try:
            yield
        finally:
            self.in_flight[place] -= 1

    @contextmanager
    def request(self, session: str) -> Iterator[Place]:
        """The place for a request of a session, counted while it runs."""
        home = self.home(session)
        with self.at(home):
            yield home
