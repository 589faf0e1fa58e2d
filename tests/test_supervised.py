"""An engine that dies or hangs is started again, its responses are drawn again, and never for ever."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from types import SimpleNamespace

import psutil
import pytest

from reghar.engines import supervised
from reghar.engines.base import (
    Chunk,
    EngineDeadError,
    EngineInfo,
    ResponseLostError,
    Sampling,
)
from reghar.engines.sessions import Sessions
from reghar.engines.supervised import RESTARTS, SupervisedEngine
from reghar.engines.vllm import _chunk
from reghar.engines.warden import Warden, marked
from reghar.errors import EngineError

SAMPLING = Sampling(temperature=0.0, top_p=1.0, max_tokens=8, seed=0)


class Life:
    """One life of an engine: it answers until it `dies` or `hangs` at a token."""

    def __init__(self, fate: str) -> None:
        self.fate = fate
        self.last_token = 0.0
        self.killed = asyncio.Event()
        self.closed = False
        self.info = EngineInfo(name="life", version=fate, host="none", arguments={})

    def start(self) -> None:
        if self.fate == "never starts":
            raise EngineError("no memory")

    async def generate(self, *_: object, **__: object) -> AsyncGenerator[Chunk, None]:
        yield Chunk([1])
        if self.fate == "dies":
            raise EngineDeadError("it died")
        if self.fate == "hangs":
            await self.killed.wait()
            raise EngineDeadError("its processes are gone")
        if self.fate == "works slowly":
            for _ in range(8):
                await asyncio.sleep(0.2)
                self.last_token = time.monotonic()  # a step made tokens, though none of this chunk yet
        yield Chunk([2], "stop")

    def kill(self) -> None:
        self.loop.call_soon_threadsafe(self.killed.set)

    async def close(self) -> None:
        self.closed = True

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def at(self, loop: asyncio.AbstractEventLoop) -> "Life":
        self._loop = loop
        return self


async def tokens(engine: SupervisedEngine) -> list[int]:
    """Of one response, drawn again as long as it is lost."""
    while True:
        try:
            ids: list[int] = []
            async with aclosing(engine.generate([1], SAMPLING)) as stream:
                async for chunk in stream:
                    ids += chunk.token_ids
        except ResponseLostError:
            continue
        return ids


def outlive(
    fates: list[str], patience: float = 60.0, requests: int = 3
) -> tuple[SupervisedEngine, list[Life]]:
    """Requests to an engine with these lives, one after the other."""
    lives: list[Life] = []

    async def work() -> SupervisedEngine:
        loop = asyncio.get_running_loop()

        def build() -> Life:
            lives.append(Life(fates[len(lives)]).at(loop))
            return lives[-1]

        engine = SupervisedEngine(build, patience=patience)
        engine.start()
        try:
            answers = await asyncio.gather(*(tokens(engine) for _ in range(requests)))
            assert answers == [[1, 2]] * requests, "whole responses, none pieced together"
        finally:
            await engine.close()
        return engine

    return asyncio.run(work()), lives


def test_an_engine_that_dies_is_started_again_once_for_all_its_requests() -> None:
    engine, lives = outlive(["dies", "dies", "works"])
    assert engine.failures == ["it died"] * 2
    assert all(life.closed for life in lives), "the dead are buried"


def test_an_engine_that_fails_for_ever_ends_the_run() -> None:
    with pytest.raises(EngineError, match=f"failed {RESTARTS + 1} times, at last: it died"):
        outlive(["dies"] * (RESTARTS + 1))


def test_an_engine_that_cannot_start_again_ends_the_run() -> None:
    with pytest.raises(EngineError, match="no memory"):
        outlive(["dies", "never starts"])


def test_a_hung_engine_is_killed_and_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "LEAST_PATIENCE", 0.1)
    engine, _ = outlive(["hangs", "works"], patience=0.3)
    assert len(engine.failures) == 1
    assert "made no token" in engine.failures[0]


def test_an_engine_that_is_slow_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "LEAST_PATIENCE", 0.1)
    engine, _ = outlive(["works slowly"], patience=0.9)
    assert engine.failures == []


@pytest.mark.parametrize("reason", ["abort", "error", "repetition"])
def test_a_response_that_the_engine_ended_is_lost_and_never_a_trace(reason: str) -> None:
    completion = SimpleNamespace(token_ids=[1, 2, 3], finish_reason=reason, logprobs=None)
    with pytest.raises(ResponseLostError, match=reason):
        _chunk(SimpleNamespace(outputs=[completion], num_cached_tokens=0))


def test_a_session_stays_where_its_blocks_are_and_new_ones_spread() -> None:
    ranks = Sessions(range(4))
    with ranks.request("a") as first, ranks.request("b") as second, ranks.request("c"):
        assert first != second
        with ranks.request("a") as again:
            assert again == first
    with ranks.request("a") as later:
        assert later == first, "its probes come after its trace as well"
    assert set(ranks.in_flight.values()) == {0}


DRIVER = """
import subprocess, sys, time
from reghar.engines.warden import Warden
warden = Warden()
with warden.marking():
    # A child with a child, each in a session of its own, deaf to SIGTERM: an engine and its worker.
    inner = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
    outer = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {inner!r}]).wait()"
    subprocess.Popen([sys.executable, "-c", outer], start_new_session=True)
print(warden.mark, flush=True)
time.sleep(300)
"""


def until(holds: Callable[[], bool], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


def test_a_killed_driver_leaves_nothing_of_its_engine() -> None:
    driver = subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    mark = driver.stdout.readline().strip()
    try:
        assert until(lambda: len(list(marked(mark))) == 2)
        for pid in marked(mark):
            os.kill(pid, signal.SIGSTOP)  # hung ones too
    finally:
        driver.kill()
        driver.wait()
        driver.stdout.close()
    assert until(lambda: not list(marked(mark)))


def wardens(mark: str) -> list[int]:
    """The wardens with this mark on their command line; zombies have none, nor have the gone."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if mark in child.cmdline():
                found.append(child.pid)
    return found


def test_a_warden_that_is_dismissed_leaves_neither_the_engine_nor_itself() -> None:
    warden = Warden()
    with warden.marking():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    try:
        assert list(marked(warden.mark)) == [child.pid]
        assert len(wardens(warden.mark)) == 1
        warden.dismiss()
        assert child.wait(10) == -signal.SIGKILL
        assert bystander.poll() is None, "what is no part of the engine lives on"
        assert not wardens(warden.mark)
        warden.dismiss()
    finally:
        bystander.kill()
        bystander.wait()
