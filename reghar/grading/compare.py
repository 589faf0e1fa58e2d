"""Equality of two answers, structure first.

Rules beyond those of docs/definitions.md, each of which somebody could see otherwise:
- A list without brackets has no order: `1,-2` is `-2,1`. Tuples and intervals have one. A list without
  brackets answers a tuple in the tuple's order. A set in braces is never a tuple or an interval.
- An item that is given twice counts once, unless the gold has it twice.
- The tolerance holds where a side is written with a decimal point or a power of ten. Numbers written
  exactly are compared exactly (14400 is not 14401), unless the task states a wider tolerance.
- Brackets around two entries matter (`(0,1)` is not `[0,1]`), around three or more they do not.
- `x = 3` answers 3 and the reverse; `x = 3` does not answer `y = 3`; an equation that defines nothing
  (`5x - 7y = 4`) is answered by any multiple of it.
- A percent sign, currency, degree sign or unit that only one side has is ignored; two different ones are
  wrong. A base that only one side states is ignored: `52` answers `52_8`.
- Letters of different case are the same quantity, as in math-verify (`C e^{t}` is `c e^{t}`).
"""

from __future__ import annotations

import re

from reghar.grading.expressions import equal_equations, equal_objects
from reghar.grading.numbers import read_number
from reghar.grading.read import Equation, Items, Matrix, Single, Union, Value, is_symbol, read
from reghar.grading.singles import NeedsAlgebraError, Settings, compare_singles, spelling

MAX_ITEMS = 200
"""Longest list that is compared."""


