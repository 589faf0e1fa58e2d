"""`reghar grade`: one answer with its reason, many as JSON lines, and bad input in one line."""

import io
import json
import sys

import pytest

from reghar.cli.grade import add_parser
from reghar.errors import InputError


def run(arguments: list[str]) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["grade", *arguments])
    code: int = parsed.handler(parsed)
    return code


def feed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode("utf-8", "surrogatepass"))))


def test_one_answer_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--gold", "1/3", "--answer", "0.33333"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "outcome: correct",
        "answer:  0.33333",
        "gold:    1/3",
        "rule:    numbers within the tolerance",
    ]


def test_a_task_brings_its_rules(capsys: pytest.CaptureFixture[str]) -> None:
    for task, outcome in (("minerva_math", "correct"), ("aime24", "incorrect")):
        assert run(["--gold", "15000", "--answer", "15043", "--task", task]) == 0
        assert capsys.readouterr().out.startswith(f"outcome: {outcome}\n")


def test_choices_and_several_golds(capsys: pytest.CaptureFixture[str]) -> None:
    choices = ["--choice", "the first law", "--choice", "the second law"]
    run(["--gold", "B", "--answer", "the second law", "--kind", "choice", *choices])
    run(["--gold", "69", "--gold", "84", "--answer", "84, 69"])
    assert capsys.readouterr().out.count("outcome: correct") == 2


def test_json_lines_come_back_in_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"gold": str(n), "answer": str(n + n % 2), "kind": "integer", "mine": n} for n in range(50)]
    rows.append({"gold": ["1", "2"], "answer": r"\boxed{2, 1}", "kind": "math"})
    rows.append({"gold": "\ud800", "answer": r"\boxed{", "kind": "math"})
    feed(monkeypatch, "\n".join(json.dumps(row) for row in rows) + "\n\n")
    assert run(["--jsonl"]) == 0
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [{k: v for k, v in each.items() if k not in ("outcome", "rule")} for each in written] == rows
    outcomes = [each["outcome"] for each in written]
    assert outcomes[:50] == ["incorrect" if n % 2 else "correct" for n in range(50)]
    assert outcomes[50:] == ["correct", "unterminated"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "line 1 is not JSON"),
        ("[1]", "not an object"),
        ('{"answer": "1"}', "gold is None"),
        ('{"gold": "1"}', "answer is None"),
        ('{"gold": "1", "answer": "1", "kind": "poem"}', "unknown kind 'poem'"),
        ('{"gold": "1", "answer": "1", "tolerance": "no"}', "tolerance is 'no'"),
        ('{"gold": "A", "answer": "A", "choices": "AB"}', "choices is 'AB'"),
    ],
)
def test_bad_lines_are_named(monkeypatch: pytest.MonkeyPatch, line: str, message: str) -> None:
    from reghar.errors import InputError

    feed(monkeypatch, line)
    with pytest.raises(InputError, match=message):
        run(["--jsonl"])


def test_nothing_to_grade_is_said() -> None:
    from reghar.errors import InputError

    with pytest.raises(InputError, match="nothing to grade"):
        run(["--gold", "1"])
    with pytest.raises(InputError, match="leave out"):
        run(["--jsonl", "--gold", "1"])


def test_options_without_the_kind_that_has_them_are_refused() -> None:
    with pytest.raises(InputError, match="add --kind choice"):
        run(["--gold", "A", "--answer", "B", "--choice", "x"])
