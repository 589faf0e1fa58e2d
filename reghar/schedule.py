"""One trace, many budgets: the schedule that draws a whole curve for about the price of one run.

Every (problem, sample) is generated once. As soon as its stream passes a budget, the probe for
that budget goes out beside it, so that it finds the trace's KV blocks in the engine's prefix
cache: a probe costs its own few tokens instead of the trace's thousands. Budgets that a finished
trace never reached share its own answer and cost nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from reghar.answers import ForcedAnswer, answer_seed, box_end, cut_position
from reghar.countdown import countdown_end
from reghar.engines.base import Engine, FinishReason, ResponseLostError, Sampling
from reghar.errors import EngineError
from reghar.methods import PLAIN, Setting
from reghar.models import Model
from reghar.probes import Probe
from reghar.prompts import PromptFormat
from reghar.protocol import BudgetCounts, SamplingProtocol
from reghar.seeds import derive_seed
from reghar.tasks import Problem
from reghar.thinking import Block, BlockFinder, Delimiters, find_block, opened_by_prompt
from reghar.traces import Trace, ends_in_loop, trace_seed
from reghar.waiting import bars, beginning

T = TypeVar("T")

STREAM_INTERVAL = 16
"""Tokens a chunk of a trace's stream: a probe goes out at most this late, and the driver stays idle."""
LOST_LIMIT = 10
"""Times that one response may be lost in a row before the engine counts as dead."""


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
    def session(self) -> str:
        """What the trace and its probes have in common."""
        return f"{self.problem.task}/{self.problem.id}/{self.sample}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
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


@dataclass(kw_only=True)
class Schedule:
    """Everything that a job needs beside itself."""

    engine: Engine
    model: Model
    prompt: PromptFormat
    delimiters: Delimiters | None
    sampling: SamplingProtocol
    budget_counts: BudgetCounts
    probe: Probe
    probe_temperature: float
    run_seed: int
    activities: dict[str, Activity]
    """By task."""
    control: tuple[Setting, ...] = ()
    """Settings of the control method: those that continue a trace follow it at once."""

    async def run(self, jobs: Iterable[Job], concurrency: int, finished: Callable[[Done], None]) -> None:
        """Does all jobs, at most `concurrency` at a time, and hands over each as it ends.

        Memory does not grow with the number of jobs. Raises `EngineError` when the engine dies.
        """
        await run_jobs(self.do, self.control, jobs, concurrency, finished)

    async def do(self, job: Job) -> Done:
        """One job: the trace, unless it is stored, and its answers."""
        prompt_ids = self.prompt.asked(job.setting).encode(job.problem.question)
        if job.trace is None:
            # A lost trace is drawn again from its start, probes and all: it stays one draw of its seed.
            return await _redraw(lambda: self._generate(job, prompt_ids))
        response = _Response(self, job, prompt_ids, list(job.trace.token_ids), job.trace.seed)
        response.block = find_block(
            response.ids, self.delimiters, opened=opened_by_prompt(prompt_ids, self.delimiters)
        )
        probes = response.due(deque(job.budgets), "stop" if job.trace.finished else "length")
        # The longest prefix first and alone: all shorter ones then find their blocks in the cache.
        answers = [*await _gather(probes[-1:]), *await _gather(probes[:-1])]
        return self._done(job, response, job.trace, answers, is_new=False)

    async def _generate(self, job: Job, prompt_ids: list[int]) -> Done:
        seed = trace_seed(self.run_seed, job.problem.task, job.problem.id, job.sample, job.setting.name)
        activity = self.activities[job.problem.task]
        given, reason = beginning(
            job.base, self.model.tokenizer.encode_text(job.setting.appended), self.sampling.max_tokens
        )
        response = _Response(self, job, prompt_ids, given, seed)
        given_tokens = len(given)
        opened = opened_by_prompt(prompt_ids, self.delimiters)
        finder = BlockFinder(self.delimiters, opened=opened)
        waiting = deque(job.budgets)
        probes: list[asyncio.Task[ForcedAnswer]] = []
        try:
            for barred in () if reason is not None else bars(job.base, job.setting.appended, self.delimiters):
                most = self.sampling.max_tokens - len(response.ids)
                stream = self.engine.generate(
                    prompt_ids + self.sendable(response.ids),
                    self._trace_sampling(seed, most, barred),
                    interval=STREAM_INTERVAL,
                    session=job.session,
                )
                async with contextlib.aclosing(stream):
                    async for chunk in stream:
                        response.ids.extend(chunk.token_ids)
                        response.block = finder.find(response.ids)
                        reason = chunk.finish_reason
                        if barred and most > 1 and reason == "length":
                            reason = None  # only this one token was asked for
                        activity.tokens += len(chunk.token_ids)
                        probes.extend(asyncio.create_task(c) for c in response.due(waiting, reason))
                if reason is not None:
                    break
            response.block = finder.find(response.ids)
            probes.extend(asyncio.create_task(c) for c in response.due(waiting, reason))
            answers = await asyncio.gather(*probes)
        finally:
            await _cancel(probes)
        trace = self._trace(
            job, response, seed, finished=reason == "stop", opened=opened, given_tokens=given_tokens
        )
        return self._done(job, response, trace, answers, is_new=True)

    def sendable(self, ids: Sequence[int]) -> list[int]:
        """The engine refuses ids beyond the tokenizer's vocabulary, which some models emit (SPEC 11)."""
        return [i for i in ids if i < self.model.vocabulary_size]

    def _trace_sampling(self, seed: int, most: int, barred: tuple[int, ...]) -> Sampling:
        settings = self.sampling
        return Sampling(
            temperature=settings.temperature,
            top_p=settings.top_p,
            top_k=settings.top_k,
            min_p=settings.min_p,
            max_tokens=1 if barred else most,
            # The one token under a bar is a draw of its own.
            seed=derive_seed(seed, "barred") if barred else seed,
            barred=barred,
        )

    def _trace(
        self,
        job: Job,
        response: _Response,
        seed: int,
        *,
        finished: bool,
        opened: bool,
        given_tokens: int,
    ) -> Trace:
        return Trace(
            task=job.problem.task,
            problem=job.problem.id,
            sample=job.sample,
            seed=seed,
            prompt_tokens=len(response.prompt_ids),
            token_ids=tuple(response.ids),
            text=self.model.tokenizer.decode(response.ids),
            finished=finished,
            thinking_opened=opened,
            thinking_start=response.block.start,
            thinking_end=response.block.end,
            looped=not finished and ends_in_loop(response.ids),
            setting=job.setting.name,
            given_tokens=given_tokens,
            countdown=response.countdown() if job.setting.countdown else None,
        )

    def _done(
        self, job: Job, response: _Response, trace: Trace, answers: Sequence[ForcedAnswer], *, is_new: bool
    ) -> Done:
        self.activities[job.problem.task].jobs += 1
        own = (response.own_answer(),) if job.own_answer else ()
        return Done(trace=trace, is_new=is_new, answers=(*answers, *own))


