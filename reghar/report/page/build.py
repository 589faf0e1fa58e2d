"""From stored runs to the page's data: an index that every view needs, and a block of texts a problem."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase, digits
from typing import TYPE_CHECKING, Any

import numpy as np

from reghar.errors import InputError
from reghar.grading.outcome import OUTCOMES
from reghar.measures.clusters import shared_clusters
from reghar.measures.efficiency import efficiency_of
from reghar.measures.paired import curve_difference
from reghar.measures.reg import area
from reghar.measures.serving import serving_of
from reghar.measures.task import task_measures
from reghar.prompting.thinking import Block, cut_position
from reghar.protocol import Protocol
from reghar.report.page.cuts import places
from reghar.report.schema import Report
from reghar.report.text import model_name
from reghar.report.verdict import verdict
from reghar.store import StoredRun
from reghar.store.outcomes import MISSING, TaskOutcomes
from reghar.store.problems import read_problems
from reghar.store.stored import ProblemRows
from reghar.tasks import Problem
from reghar.tasks.code_tests import read_tests
from reghar.terminal import printable, shortened

if TYPE_CHECKING:
    from reghar.prompting.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class PageRun:
    """One run of the page; all of a page have equal protocols."""

    run: StoredRun
    report: Report


def index(runs: Sequence[PageRun], *, served: bool) -> dict[str, Any]:
    """Everything but the samples' texts. `served`: texts come from the local server on demand."""
    names = _names(runs)
    protocol = runs[0].run.protocol
    return {
        "title": " and ".join(names),
        "served": served,
        "budgets": list(protocol.budgets),
        "counts": protocol.budget_counts,
        "probe": protocol.probe.text,
        "runs": [_run(one, name) for one, name in zip(runs, names, strict=True)],
        "differences": _differences(runs),
    }


def _differences(runs: Sequence[PageRun]) -> dict[str, list[dict[str, Any]]]:
    """Task to every other complete run's curve minus the first one's, as `curveChart` takes lines."""
    complete = [i for i, one in enumerate(runs) if one.report.complete]
    if len(complete) < 2 or complete[0] != 0:
        return {}
    return {task: list(_task_differences(runs, complete, task)) for task in runs[0].run.tasks}


def _task_differences(
    runs: Sequence[PageRun], complete: Sequence[int], task: str
) -> Iterator[dict[str, Any]]:
    outcomes = shared_clusters([runs[i].run.outcomes(task) for i in complete])
    interval = runs[0].report.interval
    base, *others = (
        [task_measures(one, None, interval=interval.kind, seed=interval.seed, replicates=interval.replicates)]
        for one in outcomes
    )
    for i, other in zip(complete[1:], others, strict=True):
        found = curve_difference(other, base)
        if found is not None:
            ends = ("low", "high", "bandLow", "bandHigh")
            series = (*found.interval, *found.band)
            yield {
                "run": i,
                "values": found.values.tolist(),
                **{name: one.tolist() for name, one in zip(ends, series, strict=True)},
            }


def _names(runs: Sequence[PageRun]) -> list[str]:
    """The models' own names, without folders; runs of one model are told apart by the run's folder."""
    names = [model_name(one.report.model) for one in runs]
    named = [
        name
        if names.count(name) == 1
        else f"{name} · {shortened(printable(one.run.path.resolve().name), 40)}"
        for name, one in zip(names, runs, strict=True)
    ]
    return [
        name if named.count(name) == 1 else f"{name} ({named[: i + 1].count(name)})"
        for i, name in enumerate(named)
    ]


def _run(one: PageRun, name: str) -> dict[str, Any]:
    report = one.report
    problems = {(problem.task, problem.id): problem for problem in read_problems(one.run.path)}
    at = iter(range(sum(task.problems for task in report.tasks.values())))
    tasks = {}
    for task, record in report.tasks.items():
        frontier = None if record.frontier is None else record.frontier.accuracy
        code = one.run.protocol.tasks[task].kind == "code"
        rows = _problems(one.run.outcomes(task), problems, frontier, code=code)
        kept = record.model_dump(include={"problems", "samples", "missing", "curve", "frontier", "measures"})
        tasks[task] = {
            "report": kept,
            "serve": _serve(one.run, task),
            "problems": [{"at": next(at), **row} for row in rows],
        }
    return {
        "name": name,
        "verdict": verdict(report),
        "complete": report.complete,
        "notes": [
            *report.notes,
            *(f"{task}: {note}" for task, record in report.tasks.items() for note in record.notes),
        ],
        "tasks": tasks,
    }


def _serve(run: StoredRun, task: str) -> dict[str, Any]:
    """Index of the budget to serve with, None where there is none to recommend, and the reason."""
    try:
        serving = serving_of([run.outcomes(task)])
    except InputError as error:
        return {"at": None, "why": str(error)}
    if serving.recommended is None:
        why = "not even the largest budget is shown to lose at most one point against unbounded thinking"
        return {"at": None, "why": why}
    return {"at": serving.budgets.index(serving.recommended), "why": None}


