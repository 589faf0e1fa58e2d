"""Training data from stored runs: what is chosen, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.stored_runs import write_data, write_run

from reghar.cli import main
from reghar.errors import InputError
from reghar.exports.training import ExportedResponse, Group, load_groups, pairs, shortest_correct
from reghar.store import load_run

YAML = """task: sums
test_split: test
doc_to_text: "{{problem}}"
doc_to_target: "{{answer}}"
output_type: generate_until
dataset_path: none
metadata:
  version: 1
  answer: {kind: integer}
  fields: {id: id, problem: problem, answer: answer}
"""


def write_own(folder: Path, seed: int, samples: int = 6, suffix: str = "") -> Path:
    """A run on a task of one's own, problem texts ending with `suffix`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sums.yaml").write_text(YAML)
    rows = [{"id": f"s{i}", "problem": f"6 x 7? ({i}){suffix}", "answer": "42"} for i in range(8)]
    (folder / "sums.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    out = folder / f"run-{seed}"
    command = ["run", "--engine", "scripted", "--tasks", "sums", "--include-path", str(folder)]
    command += ["--data-dir", str(folder), "--samples", str(samples), "--budgets", "0,64,512"]
    command += ["--max-tokens", "512", "--frontier", "none", "--seed", str(seed), "--out", str(out)]
    assert main(command) == 0
    return out


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_own(tmp_path_factory.mktemp("own"), seed=1)


def exported(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["export", *map(str, arguments)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def group(*responses: tuple[int, bool, bool]) -> Group:
    """Responses as (length, correct, finished)."""
    return Group(
        key=("t", "1"),
        prompt="?",
        digest="d",
        responses=tuple(
            ExportedResponse(text=f"r{i}", length=length, correct=correct, finished=finished)
            for i, (length, correct, finished) in enumerate(responses)
        ),
    )


def test_the_shortest_correct_and_the_longest_of_all() -> None:
    one = group((30, True, True), (10, False, True), (20, True, True), (5, True, False), (90, False, False))
    assert [line["completion"] for line in shortest_correct([one])] == ["r2"]
    (pair,) = pairs([one], "shortest")
    assert (pair["chosen"], pair["rejected"]) == ("r2", "r4")
    assert (pair["chosen_length"], pair["rejected_length"]) == (20, 90)
    assert (pair["chosen_correct"], pair["rejected_correct"]) == (True, False)


def test_no_pair_without_a_preference() -> None:
    assert list(pairs([group((20, True, True), (20, True, True))], "shortest")) == []
    assert list(pairs([group((20, False, True), (30, False, True))], "shortest")) == []
    assert list(shortest_correct([group((20, False, True))])) == []


def test_dast_pairs_are_of_one_kind_and_far_apart() -> None:
    one = group((10, True, True), (20, True, True), (12, False, True), (17, False, False))
    both = list(pairs([one], "dast", 1.4))
    assert [(pair["chosen"], pair["rejected"]) for pair in both] == [("r0", "r1"), ("r2", "r3")]
    assert all(pair["chosen_correct"] == pair["rejected_correct"] for pair in both)
    assert [pair["chosen"] for pair in pairs([one], "dast", 1.5)] == ["r0"]
    assert list(pairs([one], "dast", 2.1)) == []


def test_a_stored_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = load_run(run)
    lines = exported(capsys, run, "--sft", "shortest")
    outcomes = stored.outcomes("sums")
    right = (outcomes.full_correct > 0) & outcomes.finished
    assert [line["problem_id"] for line in lines] == [
        problem for problem, any_right in zip(outcomes.problems, right.any(axis=1), strict=True) if any_right
    ]
    for line in lines:
        i = outcomes.problems.index(line["problem_id"])
        assert line["length"] == outcomes.length[i][right[i]].min()
        assert line["prompt"] == f"user: 6 x 7? ({i})\nassistant: "
        assert line["completion"].startswith("<think>\n")
        assert line["completion"].endswith("\\boxed{42}.")
        assert line["digest"] == stored.digest


def test_several_runs_share_their_traces(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = write_own(run.parent, seed=2)
    shortest = {}
    for one in (run, other):
        for line in exported(capsys, one, "--sft", "shortest"):
            problem = line["problem_id"]
            shortest[problem] = min(shortest.get(problem, line["length"]), line["length"])
    together = exported(capsys, run, other, "--sft", "shortest")
    assert {line["problem_id"]: line["length"] for line in together} == shortest


def test_problems_that_a_run_solves_are_dropped(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = load_run(run).outcomes("sums")
    hard = {
        problem
        for problem, accuracy in zip(outcomes.problems, outcomes.full_correct.mean(axis=1), strict=True)
        if accuracy <= 0.7
    }
    lines = exported(capsys, run, "--pairs", "shortest", "--drop-solved", 0.7, "--by", run)
    assert 0 < len(lines) < 8
    assert {line["problem_id"] for line in lines} <= hard


def test_it_is_written_to_a_file(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = exported(capsys, run, "--pairs", "dast", "--ratio", "1.1")
    file = tmp_path / "pairs.jsonl"
    assert exported(capsys, run, "--pairs", "dast", "--ratio", "1.1", "--out", file) == []
    assert [json.loads(line) for line in file.read_text().splitlines()] == printed
    assert printed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--pairs", "dast"], "needs one"),
        (["--pairs", "dast", "--ratio", "1"], "above 1"),
        (["--pairs", "shortest", "--ratio", "2"], "belongs to --pairs dast"),
        (["--sft", "shortest", "--drop-solved", "0.5"], "go together"),
        (["--sft", "shortest", "--drop-solved", "5", "--by", "RUN"], "from 0 to 1"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], says: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    arguments = [str(run) if word == "RUN" else word for word in arguments]
    assert main(["export", str(run), *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_packaged_benchmark_is_a_test_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = write_run(tmp_path / "run", write_data(tmp_path / "data"), seed=1, samples=2, limit=2)
    capsys.readouterr()
    assert main(["export", str(benchmark), "--sft", "shortest"]) == 2
    assert "contamination" in capsys.readouterr().err


def test_other_prompts_are_not_mixed(run: Path, tmp_path: Path) -> None:
    other = write_own(tmp_path, seed=1, suffix=" Be brief.")
    with pytest.raises(InputError, match="another prompt"):
        load_groups([load_run(run), load_run(other)])
