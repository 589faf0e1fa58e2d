"""From a stored run to its report, and `reghar report`: every figure against one computed by hand."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.protocols import protocol_settings, task_settings

from reghar.cli import report as command
from reghar.errors import InputError
from reghar.frontiers.choose import choose_frontier
from reghar.protocol import Protocol
from reghar.report import markdown
from reghar.report.build import build_report
from reghar.report.schema import Report
from reghar.report.write import write_report
from reghar.store import StoredRun, load_run
from reghar.store.manifest import write_json
from reghar.store.parts import write_part
from reghar.store.tables import ANSWERS, SCORES, TRACES, schemas

BUDGETS = (0, 64, 128, 1024, 2048, 4096)
PROBLEMS = {"aime24": 30, "amc23": 40}
SAMPLES = 2


def write_run(
    path: Path,
    *,
    model: str = "someone/Qwen3-4B-tuned",
    problems: dict[str, int] = PROBLEMS,
    skip: int = 0,
    slower: float = 1.0,
    failures: bool = False,
) -> StoredRun:
    """A run whose answers are right from some budget on; the first `skip` scores are left out."""
    rng = np.random.default_rng(0)
    tables: dict[str, list[dict[str, Any]]] = {TRACES: [], ANSWERS: [], SCORES: []}
    for task, count in problems.items():
        for problem in range(count):
            for sample in range(SAMPLES):
                key = {"task": task, "problem": f"p{problem}", "sample": sample}
                settled = rng.uniform(50, 6000) * slower
                _add_trace(tables, key, settled, failures=failures)
    tables[SCORES] = tables[SCORES][skip:]
    for table, rows in tables.items():
        write_part(path / table, 1, rows, schemas()[table])
    write_json(path / "run.json", _manifest(model, problems))
    return load_run(path)


def _add_trace(
    tables: dict[str, list[dict[str, Any]]], key: dict[str, Any], settled: float, *, failures: bool
) -> None:
    length = min(int(settled * 1.5), 8192)
    none = {"seed": 0, "text": "", "token_ids": []}
    tables[TRACES].append(
        key
        | none
        | {
            "prompt_tokens": 9,
            "length": length,
            "thinking_length": 0,
            "finished": length < 8192,
            "looped": False,
        }
        | {"thinking_opened": False, "thinking_start": None, "thinking_end": None}
    )
    for budget in (*(b for b in BUDGETS if b < length), None):
        at = length if budget is None else budget
        wrong = "grader_timeout" if failures and key["sample"] == 0 else "incorrect"
        tables[ANSWERS].append(
            key
            | none
            | {"budget": budget, "forced": budget is not None, "prompt_tokens": 10, "cached_tokens": 8}
            | {"dropped_tokens": 0}
        )
        tables[SCORES].append(
            key | {"budget": budget, "outcome": "correct" if at >= settled else wrong, "answer": "1"}
        )


def _manifest(model: str, problems: dict[str, int]) -> dict[str, Any]:
    tasks = {
        task: task_settings([f"p{i}" for i in range(count)], of_problems=PROBLEMS[task], samples=SAMPLES)
        for task, count in problems.items()
    }
    return {
        "model": model,
        "digest": "0" * 64,
        "protocol": protocol_settings(tasks, BUDGETS),
        "frontier": "auto",
        "interval": "problems",
        "notes": ["a note of the run"],
        "sessions": [{"seconds": 2.0}],
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    return write_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def report(run: StoredRun) -> Report:
    return build_report(run, frontier="Qwen3-4B", replicates=500)


def _published(published: Path, task: str) -> list[float]:
    """The published frontier of Qwen3-4B at the run's budgets, all of which are on its grid."""
    with (published / "frontier_points.csv").open(newline="") as file:
        points = {
            int(row["budget_tokens"]): float(row["accuracy"])
            for row in csv.DictReader(file)
            if row["base_model"] == "Qwen3-4B" and row["task"] == task
        }
    return [points[budget] for budget in BUDGETS]


