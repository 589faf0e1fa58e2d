"""Many replicas of an engine, placed by Ray: each does whole jobs, one driver stores what they send back.

A replica streams tokens and sends probes by itself; only finished jobs travel. So the driver's work is
a message a trace, and a replica that dies takes nothing with it but the traces it was in the middle of,
which others draw again from their seeds. A dead replica is started again in its place.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reghar.engines.base import EngineInfo
from reghar.engines.supervised import LEAST_PATIENCE, RESTARTS
from reghar.errors import EngineError
from reghar.generation.jobs import Activity, Job, JobResult
from reghar.prompting.scripted import SCRIPTED_MODEL
from reghar.run.engine import Activities, LocalEngine, Member

if TYPE_CHECKING:
    from reghar.run.plan import Plan
from reghar.run.settings import EngineName

PLACEMENT_SECONDS = 900.0
"""Longest wait for a cluster to find room for all replicas; it may have to start nodes first."""

CONNECT_SECONDS = 10.0


@dataclass(kw_only=True, eq=False)
class Replica(Member):
    """One engine, and where it runs."""

    number: int
    """Of its bundle in the placement group."""
    actor: Any
    """Ray's handle."""
    place: tuple[int, int]
    """(which, of how many) it is on its machine."""
    deaths: int = 0


class RayFleet:
    """The replicas of a run; see `JobEngine`."""

    def __init__(self, plan: Plan, activities: Activities) -> None:
        """Nothing starts yet."""
        self._plan = plan
        self._activities = activities
        self._info: EngineInfo | None = None
        self._group: Any = None
        self._is_ours = False
        self._replicas: list[Replica] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._watching = False
        self.failures: list[str] = []

    @property
    def info(self) -> EngineInfo:
        """See `JobEngine`."""
        if self._info is None:
            raise EngineError("the replicas have not been started")
        return self._info

    @property
    def spent(self) -> float | None:
        """See `JobEngine`."""
        return None

    @property
    def members(self) -> Sequence[Member]:
        """See `JobEngine`."""
        return self._replicas

    @property
    def slots(self) -> int:
        """See `JobEngine`: as many as the plan says on each replica that lives."""
        return max(1, sum(each.alive for each in self._replicas)) * self._plan.settings.concurrency

    def start(self) -> None:
        """Finds or starts Ray, places the replicas and loads their engines. Raises `EngineError`."""
        try:
            import ray
        except ImportError as error:
            raise EngineError(f"Ray cannot be imported: {error}; install reghar[ray]") from error
        self._join(self._plan.settings.address)
        try:
            bundle = self._bundle()
            self._place(bundle)
            actors = [self._actor(number) for number in range(self._plan.settings.replicas)]
            hosts = ray.get([actor.host.remote() for actor in actors])
            places = _places(hosts)
            infos = ray.get([actor.start.remote(*place) for actor, place in zip(actors, places, strict=True)])
        except (ray.exceptions.RayActorError, EngineError) as error:
            self._shut_down()
            line = _first_line(error)
            raise EngineError(
                line if isinstance(error, _NoRoomError) else f"a replica cannot start: {line}"
            ) from error
        except BaseException:
            self._shut_down()  # a signal while the models were loading
            raise
        self._replicas = [
            Replica(name=f"replica {i} on {host}", number=i, actor=actor, place=place)
            for i, (actor, host, place) in enumerate(zip(actors, hosts, places, strict=True))
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

    async def do(self, job: Job) -> JobResult:
        """One job on the replica that has the fewest, and on another when that one dies.

        Raises `EngineError` when none is left.
        """
        import ray

        if not self._watching:
            self._watching = True
            for replica in self._replicas:
                self._begin(self._watch(replica))
        while True:
            each = await self._freest()
            each.in_flight += 1
            try:
                result: JobResult = await each.actor.do.remote(job)
            except (ray.exceptions.RayActorError, EngineError) as error:
                self._bury(each, error)
                continue
            finally:
                each.in_flight -= 1
            each.jobs += 1
            each.tokens += _tokens(result)
            _count(self._activities[job.problem.task], result)
            return result

    async def close(self) -> None:
        """Ends the replicas, and Ray where this run started it; may be called twice."""
        for task in self._tasks:
            task.cancel()
        await asyncio.to_thread(self._shut_down)

    async def _freest(self) -> Replica:
        """The living replica with the fewest jobs; waits while all of them are being started again."""
        while True:
            living = [each for each in self._replicas if each.alive]
            if living:
                return min(living, key=lambda each: each.in_flight)
            if all(each.deaths > RESTARTS for each in self._replicas):
                raise EngineError(
                    f"all {len(self._replicas)} replicas have died, the last with: {self.failures[-1]}"
                )
            self._changed.clear()
            await self._changed.wait()

    def _bury(self, each: Replica, error: BaseException) -> None:
        """A replica whose engine died is ended whole: its other jobs then come back as well."""
        import ray

        if not each.alive:
            return
        each.alive = False
        each.deaths += 1
        self.failures.append(f"{each.name}: {_first_line(error)}")
        ray.kill(each.actor)
        if each.deaths <= RESTARTS:
            self._begin(self._revive(each))
        self._changed.set()

    async def _revive(self, each: Replica) -> None:
        """Another replica in the place of a dead one; tried again while it may still die."""
        import ray

        while each.deaths <= RESTARTS:
            actor = self._actor(each.number)
            try:
                await actor.start.remote(*each.place)
            except (ray.exceptions.RayActorError, EngineError) as error:
                each.deaths += 1
                self.failures.append(f"{each.name}: {_first_line(error)}")
                ray.kill(actor)
            else:
                each.actor, each.alive = actor, True
                break
        self._changed.set()

    async def _watch(self, each: Replica) -> None:
        """Buries a replica whose process does not answer; a hung engine within it is its own business."""
        patience = max(self._plan.settings.patience, LEAST_PATIENCE)
        while True:
            await asyncio.sleep(patience / 4)
            if not each.alive:
                continue
            actor = each.actor
            try:
                await asyncio.wait_for(_answer(actor), patience)
            except TimeoutError:
                if actor is each.actor:
                    self._bury(each, EngineError(f"its process did not answer for {patience:g} s"))
            except Exception as error:  # noqa: BLE001 - however Ray says that it is gone
                if actor is each.actor:
                    self._bury(each, error)

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _actor(self, number: int) -> Any:
        import ray

        bundle, settings = self._bundle(), self._plan.settings
        options = {
            "num_cpus": bundle["CPU"],
            "num_gpus": bundle.get("GPU", 0),
            # A job more than the driver ever sends, so that a question is never queued behind jobs.
            "max_concurrency": 2 * settings.concurrency * settings.replicas + 8,
            "scheduling_strategy": ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
                self._group, placement_group_bundle_index=number
            ),
        }
        return ray.remote(**options)(_Worker).remote(replace(self._plan, tasks={}, problems={}))

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

        gpus = gpus_of(self._plan.settings.engine_arguments)
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
            raise _NoRoomError(
                f"{count} replicas of {_text(bundle)} need {_text(wanted)}; Ray has "
                f"{_text({name: there.get(name, 0) for name in bundle})}; lower --replicas"
            )

    def _shut_down(self) -> None:
        if not self._is_ours:
            return
        import ray

        self._is_ours = False
        for each in self._replicas:
            if each.alive:
                each.alive = False
                ray.kill(each.actor)
        if self._group is not None:
            ray.util.remove_placement_group(self._group)
        ray.shutdown()


