"""Many replicas of an engine, placed by Ray: each does whole jobs, one driver stores what they send back.

A replica streams tokens and sends probes by itself; only finished jobs travel. So the driver's work is
a message a trace, and a replica that dies takes nothing with it but the traces it was in the middle of,
which others draw again from their seeds.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reghar.engines.base import Engine, EngineInfo
from reghar.errors import EngineError
from reghar.generation.jobs import Activity, Job, JobResult, run_jobs
from reghar.prompting.scripted import SCRIPTED_MODEL
from reghar.run.progress import Replica

if TYPE_CHECKING:
    from reghar.run.plan import Plan

PLACEMENT_SECONDS = 900.0
"""Longest wait for a cluster to find room for all replicas; it may have to start nodes first."""

CONNECT_SECONDS = 10.0


class RayFleet:
    """The replicas of a run."""

    def __init__(self, plan: Plan) -> None:
        """Nothing starts yet."""
        self._plan = plan
        self._info: EngineInfo | None = None
        self._group: Any = None
        self._is_ours = False
        self.replicas: list[Replica] = []

    @property
    def info(self) -> EngineInfo:
        """See `Engine`; known once started."""
        if self._info is None:
            raise EngineError("the replicas have not been started")
        return self._info

    def start(self) -> None:
        """Finds or starts Ray, places the replicas and loads their engines. Raises `EngineError`."""
        try:
            import ray
        except ImportError as error:
            raise EngineError(f"Ray cannot be imported: {error}; install reghar[ray]") from error
        settings = self._plan.settings
        self._join(settings.address)
        bundle = self._bundle()
        self._place(bundle)
        options = {
            "num_cpus": bundle["CPU"],
            "num_gpus": bundle.get("GPU", 0),
            # A job more than the driver ever sends, so that a question is never queued behind jobs.
            "max_concurrency": 2 * settings.concurrency * settings.replicas + 8,
        }
        remote = ray.remote(**options)(_Worker)
        plan = replace(self._plan, tasks={}, problems={})
        actors = [
            remote.options(
                scheduling_strategy=ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
                    self._group, placement_group_bundle_index=i
                )
            ).remote(plan)
            for i in range(settings.replicas)
        ]
        try:
            hosts = ray.get([actor.host.remote() for actor in actors])
            infos = ray.get(
                [actor.start.remote(*place) for actor, place in zip(actors, _places(hosts), strict=True)]
            )
        except (ray.exceptions.RayActorError, EngineError) as error:
            self._shut_down()
            raise EngineError(f"a replica cannot start: {_first_line(error)}") from error
        self.replicas = [
            Replica(name=f"replica {i} on {host}", actor=actor)
            for i, (actor, host) in enumerate(zip(actors, hosts, strict=True))
        ]
        self._info = EngineInfo(
            name="ray",
            version=f"{ray.__version__}, {infos[0].name} {infos[0].version}",
            host=", ".join(f"{count} x {host}" for host, count in Counter(i.host for i in infos).items()),
            arguments={
                "replicas": len(actors),
                "nodes": len(set(hosts)),
                "resources": bundle,
                "engine": infos[0].arguments,
            },
        )

    async def run(
        self,
        jobs: Iterable[Job],
        concurrency: int,
        finished: Callable[[JobResult], None],
        *,
        activities: dict[str, Activity],
    ) -> None:
        """As `Schedule.run`, with `concurrency` jobs on each replica; `activities` count what they did."""

        async def do(job: Job) -> JobResult:
            done = await self.do(job)
            _count(activities[job.problem.task], done)
            return done

        await run_jobs(do, self._plan.control, jobs, concurrency * len(self.replicas), finished)

    async def do(self, job: Job) -> JobResult:
        """One job on the replica that has the fewest, and on another when that one dies.

        Raises `EngineError` when none is left.
        """
        import ray

        while True:
            living = [each for each in self.replicas if each.alive]
            if not living:
                raise EngineError(
                    f"all {len(self.replicas)} replicas have died; see Ray's logs of their workers"
                )
            each = min(living, key=lambda other: other.in_flight)
            each.in_flight += 1
            try:
                done: JobResult = await each.actor.do.remote(job)
            except (ray.exceptions.RayActorError, EngineError) as error:
                self._bury(each, error)
                continue
            finally:
                each.in_flight -= 1
            each.jobs += 1
            each.tokens += _tokens(done)
            return done

    async def close(self) -> None:
        """Ends the replicas, and Ray where this run started it; may be called twice."""
        await asyncio.to_thread(self._shut_down)

    def _bury(self, each: Replica, error: Exception) -> None:
        """A replica whose engine died is ended whole: its other jobs then come back as well."""
        import ray

        if each.alive:
            each.alive = False
            ray.kill(each.actor)
            if all(not other.alive for other in self.replicas):
                raise EngineError(
                    f"all {len(self.replicas)} replicas have died, the last with: {_first_line(error)}"
                ) from error

    def _join(self, address: str | None) -> None:
        import ray

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
                f"no Ray cluster at {address or 'this machine'}: {_first_line(error)}; start one with "
                "`ray start --head`, or mend --address"
            ) from error
        self._is_ours = True

    def _bundle(self) -> dict[str, float]:
        """What one replica occupies: its GPUs, or a CPU where the cluster has no GPU."""
        import ray

        arguments = self._plan.settings.engine_arguments
        gpus = 1
        for name in ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"):
            gpus *= int(arguments.get(name) or 1)
        has_gpus = ray.cluster_resources().get("GPU", 0) > 0 and self._plan.settings.model != SCRIPTED_MODEL
        return {"CPU": 1.0, "GPU": float(gpus)} if has_gpus else {"CPU": 1.0}

    def _place(self, bundle: dict[str, float]) -> None:
        """Room for all replicas, or none: no run starts on half of what was asked for."""
        import ray

        count = self._plan.settings.replicas
        there = ray.cluster_resources()
        wanted = {name: amount * count for name, amount in bundle.items()}
        missing = [name for name, amount in wanted.items() if there.get(name, 0) < amount]
        patience = PLACEMENT_SECONDS if self._plan.settings.address else 0.0
        self._group = ray.util.placement_group(
            [bundle] * count, strategy="SPREAD" if "GPU" not in bundle else "PACK"
        )
        if (missing and not patience) or not self._group.wait(max(patience, 60.0)):
            self._shut_down()
            raise EngineError(
                f"{count} replicas of {_text(bundle)} need {_text(wanted)}; Ray has "
                f"{_text({name: there.get(name, 0) for name in bundle})}; lower --replicas"
            )

    def _shut_down(self) -> None:
        if not self._is_ours:
            return
        import ray

        self._is_ours = False
        for each in self.replicas:
            if each.alive:
                each.alive = False
                ray.kill(each.actor)
        if self._group is not None:
            ray.util.remove_placement_group(self._group)
        ray.shutdown()


class _Worker:
    """In a process of Ray's: one engine, and the schedule over the jobs that come."""

    def __init__(self, plan: Plan) -> None:
        from reghar.run.engine import make_engine, make_schedule

        settings = plan.settings
        kind = "scripted" if settings.model == SCRIPTED_MODEL else "vllm"
        plan = replace(plan, settings=replace(settings, engine=kind))
        engine = make_engine(plan, None)
        assert not isinstance(engine, RayFleet)  # noqa: S101 - of the kind above
        self._engine: Engine = engine
        self._schedule = make_schedule(plan, engine, {name: Activity() for name in plan.protocol.tasks})

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

    async def do(self, job: Job) -> JobResult:
        """See `Schedule.do`."""
        return await self._schedule.do(job)