def test_reg_is_the_trapezoid_between_the_published_frontier_and_the_curve(
    report: Report, published: Path
) -> None:
    regs = []
    for name, task in report.tasks.items():
        assert task.frontier is not None
        assert list(task.frontier.accuracy) == pytest.approx(_published(published, name), abs=1e-11)
        gap = np.array(_published(published, name)) - np.array(task.curve.accuracy)
        by_hand = sum(
            (b - a) * (x + y) / 2 for a, b, x, y in zip(BUDGETS, BUDGETS[1:], gap, gap[1:], strict=False)
        )
        reg = task.measure("reg")
        assert reg is not None
        assert reg.value == pytest.approx(by_hand)
        assert reg.low is not None
        assert reg.high is not None
        assert reg.low < by_hand < reg.high
        regs.append(by_hand)
    average = report.average.measure("reg")
    assert average is not None
    assert average.value == pytest.approx(np.mean(regs))


def test_every_answer_is_counted_at_every_budget(report: Report) -> None:
    for name, task in report.tasks.items():
        planned = PROBLEMS[name] * SAMPLES
        assert [sum(column) for column in zip(*task.outcomes.values(), strict=True)] == [planned] * len(
            BUDGETS
        )
        assert sum(task.full_outcomes.values()) == planned
        assert np.allclose(np.array(task.outcomes["correct"]) / planned, task.curve.accuracy)
    assert report.complete
    assert report.notes[-1] == "a note of the run"


def test_the_average_curve_is_the_mean_of_the_task_curves(report: Report) -> None:
    curves = [task.curve.accuracy for task in report.tasks.values()]
    assert np.allclose(report.average.curve.accuracy, np.mean(curves, axis=0))
    assert report.average.frontier is not None


def test_the_cost_has_the_share_found_in_the_cache(report: Report, run: StoredRun) -> None:
    forced = int(run.answers["forced"].sum())
    assert report.cost["probes"] == forced
    assert report.cost["seconds"] == 2.0
    share = report.cost["probe_prompt_tokens_cached_share"]
    assert share == pytest.approx(8 / 10)


def test_the_same_scores_give_the_same_bytes(run: StoredRun, report: Report) -> None:
    again = build_report(load_run(run.path), frontier="Qwen3-4B", replicates=500)
    assert again.to_json() == report.to_json()


def test_every_column_of_the_page_has_its_measure(report: Report) -> None:
    from reghar.report import ranking, terminal

    columns = {*markdown.SUMMARY, *ranking.RANKING_COLUMNS, *terminal.SUMMARY_COLUMNS}
    columns |= {f"{whose}tokens_to_{percent}" for percent in markdown.REACH for whose in ("", "frontier_")}
    for task in report.tasks.values():
        assert columns - {measure.name for measure in task.measures} == set()
    shared = {*markdown.SUMMARY, *ranking.RANKING_COLUMNS, *terminal.SUMMARY_COLUMNS}
    assert shared - {measure.name for measure in report.average.measures} == set()


def test_grader_failures_widen_the_curve_upwards(tmp_path: Path) -> None:
    built = build_report(write_run(tmp_path, failures=True), frontier="none", replicates=100)
    for task in built.tasks.values():
        failed = np.array(task.outcomes["grader_timeout"])
        planned = task.problems * task.samples
        assert failed[0] > 0
        assert np.allclose(task.grader_failures.accuracy_if_right, task.curve.accuracy + failed / planned)
        assert task.grader_failures.count == failed.sum()
        assert task.frontier is None
    assert built.frontier is None


def test_an_incomplete_run_is_reported_and_marked(tmp_path: Path) -> None:
    run = write_run(tmp_path, skip=3)
    built = build_report(run, frontier="Qwen3-4B", replicates=100)
    assert not built.complete
    assert built.tasks["aime24"].missing > 0
    assert sum(built.tasks["aime24"].outcomes["missing"]) == built.tasks["aime24"].missing
    assert built.tasks["amc23"].missing == 0
    write_report(built, run, tmp_path)
    traces = pd.read_parquet(tmp_path / "traces.parquet")
    assert len(traces) == sum(PROBLEMS.values()) * SAMPLES
    lost = traces["flips"].isna()
    assert 0 < lost.sum() <= 3
    assert traces.loc[lost, ["first_correct", "settled", "wasted_tokens"]].isna().all(axis=None)
    assert "INCOMPLETE" in (tmp_path / "report.md").read_text(encoding="utf-8").splitlines()[2]


