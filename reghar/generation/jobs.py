"""Jobs: one (problem, sample, setting) each, done some at a time, here or on other machines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from reghar.generation.records import ForcedAnswer, Trace, TraceKey
from reghar.prompting.probes import Probe
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
    probe: Probe | None = None
    """What its answers are forced with; None for the schedule's own."""
    adapter: str | None = None
    """Name of the LoRA adapter that does it; None for the model itself."""

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

    @property
    def generated_tokens(self) -> int:
        """Response and answer tokens generated for it."""
        trace = len(self.trace.token_ids) - self.trace.given_tokens if self.is_new else 0
        return trace + sum(len(answer.token_ids) for answer in self.answers)


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

    def add(self, result: JobResult) -> None:
        """Counts a job that was done elsewhere."""
        forced = [answer for answer in result.answers if answer.forced]
        self.jobs += 1
        self.probes += len(forced)
        self.tokens += result.generated_tokens
        self.probe_prompt_tokens += sum(answer.prompt_tokens for answer in forced)
        self.cached_tokens += sum(answer.cached_tokens or 0 for answer in forced)


async def run_jobs(
    do: Callable[[Job], Awaitable[JobResult]],
    control: Sequence[Setting],
    jobs: Iterable[Job],
    slots: Callable[[], int],
    finished: Callable[[JobResult], None],
) -> None:
    """Does all jobs and those that follow from them, and hands over each as it ends.

    `do` does a job, here or elsewhere; `slots` says how many may be done at a time just now. Memory
    does not grow with the number of jobs. The first failure ends the others and is raised as it is.
    """
    queue: Iterator[Job] = iter(jobs)
    following: list[Job] = []
    running: set[asyncio.Task[tuple[Job, JobResult]]] = set()
    ended: asyncio.Queue[asyncio.Task[tuple[Job, JobResult]]] = asyncio.Queue()

    async def pair(job: Job) -> tuple[Job, JobResult]:
        return job, await do(job)

    try:
        while True:
            while len(running) < max(1, slots()):
                # What follows a trace goes first: its blocks may still be in the engine's cache.
                job = following.pop() if following else next(queue, None)
                if job is None:
                    break
                task = asyncio.create_task(pair(job))
                task.add_done_callback(ended.put_nowait)
                running.add(task)
            if not running:
                return
            task = await ended.get()
            running.discard(task)
            job, result = task.result()
            finished(result)
            following += _continuations(control, job, result)
    finally:
        await cancel(list(running))


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
