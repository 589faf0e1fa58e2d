"""Many replicas of an engine, placed by Ray: each does whole jobs, one driver stores what they send back.

A replica streams tokens and sends probes by itself; only finished jobs travel. So the driver's work is
a message a trace, and a replica that dies takes nothing with it but the traces it was in the middle of,
which others draw again from their seeds. A dead replica is started again in its place.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reghar.engines.base import EngineInfo
from reghar.engines.supervised import LEAST_PATIENCE, RESTARTS
from reghar.errors import EngineError
from reghar.generation.concurrency import Lengths, traces_in_flight
from reghar.generation.jobs import Job, JobResult
from reghar.prompting.adapters import Adapter
from reghar.run.engine import Activities, Member
from reghar.run.ray_cluster import NoRoomError, RayCluster, last_line, places_of

if TYPE_CHECKING:
    from reghar.run.plan import Plan


@dataclass(kw_only=True, eq=False)
class Replica(Member):
    """One engine, and where it runs."""

    number: int
    """Of its bundle in the placement group."""
    actor: Any
    """Ray's handle."""
    place: tuple[int, int]
    """(which, of how many) it is on its machine."""
    info: EngineInfo
    """Of its engine."""
    deaths: int = 0


class RayFleet:
    """The replicas of a run; see `JobEngine`."""

    def __init__(self, plan: Plan, activities: Activities, adapters: Sequence[Adapter] = ()) -> None:
        """Nothing starts yet."""
        self._plan = plan
        self._activities = activities
        self._info: EngineInfo | None = None
        self._cluster = RayCluster(plan, adapters)
        self._replicas: list[Replica] = []
        self._seen = Lengths()
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
        """See `JobEngine`: as many as the plan says, or suit its own KV cache, on each replica that lives."""
        living = [each for each in self._replicas if each.alive] or self._replicas[:1]
        asked = self._plan.settings.concurrency
        return sum(traces_in_flight(asked, each.info, self._seen) for each in living)

    def start(self) -> None:
        """Finds or starts Ray, places the replicas and loads their engines. Raises `EngineError`."""
        try:
            import ray
        except ImportError as error:
            raise EngineError(f"Ray cannot be imported: {error}; install reghar[ray]") from error
        self._cluster.join()
        try:
            self._cluster.place()
            actors = [self._cluster.actor(number) for number in range(self._plan.settings.replicas)]
            hosts = ray.get([actor.host.remote() for actor in actors])
            places = places_of(hosts)
            infos = ray.get([actor.start.remote(*place) for actor, place in zip(actors, places, strict=True)])
        except (ray.exceptions.RayActorError, EngineError) as error:
            self._shut_down()
            line = last_line(error)
            raise EngineError(
                line if isinstance(error, NoRoomError) else f"a replica cannot start: {line}"
            ) from error
        except BaseException:
            self._shut_down()  # a signal while the models were loading
            raise
        self._replicas = [
            Replica(name=f"replica {i} on {host}", number=i, actor=actor, place=place, info=info)
            for i, (actor, host, place, info) in enumerate(zip(actors, hosts, places, infos, strict=True))
        ]
        self._info = EngineInfo(
            name="ray",
            version=f"{ray.__version__}, {infos[0].name} {infos[0].version}",
            host=", ".join(f"{count} x {host}" for host, count in Counter(i.host for i in infos).items()),
            arguments={
                "replicas": len(actors),
                "nodes": len(set(hosts)),
                "resources": self._cluster.bundle,
                "engine": infos[0].arguments,
            },
            kv_caches=tuple(size for info in infos for size in info.kv_caches),
            batches=infos[0].batches,
            environment=replace(
                infos[0].environment, gpus=tuple(gpu for info in infos for gpu in info.environment.gpus)
            ),
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
            each.tokens += result.generated_tokens
            if result.is_new:
                self._seen = self._seen.add(result.trace.prompt_tokens, len(result.trace.token_ids))
            self._activities[job.problem.task].add(result)
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
        if not each.alive:
            return
        each.alive = False
        each.deaths += 1
        self.failures.append(f"{each.name}: {last_line(error)}")
        self._cluster.end(each.actor)
        if each.deaths <= RESTARTS:
            self._begin(self._revive(each))
        self._changed.set()

    async def _revive(self, each: Replica) -> None:
        """Another replica in the place of a dead one; tried again while it may still die."""
        import ray

        while each.deaths <= RESTARTS:
            actor = self._cluster.actor(each.number)
            try:
                await actor.start.remote(*each.place)
            except (ray.exceptions.RayActorError, EngineError) as error:
                each.deaths += 1
                self.failures.append(f"{each.name}: {last_line(error)}")
                self._cluster.end(actor)
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

    def _shut_down(self) -> None:
        for each in self._replicas:
            if each.alive:
                each.alive = False
                self._cluster.end(each.actor)
        self._cluster.leave()


async def _answer(actor: Any) -> None:
    await actor.alive.remote()
