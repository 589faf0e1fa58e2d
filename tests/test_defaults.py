"""Defaults that suit a model belong to the model; flags that would do nothing are refused."""

import json
from pathlib import Path

import pytest

from reghar.cli import main


@pytest.mark.parametrize(
    "flags",
    [
        ["--model", "demo:terse", "--tasks", "ladder", "--samples", "4"],
        ["--model", "demo:verbose", "--limit", "60"],
        ["--model", "demo:terse", "--engine", "scripted"],
        ["--model", "demo:wanderer", "--probe", "final-answer"],
    ],
    ids=lambda flags: " ".join(flags),
)
def test_a_demo_model_runs_whatever_else_is_given(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *flags, "--dry-run"]) == 0, capsys.readouterr().err
    assert "ladder" in capsys.readouterr().out


def test_an_address_that_nothing_asks_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--model", "demo:terse", "--base-url", "http://localhost:1", "--dry-run"]) == 2
    assert "--engine openai" in capsys.readouterr().err


def test_a_number_where_the_data_set_has_text_is_text(tmp_path: Path) -> None:
    row = {"id": "g-0", "question": "How many?", "problem": "How many?", "answer": 42}
    (tmp_path / "gsm8k.jsonl").write_text(json.dumps(row) + "\n")
    flags = ["--model", "demo:terse", "--tasks", "gsm8k", "--data-dir", str(tmp_path), "--dry-run"]
    assert main(["run", *flags]) == 0
