"""Which frontier a run is measured against, and what keeps a task from it (definitions: REG; Frontiers).

It needs no results: a run asks before its engine loads, so that a bad `--frontier` costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from reghar.errors import InputError
from reghar.frontiers.frontier import Frontier, TaskFrontier, load_frontier, match_frontier
from reghar.protocol import Protocol, TaskProtocol, differences

Chosen = Literal["auto", "named"]


class FrontierRecord(BaseModel):
    """The frontier that the run is measured against."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    base_model: str
    source: str
    chosen: Literal["auto", "named"]
    """`auto`: picked by the model's name; `named`: asked for by name or path."""
    protocol: str
    """`unverified` where its authors did not publish all settings, else its digest."""
    unknown: tuple[str, ...]
    """Settings that are not known to be equal to the run's."""
    sha256: str | None = None
    """Of its points; null in reports written before it was there."""


def frontier_identity(frontier: FrontierRecord | None) -> str:
    """Equal for equal points: two frontiers of one base model have one name."""
    if frontier is None:
        return "none"
    return f"{frontier.name} (points {(frontier.sha256 or 'unknown')[:8]})"


@dataclass(frozen=True, kw_only=True)
class FrontierChoice:
    """The frontier that a run is measured against, task by task."""

    record: FrontierRecord | None = None
    """None without a frontier."""
    tasks: Mapping[str, TaskFrontier] = field(default_factory=dict)
    """Only tasks that can be compared."""
    notes: tuple[str, ...] = ()
    """What a reader has to know about the choice."""
    task_notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Why a task has no frontier."""


def choose_frontier(spec: str, *, model: str, protocol: Protocol) -> FrontierChoice:
    """The frontier that `spec` names for a model under a protocol.

    `spec` is `none`, `auto` (by the model's name), a frontier's name or a path. What cannot be
    compared is dropped with a note for `auto` and raises InputError for a named frontier; a budget
    outside the frontier's is refused for both.
    """
    if spec == "none" or (spec == "auto" and not protocol.cuts_responses):
        return FrontierChoice()
    if spec == "auto":
        found = match_frontier(model)
        if found is None:
            note = f"no frontier is known for {model}: name one with --frontier to get REG"
            return FrontierChoice(notes=(note,))
        return _compared(found, "auto", protocol)
    return _compared(load_frontier(spec), "named", protocol)


def _compared(frontier: Frontier, chosen: Chosen, protocol: Protocol) -> FrontierChoice:
    tasks: dict[str, TaskFrontier] = {}
    task_notes: dict[str, tuple[str, ...]] = {}
    for task, settings in protocol.tasks.items():
        obstacle = _obstacle(frontier, task, settings, protocol)
        if obstacle is None:
            _refuse_outside(frontier, task, protocol.budgets)
            tasks[task] = frontier.task(task)
        elif chosen == "named":
            raise InputError(
                f"{task}: {obstacle}, so there is no REG; use --frontier none or auto, or another one"
            )
        else:
            task_notes[task] = (f"no REG: {obstacle}",)
    notes = [f"the frontier {frontier.name} was picked by the model's name"] if chosen == "auto" else []
    if frontier.protocol == "unverified":
        notes += _departures(protocol)
    return FrontierChoice(
        record=_record(frontier, chosen) if tasks else None,
        tasks=tasks,
        notes=tuple(notes),
        task_notes=task_notes,
    )


def _obstacle(frontier: Frontier, task: str, settings: TaskProtocol, protocol: Protocol) -> str | None:
    """Why the area between curve and frontier would not be this task's REG; None where it is."""
    if task not in frontier.tasks:
        return f"the frontier {frontier.name} has no task {task}, only {', '.join(frontier.tasks)}"
    if not protocol.cuts_responses:
        return "a chat server's replies cannot be cut at budgets"
    if len(protocol.budgets) < 2:
        return "one budget spans no area"
    counts = "response" if frontier.protocol == "unverified" else frontier.protocol.settings.budget_counts
    if protocol.budget_counts != counts:
        return f"the run's budgets count {protocol.budget_counts} tokens, the frontier's {counts} tokens"
    points = frontier.tasks[task]
    if len(settings.problem_ids) != points.problems:
        part = f"{len(settings.problem_ids)} of the {points.problems} problems"
        return f"the run has {part} that the frontier {frontier.name} is made of"
    if unequal := _unequal_settings(frontier, task, protocol):
        return f"the frontier {frontier.name} was built under another protocol: {'; '.join(unequal)}"
    return None


def _refuse_outside(frontier: Frontier, task: str, budgets: Sequence[int]) -> None:
    """Nothing is extrapolated, whoever chose the frontier (definitions: REG)."""
    known = frontier.tasks[task].budgets
    if budgets[0] < known[0] or budgets[-1] > known[-1]:
        raise InputError(
            f"budgets {budgets[0]} to {budgets[-1]} leave those of the frontier {frontier.name} of {task}, "
            f"{known[0]} to {known[-1]}: choose budgets within, or --frontier none"
        )


def _unequal_settings(frontier: Frontier, task: str, protocol: Protocol) -> list[str]:
    """Settings on which a built frontier and the run differ, those aside that REG allows to differ.

    The frontier is interpolated at other budgets; the number of samples moves the noise, not the mean.
    """
    if frontier.protocol == "unverified":
        return []

    def measured(one: Protocol) -> dict[str, Any]:
        settings = one.as_dict()
        shared = {key: value for key, value in settings.items() if key not in ("tasks", "budgets")}
        own = settings["tasks"].get(task, {})
        return {**shared, task: {key: value for key, value in own.items() if key != "samples"}}

    return differences(measured(frontier.protocol.settings), measured(protocol))


PUBLISHED: Mapping[str, str | float] = {
    "probe.name": "reo-rl",
    "sampling.temperature": 0.6,
    "sampling.top_p": 0.95,
}
"""What the paper does say about its frontiers (REG section 4.1, appendices E and F)."""

UNPUBLISHED = ("how the probes are sampled", "the grader and its rules", "the prompt")
"""What its authors did not publish (definitions: Frontiers)."""


def _departures(protocol: Protocol) -> list[str]:
    """A note for every published setting that the run departs from."""
    own = {
        "probe.name": protocol.probe.name,
        "sampling.temperature": protocol.sampling.temperature,
        "sampling.top_p": protocol.sampling.top_p,
    }
    return [
        f"{name} is {own[name]}, the frontier's {published}: part of the gap may come from that"
        for name, published in PUBLISHED.items()
        if own[name] != published
    ]


def _record(frontier: Frontier, chosen: Chosen) -> FrontierRecord:
    source = frontier.source
    digest = None if frontier.protocol == "unverified" else frontier.protocol.digest
    return FrontierRecord(
        name=frontier.name,
        base_model=frontier.base_model,
        source=f"{source.citation}, {source.address}, {source.date}",
        chosen=chosen,
        protocol=digest or "unverified",
        unknown=() if digest else UNPUBLISHED,
        sha256=frontier.sha256,
    )
