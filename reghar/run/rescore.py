"""Grades the stored answers of a run again: its old scores stay until new ones cover them all."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reghar.errors import InputError, StorageError
from reghar.generation.records import TraceKey
from reghar.grading import AnswerKind, GraderPool
from reghar.grading.sandbox import require_sandbox
from reghar.grading.scores import AnswerScorer
from reghar.grading.version import grader_version
from reghar.store.folder import RunFolder
from reghar.store.manifest import Manifest, read_manifest
from reghar.store.parts import part_numbers, part_path, read_part, write_part
from reghar.store.problems import read_problems
from reghar.store.tables import ANSWERS, SCORES, schemas, score_row
from reghar.tasks import Problem

AnswerKey = tuple[TraceKey, int | None]
"""A trace and a budget; None for the trace's own answer."""


def rescore(path: Path, *, unsafe_code: bool = False) -> list[str]:
    """Replaces `scores/` and the grader's version in `run.json`; returns notes for the user.

    The new scores are written beside the old ones and take their place only where none is lost. Raises
    `InputError` where an answer behind a stored score is missing or unreadable, `StorageError` where the
    folder cannot be written; the old scores are as they were in both cases. `unsafe_code` runs programs
    where there is no sandbox.
    """
    read_manifest(path)  # refuses what is no run before a lock file is made
    with RunFolder(path) as folder:
        manifest = read_manifest(path)
        problems = _problems(path, manifest)
        if not unsafe_code and any(task.kind == AnswerKind.CODE for task in manifest.protocol.tasks.values()):
            require_sandbox()
        fresh = path / f".{SCORES}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            covered, unreadable = _grade(path, manifest, problems, fresh, unsafe_code=unsafe_code)
            _refuse_loss(folder, covered, unreadable)
            _swap(folder, manifest, fresh)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return [f"{name} cannot be read: its answers are not graded" for name in unreadable]


def _problems(path: Path, manifest: Manifest) -> list[Problem]:
    problems = read_problems(path)
    there = {(problem.task, problem.id) for problem in problems}
    for task, planned in manifest.protocol.tasks.items():
        if lacking := [name for name in planned.problem_ids if (task, name) not in there]:
            raise InputError(
                f"problems.parquet of {str(path)!r} lacks {len(lacking)} problems of {task}, such as "
                f"{lacking[0]!r}: restore it with `reghar run ... --resume`"
            )
    return problems


def _grade(
    path: Path, manifest: Manifest, problems: list[Problem], fresh: Path, *, unsafe_code: bool
) -> tuple[set[AnswerKey], list[str]]:
    """Writes the scores of every readable answers part into `fresh`; which answers these are, and the
    parts that cannot be read."""
    covered: set[AnswerKey] = set()
    unreadable = []
    planned = {(problem.task, problem.id) for problem in problems}
    with GraderPool(unsafe_code=unsafe_code) as pool:
        scorer = AnswerScorer(manifest.protocol, problems, pool)
        for number in part_numbers(path / ANSWERS):
            part = read_part(part_path(path / ANSWERS, number), schemas()[ANSWERS])
            if part is None:
                unreadable.append(f"{ANSWERS}/{part_path(path, number).name}")
                continue
            rows = [row for row in part.to_pylist() if (row["task"], row["problem"]) in planned]
            covered |= _keys(rows)
            write_part(fresh, number, (score_row(s) for s in scorer.score(rows)), schemas()[SCORES])
    return covered, unreadable


def _keys(rows: Iterable[dict[str, Any]]) -> set[AnswerKey]:
    return {
        (TraceKey(row["task"], row["problem"], row["sample"], row["setting"]), row["budget"]) for row in rows
    }


def _refuse_loss(folder: RunFolder, covered: set[AnswerKey], unreadable: list[str]) -> None:
    lost = set(folder.keys(SCORES)) - covered
    if not lost and (covered or not unreadable):
        return
    if unreadable:
        why = f"{' and '.join(unreadable)} cannot be read"
    else:
        why = f"their answers are not in {ANSWERS}/"
    raise InputError(
        f"run {str(folder.path)!r} is not graded again, and its scores are as they were: {len(lost)} of them "
        f"would be lost, because {why}; restore that, or answer again with `reghar run ... --resume`"
    )


def _swap(folder: RunFolder, manifest: Manifest, fresh: Path) -> None:
    """The new scores in the place of the old ones, under the grader's new version; or all as it was.

    Whoever is killed in between leaves a run without scores, never scores under another's name.
    """
    scores, stale = folder.path / SCORES, folder.path / f".{SCORES}.old"
    protocol = manifest.protocol.with_grader(grader_version())
    try:
        if scores.exists():
            shutil.rmtree(stale, ignore_errors=True)
            scores.rename(stale)
        folder.write_manifest(manifest.with_fields(protocol=protocol, digest=protocol.digest))
        if fresh.exists():
            fresh.rename(scores)
    except (OSError, StorageError) as error:
        with contextlib.suppress(OSError, StorageError):
            if stale.exists() and not scores.exists():
                folder.write_manifest(manifest)
        with contextlib.suppress(OSError):
            if stale.exists() and not scores.exists():
                stale.rename(scores)
        if isinstance(error, StorageError):
            raise
        raise StorageError(
            f"cannot replace {scores}: {error.strerror or error}; free space or fix permissions"
        ) from error
    shutil.rmtree(stale, ignore_errors=True)
