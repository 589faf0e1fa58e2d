"""Several servers of one model: which of them gets a request, and for how long a failing one rests."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from reghar.engines.sessions import Sessions
from reghar.errors import EngineError

TRIES = 10
"""Most tries of one request that fail by an error of the server; being asked to wait is none."""
FIRST_REST, LONGEST_REST = 0.5, 30.0
"""Seconds that a server rests after its first failure; twice as long after each further one."""


@dataclass(eq=False)
class Server:
    """One base URL and how it fares."""

    url: str
    """Up to and including `/v1`."""
    failures: int = 0
    """In a row."""
    resting_until: float = 0.0
    """Of the monotonic clock: no request goes there before."""


class RequestFailure(Exception):  # noqa: N818 - an outcome of one try, not an error that leaves the engine
    """One try of a request went wrong in a way that may pass."""

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        """`retry_after`: seconds that the server asked to wait."""
        super().__init__(reason)
        self.retry_after = retry_after


class Servers:
    """Sessions keep to one server, which then holds their prefix cache; a failing server's move on."""

    def __init__(self, urls: Iterable[str], *, patience: float) -> None:
        """`patience`: seconds without any answer from any server after which the engine counts as dead."""
        self.members = [Server(url) for url in urls]
        self._patience = patience
        self._failing_since: float | None = None
        self._sessions = Sessions(self.members)

    async def place(self, session: str) -> Server:
        """The server for the next request of a session; waits while all of them rest."""
        while True:
            now = time.monotonic()
            awake = [server for server in self.members if server.resting_until <= now]
            if awake:
                return self._sessions.home(session, awake)
            rest = min(server.resting_until for server in self.members) - now
            # The jitter keeps the requests that waited from coming back all at once.
            await asyncio.sleep(rest * random.uniform(1.0, 1.2))

    def in_flight(self, server: Server) -> int:
        """Requests that run there."""
        return self._sessions.in_flight[server]

    def request(self, server: Server) -> AbstractContextManager[None]:
        """Counts a request while it runs."""
        return self._sessions.at(server)

    def answered(self, server: Server) -> None:
        """The server gave tokens: it is well."""
        server.failures = 0
        self._failing_since = None

    def failed(self, server: Server, failure: RequestFailure) -> None:
        """Lets the server rest. Raises `EngineError` when no server has answered for too long."""
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        if now >= server.resting_until:
            # Of the many requests that one fault hits, only the first lengthens the rest.
            server.failures += 1
            rest = min(FIRST_REST * 2 ** (server.failures - 1), LONGEST_REST) * random.uniform(0.5, 1.0)
            server.resting_until = now + rest
        if failure.retry_after is not None:
            server.resting_until = max(server.resting_until, now + failure.retry_after)
        wakes = min(member.resting_until for member in self.members)
        if wakes - self._failing_since > self._patience:
            raise EngineError(
                f"no server has answered for {now - self._failing_since:.0f} s, and none is to be asked "
                f"within the {self._patience:g} s of --patience; the last to fail, {server.url}: {failure}"
            )
