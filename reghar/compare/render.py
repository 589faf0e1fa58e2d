"""A comparison for a terminal, in Markdown, LaTeX and CSV; what comes from outside is escaped in each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from reghar.compare import seeds_render
from reghar.compare.balanced import BALANCED_LENGTH
from reghar.compare.cell import Cell
from reghar.compare.cell_text import HEADINGS, figure_text, p_text, signed
from reghar.compare.lengths import (
    AVERAGE_POOLED,
    COMPRESSION,
    MEAN_OF_RATIOS,
    RATIO_OF_AVERAGES,
)
from reghar.compare.published import PublishedRow
from reghar.compare.table import AVERAGE, Comparison
from reghar.measures.catalogue import MEASURES, QUESTIONS
from reghar.report.templates import render
from reghar.terminal import printable
from reghar.terminal import table as columns

_TABLE_1 = ("accuracy_full", "mean_length", "reg")
"""Columns of REG table 1 under each task."""
_CSV = (
    *("task", "side", "baseline", "measure", "unit", "higher_is_better", "value", "change_percent"),
    *("difference", "low", "high", "p_value", "detectable"),
)
_DIFFERENCES = ("Task", "Side", "Measure", "Difference", "95% interval", "p", "Detectable")
_LENGTHS = ("Task", "Side", "Compression", "Token reduction")
_COMPRESSIONS = {
    COMPRESSION: "",
    RATIO_OF_AVERAGES: ", ratio of averages",
    MEAN_OF_RATIOS: ", mean of ratios",
}
"""Compressions, and what a row of each says beside the task."""
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "−": "$-$",
    "–": "--",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def comparison_markdown(comparison: Comparison) -> str:
    """Both tables and the notes as a Markdown page."""
    return render(
        "comparison.md.jinja",
        baseline=comparison.baseline,
        header=["Task", "Side", *_columns(comparison)],
        rows=comparison_rows(comparison),
        lengths_header=list(_LENGTHS),
        lengths=length_rows(comparison),
        differences_header=list(_DIFFERENCES),
        differences=difference_rows(comparison),
        seeds_header=list(seeds_render.HEADER),
        seeds=list(seeds_render.seed_rows(comparison)),
        notes=legend(comparison),
    )


def comparison_terminal(comparison: Comparison, width: int | None) -> str:
    """Both tables and the notes for a terminal `width` columns wide (None: a file or a log)."""
    header = ("Task", "Side", *_columns(comparison))
    notes = "".join(f"note: {printable(note)}\n" for note in legend(comparison))
    return (
        f"{columns(header, comparison_rows(comparison), names=2, width=width)}\n"
        f"Lengths against {printable(comparison.baseline)}\n\n"
        f"{columns(_LENGTHS, length_rows(comparison), names=2, width=width)}\n"
        f"Differences from {printable(comparison.baseline)}\n\n"
        f"{columns(_DIFFERENCES, difference_rows(comparison), names=3, width=width)}\n"
        f"{seeds_render.seeds_terminal(comparison, width)}{notes}"
    )


def to_csv(comparison: Comparison) -> str:
    """One row per task, side and measure, figures unrounded; empty where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    seeds = {cell.key: cell for cell in comparison.seeds}
    writer.writerow([*_CSV, *(seeds_render.CSV_HEADER if seeds else ())])
    for cell in comparison.cells:
        found = cell.difference
        writer.writerow(
            [
                *(_inert(cell.task), _inert(cell.side), _inert(comparison.baseline)),
                *(cell.measure, cell.unit, cell.higher_is_better, cell.value),
                None if cell.change is None else 100 * cell.change,
                *(
                    (None,) * 5
                    if found is None
                    else (found.value, found.low, found.high, found.p_value, found.detectable)
                ),
                *seeds_render.csv_columns(seeds, (cell.task, cell.side, cell.measure)),
            ]
        )
    for row in comparison.published:
        names = (_inert(row.task), f"{row.method} (published)", f"{row.baseline} (published)")
        percent = None if row.change is None else 100 * row.change
        more = seeds_render.csv_columns(seeds, None)
        for measure, value in (("accuracy_full", row.accuracy), ("mean_length", row.mean_length)):
            writer.writerow([*names, measure, *MEASURES[measure], value, *(None,) * 6, *more])
        writer.writerow([*names, "reg", *MEASURES["reg"], row.reg, percent, *(None,) * 5, *more])
    return text.getvalue()


def latex(comparison: Comparison) -> str:
    """Tabulars for booktabs: REG table 1 (one row per side, columns by task), the differences, and, where
    a side has enough training seeds, what there is over them."""
    seeds = (
        ("", *_latex_rows(seeds_render.HEADER, seeds_render.seed_rows(comparison), "lllrrrrrr"))
        if comparison.seeds
        else ()
    )
    differences = _latex_rows(_DIFFERENCES, difference_rows(comparison), "lllrrrr")
    return "\n".join((*_latex_table_1(comparison), "", *differences, *seeds)) + "\n"


def comparison_rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Task, side, its figures and the change of REG, task by task; the pooled average last."""
    pooled = (AVERAGE_POOLED,) if AVERAGE in comparison.tasks else ()
    for task in (*comparison.tasks, *pooled):
        for side in comparison.sides:
            cells = [_find(comparison, task, side, measure) for measure in _shown(comparison)]
            changed = _find(comparison, task, side, "reg")
            yield task, side, *(_value(cell) for cell in cells), _change(changed)
        for row in comparison.published:
            if row.task == task:
                gap = ("–",) * (len(_shown(comparison)) - len(_TABLE_1))
                yield task, f"{row.method} (published)", *_printed(row)[:-1], *gap, _printed(row)[-1]


def length_rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Task, side, compression and token reduction; the average once for each way to take it."""
    for cell in comparison.cells:
        if cell.measure in _COMPRESSIONS and cell.value is not None:
            reduction = 100 * (1 - cell.value)
            yield (
                cell.task + _COMPRESSIONS[cell.measure],
                cell.side,
                f"{cell.value:.3f}",
                f"{reduction:.1f}%".replace("-", "−"),
            )


