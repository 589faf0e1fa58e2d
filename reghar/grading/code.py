"""Grades a program that a model wrote: its last fenced block, run on a problem's tests in a sandbox."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reghar.errors import InputError
from reghar.grading.outcome import Outcome
from reghar.grading.sandbox import Execution, Limits, run_program

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


@dataclass(frozen=True, kw_only=True)
class CodeTests:
    """What an answer must do: all pairs of input and output, or pass a check function."""

    inputs: tuple[str, ...] = ()
    """Standard input of each test."""
    outputs: tuple[str, ...] = ()
    """What must stand on standard output, one per input; they never enter the sandbox."""
    test: str | None = None
    """Python source that defines `check(candidate)`, as HumanEval's. It runs beside the answer in one
    process: an answer that goes looking for it can fool it, which pairs of texts rule out."""
    entry_point: str | None = None
    """Name of the function that `check` gets."""


@dataclass(frozen=True, kw_only=True)
class CodeVerdict:
    """What became of a program."""

    outcome: Outcome
    why: str
    """One line for people; what the program wrote is in it, so it is not to be trusted."""


def read_tests(content: object) -> CodeTests:
    """Tests from `{"inputs": [...], "outputs": [...]}` or `{"test": ..., "entry_point": ...}`.

    Raises InputError, one line, for anything else.
    """
    fields = content if isinstance(content, Mapping) else {}
    inputs, outputs = _texts(fields, "inputs"), _texts(fields, "outputs")
    test, entry = fields.get("test"), fields.get("entry_point")
    if inputs and len(inputs) == len(outputs) and test is None:
        return CodeTests(inputs=inputs, outputs=outputs)
    if (
        not inputs
        and not outputs
        and isinstance(test, str)
        and isinstance(entry, str)
        and entry.isidentifier()
    ):
        return CodeTests(test=test, entry_point=entry)
    raise InputError(
        'tests are {"inputs": [...], "outputs": [...]}, as many of the one as of the other, or '
        '{"test": "def check(candidate): ...", "entry_point": NAME}'
    )


def _texts(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = fields.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InputError(f"{name} of the tests is {str(values)[:60]!r}: give a list of texts")
    return tuple(values)


def last_fenced_block(text: str) -> str | None:
    """The content of the last fenced block; None where there is none. Raises `UnclosedBlockError`."""
    found: str | None = None
    fence = ""
    lines: list[str] = []
    for line in text.split("\n"):
        match = _FENCE.fullmatch(line.rstrip("\r"))
        if not fence:
            if match is not None and not (match[1][0] == "`" and "`" in match[2]):
                fence, lines = match[1], []
        elif match is not None and match[1].startswith(fence) and not match[2].strip():
            found, fence = "\n".join([*lines, ""]), ""
        else:
            lines.append(line)
    if fence:
        raise UnclosedBlockError
    return found


class UnclosedBlockError(Exception):
    """The last fenced block was never closed."""


def grade_code(
    text: str, tests: CodeTests, limits: Limits | None = None, *, unsafe: bool = False
) -> CodeVerdict:
    """The outcome of the last fenced block of `text`, the answer after any thinking.

    `correct` where all tests pass; the first one that does not decides otherwise. Raises InputError
    where there is no sandbox (see `run_program`).
    """
    limits = limits or Limits()
    try:
        source = last_fenced_block(text)
    except UnclosedBlockError:
        return CodeVerdict(outcome=Outcome.UNTERMINATED, why="the fenced block was never closed")
    if source is None:
        return CodeVerdict(outcome=Outcome.NO_ANSWER, why="no fenced block")
    if tests.test is not None:
        return _check(source, tests, limits, unsafe=unsafe)
    for number, (given, wanted) in enumerate(zip(tests.inputs, tests.outputs, strict=True), 1):
        execution = run_program(source, given.encode(), limits, unsafe=unsafe)
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


def _check(source: str, tests: CodeTests, limits: Limits, *, unsafe: bool) -> CodeVerdict:
    """Runs a check function. What it prints at the end is drawn anew each time, so that a program that
    ends early or prints a guess has not passed."""
    passed, failed = secrets.token_hex(16), secrets.token_hex(16)
    asked = {"source": source, "test": tests.test, "entry": tests.entry_point}
    given = json.dumps(asked | {"passed": passed, "failed": failed}).encode()
    execution = run_program(_RUNNER, given, limits, unsafe=unsafe)
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
