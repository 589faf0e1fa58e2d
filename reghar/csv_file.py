"""Rows of a CSV file that a user wrote; whatever is wrong with it is said in one line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from reghar.errors import InputError


def read_rows(path: Path, columns: tuple[str, ...], kind: str) -> Iterator[tuple[str, list[str]]]:
    """For each row: where it stands, for messages, and its cells in the order of `columns`, stripped.

    Other columns are ignored. `kind` is what the file holds, for messages. Raises InputError for a
    file that cannot be read, is not UTF-8, is not CSV, or lacks a column or any row.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read the {kind} {str(path)!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{kind} {str(path)!r} is not UTF-8 text: give a CSV file") from error
    try:
        yield from _rows(text, columns, f"{kind} {str(path)!r}")
    except csv.Error as error:
        raise InputError(f"{kind} {str(path)!r} is not CSV: {error}") from error


def _rows(text: str, columns: tuple[str, ...], file: str) -> Iterator[tuple[str, list[str]]]:
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    names = {(name or "").strip(): name for name in rows.fieldnames or ()}
    if missing := [name for name in columns if name not in names]:
        raise InputError(
            f"{file} has no column {' or '.join(missing)}: the first line must name {','.join(columns)}"
        )
    empty = True
    for row in rows:
        empty = False
        yield f"{file}, line {rows.line_num}", [(row[names[name]] or "").strip() for name in columns]
    if empty:
        raise InputError(f"{file} is empty: below the line of names, give a row of {','.join(columns)}")
