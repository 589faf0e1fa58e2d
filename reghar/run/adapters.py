"""Fine-tunes of one base model as LoRA adapters: one engine load, a run for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from reghar.prompting.adapters import RANKS, Adapter
from reghar.run.plan import Plan


def with_adapters(plan: Plan, adapters: list[Adapter | None]) -> list[Plan]:
    """The plan of each adapter's run: the same protocol, so that they can be compared."""
    entries = plan.settings.adapters
    return [
        replace(
            plan,
            settings=replace(plan.settings, adapters=() if adapter is None else (entry,)),
            adapter=adapter,
            notes=(*plan.notes, *_notes(plan, adapter)),
        )
        for entry, adapter in zip(entries, adapters, strict=True)
    ]


def engine_arguments(adapters: Sequence[Adapter]) -> dict[str, Any]:
    """What vLLM's engine needs to load them beside each other."""
    if not adapters:
        return {}
    ranks = [adapter.rank or 1 for adapter in adapters]
    return {"enable_lora": True, "max_loras": len(adapters), "max_lora_rank": _taken_rank(max(ranks))}


def _taken_rank(rank: int) -> int:
    return next(each for each in RANKS if each >= rank)


def _notes(plan: Plan, adapter: Adapter | None) -> list[str]:
    if adapter is None or adapter.base is None:
        return []
    ours, theirs = (name.rstrip("/").rpartition("/")[2].lower() for name in (plan.model.path, adapter.base))
    if ours == theirs or plan.settings.model.lower() == adapter.base.lower():
        return []
    return [
        f"adapter {adapter.name} says it was trained from {adapter.base}, and the model is "
        f"{plan.settings.model}"
    ]
