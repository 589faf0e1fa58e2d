"""`reghar recommend` on stored runs: the figures recomputed from the tables, and bad input in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.page_runs import write_run as write_page_run
from helpers.stored_runs import write_data, write_run

from reghar.cli import main
from reghar.measures.serving import serving_of
from reghar.report.build import build_report
from reghar.report.page.build import PageRun, index
from reghar.store import load_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recommend")
    return write_run(folder / "run", write_data(folder / "data"), seed=1)


def test_figures_are_those_of_the_tables(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prices = ["--price-input", "1", "--price-output", "2"]
    assert main(["recommend", str(run), "--json", "--margin", "0.2", *prices]) == 0
    result = json.loads(capsys.readouterr().out)
    stored = load_run(run)
    last = result["budgets"][-1]
    means = [stored.outcomes(task).correct[..., -1].mean() for task in stored.tasks]
    assert last["accuracy"] == pytest.approx(sum(means) / 2)
    answers = stored.answers[(stored.answers["budget"] == 0) & stored.answers["forced"]]
    by_task = answers["token_ids"].map(len).groupby(answers["task"]).mean()
    assert result["budgets"][0]["tokens"] == pytest.approx(by_task.mean())
    prompt = stored.traces.groupby("task")["prompt_tokens"].mean().mean()
    assert last["price_per_1000"] == pytest.approx((prompt + 2 * last["tokens"]) / 1000)
    passed = [row["verdict"] == "not worse" for row in result["budgets"]]
    first = len(passed) - (passed[::-1].index(False) if False in passed else len(passed))
    expected = result["budgets"][first]["budget"] if first < len(passed) else None
    assert result["recommended"] == expected


def test_the_terminal_says_the_answer_first(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", str(run), "--margin", "0.5"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Serve with ")
    assert "count response tokens" in shown
    assert main(["recommend", str(run), "--margin", "0.00001"]) == 0
    assert capsys.readouterr().out.startswith(("No budget is shown", "Serve with 512"))


def test_the_page_takes_the_same_rule(tmp_path: Path) -> None:
    for problems, samples in ((6, 6), (1, 2)):
        stored = write_page_run(tmp_path / str(problems), problems=problems, samples=samples)
        report = build_report(stored, replicates=50)
        (task,) = index([PageRun(run=stored, report=report)], served=False)["runs"][0]["tasks"].values()
        if problems == 1:
            assert task["serve"]["at"] is None
            assert "from 1 problem" in task["serve"]["why"]
        else:
            serving = serving_of([stored.outcomes(stored.tasks[0])])
            at = task["serve"]["at"]
            assert (None if at is None else serving.budgets[at]) == serving.recommended
            assert (at is None) == (task["serve"]["why"] is not None)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--margin", "1.5"], "--margin 1.5: give the accuracy"),
        (["--margin", "nan"], "--margin nan: give the accuracy"),
        (["--price-input", "1"], "a price needs both"),
        (["--price-input", "-1", "--price-output", "1"], "--price-input -1: give the price"),
        (["--price-input", "1", "--price-output", "nan"], "--price-output nan: give the price"),
    ],
)
def test_bad_input_is_one_line(
    run: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recommend", str(run), *flags]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
