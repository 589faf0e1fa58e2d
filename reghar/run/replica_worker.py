"""What stands in a process of Ray's: one engine, and the schedule over the jobs that come."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reghar.engines.base import EngineInfo
from reghar.generation.jobs import Activity, Job, JobResult
from reghar.prompting.adapters import Adapter
from reghar.prompting.scripted import SCRIPTED_MODEL
from reghar.run.engine import LocalEngine

if TYPE_CHECKING:
    from reghar.run.plan import Plan
    from reghar.run.settings import EngineName


class ReplicaWorker:
    """One replica's engine."""

    def __init__(self, plan: Plan, adapters: Sequence[Adapter] = ()) -> None:
        settings = plan.settings
        kind: EngineName = "scripted" if settings.model == SCRIPTED_MODEL else "vllm"
        if kind == "vllm":
            settings = replace(settings, engine_arguments=inside_ray(settings.engine_arguments))
        plan = replace(plan, settings=replace(settings, engine=kind))
        activities = {name: Activity() for name in plan.protocol.tasks}
        self._engine = LocalEngine(plan, None, activities, adapters=adapters)

    async def host(self) -> str:
        """Address of the machine."""
        import ray

        return str(ray.util.get_node_ip_address())

    async def start(self, place: int, places: int) -> EngineInfo:
        """Loads the engine; on a machine without GPUs, on every `places`-th core from `place` on."""
        cores = sorted(os.sched_getaffinity(0))
        if not os.environ.get("CUDA_VISIBLE_DEVICES") and places > 1:
            os.sched_setaffinity(0, cores[place % len(cores) :: places])
        self._engine.start()
        return self._engine.info

    async def alive(self) -> bool:
        """Answers at once, as long as the process can."""
        return True

    async def do(self, job: Job) -> JobResult:
        """See `JobEngine`."""
        return await self._engine.do(job)


def inside_ray(arguments: dict[str, Any]) -> dict[str, Any]:
    """The engine's arguments for a replica.

    Left to itself, vLLM inside a Ray actor spreads several workers by Ray, which needs a bundle for
    each GPU; a replica has one bundle with all of its GPUs, on one machine.
    """
    return {"distributed_executor_backend": "mp", **arguments} if gpus_of(arguments) > 1 else arguments


def gpus_of(arguments: dict[str, Any]) -> int:
    """GPUs that one engine with these arguments runs on."""
    gpus = 1
    for name in ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"):
        gpus *= int(arguments.get(name) or 1)
    return gpus
