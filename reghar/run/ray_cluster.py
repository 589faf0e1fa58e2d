"""A cluster of Ray's: joined or started, with room for all replicas of a run or for none."""

from __future__ import annotations

import os
import re
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reghar.engines.base import CAPTURED
from reghar.errors import EngineError
from reghar.prompting.adapters import Adapter
from reghar.prompting.scripted import SCRIPTED_MODEL
from reghar.run.replica_worker import ReplicaWorker, gpus_of

if TYPE_CHECKING:
    from reghar.run.plan import Plan

PLACEMENT_SECONDS = 900.0
"""Longest wait for a cluster to find room for all replicas; it may have to start nodes first."""

CLUSTER_CONNECT_SECONDS = 10.0


class NoRoomError(EngineError):
    """The cluster is too small."""


class RayCluster:
    """Where the replicas of a run stand."""

    def __init__(self, plan: Plan, adapters: Sequence[Adapter] = ()) -> None:
        """Nothing starts yet; `adapters`: those that jobs may name."""
        self._plan = plan
        self._adapters = tuple(adapters)
        self._group: Any = None
        self._is_joined = False

    def join(self) -> None:
        """Finds the cluster, or starts one on this machine. Raises `EngineError`."""
        import ray

        address = self._plan.settings.address
        if address is not None:
            _require_answer(address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # Ray refuses a number of CPUs for a cluster that is there already.
        local = (
            {"num_cpus": max(os.cpu_count() or 1, self._plan.settings.replicas)} if address is None else {}
        )
        try:
            ray.init(
                # "local": never a cluster that happens to be named in the environment.
                address=address or "local",
                include_dashboard=False if address is None else None,
                log_to_driver=False,
                logging_level="ERROR",
                **local,
            )
        except Exception as error:
            # Where its processes do not come up, Ray raises just that.
            raise EngineError(
                f"no Ray cluster at {address or 'this machine'}: {last_line(error)}; start one with "
                "`ray start --head`, or correct --address"
            ) from error
        self._is_joined = True

    def place(self) -> None:
        """Room for all replicas, or none: no run starts on half of what was asked for.

        Raises `NoRoomError`.
        """
        import ray

        bundle = self.bundle
        count = self._plan.settings.replicas
        there = ray.cluster_resources()
        wanted = {name: amount * count for name, amount in bundle.items()}
        missing = [name for name, amount in wanted.items() if there.get(name, 0) < amount]
        patience = PLACEMENT_SECONDS if self._plan.settings.address else 0.0
        self._group = ray.util.placement_group(
            [bundle] * count, strategy="SPREAD" if "GPU" not in bundle else "PACK"
        )
        if (missing and not patience) or not self._group.wait(max(patience, 60.0)):
            raise NoRoomError(
                f"{count} replicas of {_text(bundle)} need {_text(wanted)}; Ray has "
                f"{_text({name: there.get(name, 0) for name in bundle})}; lower --replicas"
            )

    def actor(self, number: int) -> Any:
        """A new process of Ray's in the bundle of that number: a handle of `ReplicaWorker`."""
        import ray

        bundle, settings = self.bundle, self._plan.settings
        options = {
            "num_cpus": bundle["CPU"],
            "num_gpus": bundle.get("GPU", 0),
            # A job more than the driver ever sends, so that a question is never queued behind jobs.
            "max_concurrency": 2 * (settings.concurrency or CAPTURED[-1]) * settings.replicas + 8,
            "scheduling_strategy": ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
                self._group, placement_group_bundle_index=number
            ),
        }
        plan = replace(self._plan, tasks={}, problems={})
        return ray.remote(**options)(ReplicaWorker).remote(plan, self._adapters)

    @property
    def bundle(self) -> dict[str, float]:
        """What one replica occupies: its GPUs, or a CPU where the cluster has no GPU."""
        import ray

        gpus = gpus_of(self._plan.settings.engine_arguments)
        has_gpus = ray.cluster_resources().get("GPU", 0) > 0 and self._plan.settings.model != SCRIPTED_MODEL
        return {"CPU": 1.0, "GPU": float(gpus)} if has_gpus else {"CPU": 1.0}

    @staticmethod
    def end(actor: Any) -> None:
        """Ends a process of Ray's at once, with what it was doing."""
        import ray

        ray.kill(actor)

    def leave(self) -> None:
        """Gives the room back, and ends the cluster where `join` started it; may be called twice."""
        if not self._is_joined:
            return
        import ray

        self._is_joined = False
        if self._group is not None:
            ray.util.remove_placement_group(self._group)
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Ray itself tries for minutes to reach a cluster that is not there."""
    match = re.fullmatch(r"\[?([^\[\]/]+)\]?:(\d+)", address)
    if match is None:
        return  # `auto`, or an address that is not a cluster's own
    try:
        socket.create_connection((match[1], int(match[2])), timeout=CLUSTER_CONNECT_SECONDS).close()
    except OSError as error:
        raise EngineError(
            f"no Ray cluster at {address}: {error}; start one with `ray start --head`, or correct --address"
        ) from error


def places_of(hosts: list[str]) -> list[tuple[int, int]]:
    """(which, of how many) each replica is on its machine."""
    total, seen = Counter(hosts), Counter[str]()
    places = []
    for host in hosts:
        places.append((seen[host], total[host]))
        seen[host] += 1
    return places


def _text(resources: dict[str, float]) -> str:
    return " and ".join(f"{amount:g} {name}" for name, amount in resources.items())


def last_line(error: BaseException) -> str:
    """The message of an error of Ray's."""
    # Ray shows the whole traceback of the other process; the cause's own message is its last line.
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