@dataclass
class _Response:
    """A response, growing or whole, and the answers that its cuts give."""

    schedule: Schedule
    job: Job
    prompt_ids: list[int]
    ids: list[int]
    seed: int
    block: Block = Block(None, None, 0)  # noqa: RUF009 - frozen

    def due(
        self, waiting: deque[int], reason: FinishReason | None
    ) -> list[Coroutine[None, None, ForcedAnswer]]:
        """The probes that may go out now: those of the budgets passed, and at `max_tokens` the rest.

        Takes them off `waiting`. A budget that a finished response never passed needs none.
        """
        probes = []
        if self.job.setting.name and reason is None:
            return []  # a setting's own answers can wait: few, and where they cut is known at the end
        while waiting:
            cut = self._cut(waiting[0])
            if cut is None and reason != "length":
                break
            probes.append(self.force(waiting.popleft(), len(self.ids) if cut is None else cut))
        return probes

    def _cut(self, budget: int) -> int | None:
        """Where `budget` cuts the response so far; None where it does not.

        Settings ask for thinking tokens, which are all tokens where there is no thinking block.
        """
        if not self.job.setting.name:
            return cut_position(self.ids, self.block, budget, self.schedule.budget_counts)
        counts = "response" if self.block.start is None else "thinking"
        cuts = [cut_position(self.ids, self.block, budget, counts)]
        if self.job.setting.countdown and (zero := self.countdown()) is not None:
            start = self.block.start or 0
            if zero < len(self._thinking()):
                cuts.append(start + zero)
        return min((cut for cut in cuts if cut is not None), default=None)

    def _thinking(self) -> list[int]:
        """The tokens inside the thinking block; all where there is none."""
        return self.ids[self.block.start or 0 : self.block.end]

    def countdown(self) -> int | None:
        """Thinking tokens after which the countdown of steps has reached zero; None where it has not."""
        return countdown_end(self._thinking(), self.schedule.model.tokenizer.decode)

    async def force(self, budget: int, cut: int) -> ForcedAnswer:
        """The answer after the first `cut` tokens and the probe."""
        schedule = self.schedule
        tokenizer, probe = schedule.model.tokenizer, schedule.probe
        kept = schedule.sendable(self.ids[:cut])
        probe_text = probe.render(schedule.delimiters, thinking_open=self.block.is_open_at(cut))
        before = kept + tokenizer.encode_text(probe_text)
        seed = answer_seed(self.seed, budget)
        completion, text, cached = await _redraw(lambda: self._complete(self.prompt_ids + before, seed))
        activity = schedule.activities[self.job.problem.task]
        activity.probes += 1
        activity.tokens += len(completion)
        activity.probe_prompt_tokens += len(self.prompt_ids) + len(before)
        activity.cached_tokens += cached or 0
        return ForcedAnswer(
            task=self.job.problem.task,
            problem=self.job.problem.id,
            sample=self.job.sample,
            setting=self.job.setting.name,
            budget=budget,
            forced=True,
            text=text if probe.opens_box else self._natural(before + completion),
            token_ids=tuple(completion),
            seed=seed,
            prompt_tokens=len(self.prompt_ids) + len(before),
            cached_tokens=cached,
            dropped_tokens=cut - len(kept),
        )

    def own_answer(self) -> ForcedAnswer:
        """The answer that the whole response gives by itself."""
        return ForcedAnswer(
            task=self.job.problem.task,
            problem=self.job.problem.id,
            sample=self.job.sample,
            setting=self.job.setting.name,
            budget=None,
            forced=False,
            text=self._natural(self.ids),
            token_ids=(),
            seed=self.seed,
            prompt_tokens=0,
            cached_tokens=0,
        )

    def _natural(self, ids: list[int]) -> str | None:
        """Text after the thinking block; None where the thinking never closed."""
        delimiters = self.schedule.delimiters
        block = find_block(ids, delimiters, opened=opened_by_prompt(self.prompt_ids, delimiters))
        return None if block.is_open else self.schedule.model.tokenizer.decode(ids[block.after :])

    async def _complete(self, prompt_ids: list[int], seed: int) -> tuple[list[int], str, int | None]:
        """Completion ids, their text, cached prompt tokens; ended at the brace that closes the box."""
        schedule = self.schedule
        decode, in_box = schedule.model.tokenizer.decode, schedule.probe.opens_box
        ids: list[int] = []
        cached: int | None = None
        stream = schedule.engine.generate(prompt_ids, self._probe_sampling(seed), session=self.job.session)
        async with contextlib.aclosing(stream):
            async for chunk in stream:
                if chunk.cached_tokens is not None:
                    cached = max(cached or 0, chunk.cached_tokens)
                for token in chunk.token_ids:
                    ids.append(token)
                    if in_box and (end := box_end(text := decode(ids))) is not None:
                        return ids, text[:end], cached
        return ids, decode(ids), cached

    def _probe_sampling(self, seed: int) -> Sampling:
        settings = self.schedule.sampling
        return Sampling(
            temperature=self.schedule.probe_temperature,
            top_p=settings.top_p,
            top_k=settings.top_k,
            min_p=settings.min_p,
            max_tokens=self.schedule.probe.max_answer_tokens,
            seed=seed,
        )


