"""Programs that a model wrote, each graded in sandboxes of its own, some at a time, and ended at any time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from reghar.grading.code import grade_program
from reghar.grading.request import MAX_CHARACTERS, Grade, GradeRequest
from reghar.grading.rules import could_not_grade
from reghar.grading.text import excerpt
from reghar.tasks.code_tests import read_tests

MAX_PROGRAM = 16 * MAX_CHARACTERS
"""Longest program that is run, in characters."""


class ProgramGrader:
    """Grades requests of kind `code`; a thread waits beside each program that runs."""

    def __init__(self, workers: int, *, unsafe: bool) -> None:
        self._unsafe = unsafe
        self._stop = threading.Event()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="programs")

    def submit(self, request: GradeRequest, done: Callable[[Future[Grade]], None]) -> None:
        """Returns at once; `done` gets the verdict, or the `InputError` where there is no sandbox."""
        self._threads.submit(self._grade, request).add_done_callback(done)

    def close(self, *, wait: bool) -> None:
        """Ends the threads; without `wait` also the programs, and nothing more is graded."""
        if not wait:
            self._stop.set()
        self._threads.shutdown(wait=True)

    def _grade(self, request: GradeRequest) -> Grade:
        tests = read_tests(request.gold[0])
        if not self._stop.is_set():
            verdict = grade_program(request.answer, tests, unsafe=self._unsafe, stop=self._stop)
        if self._stop.is_set():
            return could_not_grade("the grader was closed")
        return Grade(
            outcome=verdict.outcome,
            answer_parsed=excerpt(request.answer),
            gold_parsed=str(tests),
            rule=excerpt(verdict.why),
        )
