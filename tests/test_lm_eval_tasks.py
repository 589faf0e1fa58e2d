"""Our tasks in lm-eval 0.4.13: its own loader, its own command, our questions and our grader."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.code_problems import HUMANEVAL, LIVECODEBENCH

from reghar.lm_eval_bridge.hooks import problems, process_results
from reghar.paths import data_dir
from reghar.tasks import load_problems, load_task

NAMES = ("aime24", "aime25", "amc23", "math500", "minerva_math", "gpqa_diamond", "gsm8k", "olympiadbench")

OTHERS = ("aime25_i", "livemathbench", "humaneval", "livecodebench")
"""Those of which there is no data here."""

OWN_TASK = """
include: {shared}
task: reghar_own
dataset_path: json
dataset_kwargs: {{data_files: own.jsonl}}
metadata:
  version: 1
  answer: {{kind: integer}}
  fields: {{problem: question}}
"""

PLAIN_TASK = """
task: plain
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}} Answer in a box."
doc_to_target: "{{{{answer}}}}"
process_results: !function reghar.tasks.lm_eval_hooks.process_results
metric_list: [{{metric: accuracy_full, aggregation: mean, higher_is_better: true}}]
generation_kwargs: {{until: [], max_gen_toks: 64}}
"""


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No network, no cache outside the test; lm-eval's own warnings are not ours to mend."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def load_in_lm_eval(names: list[str], folder: Path, **metadata: object) -> dict[str, Any]:
    """Tasks by name, loaded by lm-eval's own manager from a folder, with its `--metadata`."""
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder), include_defaults=False, metadata=metadata)
    return dict(manager.load([f"reghar_{name}" for name in names])["tasks"])