def _problems(
    outcomes: TaskOutcomes,
    problems: Mapping[tuple[str, str], Problem],
    frontier: Sequence[float] | None,
    *,
    code: bool,
) -> Iterator[dict[str, Any]]:
    best = np.ones(len(outcomes.budgets)) if frontier is None else np.asarray(frontier)
    missed = area(outcomes.budgets, best - outcomes.correct.mean(axis=1))
    samples = _samples(outcomes)
    for i, identity in enumerate(outcomes.problems):
        problem = problems[outcomes.task, identity]
        yield {
            "id": identity,
            "question": problem.question,
            # Of a program's tests only how many: they may be long, and are no answer to look at.
            "gold": [str(read_tests(problem.gold[0]))] if code else list(problem.gold),
            "code": code,
            "choices": list(problem.choices),
            "gap": round(float(missed[i]), 3),
            "samples": samples[i],
        }


def _samples(outcomes: TaskOutcomes) -> list[list[dict[str, Any]]]:
    """A record for each stored sample of each problem; outcomes are one character per budget."""
    efficiency = efficiency_of(outcomes)
    signs = np.array([*f"{digits}{ascii_lowercase}"[: len(OUTCOMES)], "-"])  # `MISSING` is the last
    rows: list[list[dict[str, Any]]] = []
    for i in range(len(outcomes.problems)):
        rows.append([])
        for j in range(outcomes.outcome.shape[1]):
            if outcomes.full[i, j] == MISSING and (outcomes.outcome[i, j] == MISSING).all():
                continue
            closed = outcomes.thought[i, j] and outcomes.thinking_closed[i, j]
            rows[-1].append(
                {
                    "sample": j,
                    "outcomes": "".join(signs[outcomes.outcome[i, j]]),
                    "full": str(signs[outcomes.full[i, j]]),
                    "length": int(outcomes.length[i, j]),
                    "thinking": int(outcomes.thinking_length[i, j]),
                    # The block is taken to start with the response, as it does up to its delimiter.
                    "ended": int(outcomes.thinking_length[i, j]) if closed else None,
                    "finished": bool(outcomes.finished[i, j]),
                    "looped": bool(outcomes.looped[i, j]),
                    "first": _number(efficiency.first_correct[i, j]),
                    "settled": _number(efficiency.settled[i, j]),
                    "flips": _number(efficiency.flips[i, j]),
                    "overthought": _number(efficiency.overthought[i, j]),
                    "wasted": _number(efficiency.wasted_tokens[i, j]),
                }
            )
    return rows


def _number(value: float) -> int | None:
    return None if math.isnan(value) else int(value)


def texts(run: StoredRun, rows: ProblemRows, tokenizer: Tokenizer | None) -> dict[str, Any]:
    """The samples of one problem, by sample: texts, where each budget cuts, and every answer."""
    graded = {
        (row.sample, _budget(row.budget)): row.answer
        for row in rows.scores[["sample", "budget", "answer"]].itertuples(index=False)
    }
    said: dict[int, dict[str, dict[str, str | None]]] = {}
    for row in rows.answers[["sample", "budget", "text"]].itertuples(index=False):
        budget = _budget(row.budget)
        answer = {"text": _text(row.text), "answer": _text(graded.get((row.sample, budget)))}
        said.setdefault(int(str(row.sample)), {})["own" if budget is None else str(budget)] = answer
    missing: dict[str, str | None] = {"text": None, "answer": None}
    content = {}
    for record in rows.traces.to_dict("records"):
        trace: dict[str, Any] = {str(name): value for name, value in record.items()}
        spoken = said.get(int(trace["sample"]), {})
        own = spoken.pop("own", missing)
        # The trace's own text is there already.
        content[str(trace["sample"])] = {
            **_trace(trace, run.protocol, tokenizer),
            "own": {"answer": own["answer"]},
            "answers": spoken,
        }
    return content


def _trace(row: Mapping[str, Any], protocol: Protocol, tokenizer: Tokenizer | None) -> dict[str, Any]:
    ids = [int(i) for i in row["token_ids"]]
    block = Block(_budget(row["thinking_start"]), _budget(row["thinking_end"]), 0)
    cuts = [cut_position(ids, block, budget, protocol.budget_counts) for budget in protocol.budgets]
    ends = [len(ids) if cut is None else cut for cut in cuts]
    closed = len(ids) if block.end is None else block.end
    found = places(row["text"], ids, [*ends, closed], tokenizer)
    return {
        "text": row["text"],
        "cuts": list(found.at[:-1]),
        "exact": found.exact,
        "thinkingEnd": None if block.end is None else found.at[-1],
    }


def _budget(value: Any) -> int | None:
    """A nullable column's cell: None for pandas' NA and NaN."""
    import pandas as pd

    return None if pd.isna(value) else int(value)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
