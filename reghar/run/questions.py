"""What a run asks: its tasks, their problems, and what they are in the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reghar.errors import InputError
from reghar.prompting.probes import CODE_PRESET, DEFAULT_PRESET, Probe
from reghar.protocol import TaskProtocol
from reghar.run.settings import RunSettings
from reghar.tasks import Problem, Task, load_problems, load_task, problems_digest
from reghar.tasks.few_shot import Example, examples_digest, load_examples
from reghar.tasks.subset import parse_window


def tasks_of(settings: RunSettings) -> dict[str, Task]:
    """By name, in the order of the flag. Raises `InputError` for an unknown name, and for programs where
    they could not be run."""
    tasks = [load_task(name, settings.include_paths) for name in settings.tasks]
    if settings.window is not None:
        parse_window(settings.window)
        if all(task.window is None for task in tasks):
            raise InputError(f"--window is given, but {', '.join(settings.tasks)} has no dated contests")
        tasks = [task if task.window is None else replace(task, window=settings.window) for task in tasks]
    if not settings.unsafe_code and any(task.answer.is_program for task in tasks):
        from reghar.grading.sandbox import require_sandbox

        require_sandbox()
    return {task.name: task for task in tasks}


def sandbox_notes(settings: RunSettings, tasks: Mapping[str, Task]) -> list[str]:
    """What a reader has to know where programs of a model run without a sandbox."""
    from reghar.grading.sandbox import missing_sandbox

    if not settings.unsafe_code or not any(task.answer.is_program for task in tasks.values()):
        return []
    missing = missing_sandbox()
    return [] if missing is None else [f"programs that the model wrote run without a sandbox ({missing})"]


def default_probe(tasks: Mapping[str, Task]) -> str:
    """The preset where none is named."""
    code = [task.answer.is_program for task in tasks.values()]
    return CODE_PRESET if all(code) else DEFAULT_PRESET


def check_probe(probe: Probe, tasks: Mapping[str, Task]) -> None:
    """Raises `InputError` where the probe opens what a task's answers are not."""
    for name, task in tasks.items():
        asks_code = task.answer.is_program
        if asks_code and probe.opens_box:
            raise InputError(
                f"the probe {probe.name} opens a box, but {name} asks for programs: give --probe code to a "
                "run of code tasks alone, or --probe summary"
            )
        if not asks_code and probe.fence is not None:
            raise InputError(
                f"the probe {probe.name} opens a block of code, but {name} asks for no programs: leave it "
                "out, or give --probe summary"
            )


def problems_of(settings: RunSettings, tasks: Mapping[str, Task]) -> dict[str, list[Problem]]:
    """Those asked of each task."""
    return {name: load_problems(task, settings.data_dir, settings.limit) for name, task in tasks.items()}


def examples_of(settings: RunSettings, tasks: Mapping[str, Task]) -> dict[str, tuple[Example, ...]]:
    """The few-shot examples of each task. Raises `InputError` where one has too few."""
    return {name: load_examples(task, settings.few_shot) for name, task in tasks.items()}


def task_protocols(
    settings: RunSettings,
    tasks: Mapping[str, Task],
    problems: Mapping[str, list[Problem]],
    samples: Mapping[str, int],
) -> dict[str, TaskProtocol]:
    """What each task contributes to the protocol."""
    return {
        name: _task_protocol(task, problems[name], samples[name], settings) for name, task in tasks.items()
    }


def _task_protocol(task: Task, problems: list[Problem], samples: int, settings: RunSettings) -> TaskProtocol:
    from reghar.grading import DEFAULT_TOLERANCE

    whole = problems if settings.limit is None else load_problems(task, settings.data_dir)
    examples = load_examples(task, settings.few_shot)
    return TaskProtocol(
        version=task.version,
        kind=task.answer.kind,
        tolerance=DEFAULT_TOLERANCE if task.answer.tolerance is None else task.answer.tolerance,
        fallback=task.answer.fallback,
        problem_ids=tuple(problem.id for problem in problems),
        problems_sha256=problems_digest(problems),
        of_problems=len(whole),
        samples=samples,
        few_shot=len(examples),
        few_shot_sha256=examples_digest(examples) if examples else None,
        window=task.window,
    )