def difference_rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Every difference from the baseline, with its interval, p-value and what could have been detected."""
    for cell in comparison.cells:
        found = cell.difference
        if found is not None:
            yield (
                *(cell.task, cell.side, HEADINGS[cell.measure]),
                signed(found.value, cell.unit),
                f"{signed(found.low, cell.unit)} to {signed(found.high, cell.unit)}",
                p_text(found.p_value),
                figure_text(found.detectable, cell.unit),
            )


def legend(comparison: Comparison) -> Iterator[str]:
    """What the figures mean, and the comparison's own notes."""
    drawn = {
        "problems": "whole problems drawn with replacement",
        "samples": "samples drawn with replacement within these fixed problems",
    }[comparison.bootstrap.interval]
    drawn += f", {comparison.bootstrap.replicates:,} times, seed {comparison.bootstrap.seed}"
    question = QUESTIONS[comparison.bootstrap.interval].partition(" (")[0]
    yield (
        f"Differences are paired by problem, and {question}: one draw for all sides ({drawn}). p is "
        "two-sided and not corrected for the number of comparisons. Detectable: the smallest true difference "
        "found with 80% power at 5%."
    )
    yield from seeds_render.seeds_legend(comparison)
    balanced = any(cell.measure == BALANCED_LENGTH for cell in comparison.cells)
    if balanced and comparison.bootstrap.interval == "samples":
        yield "Balanced lengths are means over problems: their differences draw whole problems."
    if comparison.frontier is not None:
        yield f"REG against the frontier {comparison.frontier}; its change in % of the baseline's."
    if AVERAGE in comparison.tasks:
        yield (
            f"{AVERAGE}: every task weighs the same. {AVERAGE_POOLED}: every sample does (problems x samples "
            "of a task), without interval."
        )
    yield from comparison.notes


def _columns(comparison: Comparison) -> tuple[str, ...]:
    return (*(HEADINGS[measure] for measure in _shown(comparison)), "REG change")


def _shown(comparison: Comparison) -> tuple[str, ...]:
    return (*_TABLE_1, *(measure for measure in comparison.measures if measure == BALANCED_LENGTH))


def _find(comparison: Comparison, task: str, side: str, measure: str) -> Cell | None:
    key = (task, side, measure)
    return next((cell for cell in comparison.cells if (cell.task, cell.side, cell.measure) == key), None)


def _printed(row: PublishedRow) -> tuple[str, ...]:
    """The columns of REG table 1, and the change of REG."""
    return (
        figure_text(row.accuracy, "fraction"),
        figure_text(row.mean_length, "tokens"),
        figure_text(row.reg, "tokens"),
        "–" if row.change is None else f"{100 * row.change:+.1f}%".replace("-", "−"),
    )


def _value(cell: Cell | None) -> str:
    return "–" if cell is None else figure_text(cell.value, cell.unit)


def _change(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    if cell.change is not None:
        return f"{100 * cell.change:+.1f}%".replace("-", "−")
    # Without a baseline above 0 a share means nothing: only the absolute change (definitions: REG).
    return "–" if cell.difference is None else f"{signed(cell.difference.value, cell.unit)} tokens"


def _inert(text: str) -> str:
    """The text on one line, and no formula for a spreadsheet that opens the file."""
    plain = printable(text)
    return f"'{plain}" if plain[:1] in "=+-@" else plain


def _tex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in printable(text))


def _latex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_table_1(comparison: Comparison) -> Iterator[str]:
    names = ("Acc.", "Len.", "REG", r"$\Delta$ REG")
    width = len(names)
    groups = [rf"\multicolumn{{{width}}}{{c}}{{{_tex(task)}}}" for task in comparison.tasks]
    rules = [rf"\cmidrule(lr){{{2 + width * i}-{1 + width * (i + 1)}}}" for i in range(len(comparison.tasks))]
    yield rf"\begin{{tabular}}{{l{'r' * width * len(comparison.tasks)}}}"
    yield r"\toprule"
    yield _latex_row(["", *groups])
    yield "".join(rules)
    yield _latex_row(["Method", *(names * len(comparison.tasks))])
    yield r"\midrule"
    for side in comparison.sides:
        row = []
        for task in comparison.tasks:
            cells = [_find(comparison, task, side, measure) for measure in _TABLE_1]
            row += [*(_value(cell) for cell in cells), _change(cells[-1])]
        yield _latex_row(_tex(cell) for cell in (side, *row))
    for method in dict.fromkeys(row.method for row in comparison.published):
        figures = [_printed(row) for row in comparison.published if row.method == method]
        yield _latex_row(_tex(cell) for cell in (f"{method} (published)", *(c for f in figures for c in f)))
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _latex_rows(header: Sequence[str], rows: Iterable[tuple[str, ...]], form: str) -> Iterator[str]:
    yield rf"\begin{{tabular}}{{{form}}}"
    yield r"\toprule"
    yield _latex_row(_tex(name) for name in header)
    yield r"\midrule"
    for row in rows:
        yield _latex_row(_tex(cell) for cell in row)
    yield r"\bottomrule"
    yield r"\end{tabular}"
