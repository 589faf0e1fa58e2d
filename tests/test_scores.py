"""From stored answers to scores: segments, rules of the task, the problem's gold."""

from collections.abc import Iterator
from typing import Any

import pytest
from helpers.protocols import protocol_settings, task_settings

from reghar.grading import GraderPool
from reghar.grading.outcome import Outcome
from reghar.grading.scores import AnswerScorer
from reghar.protocol import Protocol
from reghar.tasks import Problem


@pytest.fixture(scope="module")
def pool() -> Iterator[GraderPool]:
    with GraderPool(workers=1) as graders:
        yield graders


def protocol(text: str = "\\[ \\boxed{", **rules: Any) -> Protocol:
    probe = {"name": "custom", "text": text, "temperature": 0.6, "max_answer_tokens": 64}
    return Protocol.from_dict(protocol_settings({"made": task_settings(**rules)}, probe=probe))


def row(text: str | None, *, budget: int | None, forced: bool) -> dict[str, Any]:
    return {
        "task": "made",
        "problem": "p",
        "sample": 0,
        "setting": "",
        "budget": budget,
        "forced": forced,
        "text": text,
    }


PROBLEM = Problem(task="made", id="p", question="?", gold=("42",), choices=())


def outcomes(pool: GraderPool, rows: list[dict[str, Any]], **rules: Any) -> list[Outcome]:
    scorer = AnswerScorer(protocol(**rules), [PROBLEM], pool)
    return [score.outcome for score in scorer.score(rows)]


def test_every_kind_of_answer_has_its_outcome(pool: GraderPool) -> None:
    rows = [
        row("42} \\]", budget=0, forced=True),
        row("41}", budget=64, forced=True),
        row("42", budget=128, forced=True),
        row("}", budget=256, forced=True),
        row("so \\boxed{42}", budget=512, forced=False),
        row("so 42", budget=None, forced=False),
        row(None, budget=None, forced=False),
    ]
    assert outcomes(pool, rows) == [
        Outcome.CORRECT,
        Outcome.INCORRECT,
        Outcome.UNTERMINATED,
        Outcome.NO_ANSWER,
        Outcome.CORRECT,
        Outcome.NO_ANSWER,
        Outcome.NO_ANSWER,
    ]


def test_a_task_may_name_a_fallback(pool: GraderPool) -> None:
    rows = [row("so 42", budget=None, forced=False)]
    assert outcomes(pool, rows, fallback="last_number") == [Outcome.CORRECT]


def test_a_probe_without_a_box_is_graded_as_a_natural_answer(pool: GraderPool) -> None:
    rows = [row("so \\boxed{42}", budget=64, forced=True)]
    assert outcomes(pool, rows, text="</think>\n") == [Outcome.CORRECT]


def test_a_score_keeps_place_and_text(pool: GraderPool) -> None:
    [score] = AnswerScorer(protocol(), [PROBLEM], pool).score([row("042}", budget=64, forced=True)])
    assert (score.task, score.problem, score.sample, score.budget) == ("made", "p", 0, 64)
    assert score.answer == "042"
