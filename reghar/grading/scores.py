"""From stored answers to scores: what became of every answer, graded in worker processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reghar.boxed import opens_box
from reghar.fenced import open_fence
from reghar.grading import (
    AnswerKind,
    GradeRequest,
    GraderPool,
    Segment,
    forced_program,
    forced_segment,
    natural_program,
    natural_segment,
)
from reghar.grading.outcome import Outcome
from reghar.grading.rules import gold_values
from reghar.protocol import Protocol
from reghar.tasks import Problem


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """The outcome of one answer."""

    task: str
    problem: str
    """Problem id."""
    sample: int
    budget: int | None
    """Tokens; None for the whole trace's own answer."""
    outcome: Outcome
    answer: str | None
    """The text that was graded, without its box or fences; None where there was nothing to grade."""
    setting: str = ""
    """That of its trace."""


class AnswerScorer:
    """Scores answers of one run: knows its golds, its rules and its probe."""

    def __init__(self, protocol: Protocol, problems: Iterable[Problem], pool: GraderPool) -> None:
        """`problems` of all its tasks."""
        self._tasks = protocol.tasks
        self._in_box = opens_box(protocol.probe.text)
        self._fence = open_fence(protocol.probe.text)
        self._problems = {(problem.task, problem.id): problem for problem in problems}
        self._pool = pool

    def score(self, answers: Iterable[Mapping[str, Any]]) -> Iterator[Score]:
        """The scores of rows of `answers/`, in order."""
        rows = list(answers)
        segments = [self._segment(row) for row in rows]
        requests = (
            self._request(row, segment.answer)
            for row, segment in zip(rows, segments, strict=True)
            if segment.answer is not None
        )
        verdicts = self._pool.grade_all(requests)
        for row, segment in zip(rows, segments, strict=True):
            outcome = segment.outcome if segment.outcome is not None else next(verdicts).outcome
            yield Score(
                task=row["task"],
                problem=row["problem"],
                sample=row["sample"],
                budget=row["budget"],
                outcome=outcome,
                answer=segment.answer,
                setting=row["setting"],
            )

    def _segment(self, row: Mapping[str, Any]) -> Segment:
        if row.get("withheld") is not None:
            return Segment(outcome=Outcome(row["withheld"]))
        text = row["text"]
        if self._tasks[row["task"]].kind == AnswerKind.CODE:
            if text is not None and row["forced"] and self._fence is not None:
                return forced_program(text, self._fence)
            return natural_program(text)
        if text is not None and row["forced"] and self._in_box:
            return forced_segment(text)
        return natural_segment(
            text,
            fallback=self._tasks[row["task"]].fallback,
            golds=gold_values(self._problems[row["task"], row["problem"]].gold),
        )

    def _request(self, row: Mapping[str, Any], answer: str) -> GradeRequest:
        settings = self._tasks[row["task"]]
        problem = self._problems[row["task"], row["problem"]]
        return GradeRequest(
            gold=problem.gold,
            answer=answer,
            kind=AnswerKind(settings.kind),
            tolerance=settings.tolerance,
            choices=problem.choices,
        )