class AnswerComparison:
    """One comparison; `rule` names what decided it last."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.rule = "structure"

    def equal(self, gold: Value, answer: Value) -> bool:
        """True where the answer is the gold. Raises NeedsAlgebraError where only algebra can tell."""
        if isinstance(gold, Single) and isinstance(answer, Single):
            equal, self.rule = compare_singles(gold.text, answer.text, self._settings)
            return equal
        if isinstance(gold, Equation) or isinstance(answer, Equation):
            return self._equations(gold, answer)
        if isinstance(gold, Matrix) or isinstance(answer, Matrix):
            return self._matrices(gold, answer)
        if isinstance(gold, Union) or isinstance(answer, Union):
            return self._unions(gold, answer)
        if isinstance(gold, Items) and isinstance(answer, Items):
            return self._items(gold, answer)
        if isinstance(gold, Items) and isinstance(answer, Single):
            return self._list_and_single(gold, answer)
        if isinstance(answer, Items) and len(answer.items) == 1:
            return self.equal(gold, answer.items[0])
        return self._no("one value against several")

    def _no(self, rule: str) -> bool:
        self.rule = rule
        return False

    def _yes(self, rule: str) -> bool:
        self.rule = rule
        return True

    # Structures

    def _items(self, gold: Items, answer: Items) -> bool:
        golds, answers = gold.items, answer.items
        if max(len(golds), len(answers)) > MAX_ITEMS:
            return self._no("more items than are compared")
        if not self._brackets_fit(gold, answer):
            return self._no("brackets of another kind")
        if gold.ordered:
            if len(golds) != len(answers):
                return self._no("another number of entries")
            return all(self.equal(g, a) for g, a in zip(golds, answers, strict=True))
        if len(golds) == len(answers) and self._matches(golds, answers):
            return True
        distinct = self._distinct(answers)
        if len(distinct) < len(answers) and len(distinct) == len(golds):
            return self._matches(golds, distinct)
        return self._no("another number of items") if len(golds) != len(answers) else False

    def _brackets_fit(self, gold: Items, answer: Items) -> bool:
        if not gold.brackets or not answer.brackets:
            return True
        if "{}" in (gold.brackets, answer.brackets):
            return gold.brackets == answer.brackets
        return gold.brackets == answer.brackets or len(gold.items) > 2

    def _matches(self, golds: tuple[Value, ...], answers: tuple[Value, ...]) -> bool:
        """True where every gold finds an answer of its own."""
        left = list(answers)
        for gold in golds:
            found = next((i for i, answer in enumerate(left) if self.equal(gold, answer)), None)
            if found is None:
                return self._no("an item of the gold is missing")
            left.pop(found)
        return self._yes("every item is matched")

    def _distinct(self, values: tuple[Value, ...]) -> tuple[Value, ...]:
        distinct: list[Value] = []
        for value in values:
            if not any(self.equal(other, value) for other in distinct):
                distinct.append(value)
        return tuple(distinct)

    def _list_and_single(self, gold: Items, answer: Single) -> bool:
        """A list of one, or `1,234` that the gold shows to be two numbers."""
        if len(gold.items) == 1:
            return self.equal(gold.items[0], answer)
        if "," in answer.text and read_number(answer.text) is not None:
            parts = tuple(Single(part) for part in answer.text.split(","))
            return self._items(gold, Items(parts, ""))
        return self._no("several values are asked for")

    def _unions(self, gold: Value, answer: Value) -> bool:
        golds = gold.parts if isinstance(gold, Union) else (gold,)
        answers = answer.parts if isinstance(answer, Union) else (answer,)
        if len(golds) == len(answers) and self._matches(golds, answers):
            return True
        return self._objects(_text(gold), _text(answer))

    def _matrices(self, gold: Value, answer: Value) -> bool:
        golds, answers = _rows(gold), _rows(answer)
        if golds is None or answers is None:
            return self._no("a matrix against something else")
        if [len(row) for row in golds] != [len(row) for row in answers]:
            both_matrices = isinstance(gold, Matrix) and isinstance(answer, Matrix)
            vectors = 1 in (len(golds), max(map(len, golds))) and not both_matrices
            golds, answers = (_column(golds), _column(answers)) if vectors else (golds, answers)
            if len(golds) != len(answers) or not vectors:
                return self._no("another shape")
        pairs = zip((e for row in golds for e in row), (e for row in answers for e in row), strict=True)
        return all(self.equal(g, a) for g, a in pairs)

    def _equations(self, gold: Value, answer: Value) -> bool:
        if isinstance(gold, Equation) and isinstance(answer, Equation):
            if _same_left(gold.left, answer.left) and self.equal(gold.right, _renamed(gold, answer)):
                return True
            if isinstance(gold.right, Single) and isinstance(answer.right, Single):
                if self._settings.quickly:
                    raise NeedsAlgebraError
                self.rule = "equations by computer algebra"
                return equal_equations(gold.text, answer.text)
            return self._no("another equation")
        if isinstance(answer, Equation):
            return self.equal(gold, answer.right)
        if isinstance(gold, Equation) and is_symbol(gold.left):
            return self.equal(gold.right, answer)
        return self._no("an equation is asked for")

    def _objects(self, gold: str, answer: str) -> bool:
        if self._settings.quickly:
            raise NeedsAlgebraError
        self.rule = "sets by computer algebra"
        return equal_objects(gold, answer)


def _same_left(gold: str, answer: str) -> bool:
    """The same name; or names of which one is more than a letter: `m_{\\max}` and `m`, `f(x)` and `y`."""
    gold, answer = spelling(gold), spelling(answer)
    if gold == answer:
        return True
    return is_symbol(gold) and is_symbol(answer) and not (len(gold) == 1 and len(answer) == 1)


def _renamed(gold: Equation, answer: Equation) -> Value:
    """The answer's right side in the gold's variable: `f(t) = 2t` is `f(x) = 2x`."""
    pattern = re.compile(r"[a-zA-Z]\s?\(\s?([a-zA-Z])\s?\)")
    wanted, given = pattern.fullmatch(gold.left.strip()), pattern.fullmatch(answer.left.strip())
    if not wanted or not given or wanted[1] == given[1] or not isinstance(answer.right, Single):
        return answer.right
    return read(re.sub(rf"(?<![a-zA-Z\\]){given[1]}(?![a-zA-Z])", wanted[1], answer.right.text))


def _rows(value: Value) -> tuple[tuple[Value, ...], ...] | None:
    if isinstance(value, Matrix):
        return value.rows
    if isinstance(value, Items) and value.brackets != "{}":
        rows = tuple(item.items for item in value.items if isinstance(item, Items))
        return rows if len(rows) == len(value.items) else (value.items,)
    return None


def _column(rows: tuple[tuple[Value, ...], ...]) -> tuple[tuple[Value, ...], ...]:
    return tuple((entry,) for row in rows for entry in row)


def _text(value: Value) -> str:
    if isinstance(value, (Single, Union, Equation)):
        return value.text
    if isinstance(value, Items):
        opening, closing = (r"\{", r"\}") if value.brackets in ("", "{}") else tuple(value.brackets)
        return opening + ", ".join(_text(item) for item in value.items) + closing
    return (
        r"\begin{pmatrix}"
        + r" \\ ".join(" & ".join(_text(e) for e in row) for row in value.rows)
        + r"\end{pmatrix}"
    )
