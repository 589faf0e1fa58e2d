"""`reghar reg` and `reghar frontier` from the command line, and every bad curve file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from reghar.cli import frontier as frontier_command
from reghar.cli import reg as reg_command
from reghar.errors import InputError
from reghar.frontiers.frontier import load_frontier

AREAS = {"aime24": 8007.43, "aime25": 6696.47, "amc23": 13700.65, "minerva_math": 7224.85}


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    frontier_command.add_parser(subparsers)
    reg_command.add_parser(subparsers)
    arguments = parser.parse_args([str(word) for word in words])
    code: int = arguments.handler(arguments)
    return code


@pytest.fixture
def curve(tmp_path: Path) -> Path:
    """A curve of accuracy 0 on the paper's grid: its REG is the frontier's area."""
    rows = [
        f"{task},{budget},0.0"
        for task, one in load_frontier("Qwen3-4B").tasks.items()
        for budget in one.budgets[:32]
    ]
    path = tmp_path / "curve.csv"
    path.write_text("task,budget,accuracy\n" + "\n".join(reversed(rows)) + "\n")
    return path


def test_json(curve: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("reg", "--curve", curve, "--frontier", "Qwen3-4B", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["schema"] == "reghar.reg/1"
    for task, expected in AREAS.items():
        assert result["tasks"][task]["reg"] == pytest.approx(expected, abs=0.005)
        assert result["tasks"][task]["area"] == 0
        assert result["tasks"][task]["tokens_to_50"] is None
    assert result["average"]["reg"] == pytest.approx(sum(AREAS.values()) / 4, abs=0.005)
    assert result["notes"] == [
        "the frontier's protocol is unverified: probe sampling and grader are not published"
    ]


def test_table(curve: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("reg", "--curve", curve, "--frontier", "Qwen3-4B") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "8007.4" in next(line for line in lines if line.startswith("aime24"))
    assert "8907.4" in next(line for line in lines if line.startswith("average"))


def test_notes_on_grid_and_tasks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "curve.csv"
    path.write_text(
        "task,budget,accuracy,comment\naime24,64,0.1,x\naime24,5000,0.2,y\namc23,0,0,\namc23,64,0,\n"
    )
    run("reg", "--curve", path, "--frontier", "Qwen3-4B", "--json")
    notes = " | ".join(json.loads(capsys.readouterr().out)["notes"])
    for said in ("no budget 0", "not comparable", "without aime25, minerva_math", "different grids"):
        assert said in notes


BAD = {
    "empty file": ("", "no column task or budget or accuracy"),
    "no rows": ("task,budget,accuracy\n", "is empty"),
    "missing column": ("task,budget\naime24,0\n", "no column accuracy"),
    "budget in words": ("task,budget,accuracy\naime24,many,0.1\n", "line 2: budget 'many' is not an integer"),
    "negative budget": ("task,budget,accuracy\naime24,-1,0.1\n", "line 2: budget '-1'"),
    "accuracy in words": ("task,budget,accuracy\naime24,0,good\n", "line 2: accuracy 'good' is not a number"),
    "percent": ("task,budget,accuracy\naime24,0,29.2\n", "looks like percent: give a fraction, 0.292"),
    "nan": ("task,budget,accuracy\naime24,0,nan\n", "outside 0..1"),
    "infinite": ("task,budget,accuracy\naime24,0,inf\n", "outside 0..1"),
    "negative accuracy": ("task,budget,accuracy\naime24,0,-0.1\n", "outside 0..1"),
    "duplicate": (
        "task,budget,accuracy\naime24,0,0\naime24,0,0\n",
        "line 3: budget 0 of aime24 is given twice",
    ),
    "short row": ("task,budget,accuracy\naime24,0\n", "line 2: accuracy '' is not a number"),
    "no task": ("task,budget,accuracy\n,0,0\n", "line 2: the task is empty"),
    "unknown task": ("task,budget,accuracy\naime23,0,0\naime23,64,0\n", "no task 'aime23': did you mean"),
    "one budget": ("task,budget,accuracy\naime24,0,0\n", "aime24: REG needs at least two budgets"),
    "beyond": (
        "task,budget,accuracy\naime24,0,0\naime24,40000,0\n",
        "40000 is beyond the frontier's last, 32768",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_curves_are_refused_with_one_line(name: str, tmp_path: Path) -> None:
    text, says = BAD[name]
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        run("reg", "--curve", path, "--frontier", "Qwen3-4B")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_binary_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        run("reg", "--curve", tmp_path / "none.csv", "--frontier", "Qwen3-4B")
    (tmp_path / "binary.csv").write_bytes(b"\xff\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        run("reg", "--curve", tmp_path / "binary.csv", "--frontier", "Qwen3-4B")


def test_frontier_list_show_validate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("frontier", "list") == 0
    assert "Qwen3-4B" in capsys.readouterr().out
    assert run("frontier", "show", "qwen3-8b") == 0
    shown = capsys.readouterr().out
    assert "2506.07104" in shown
    assert "32768" in shown
    path = tmp_path / "f.json"
    path.write_text(load_frontier("Qwen3-8B").to_json())
    assert run("frontier", "validate", path) == 0
    assert "valid, Qwen3-8B, 4 tasks, 192 points" in capsys.readouterr().out
    path.write_text("{}")
    with pytest.raises(InputError, match="unknown schema"):
        run("frontier", "validate", path)
