"""`--until-width`: the rule by which `reghar run` adds samples, and what it says after every round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reghar.measures.sequential import accuracy_width, narrowest_width, next_samples
from reghar.store import StoredRun

if TYPE_CHECKING:
    from rich.console import Console

    from reghar.run.plan import Plan
    from reghar.run.rounds import NextRound


def until_width(plan: Plan, console: Console) -> NextRound | None:
    """The rule of a plan with `--until-width`; None for a plan without it."""
    width = plan.settings.until_width
    if width is None:
        return None

    def next_round(run: StoredRun) -> dict[str, int]:
        samples = {}
        for task, most in plan.most_samples.items():
            samples[task], line = _decide(plan, run, task, width, most)
            console.print(f"{task}: {line}", highlight=False, markup=False, soft_wrap=True)
        return samples

    return next_round


def _decide(plan: Plan, run: StoredRun, task: str, width: float, most: int) -> tuple[int, str]:
    """The samples of the task's next round, those it has where it stops; and why."""
    samples = run.protocol.tasks[task].samples
    outcomes = run.outcomes(task)
    interval = plan.settings.interval
    reached = 100 * accuracy_width(outcomes, interval)
    line = f"{samples} samples, the interval of the final accuracy is {reached:.3g} points wide"
    if reached < width:
        return samples, f"{line}: narrower than {width:g}"
    if (floor := 100 * narrowest_width(outcomes, interval)) >= width:
        return samples, (
            f"{line}; samples alone cannot make it narrower than about {floor:.3g}: give more problems, or "
            "--interval samples"
        )
    if samples >= most:
        return samples, f"{line}, not narrower than {width:g}: --samples allows no more than {most}"
    more = next_samples(samples, most)
    return more, f"{line}, not narrower than {width:g}: going on to {more}"
