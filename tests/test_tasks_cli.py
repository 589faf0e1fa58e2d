"""`reghar tasks`: what is printed, and that GPQA's text never is."""

import argparse
import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reghar.cli import tasks as command
from reghar.errors import InputError
from reghar.paths import data_dir
from reghar.tasks import load_problems, load_task, problems_digest


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(required=True))
    parsed = parser.parse_args(["tasks", *arguments])
    code: int = parsed.handler(parsed)
    return code


def test_path_is_the_folder_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("path") == 0
    assert capsys.readouterr().out == f"{data_dir('tasks')}\n"


@pytest.mark.parametrize("flag", ["--include-path", "--include_path"])
def test_list_is_one_aligned_line_a_task(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text('task: mine\nmetadata: {description: "of my\\n own \\e[31m"}\n')
    assert run("list", flag, str(tmp_path)) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines]
    assert names == sorted(names)
    assert {"aime24", "gpqa_diamond", "mine"} <= set(names)
    column = header.index("description")
    assert all(line[column - 1] == " " != line[column] for line in lines if len(line) > column)
    [mine] = [line for line in lines if line.startswith("mine ")]
    assert mine.endswith("of my own �[31m")
    assert "--data-dir only" in mine


def test_show_prints_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "reghar_gsm8k") == 0
    printed = capsys.readouterr().out
    for expected in ("gsm8k", "openai/gsm8k main", "integer", r"\\boxed{}", "problem = question"):
        assert expected in printed
    assert "sha256" not in printed


def test_show_names_the_first_of_many_files_and_the_window(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "livecodebench") == 0
    printed = capsys.readouterr().out
    assert re.search(r"data set +json hf://\S+/test\.jsonl and 5 more\n", printed)
    assert re.search(r"window +2024-08-01,2025-05-01\n", printed)


def test_show_with_data_prints_one_prompt(benchmark_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "aime25", "--data-dir", str(benchmark_data)) == 0
    printed = capsys.readouterr().out
    problems = load_problems(load_task("aime25"), benchmark_data)
    assert problems[0].question in printed
    assert problems[1].question not in printed
    assert problems_digest(problems) in printed


def test_gpqa_is_never_shown(benchmark_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "gpqa_diamond", "--data-dir", str(benchmark_data)) == 0
    printed = capsys.readouterr().out
    assert "No example" in printed
    with gzip.open(benchmark_data / "gpqa_diamond.jsonl.gz", "rt", encoding="utf-8") as file:
        leaked = any(text in printed for line in file for text in _texts(json.loads(line)))
    assert not leaked


def _texts(row: dict[str, object]) -> list[str]:
    words = str(row["stem"]).split()
    return [" ".join(words[start : start + 6]) for start in range(0, len(words) - 5, 6)]


def test_unknown_task() -> None:
    with pytest.raises(InputError, match="did you mean aime24"):
        run("show", "aime2024")


def test_importing_the_command_is_light() -> None:
    heavy = "{'yaml', 'pydantic', 'jinja2', 'datasets', 'rich', 'numpy'}"
    code = f"import sys, reghar.cli.tasks; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
