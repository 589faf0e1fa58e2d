"""What a YAML names with `!function`: lm-eval then asks our questions and grades with our grader."""

from __future__ import annotations

import atexit
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from reghar.grading import AnswerKind, GradeRequest, GraderPool, natural_program, natural_segment
from reghar.grading.outcome import Outcome
from reghar.grading.request import DEFAULT_TOLERANCE
from reghar.grading.rules import gold_values
from reghar.prompting.thinking import FAMILIES, text_after_thinking
from reghar.tasks.problems import documents
from reghar.tasks.task import read_task


def problems(config_source: str, data_dir: str | None = None, **_metadata: object) -> dict[str, Any]:
    """`custom_dataset`: the task's rows as `reghar run` reads them, under the YAML's split.

    `config_source` is the path of the YAML, which lm-eval adds to the metadata. A data folder is given
    with `--metadata '{"data_dir": "DIR"}'`. Raises InputError like `reghar.tasks.load_problems`.
    """
    import datasets

    task = read_task(Path(config_source))
    return {task.dataset.split: datasets.Dataset.from_list(_one_type(documents(task, data_dir)))}


def _one_type(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with a column's values made text where they are of several types: a table holds one."""
    mixed = {
        column
        for column in {column for row in rows for column in row}
        if len({type(row[column]) for row in rows if row.get(column) is not None}) > 1
    }
    return [{column: str(row[column]) if column in mixed else row[column] for column in row} for row in rows]


def process_results(document: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """`process_results`: 1.0 or 0.0 for each measure of one whole response, graded by our grader.

    Reads `gold` (or `answer`) of the row, and `kind`, `tolerance`, `fallback`, `choices` where it has
    them. lm-eval does not hand over the prompt: a thinking block that the prompt opened and the
    response never closed cannot be seen here, and such a response is graded by its last box.
    """
    outcome = _grade(document, results[0])
    return {
        "accuracy_full": float(outcome is Outcome.CORRECT),
        "no_answer": float(outcome in (Outcome.NO_ANSWER, Outcome.UNTERMINATED)),
        "not_graded": float(outcome in (Outcome.GRADER_TIMEOUT, Outcome.GRADER_ERROR)),
    }


def _grade(document: Mapping[str, Any], response: str) -> Outcome:
    thinking = next((family for family in FAMILIES if any(mark in response for mark in family)), None)
    gold = document["gold"] if "gold" in document else document["answer"]
    golds = tuple(map(str, gold if isinstance(gold, list) else [gold]))
    answer_text = text_after_thinking(response, thinking, open_at_start=False)
    kind = AnswerKind(document.get("kind") or "math")
    if kind is AnswerKind.CODE:
        segment = natural_program(answer_text)
    else:
        segment = natural_segment(answer_text, fallback=document.get("fallback"), golds=gold_values(golds))
    if segment.answer is None:
        return segment.outcome or Outcome.NO_ANSWER
    request = GradeRequest(
        gold=golds,
        answer=segment.answer,
        kind=kind,
        tolerance=document.get("tolerance") or DEFAULT_TOLERANCE,
        choices=tuple(document.get("choices") or ()),
    )
    return _grader().submit(request).result().outcome


@cache
def _grader() -> GraderPool:
    """One pool for the process: lm-eval grades response by response."""
    pool = GraderPool(workers=1)
    atexit.register(pool.close)
    return pool
