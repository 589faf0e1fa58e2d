"""Tasks whose answers are programs: their data, a run from prompt to page, and grading again."""

from __future__ import annotations

import base64
import json
import os
import pickle
import shutil
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from helpers.code_problems import HUMANEVAL, LIVECODEBENCH, SOLUTIONS
from helpers.needs import missing

from reghar.cli import main
from reghar.errors import InputError
from reghar.grading import AnswerKind, GradeRequest, GraderPool, sandbox
from reghar.grading.code import grade_code
from reghar.grading.outcome import Outcome
from reghar.lm_eval_bridge.hooks import process_results
from reghar.report.page.build import PageRun, index
from reghar.report.schema import Report
from reghar.run.rescore import rescore
from reghar.store import StoredRun, load_run
from reghar.store.problems import read_problems
from reghar.tasks import load_problems, load_task
from reghar.tasks.code_tests import read_tests
from reghar.tasks.problems import documents

TASK = """
task: programs
doc_to_text: "{{problem}}\\n\\nPut the program into one fenced code block."
metadata: {answer: {kind: code}}
"""
SUMS = [("What is 6 x 7?", "42\n"), ("What is 50 - 8?", "42\n"), ("What is 1 + 1?", "2\n")]


@pytest.fixture(scope="module")
def _sandbox() -> None:
    if (reason := sandbox.missing_sandbox()) is not None:
        missing(reason)


contained = pytest.mark.usefixtures("_sandbox")


def write_rows(folder: Path, name: str, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def fenced(source: str) -> str:
    return f"So:\n```python\n{source}\n```"


@contained
def test_canonical_solutions_pass_and_an_empty_function_passes_none(tmp_path: Path) -> None:
    """HumanEval's own rule, on problems of the same form."""
    problems = load_problems(load_task("humaneval"), write_rows(tmp_path / "data", "humaneval", HUMANEVAL))
    assert [problem.id for problem in problems] == ["HumanEval/0", "HumanEval/1", "HumanEval/2"]
    for row, problem in zip(HUMANEVAL, problems, strict=True):
        assert row["prompt"].rstrip() in problem.question
        assert "METADATA" not in problem.question
        tests = read_tests(problem.gold[0])
        whole = fenced(row["prompt"] + row["canonical_solution"])
        assert grade_code(whole, tests).outcome is Outcome.CORRECT
        nothing = grade_code(fenced(row["prompt"] + "    pass\n"), tests).outcome
        assert nothing in (Outcome.TESTS_FAILED, Outcome.RUNTIME_ERROR)
        # What the question has given need not be said again.
        head = row["prompt"][row["prompt"].rindex("def ") :]
        assert grade_code(fenced(head + row["canonical_solution"]), tests).outcome is Outcome.CORRECT
        assert grade_code(fenced("pass"), tests).outcome is not Outcome.CORRECT


@contained
def test_livecodebench_of_its_window(tmp_path: Path) -> None:
    task = load_task("livecodebench")
    problems = load_problems(task, write_rows(tmp_path / "data", "livecodebench", LIVECODEBENCH))
    assert [problem.id for problem in problems] == ["abc001_a", "9001"], "both days belong to the window"
    assert "standard input" in problems[0].question
    assert "class Solution" in problems[1].question
    for problem in problems:
        tests = read_tests(problem.gold[0])
        assert grade_code(fenced(SOLUTIONS[problem.id]), tests).outcome is Outcome.CORRECT
        wrong = SOLUTIONS[problem.id].replace("2 *", "3 *").replace("a < b", "a != b")
        assert grade_code(fenced(wrong), tests).outcome is Outcome.TESTS_FAILED
    assert len(read_tests(problems[0].gold[0]).inputs) == 3, "public and private tests"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"contest_date": "soon"}, "has the date 'soon'"),
        ({"public_test_cases": "[1]"}, "tests of another form"),
        ({"private_test_cases": "!!"}, "cannot be unpacked"),
        ({"private_test_cases": base64.b64encode(zlib.compress(pickle.dumps(7))).decode()}, "no text"),
        ({"metadata": '{"func_name": "a.b"}'}, "function name 'a.b'"),
        ({"public_test_cases": "[]", "private_test_cases": "[]"}, "tests are"),
    ],
)
def test_rows_without_tests_are_named(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "data", "livecodebench", [{**LIVECODEBENCH[0], **change}])
    with pytest.raises(InputError, match=f"row 1 of task livecodebench.*{said}"):
        load_problems(load_task("livecodebench"), data)


