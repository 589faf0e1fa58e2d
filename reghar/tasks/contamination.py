"""Which benchmark problems a training file holds: shared word n-grams, with boilerplate kept apart.

Source: s1 (arXiv 2501.19393), appendix B.5, which decontaminates with 8-grams. Texts are compared in
lower case, split at white space. Phrases that many problems share ("where m and n are relatively prime
positive integers") say nothing about a copy, so they are listed and not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from reghar.errors import InputError

BOILERPLATE_PROBLEMS = 3
"""An n-gram of this many problems or more is boilerplate."""
ROWS_KEPT = 5
"""Training rows that are named for each problem."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What a problem says, without the instruction that stands below it in a prompt."""

    task: str
    """Name of its task."""
    problem: str
    """Its id, unique within the task."""
    text: str
    private: bool = False
    """Its text must never be shown."""


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """What one problem shares with the training file."""

    task: str
    problem: str
    contaminated: bool | None
    """One of its counted n-grams is there. None where none can be counted: fewer than n words, or
    nothing but boilerplate."""
    ngrams: tuple[str, ...] | None
    """The matching ones in the problem's order, each once; None for a private problem."""
    matching: int
    """How many they are."""
    share: float | None
    """Of the problem's counted n-grams, 0 to 1; None where none can be counted."""
    longest_run: int
    """Most words in a row that are covered by matching n-grams, boilerplate among them, of which one at
    least is counted. They need not come from one training row."""
    rows: tuple[int, ...]
    """The first training rows that share a counted n-gram, at most five."""


@dataclass(frozen=True, kw_only=True)
class Boilerplate:
    """An n-gram of many problems that the training file holds too."""

    ngram: str | None
    """None where a private problem holds it."""
    problems: int
    """In how many problems it stands, at least three."""
    rows: tuple[int, ...]
    """The first training rows that hold it, at most five."""


@dataclass(frozen=True, kw_only=True)
class Contamination:
    """Every problem's overlap with one training file."""

    n: int
    """Words of an n-gram."""
    train_rows: int
    """Training rows read."""
    problems: tuple[Overlap, ...]
    """In the order of the statements."""
    boilerplate: tuple[Boilerplate, ...]
    """Found in the training file and not counted; the most frequent first."""


def words_of(text: str) -> list[str]:
    """The text's words in lower case; any white space separates them."""
    return text.lower().split()


def ngrams(words: Sequence[str], n: int) -> list[str]:
    """All n-grams in order, each as its words with one space between them; empty below n words."""
    return [" ".join(words[start : start + n]) for start in range(len(words) - n + 1)]


def boilerplate_of(statements: Iterable[Statement], n: int) -> dict[str, int]:
    """The n-grams that stand in at least `BOILERPLATE_PROBLEMS` problems -> in how many."""
    counts: Counter[str] = Counter()
    for statement in statements:
        counts.update(set(ngrams(words_of(statement.text), n)))
    return {ngram: count for ngram, count in counts.items() if count >= BOILERPLATE_PROBLEMS}


class Search:
    """Looks for the n-grams of `statements` in training rows, one row after the other.

    Time goes with the words of the rows, memory with the words of the statements.
    """

    def __init__(self, statements: Sequence[Statement], n: int, boilerplate: dict[str, int]) -> None:
        """`boilerplate`: n-gram -> number of problems, what is not to be counted; may be empty.

        Raises InputError for n below 1.
        """
        if n < 1:
            raise InputError(f"-n is {n}: an n-gram has at least 1 word")
        self._statements = statements
        self._n = n
        self._boilerplate = boilerplate
        self._ngrams = [ngrams(words_of(statement.text), n) for statement in statements]
        self._sought = {ngram for each in self._ngrams for ngram in each}
        # Wherever a window of n words stands, it covers a block of `_block` words that begins at a
        # multiple of `_block`: only where such a block is known are the windows around it looked up.
        self._block = (n + 1) // 2
        self._blocks = {block for ngram in self._sought for block in ngrams(ngram.split(" "), self._block)}
        self._found: dict[str, list[int]] = {}
        self._rows = 0

    def add(self, row: int, text: str) -> None:
        """Takes in one training row; `row` is the number by which it is named, increasing."""
        self._rows += 1
        words = words_of(text)
        n, block, blocks = self._n, self._block, self._blocks
        done = 0
        for start in range(0, len(words) - block + 1, block):
            if " ".join(words[start : start + block]) in blocks:
                first = max(done, start + block - n)
                done = min(start, len(words) - n) + 1
                for window in range(first, done):
                    self._look_up(" ".join(words[window : window + n]), row)

    def _look_up(self, ngram: str, row: int) -> None:
        if ngram in self._sought:
            rows = self._found.setdefault(ngram, [])
            if len(rows) < ROWS_KEPT and row not in rows:
                rows.append(row)

    def result(self) -> Contamination:
        """What has been found so far."""
        pairs = zip(self._statements, self._ngrams, strict=True)
        return Contamination(
            n=self._n,
            train_rows=self._rows,
            problems=tuple(self._overlap(statement, own) for statement, own in pairs),
            boilerplate=self._boilerplate_found(),
        )

    def _overlap(self, statement: Statement, own: list[str]) -> Overlap:
        counted = dict.fromkeys(ngram for ngram in own if ngram not in self._boilerplate)
        matching = [ngram for ngram in counted if ngram in self._found]
        rows = sorted({row for ngram in matching for row in self._found[ngram]})
        return Overlap(
            task=statement.task,
            problem=statement.problem,
            contaminated=bool(matching) if counted else None,
            ngrams=None if statement.private else tuple(matching),
            matching=len(matching),
            share=len(matching) / len(counted) if counted else None,
            longest_run=self._longest_run(own),
            rows=tuple(rows[:ROWS_KEPT]),
        )

    def _longest_run(self, own: list[str]) -> int:
        longest = 0
        for matches, group in groupby(own, key=self._found.__contains__):
            run = list(group)
            if matches and any(ngram not in self._boilerplate for ngram in run):
                longest = max(longest, len(run) + self._n - 1)
        return longest

    def _boilerplate_found(self) -> tuple[Boilerplate, ...]:
        pairs = zip(self._statements, self._ngrams, strict=True)
        private = {ngram for statement, own in pairs if statement.private for ngram in own}
        found = [
            Boilerplate(
                ngram=None if ngram in private else ngram,
                problems=self._boilerplate[ngram],
                rows=tuple(rows),
            )
            for ngram, rows in self._found.items()
            if ngram in self._boilerplate
        ]
        return tuple(sorted(found, key=lambda each: (-each.problems, each.ngram or "")))
