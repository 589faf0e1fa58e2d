"""Traces by what a judge said of them: only those whose scores lie in a range are exported."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from reghar.errors import InputError
from reghar.store import StoredRun
from reghar.store.judgements import Aspect, read_judgements

JudgedTrace = tuple[str, str, int]
"""Task, problem id and sample."""


@dataclass(frozen=True, kw_only=True)
class ScoreRange:
    """The mean of a trace's parsed scores lies from `low` to `high`, both included."""

    aspect: Aspect
    low: int
    high: int


def parse_range(aspect: Aspect, text: str) -> ScoreRange:
    """The range in `3-5` or `4`. Raises InputError."""
    match = re.fullmatch(r"([0-9])(?:-([0-9]))?", text)
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
    if high < low:
        raise InputError(f"--{aspect} takes scores from 0 to 9 such as 3-5, not {text!r}")
    return ScoreRange(aspect=aspect, low=low, high=high)


def judged_within(run: StoredRun, ranges: Sequence[ScoreRange], judge: str | None) -> set[JudgedTrace]:
    """The traces whose scores lie in all ranges; one without a score lies in none.

    `judge` names one of several. Raises InputError where a range cannot be looked up.
    """
    scores: dict[str, dict[JudgedTrace, list[int]]] = defaultdict(lambda: defaultdict(list))
    judges = set()
    for one in read_judgements(run.path):
        judges.add((one.judge, one.rubric))
        if one.score is not None and judge in (None, one.judge):
            scores[one.aspect][one.task, one.problem, one.sample].append(one.score)
    known = sorted(judges if judge is None else {each for each in judges if each[0] == judge})
    if not known:
        by = "" if judge is None else f" by {judge!r}"
        raise InputError(f"run {str(run.path)!r} has not been judged{by}: see `reghar judge`")
    if len(known) > 1:
        names = ", ".join(f"{name} (rubric {rubric})" for name, rubric in known)
        raise InputError(f"run {str(run.path)!r} has scores of {names}: name one judge with --judge")
    kept = [
        {trace for trace, found in scores[each.aspect].items() if each.low <= fmean(found) <= each.high}
        for each in ranges
    ]
    return set.intersection(*kept)