async def run_jobs(
    do: Callable[[Job], Awaitable[Done]],
    control: Sequence[Setting],
    jobs: Iterable[Job],
    concurrency: int,
    finished: Callable[[Done], None],
) -> None:
    """See `Schedule.run`; `do` does a job, here or elsewhere."""
    queue: Iterator[Job] = iter(jobs)

    async def work() -> None:
        for first in queue:
            waiting = [first]
            while waiting:
                job = waiting.pop()
                done = await do(job)
                finished(done)
                waiting += _continuations(control, job, done)

    await _gather(work() for _ in range(concurrency))


def _continuations(control: Sequence[Setting], job: Job, done: Done) -> list[Job]:
    """What continues a new trace; of a stored one the caller knows what is left."""
    after = [setting for setting in control if setting.after == job.setting.name and done.is_new]
    return [
        Job(
            problem=job.problem,
            sample=job.sample,
            budgets=setting.budgets,
            setting=setting,
            base=done.trace,
        )
        for setting in after
    ]


async def _redraw(draw: Callable[[], Awaitable[T]]) -> T:
    """What `draw` gives; drawn again where the engine lost the response."""
    for _ in range(LOST_LIMIT):
        try:
            return await draw()
        except ResponseLostError as error:
            lost = error
    raise EngineError(f"a response was lost {LOST_LIMIT} times in a row: {lost}")


async def _gather(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results; at the first failure the others are cancelled and it is raised as it is."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await _cancel(tasks)


async def _cancel(tasks: Sequence[asyncio.Future[T]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
