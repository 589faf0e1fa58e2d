"""One trace, many budgets: the schedule that draws a whole curve for about the price of one run.

Every (problem, sample) is generated once. As soon as its stream passes a budget, the probe for
that budget goes out beside it, so that it finds the trace's KV blocks in the engine's prefix
cache: a probe costs its own few tokens instead of the trace's thousands. Budgets that a finished
trace never reached share its own answer and cost nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reghar.engines.base import Engine, FinishReason, ResponseLostError, Sampling
from reghar.errors import EngineError
from reghar.generation.jobs import Activity, Job, JobResult, cancel, gather_or_cancel, run_jobs
from reghar.generation.load import Load
from reghar.generation.records import ForcedAnswer, Trace, ends_in_loop, trace_seed
from reghar.generation.release import Release, hold_probes
from reghar.generation.response import Response, answer_seed, banned_token_ids, beginning
from reghar.generation.stops import StopTexts
from reghar.prompting.probes import Probe
from reghar.prompting.prompts import PromptFormat
from reghar.prompting.thinking import BlockFinder, Delimiters, find_block, opened_by_prompt
from reghar.prompting.tokenizer import Model
from reghar.protocol import BudgetCounts, SamplingProtocol, Setting, Unclosed
from reghar.seeds import derive_seed

T = TypeVar("T")

STREAM_INTERVAL = 16
"""Tokens a chunk of a trace's stream: a probe goes out at most this late, and the driver stays idle."""
TRACE_PRIORITY = 1
"""Of traces; probes have 0 and go first."""
LOST_LIMIT = 10
"""Times that one response may be lost in a row before the engine counts as dead."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds before a response is drawn again, from its second loss on: an engine that is going down loses
all that it is sent, at once, until it is gone."""


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
    release: Release = "auto"
    """When probes of running traces are sent."""
    unclosed: Unclosed = "grade"
    control: tuple[Setting, ...] = ()
    """Settings of the control method: those that continue a trace follow it at once."""
    load: Load = field(default_factory=Load)
    """Of the engine."""

    async def run(self, jobs: Iterable[Job], concurrency: int, finished: Callable[[JobResult], None]) -> None:
        """Does all jobs, at most `concurrency` at a time, and hands over each as it ends.

        Memory does not grow with the number of jobs. Raises `EngineError` when the engine dies.
        """
        await run_jobs(self.do, self.control, jobs, lambda: concurrency, finished)

    async def do(self, job: Job) -> JobResult:
        """One job: the trace, unless it is stored, and its answers."""
        prompt_ids = self.prompt.with_setting(job.setting).encode(job.problem.question, job.problem.task)
        if job.trace is None:
            # A lost trace is drawn again from its start, probes and all: it stays one draw of its seed.
            return await _redraw(lambda: self._generate(job, prompt_ids))
        response = self._response(job, prompt_ids, list(job.trace.token_ids), job.trace.seed)
        response.block = find_block(
            response.ids, self.delimiters, opened=opened_by_prompt(prompt_ids, self.delimiters)
        )
        probes = self._due(response, deque(job.budgets), "stop" if job.trace.finished else "length")
        # The longest prefix first and alone: all shorter ones then find their blocks in the cache.
        answers = [*await gather_or_cancel(probes[-1:]), *await gather_or_cancel(probes[:-1])]
        return self._result(job, response, job.trace, answers, is_new=False)

    async def _generate(self, job: Job, prompt_ids: list[int]) -> JobResult:
        seed = trace_seed(self.run_seed, job.key)
        activity = self.activities[job.problem.task]
        given, reason = beginning(
            job.base, self.model.tokenizer.encode_text(job.setting.appended), self.sampling.max_tokens
        )
        response = self._response(job, prompt_ids, given, seed)
        given_tokens = len(given)
        opened = opened_by_prompt(prompt_ids, self.delimiters)
        finder = BlockFinder(self.delimiters, opened=opened)
        waiting = deque(job.budgets)
        probes: list[asyncio.Task[ForcedAnswer]] = []
        try:
            with self.load.trace(len(prompt_ids), given_tokens) as in_flight:
                rounds = banned_token_ids(job.base, job.setting.appended, self.delimiters)
                for barred in () if reason is not None else rounds:
                    most = self.sampling.max_tokens - len(response.ids)
                    stream = self.engine.generate(
                        prompt_ids + self.sendable(response.ids),
                        self._trace_sampling(job, seed, most, barred),
                        interval=STREAM_INTERVAL,
                        session=job.session,
                    )
                    stops = self._stops()
                    async with contextlib.aclosing(stream):
                        async for chunk in stream:
                            reason = chunk.finish_reason
                            response.ids.extend(stops.push(chunk.token_ids, last=reason is not None))
                            response.block = finder.find(response.ids)
                            if stops.found:
                                reason = "stop"
                            if barred and most > 1 and reason == "length":
                                reason = None  # only this one token was asked for
                            activity.tokens += len(chunk.token_ids)
                            self.load.grow(in_flight, len(chunk.token_ids))
                            if reason is not None or not self._holds_probes():
                                due = self._due(response, waiting, reason)
                                probes.extend(asyncio.create_task(c) for c in due)
                            if stops.found:
                                break
                    if reason is not None:
                        break
                if reason is None:
                    raise ResponseLostError("the engine ended a response without a reason")
            response.block = finder.find(response.ids)
            probes.extend(asyncio.create_task(c) for c in self._due(response, waiting, reason))
            answers = await asyncio.gather(*probes)
        finally:
            await cancel(probes)
        trace = self._trace(job, response, seed, reason=reason, opened=opened, given_tokens=given_tokens)
        return self._result(job, response, trace, answers, is_new=True)

    def _holds_probes(self) -> bool:
        return hold_probes(self.release, self.engine.info.kv_tokens, self.load.tokens_in_flight)

    def _stops(self) -> StopTexts:
        return StopTexts(self.sampling.stop, self.model.tokenizer.decode)

    def sendable(self, ids: Sequence[int]) -> list[int]:
        """The engine refuses ids beyond the tokenizer's vocabulary, which some models emit."""
        return [i for i in ids if i < self.model.vocabulary_size]

    @property
    def _drawing(self) -> dict[str, Any]:
        """How traces and probes alike draw their tokens, their temperatures aside."""
        settings = self.sampling
        return {
            "top_p": settings.top_p,
            "top_k": settings.top_k,
            "min_p": settings.min_p,
            "presence_penalty": settings.presence_penalty,
            "frequency_penalty": settings.frequency_penalty,
            "repetition_penalty": settings.repetition_penalty,
        }

    def _trace_sampling(self, job: Job, seed: int, most: int, barred: tuple[int, ...]) -> Sampling:
        return Sampling(
            **self._drawing,
            temperature=self.sampling.temperature,
            max_tokens=1 if barred else most,
            # After the probes: where the KV cache is scarce a trace at the head of the queue would keep
            # them waiting until the blocks that they share with theirs are gone.
            priority=TRACE_PRIORITY,
            # The one token under a bar is a draw of its own.
            seed=derive_seed(seed, "barred") if barred else seed,
            repetition_detection=self.sampling.repetition_detection,
            barred=barred,
            adapter=job.adapter,
        )

    def _trace(
        self,
        job: Job,
        response: Response,
        seed: int,
        *,
        reason: FinishReason,
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
            finished=reason == "stop",
            thinking_opened=opened,
            thinking_start=response.block.start,
            thinking_end=response.block.end,
            looped=reason == "repetition" or (reason == "length" and ends_in_loop(response.ids)),
            setting=job.setting.name,
            given_tokens=given_tokens,
            countdown=response.countdown() if job.setting.countdown else None,
        )

    def _result(
        self, job: Job, response: Response, trace: Trace, answers: Sequence[ForcedAnswer], *, is_new: bool
    ) -> JobResult:
        self.activities[job.problem.task].jobs += 1
        own = (response.own_answer(finished=trace.finished),) if job.own_answer else ()
        return JobResult(trace=trace, is_new=is_new, answers=(*answers, *own))

    def _response(self, job: Job, prompt_ids: list[int], ids: list[int], seed: int) -> Response:
        return Response(
            job=job,
            prompt_ids=prompt_ids,
            ids=ids,
            seed=seed,
            tokenizer=self.model.tokenizer,
            delimiters=self.delimiters,
            budget_counts=self.budget_counts,
            unclosed=self.unclosed,
        )

    def _due(
        self, response: Response, waiting: deque[int], reason: FinishReason | None
    ) -> list[Coroutine[None, None, ForcedAnswer]]:
        """The probes that may go out now; see `Response.passed`."""
        return [self._force(response, budget, cut) for budget, cut in response.passed(waiting, reason)]

    async def _force(self, response: Response, budget: int, cut: int) -> ForcedAnswer:
        """The answer after the first `cut` tokens and the probe."""
        job = response.job
        kept = self.sendable(response.ids[:cut])
        probe = job.probe or self.probe
        probe_text = probe.render(self.delimiters, thinking_open=response.block.is_open_at(cut))
        before = kept + self.model.tokenizer.encode_text(probe_text)
        given = response.prompt_ids + before
        seed = answer_seed(response.seed, budget)
        completion, text, cached, logprobs = await _redraw(lambda: self._complete(job, given, seed))
        activity = self.activities[job.problem.task]
        activity.probes += 1
        activity.tokens += len(completion)
        activity.probe_prompt_tokens += len(given)
        activity.cached_tokens += cached or 0
        return ForcedAnswer(
            task=job.problem.task,
            problem=job.problem.id,
            sample=job.sample,
            setting=job.setting.name,
            budget=budget,
            forced=True,
            text=text if probe.is_completed else response.natural(before + completion, finished=False),
            token_ids=tuple(completion),
            seed=seed,
            prompt_tokens=len(given),
            cached_tokens=cached,
            dropped_tokens=cut - len(kept),
            answer_logprob=None if logprobs is None else math.fsum(logprobs),
            answer_tokens_scored=None if logprobs is None else len(logprobs),
        )

    async def _complete(
        self, job: Job, prompt_ids: list[int], seed: int
    ) -> tuple[list[int], str, int | None, list[float] | None]:
        """Completion ids, their text, cached prompt tokens, the ids' log-probabilities; ended at the brace
        that closes the box, or the line that closes the block."""
        probe, decode = job.probe or self.probe, self.model.tokenizer.decode
        in_box, in_block = probe.opens_box, probe.fence is not None
        ids: list[int] = []
        logprobs: list[float] | None = []
        cached: int | None = None
        reason: FinishReason | None = None
        stream = self.engine.generate(prompt_ids, self._probe_sampling(job, seed), session=job.session)
        async with contextlib.aclosing(stream):
            async for chunk in stream:
                reason = chunk.finish_reason
                if chunk.cached_tokens is not None:
                    cached = max(cached or 0, chunk.cached_tokens)
                if chunk.logprobs is None and chunk.token_ids:
                    logprobs = None
                if logprobs is not None and chunk.logprobs is not None:
                    logprobs += chunk.logprobs
                for token in chunk.token_ids:
                    ids.append(token)
                    # A block is looked through only where a line of it ends: it may be long.
                    if not (in_box or (in_block and "\n" in decode([token]))):
                        continue
                    if (end := probe.answer_end(text := decode(ids), last=False)) is not None:
                        return ids, text[:end], cached, logprobs and logprobs[: len(ids)]
        if reason is None:
            raise ResponseLostError("the engine ended an answer without a reason")
        ids = self._stops().push(ids, last=True)
        text = decode(ids)
        return ids, text[: probe.answer_end(text, last=True)], cached, logprobs and logprobs[: len(ids)]

    def _probe_sampling(self, job: Job, seed: int) -> Sampling:
        return Sampling(
            **self._drawing,
            temperature=self.probe_temperature,
            max_tokens=(job.probe or self.probe).max_answer_tokens,
            logprobs=True,
            seed=seed,
            adapter=job.adapter,
        )


async def _redraw(draw: Callable[[], Awaitable[T]]) -> T:
    """What `draw` gives; drawn again where the engine lost the response."""
    for number in range(LOST_LIMIT):
        if number > 1:
            await asyncio.sleep(min(FIRST_PAUSE * 2 ** (number - 2), LONGEST_PAUSE))
        try:
            return await draw()
        except ResponseLostError as error:
            lost = error
    raise EngineError(f"a response was lost {LOST_LIMIT} times in a row: {lost}")
