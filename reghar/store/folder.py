"""The one writer of a run's folder.

A traces part is renamed into place before the answers part of the same jobs. A run killed between
the two holds traces without answers, which resuming probes: nothing is lost, nothing done twice.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from reghar.errors import InputError, StorageError
from reghar.generation.jobs import JobResult
from reghar.generation.records import Trace, TraceKey
from reghar.grading.scores import Score
from reghar.store.manifest import MANIFEST, Manifest, read_manifest, write_manifest
from reghar.store.parts import (
    keep_copy,
    part_numbers,
    part_path,
    read_part,
    set_aside,
    set_damaged_aside,
    write_part,
)
from reghar.store.tables import ANSWERS, KEY, SCORES, TRACES, answer_row, schemas, score_row, trace_row

FLUSH_SECONDS = float(os.environ.get("REGHAR_FLUSH_SECONDS", "20"))
"""Finished work waits at most about this long before it is on disk."""
FLUSH_TOKENS = 4_000_000
"""Response tokens in one part at most, or so: reading a part back stays small."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceShape:
    """A stored trace without its tokens."""

    task: str
    problem: str
    sample: int
    length: int
    thinking_length: int
    finished: bool
    thinking_start: int | None
    countdown: int | None
    setting: str

    @property
    def key(self) -> TraceKey:
        """Which trace it is."""
        return TraceKey(self.task, self.problem, self.sample, self.setting)

    @property
    def counted_thinking(self) -> int:
        """Thinking tokens as the settings of control methods count them: of the whole response where
        there is no thinking block."""
        return self.length if self.thinking_start is None else self.thinking_length