class _Escape:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_in_the_data_runs_nothing(tmp_path: Path) -> None:
    evil = base64.b64encode(zlib.compress(pickle.dumps(_Escape(tmp_path / "made")))).decode()
    row = {**LIVECODEBENCH[0], "private_test_cases": evil}
    with pytest.raises(InputError, match="UnpicklingError"):
        load_problems(load_task("livecodebench"), write_rows(tmp_path / "data", "livecodebench", [row]))
    assert not (tmp_path / "made").exists()


def test_aime25_i_is_the_first_half_of_aime25(tmp_path: Path) -> None:
    rows = [{"id": f"aime25-{i}", "problem": f"What is {i}?", "answer": i} for i in range(30)]
    data = write_rows(tmp_path / "data", "aime25", rows)
    assert [p.gold[0] for p in load_problems(load_task("aime25_i"), data)] == [str(i) for i in range(15)]
    with pytest.raises(InputError, match="no problems with ids like"):
        load_problems(load_task("aime25_i"), write_rows(tmp_path / "other", "aime25", rows[15:]))


@contained
def test_lm_eval_grades_programs_by_the_same_tests(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "data", "humaneval", HUMANEVAL)
    document = documents(load_task("humaneval"), data)[0]
    right = "<think>hm</think>" + fenced(HUMANEVAL[0]["prompt"] + HUMANEVAL[0]["canonical_solution"])
    assert process_results(document, [right])["accuracy_full"] == 1
    assert process_results(document, [right.replace("sum(", "max(")])["accuracy_full"] == 0
    assert process_results(document, ["\\boxed{1}"])["no_answer"] == 1


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """A run of three problems, of which the scripted engine solves two once it has found 42."""
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/programs.yaml").write_text(TASK)
    rows = [
        {"id": i, "problem": question, "tests": {"inputs": [""], "outputs": [out]}}
        for i, (question, out) in enumerate(SUMS)
    ]
    data = write_rows(tmp_path / "data", "programs", rows)
    words = ["run", "--engine", "scripted", "--tasks", "programs", "--data-dir", str(data), "--samples", "2"]
    words += ["--include-path", str(tmp_path / "tasks"), "--frontier", "none", "--budgets", "0,128,512"]
    return [*words, "--max-tokens", "900", "--out", str(tmp_path / "run")]


