"""The engine and the schedule that a plan asks for."""

from __future__ import annotations

import os
from pathlib import Path

from reghar.engines.base import Engine
from reghar.engines.chat import ChatEngine
from reghar.engines.price import CostCap, Prices
from reghar.engines.scripted import ScriptedEngine
from reghar.generation.chat import ChatSchedule
from reghar.generation.jobs import Activity
from reghar.generation.schedule import Schedule
from reghar.run.plan import Plan
from reghar.run.replicas import RayFleet
from reghar.run.settings import RunSettings


def make_engine(plan: Plan, log: Path | None) -> Engine | RayFleet:
    """What the settings name, not yet started; `log` gets what an engine in this process prints."""
    settings = plan.settings
    if settings.engine == "scripted":
        return ScriptedEngine(seconds_per_chunk=float(os.environ.get("REGHAR_SCRIPTED_PAUSE", "0")))
    if settings.engine == "openai":
        from reghar.engines.openai import OpenAIEngine
        from reghar.engines.preflight import base_urls

        return OpenAIEngine(
            base_urls(settings.base_url or ""),
            plan.model,
            tokens=plan.protocol.tokens,
            api_key_env=settings.api_key_env,
            connections=2 * settings.concurrency,
            timeout=settings.request_timeout,
            patience=settings.patience,
        )
    if settings.engine == "ray":
        return RayFleet(plan)
    from reghar.engines.vllm import VllmEngine

    return VllmEngine(
        plan.model.path,
        revision=plan.model.revision if plan.settings.revision else None,
        max_model_len=plan.context_needed,
        # Probes must not queue behind traces: the blocks they need could be evicted meanwhile.
        max_num_seqs=2 * settings.concurrency,
        seed=settings.seed,
        arguments=settings.engine_arguments,
        log=log,
    )


def make_chat_engine(plan: Plan, spent: float) -> ChatEngine:
    """The client of chat servers that a plan asks for; `spent`: what the run has cost so far."""
    from reghar.engines.preflight import base_urls

    settings = plan.settings
    return ChatEngine(
        base_urls(settings.base_url or ""),
        settings.model,
        api_key_env=settings.api_key_env,
        connections=settings.concurrency,
        timeout=settings.request_timeout,
        patience=settings.patience,
        cap=CostCap(settings.max_cost, prices(settings), spent),
    )


def prices(settings: RunSettings) -> Prices:
    """What tokens cost; nothing where nobody said."""
    return Prices(prompt=settings.price_in or 0.0, completion=settings.price_out or 0.0)


def make_schedule(
    plan: Plan, engine: Engine | ChatEngine, activities: dict[str, Activity]
) -> Schedule | ChatSchedule:
    """The schedule that a plan asks for."""
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
        probe=plan.probe,
        probe_temperature=plan.protocol.probe.temperature,
        run_seed=plan.settings.seed,
        activities=activities,
        control=plan.control,
    )
