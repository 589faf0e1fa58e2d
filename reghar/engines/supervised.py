"""An engine that is started again when it dies or hangs.

A failure costs the responses in flight, which are drawn again from their seeds; nothing of theirs
is kept (see `ResponseLostError`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

from reghar.engines.base import Chunk, Engine, EngineDeadError, EngineInfo, ResponseLostError, Sampling
from reghar.errors import EngineError

RESTARTS = 3
"""Most restarts in one session of a run: an engine that fails oftener will fail again."""
LEAST_PATIENCE = 1.0
"""Seconds: a step of a large model may take some tenths of one."""


class Mortal(Engine, Protocol):
    """An engine that can be watched and killed from outside."""

    @property
    def last_token(self) -> float:
        """`time.monotonic()` when it last made a token for any request; 0 before the first."""

    def kill(self) -> None:
        """Ends its processes at once, hung ones too: every response in flight then raises
        `EngineDeadError`."""


class SupervisedEngine:
    """The engine of a run, whichever of its lives it is in."""

    def __init__(self, build: Callable[[], Mortal], *, patience: float) -> None:
        """`build` makes an engine that is not started; `patience`: seconds without a token for any of
        the requests in flight after which the engine counts as hung."""
        self._build = build
        self._patience = max(patience, LEAST_PATIENCE)
        self._engine: Mortal = build()
        self._info: EngineInfo | None = None
        self._in_flight = 0
        self._waiting_since = 0.0
        self._restarting: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._closed = False
        self._hung: str | None = None
        """Why the watch killed the engine; None where it went by itself."""
        self.failures: list[str] = []
        """Why the engine was started again, one line each time."""

    @property
    def info(self) -> EngineInfo:
        """See `Engine`; of the last engine that was started, while the next one is loading."""
        return self._info or self._engine.info

    def start(self) -> None:
        """See `Engine`."""
        self._engine.start()
        self._info = self._engine.info

    async def generate(
        self, prompt_ids: Sequence[int], sampling: Sampling, *, interval: int = 1, session: str = ""
    ) -> AsyncGenerator[Chunk, None]:
        """See `Engine`; raises `EngineError` where the engine has failed too often."""
        if self._restarting is not None:
            await asyncio.shield(self._restarting)
        engine = self._engine
        if not self._in_flight:
            self._waiting_since = time.monotonic()
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        self._in_flight += 1
        try:
            stream = engine.generate(prompt_ids, sampling, interval=interval, session=session)
            async with contextlib.aclosing(stream):
                async for chunk in stream:
                    yield chunk
        except EngineDeadError as error:
            self._replace(engine, str(error))
            raise ResponseLostError(str(error)) from error
        finally:
            self._in_flight -= 1

    async def close(self) -> None:
        """See `Engine`."""
        self._closed = True
        for task in (self._watching, self._restarting):
            if task is not None:
                task.cancel()
        if self._restarting is not None and not self._restarting.done():
            await asyncio.to_thread(self._engine.kill)  # ends a start that a thread is still in
        await self._engine.close()

    def _replace(self, dead: Mortal, reason: str) -> None:
        """Starts another engine, if this is the first to find that one dead."""
        if dead is not self._engine or self._closed:
            return
        if self._restarting is not None and not self._restarting.done():
            return
        reason = self._hung or reason
        if len(self.failures) == RESTARTS:
            raise EngineError(f"the engine has failed {RESTARTS + 1} times, at last: {reason}")
        self.failures.append(reason)
        self._restarting = asyncio.create_task(self._restart(dead))

    async def _restart(self, dead: Mortal) -> None:
        await dead.close()
        self._hung = None
        self._engine = self._build()
        await asyncio.to_thread(self._engine.start)
        self._info = self._engine.info
        self._waiting_since = time.monotonic()
        self._restarting = None

    async def _watch(self) -> None:
        """Kills the engine when it has made no token for too long; the rest follows from its death."""
        pause = min(1.0, self._patience / 4)
        asked = time.monotonic()
        while True:
            await asyncio.sleep(pause)
            now = time.monotonic()
            if now - asked > 2 * pause + 1.0:
                self._waiting_since = now  # this process itself stood still, and the engine with it
            asked = now
            silent = now - max(self._waiting_since, self._engine.last_token)
            if self._in_flight and self._restarting is None and silent > self._patience:
                self._hung = f"the engine made no token for {silent:.0f} s (--patience {self._patience:g})"
                await asyncio.to_thread(self._engine.kill)
                self._waiting_since = time.monotonic()
