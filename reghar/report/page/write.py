"""`page.html` of one or several runs: self-contained, or without texts where they would be too many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reghar.report.page.build import PageRun, index, texts
from reghar.report.page.cuts import run_tokenizer
from reghar.report.page.document import block_name, document, packed
from reghar.store.parts import write_aside
from reghar.store.stored import ProblemRows

MOST_BYTES = 15_000_000
"""A page larger than this leaves the texts out: `reghar view` shows them."""


@dataclass(frozen=True, kw_only=True)
class WrittenPage:
    """What `write_page` wrote."""

    path: Path
    size: int
    """Bytes."""
    has_texts: bool
    """False where the samples' texts did not fit."""


def write_page(runs: Sequence[PageRun], folder: Path) -> WrittenPage:
    """Writes `page.html`; its runs have equal protocols."""
    content = index(runs, served=False)
    blocks = {"index": packed(content)}
    bare = document(content["title"], blocks)
    room = MOST_BYTES - len(bare.encode("utf-8"))
    has_texts = True
    for i, one in enumerate(runs):
        for name, block in _samples(i, one):
            room -= len(block) + len(name) + 40
            if room < 0:
                has_texts = False
                break
            blocks[name] = block
    page = (document(content["title"], blocks) if has_texts else bare).encode("utf-8")
    path = folder / "page.html"
    write_aside(path, lambda file: file.write(page))
    return WrittenPage(path=path, size=len(page), has_texts=has_texts)


def _samples(place: int, one: PageRun) -> Iterator[tuple[str, str]]:
    """(name, packed block) of every problem of a run that has stored samples."""
    run, tokenizer = one.run, run_tokenizer(one.run)
    by = ["task", "problem"]
    answers, scores = (dict(iter(frame.groupby(by))) for frame in (run.answers, run.scores))
    wanted = [(task, problem) for task in run.tasks for problem in run.protocol.tasks[task].problem_ids]
    at = {identity: i for i, identity in enumerate(wanted)}
    for identity, traces in run.traces.groupby(by):
        if identity in at:
            rows = ProblemRows(
                traces=traces,
                answers=answers.get(identity, run.answers.iloc[:0]),
                scores=scores.get(identity, run.scores.iloc[:0]),
            )
            yield block_name(place, at[identity]), packed(texts(run, rows, tokenizer))
