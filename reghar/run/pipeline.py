"""The only place where the stages are put together: plan -> traces and answers -> scores -> report."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True, kw_only=True)
class RunTarget:
    """A run and where it goes."""

    plan: Plan
    path: Path
    next_round: NextRound | None = None
    """Says after every round how many samples the next one has; without it the plan is the run."""


def execute(
    plan: Plan, path: Path, *, resume: bool, console: Console, next_round: NextRound | None = None
) -> list[str]:
    """Does one run; see `execute_all`."""
    target = RunTarget(plan=plan, path=path, next_round=next_round)
    return execute_all([target], resume=resume, console=console)


def execute_all(targets: Sequence[RunTarget], *, resume: bool, console: Console) -> list[str]:
    """Does runs of a model and its adapters with one engine, or what is left of them, up to the last score.

    Returns notes for the user.

    Raises `InputError` for a folder that holds something else, `EngineError` when the engine
    failed, `RunInterruptedError` when the user stopped it; what was finished is stored in each case.
    """
    with ExitStack() as folders:
        with ExitStack() as scorers:
            runs = [_open_target(target, folders, scorers, resume=resume) for target in targets]
            notes = [note for run in runs for note in run.notes]
            working = [run for run in runs if run.works]
            if working:
                notes += _work(working, console)
        for run in runs:  # every score is stored
            manifest = run.folder.manifest or new_manifest(run.rounds.plan)
            if run.works or manifest.end is None:
                run.folder.write_manifest(manifest.with_fields(end=now()))
    return notes


@dataclass(frozen=True, kw_only=True)
class _OpenRun:
    """A run whose folder is locked and whose stored parts are being scored."""

    folder: RunFolder
    scorer: PartScorer
    rounds: Rounds
    works: bool
    """Whether the engine has anything to do for it."""
    notes: tuple[str, ...]

    def store(self, part: int | None) -> None:
        if part is not None:
            self.scorer.add(part)


def _open_target(target: RunTarget, folders: ExitStack, scorers: ExitStack, *, resume: bool) -> _OpenRun:
    folder = folders.enter_context(RunFolder(target.path))
    plan, notes = _open_run(folder, target.plan, resume=resume)
    problems = [problem for each in plan.problems.values() for problem in each]
    scorer = scorers.enter_context(
        PartScorer(folder, plan.protocol, problems, unsafe_code=plan.settings.unsafe_code)
    )
    for part in folder.unscored_parts():
        scorer.add(part)
    rounds = Rounds(folder, plan, scorer, target.next_round)
    works = bool(rounds.pending.count) or rounds.advance()
    return _OpenRun(folder=folder, scorer=scorer, rounds=rounds, works=works, notes=tuple(notes))


def _work(runs: Sequence[_OpenRun], console: Console) -> list[str]:
    """Loads the engine and does what is left of the runs, one after the other; returns notes."""
    plan = runs[0].rounds.plan
    total = sum(sum(run.rounds.totals.values()) for run in runs)
    left = total - sum(sum(run.rounds.pending.done.values()) for run in runs)
    line = f"loading the {plan.settings.engine} engine; {left:,} of {total:,} traces to do"
    console.print(line, highlight=False, soft_wrap=True)
    activities = {task: Activity() for task in plan.tasks}
    begun = time.monotonic()
    with _session(runs, activities) as engine:
        loaded = f"loaded in {time.monotonic() - begun:.0f} s; up to {engine.slots:,} traces in flight"
        console.print(loaded if plan.settings.concurrency else f"{loaded} at first", highlight=False)
        _run_interruptible(_generate_all(runs, engine, activities, console))
    return [f"the engine was started again: {reason}" for reason in engine.failures]


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
    adapter = None if manifest.adapter is None else (manifest.adapter.name, manifest.adapter.digest)
    identity: dict[str, tuple[Any, Any]] = {
        "model": (manifest.model, plan.settings.model),
        "revision": (manifest.revision, plan.model.revision),
        "seed": (manifest.seed, plan.settings.seed),
        "adapter": (adapter, None if plan.adapter is None else (plan.adapter.name, plan.adapter.digest)),
    }
    for name, (stored, mine) in identity.items():
        if stored != mine:
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


async def _generate_all(
    runs: Sequence[_OpenRun], engine: JobEngine, activities: Activities, console: Console
) -> None:
    """One run after the other; whatever happens, finished jobs reach the disk."""
    try:
        for run in runs:
            if len(runs) > 1:
                console.print(f"{run.folder.path}:", highlight=False, soft_wrap=True)
            with progress(console, run.rounds.totals, run.rounds.pending.done) as display:
                try:
                    await _generate(run, engine, activities, display)
                finally:
                    run.store(run.folder.flush())
            activities.update({task: Activity() for task in activities})
    finally:
        await engine.close()


async def _generate(run: _OpenRun, engine: JobEngine, activities: Activities, display: Display) -> None:
    """Runs the schedule over what remains of a run, round by round."""

    def finished(result: JobResult) -> None:
        run.store(run.folder.add(result))

    async def tick() -> None:
        while True:
            await asyncio.sleep(1)
            display.update(activities, engine.members)
            run.store(run.folder.flush_if_due())

    ticker = asyncio.create_task(tick())
    try:
        control = run.rounds.plan.control
        while True:
            await run_jobs(engine.do, control, run.rounds.pending.jobs(), lambda: engine.slots, finished)
            display.update(activities, engine.members)
            run.store(run.folder.flush())
            # In a thread: the display lives on, and an interrupt is heard.
            if not await asyncio.to_thread(run.rounds.advance):
                break
    finally:
        ticker.cancel()


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
def _session(runs: Sequence[_OpenRun], activities: Activities) -> Iterator[JobEngine]:
    """A started engine; what it was and how long it ran is added to each `run.json`."""
    start, clock = now(), time.monotonic()
    # Runs differ in adapter or probe alone; the engine is made for the longest of their requests.
    folder, plan = (
        runs[0].folder,
        max((run.rounds.plan for run in runs), key=lambda each: each.context_needed),
    )
    spent = _spent(folder, plan) if plan.settings.engine == "chat" else 0.0
    adapters = [run.rounds.plan.adapter for run in runs if run.rounds.plan.adapter is not None]
    log = folder.path / "engine.log"
    engine = make_engine(plan, log, activities, adapters=adapters, spent=spent)
    with _interrupting():
        engine.start()
    info = EngineRecord.model_validate(asdict(engine.info))
    loaded = time.monotonic()
    try:
        yield engine
    finally:
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
        for run in runs:
            manifest = run.folder.manifest or new_manifest(run.rounds.plan)
            run.folder.write_manifest(manifest.with_fields(sessions=(*manifest.sessions, session)))
