"""Which frontier a run is measured against, and what keeps a task from being compared with it (SPEC 3, 4).

It needs no results: a run asks before its engine loads, so that a bad `--frontier` costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from reghar.errors import InputError
from reghar.frontiers import Frontier, TaskFrontier, load_frontier, match_frontier
from reghar.report.schema import FrontierRecord

Chosen = Literal["auto", "named"]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The frontier of a run, task by task."""

    record: FrontierRecord | None = None
    """None without a frontier."""
    tasks: Mapping[str, TaskFrontier] = field(default_factory=dict)
    """Only tasks that can be compared."""
    notes: tuple[str, ...] = ()
    """What a reader has to know about the choice."""
    task_notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Why a task has no frontier."""


def choose_reference(spec: str, *, model: str, protocol: Mapping[str, Any]) -> Reference:
    """The frontier that `spec` names for a model under a protocol (as a dictionary).

    `spec` is `none`, `auto` (by the model's name), a frontier's name or a path. What cannot be
    compared is dropped with a note for `auto` and raises InputError for a named frontier; a budget
    outside the frontier's is refused for both.
    """
    if spec == "none":
        return Reference()
    if spec == "auto":
        found = match_frontier(model)
        if found is None:
            note = f"no frontier is known for {model}: name one with --frontier to get REG"
            return Reference(notes=(note,))
        return _compared(found, "auto", protocol)
    return _compared(load_frontier(spec), "named", protocol)


def _compared(frontier: Frontier, chosen: Chosen, protocol: Mapping[str, Any]) -> Reference:
    tasks: dict[str, TaskFrontier] = {}
    task_notes: dict[str, tuple[str, ...]] = {}
    for task, settings in protocol["tasks"].items():
        obstacle = _obstacle(frontier, task, settings, protocol)
        if obstacle is None:
            tasks[task] = frontier.task(task)
        elif chosen == "named":
            raise InputError(f"{obstacle}; use --frontier none, or another frontier")
        else:
            task_notes[task] = (f"no REG: {obstacle}",)
    notes = [f"the frontier {frontier.name} was picked by the model's name"] if chosen == "auto" else []
    return Reference(
        record=_record(frontier, chosen, protocol) if tasks else None,
        tasks=tasks,
        notes=tuple(notes),
        task_notes=task_notes,
    )


def _obstacle(
    frontier: Frontier, task: str, settings: Mapping[str, Any], protocol: Mapping[str, Any]
) -> str | None:
    """Why REG of this task would not be REG; None where it is."""
    if task not in frontier.tasks:
        return f"frontier {frontier.name} has no task {task}, only {', '.join(frontier.tasks)}"
    whole = frontier.task(task).problems or settings["of_problems"]
    asked = len(settings["problem_ids"])
    if asked != whole:
        return (
            f"the run has {asked} of the {whole} problems that the frontier {frontier.name} of {task} "
            "is made of: the area between them is not REG"
        )
    if protocol["budget_counts"] != "response":
        counted = protocol["budget_counts"]
        return f"the run's budgets count {counted} tokens, those of the frontier response tokens"
    return None
