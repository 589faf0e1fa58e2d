"""The rule for thinking that a prompt opened and a finished response never closed, from flag to report."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reghar.cli import main
from reghar.engines.scripted import ScriptedEngine
from reghar.prompting.scripted import ByteTokenizer
from reghar.protocol import Protocol
from reghar.report.schema import Report
from reghar.run.planning import make_plan
from reghar.run.settings import RunSettings

COMMAND = [
    *("run", "--engine", "scripted", "--tasks", "ladder", "--limit", "3", "--samples", "2"),
    *("--budgets", "0,64", "--max-tokens", "2000", "--frontier", "none"),
]


@pytest.fixture
def opening(monkeypatch: pytest.MonkeyPatch) -> None:
    """A template that opens the thinking block, as those of the R1 family do."""
    render = ByteTokenizer.render_chat

    def opened(self: ByteTokenizer, *arguments: Any) -> str:
        return f"{render(self, *arguments)}<think>\n"

    monkeypatch.setattr(ByteTokenizer, "render_chat", opened)


def protocol(unclosed: str) -> Protocol:
    settings = RunSettings(
        model="scripted", engine="scripted", tasks=("ladder",), budgets="0,64", frontier="none"
    )
    return make_plan(RunSettings(**{**vars(settings), "unclosed": unclosed})).protocol


def test_without_an_opened_block_the_rule_is_not_in_the_digest() -> None:
    assert "unclosed" not in protocol("grade").as_dict()
    assert protocol("grade").digest == protocol("no_answer").digest


@pytest.mark.usefixtures("opening")
def test_with_an_opened_block_the_rule_is_in_the_digest() -> None:
    graded, before = protocol("grade"), protocol("no_answer")
    assert graded.as_dict()["unclosed"] == "grade"
    assert "unclosed" not in before.as_dict(), "comparable with runs from before the rule"
    assert graded.differences(before) == ['unclosed: "grade" != null']
    assert Protocol.from_dict(graded.as_dict()) == graded
    assert Protocol.from_dict(before.as_dict()).unclosed == "no_answer"


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("opening")
def test_the_flag_grades_the_report_says_and_probe_changes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    respond = ScriptedEngine._response

    def unclosed(self: ScriptedEngine, *arguments: object) -> str:
        return respond(self, *arguments).replace("</think>", " ").replace("<think>", " ")

    monkeypatch.setattr(ScriptedEngine, "_response", unclosed)
    strict, graded = tmp_path / "strict", tmp_path / "graded"
    assert main([*COMMAND, "--unclosed", "no_answer", "--out", str(strict)]) == 0
    assert main(["probe", str(strict), "--unclosed", "grade", "--out", str(graded)]) == 0
    for folder, answered in ((strict, False), (graded, True)):
        own = pd.read_parquet(folder / "answers").query("not forced")
        assert len(own) == 6
        assert own["text"].notna().all() == answered
        assert own["text"].isna().all() != answered
        measure = Report.read(folder).tasks["ladder"].measure("share_answered_inside")
        assert measure is not None
        assert measure.value == 1
        assert "share_answered_inside" in (folder / "report.md").read_text().replace("\\", "")
    assert json.loads((graded / "run.json").read_text())["protocol"]["unclosed"] == "grade"
