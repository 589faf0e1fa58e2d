"""From a request to a verdict: which comparison a kind of answer gets, in which order."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from reghar.boxed import last_box
from reghar.grading.choices import read_choice
from reghar.grading.compare import AnswerComparison
from reghar.grading.expressions import RefusedError
from reghar.grading.numbers import read_number
from reghar.grading.outcome import Outcome
from reghar.grading.read import Items, Value, read, read_all
from reghar.grading.request import DEFAULT_TOLERANCE, MAX_CHARACTERS, AnswerKind, Grade, GradeRequest
from reghar.grading.singles import NeedsAlgebraError, Settings, spelling
from reghar.grading.text import clean, excerpt

_OPERATION = re.compile(r"[\d)}\]]\s*(?:[+*×·]|(?<![eE^{(])-|\\(?:cdot|times)(?![a-zA-Z]))\s*[\d({\[\\]")


def grade(request: GradeRequest) -> Grade:
    """The verdict on one answer. Pure; never raises for any text, but may take long or much memory.

    An answer that holds boxes itself is its last box. Blank text is `no_answer`, a last box that is
    never closed `unterminated`.
    """
    verdict = _grade(request, quickly=False)
    if verdict is None:
        raise AssertionError("only a quick grading may leave the verdict open")
    return verdict


def grade_quickly(request: GradeRequest) -> Grade | None:
    """The same verdict where it needs no computer algebra; None where it does. Linear in the text."""
    return _grade(request, quickly=True)


def gold_values(golds: tuple[str, ...]) -> int:
    """How many values a problem's gold holds: 2 for `-2, 1`, 1 for a tuple or a set."""
    value = _read_gold(tuple(clean(_unboxed(gold)) for gold in golds))
    return len(value.items) if isinstance(value, Items) and not value.brackets else 1


def could_not_grade(reason: str) -> Grade:
    """The verdict where grading itself failed."""
    return Grade(outcome=Outcome.GRADER_ERROR, answer_parsed="", gold_parsed="", rule=reason)


def ran_out_of_time(limit_s: float) -> Grade:
    """The verdict where the time limit passed."""
    return Grade(
        outcome=Outcome.GRADER_TIMEOUT,
        answer_parsed="",
        gold_parsed="",
        rule=f"not decided within {limit_s:g} s",
    )


def _grade(request: GradeRequest, *, quickly: bool) -> Grade | None:
    if len(request.answer) > MAX_CHARACTERS:
        return could_not_grade(f"the answer is longer than {MAX_CHARACTERS} characters")
    gold = ", ".join(request.gold)
    box = last_box(request.answer)
    if box is not None and not box.closed:
        return _verdict(Outcome.UNTERMINATED, "", gold, "the last box is never closed")
    content = request.answer if box is None else box.content
    while (inner := last_box(content)) is not None and inner.closed:
        content = inner.content
    text = clean(content)
    if not text.strip("{} "):
        return _verdict(Outcome.NO_ANSWER, "", gold, "the answer is blank")
    if request.kind is AnswerKind.CODE:
        raise AssertionError("programs are graded by `reghar.grading.code`")
    if request.kind is AnswerKind.CHOICE:
        return _grade_choice(request, content)
    return _grade_math(request, text, quickly)


def _grade_choice(request: GradeRequest, content: str) -> Grade:
    wanted = ", ".join(request.gold)
    given = read_choice(content, request.choices)
    if given is None:
        return _verdict(Outcome.INCORRECT, content, wanted, "names no option, or more than one")
    outcome = Outcome.CORRECT if given == wanted.strip().upper() else Outcome.INCORRECT
    return _verdict(outcome, given, wanted, "the option named")


def _grade_math(request: GradeRequest, text: str, quickly: bool) -> Grade | None:
    gold_texts = tuple(clean(_unboxed(gold)) for gold in request.gold)
    gold = ", ".join(gold_texts)
    if spelling(gold) == spelling(text):
        return _verdict(Outcome.CORRECT, text, gold, "the same text")
    exactly = request.kind is AnswerKind.INTEGER
    if exactly and _is_unevaluated(text):
        return _verdict(
            Outcome.INCORRECT, text, gold, "a sum or product left to do where a number is asked for"
        )
    comparison = AnswerComparison(
        Settings(
            tolerance=Fraction(0) if exactly else Fraction(str(request.tolerance)),
            golds_rounded=not exactly and request.tolerance > DEFAULT_TOLERANCE,
            quickly=quickly,
        )
    )
    try:
        equal = comparison.equal(_read_gold(gold_texts), read(text))
    except NeedsAlgebraError:
        return None
    except RefusedError as error:
        return could_not_grade(f"not parsed: {error}")
    return _verdict(Outcome.CORRECT if equal else Outcome.INCORRECT, text, gold, comparison.rule)


def _is_unevaluated(text: str) -> bool:
    """A sum or product of numbers that its writer left undone; what follows an equals sign counts."""
    value = text.rpartition("=")[2]
    return _OPERATION.search(value) is not None and read_number(value) is None


@lru_cache(maxsize=4096)
def _read_gold(texts: tuple[str, ...]) -> Value:
    return read_all(texts)


def _unboxed(gold: str) -> str:
    box = last_box(gold)
    return box.content if box is not None and box.closed else gold


def _verdict(outcome: Outcome, answer: str, gold: str, rule: str) -> Grade:
    return Grade(outcome=outcome, answer_parsed=excerpt(answer), gold_parsed=excerpt(gold), rule=rule)
