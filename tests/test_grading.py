"""Verdicts: the table of cases, segments, and what holds for any text."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reghar.grading import AnswerKind, Grade, GradeRequest, Segment, forced_segment, grade, natural_segment
from reghar.grading.outcome import Outcome
from reghar.grading.rules import gold_values, grade_quickly
from reghar.prompting.thinking import text_after_thinking

THINKING = ("<think>", "</think>")
CASES = json.loads((Path(__file__).parent / "cases" / "grading.json").read_text(encoding="utf-8"))


def request(gold: str | list[str], answer: str, kind: str = "math", **rules: object) -> GradeRequest:
    golds = tuple(gold) if isinstance(gold, list) else (gold,)
    return GradeRequest(gold=golds, answer=answer, kind=AnswerKind(kind), **rules)  # type: ignore[arg-type]


def verdict_of(case: dict[str, object]) -> Grade:
    """A case's verdict: segmented first where its text is a completion or a whole response."""
    text = str(case["answer"])
    segment = Segment(answer=text)
    if case.get("form") == "natural":
        gold = case["gold"]
        golds = gold_values(tuple(gold) if isinstance(gold, list) else (str(gold),))
        answer_text = text_after_thinking(text, THINKING, open_at_start=False)
        segment = natural_segment(answer_text, golds=golds)
    elif case.get("form") == "forced":
        segment = forced_segment(text)
    if segment.answer is None:
        assert segment.outcome is not None
        return Grade(outcome=segment.outcome, answer_parsed="", gold_parsed="", rule="segment")
    rules: dict[str, object] = {"choices": tuple(case.get("choices", ()))}  # type: ignore[arg-type]
    if "tolerance" in case:
        rules["tolerance"] = case["tolerance"]
    return grade(request(case["gold"], segment.answer, str(case["kind"]), **rules))  # type: ignore[arg-type]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict[str, object]) -> None:
    verdict = verdict_of(case)
    assert verdict.outcome == case["expected"], f"{case['why']}: {verdict}"


def test_the_table_is_large_and_its_names_are_unique() -> None:
    names = [case["name"] for case in CASES]
    assert len(names) == len(set(names)) >= 250
    assert sum(case.get("math_verify_wrong", False) for case in CASES) >= 50
    assert {case["kind"] for case in CASES} == {"integer", "math", "choice"}


@pytest.mark.parametrize(
    ("text", "open_at_start", "expected"),
    [
        ("thought</think>\\boxed{1}", True, Segment(answer="1")),
        ("\\boxed{1}", True, Segment(outcome=Outcome.NO_ANSWER)),
        ("\\boxed{1}</think>it is 1", True, Segment(outcome=Outcome.NO_ANSWER)),
        ("\\boxed{1}", False, Segment(answer="1")),
        ("a<think>b", False, Segment(outcome=Outcome.NO_ANSWER)),
        ("<think>a</think>\\boxed{1}<think>\\boxed{2}", False, Segment(outcome=Outcome.NO_ANSWER)),
        ("<think>a</think>\\boxed{1}<think>b</think>\\boxed{2}", False, Segment(answer="2")),
        ("a</think>\\boxed{1", True, Segment(outcome=Outcome.UNTERMINATED)),
        ("", False, Segment(outcome=Outcome.NO_ANSWER)),
    ],
)
def test_natural_segment_reads_what_follows_the_thinking(
    text: str, open_at_start: bool, expected: Segment
) -> None:
    answer_text = text_after_thinking(text, THINKING, open_at_start=open_at_start)
    assert natural_segment(answer_text) == expected


def test_a_model_without_thinking_is_read_whole() -> None:
    assert natural_segment(text_after_thinking("<think>\\boxed{1}", None, open_at_start=False)) == Segment(
        answer="1"
    )


