"""What a run would cost, counted before anything is generated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reghar.plan import Plan

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class TaskCost:
    """Upper bounds for one task."""

    problems: int
    samples: int
    """A problem."""
    traces: int
    probes: int
    """At most: budgets that a finished trace never reached need none."""
    trace_tokens: int
    """Most response tokens."""
    answer_tokens: int
    """Most tokens of forced answers."""
    probe_prompt_tokens: int
    """Most prompt tokens of probes, those found in the cache included."""


def task_costs(plan: Plan) -> dict[str, TaskCost]:
    """Upper bounds by task."""
    protocol = plan.protocol
    probe_tokens = len(
        plan.model.tokenizer.encode_text(plan.probe.render(plan.delimiters, thinking_open=True))
    )
    budgets = [min(budget, protocol.sampling.max_tokens) for budget in protocol.budgets]
    costs = {}
    for name, problems in plan.problems.items():
        samples = protocol.tasks[name].samples
        plain = len(problems) * samples
        prompt_tokens = sum(len(plan.prompt.encode(problem.question)) for problem in problems) * samples
        cuts = [*budgets, *(budget for setting in plan.control for budget in setting.budgets)]
        probes = plain * len(cuts)
        costs[name] = TaskCost(
            problems=len(problems),
            samples=samples,
            traces=plan.traces_of(name),
            probes=probes,
            trace_tokens=plan.traces_of(name) * protocol.sampling.max_tokens,
            answer_tokens=probes * protocol.probe.max_answer_tokens,
            probe_prompt_tokens=prompt_tokens * len(cuts) + plain * (sum(cuts) + probe_tokens * len(cuts)),
        )
    return costs


def dry_run_table(plan: Plan) -> Table:
    """The bounds as a table."""
    from rich.table import Table

    table = Table(title=f"{plan.settings.model}: at most, protocol {plan.protocol.digest[:8]}")
    table.add_column("task")
    columns = (
        "problems",
        "samples",
        "requests",
        "trace tokens",
        "answer tokens",
        "probe prompt tokens, cached included",
    )
    for column in columns:
        table.add_column(column, justify="right")
    costs = task_costs(plan)
    for name, cost in costs.items():
        row = (
            cost.problems,
            cost.samples,
            cost.traces + cost.probes,
            cost.trace_tokens,
            cost.answer_tokens,
            cost.probe_prompt_tokens,
        )
        table.add_row(name, *(f"{value:,}" for value in row))
    table.add_section()
    table.add_row(
        "all",
        f"{sum(c.problems for c in costs.values()):,}",
        "",
        f"{sum(c.traces + c.probes for c in costs.values()):,}",
        f"{sum(c.trace_tokens for c in costs.values()):,}",
        f"{sum(c.answer_tokens for c in costs.values()):,}",
        f"{sum(c.probe_prompt_tokens for c in costs.values()):,}",
    )
    return table
