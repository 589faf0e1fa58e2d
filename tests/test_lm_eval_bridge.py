"""The whole curve in lm-eval: its evaluator and its files hold the numbers of `reghar report`."""

import json
import logging
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reghar.cli import main
from reghar.errors import InputError
from reghar.paths import data_dir
from reghar.report.build import build_report
from reghar.report.schema import Report, TaskReport
from reghar.store import load_run
from reghar.tasks import load_problems, load_task

TASKS = {"aime24": 30, "amc23": 40}
BUDGETS = (0, 64, 128, 256, 512)
SAMPLES = 3
FRONTIER = "Qwen3-4B"


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No cache outside the test; lm-eval's own warnings are not ours to mend."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    level = logging.getLogger("lm_eval").level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.getLogger("lm_eval").setLevel(level)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many problems as the frontier was made of, with the answer that the scripted engine finds."""
    folder = tmp_path_factory.mktemp("data")
    for task, count in {**TASKS, "math500": 1}.items():
        rows = [{"id": f"{task}-{i}", "problem": f"6 x 7? ({i})", "answer": "42"} for i in range(count)]
        (folder / f"{task}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder


def flags(data: Path, out: Path) -> list[str]:
    return [
        *("--engine", "scripted", "--tasks", ",".join(TASKS), "--data-dir", str(data)),
        *("--samples", str(SAMPLES), "--budgets", ",".join(map(str, BUDGETS)), "--max-tokens", "700"),
        *("--frontier", FRONTIER, "--out", str(out)),
    ]


@pytest.fixture(scope="module")
def evaluated(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run made by `reghar lm-eval`."""
    out = tmp_path_factory.mktemp("evaluated") / "run"
    assert main(["lm-eval", *flags(data, out)]) == 0
    return out


def settings(data: Path, out: Path) -> dict[str, Any]:
    """What `flags` says, for `RegharLM`."""
    return {
        **{"model": "scripted", "engine": "scripted", "data_dir": str(data), "samples": SAMPLES},
        **{"budgets": list(BUDGETS), "max_tokens": 700, "frontier": FRONTIER, "out": str(out)},
    }


def simple_evaluate(model: Any, data: Path, names: list[str], **arguments: Any) -> dict[str, Any]:
    """lm-eval's own function on our task files."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    manager = TaskManager(
        include_path=str(data_dir("tasks")), include_defaults=False, metadata={"data_dir": str(data)}
    )
    found = lm_eval.simple_evaluate(
        model, tasks=[f"reghar_{name}" for name in names], task_manager=manager, **arguments
    )
    assert found is not None
    return dict(found)


def assert_same_figures(figures: dict[str, Any], task: TaskReport) -> None:
    """Every figure of lm-eval's is the report's, digit for digit, and none is missing."""
    from reghar.lm_eval_bridge.figures import SHOWN_MEASURES

    expected = {
        f"acc@{budget}": accuracy
        for budget, accuracy in zip(task.curve.budgets, task.curve.accuracy, strict=True)
    }
    expected |= {one.name: one.value for one in task.measures if one.name in SHOWN_MEASURES}
    shown = {
        key.removesuffix(",none"): value
        for key, value in figures.items()
        if key.endswith(",none") and "_stderr" not in key
    }
    assert shown == expected
    assert {"reg", "control", "scaling", "acc@0", "acc@512"} <= set(shown)


def results_file(folder: Path) -> dict[str, Any]:
    [file] = folder.glob("*/results_*.json")
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def test_files_hold_the_figures_of_the_report(evaluated: Path) -> None:
    report = Report.read(evaluated)
    written = results_file(evaluated / "lm-eval")
    assert set(written["results"]) == {f"reghar_{task}" for task in TASKS}
    for name, task in report.tasks.items():
        assert_same_figures(written["results"][f"reghar_{name}"], task)
    assert written["model_name"] == "scripted"
    assert written["config"]["reghar"]["digest"] == report.digest
    assert written["n-samples"]["reghar_aime24"] == {"original": 30, "effective": 30}
    assert written["higher_is_better"]["reghar_aime24"]["reg"] is False
    assert written["higher_is_better"]["reghar_aime24"]["acc@64"] is True
    assert set(written["task_hashes"]) == set(written["results"])


def test_settings_of_forcing_that_the_run_names(evaluated: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["lm-eval", *flags(data, out), "--settings", "64,128,512"]) == 0
    report, default = Report.read(out), Report.read(evaluated)
    written = results_file(out / "lm-eval")["results"]
    for name, task in report.tasks.items():
        assert_same_figures(written[f"reghar_{name}"], task)
        assert task.measure("scaling") != default.tasks[name].measure("scaling")


def test_standard_errors_are_those_of_the_bootstrap(evaluated: Path) -> None:
    report = Report.read(evaluated)
    figures = results_file(evaluated / "lm-eval")["results"]["reghar_amc23"]
    for name in ("reg", "accuracy_full", "mean_length", "scaling"):
        measure = report.tasks["amc23"].measure(name)
        assert measure is not None
        assert measure.low is not None
        assert measure.high is not None
        half = (measure.high - measure.low) / 2
        assert figures[f"{name}_stderr,none"] == pytest.approx(half / 2.02, rel=0.1)
    assert figures["acc@512_stderr,none"] == pytest.approx(figures["accuracy_at_l_max_stderr,none"], rel=0.03)
    assert not [key for key in figures if "_stderr_stderr" in key]
    assert "N/A" not in figures.values()


def test_sample_files_hold_every_trace(evaluated: Path) -> None:
    [file] = (evaluated / "lm-eval").glob("*/samples_reghar_aime24_*.jsonl")
    samples = [json.loads(line) for line in file.read_text().splitlines()]
    run = load_run(evaluated)
    outcomes = run.outcomes("aime24")
    assert [sample["doc"]["id"] for sample in samples] == list(outcomes.problems)
    for place, sample in enumerate(samples):
        own = run.traces.query(f"task == 'aime24' and problem == '{sample['doc']['id']}'")
        assert sample["resps"] == [own.sort_values("sample")["text"].tolist()]
        assert sample["acc@256"] == pytest.approx(outcomes.correct[place, :, 3].mean())
        assert sample["mean_length"] == pytest.approx(outcomes.length[place].mean())
        assert not [name for name in sample if name.endswith("_stderr")]
        assert sample["arguments"]["gen_args_0"]["arg_1"]["max_gen_toks"] == 700
    total = Report.read(evaluated).tasks["aime24"].measure("reg")
    assert total is not None
    assert np.mean([sample["reg"] for sample in samples]) == pytest.approx(total.value)


def test_a_stored_run_gives_the_same_again(
    evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither data, model nor engine are there any more."""
    moved = shutil.copytree(evaluated, tmp_path / "moved", ignore=shutil.ignore_patterns("lm-eval"))
    assert main(["lm-eval", "--run", str(moved), "--output_path", str(tmp_path / "files")]) == 0
    printed = capsys.readouterr().out
    assert "reghar_aime24" in printed
    assert "|reg " in printed
    assert "|acc@512 " in printed
    again, first = results_file(tmp_path / "files"), results_file(evaluated / "lm-eval")
    for key in ("results", "versions", "configs", "task_hashes", "n-samples"):
        assert json.dumps(again[key]).replace("moved", "") == json.dumps(first[key]), key


def test_simple_evaluate_with_a_model_of_ours(data: Path, tmp_path: Path) -> None:
    from reghar.lm_eval_bridge import RegharLM

    results = simple_evaluate(RegharLM(**settings(data, tmp_path / "run")), data, list(TASKS))
    report = build_report(load_run(tmp_path / "run"), frontier=FRONTIER)
    for name, task in report.tasks.items():
        assert_same_figures(results["results"][f"reghar_{name}"], task)
        assert isinstance(results["results"][f"reghar_{name}"]["reg_stderr,none"], float)
    assert results["config"]["model_args"]["model"] == "scripted"


def test_by_its_registered_name_and_with_a_limit(data: Path, tmp_path: Path) -> None:
    import reghar.lm_eval_bridge  # noqa: F401 - registers the model

    arguments = settings(data, tmp_path / "run") | {"frontier": "none", "interval": "samples"}
    results = simple_evaluate("reghar", data, ["amc23"], limit=5, model_args=arguments)
    run = load_run(tmp_path / "run")
    assert run.protocol.tasks["amc23"].of_problems == 40
    report = build_report(run, frontier="none", interval="samples")
    figures = results["results"]["reghar_amc23"]
    assert "reg,none" not in figures
    for budget, accuracy in zip(BUDGETS, report.tasks["amc23"].curve.accuracy, strict=True):
        assert figures[f"acc@{budget},none"] == accuracy
    correct = run.outcomes("amc23").correct[..., -1]
    assert figures["acc@512_stderr,none"] == pytest.approx(
        np.sqrt((correct.var(axis=1, ddof=1) / SAMPLES).sum()) / 5
    )


@pytest.mark.parametrize(
    ("arguments", "names", "message"),
    [
        ({"limit": 7}, ["amc23"], "asks 7 problems of amc23, the run 40"),
        ({"gen_kwargs": {"temperature": 0.9}}, ["amc23"], "asks for temperature=0.9"),
        ({"system_instruction": "Be brief."}, ["amc23"], "in other words than the run"),
        ({}, ["math500"], "the run has no task 'math500'"),
    ],
)
def test_what_the_run_did_not_ask_is_refused(
    evaluated: Path, data: Path, arguments: dict[str, Any], names: list[str], message: str
) -> None:
    from reghar.lm_eval_bridge import RegharLM

    with pytest.raises(InputError, match=message):
        simple_evaluate(RegharLM(run=evaluated), data, names, **arguments)


def test_an_incomplete_run_is_refused(
    evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = shutil.copytree(evaluated, tmp_path / "broken")
    for part in (broken / "scores").glob("*.parquet"):
        part.unlink()
    assert main(["lm-eval", "--run", str(broken)]) == 2
    assert "incomplete" in capsys.readouterr().err


def test_settings_are_checked(evaluated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from reghar.lm_eval_bridge import RegharLM

    with pytest.raises(InputError, match="no setting 'temprature'"):
        RegharLM(model="scripted", temprature=0.1)
    with pytest.raises(InputError, match="needs model="):
        RegharLM(budgets="reg")
    with pytest.raises(InputError, match="give run=FOLDER alone"):
        RegharLM(run=evaluated, model="scripted")
    with pytest.raises(InputError, match="tasks that generate"):
        RegharLM(run=evaluated).loglikelihood([])
    assert main(["lm-eval", "--run", str(evaluated), "--tasks", "amc23"]) == 2
    assert "--run is a stored run" in capsys.readouterr().err


def test_the_generated_task_in_lm_eval() -> None:
    """Rows that a function makes are asked and graded as `reghar run` does."""
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(data_dir("tasks")), include_defaults=False)
    [task] = manager.load(["reghar_ladder"])["tasks"].values()
    problems = load_problems(load_task("ladder"))
    assert [task.doc_to_text(row) for row in task.eval_docs] == [p.question for p in problems]
    assert [row["gold"] for row in task.eval_docs] == [list(p.gold) for p in problems]
    assert {row["kind"] for row in task.eval_docs} == {"integer"}
    assert task.config.generation_kwargs["max_gen_toks"] == 1024
    answer = problems[0].gold[0]
    assert task.process_results(task.eval_docs[0], [f"\\boxed{{{answer}}}"])["accuracy_full"] == 1.0


@pytest.mark.engine
def test_the_stored_answers_of_the_real_engine(tmp_path: Path) -> None:
    out = tmp_path / "run"
    small = ("--limit", "6", "--samples", "2", "--budgets", "0,64,128", "--max-tokens", "200")
    command = ["--model", "demo:terse", "--tasks", "ladder", *small, "--frontier", "none", "--out", str(out)]
    assert main(["lm-eval", *command]) == 0
    written = results_file(out / "lm-eval")["results"]["reghar_ladder"]
    report = Report.read(out).tasks["ladder"]
    for budget, accuracy in zip(report.curve.budgets, report.curve.accuracy, strict=True):
        assert written[f"acc@{budget},none"] == accuracy
    for name in ("control", "mean_length", "accuracy_full"):
        measure = report.measure(name)
        if measure is not None:
            assert written[f"{name},none"] == measure.value
