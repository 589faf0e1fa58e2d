"""What a run asks: its tasks, their problems, and what they are in the protocol."""

from __future__ import annotations

from collections.abc import Mapping

from reghar.protocol import TaskProtocol
from reghar.run.settings import RunSettings
from reghar.tasks import Problem, Task, load_problems, load_task, problems_digest


def tasks_of(settings: RunSettings) -> dict[str, Task]:
    """By name, in the order of the flag. Raises `InputError` for an unknown name."""
    tasks = [load_task(name, settings.include_paths) for name in settings.tasks]
    return {task.name: task for task in tasks}


def problems_of(settings: RunSettings, tasks: Mapping[str, Task]) -> dict[str, list[Problem]]:
    """Those asked of each task."""
    return {name: load_problems(task, settings.data_dir, settings.limit) for name, task in tasks.items()}


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
    return TaskProtocol(
        version=task.version,
        kind=task.answer.kind,
        tolerance=DEFAULT_TOLERANCE if task.answer.tolerance is None else task.answer.tolerance,
        fallback=task.answer.fallback,
        problem_ids=tuple(problem.id for problem in problems),
        problems_sha256=problems_digest(problems),
        of_problems=len(whole),
        samples=samples,
    )
