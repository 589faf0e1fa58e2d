"""`reghar policies` on stored runs: figures recomputed from the tables, what is left out, and pictures."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.outcome_arrays import outcomes_of
from helpers.stored_runs import BUDGETS, write_data, write_run

from reghar.cli import main
from reghar.measures.policies import Answers
from reghar.measures.policies_of_run import CHANCES, stored_policies, task_policies
from reghar.measures.scaling import RIGHT
from reghar.report.build import build_report
from reghar.report.figures.policies import draw_policies, write_policy_figures
from reghar.report.policies import BOUND, policies_markdown, policies_text
from reghar.store import load_run
from reghar.store.parts import write_part
from reghar.store.tables import ANSWERS, schemas


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("policies") / "data")


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    return write_run(data.parent / "run", data, seed=1, samples=4, limit=12)


def test_figures_are_those_of_the_tables(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policies", str(run), "--json", "--margin", "0.3"]) == 0
    task = json.loads(capsys.readouterr().out)["tasks"]["amc23"]
    stored = load_run(run)
    traces = stored.traces[stored.traces["task"] == "amc23"]
    answers = stored.answers[(stored.answers["task"] == "amc23") & stored.answers["forced"]]
    written = answers["token_ids"].map(len).groupby(answers["budget"].astype(int)).sum()
    outcomes = stored.outcomes("amc23")
    for i, (budget, point) in enumerate(zip(BUDGETS, task["families"]["fixed"], strict=True)):
        spent = np.minimum(traces["length"].to_numpy(float), budget).sum() + written.get(budget, 0)
        assert point["tokens"] == pytest.approx(spent / len(traces))
        assert point["accuracy"] == pytest.approx(outcomes.correct[..., i].mean())
    assert task["unbounded"]["tokens"] == pytest.approx(traces["length"].mean())
    assert task["settled"]["accuracy"] == pytest.approx(outcomes.correct[..., -1].mean())
    assert task["settled"]["tokens"] < task["families"]["fixed"][-1]["tokens"]
    families = [one["family"] for one in task["savings"]]
    assert families == ["fixed", "stable(k)", "stable(2, from B)", "any"]
    oracle = task["oracle"]
    assert [row["tokens"] for row in oracle] == [point["tokens"] for point in task["families"]["fixed"]]
    went = task["allocation"]
    shares = went["useful_share"] + went["overthinking_share"]["value"] + went["futility_share"]["value"]
    assert shares == pytest.approx(1)


def test_confident_is_left_out_where_no_answer_has_a_log_probability(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["policies", str(run)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "confident(t) is left out: no answer has a log-probability" in shown
    assert "settled knows the gold" in shown


def with_confidence(run: Path, out: Path, value: float) -> Path:
    """The same run whose answers at 128 tokens and more have this mean log-probability, and others -9."""
    shutil.copytree(run, out)
    answers = pd.concat([pd.read_parquet(part) for part in sorted((out / ANSWERS).glob("*.parquet"))])
    shutil.rmtree(out / ANSWERS)
    rows: list[dict[str, Any]] = []
    for row in answers.to_dict("records"):
        whole = {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in row.items()}
        for name in ("budget", "cached_tokens"):
            whole[name] = None if whole[name] is None else int(whole[name])
        if whole["forced"]:
            count = len(whole["token_ids"])
            mean = value if whole["budget"] >= 128 else -9.0
            whole |= {"answer_logprob": mean * count, "answer_tokens_scored": count}
        rows.append(whole)
    write_part(out / ANSWERS, 1, rows, schemas()[ANSWERS])
    return out


def test_confident_reads_the_stored_log_probabilities(run: Path, tmp_path: Path) -> None:
    result = stored_policies(load_run(with_confidence(run, tmp_path / "run", -0.2)), replicates=50)
    for task in result["tasks"].values():
        points = task["families"]["confident(t)"]
        assert len(points) == len(CHANCES)
        # exp(-0.2) is 0.82: chances up to 0.8 stop at 128 tokens or where the trace ended, others never.
        stops = [point["accuracy"] for point in points]
        assert stops[:3] == [task["families"]["fixed"][BUDGETS.index(128)]["accuracy"]] * 3
        assert stops[3:] == [task["families"]["fixed"][-1]["accuracy"]] * 4
        assert points[0]["tokens"] < points[-1]["tokens"]
        assert not task["notes"]


def test_what_cannot_be_said_is_named(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    single = write_run(tmp_path / "single", data, seed=1, samples=1, limit=1)
    result = stored_policies(load_run(single), replicates=50)
    task = result["tasks"]["amc23"]
    assert task["oracle"] is None
    assert task["savings"] == []
    assert task["unbounded"]["low"] is None
    assert [note.split(":")[0] for note in task["notes"]] == [
        "confident(t) is left out",
        "no savings",
        "no oracle allocation and no regret",
    ]
    json.dumps(result, allow_nan=False)
    one = write_run(tmp_path / "one", data, seed=1, samples=1, limit=1, budgets=(512,))
    capsys.readouterr()
    for flags, message in (
        ([str(one)], "has the budget 512 alone"),
        ([str(single), "--margin", "2"], "--margin 2: give the accuracy"),
        ([str(single), "--seed", "-1"], "--seed -1: give a number"),
    ):
        assert main(["policies", *flags]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def hostile(right: bool, *, problems: int) -> dict[str, Any]:
    """A task all right or all wrong, whose traces end at 50 and 900 tokens."""
    budgets = [0, 100, 400]
    correct = np.full((problems, 2, 3), right)
    outcomes = outcomes_of(correct, budgets, lengths=np.tile([50, 900], (problems, 1)))
    over = outcomes.counted[:, :, None] <= outcomes.budgets
    answers = Answers(
        outcomes=outcomes,
        groups=np.where(correct, RIGHT, 2),
        tokens=np.where(over, 0, 10),
        confidence=np.where(over, np.nan, -0.1),
    )
    return task_policies(answers, replicates=50)


def test_pictures_and_page_hold_whatever_there_is(run: Path, tmp_path: Path) -> None:
    name = "<b>a very long $name$ of a task | that no panel holds</b>" * 2
    result = {
        "model": "m",
        "margin": 0.01,
        "tasks": {
            name: hostile(True, problems=1),
            "wrong": hostile(False, problems=5),
            **stored_policies(load_run(run), replicates=50)["tasks"],
        },
    }
    files = write_policy_figures(result, tmp_path)
    assert [file.name for file in files] == ["policies.png", "policies.svg", "tokens.png", "tokens.svg"]
    page = policies_markdown(result, [file.name for file in files[::2]])
    assert "<b>" not in page
    assert "nan" not in page + policies_text(result)


def test_what_needs_the_gold_is_dotted_and_called_so() -> None:
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    draw_policies(axes, hostile(True, problems=5))
    (bound,) = [line for line in axes.get_lines() if line.get_label() == BOUND]
    assert bound.get_linestyle() == ":"
    assert "needs the gold" in BOUND


def test_the_report_says_where_the_tokens_went(run: Path) -> None:
    stored = load_run(run)
    report = build_report(stored, replicates=50)
    for name, task in report.tasks.items():
        outcomes = stored.outcomes(name)
        right = outcomes.correct > 0
        futile = ~right.any(axis=-1)
        found = task.allocation
        assert found is not None
        assert found.futility_waste.value == pytest.approx(outcomes.length[futile].mean())
        end = right[..., -1:]
        for shown, expected in ((found.harm, right & ~end), (found.starvation, ~right & end)):
            values = [one.value for one in shown]
            assert values == pytest.approx(expected.mean(axis=(0, 1)).tolist())
