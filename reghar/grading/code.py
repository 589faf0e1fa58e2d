"""Grades a program that a model wrote: its last fenced block, run on a problem's tests in a sandbox."""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass

from reghar.fenced import UnclosedBlockError, last_fenced_block
from reghar.grading.outcome import Outcome
from reghar.grading.sandbox import Execution, Limits, run_program
from reghar.tasks.code_tests import CodeTests


@dataclass(frozen=True, kw_only=True)
class CodeVerdict:
    """What became of a program."""

    outcome: Outcome
    why: str
    """One line for people; what the program wrote is in it, so it is not to be trusted."""


def grade_code(
    text: str, tests: CodeTests, limits: Limits | None = None, *, unsafe: bool = False
) -> CodeVerdict:
    """The outcome of the last fenced block of `text`, the answer after any thinking.

    `correct` where all tests pass; the first one that does not decides otherwise. Raises InputError
    where there is no sandbox (see `run_program`).
    """
    try:
        source = last_fenced_block(text)
    except UnclosedBlockError:
        return CodeVerdict(outcome=Outcome.UNTERMINATED, why="the fenced block was never closed")
    if source is None:
        return CodeVerdict(outcome=Outcome.NO_ANSWER, why="no fenced block")
    return grade_program(source, tests, limits, unsafe=unsafe)


def grade_program(
    source: str,
    tests: CodeTests,
    limits: Limits | None = None,
    *,
    unsafe: bool = False,
    stop: threading.Event | None = None,
) -> CodeVerdict:
    """The outcome of a program, as `grade_code` of the block that holds it.

    Where `stop` is set what runs is ended; the verdict then says nothing.
    """
    limits = limits or Limits()
    if tests.test is not None:
        return _check(source, tests, limits, unsafe=unsafe, stop=stop)
    for number, (given, wanted) in enumerate(zip(tests.inputs, tests.outputs, strict=True), 1):
        execution = run_program(source, given.encode(errors="replace"), limits, unsafe=unsafe, stop=stop)
        verdict = _failure(execution, f"test {number}")
        if verdict is None and _lines(execution.stdout.decode(errors="replace")) != _lines(wanted):
            verdict = CodeVerdict(outcome=Outcome.TESTS_FAILED, why=f"test {number}: another output")
        if verdict is not None:
            return verdict
    return CodeVerdict(outcome=Outcome.CORRECT, why=f"{len(tests.inputs)} tests passed")


_RUNNER = """\
import json, sys
_asked = json.loads(sys.stdin.read())
def _run(asked):
    names = {"__name__": "answer"}
    exec(compile(asked["prelude"], "prelude.py", "exec"), names)
    exec(compile(asked["source"], "answer.py", "exec"), names)
    exec(compile(asked["test"], "test.py", "exec"), names)
    try:
        names["check"](names[asked["entry"]])
    except AssertionError:
        print(asked["failed"])
    else:
        print(asked["passed"])
_run(_asked)
"""


def _check(
    source: str, tests: CodeTests, limits: Limits, *, unsafe: bool, stop: threading.Event | None
) -> CodeVerdict:
    """Runs a check function. What it prints at the end is drawn anew each time, so that a program that
    ends early or prints a guess has not passed."""
    passed, failed = secrets.token_hex(16), secrets.token_hex(16)
    asked = {"prelude": tests.prelude, "source": source, "test": tests.test, "entry": tests.entry_point}
    given = json.dumps(asked | {"passed": passed, "failed": failed}).encode()
    execution = run_program(_RUNNER, given, limits, unsafe=unsafe, stop=stop)
    verdict = _failure(execution, "check")
    if verdict is not None:
        return verdict
    last = (_lines(execution.stdout.decode(errors="replace")) or [""])[-1]
    if last == passed:
        return CodeVerdict(outcome=Outcome.CORRECT, why="the check passed")
    why = "the check failed" if last == failed else "the program ended before the check did"
    return CodeVerdict(outcome=Outcome.TESTS_FAILED, why=why)


def _failure(execution: Execution, where: str) -> CodeVerdict | None:
    """What ended a run before its time; None where it ended well."""
    if execution.timed_out:
        return CodeVerdict(outcome=Outcome.TIME_LIMIT, why=f"{where}: not done in time")
    if execution.overflowed:
        return CodeVerdict(outcome=Outcome.RUNTIME_ERROR, why=f"{where}: endless output")
    if execution.status == 0:
        return None
    said = _lines(execution.stderr.decode(errors="replace"))
    last = said[-1][:200] if said else f"status {execution.status}"
    memory = last.startswith("MemoryError")
    return CodeVerdict(
        outcome=Outcome.MEMORY_LIMIT if memory else Outcome.RUNTIME_ERROR, why=f"{where}: {last}"
    )


def _lines(text: str) -> list[str]:
    """Lines without the spaces at their ends, and without empty ones at the end."""
    return [line.rstrip() for line in text.rstrip().split("\n")] if text.strip() else []
