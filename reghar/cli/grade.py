"""`reghar grade`: ask the grader about one answer, or about many as JSON lines."""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reghar.cli.options import add_include_path
from reghar.errors import InputError
from reghar.terminal import printable

if TYPE_CHECKING:
    from reghar.grading import GradeRequest

KINDS = ("integer", "math", "choice")
CODE = "code"
"""The kind of a program, which tests decide on and no gold answer."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "grade",
        help="grade an answer and say why",
        description="Grade an answer against a gold answer and say which rule decided. With --jsonl, read "
        "objects with gold, answer and kind (and tolerance or choices) from standard input and write them "
        "with their outcome, in order.",
    )
    parser.add_argument(
        "--gold", action="append", metavar="TEXT", help="the right answer; repeat it where all must be given"
    )
    parser.add_argument("--answer", metavar="TEXT", help="the answer, or a text whose last box is the answer")
    rules = parser.add_mutually_exclusive_group()
    rules.add_argument("--task", metavar="NAME", help="take the kind of answer and the tolerance of a task")
    rules.add_argument("--kind", choices=(*KINDS, CODE), help="kind of answer (default: math)")
    parser.add_argument(
        "--choice",
        action="append",
        metavar="TEXT",
        help="text of option A; again for B, C, ...",
    )
    parser.add_argument(
        "--tests",
        type=Path,
        metavar="FILE",
        help="of --kind code: JSON with inputs and outputs, or with test (defines check(candidate)) and "
        "entry_point; the last fenced block of --answer is run on them in a sandbox",
    )
    parser.add_argument(
        "--unsafe-code", action="store_true", help="run code without a sandbox where there is none"
    )
    add_include_path(parser)
    parser.add_argument("--jsonl", action="store_true", help="read JSON lines from standard input")
    parser.set_defaults(handler=_grade)


def _grade_program(arguments: argparse.Namespace) -> int:
    """A program against its tests (docs/code.md)."""
    from reghar.grading.code import grade_code
    from reghar.tasks.code_tests import read_tests

    if arguments.tests is None or arguments.answer is None or arguments.gold or arguments.jsonl:
        raise InputError("--kind code takes --tests FILE and --answer TEXT, and neither --gold nor --jsonl")
    try:
        content = json.loads(arguments.tests.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--tests {str(arguments.tests)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"--tests {str(arguments.tests)!r} is not JSON ({error})") from error
    verdict = grade_code(arguments.answer, read_tests(content), unsafe=arguments.unsafe_code)
    sys.stdout.write(f"outcome: {verdict.outcome}\nwhy:     {printable(verdict.why)}\n")
    return 0


def _grade(arguments: argparse.Namespace) -> int:
    if arguments.kind == CODE:
        return _grade_program(arguments)
    if arguments.tests is not None or arguments.unsafe_code:
        raise InputError("--tests and --unsafe-code belong to --kind code")
    defaults = _defaults(arguments)
    if arguments.jsonl:
        if arguments.gold or arguments.answer is not None:
            raise InputError("--jsonl reads standard input: leave out --gold and --answer")
        return _grade_lines(defaults)
    if not arguments.gold or arguments.answer is None:
        raise InputError("nothing to grade: give --gold TEXT and --answer TEXT, or --jsonl")
    if arguments.choice and defaults["kind"] != "choice":
        raise InputError(
            f"--choice gives options, which kind {defaults['kind']} does not have: add --kind choice"
        )
    request = _request(
        {"gold": arguments.gold, "answer": arguments.answer, "choices": arguments.choice or []},
        defaults,
        "the command line",
    )
    from reghar.grading import GraderPool

    with GraderPool(workers=1) as pool:
        verdict = pool.submit(request).result()
    for name, value in (
        ("outcome", verdict.outcome),
        ("answer", verdict.answer_parsed),
        ("gold", verdict.gold_parsed),
        ("rule", verdict.rule),
    ):
        sys.stdout.write(f"{name + ':':9}{value}\n")
    return 0


def _grade_lines(defaults: dict[str, Any]) -> int:
    from reghar.grading import GraderPool

    waiting: deque[dict[str, Any]] = deque()

    def requests() -> Iterator[GradeRequest]:
        for number, line in enumerate(sys.stdin.buffer, 1):
            if line.strip():
                values = _object(line, number)
                waiting.append(values)
                yield _request(values, defaults, f"line {number}")

    with GraderPool() as pool:
        for verdict in pool.grade_all(requests()):
            values = waiting.popleft() | {"outcome": str(verdict.outcome), "rule": verdict.rule}
            sys.stdout.write(json.dumps(values) + "\n")
    return 0


def _defaults(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.task is None:
        return {"kind": arguments.kind or "math"}
    from reghar.tasks import load_task

    rule = load_task(arguments.task, arguments.include_paths).answer
    if rule.kind == CODE:
        raise InputError(
            f"--task {arguments.task}: tests decide on its answers: give --kind code --tests FILE"
        )
    return {"kind": rule.kind, "tolerance": rule.tolerance}


def _object(line: bytes, number: int) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise InputError(f"line {number} is not JSON ({error}): give one object per line") from error
    if not isinstance(values, dict):
        raise InputError(f"line {number} is {type(values).__name__}, not an object with gold and answer")
    return values


def _request(values: dict[str, Any], defaults: dict[str, Any], where: str) -> GradeRequest:
    """The request in an object. Raises InputError for a field that is missing or of another type."""
    from reghar.grading import DEFAULT_TOLERANCE, AnswerKind, GradeRequest

    gold = values.get("gold")
    golds = gold if isinstance(gold, list) else [gold]
    if not golds or not all(isinstance(each, str | int | float) for each in golds):
        raise InputError(f"{where}: gold is {gold!r:.60}: give a text or a list of texts")
    answer = values.get("answer")
    if not isinstance(answer, str | int | float):
        raise InputError(f"{where}: answer is {answer!r:.60}: give a text")
    kind = values.get("kind") or defaults["kind"]
    if kind not in KINDS:
        raise InputError(f"{where}: unknown kind {kind!r:.60}: use one of {', '.join(KINDS)}")
    tolerance = values.get("tolerance", defaults.get("tolerance"))
    tolerance = DEFAULT_TOLERANCE if tolerance is None else tolerance
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < 1:
        raise InputError(f"{where}: tolerance is {tolerance!r:.60}: give a number from 0 to below 1")
    choices = values.get("choices") or []
    if not isinstance(choices, list) or not all(isinstance(each, str) for each in choices):
        raise InputError(f"{where}: choices is {choices!r:.60}: give a list of texts")
    return GradeRequest(
        gold=tuple(map(str, golds)),
        answer=str(answer),
        kind=AnswerKind(kind),
        tolerance=float(tolerance),
        choices=tuple(choices),
    )
