"""Rows of the code benchmarks as tests: the forms in which their data sets write them."""

from __future__ import annotations

import base64
import binascii
import io
import json
import pickle
import zlib
from typing import Any, NoReturn

from reghar.errors import InputError
from reghar.tasks.code_tests import CodeTests, read_tests
from reghar.tasks.documents import RowError
from reghar.tasks.rows import Row
from reghar.tasks.task import TestsForm

_FUNCTION_CHECK = """\
import json

CASES = json.loads({cases!r})


def check(candidate):
    solve = getattr(candidate(), {name!r})
    for given, wanted in CASES:
        found = solve(*given)
        assert (list(found) if isinstance(found, tuple) else found) == wanted
"""
"""Runs a method of LeetCode's class `Solution`; a tuple answers a list, which JSON alone has."""
_USUAL_IMPORTS = """\
from bisect import *
from collections import *
from copy import *
from functools import *
from heapq import *
from itertools import *
from math import *
from operator import *
from typing import *
import bisect, collections, copy, functools, heapq, itertools, json, math, operator, random, re, string, sys
"""
"""What LeetCode has imported before an answer: its starter code names `List` and does not import it."""
_MOST_BYTES = 1 << 30
"""Of one problem's tests unpacked; the largest of the benchmark's has some hundred million."""


def tests_of_row(row: Row, form: TestsForm | None) -> CodeTests:
    """The tests in a row: its own column `tests`, or those of the data set's `form`.

    Raises RowError where there are none.
    """
    try:
        if row.get("tests") is not None:
            return read_tests(row["tests"])
        if form == "humaneval":
            return read_tests(
                {"test": row["test"], "entry_point": row["entry_point"], "prelude": row["prompt"]}
            )
        if form == "livecodebench":
            return _livecodebench(row)
    except InputError as error:
        raise RowError(f"has no tests that can be read: {error}") from error
    except KeyError as error:
        raise RowError(f"has no column {error.args[0]!r}; it has {', '.join(row)}") from error
    raise RowError("has no 'tests'")


def _livecodebench(row: Row) -> CodeTests:
    """Public and private tests together: of standard input and output, or of a method."""
    tests = [*_unpacked(row["public_test_cases"]), *_unpacked(row["private_test_cases"])]
    try:
        inputs, outputs = [str(one["input"]) for one in tests], [str(one["output"]) for one in tests]
        name = json.loads(row["metadata"] or "{}").get("func_name")
        if name is None:
            return read_tests({"inputs": inputs, "outputs": outputs})
        if not str(name).isidentifier():
            raise RowError(f"has the function name {str(name)[:60]!r}")
        cases = [
            [[json.loads(line) for line in given.split("\n")], json.loads(wanted)]
            for given, wanted in zip(inputs, outputs, strict=True)
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RowError(f"has tests of another form than LiveCodeBench's: {error!r:.100}") from error
    if not cases:
        raise RowError("has no tests")
    source = _FUNCTION_CHECK.format(cases=json.dumps(cases), name=str(name))
    return CodeTests(test=source, entry_point="Solution", prelude=_USUAL_IMPORTS)


def _unpacked(text: Any) -> list[Any]:
    """Test cases as JSON, or as the data set packs them: base64 of zlib of a pickled JSON text."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        found = json.loads(_unpickled(text))
    if not isinstance(found, list):
        raise RowError("has tests that are no list")
    return found


def _unpickled(text: Any) -> str:
    try:
        stream = zlib.decompressobj()
        data = stream.decompress(base64.b64decode(text), _MOST_BYTES)
        if stream.unconsumed_tail:
            raise RowError(f"has tests of more than {_MOST_BYTES} bytes")
        content = _Texts(io.BytesIO(data)).load()
    except (
        TypeError,
        ValueError,
        EOFError,
        LookupError,
        binascii.Error,
        zlib.error,
        pickle.PickleError,
    ) as e:
        raise RowError(f"has private tests that cannot be unpacked ({type(e).__name__})") from e
    if not isinstance(content, str):
        raise RowError("has private tests that are no text")
    return content


class _Texts(pickle.Unpickler):
    """Reads a pickled text, and nothing that names code: a pickle may otherwise run anything."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"{module}.{name} is no text")
