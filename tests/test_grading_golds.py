"""Every gold of the eight tasks answers itself, and does not answer the next problem."""

import json
from pathlib import Path

import pytest

from reghar.grading import AnswerKind, GradeRequest, grade
from reghar.grading.outcome import Outcome
from reghar.tasks import load_problems, load_task

TASKS = ["aime24", "aime25", "amc23", "math500", "minerva_math", "gsm8k", "olympiadbench", "gpqa_diamond"]
EXCEPTIONS = json.loads(
    (Path(__file__).parent / "cases" / "gold_exceptions.json").read_text(encoding="utf-8")
)


def golds(task: str, benchmark_data: Path) -> list[GradeRequest]:
    """For each problem, its gold boxed as the answer."""
    rule = load_task(task).answer
    return [
        GradeRequest(
            gold=problem.gold,
            answer=r"\boxed{" + ", ".join(problem.gold) + "}",
            kind=AnswerKind(rule.kind),
            choices=problem.choices,
            **({} if rule.tolerance is None else {"tolerance": rule.tolerance}),
        )
        for problem in load_problems(load_task(task), benchmark_data)
    ]


def ids(task: str, benchmark_data: Path) -> list[str]:
    return [problem.id for problem in load_problems(load_task(task), benchmark_data)]


@pytest.mark.parametrize("task", TASKS)
def test_every_gold_answers_itself(task: str, benchmark_data: Path) -> None:
    requests = golds(task, benchmark_data)
    wrong = [id_ for id_, each in zip(ids(task, benchmark_data), requests, strict=True) if not correct(each)]
    assert wrong == accepted(task, "itself")


@pytest.mark.parametrize("task", TASKS)
def test_no_gold_answers_the_next_problem(task: str, benchmark_data: Path) -> None:
    requests, names = golds(task, benchmark_data), ids(task, benchmark_data)
    wrong = []
    for place, each in enumerate(requests):
        following = requests[(place + 1) % len(requests)]
        swapped = GradeRequest(
            gold=each.gold,
            answer=following.answer,
            kind=each.kind,
            tolerance=each.tolerance,
            choices=each.choices,
        )
        if each.gold != following.gold and correct(swapped):
            wrong.append(names[place])
    assert wrong == accepted(task, "next")


def test_all_3064_problems_were_read(benchmark_data: Path) -> None:
    assert sum(len(ids(task, benchmark_data)) for task in TASKS) == 3064


def test_an_option_text_answers_as_its_letter(benchmark_data: Path) -> None:
    """GPQA: the right option's text is as good as its letter; another option's is wrong."""
    problems = load_problems(load_task("gpqa_diamond"), benchmark_data)
    wrong = set()
    for problem in problems:
        for letter, text in zip("ABCD", problem.choices, strict=True):
            request = GradeRequest(
                gold=problem.gold, answer=text, kind=AnswerKind.CHOICE, choices=problem.choices
            )
            if correct(request) != ((letter,) == problem.gold):
                wrong.add(problem.id)
    assert wrong == {each["id"] for each in EXCEPTIONS["option_texts"]}


def correct(request: GradeRequest) -> bool:
    return grade(request).outcome is Outcome.CORRECT


def accepted(task: str, check: str) -> list[str]:
    """Ids of the exceptions that are accepted, each listed with its reason."""
    return [each["id"] for each in EXCEPTIONS["golds"] if (each["task"], each["check"]) == (task, check)]


def test_exceptions_name_problems_that_exist(benchmark_data: Path) -> None:
    for each in EXCEPTIONS["golds"]:
        assert each["reason"]
        assert each["id"] in ids(each["task"], benchmark_data)
