"""Programming problems of our own in the forms in which HumanEval's and LiveCodeBench's data sets write
theirs, with solutions."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from typing import Any

HUMANEVAL: list[dict[str, Any]] = [
    {
        "task_id": "HumanEval/0",
        "prompt": "from typing import List\n\n\ndef total(numbers: List[int]) -> int:\n"
        '    """The sum of the numbers.\n    >>> total([1, 2])\n    3\n    """\n',
        "canonical_solution": "    return sum(numbers)\n",
        "test": "\n\nMETADATA = {}\n\n\ndef check(candidate):\n    assert candidate([]) == 0\n"
        "    assert candidate([1, 2, -5]) == -2\n",
        "entry_point": "total",
    },
    {  # its question holds a function that the answer needs, and that the check may call
        "task_id": "HumanEval/1",
        "prompt": 'import math\n\n\ndef area(r: float) -> float:\n    """Of a circle."""\n'
        "    return math.pi * r * r\n\n\ndef ring(outer: float, inner: float) -> float:\n"
        '    """The area between two circles."""\n',
        "canonical_solution": "    return area(outer) - area(inner)\n",
        "test": "def check(candidate):\n    assert abs(candidate(2, 1) - 3 * math.pi) < 1e-9\n"
        "    assert candidate(1, 1) == area(0)\n",
        "entry_point": "ring",
    },
    {
        "task_id": "HumanEval/2",
        "prompt": 'def shout(text: str) -> str:\n    """Capitals, and an exclamation mark."""\n',
        "canonical_solution": '    return text.upper() + "!"\n',
        "test": 'def check(candidate):\n    assert candidate("ab") == "AB!"\n'
        '    assert candidate("") == "!"\n',
        "entry_point": "shout",
    },
]


def packed(tests: list[dict[str, str]]) -> str:
    """Private tests as LiveCodeBench packs them."""
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()


def _cases(kind: str, *pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"input": given, "output": wanted, "testtype": kind} for given, wanted in pairs]


LIVECODEBENCH: list[dict[str, Any]] = [
    {
        "question_title": "Double",
        "question_content": "Print twice the number.",
        "platform": "atcoder",
        "question_id": "abc001_a",
        "contest_id": "abc001",
        "contest_date": "2024-08-01T00:00:00",
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": json.dumps(_cases("stdin", ("2\n", "4\n"))),
        "private_test_cases": packed(_cases("stdin", ("21\n", "42"), ("0", "0\n\n"))),
        "metadata": "{}",
    },
    {
        "question_title": "Pairs",
        "question_content": "Return the pairs of neighbours whose first is the smaller.",
        "platform": "leetcode",
        "question_id": "9001",
        "contest_id": "weekly-1",
        "contest_date": "2025-05-01T23:30:00",
        "starter_code": "class Solution:\n"
        "    def pairs(self, numbers: List[int], most: int) -> List[List[int]]:\n        ",
        "difficulty": "medium",
        "public_test_cases": json.dumps(_cases("functional", ("[1, 2, 0]\n9", "[[1, 2]]"))),
        "private_test_cases": packed(_cases("functional", ("[3, 1]\n9", "[]"), ("[1, 2, 3]\n1", "[[1, 2]]"))),
        "metadata": json.dumps({"func_name": "pairs"}),
    },
    {
        "question_title": "Old",
        "question_content": "From before the window.",
        "platform": "atcoder",
        "question_id": "abc000_a",
        "contest_id": "abc000",
        "contest_date": "2024-07-31T23:59:59",
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": json.dumps(_cases("stdin", ("", "1\n"))),
        "private_test_cases": packed(_cases("stdin", ("", "1\n"))),
        "metadata": "{}",
    },
]
SOLUTIONS = {
    "abc001_a": "print(2 * int(input()))",
    "9001": "class Solution:\n    def pairs(self, numbers: List[int], most: int) -> List[List[int]]:\n"
    "        found = [[a, b] for a, b in pairwise(numbers) if a < b]\n        return tuple(found[:most])",
}
