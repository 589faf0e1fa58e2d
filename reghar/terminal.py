"""What a terminal or a log shows: text made safe, and one kind of table that never cuts a figure."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_GAP = "  "
SHORTEST_NAME = 12
"""Characters to which a name may be shortened so that a table fits."""


def printable(text: str) -> str:
    """One line without control, direction or unassigned characters: a terminal obeys nothing in it."""
    return "".join(
        " " if c in "\n\r\t" else "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in _UNSEEN else c
        for c in text
    )


def shortened(text: str, most: int) -> str:
    """At most `most` characters: the middle goes, since long names differ at either end."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"


def _columns(text: str) -> int:
    """Columns that a text takes up: a Chinese character takes two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def terminal_width() -> int | None:
    """Columns of standard output; None where it is no terminal: a log or a file has no width."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str] | None],
    *,
    names: int = 1,
    width: int | None = None,
) -> str:
    """A table as text, each line ended; None among the rows draws a rule.

    The first `names` columns are names, left-aligned; the others are figures. Where the table is wider
    than `width` columns, names are shortened in the middle as long as they stay distinct; where that is
    not enough the table turns: a block per row, a line per figure. No figure is ever cut.
    """
    cells = [None if row is None else [printable(cell) for cell in row] for row in rows]
    if width is not None and _natural_width(header, cells) > width:
        narrow = _with_short_names(header, cells, names, width)
        if narrow is None:
            return "".join(f"{line}\n" for line in _blocks(header, cells, names))
        cells = narrow
    return "".join(f"{line.rstrip()}\n" for line in _lines(header, cells, names))


def fields(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and values, a line each; values are aligned and never cut."""
    shown = [(printable(name), printable(value)) for name, value in pairs]
    width = max((_columns(name) for name, _ in shown), default=0)
    return "".join(
        f"{name}{' ' * (width - _columns(name))}{_GAP}{value}".rstrip() + "\n" for name, value in shown
    )


Cells = list[list[str] | None]


def _widths(header: Sequence[str], rows: Cells) -> list[int]:
    columns = zip(header, *(row for row in rows if row is not None), strict=True)
    return [max(_columns(cell) for cell in column) for column in columns]


def _natural_width(header: Sequence[str], rows: Cells) -> int:
    widths = _widths(header, rows)
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _with_short_names(header: Sequence[str], rows: Cells, names: int, width: int) -> Cells | None:
    """The rows with names short enough for the table to fit; None where they would become alike."""
    most = max((len(cell) for row in rows if row is not None for cell in row[:names]), default=0)
    before = {tuple(row[:names]) for row in rows if row is not None}
    for length in range(most, SHORTEST_NAME - 1, -1):
        short: Cells = [
            None if row is None else [*(shortened(cell, length) for cell in row[:names]), *row[names:]]
            for row in rows
        ]
        if _natural_width(header, short) <= width:
            distinct = {tuple(row[:names]) for row in short if row is not None}
            return short if len(distinct) == len(before) else None
    return None


def _lines(header: Sequence[str], rows: Cells, names: int) -> Iterator[str]:
    widths = _widths(header, rows)

    def line(row: Sequence[str]) -> str:
        padded = (
            cell + " " * (width - _columns(cell)) if i < names else " " * (width - _columns(cell)) + cell
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return _GAP.join(padded)

    rule = "─" * (sum(widths) + len(_GAP) * (len(widths) - 1))
    yield line(header)
    if names < len(header):  # a list of names alone stays as a pipe wants it: a line each
        yield rule
    for row in rows:
        yield rule if row is None else line(row)


def _blocks(header: Sequence[str], rows: Cells, names: int) -> Iterator[str]:
    figures = max((_columns(name) for name in header[names:]), default=0)
    for i, row in enumerate(row for row in rows if row is not None):
        if i:
            yield ""
        yield " · ".join(cell for cell in row[:names] if cell)
        for name, cell in zip(header[names:], row[names:], strict=True):
            yield f"{_GAP}{name}{' ' * (figures - _columns(name))}{_GAP}{cell}"
