"""Asks a chat server for every judgement that a run does not hold yet."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reghar.engines.chat import ChatEngine, Reply
from reghar.generation.jobs import gather_or_cancel
from reghar.judge.rubrics import RUBRIC_VERSION, messages, read_score
from reghar.seeds import derive_seed
from reghar.store import StoredRun
from reghar.store.folder import FLUSH_SECONDS
from reghar.store.judgements import (
    MOST_KEPT,
    Aspect,
    Judgement,
    JudgementKey,
    JudgementWriter,
    read_judgements,
)
from reghar.store.problems import read_problems

FLUSH_REPLIES = 512
"""Most replies in one part."""


@dataclass(frozen=True, kw_only=True)
class JudgePlan:
    """Who judges what, and how often."""

    judge: str
    """Name of the model."""
    aspects: tuple[Aspect, ...]
    repeats: int
    """Replies to each question, at least 1."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Of every request's body; they win over ours."""
    max_tokens: int = 4096
    """Most tokens of one reply."""


@dataclass(frozen=True, kw_only=True)
class JudgeQuestion:
    """One reply to ask for."""

    aspect: Aspect
    task: str
    problem: str
    sample: int
    repeat: int
    trace: str

    @property
    def key(self) -> JudgementKey:
        """That of its answer, without the judge and the rubric."""
        return (self.aspect, self.task, self.problem, self.sample, self.repeat)

    def answered(self, judge: str, reply: Reply) -> Judgement:
        """The judgement that a reply is; one that was cut or refused gave no score, whatever stands in it."""
        return Judgement(
            judge=judge,
            rubric=RUBRIC_VERSION,
            aspect=self.aspect,
            task=self.task,
            problem=self.problem,
            sample=self.sample,
            repeat=self.repeat,
            score=read_score(self.aspect, reply.text) if reply.ending == "stop" else None,
            reply=reply.text[-MOST_KEPT:],
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
        )


def open_questions(run: StoredRun, plan: JudgePlan) -> list[JudgeQuestion]:
    """What is not stored yet, problem by problem."""
    stored = {
        one.key
        for one in read_judgements(run.path)
        if (one.judge, one.rubric) == (plan.judge, RUBRIC_VERSION)
    }
    traces = run.traces[["task", "problem", "sample", "text"]]
    asked = (
        JudgeQuestion(
            aspect=aspect,
            task=str(row.task),
            problem=str(row.problem),
            sample=int(str(row.sample)),
            repeat=repeat,
            trace=str(row.text),
        )
        for repeat in range(plan.repeats)
        for row in traces.itertuples(index=False)
        for aspect in plan.aspects
    )
    return [one for one in asked if one.key not in stored]


async def judge_traces(
    run: StoredRun,
    plan: JudgePlan,
    questions: Sequence[JudgeQuestion],
    engine: ChatEngine,
    concurrency: int,
    writer: JudgementWriter,
) -> None:
    """Asks all questions, `concurrency` at a time; whatever happens, replies that came reach the disk.

    Raises `EngineError` where the server fails for good, or its price reaches a cap.
    """
    texts = {(problem.task, problem.id): problem.question for problem in read_problems(run.path)}
    left = iter(questions)
    flushed = time.monotonic()

    async def work(queue: Iterator[JudgeQuestion]) -> None:
        nonlocal flushed
        for question in queue:
            asked = messages(question.aspect, texts[question.task, question.problem], question.trace)
            reply = await engine.ask(asked, {**_seeded(question), **plan.fields}, plan.max_tokens)
            writer.add(question.answered(plan.judge, reply))
            if writer.pending >= FLUSH_REPLIES or time.monotonic() - flushed > FLUSH_SECONDS:
                writer.flush()
                flushed = time.monotonic()

    try:
        await gather_or_cancel(work(left) for _ in range(concurrency))
    finally:
        writer.flush()
        await engine.close()


def _seeded(question: JudgeQuestion) -> dict[str, Any]:
    """Repeats are draws of their own."""
    return {"seed": derive_seed(*question.key) % 2**31}
