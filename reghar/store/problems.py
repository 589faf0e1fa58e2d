"""The problems of a run, beside its answers: grading again and reading a report need nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from reghar.errors import InputError
from reghar.store.parts import write_aside
from reghar.tasks import Problem

FILE = "problems.parquet"


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
        rows = pq.read_table(folder / FILE).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{str(folder / FILE)!r} cannot be read: {error}; resume the run to restore it"
        ) from error
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