def test_a_subset_of_problems_is_dropped_for_auto_and_refused_for_a_name(tmp_path: Path) -> None:
    run = write_run(tmp_path, problems={"aime24": 8, "amc23": 40})
    built = build_report(run, frontier="auto", replicates=100)
    assert built.tasks["aime24"].frontier is None
    reg = built.tasks["aime24"].measure("reg")
    assert reg is None or reg.value is None
    assert any("8 of the 30 problems" in note for note in built.tasks["aime24"].notes)
    assert built.tasks["amc23"].frontier is not None
    with pytest.raises(InputError, match="8 of the 30 problems"):
        build_report(run, frontier="Qwen3-4B", replicates=100)


def test_auto_says_which_frontier_it_picked() -> None:
    protocol = Protocol.from_dict(_manifest("", PROBLEMS)["protocol"])
    found = choose_frontier("auto", model="someone/Qwen3-4B-tuned", protocol=protocol)
    assert found.record is not None
    assert (found.record.name, found.record.chosen, found.record.protocol) == (
        "Qwen3-4B",
        "auto",
        "unverified",
    )
    assert found.record.unknown
    assert any("Qwen3-4B" in note for note in found.notes)


def test_auto_without_a_match_says_how_to_get_reg() -> None:
    found = choose_frontier(
        "auto", model="someone/unheard-of", protocol=Protocol.from_dict(_manifest("", PROBLEMS)["protocol"])
    )
    assert found.record is None
    assert any("--frontier" in note for note in found.notes)


def test_a_task_or_kind_of_budget_that_the_frontier_has_not_is_refused_for_a_name() -> None:
    settings = _manifest("", {"aime24": 30})["protocol"]
    unknown = Protocol.from_dict(settings | {"tasks": {"gsm8k": settings["tasks"]["aime24"]}})
    thinking = Protocol.from_dict(settings | {"budget_counts": "thinking"})
    with pytest.raises(InputError, match="no task gsm8k"):
        choose_frontier("Qwen3-4B", model="m", protocol=unknown)
    with pytest.raises(InputError, match="thinking"):
        choose_frontier("Qwen3-4B", model="m", protocol=thinking)
    assert choose_frontier("auto", model="Qwen3-4B", protocol=unknown).record is None


def _arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return parser.parse_args(["report", *words])


def test_the_command_writes_into_the_run_folder(run: StoredRun, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = _arguments(str(run.path), "--frontier", "Qwen3-4B", "--figures")
    assert arguments.handler(arguments) == 0
    shown = capsys.readouterr().out
    assert "aime24" in shown
    assert "report.md" in shown.replace("\n", "")
    for name in ("report.json", "report.md", "curves.png", "curves.svg", "problems.png", "outcomes.svg"):
        assert (run.path / name).stat().st_size > 0
    assert Report.read(run.path).model == run.model


def test_the_command_prints_json(run: StoredRun, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = _arguments(str(run.path), "--frontier", "none", "--format", "json", "--interval", "samples")
    assert arguments.handler(arguments) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["interval"]["kind"] == "samples"
    assert content["frontier"] is None


def test_the_command_ranks_several_runs(
    run: StoredRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = write_run(tmp_path / "slow", model="slow/Qwen3-4B-slow", slower=2.0)
    out = tmp_path / "out"
    arguments = _arguments(str(slow.path), str(run.path), "--out", str(out))
    assert arguments.handler(arguments) == 0
    ranked = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert [one["model"] for one in ranked["reports"]] == [run.model, slow.model]
    assert ranked["ranked_by"] == "reg"
    assert (out / "curves.png").stat().st_size > 0
    assert "| 1 |" in (out / "report.md").read_text(encoding="utf-8")
    assert "slow" in capsys.readouterr().out


def test_several_runs_need_a_folder(run: StoredRun) -> None:
    arguments = _arguments(str(run.path), str(run.path))
    with pytest.raises(InputError, match="--out"):
        arguments.handler(arguments)


def test_efficiency_of_single_traces_is_in_the_report(tmp_path: Path) -> None:
    report = build_report(write_run(tmp_path), frontier="none")
    for task in report.tasks.values():
        assert task.efficiency is not None
        assert task.efficiency.first_correct is not None
        assert task.efficiency.settled is not None
        assert task.efficiency.never_correct is not None
        assert 50 < task.efficiency.first_correct <= task.efficiency.settled < 4096
        assert 0 < task.efficiency.never_correct < 1, "some settle beyond the grid"
    assert "## Efficiency of single traces" in markdown.report_markdown(report)
