"""Another probe, or other budgets, on the traces of a stored run."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from reghar.errors import InputError
from reghar.run.plan import Plan
from reghar.run.provenance import new_manifest
from reghar.run.settings import RunSettings, stored_settings
from reghar.store.manifest import MANIFEST, write_manifest
from reghar.store.parts import part_numbers, part_path, write_aside
from reghar.store.problems import write_problems
from reghar.store.stored import StoredRun
from reghar.store.tables import ANSWERS, SCORES, TRACES

MAY_DIFFER = ("budgets:", "probe.", "grader:", "unclosed:")
"""Settings that a new probing may change; all others belong to the stored traces."""


def reprobe_settings(source: StoredRun, asked: Mapping[str, Any]) -> RunSettings:
    """The source's settings with those that were asked for, by name. Raises `InputError`."""
    source.require_complete()
    old = stored_settings(source.manifest)
    kept: dict[str, Any] = {
        "max_tokens": source.protocol.sampling.max_tokens,
        "unclosed": source.protocol.unclosed,
    }
    if {"probe", "probe_text", "wrap_up"} & set(asked):
        # They are of one probe.
        kept |= {"probe": None, "probe_text": None, "wrap_up": None, "max_answer_tokens": None}
    if "wrap_up" in asked:
        kept["budget_counts"] = "thinking"
    arguments = {**old.engine_arguments, **asked.get("engine_arguments", {})}
    return replace(old, **{**kept, **asked, "engine_arguments": arguments})


def require_free(paths: Sequence[Path], *, resume: bool) -> None:
    """Raises `InputError` where a run stands that is not to go on; asked of all before any is begun."""
    for path in paths:
        if (path / MANIFEST).exists() and not resume:
            raise InputError(
                f"{str(path)!r} already holds a run; add --resume to go on, or give another --out"
            )


def adopt_traces(source: StoredRun, path: Path, plan: Plan) -> None:
    """Copies the source's traces into a new run's folder. Raises `InputError` where they do not fit."""
    # Traces know nothing of budgets, so a wrap-up may count other tokens than the probe before it.
    may_differ = MAY_DIFFER if plan.settings.wrap_up is None else (*MAY_DIFFER, "budget_counts:")
    unequal = [line for line in source.protocol.differences(plan.protocol) if not line.startswith(may_differ)]
    if unequal:
        raise InputError(f"the stored traces were made with other settings: {'; '.join(unequal)}")
    if (path / MANIFEST).exists():
        return
    numbers = part_numbers(source.path / TRACES)
    others = set(part_numbers(path / TRACES)) - set(numbers)
    if others or any(part_numbers(path / table) for table in (ANSWERS, SCORES)):
        raise InputError(
            f"{str(path)!r} holds parts of a run but no run.json that says of which: restore it, or give "
            "another --out"
        )
    for number in numbers:
        with part_path(source.path / TRACES, number).open("rb") as stored:
            write_aside(part_path(path / TRACES, number), partial(shutil.copyfileobj, stored))
    write_problems(path, (p for each in plan.problems.values() for p in each))
    write_manifest(path, new_manifest(plan))  # last: where it stands, the traces are all there
