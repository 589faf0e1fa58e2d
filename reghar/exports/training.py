"""Stored traces as training data: TRL's `prompt` with `completion`, or with `chosen` and `rejected`.

Prompt and responses are texts as the model saw and wrote them, template and special tokens included, so
that no chat template drops the thinking. All traces of a problem count together, whichever run they are
from; a chosen response is always one that the model ended itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from reghar.errors import InputError
from reghar.exports.judged import ScoreRange, judged_within
from reghar.prompting.prompts import QUESTION_PLACEHOLDER
from reghar.store import StoredRun
from reghar.store.problems import read_problems
from reghar.tasks.catalog import list_tasks

ProblemKey: TypeAlias = tuple[str, str]
"""Task and problem id."""
Pairing = Literal["shortest", "dast"]


@dataclass(frozen=True, kw_only=True)
class ExportedResponse:
    """One stored trace."""

    text: str
    length: int
    """Response tokens."""
    correct: bool
    finished: bool
    """False where it hit `max_tokens`."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """All responses to one prompt."""

    key: ProblemKey
    prompt: str
    digest: str
    """Of the first run's protocol."""
    responses: tuple[ExportedResponse, ...]

    @property
    def record(self) -> dict[str, Any]:
        """What every line of an export begins with."""
        return {"prompt": self.prompt, "task": self.key[0], "problem_id": self.key[1], "digest": self.digest}


def load_groups(
    runs: Sequence[StoredRun], ranges: Sequence[ScoreRange] = (), judge: str | None = None
) -> list[Group]:
    """The responses of complete runs, problem by problem; only those in all `ranges` of a judge's scores.

    Raises InputError for a run of a packaged benchmark (its problems are a test set), an incomplete run,
    and runs whose prompts differ.
    """
    for run in runs:
        _require_own_tasks(run)
        run.require_complete()
    prompts: dict[ProblemKey, str] = {}
    responses: dict[ProblemKey, list[ExportedResponse]] = defaultdict(list)
    for run in runs:
        for key, prompt in _prompts(run).items():
            if prompts.setdefault(key, prompt) != prompt:
                raise InputError(
                    f"run {str(run.path)!r} asks {key[1]!r} of {key[0]} with another prompt than the runs "
                    "before it: export them one by one"
                )
        kept = judged_within(run, ranges, judge) if ranges else None
        for key, sample, response in _responses(run):
            if kept is None or (*key, sample) in kept:
                responses[key].append(response)
    return [
        Group(key=key, prompt=prompt, digest=runs[0].digest, responses=tuple(responses[key]))
        for key, prompt in prompts.items()
        if responses[key]
    ]


def unsolved(groups: Sequence[Group], by: StoredRun, threshold: float) -> list[Group]:
    """The groups without problems that run `by` solves, at full length, with more than `threshold`
    accuracy (0..1). Raises InputError for a threshold outside, and a run that lacks the problems."""
    if not 0 <= threshold <= 1:
        raise InputError(f"--drop-solved {threshold:g}: give an accuracy from 0 to 1")
    accuracy: dict[ProblemKey, float] = {}
    for task in by.tasks:
        outcomes = by.outcomes(task)
        for problem, mean in zip(outcomes.problems, outcomes.full_correct.mean(axis=1), strict=True):
            accuracy[task, problem] = float(mean)
    if missing := [group.key for group in groups if group.key not in accuracy]:
        raise InputError(
            f"run {str(by.path)!r} holds no problem {missing[0][1]!r} of {missing[0][0]}: "
            "--by needs a run of the same problems"
        )
    return [group for group in groups if accuracy[group.key] <= threshold]


def shortest_correct(groups: Sequence[Group]) -> Iterator[dict[str, Any]]:
    """One line per problem that has a correct response: the shortest of them."""
    for group in groups:
        best = _shortest([one for one in group.responses if one.correct])
        if best is not None:
            yield {**group.record, "completion": best.text, "length": best.length}


def pairs(groups: Sequence[Group], pairing: Pairing, ratio: float | None = None) -> Iterator[dict[str, Any]]:
    """Preference pairs.

    `shortest`: the shortest correct response is chosen, the longest of all rejected. `dast` (after
    arXiv 2503.04472): chosen and rejected are both right or both wrong, the shortest and the longest of
    their kind, the rejected at least `ratio` > 1 times as long. Raises InputError for another ratio.
    """
    if (pairing == "dast") != (ratio is not None):
        raise InputError("--ratio belongs to --pairs dast, which needs one, such as 1.5")
    if ratio is not None and not 1 < ratio < float("inf"):
        raise InputError(f"--ratio {ratio:g}: give how many times longer a rejected response is, above 1")
    for group in groups:
        found = _by_shortest(group.responses) if ratio is None else _by_kind(group.responses, ratio)
        for chosen, rejected in found:
            yield {
                **group.record,
                "chosen": chosen.text,
                "rejected": rejected.text,
                "chosen_length": chosen.length,
                "rejected_length": rejected.length,
                "chosen_correct": chosen.correct,
                "rejected_correct": rejected.correct,
            }


def _by_shortest(responses: Sequence[ExportedResponse]) -> list[tuple[ExportedResponse, ExportedResponse]]:
    chosen = _shortest([one for one in responses if one.correct])
    longest = max(responses, key=_length)
    if chosen is None or longest.length <= chosen.length:
        return []
    return [(chosen, longest)]


def _by_kind(
    responses: Sequence[ExportedResponse], ratio: float
) -> list[tuple[ExportedResponse, ExportedResponse]]:
    found = []
    for correct in (True, False):
        kind = [one for one in responses if one.correct is correct]
        chosen = _shortest(kind)
        if chosen is not None and (longest := max(kind, key=_length)).length >= ratio * chosen.length:
            found.append((chosen, longest))
    return [(chosen, longest) for chosen, longest in found if longest.length > chosen.length]


def _shortest(responses: Sequence[ExportedResponse]) -> ExportedResponse | None:
    """The shortest that ended by itself; of equal ones the first."""
    return min((one for one in responses if one.finished), key=_length, default=None)


def _length(response: ExportedResponse) -> int:
    return response.length


def _require_own_tasks(run: StoredRun) -> None:
    packaged = {task.name for task in list_tasks()}
    if test_sets := [task for task in run.tasks if task in packaged]:
        raise InputError(
            f"run {str(run.path)!r} holds {', '.join(test_sets)}, a packaged benchmark: exporting a test set "
            "as training data is contamination; run the model on a task of your own"
        )


def _prompts(run: StoredRun) -> dict[ProblemKey, str]:
    template = run.protocol.prompt.template
    return {
        (problem.task, problem.id): template.replace(QUESTION_PLACEHOLDER, problem.question, 1)
        for problem in read_problems(run.path)
    }


def _responses(run: StoredRun) -> Iterator[tuple[ProblemKey, int, ExportedResponse]]:
    scores = run.scores[run.scores["budget"].isna()]
    outcome: Mapping[Any, str] = scores.set_index(["task", "problem", "sample"])["outcome"].to_dict()
    for row in run.traces.itertuples(index=False):
        key = (str(row.task), str(row.problem))
        yield (
            key,
            int(str(row.sample)),
            ExportedResponse(
                text=str(row.text),
                length=int(str(row.length)),
                correct=outcome[(*key, row.sample)] == "correct",
                finished=bool(row.finished),
            ),
        )
