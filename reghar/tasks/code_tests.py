"""The tests of a program: what a code task's gold answer is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reghar.errors import InputError


@dataclass(frozen=True, kw_only=True)
class CodeTests:
    """What a program must do: all pairs of input and output, or pass a check function."""

    inputs: tuple[str, ...] = ()
    """Standard input of each test."""
    outputs: tuple[str, ...] = ()
    """What must stand on standard output, one per input; they never enter the sandbox."""
    test: str | None = None
    """Python source that defines `check(candidate)`, as HumanEval's. It runs beside the answer in one
    process: an answer that goes looking for it can fool it, which pairs of texts rule out."""
    entry_point: str | None = None
    """Name of the function or class that `check` gets."""
    prelude: str = ""
    """Source that runs before the answer: what the question has given, such as imports."""

    def as_text(self) -> str:
        """As JSON, one text for equal tests: what a run stores as the gold."""
        if self.test is None:
            content: dict[str, Any] = {"inputs": self.inputs, "outputs": self.outputs}
        else:
            content = {"test": self.test, "entry_point": self.entry_point}
            content |= {"prelude": self.prelude} if self.prelude else {}
        return json.dumps(content)

    def __str__(self) -> str:
        """For people, who need not see them all."""
        if self.test is not None:
            return f"a check of {self.entry_point}"
        return f"{len(self.inputs)} test{'' if len(self.inputs) == 1 else 's'} of input and output"


def read_tests(content: object) -> CodeTests:
    """Tests from `{"inputs": [...], "outputs": [...]}` or `{"test": ..., "entry_point": ...}`.

    The second may hold a `prelude`. JSON text of either will do. Raises InputError, one line, for
    anything else.
    """
    if isinstance(content, str):
        try:
            content = json.loads(content)
        except ValueError:
            content = None
    fields = content if isinstance(content, Mapping) else {}
    inputs, outputs = _texts(fields, "inputs"), _texts(fields, "outputs")
    test, entry, prelude = fields.get("test"), fields.get("entry_point"), fields.get("prelude") or ""
    if inputs and len(inputs) == len(outputs) and test is None:
        return CodeTests(inputs=inputs, outputs=outputs)
    named = isinstance(entry, str) and entry.isidentifier()
    if not inputs and not outputs and isinstance(test, str) and named and isinstance(prelude, str):
        return CodeTests(test=test, entry_point=entry, prelude=prelude)
    raise InputError(
        'tests are {"inputs": [...], "outputs": [...]}, as many of the one as of the other, or '
        '{"test": "def check(candidate): ...", "entry_point": NAME}'
    )


def _texts(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = fields.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InputError(f"{name} of the tests is {str(values)[:60]!r}: give a list of texts")
    return tuple(values)