def lm_eval(*arguments: str, cwd: Path) -> str:
    """Runs lm-eval's own command; returns what it printed."""
    result = subprocess.run(
        [sys.executable, "-m", "lm_eval", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        capture_output=True,
        text=True,
        timeout=240,  # its imports alone take minutes where other jobs hold the cores
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def test_validate_finds_all(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The entry point of the command `lm_eval`, without a process of its own: it takes seconds to start."""
    from lm_eval.__main__ import cli_evaluate

    names = ",".join(f"reghar_{name}" for name in (*NAMES, *OTHERS))
    monkeypatch.setattr(
        sys, "argv", ["lm_eval", "validate", "--tasks", names, "--include_path", str(data_dir("tasks"))]
    )
    cli_evaluate()
    assert "All tasks found and valid" in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_questions_and_golds_are_those_of_reghar(name: str, benchmark_data: Path) -> None:
    """GPQA's text never reaches a message: only equality is asserted."""
    [task] = load_in_lm_eval([name], data_dir("tasks"), data_dir=str(benchmark_data)).values()
    problems = load_problems(load_task(name), benchmark_data)
    documents = list(task.eval_docs)
    same = [task.doc_to_text(document) for document in documents] == [p.question for p in problems]
    assert same
    assert [document["gold"] for document in documents] == [list(p.gold) for p in problems]
    assert [document["id"] for document in documents] == [p.id for p in problems]
    assert str(task.VERSION) == load_task(name).version


@pytest.mark.parametrize("name", OTHERS)
def test_rows_of_the_other_tasks_are_those_of_reghar(name: str, tmp_path: Path) -> None:
    """Problems of our own in the form of the data sets."""
    rows = {
        "humaneval": HUMANEVAL,
        "livecodebench": LIVECODEBENCH,
        "aime25_i": [{"id": f"aime25-{i}", "problem": f"{i}?", "answer": i} for i in (3, 14, 15)],
        "livemathbench": [{"id": i, "question": f"{i}?", "answer": "$\\pi$"} for i in range(2)],
    }
    text = "".join(json.dumps(row) + "\n" for row in rows[name])
    (tmp_path / f"{'aime25' if name == 'aime25_i' else name}.jsonl").write_text(text)
    [task] = load_in_lm_eval([name], data_dir("tasks"), data_dir=str(tmp_path)).values()
    problems = load_problems(load_task(name), tmp_path)
    documents = list(task.eval_docs)
    assert len(documents) == len(problems) == len(rows[name]) - (name in ("aime25_i", "livecodebench"))
    assert [task.doc_to_text(document) for document in documents] == [p.question for p in problems]
    assert [document["gold"] for document in documents] == [list(p.gold) for p in problems]
    assert str(task.VERSION) == load_task(name).version


def test_rows_of_several_types_make_a_table(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "problem": "1?", "answer": 1, "note": 5},
        {"id": "b", "problem": "2?", "answer": "2", "note": "x"},
    ]
    (tmp_path / "aime24.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = problems(str(data_dir("tasks") / "aime24.yaml"), data_dir=str(tmp_path), version=1)["train"]
    assert [(row["id"], row["gold"], row["note"]) for row in table] == [("1", ["1"], "5"), ("b", ["2"], "x")]


def test_evaluation_with_a_scripted_model(benchmark_data: Path) -> None:
    """One response of each sort, in the order of the first five problems of AIME 2024."""
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    golds = [p.gold[0] for p in load_problems(load_task("aime24"), benchmark_data, limit=5)]
    responses = [
        f"<think>Maybe \\boxed{{1}}.</think>So \\boxed{{{golds[0]}}}.",
        f"Still thinking</think>It is $\\boxed{{0{golds[1]}}}$.",
        f"<think>It is \\boxed{{{golds[2]}}}, but let me check",
        "\\boxed{12345}",
        f"The answer is {golds[4]}.",
    ]
    asked: list[tuple[str, dict[str, Any]]] = []

    class Scripted(LM):
        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            assert not disable_tqdm
            asked.extend(request.args for request in requests)
            return responses

        def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[Any]:
            raise NotImplementedError

        def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[Any]:
            raise NotImplementedError

    manager = TaskManager(
        include_path=str(data_dir("tasks")),
        include_defaults=False,
        metadata={"data_dir": str(benchmark_data)},
    )
    results = simple_evaluate(
        Scripted(), tasks=["reghar_aime24"], task_manager=manager, limit=5, bootstrap_iters=0
    )
    assert results is not None
    measured = results["results"]["reghar_aime24"]
    assert measured["accuracy_full,none"] == pytest.approx(2 / 5)
    assert measured["no_answer,none"] == pytest.approx(2 / 5)
    assert measured["not_graded,none"] == 0
    assert asked[0][1] == {
        "until": [],
        "do_sample": True,
        "temperature": 0.6,
        "top_p": 0.95,
        "max_gen_toks": 32768,
    }


def test_own_tasks_with_local_files_through_lm_evals_command(tmp_path: Path) -> None:
    rows = [{"question": f"What is {i} + 1?", "answer": i + 1} for i in range(3)]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "own.yaml").write_text(OWN_TASK.format(shared=data_dir("tasks") / "_task_yaml"))
    (tmp_path / "plain.yaml").write_text(PLAIN_TASK.format(file=tmp_path / "own.jsonl"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    printed = lm_eval(
        *("run", "--model", "dummy", "--tasks", "reghar_own,plain", "--include_path", str(tmp_path)),
        *("--output_path", "out", "--log_samples"),
        cwd=elsewhere,
    )
    assert "reghar_own" in printed
    for name, first in (
        ("own", "What is 0 + 1?\n\nPlease reason"),
        ("plain", "What is 0 + 1? Answer in a box."),
    ):
        assert load_problems(load_task(name, [tmp_path]))[0].question.startswith(first)
    [samples] = elsewhere.glob("out/*/samples_reghar_own_*.jsonl")
    logged = [json.loads(line) for line in samples.read_text().splitlines()]
    assert [sample["no_answer"] for sample in logged] == [1.0, 1.0, 1.0]
    assert [sample["doc"]["gold"] for sample in logged] == [["1"], ["2"], ["3"]]


@pytest.mark.parametrize(
    ("document", "response", "measure"),
    [
        ({"answer": "1/2"}, r"\boxed{\frac{1}{2}}", "accuracy_full"),
        ({"answer": 2, "kind": "integer"}, r"\boxed{2}", "accuracy_full"),
        ({"gold": ["2", "3"]}, r"\boxed{3, 2}", "accuracy_full"),
        ({"gold": ["B"], "kind": "choice", "choices": ["x", "y"]}, r"\boxed{B}", "accuracy_full"),
        ({"gold": ["7"], "fallback": "last_number"}, "it is 7", "accuracy_full"),
        ({"gold": ["7"]}, "it is 7", "no_answer"),
        ({"gold": ["7"]}, r"\boxed{7", "no_answer"),
        ({"gold": ["7"]}, r"\boxed{8} and then \boxed{7", "no_answer"),
        ({"gold": ["7"]}, r"<think> \boxed{7}", "no_answer"),
        ({"gold": ["42"]}, "\\boxed{" + "9" * 100_000 + "}", "not_graded"),
        ({"gold": ["42"]}, r"\boxed{43}", None),
        ({"gold": ["42"]}, "", "no_answer"),
    ],
)
def test_one_response(document: dict[str, Any], response: str, measure: str | None) -> None:
    measures = process_results(document, [response])
    assert set(measures) == {"accuracy_full", "no_answer", "not_graded"}
    assert {name for name, value in measures.items() if value} == ({measure} if measure else set())


def test_the_example_of_the_readme(tmp_path: Path) -> None:
    readme = (data_dir("tasks") / "README.md").read_text(encoding="utf-8")
    task, rows = (
        readme.partition(f"```{language}\n")[2].partition("```")[0] for language in ("yaml", "json")
    )
    (tmp_path / "sums.yaml").write_text(task)
    (tmp_path / "sums-questions.jsonl").write_text(rows)
    from lm_eval.tasks import TaskManager

    ours = load_problems(load_task("sums", [tmp_path]))
    [theirs] = (
        TaskManager(include_path=str(tmp_path), include_defaults=False).load(["sums"])["tasks"].values()
    )
    assert [problem.gold for problem in ours] == [("42",), ("29",)]
    assert [theirs.doc_to_text(document) for document in theirs.eval_docs] == [p.question for p in ours]
    measures = [theirs.process_results(document, ["\\boxed{42}"]) for document in theirs.eval_docs]
    assert [measure["accuracy_full"] for measure in measures] == [1.0, 0.0]


GENERATED_TASK = """
include: {shared}
task: made
custom_dataset: !function made.rows
metadata: {{version: 3, count: 4}}
"""

GENERATOR = """
import datasets

def rows(count, **metadata):
    made = [{"id": f"made-{i}", "problem": f"What is {i} + 1?", "answer": str(i + 1)} for i in range(count)]
    return datasets.DatasetDict({"test": datasets.Dataset.from_list(made)})
"""


def test_a_generated_task_in_both(tmp_path: Path) -> None:
    from lm_eval.tasks import TaskManager

    (tmp_path / "made.yaml").write_text(GENERATED_TASK.format(shared=data_dir("tasks") / "_task_yaml"))
    (tmp_path / "made.py").write_text(GENERATOR)
    ours = load_problems(load_task("made", [tmp_path]))
    [theirs] = (
        TaskManager(include_path=str(tmp_path), include_defaults=False).load(["made"])["tasks"].values()
    )
    assert [problem.gold for problem in ours] == [("1",), ("2",), ("3",), ("4",)]
    assert [theirs.doc_to_text(document) for document in theirs.eval_docs] == [p.question for p in ours]
    assert theirs.process_results(theirs.eval_docs[2], ["\\boxed{3}"])["accuracy_full"] == 1.0


def test_few_shot_examples_are_those_of_reghar_and_in_its_order(tmp_path: Path) -> None:
    from reghar.tasks.few_shot import load_examples

    (tmp_path / "gsm8k.jsonl").write_text('{"id": "a", "problem": "6 x 7?", "answer": "42"}\n')
    [task] = load_in_lm_eval(["gsm8k"], data_dir("tasks"), data_dir=str(tmp_path)).values()
    context = task.fewshot_context(next(iter(task.eval_docs)), num_fewshot=8)
    examples = load_examples(load_task("gsm8k"), 8)
    places = [context.index(text) for example in examples for text in example]
    assert places == sorted(places)
    assert len(set(places)) == 16