def test_fallback_is_used_only_where_it_is_named_and_there_is_no_box() -> None:
    text = "It costs 3 dollars, so -1,234.5 in all."
    assert natural_segment(text).outcome is Outcome.NO_ANSWER
    assert natural_segment(text, fallback="last_number") == Segment(answer="-1,234.5")
    assert natural_segment(text + "\\boxed{7}", fallback="last_number") == Segment(answer="7")
    assert natural_segment("nothing", fallback="last_number").outcome is Outcome.NO_ANSWER
    far = "It costs 3 dollars. " + "And so on. " * 400
    assert natural_segment(far, fallback="last_number").outcome is Outcome.NO_ANSWER


def test_nothing_of_the_trace_is_graded_beside_the_answer() -> None:
    graded = grade(request("42", r"\boxed{42} no wait \boxed{17"))
    assert graded.outcome is Outcome.UNTERMINATED


def test_verdict_says_what_was_read_and_why() -> None:
    verdict = grade(request("1/3", "0.33333"))
    assert verdict == Grade(
        outcome=Outcome.CORRECT,
        answer_parsed="0.33333",
        gold_parsed="1/3",
        rule="numbers within the tolerance",
    )


def test_a_verdict_can_be_shown_anywhere() -> None:
    verdict = grade(request("42", "\x1b[2J" + "字" * 500 + "\ud800\u202e"))
    assert verdict.answer_parsed.isprintable()
    assert len(verdict.answer_parsed) <= 200
    verdict.answer_parsed.encode("utf-8")


def test_an_answer_beyond_the_limit_is_refused_not_judged() -> None:
    assert grade(request("42", "4" * 5000)).outcome is Outcome.GRADER_ERROR
    assert grade(request("x+1", "x+" * 600 + "1")).outcome is Outcome.GRADER_ERROR
    assert grade(request("x+1", "(" * 60 + "x" + ")" * 60)).outcome is Outcome.GRADER_ERROR


def test_tolerance_above_the_default_holds_between_integers() -> None:
    assert grade(request("15000", "15043")).outcome is Outcome.INCORRECT
    assert grade(request("15000", "15043", tolerance=0.01)).outcome is Outcome.CORRECT
    assert grade(request("15000", "15043", "integer", tolerance=0.01)).outcome is Outcome.INCORRECT


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.get("form") is None], ids=lambda c: c["name"]
)
def test_quick_verdicts_are_the_full_ones(case: dict[str, object]) -> None:
    rules: dict[str, object] = {"choices": tuple(case.get("choices", ()))}  # type: ignore[arg-type]
    quick = grade_quickly(request(case["gold"], str(case["answer"]), str(case["kind"]), **rules))  # type: ignore[arg-type]
    if quick is not None and "tolerance" not in case:
        assert quick.outcome == case["expected"]


PIECES = (
    *"0123456789xyzi+-*/^_=<>(){}[],.;:|!%&' $",
    *("\\", "\\\\", "\n", "\x00", " or ", " and ", "e27", "1,000", "½", "−", "，"),
    *(r"\frac", r"\sqrt", r"\pi", r"\text{", r"\boxed{", r"\left(", r"\right)", r"\cup", r"\in", r"\pm"),
    *(r"\le", r"\infty", r"\{", r"\}", r"\begin{pmatrix}", r"\end{pmatrix}", r"\circ", r"\sin", r"\log"),
    *(r"\binom{", r"\lfloor", r"\cdot", r"\times"),
)
LATEX = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=12).map("".join)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(gold=LATEX, answer=LATEX, kind=st.sampled_from(["integer", "math", "choice"]))
def test_any_text_gets_a_quick_verdict_or_none(gold: str, answer: str, kind: str) -> None:
    for text in (answer, answer * 30):
        verdict = grade_quickly(request(gold, text, kind))
        assert verdict is None or isinstance(verdict.outcome, Outcome)
    forced_segment(answer)
    natural_segment(text_after_thinking(answer, THINKING, open_at_start=True), fallback="last_number")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(text=LATEX)
def test_every_answer_is_right_where_it_is_the_gold(text: str) -> None:
    verdict = grade_quickly(request(text, text))
    allowed = (Outcome.CORRECT, Outcome.NO_ANSWER, Outcome.UNTERMINATED)
    assert verdict is not None
    assert verdict.outcome in allowed
