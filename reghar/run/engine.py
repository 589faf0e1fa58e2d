"""What does a run's jobs: one engine in this process, or many elsewhere, behind one interface."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reghar.engines.base import Engine, EngineInfo
from reghar.engines.chat import ChatEngine
from reghar.engines.price import CostCap, Prices
from reghar.engines.scripted import ScriptedEngine
from reghar.engines.supervised import SupervisedEngine
from reghar.generation.chat import ChatSchedule
from reghar.generation.concurrency import UNKNOWN, traces_in_flight
from reghar.generation.jobs import Activity, Job, JobResult
from reghar.generation.load import Load
from reghar.generation.schedule import Schedule
from reghar.prompting.adapters import Adapter
from reghar.run.adapters import engine_arguments
from reghar.run.plan import Plan
from reghar.run.settings import RunSettings

Activities = dict[str, Activity]
"""By task."""


@dataclass(kw_only=True, eq=False)
class Member:
    """How one of several engines fares."""

    name: str
    """`replica 3 on 10.0.0.7`."""
    alive: bool = True
    in_flight: int = 0
    """Jobs."""
    jobs: int = 0
    """JobResult."""
    tokens: int = 0
    """Generated."""


class JobEngine(Protocol):
    """Does whole jobs, several at a time. All methods but `start` belong to one event loop."""

    @property
    def info(self) -> EngineInfo:
        """Name, version and arguments of what runs; known once started."""

    @property
    def slots(self) -> int:
        """How many jobs it can do at a time just now; at least 1."""

    @property
    def members(self) -> Sequence[Member]:
        """The engines behind it, for display; none where there is just one."""

    @property
    def failures(self) -> Sequence[str]:
        """Why an engine was started again, one line each time."""

    @property
    def spent(self) -> float | None:
        """What the run has cost so far, in the currency of its prices; None where nothing is paid for."""

    def start(self) -> None:
        """Loads the model, before any event loop runs. Raises `EngineError` with one line."""

    async def do(self, job: Job) -> JobResult:
        """One job: the trace, unless it is stored, and its answers. Raises `EngineError`."""

    async def close(self) -> None:
        """Ends all engines and their processes; may be called twice."""


class LocalEngine:
    """One engine that this process talks to itself, and the schedule over it."""

    def __init__(
        self,
        plan: Plan,
        log: Path | None,
        activities: Activities,
        *,
        adapters: Sequence[Adapter] = (),
        spent: float = 0.0,
    ) -> None:
        """`adapters`: those that jobs may name."""
        chat = plan.settings.engine == "chat"
        self._engine = _chat_engine(plan, spent) if chat else _engine(plan, adapters, log)
        self._load = Load()
        self._schedule = make_schedule(plan, self._engine, activities, self._load)
        self._plan = plan

    @property
    def info(self) -> EngineInfo:
        """See `JobEngine`."""
        return self._engine.info

    @property
    def slots(self) -> int:
        """See `JobEngine`."""
        return traces_in_flight(self._plan.settings.concurrency, self.info, self._load.seen)

    @property
    def members(self) -> Sequence[Member]:
        """See `JobEngine`."""
        return ()

    @property
    def failures(self) -> Sequence[str]:
        """See `JobEngine`."""
        return self._engine.failures if isinstance(self._engine, SupervisedEngine) else ()

    @property
    def spent(self) -> float | None:
        """See `JobEngine`."""
        return self._engine.spent if isinstance(self._engine, ChatEngine) else None

    def start(self) -> None:
        """See `JobEngine`."""
        self._engine.start()

    async def do(self, job: Job) -> JobResult:
        """See `JobEngine`."""
        return await self._schedule.do(job)

    async def close(self) -> None:
        """See `JobEngine`."""
        await self._engine.close()


def _engine(plan: Plan, adapters: Sequence[Adapter], log: Path | None) -> Engine:
    settings = plan.settings
    if settings.engine == "scripted":
        return ScriptedEngine(seconds_per_chunk=float(os.environ.get("REGHAR_SCRIPTED_PAUSE", "0")))
    if settings.engine == "openai":
        from reghar.engines.address import base_urls
        from reghar.engines.openai import OpenAIEngine

        return OpenAIEngine(
            base_urls(settings.base_url or ""),
            plan.model,
            served_name=settings.served_model_name,
            tokens=plan.protocol.tokens,
            api_key_env=settings.api_key_env,
            concurrency=settings.concurrency,
            adapters=[each.name for each in adapters],
            timeout=settings.request_timeout,
            patience=settings.patience,
        )
    from reghar.engines.vllm import VllmEngine

    folders = {each.name: each.path for each in adapters if each.path is not None}

    def build() -> VllmEngine:
        return VllmEngine(
            plan.model.path,
            revision=plan.model.revision,
            max_model_len=plan.context_needed,
            # Probes must not queue behind traces: the blocks they need could be evicted meanwhile.
            max_num_seqs=None if settings.concurrency is None else 2 * settings.concurrency,
            seed=settings.seed,
            arguments=engine_arguments(adapters) | settings.engine_arguments,
            adapters=folders,
            log=log,
        )

    return SupervisedEngine(build, patience=settings.patience)


def _chat_engine(plan: Plan, spent: float) -> ChatEngine:
    """The client of chat servers that a plan asks for; `spent`: what the run has cost so far."""
    from reghar.engines.address import base_urls

    settings = plan.settings
    return ChatEngine(
        base_urls(settings.base_url or ""),
        settings.model,
        api_key_env=settings.api_key_env,
        connections=UNKNOWN if settings.concurrency is None else settings.concurrency,
        timeout=settings.request_timeout,
        patience=settings.patience,
        cap=CostCap(settings.max_cost, prices(settings), spent),
    )


def prices(settings: RunSettings) -> Prices:
    """What tokens cost; nothing where nobody said."""
    return Prices(prompt=settings.price_in or 0.0, completion=settings.price_out or 0.0)


def make_schedule(
    plan: Plan, engine: Engine | ChatEngine, activities: Activities, load: Load
) -> Schedule | ChatSchedule:
    """The schedule that a plan asks for; `load` follows what it has in flight."""
    if isinstance(engine, ChatEngine):
        return ChatSchedule(
            engine=engine,
            system=plan.settings.system_prompt,
            sampling=plan.protocol.sampling,
            fields=plan.settings.body,
            run_seed=plan.settings.seed,
            activities=activities,
            control=plan.control,
        )
    return Schedule(
        engine=engine,
        model=plan.model,
        prompt=plan.prompt,
        delimiters=plan.delimiters,
        sampling=plan.protocol.sampling,
        budget_counts=plan.protocol.budget_counts,
        release=plan.settings.probe_release,
        load=load,
        unclosed=plan.protocol.unclosed,
        probe=plan.probe,
        probe_temperature=plan.protocol.probe.temperature,
        run_seed=plan.settings.seed,
        activities=activities,
        control=plan.control,
    )
