"""One (problem, sample, setting) with a chat server: one request, one reply, its reported lengths."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reghar.engines.chat import ChatEngine, Reply
from reghar.generation.jobs import Activity, Job, JobResult, run_jobs
from reghar.generation.records import ForcedAnswer, Trace, Withheld, trace_seed
from reghar.protocol import SamplingProtocol, Setting

_OPEN, _CLOSE = "<think>\n", "\n</think>\n\n"
"""Around the reasoning that a server shows, in the stored text."""


@dataclass(frozen=True, kw_only=True)
class ChatSchedule:
    """Asks a chat server for what a run is to hold.

    A run with a chat server has one budget, its most tokens, at which every reply is what it is:
    replies cannot be cut.
    """

    engine: ChatEngine
    system: str | None
    """System prompt; None for no system message."""
    sampling: SamplingProtocol
    fields: Mapping[str, Any]
    """Of every request's body; they win over ours, and None removes one."""
    run_seed: int
    activities: dict[str, Activity]
    """By task."""
    control: tuple[Setting, ...] = ()

    async def run(self, jobs: Iterable[Job], concurrency: int, finished: Callable[[JobResult], None]) -> None:
        """Does every job, at most `concurrency` at a time. Raises `EngineError`, `CostCapError` too."""
        await run_jobs(self.do, self.control, jobs, lambda: concurrency, finished)

    async def do(self, job: Job) -> JobResult:
        """One job: the request, unless its reply is stored, and the answer in it."""
        trace = job.trace
        if trace is None:
            seed = trace_seed(self.run_seed, job.key)
            reply = await self.engine.ask(
                self._messages(job), self._fields(job.setting, seed), self.sampling.max_tokens
            )
            self.activities[job.problem.task].tokens += reply.completion_tokens
            trace = _trace(job, seed, reply)
        self.activities[job.problem.task].jobs += 1
        return JobResult(trace=trace, is_new=job.trace is None, answers=self._answers(job, trace))

    def _messages(self, job: Job) -> Sequence[Mapping[str, str]]:
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        return [*system, {"role": "user", "content": job.problem.question}]

    def _fields(self, setting: Setting, seed: int) -> Mapping[str, Any]:
        ours = {"temperature": self.sampling.temperature, "top_p": self.sampling.top_p, "seed": seed}
        asked = {} if setting.body is None else json.loads(setting.body)
        return {**ours, **self.fields, **asked}

    def _answers(self, job: Job, trace: Trace) -> tuple[ForcedAnswer, ...]:
        """The reply's own answer, and the same at the run's budget where the length alone does not say
        that it was reached in time."""
        in_time = trace.finished and trace.length <= self.sampling.max_tokens
        budgets = [None, *(() if in_time else job.budgets)]
        return tuple(
            ForcedAnswer(
                task=trace.task,
                problem=trace.problem,
                sample=trace.sample,
                setting=trace.setting,
                budget=budget,
                forced=False,
                text=_spoken(trace.text),
                token_ids=(),
                seed=trace.seed,
                prompt_tokens=0,
                cached_tokens=None,
                withheld=trace.withheld,
            )
            for budget in budgets
        )


def _trace(job: Job, seed: int, reply: Reply) -> Trace:
    thought = reply.reasoning_tokens
    withheld: Withheld | None = None if reply.ending == "stop" else reply.ending
    return Trace(
        task=job.problem.task,
        problem=job.problem.id,
        sample=job.sample,
        setting=job.setting.name,
        seed=seed,
        prompt_tokens=reply.prompt_tokens,
        token_ids=(),
        text=f"{_OPEN}{reply.reasoning}{_CLOSE}{reply.text}" if reply.reasoning else reply.text,
        finished=reply.ending != "truncated",
        thinking_opened=False,
        thinking_start=None if thought is None else 0,
        thinking_end=thought,
        looped=False,
        reported_length=reply.completion_tokens,
        withheld=withheld,
    )


def _spoken(text: str) -> str:
    """What a stored reply says after the reasoning that was put before it."""
    return text.rpartition(_CLOSE)[2] if text.startswith(_OPEN) else text
