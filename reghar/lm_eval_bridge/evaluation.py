"""A stored run through lm-eval's own evaluator and into its own result and sample files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lm_eval import simple_evaluate
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager

from reghar.errors import InputError, StorageError
from reghar.lm_eval_bridge.model import RegharLM
from reghar.lm_eval_bridge.task import ERROR, CurveTask
from reghar.store import StoredRun
from reghar.store.problems import read_problems
from reghar.tasks import Problem
from reghar.tasks.task import PREFIX


def evaluate_run(run: StoredRun, tracker: EvaluationTracker | None = None) -> dict[str, Any]:
    """lm-eval's results of a run (`lm_eval.simple_evaluate`'s dict, samples included).

    The problems come from the run's folder: no data set, model or engine is needed.
    Raises `InputError` for an incomplete run.
    """
    problems = read_problems(run.path)
    tasks = [_stored_task(run, name, [p for p in problems if p.task == name]) for name in run.tasks]
    found = simple_evaluate(
        model=RegharLM(run=run.path),
        model_args={"model": run.model},
        tasks=tasks,
        task_manager=TaskManager(include_defaults=False),
        evaluation_tracker=tracker,
    )
    if found is None:
        raise InputError("lm-eval gives results on the first rank only: run this on one process")
    results: dict[str, Any] = dict(found)
    for name in run.tasks:
        results["n-samples"][PREFIX + name]["original"] = run.protocol.tasks[name].of_problems
    _drop_empty(results)
    return results


def _drop_empty(results: dict[str, Any]) -> None:
    """Takes out what the way of handing over errors leaves: the errors' own errors, and each problem's."""
    for figures in results["results"].values():
        for key in [key for key in figures if f"{ERROR}{ERROR}," in key]:
            del figures[key]
    for sample in (sample for samples in results["samples"].values() for sample in samples):
        for name in [name for name in sample["metrics"] if name.endswith(ERROR)]:
            sample["metrics"].remove(name)
            del sample[name]


def write_results(run: StoredRun, folder: Path) -> tuple[dict[str, Any], Path]:
    """Writes lm-eval's `results_*.json` and `samples_*.jsonl` below `folder`.

    Returns the results without samples, and the results file. Raises `StorageError` where it could
    not be written: lm-eval itself only logs that.
    """
    tracker = EvaluationTracker(output_path=str(folder))
    results = evaluate_run(run, tracker)
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for task in results["configs"]:
        tracker.save_results_samples(task_name=task, samples=samples[task])
    place = folder / str(tracker.general_config_tracker.model_name_sanitized)
    written = place / f"results_{tracker.date_id}.json"
    wanted = [written, *(place / f"samples_{task}_{tracker.date_id}.jsonl" for task in samples)]
    for file in wanted:
        if not file.is_file():
            raise StorageError(f"{str(file)!r} could not be written; give another --output-path")
    return results, written


def _stored_task(run: StoredRun, name: str, problems: list[Problem]) -> CurveTask:
    """The task as the run asked it, so that lm-eval's record of prompts and settings is the run's."""
    settings, sampling = run.protocol.tasks[name], run.protocol.sampling
    rows = [{"id": p.id, "question": p.question, "gold": list(p.gold)} for p in problems]

    def dataset(**_metadata: object) -> dict[str, Any]:
        import datasets

        return {"test": datasets.Dataset.from_list(rows)}

    return CurveTask(
        config={
            "task": PREFIX + name,
            "custom_dataset": dataset,
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "question",
            "doc_to_target": "gold",
            "metric_list": [],
            "generation_kwargs": {
                "until": [],
                "do_sample": sampling.temperature > 0,
                **{key: getattr(sampling, key) for key in ("temperature", "top_p", "top_k", "min_p")},
                "max_gen_toks": sampling.max_tokens,
            },
            "repeats": settings.samples,
            "num_fewshot": 0,
            "metadata": {"version": settings.version},
        }
    )
