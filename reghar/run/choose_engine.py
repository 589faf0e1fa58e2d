"""Which engine a run's settings name: the only place that knows all kinds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reghar.prompting.adapters import Adapter
from reghar.run.engine import Activities, JobEngine, LocalEngine
from reghar.run.plan import Plan
from reghar.run.replicas import RayFleet


def make_engine(
    plan: Plan,
    log: Path | None,
    activities: Activities,
    *,
    adapters: Sequence[Adapter] = (),
    spent: float = 0.0,
) -> JobEngine:
    """What the settings name, not yet started.

    `log` gets what an engine in this process prints; `activities` count what is done; `adapters` are
    those that its jobs may name; `spent` is what the run has cost before.
    """
    if plan.settings.engine == "ray":
        return RayFleet(plan, activities, adapters)
    return LocalEngine(plan, log, activities, adapters=adapters, spent=spent)
