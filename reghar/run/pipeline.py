"""The only place where the stages are put together: plan -> traces and answers -> scores -> report."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from reghar.errors import EngineError, InputError, RunInterruptedError
from reghar.generation.jobs import Activity, JobResult, run_jobs
from reghar.run.choose_engine import make_engine
from reghar.run.engine import Activities, JobEngine, prices
from reghar.run.plan import Plan
from reghar.run.progress import Display, progress
from reghar.run.provenance import new_manifest, now
from reghar.run.rounds import NextRound, Rounds, resumed_round
from reghar.run.scoring import PartScorer
from reghar.store import load_run
from reghar.store.folder import RunFolder
from reghar.store.manifest import EngineRecord, Session
from reghar.store.problems import problems_readable, write_problems


def execute(
    plan: Plan, path: Path, *, resume: bool, console: Console, next_round: NextRound | None = None
) -> list[str]:
    """Does a run, or what is left of it, up to the last score; returns notes for the user.

    `next_round` says after every round how many samples the next one has; without it the plan is the run.
    Raises `InputError` for a folder that holds something else, `EngineError` when the engine
    failed, `RunInterruptedError` when the user stopped it; what was finished is stored in each case.
    """
    with RunFolder(path) as folder:
        plan, notes = _open_run(folder, plan, resume=resume)
        problems = [problem for each in plan.problems.values() for problem in each]
        with PartScorer(folder, plan.protocol, problems, unsafe_code=plan.settings.unsafe_code) as scorer:
            for part in folder.unscored_parts():
                scorer.add(part)
            rounds = Rounds(folder, plan, scorer, next_round)
            worked = bool(rounds.pending.count) or rounds.advance()
            if worked:
                total = sum(rounds.totals.values())
                left = total - sum(rounds.pending.done.values())
                line = f"loading the {plan.settings.engine} engine; {left:,} of {total:,} traces to do"
                console.print(line, highlight=False, soft_wrap=True)
                activities = {task: Activity() for task in plan.tasks}
                begun = time.monotonic()
                with _session(folder, plan, activities) as engine:
                    console.print(f"loaded in {time.monotonic() - begun:.0f} s", highlight=False)
                    _generate(rounds, engine, activities, folder, scorer, console)
                notes += [f"the engine was started again: {reason}" for reason in engine.failures]
        manifest = folder.manifest or new_manifest(plan)
        if worked or manifest.end is None:
            folder.write_manifest(manifest.with_fields(end=now()))
    return notes


def _open_run(folder: RunFolder, plan: Plan, *, resume: bool) -> tuple[Plan, list[str]]:
    """Creates the run, or checks that the stored one is this one; the plan of its round, and notes."""
    manifest = folder.manifest
    if manifest is None:
        if folder.holds_parts:
            raise InputError(
                f"{str(folder.path)!r} holds parts of a run but no run.json that says of which: restore it, "
                "or give another --out"
            )
        write_problems(folder.path, (p for each in plan.problems.values() for p in each))
        folder.write_manifest(new_manifest(plan))
        return plan, []
    if not resume:
        raise InputError(
            f"{str(folder.path)!r} already holds a run; add --resume to go on, or give another --out"
        )
    plan = resumed_round(plan, manifest.protocol, manifest.settings.get("until_width") is not None)
    unequal = manifest.protocol.differences(plan.protocol)
    identity = {"model": plan.settings.model, "revision": plan.model.revision, "seed": plan.settings.seed}
    for name, mine in identity.items():
        if (stored := getattr(manifest, name)) != mine:
            unequal.append(f"{name}: {stored!r} != {mine!r}")
    if unequal:
        raise InputError(
            f"{str(folder.path)!r} holds a run with other settings: {'; '.join(unequal)}; give another --out"
        )
    if not problems_readable(folder.path):
        write_problems(folder.path, (p for each in plan.problems.values() for p in each))
    fields: dict[str, Any] = {"frontier": plan.settings.frontier, "interval": plan.settings.interval}
    if plan.clusters or manifest.clusters:
        fields["clusters"] = plan.clusters
    if plan.settings.until_width is not None:
        asked = {"until_width": plan.settings.until_width, "samples": plan.settings.samples}
        fields["settings"] = {**manifest.settings, **asked}
    folder.write_manifest(manifest.with_fields(**fields))
    return plan, folder.repair()


def _generate(
    rounds: Rounds,
    engine: JobEngine,
    activities: Activities,
    folder: RunFolder,
    scorer: PartScorer,
    console: Console,
) -> None:
    """Runs the schedule over what remains, round by round; whatever happens, finished jobs reach the disk."""

    def store(part: int | None) -> None:
        if part is not None:
            scorer.add(part)

    def finished(result: JobResult) -> None:
        store(folder.add(result))

    async def work(display: Display) -> None:
        async def tick() -> None:
            while True:
                await asyncio.sleep(1)
                display.update(activities, engine.members)
                store(folder.flush_if_due())

        ticker = asyncio.create_task(tick())
        try:
            control = rounds.plan.control
            while True:
                await run_jobs(engine.do, control, rounds.pending.jobs(), lambda: engine.slots, finished)
                display.update(activities, engine.members)
                store(folder.flush())
                # In a thread: the display lives on, and an interrupt is heard.
                if not await asyncio.to_thread(rounds.advance):
                    break
        finally:
            ticker.cancel()
            await engine.close()

    with progress(console, rounds.totals, rounds.pending.done) as display:
        try:
            _run_interruptible(work(display))
        finally:
            store(folder.flush())


def _run_interruptible(work: Any) -> None:
    """Runs a coroutine; SIGINT and SIGTERM cancel it and end in `RunInterruptedError`."""
    interrupted = False

    async def main() -> None:
        nonlocal interrupted
        task = asyncio.ensure_future(work)

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            task.cancel()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt)
        await task

    try:
        asyncio.run(main())
    except (asyncio.CancelledError, EngineError):
        # The engine's process gets the terminal's Ctrl-C as well and may die of it first.
        if not interrupted:
            raise
    if interrupted:
        raise RunInterruptedError("interrupted")


def _spent(folder: RunFolder, plan: Plan) -> float:
    """What a chat server's run has cost so far: what its last session said, or more where a later one
    was killed before it could."""
    run = load_run(folder.path)
    stored = prices(plan.settings).of(run.cost["trace_prompt_tokens"], run.cost["trace_tokens"])
    return max([stored, *(session.spent or 0.0 for session in run.manifest.sessions)])


@contextmanager
def _interrupting() -> Iterator[None]:
    """SIGINT and SIGTERM end the block with `RunInterruptedError`, so that what it began is undone."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise RunInterruptedError("interrupted")

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _session(folder: RunFolder, plan: Plan, activities: Activities) -> Iterator[JobEngine]:
    """A started engine; what it was and how long it ran is added to `run.json`."""
    start, clock = now(), time.monotonic()
    spent = _spent(folder, plan) if plan.settings.engine == "chat" else 0.0
    engine = make_engine(plan, folder.path / "engine.log", activities, spent=spent)
    with _interrupting():
        engine.start()
    info = EngineRecord.model_validate(asdict(engine.info))
    loaded = time.monotonic()
    try:
        yield engine
    finally:
        manifest = folder.manifest or new_manifest(plan)
        session = Session(
            start=start,
            end=now(),
            seconds=round(time.monotonic() - loaded, 3),
            engine_start_seconds=round(loaded - clock, 3),
            engine=info,
            concurrency=plan.settings.concurrency or engine.slots,
            restarts=tuple(engine.failures),
            **({} if engine.spent is None else {"spent": engine.spent}),
        )
        folder.write_manifest(manifest.with_fields(sessions=(*manifest.sessions, session)))
