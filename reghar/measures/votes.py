"""Which stored answers a majority vote counts as one (definitions: Scaling from stored samples).

Answers are compared by the grader's own rules, in its worker processes: what a model wrote is hostile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from string import ascii_uppercase

import numpy as np
from numpy.typing import NDArray

from reghar.errors import InputError
from reghar.grading import AnswerKind, GradeRequest, GraderPool
from reghar.grading.outcome import Outcome
from reghar.measures.scaling import ABSTAINS, RIGHT
from reghar.protocol import TaskProtocol
from reghar.store import StoredRun
from reghar.store.problems import read_problems
from reghar.tasks import Problem

_SILENT = (Outcome.NO_ANSWER, Outcome.UNTERMINATED)
"""Outcomes of answers that say nothing, or not to the end: they abstain."""


def answer_groups(run: StoredRun, task: str, pool: GraderPool) -> NDArray[np.int64]:
    """Shape (P, n, B): the group of equal answers that every stored answer of a task belongs to.

    Groups are numbered per problem: `RIGHT` for every answer that was graded correct, `ABSTAINS` for
    no answer. Raises InputError for an incomplete run, and for programs: whether two do the same cannot be
    known, and to take all right ones as one would be a vote that knows the tests.
    """
    if run.protocol.tasks[task].kind == AnswerKind.CODE:
        raise InputError(
            f"task {task}: programs cannot be voted on, since no two are known to be equal: leave out "
            "--majority; --pass and the best of k by --scores need no vote"
        )
    outcomes = run.outcomes(task)
    if not outcomes.complete:
        run.require_complete()
    settings = run.protocol.tasks[task]
    problems = {problem.id: problem for problem in read_problems(run.path) if problem.task == task}
    scores = run.scores[run.scores["task"] == task]
    group = np.full(len(scores), ABSTAINS, dtype=np.int64)
    codes = scores["outcome"].to_numpy(str)
    answers = scores["answer"].fillna("").to_numpy(object)
    group[codes == str(Outcome.CORRECT)] = RIGHT
    open_ = ~np.isin(codes, [str(one) for one in (*_SILENT, Outcome.CORRECT)])
    owners = scores["problem"].to_numpy(str)
    for name, problem in problems.items():
        rows = np.flatnonzero(open_ & (owners == name))
        if rows.size:
            numbers = _group(answers[rows].tolist(), problem, settings, pool)
            group[rows] = [numbers[text] for text in answers[rows].tolist()]
    # `spread` tells a code that is missing by `MISSING`, so groups travel one higher.
    return run.spread(task, group - ABSTAINS) + ABSTAINS


def _group(
    answers: Sequence[str], problem: Problem, settings: TaskProtocol, pool: GraderPool
) -> dict[str, int]:
    """The group, from 1 on, of every different wrong text.

    Texts are compared with the first of each group, the most frequent texts first, so that the groups
    do not depend on the order of the run. A multiple choice's letters are the groups themselves.
    """
    kind = AnswerKind(settings.kind)
    order = sorted(Counter(answers).items(), key=lambda item: (-item[1], item[0]))
    left = [text for text, _ in order]
    letters = list(ascii_uppercase[: len(problem.choices)]) if kind is AnswerKind.CHOICE else []
    groups: dict[str, int] = {}
    number = RIGHT
    while left:
        first = letters.pop(0) if letters else left[0]
        number += 1
        requests = [
            GradeRequest(
                gold=(first,), answer=text, kind=kind, tolerance=settings.tolerance, choices=problem.choices
            )
            for text in left
        ]
        verdicts = list(pool.grade_all(requests))
        same = {
            text
            for text, verdict in zip(left, verdicts, strict=True)
            if text == first or verdict.outcome is Outcome.CORRECT
        }
        groups |= dict.fromkeys(same, number)
        left = [text for text in left if text not in same]
    return groups