def _require_answer(address: str) -> None:
    """Ray itself tries for minutes to reach a cluster that is not there."""
    match = re.fullmatch(r"\[?([^\[\]/]+)\]?:(\d+)", address)
    if match is None:
        return  # `auto`, or an address that is not a cluster's own
    try:
        socket.create_connection((match[1], int(match[2])), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise EngineError(
            f"no Ray cluster at {address}: {error}; start one with `ray start --head`, or mend --address"
        ) from error


def _places(hosts: list[str]) -> list[tuple[int, int]]:
    """(which, of how many) each replica is on its machine."""
    total, seen = Counter(hosts), Counter[str]()
    places = []
    for host in hosts:
        places.append((seen[host], total[host]))
        seen[host] += 1
    return places


def _tokens(done: JobResult) -> int:
    """Generated for a job."""
    trace = len(done.trace.token_ids) - done.trace.given_tokens if done.is_new else 0
    return trace + sum(len(answer.token_ids) for answer in done.answers)


def _count(activity: Activity, done: JobResult) -> None:
    forced = [answer for answer in done.answers if answer.forced]
    activity.jobs += 1
    activity.probes += len(forced)
    activity.tokens += _tokens(done)
    activity.probe_prompt_tokens += sum(answer.prompt_tokens for answer in forced)
    activity.cached_tokens += sum(answer.cached_tokens or 0 for answer in forced)


def _text(resources: dict[str, float]) -> str:
    return " and ".join(f"{amount:g} {name}" for name, amount in resources.items())


def _first_line(error: BaseException) -> str:
    # Ray shows the whole traceback of the other process; the cause's own message is its last line.
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
