"""Parquet parts: numbered files in a folder that pandas reads in one call.

A part is written aside under a hidden name, flushed to disk and renamed, so that a process killed
at any moment leaves either the whole part or none.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from reghar.errors import StorageError

if TYPE_CHECKING:
    import pyarrow as pa

_NAME = re.compile(r"part-(\d{6})\.parquet")


def part_path(folder: Path, number: int) -> Path:
    """The file of part `number`."""
    return folder / f"part-{number:06d}.parquet"


def part_numbers(folder: Path) -> list[int]:
    """Numbers of the parts that exist, increasing."""
    if not folder.is_dir():
        return []
    return sorted(int(m[1]) for path in folder.iterdir() if (m := _NAME.fullmatch(path.name)))


def write_aside(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a file that appears at `path` whole or not at all. Raises `StorageError`."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; free space or fix permissions"
        ) from error


def write_part(folder: Path, number: int, rows: Iterable[dict[str, Any]], schema: pa.Schema) -> None:
    """Writes part `number`. Raises `StorageError`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(list(rows), schema=schema)
    write_aside(part_path(folder, number), lambda file: pq.write_table(table, file, compression="zstd"))


_DEFAULTS = {
    "setting": "",
    "given_tokens": 0,
    "countdown": None,
    "reported_length": None,
    "withheld": None,
    "answer_logprob": None,
    "answer_tokens_scored": None,
}
"""Columns that a part may lack, or leave null, and what stands there then: the plain evaluation's."""


def read_part(path: Path, schema: pa.Schema, columns: list[str] | None = None) -> pa.Table | None:
    """A part's rows; None where the file is cut short, broken, or of another schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        wanted = schema if columns is None else pa.schema([schema.field(c) for c in columns])
        with pq.ParquetFile(path) as file:
            there = set(file.schema_arrow.names)
            table = file.read([name for name in wanted.names if name in there or name not in _DEFAULTS])
        return pa.table([_column(table, field) for field in wanted], schema=wanted)
    except (pa.ArrowException, ValueError, KeyError, OSError):
        return None


def _column(table: pa.Table, field: pa.Field) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    default = _DEFAULTS.get(field.name)
    if field.name in _DEFAULTS and field.name not in table.column_names:
        return pa.chunked_array([pa.array([default] * table.num_rows, field.type)])
    column = table[field.name].cast(field.type)
    return column if default is None else pc.fill_null(column, pa.scalar(default, field.type))


def set_damaged_aside(folder: Path, schema: pa.Schema) -> list[Path]:
    """Renames every unreadable part to `*.damaged`, so that its work is done again; returns them."""
    damaged = []
    for number in part_numbers(folder):
        path = part_path(folder, number)
        if read_part(path, schema) is None:
            set_aside(path)
            damaged.append(path)
    return damaged


def set_aside(path: Path) -> None:
    """Takes a part out of its table; what was in it stays as a hidden file. Raises `StorageError`."""
    try:
        path.rename(path.with_name(f".{path.name}.damaged"))
    except OSError as error:
        raise StorageError(
            f"cannot rename {path}: {error.strerror or error}; fix permissions, or remove it"
        ) from error


def keep_copy(path: Path) -> None:
    """A hidden copy of a part that is about to lose rows. Raises `StorageError`."""
    with path.open("rb") as part:
        write_aside(path.with_name(f".{path.name}.orphans"), partial(shutil.copyfileobj, part))


def read_parts(
    folder: Path,
    schema: pa.Schema,
    columns: list[str] | None = None,
    where: Mapping[str, str] | None = None,
) -> pa.Table:
    """The rows of all parts in a folder, those alone in which each column of `where` has its value; parts
    that are broken are passed over."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = [pa.schema([schema.field(name) for name in columns or schema.names]).empty_table()]
    for number in part_numbers(folder):
        part = read_part(part_path(folder, number), schema, columns)
        if part is None:
            continue
        for name, value in (where or {}).items():
            part = part.filter(pc.equal(part[name], value))
        rows.append(part)
    return pa.concat_tables(rows)
