"""`NAME=RUN` wherever runs are given, and the notes that a verdict refers to."""

import json
from pathlib import Path

import pytest

from reghar.cli import main
from reghar.cli.options import named_run

RUN = Path(__file__).resolve().parents[1] / "results" / "reference" / "terse"


def test_a_name_stands_for_the_models_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", f"before={RUN}", f"after={RUN}", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "before" in printed
    assert "after" in printed
    content = json.loads((tmp_path / "report.json").read_text())
    assert {report["model"] for report in content["reports"]} == {"before", "after"}


def test_a_path_that_exists_is_a_path(tmp_path: Path) -> None:
    odd = tmp_path / "a=b"
    odd.mkdir()
    assert named_run(str(odd)) == (None, odd)
    assert named_run(f"x={odd}") == ("x", odd)


def test_the_notes_of_the_verdict_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(RUN), "--frontier", "auto", "--out", str(tmp_path)]) == 0
    assert "note: the frontier ladder was picked by the model's name" in capsys.readouterr().out