class _NoRoomError(EngineError):
    """The cluster is too small."""


class _Worker:
    """In a process of Ray's: one engine, and the schedule over the jobs that come."""

    def __init__(self, plan: Plan) -> None:
        settings = plan.settings
        kind: EngineName = "scripted" if settings.model == SCRIPTED_MODEL else "vllm"
        if kind == "vllm":
            settings = replace(settings, engine_arguments=inside_ray(settings.engine_arguments))
        plan = replace(plan, settings=replace(settings, engine=kind))
        self._engine = LocalEngine(plan, None, {name: Activity() for name in plan.protocol.tasks})

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


async def _answer(actor: Any) -> None:
    await actor.alive.remote()


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


def _tokens(result: JobResult) -> int:
    """Generated for a job."""
    trace = len(result.trace.token_ids) - result.trace.given_tokens if result.is_new else 0
    return trace + sum(len(answer.token_ids) for answer in result.answers)


def _count(activity: Activity, result: JobResult) -> None:
    forced = [answer for answer in result.answers if answer.forced]
    activity.jobs += 1
    activity.probes += len(forced)
    activity.tokens += _tokens(result)
    activity.probe_prompt_tokens += sum(answer.prompt_tokens for answer in forced)
    activity.cached_tokens += sum(answer.cached_tokens or 0 for answer in forced)


def _text(resources: dict[str, float]) -> str:
    return " and ".join(f"{amount:g} {name}" for name, amount in resources.items())


def _first_line(error: BaseException) -> str:
    # Ray shows the whole traceback of the other process; the cause's own message is its last line.
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