@contained
def test_a_run_of_programs_from_prompt_to_page(command: list[str], tmp_path: Path) -> None:
    assert main(command) == 0
    run = load_run(tmp_path / "run")
    assert run.complete
    assert run.protocol.probe.name == "code"
    assert run.protocol.probe.max_answer_tokens == 2048
    assert run.protocol.tasks["programs"].kind == "code"
    forced = run.answers[run.answers["forced"]]
    assert len(forced) > 6
    assert forced["text"].str.fullmatch(r"print\(\d+\)\n```").all(), "each ends with the closing fence"
    outcomes = run.scores["outcome"].value_counts().to_dict()
    assert set(outcomes) <= {"correct", "tests_failed"}
    assert outcomes["correct"] >= 4
    # Each verdict is what the program prints.
    wanted = {str(i): out.strip() for i, (_, out) in enumerate(SUMS)}
    for row in run.scores.itertuples(index=False):
        right = str(row.answer).strip() == f"print({wanted[str(row.problem)]})"
        assert (row.outcome == "correct") is right
    report = json.loads((tmp_path / "run/report.json").read_text())
    assert sum(report["tasks"]["programs"]["outcomes"]["tests_failed"]) > 0
    assert main(["report", str(tmp_path / "run"), "--html"]) == 0
    shown = index([PageRun(run=run, report=Report.read(tmp_path / "run"))], served=False)
    problem = shown["runs"][0]["tasks"]["programs"]["problems"][0]
    assert problem["gold"] == ["1 test of input and output"]
    assert problem["code"]
    scaled(run, tmp_path)
    # Graded again from what is stored: no data set, the same scores.
    shutil.rmtree(tmp_path / "data")
    before = run.scores.sort_values(["problem", "sample", "budget"]).to_dict("records")
    rescore(tmp_path / "run")
    after = load_run(tmp_path / "run").scores.sort_values(["problem", "sample", "budget"]).to_dict("records")
    assert json.dumps(before) == json.dumps(after)
    assert read_tests(read_problems(tmp_path / "run")[2].gold[0]).outputs == ("2\n",)


def scaled(run: StoredRun, folder: Path) -> None:
    """pass@k and the best of k are had of programs, votes are not."""
    words = ["scaling", str(folder / "run"), "--json"]
    assert main([*words, "--pass", "1,2"]) == 0
    assert main([*words, "--majority", "1,2"]) == 2
    rows = [
        {"task": "programs", "problem": row.problem, "sample": int(row.sample), "budget": None, "score": 0.5}
        for row in run.traces.itertuples(index=False)
    ]
    rows += [
        {
            "task": "programs",
            "problem": row.problem,
            "sample": int(row.sample),
            "budget": int(row.budget),
            "score": 1,
        }
        for row in run.answers[run.answers["forced"]].itertuples(index=False)
    ]
    scores = folder / "scores.jsonl"
    scores.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main([*words, "--scores", str(scores), "--majority", "1,2"]) == 0


def test_no_sandbox_no_run_unless_allowed(
    command: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "bwrap" else found(name))
    sandbox.missing_sandbox.cache_clear()
    try:
        assert main([*command, "--dry-run"]) == 2
        assert "bwrap not found" in capsys.readouterr().err
        assert not (tmp_path / "run").exists()
        assert main([*command, "--unsafe-code"]) == 0
        assert "run without a sandbox (bwrap not found)" in capsys.readouterr().err
        assert load_run(tmp_path / "run").complete
        assert main(["score", str(tmp_path / "run")]) == 2
        assert "--unsafe-code" in capsys.readouterr().err
        assert main(["score", str(tmp_path / "run"), "--unsafe-code"]) == 0
    finally:
        sandbox.missing_sandbox.cache_clear()


@contained
@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--probe", "s1"], "opens a box, but programs asks for programs"),
        (["--window", "2024-01-01,2024-02-01"], "has no dated contests"),
        (["--window", "2024-02-01,2024-01-01"], "ends before it begins"),
        (["--window", "2024"], "two days such as"),
        (["--tasks", "programs,ladder"], "--probe summary"),
        (["--tasks", "ladder", "--probe", "code"], "asks for no programs"),
    ],
)
def test_what_cannot_be_is_refused_at_planning(
    more: list[str], said: str, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, *more]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@contained
def test_a_pool_that_is_left_ends_its_programs() -> None:
    gold = (json.dumps({"inputs": [""] * 50, "outputs": [""] * 50}),)
    request = GradeRequest(gold=gold, answer="import time\ntime.sleep(9)", kind=AnswerKind.CODE)
    start = time.monotonic()
    pool = GraderPool(workers=1)
    future = pool.submit(request)
    threading.Timer(0.5, pool.close, kwargs={"wait": False}).start()
    assert future.result(timeout=120).outcome is Outcome.GRADER_ERROR
    assert time.monotonic() - start < 60, "not fifty tests of nine seconds"
