"""The problems of a run, beside its answers: grading again and reading a report need nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from reghar.errors import InputError
from reghar.store.parts import write_aside
from reghar.tasks import Problem

FILE = "problems.parquet"
PROBLEM_COLUMNS = ("task", "problem", "question", "gold", "choices")


def write_problems(folder: Path, problems: Iterable[Problem]) -> None:
    """Writes `problems.parquet`: task, problem, question, gold (list), choices (list)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    strings = pa.list_(pa.string())
    schema = pa.schema(
        [
            ("task", pa.string()),
            ("problem", pa.string()),
            ("question", pa.string()),
            ("gold", strings),
            ("choices", strings),
        ]
    )
    rows = [
        {
            "task": p.task,
            "problem": p.id,
            "question": p.question,
            "gold": list(p.gold),
            "choices": list(p.choices),
        }
        for p in problems
    ]
    table = pa.Table.from_pylist(rows, schema=schema)
    write_aside(folder / FILE, lambda file: pq.write_table(table, file, compression="zstd"))


def read_problems(folder: Path) -> list[Problem]:
    """The problems of a run. Raises `InputError` where the file is missing or broken."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # A file, not a data set: a folder in its place is no problem table.
        with pq.ParquetFile(folder / FILE) as file:
            rows = file.read(list(PROBLEM_COLUMNS)).to_pylist()
        return [
            Problem(
                task=row["task"],
                id=row["problem"],
                question=row["question"],
                gold=tuple(row["gold"]),
                choices=tuple(row["choices"]),
            )
            for row in rows
        ]
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{str(folder / FILE)!r} cannot be read: {str(error)[:200] or type(error).__name__}; "
            "`reghar run ... --resume` restores it"
        ) from error


def problems_readable(folder: Path) -> bool:
    """Whether `problems.parquet` is there and can be read."""
    try:
        read_problems(folder)
    except InputError:
        return False
    return True
