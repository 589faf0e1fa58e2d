"""What one driver can feed: its CPU and memory, with a simulated engine that costs next to nothing.

    python benchmarks/driver.py [--traces 2000] [--answers 1000000]

Three figures. `schedule`: CPU of the schedule, streams and probes in flight, at 2,000 concurrent traces;
what a driver pays that holds the engine or talks to servers, and what each replica of `--engine ray`
pays for itself. `replica`: CPU of a driver that only takes finished jobs off the wire and stores them, as
with `--engine ray`. `memory`: growth of the process while it stores a million answers.
"""

from __future__ import annotations

import argparse
import asyncio
import pickle
import random
import resource
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path

import psutil
from plain_schedule import TASK, plain_schedule

from reghar.budgets import REG_GRID
from reghar.engines.base import Chunk, EngineInfo, Sampling
from reghar.generation.jobs import Activity, Job, JobResult
from reghar.generation.schedule import Schedule
from reghar.prompting.tokenizer import load_model
from reghar.store.folder import RunFolder
from reghar.tasks import Problem

CONCURRENCY = 2000
ANSWER_TOKENS = 4
RATE = 2500
"""Tokens a second of one GPU, for the arithmetic."""


class SimulatedEngine:
    """Traces of random ids and a fixed length; answers that close their box after a few tokens."""

    info = EngineInfo(name="simulated", version="1", host="none", arguments={})

    def __init__(self, length: int, vocabulary: int, answer: list[int]) -> None:
        rng = random.Random(0)
        self.ids = [rng.randrange(8, vocabulary) for _ in range(length)]
        self.answer = answer
        self.in_flight = self.most = 0

    def start(self) -> None: ...

    async def close(self) -> None: ...

    async def generate(
        self, prompt_ids: Sequence[int], sampling: Sampling, *, interval: int = 1, session: str = ""
    ) -> AsyncGenerator[Chunk, None]:
        del prompt_ids, session
        if interval == 1:
            for token in self.answer:
                await asyncio.sleep(0)
                yield Chunk([token])
            return
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        ids = self.ids[: sampling.max_tokens]
        for start in range(0, len(ids), interval):
            await asyncio.sleep(0)
            yield Chunk(ids[start : start + interval], "length" if start + interval >= len(ids) else None)
        self.in_flight -= 1


def make_schedule(length: int, model_name: str) -> tuple[Schedule, SimulatedEngine]:
    """A schedule over the simulated engine, with a real tokenizer."""
    model = load_model(model_name)
    answer = [*model.tokenizer.encode_text("12"), *model.tokenizer.encode_text("}")][:ANSWER_TOKENS]
    engine = SimulatedEngine(length, model.vocabulary_size, answer)
    return plain_schedule(engine, model, length, Activity()), engine


def jobs(count: int, budgets: tuple[int, ...]) -> Iterator[Job]:
    """One sample of each of `count` problems."""
    for i in range(count):
        problem = Problem(task=TASK, id=f"p{i}", question=f"What is {i} + 1?", gold=("1",), choices=())
        yield Job(problem=problem, sample=0, budgets=budgets)


def schedule_cost(traces: int, length: int, budgets: tuple[int, ...], model: str) -> float:
    """CPU seconds of the schedule for `traces` traces with their probes."""
    schedule, engine = make_schedule(length, model)
    start = time.process_time()
    asyncio.run(schedule.run(jobs(traces, budgets), CONCURRENCY, lambda _: None))
    seconds = time.process_time() - start
    assert engine.most == min(CONCURRENCY, traces)  # noqa: S101 - else it is not what it says
    return seconds


def one_done(length: int, budgets: tuple[int, ...], model: str) -> JobResult:
    """A finished job."""
    schedule, _ = make_schedule(length, model)
    return asyncio.run(schedule.do(next(jobs(1, budgets))))


def replica_cost(done: JobResult, count: int) -> tuple[float, int]:
    """CPU seconds of taking `count` jobs off the wire and storing them; bytes of one on the wire."""
    wire = pickle.dumps(done, protocol=5)
    activity = Activity()
    with tempfile.TemporaryDirectory() as folder, RunFolder(Path(folder) / "run") as run:
        start = time.process_time()
        for _ in range(count):
            job: JobResult = pickle.loads(wire)  # noqa: S301 - our own
            activity.add(job)
            run.add(job)
        run.flush()
        return time.process_time() - start, len(wire)


def memory(answers: int, model: str) -> tuple[float, float]:
    """MiB of the process after a tenth of the answers, and after all; everything is stored."""
    length, budgets = 1024, tuple(range(0, 1024, 32))
    schedule, _ = make_schedule(length, model)
    seen: list[float] = []
    stored = 0
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder, RunFolder(Path(folder) / "run") as run:

        def finished(done: JobResult) -> None:
            nonlocal stored
            run.add(done)
            before, stored = stored, stored + len(done.answers)
            if stored * 10 // answers > before * 10 // answers:
                seen.append(process.memory_info().rss / 2**20)
                print(f"  {stored:,} answers: {seen[-1]:.0f} MiB", flush=True)

        count = answers // (len(budgets) + 1) + 1
        asyncio.run(schedule.run(jobs(count, budgets), CONCURRENCY, finished))
    return seen[0], seen[-1]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--traces", type=int, default=2000)
    parser.add_argument("--length", type=int, default=4096)
    parser.add_argument("--answers", type=int, default=1_000_000)
    parser.add_argument("--model", default="demo:terse", help="whose tokenizer")
    arguments = parser.parse_args()
    budgets = tuple(b for b in REG_GRID if b < arguments.length)
    tokens = arguments.traces * arguments.length

    bare = schedule_cost(arguments.traces, arguments.length, (), arguments.model)
    whole = schedule_cost(arguments.traces, arguments.length, budgets, arguments.model)
    probe = (whole - bare) / (arguments.traces * len(budgets))
    print(
        f"schedule: {1e6 * bare / tokens:.2f} ms CPU a 1,000 trace tokens, {1e3 * probe:.2f} ms a probe; "
        f"with {len(budgets)} probes a trace of {arguments.length:,} tokens "
        f"{1e6 * whole / tokens:.2f} ms a 1,000 tokens: "
        f"one core feeds {tokens / whole / RATE:.0f} GPUs of {RATE:,} tokens/s"
    )
    done = one_done(arguments.length, budgets, arguments.model)
    seconds, size = replica_cost(done, arguments.traces)
    print(
        f"replica:  {1e6 * seconds / tokens:.3f} ms CPU a 1,000 tokens "
        f"({1e3 * seconds / arguments.traces:.2f} ms and {size / 1024:.0f} KiB a trace): "
        f"one core takes in {tokens / seconds / RATE:.0f} GPUs"
    )
    first, last = memory(arguments.answers, arguments.model)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"memory:   {first:.0f} MiB after {arguments.answers // 10:,} answers, {last:.0f} MiB after "
        f"{arguments.answers:,}; peak {peak:.0f} MiB"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
