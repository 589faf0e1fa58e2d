"""`reghar export --inspect` and `--hub`: what others read back with their own readers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from helpers.needs import ROOT, trackers_python
from helpers.stored_runs import write_data, write_run

from reghar.cli import main
from reghar.report.schema import Report
from reghar.store import load_run

RIDDLE = "WEST-OF-THE-MOON"
PRIVATE = """task: riddles
test_split: test
doc_to_text: "{{problem}}"
doc_to_target: "{{answer}}"
output_type: generate_until
dataset_path: none
metadata:
  version: 1
  private: true
  answer: {kind: integer}
  fields: {id: id, problem: problem, answer: answer}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    return write_run(folder / "run", write_data(folder), seed=1, samples=3, limit=6)


@pytest.fixture(scope="module")
def private_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a private task; the scripted model repeats nothing of the question, so it is put there."""
    folder = tmp_path_factory.mktemp("private")
    (folder / "riddles.yaml").write_text(PRIVATE)
    rows = [{"id": f"r{i}", "problem": f"{RIDDLE} 6 x 7? ({i})", "answer": "42"} for i in range(3)]
    (folder / "riddles.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    out = folder / "run"
    command = ["run", "--engine", "scripted", "--tasks", "riddles", "--include-path", str(folder)]
    command += ["--data-dir", str(folder), "--samples", "2", "--budgets", "0,64", "--max-tokens", "300"]
    assert main([*command, "--frontier", "none", "--out", str(out)]) == 0
    for part in out.glob("*/part-*.parquet"):
        table = pd.read_parquet(part)
        for column in {"text", "answer"} & set(table):
            table[column] = f"{RIDDLE}: " + table[column].fillna("")
        table.to_parquet(part, index=False)
    return out


def test_inspect_reads_the_log(run: Path, tmp_path: Path) -> None:
    command = [str(trackers_python()), "-m", "helpers.inspected", str(run), str(tmp_path / "log.eval")]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    logs = json.loads(done.stdout.splitlines()[-1])
    assert [log["file"] for log in logs] == ["log-aime24.eval", "log-amc23.eval"]
    stored, report = load_run(run), Report.read(run)
    for log in logs:
        task = log["task"]
        outcomes = stored.outcomes(task)
        assert (log["status"], log["model"], log["epochs"]) == ("success", "scripted", 3)
        assert log["digest"] == stored.digest
        for measure in ("mean_length", "area"):
            found = report.tasks[task].measure(measure)
            assert found is not None
            assert log["metrics"]["full"][measure] == found.value
        accuracy = report.tasks[task].measure("accuracy_full")
        assert accuracy is not None
        assert next(iter(log["metrics"]["full"].items())) == ("accuracy", accuracy.value)
        curve = report.tasks[task].curve
        by_budget = dict(zip(map(str, curve.budgets), curve.accuracy, strict=True))
        assert log["metrics"]["by_budget"] == by_budget
        right = [sample["full"] == "C" for sample in log["samples"]]
        assert sum(right) / len(right) == pytest.approx(accuracy.value)
        texts = stored.traces.set_index(["task", "problem", "sample"])["text"]
        assert len(log["samples"]) == outcomes.full.size == 18
        for sample in log["samples"]:
            at = (outcomes.problems.index(sample["id"]), sample["epoch"] - 1)
            assert sample["tokens"] == outcomes.length[at]
            assert sample["stop"] == ("stop" if outcomes.finished[at] else "max_tokens")
            assert sample["completion"] == texts[task, sample["id"], sample["epoch"] - 1]
            assert (sample["target"], "6 x 7?" in sample["input"]) == ("42", True)
            assert list(sample["by_budget"].values()) == outcomes.correct[at].tolist()
            assert sample["full"] != "C" or sample["answer"] == "42"


def test_the_folder_is_a_data_set(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import load_dataset
    from huggingface_hub import DatasetCard

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "hub"
    assert main(["export", str(run), "--hub", str(folder)]) == 0
    stored = load_run(run)
    for name, expected in (
        ("traces", stored.traces),
        ("answers", stored.answers),
        ("scores", stored.scores),
    ):
        loaded = load_dataset(str(folder), name, split="train", cache_dir=str(tmp_path / "cache"))
        assert loaded.num_rows == len(expected)
        assert set(expected) <= set(loaded.column_names)
    problems = load_dataset(str(folder), "problems", split="train", cache_dir=str(tmp_path / "cache"))
    assert {text.splitlines()[0] for text in problems["question"]} == {f"6 x 7? ({i})" for i in range(6)}
    card = DatasetCard.load(folder / "README.md")
    assert [one["config_name"] for one in card.data.configs] == ["problems", "traces", "answers", "scores"]
    assert "![Accuracy by budget](curves.png)" in card.text
    assert (folder / "curves.png").stat().st_size > 1000
    assert Report.read(folder / "report.json") == Report.read(run)
    assert not (folder / ".eval_results").exists()  # six problems are not the benchmark
    assert str(run.parent) not in "".join(
        path.read_text() for path in folder.glob("*.*") if path.suffix != ".png"
    )


def test_results_of_a_whole_benchmark(tmp_path: Path) -> None:
    from huggingface_hub import parse_eval_result_entries

    whole = write_run(tmp_path / "run", write_data(tmp_path), seed=1, samples=1, budgets=(0, 512))
    assert main(["export", str(whole), "--hub", str(tmp_path / "hub")]) == 0
    (entry,) = parse_eval_result_entries(
        yaml.safe_load((tmp_path / "hub" / ".eval_results" / "aime24.yaml").read_text())
    )
    accuracy = Report.read(whole).tasks["aime24"].measure("accuracy_full")
    assert accuracy is not None
    assert accuracy.value is not None
    assert entry.dataset_id == "Maxwell-Jia/AIME_2024"
    assert entry.value == round(100 * accuracy.value, 2)
    assert entry.dataset_revision is None  # the problems came from a file
    assert entry.notes is not None
    assert load_run(whole).digest[:12] in entry.notes


def test_no_text_of_a_private_task_leaves(private_run: Path, tmp_path: Path) -> None:
    assert RIDDLE in "".join(load_run(private_run).traces["text"])
    folder = tmp_path / "hub"
    assert main(["export", str(private_run), "--hub", str(folder)]) == 0
    for path in folder.rglob("*"):
        if path.suffix == ".parquet":
            assert RIDDLE not in pd.read_parquet(path).to_json()
        elif path.is_file() and path.suffix != ".png":
            assert RIDDLE not in path.read_text()
    scores = pd.read_parquet(folder / "data" / "scores.parquet")
    assert scores["outcome"].tolist() == load_run(private_run).table("scores")["outcome"].to_pylist()
    traces = pd.read_parquet(folder / "data" / "traces.parquet")
    assert traces["token_ids"].isna().all()
    assert (traces["length"] > 0).all()
    assert "riddles" in (folder / "README.md").read_text().split("left out")[0]


def test_a_task_whose_file_is_gone_counts_as_private(private_run: Path, tmp_path: Path) -> None:
    yaml_file = private_run.parent / "riddles.yaml"
    yaml_file.rename(tmp_path / "elsewhere")
    try:
        assert main(["export", str(private_run), "--hub", str(tmp_path / "hub")]) == 0
    finally:
        (tmp_path / "elsewhere").rename(yaml_file)
    problems = pd.read_parquet(tmp_path / "hub" / "data" / "problems.parquet")
    assert problems["question"].isna().all()


def test_without_inspect_ai_the_extra_is_named(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    capsys.readouterr()
    assert main(["export", str(run), "--inspect", str(tmp_path / "log.eval")]) == 2
    assert "pip install 'reghar[inspect]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["RUN", "RUN", "--hub", "new"], "takes one run, not 2"),
        (["RUN", "--hub", "new", "--by", "RUN", "--drop-solved", "0.5"], "belong to --sft and --pairs"),
        (["RUN", "--hub", "full"], "not empty"),
        (["RUN", "--inspect", "log.txt"], "ends in .eval or .json"),
        (["RUN", "--inspect", "there.eval"], "is there already"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    says: str,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("reghar.exports.inspect_log.find_spec", lambda _: True)
    monkeypatch.setitem(sys.modules, "inspect_ai", type(sys)("inspect_ai"))
    for name in ("there-aime24.eval", "full/file"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("")
    capsys.readouterr()
    assert main(["export", *(str(run) if word == "RUN" else word for word in arguments)]) == 2
    assert says in capsys.readouterr().err
    assert not Path("new").exists()


def test_an_incomplete_run_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    torn = shutil.copytree(run, tmp_path / "torn")
    for part in torn.glob("scores/*.parquet"):
        part.unlink()
    monkeypatch.setattr("reghar.exports.inspect_log.find_spec", lambda _: True)
    for flag, name in (("--hub", "hub"), ("--inspect", "log.eval")):
        capsys.readouterr()
        assert main(["export", str(torn), flag, str(tmp_path / name)]) == 2
        assert "incomplete" in capsys.readouterr().err
