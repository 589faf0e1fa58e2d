"""`reghar recommend` on stored runs: the figures recomputed from the tables, and bad input in one line."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from helpers.page_runs import write_run as write_page_run
from helpers.stored_runs import write_data, write_run

from reghar.cli import main
from reghar.measures.serving import serving_of
from reghar.prompting.wrap_ups import WRAP_UPS
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


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two wrap-ups over the same traces."""
    folder = tmp_path_factory.mktemp("served")
    words = ["run", "--engine", "scripted", "--tasks", "ladder", "--limit", "8", "--samples", "2"]
    words += [
        "--budgets",
        "0,16,64",
        "--max-tokens",
        "300",
        "--frontier",
        "none",
        "--out",
        str(folder / "run"),
    ]
    assert main(words) == 0
    again = ["probe", str(folder / "run"), "--wrap-up", "close", "--wrap-up", "qwen"]
    assert main([*again, "--out", str(folder)]) == 0
    return folder


def test_of_several_wrap_ups_the_cheapest_is_taken(
    served: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    both = [str(served / "close"), str(served / "qwen")]
    asked = ["recommend", *both, "--margin", "0.5", "--price-input", "1", "--price-output", "2"]
    assert main([*asked, "--json", "--figure", str(tmp_path / "serve.png")]) == 0
    found = json.loads(capsys.readouterr().out)
    alone = {}
    for label, path in zip(("close", "qwen"), both, strict=True):
        assert main(["recommend", path, *asked[3:], "--json"]) == 0
        alone[label] = json.loads(capsys.readouterr().out)
    assert found["runs"] == alone
    tokens = {
        label: next(row["tokens"] for row in one["budgets"] if row["budget"] == one["recommended"])
        for label, one in alone.items()
    }
    assert found["choice"] == min(tokens, key=tokens.__getitem__)
    assert {file.name for file in tmp_path.iterdir()} == {"serve.png", "serve.svg"}
    assert "Price of 1,000 responses" in (tmp_path / "serve.svg").read_text()
    assert main(asked) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Of 2, take {found['choice']}")


def test_lines_to_paste_hold_the_wrap_up(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["recommend", str(served / "qwen"), "--margin", "0.9"]) == 0
    shown = capsys.readouterr().out
    serve = next(line for line in shown.splitlines() if line.startswith("vLLM:"))
    words = shlex.split(serve)
    config = json.loads(words[words.index("--reasoning-config") + 1])
    assert config == {
        "reasoning_start_str": "<think>",
        "reasoning_end_str": WRAP_UPS["qwen"].partition("{close_thinking}")[0] + "</think>",
    }
    assert '"thinking_token_budget": 0' in shown
    assert "--reasoning-budget 0 --reasoning-budget-message 'Considering the limited time" in shown


def test_other_traces_are_no_choice(served: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recommend", str(served / "close"), str(run)]) == 2
    assert "are no probings of the same traces" in capsys.readouterr().err
    assert main(["recommend", str(served / "close"), str(served / "close")]) == 2
    assert "two runs are called 'close': name them" in capsys.readouterr().err
    assert main(["recommend", f"a={served / 'close'}", f"b={served / 'close'}", "--margin", "0.5"]) == 0
    assert capsys.readouterr().out.startswith("Of 2, take a")


def test_no_choice_shows_each(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["recommend", str(served / "close"), str(served / "qwen"), "--margin", "0.00001"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("None of these")
    assert "\nclose:\n" in shown
    assert "\nqwen:\n" in shown
