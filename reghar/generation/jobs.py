"""Jobs: one (problem, sample, setting) each, done some at a time, here or on other machines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from reghar.generation.records import ForcedAnswer, Trace, TraceKey
from reghar.protocol import PLAIN, Setting
from reghar.tasks import Problem

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One (problem, sample, setting) and what of it is still to be done."""

    problem: Problem
    sample: int
    budgets: tuple[int, ...]
    """Budgets that still need an answer where the trace passes them."""
    setting: Setting = PLAIN
    """Of the control method."""
    base: Trace | None = None
    """The trace to continue, its end of thinking ignored; None for a new one."""
    trace: Trace | None = None
    """The stored trace, if it needs only answers."""
    own_answer: bool = True
    """Whether the trace's own answer is still to be stored."""

    @property
    def key(self) -> TraceKey:
        """The trace that it makes or answers."""
        return TraceKey(self.problem.task, self.problem.id, self.sample, self.setting.name)

    @property
    def session(self) -> str:
        """What the trace and its probes have in common."""
        return f"{self.problem.task}/{self.problem.id}/{self.sample}"


@dataclass(frozen=True, kw_only=True, slots=True)
class JobResult:
    """A finished job: what is to be stored."""

    trace: Trace
    is_new: bool
    """False when the trace was stored before."""
    answers: tuple[ForcedAnswer, ...]


@dataclass(kw_only=True)
class Activity:
    """What the engine did for one task in this session, for the progress display."""

    jobs: int = 0
    probes: int = 0
    tokens: int = 0
    """Response and answer tokens generated."""
    probe_prompt_tokens: int = 0
    cached_tokens: int = 0
    """Probe prompt tokens that were found in the cache."""


async def run_jobs(
    do: Callable[[Job], Awaitable[JobResult]],
    control: Sequence[Setting],
    jobs: Iterable[Job],
    concurrency: int,
    finished: Callable[[JobResult], None],
) -> None:
    """See `Schedule.run`; `do` does a job, here or elsewhere."""
    queue: Iterator[Job] = iter(jobs)

    async def work() -> None:
        for first in queue:
            waiting = [first]
            while waiting:
                job = waiting.pop()
                result = await do(job)
                finished(result)
                waiting += _continuations(control, job, result)

    await gather_or_cancel(work() for _ in range(concurrency))


def _continuations(control: Sequence[Setting], job: Job, result: JobResult) -> list[Job]:
    """What continues a new trace; of a stored one the caller knows what is left."""
    after = [setting for setting in control if setting.after == job.setting.name and result.is_new]
    return [
        Job(
            problem=job.problem,
            sample=job.sample,
            budgets=setting.budgets,
            setting=setting,
            base=result.trace,
        )
        for setting in after
    ]


async def gather_or_cancel(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results; at the first failure the others are cancelled and it is raised as it is."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await cancel(tasks)


async def cancel(tasks: Sequence[asyncio.Future[T]]) -> None:
    """Cancels what still runs and waits for its end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