class RunFolder:
    """The one writer of a run's folder, holding its lock."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the folder. Raises `InputError` where that cannot be or another holds it."""
        self.path = path
        self._schemas = schemas()
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock: IO[str] = (path / ".lock").open("w")
        except OSError as error:
            raise InputError(
                f"output folder {str(path)!r} is not writable: {error.strerror or error}; give another --out"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise InputError(
                f"run folder {str(path)!r} is in use by another process; wait for it or give another --out"
            ) from error
        self._pending: list[JobResult] = []
        self._pending_tokens = 0
        self._last_flush = time.monotonic()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.close()

    @property
    def manifest(self) -> Manifest | None:
        """`run.json`, or None where the folder is new. Raises `InputError` if it cannot be read."""
        return read_manifest(self.path) if (self.path / MANIFEST).exists() else None

    @property
    def holds_parts(self) -> bool:
        """Whether any part of any table is there, readable or not."""
        return any(part_numbers(self.path / table) for table in (TRACES, ANSWERS, SCORES))

    def write_manifest(self, manifest: Manifest) -> None:
        """Replaces `run.json`."""
        write_manifest(self.path, manifest)

    def repair(self) -> list[str]:
        """Sets damaged parts aside and drops answers whose trace is gone; returns what was done."""
        damaged = [
            path
            for table in (TRACES, ANSWERS, SCORES)
            for path in set_damaged_aside(self.path / table, self._schemas[table])
        ]
        answered = set(part_numbers(self.path / ANSWERS))
        for number in set(part_numbers(self.path / SCORES)) - answered:
            set_aside(part_path(self.path / SCORES, number))
        dropped = self._drop_orphans()
        notes = [
            f"part {path.relative_to(self.path)} was cut short: skipped, its work is done again"
            for path in damaged
        ]
        if dropped:
            notes.append(
                f"{dropped} answers belong to traces that are gone: they are generated again; what was "
                "there is kept in hidden files (.part-*.orphans)"
            )
        return notes

    def _drop_orphans(self) -> int:
        """Answers and scores whose trace has to be generated again would belong to another trace.

        Returns the number of answers; a copy of the part that held them stays as a hidden file.
        """
        dropped = 0
        stored = {key for key, _ in self.keys(TRACES)}
        manifest = self.manifest
        settings = () if manifest is None else manifest.protocol.control.settings
        after = {setting.name: setting.after for setting in settings}

        def grounded(key: TraceKey) -> bool:
            """The trace is there, and so is the one that it continues."""
            before = after.get(key.setting)
            return key in stored and (before is None or grounded(key.at(before)))

        for table in (TRACES, ANSWERS, SCORES):
            for number in part_numbers(self.path / table):
                if all(grounded(key) for key, _ in self._part_keys(table, number)):
                    continue
                rows = self.rows(table, number)
                kept = [row for row in rows if grounded(_key(row))]
                if len(kept) < len(rows):
                    dropped += (len(rows) - len(kept)) * (table == ANSWERS)
                    keep_copy(part_path(self.path / table, number))
                    write_part(self.path / table, number, kept, self._schemas[table])

        return dropped

    def keys(self, table: str) -> Iterator[tuple[TraceKey, int | None]]:
        """(trace, budget) of every stored row; budget is None for traces and for their own answers."""
        for number in part_numbers(self.path / table):
            yield from self._part_keys(table, number)

    def _part_keys(self, table: str, number: int) -> Iterator[tuple[TraceKey, int | None]]:
        columns = [*KEY, "setting"] + ([] if table == TRACES else ["budget"])
        part = read_part(part_path(self.path / table, number), self._schemas[table], columns)
        for row in part.to_pylist() if part is not None else []:
            yield _key(row), row.get("budget")

    def rows(self, table: str, number: int) -> list[dict[str, Any]]:
        """All rows of one part."""
        part = read_part(part_path(self.path / table, number), self._schemas[table])
        return part.to_pylist() if part is not None else []

    def trace_shapes(self) -> Iterator[TraceShape]:
        """What decides which answers a stored trace needs, of every stored trace."""
        for number in part_numbers(self.path / TRACES):
            path = part_path(self.path / TRACES, number)
            part = read_part(path, self._schemas[TRACES], [field.name for field in fields(TraceShape)])
            for row in part.to_pylist() if part is not None else []:
                yield TraceShape(**row)

    def traces(self) -> Iterator[Trace]:
        """Every stored trace, a part at a time."""
        for number in part_numbers(self.path / TRACES):
            for row in self.rows(TRACES, number):
                row["token_ids"] = tuple(row["token_ids"])
                del row["length"], row["thinking_length"]
                yield Trace(**row)

    def add(self, result: JobResult) -> int | None:
        """Takes a finished job; returns the number of the answers part if this filled one."""
        self._pending.append(result)
        self._pending_tokens += len(result.trace.token_ids)
        return self.flush_if_due()

    def flush_if_due(self) -> int | None:
        """Writes what waits if it has waited long enough; returns the answers part's number."""
        waited = time.monotonic() - self._last_flush
        return self.flush() if waited >= FLUSH_SECONDS or self._pending_tokens >= FLUSH_TOKENS else None

    def flush(self) -> int | None:
        """Writes what waits; returns the answers part's number, or None if nothing waited."""
        self._last_flush = time.monotonic()
        if not self._pending:
            return None
        jobs = self._pending
        number = 1 + max((n for t in (TRACES, ANSWERS) for n in part_numbers(self.path / t)), default=0)
        new = [trace_row(job.trace) for job in jobs if job.is_new]
        if new:
            write_part(self.path / TRACES, number, new, self._schemas[TRACES])
        rows = [answer_row(answer) for job in jobs for answer in job.answers]
        try:
            write_part(self.path / ANSWERS, number, rows, self._schemas[ANSWERS])
        except StorageError:
            # The batch is written again as a whole, under another number.
            part_path(self.path / TRACES, number).unlink(missing_ok=True)
            raise
        self._pending, self._pending_tokens = [], 0
        return number

    def unscored_parts(self) -> list[int]:
        """Answers parts without their scores part."""
        scored = set(part_numbers(self.path / SCORES))
        return [n for n in part_numbers(self.path / ANSWERS) if n not in scored]

    def write_scores(self, number: int, scores: Iterable[Score]) -> None:
        """Writes the scores of one answers part."""
        write_part(self.path / SCORES, number, (score_row(s) for s in scores), self._schemas[SCORES])


def _key(row: dict[str, Any]) -> TraceKey:
    """The trace that a row belongs to."""
    return TraceKey(row["task"], row["problem"], row["sample"], row["setting"])
