"""A run as inspect_ai's logs, so that `inspect view` shows it: one log per task, one sample per trace.

A trace is the sample of its problem in epoch `sample + 1`. Its own answer is the score `full`: C correct, I
incorrect, N no answer, NaN (inspect's "unscored") where the grader failed. `by_budget` holds 1 or 0 for the
answer at every budget.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reghar import __version__
from reghar.errors import InputError, StorageError
from reghar.grading.outcome import OUTCOMES, Outcome
from reghar.report.build import build_report
from reghar.report.schema import TaskReport
from reghar.store import StoredRun
from reghar.store.problems import read_problems
from reghar.tasks import Problem

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample
    from inspect_ai.scorer import Score

FULL, BY_BUDGET, SCORER = "full", "by_budget", "reghar"
SUFFIXES = (".eval", ".json")
"""What `inspect view` reads: its own archive, or JSON."""
_NO_ANSWER = frozenset({Outcome.NO_ANSWER, Outcome.UNTERMINATED, Outcome.TRUNCATED, Outcome.REFUSED})
_UNSCORED = frozenset({Outcome.GRADER_TIMEOUT, Outcome.GRADER_ERROR})


def write_logs(run: StoredRun, file: Path) -> list[Path]:
    """Writes `file`, or `<stem>-<task>` for each of several tasks; returns the files.

    Raises InputError without inspect_ai, for an incomplete run, another ending than `SUFFIXES` and a file
    that is there; StorageError where it cannot be written.
    """
    if find_spec("inspect_ai") is None:
        raise InputError(
            "--inspect: the package inspect_ai is not installed; install it with: pip install "
            "'reghar[inspect]'"
        )
    if file.suffix not in SUFFIXES:
        raise InputError(f"--inspect {file}: give a file that ends in {' or '.join(SUFFIXES)}")
    run.require_complete()
    several = len(run.tasks) > 1
    files = {task: file.with_stem(f"{file.stem}-{task}") if several else file for task in run.tasks}
    if there := [str(path) for path in files.values() if path.exists()]:
        raise InputError(f"--inspect: {there[0]} is there already; give another name")
    from inspect_ai.log import write_eval_log

    report = build_report(run, frontier=run.manifest.frontier, interval=run.manifest.interval)
    for task, path in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_eval_log(_log(run, report.tasks[task], task), str(path))
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
    return list(files.values())


def _log(run: StoredRun, report: TaskReport, task: str) -> EvalLog:
    from inspect_ai import log
    from inspect_ai.model import GenerateConfig

    manifest, protocol = run.manifest, run.protocol
    planned, sampling = protocol.tasks[task], protocol.sampling
    begun, ended = manifest.start or "", manifest.end or ""
    samples = list(_samples(run, task))
    return log.EvalLog(
        status="success",
        eval=log.EvalSpec(
            created=begun or ended,
            task=f"reghar/{task}",
            task_id=f"{task}-{run.digest[:12]}",
            run_id=f"{run.digest[:12]}-{manifest.seed}",
            task_version=planned.version,
            dataset=log.EvalDataset(
                name=task, samples=len(planned.problem_ids), sample_ids=list(planned.problem_ids)
            ),
            model=run.model,
            model_generate_config=GenerateConfig(
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                max_tokens=sampling.max_tokens,
                seed=manifest.seed,
            ),
            config=log.EvalConfig(epochs=planned.samples),
            packages={"reghar": __version__},
            metadata={
                "digest": run.digest,
                "budgets": list(protocol.budgets),
                "probe": protocol.probe.name,
                "interval": manifest.interval,
            },
        ),
        stats=log.EvalStats(started_at=begun, completed_at=ended),
        results=_results(report, len(samples)),
        samples=samples,
    )


def _results(report: TaskReport, samples: int) -> Any:
    """Every measure under `full`, with the ends of its interval; the curve under `by_budget`."""
    from inspect_ai.log import EvalMetric, EvalResults, EvalScore

    measures = {
        one.name: EvalMetric(
            name=one.name, value=one.value, metadata={"low": one.low, "high": one.high, "unit": one.unit}
        )
        for one in report.measures
        if one.value is not None
    }
    # What the viewer shows first is called as everywhere in inspect.
    accuracy = measures.pop("accuracy_full")
    first = {"accuracy": accuracy.model_copy(update={"name": "accuracy"})}
    curve = {
        str(budget): EvalMetric(name=str(budget), value=value)
        for budget, value in zip(report.curve.budgets, report.curve.accuracy, strict=True)
    }
    return EvalResults(
        total_samples=samples,
        completed_samples=samples,
        scores=[
            EvalScore(name=FULL, scorer=SCORER, metrics={**first, **measures}),
            EvalScore(name=BY_BUDGET, scorer=SCORER, metrics=curve),
        ],
    )


def _samples(run: StoredRun, task: str) -> Iterator[EvalSample]:
    problems = {problem.id: problem for problem in read_problems(run.path) if problem.task == task}
    outcomes = run.outcomes(task)
    own = run.scores[(run.scores["task"] == task) & run.scores["budget"].isna()]
    answers = {(row.problem, row.sample): row.answer for row in own.itertuples(index=False)}
    place = {problem: i for i, problem in enumerate(outcomes.problems)}
    for trace in run.traces[run.traces["task"] == task].itertuples(index=False):
        at = (place[str(trace.problem)], int(str(trace.sample)))
        right = outcomes.outcome[at] == OUTCOMES.index(Outcome.CORRECT)
        by_budget = {str(b): int(one) for b, one in zip(outcomes.budgets, right, strict=True)}
        answer = answers[trace.problem, trace.sample]
        full = _full(OUTCOMES[outcomes.full[at]], answer if isinstance(answer, str) else None)
        yield _sample(run, problems[str(trace.problem)], trace, full, by_budget)


def _full(outcome: Outcome, answer: str | None) -> Score:
    from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, Score

    value: str | float = CORRECT if outcome == Outcome.CORRECT else INCORRECT
    if outcome in _NO_ANSWER:
        value = NOANSWER
    elif outcome in _UNSCORED:
        value = float("nan")
    return Score(value=value, answer=answer, explanation=str(outcome))


def _sample(
    run: StoredRun, problem: Problem, trace: Any, full: Score, by_budget: dict[str, int]
) -> EvalSample:
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ChatMessageUser, ModelOutput, ModelUsage
    from inspect_ai.scorer import Score

    output = ModelOutput.from_content(
        run.model, trace.text, stop_reason="stop" if trace.finished else "max_tokens"
    )
    length = int(trace.length)
    output.usage = ModelUsage(
        input_tokens=int(trace.prompt_tokens),
        output_tokens=length,
        total_tokens=int(trace.prompt_tokens) + length,
        reasoning_tokens=int(trace.thinking_length),
    )
    gold = list(problem.gold)
    return EvalSample(
        id=problem.id,
        epoch=int(trace.sample) + 1,
        input=problem.question,
        choices=list(problem.choices) or None,
        target=gold[0] if len(gold) == 1 else gold,
        messages=[ChatMessageUser(content=problem.question), output.choices[0].message],
        output=output,
        model_usage={run.model: output.usage},
        scores={FULL: full, BY_BUDGET: Score(value=dict(by_budget))},
        metadata={"seed": int(trace.seed), "looped": bool(trace.looped)},
    )
