"""The wheel carries its tasks and frontiers and works from any folder."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the unpacked wheel and nothing else of this project."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*command, "--wheel-dir", folder, ROOT], check=True)
    (wheel,) = folder.glob("reghar-*.whl")
    target = folder / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def reghar(installed: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1));"
        "import reghar.cli, pathlib; sys.exit(reghar.cli.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-I", "-c", code, str(installed), *words]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env={**os.environ, "COLUMNS": "120"}
    )


def test_tasks_and_frontiers_travel_inside(installed: Path, tmp_path: Path) -> None:
    tasks = reghar(installed, tmp_path, "tasks", "list")
    assert tasks.returncode == 0, tasks.stderr
    for name in ("aime24", "gpqa_diamond", "olympiadbench", "ladder"):
        assert name in tasks.stdout
    path = reghar(installed, tmp_path, "tasks", "path").stdout.strip()
    assert Path(path).is_relative_to(installed)
    frontiers = reghar(installed, tmp_path, "frontier", "list")
    assert "Qwen3-4B" in frontiers.stdout


def test_a_run_from_any_folder(installed: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = [{"id": f"p{i}", "problem": f"What is {i} + {42 - i}?", "answer": "42"} for i in range(4)]
    (data / "gsm8k.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("run", "--engine", "scripted", "--tasks", "gsm8k", "--data-dir", "data", "--samples", "2")
    run = reghar(installed, tmp_path, *words, "--budgets", "0,128,512", "--frontier", "none", "--out", "run")
    assert run.returncode == 0, run.stderr
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["complete"]
    assert (tmp_path / "run" / "curves.png").stat().st_size > 10_000


def test_one_more_task_by_dropping_a_yaml_and_a_jsonl(installed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "sums.yaml").write_text(
        'task: sums\ndataset_path: json\noutput_type: generate_until\ndoc_to_text: "{{question}}"\n'
        "doc_to_target: result\nmetadata:\n  answer: {kind: integer}\n"
        "  fields: {id: key, problem: question, answer: result}\n"
    )
    rows = [{"id": f"p{i}", "problem": f"{i} + {42 - i}", "answer": "42"} for i in range(3)]
    (folder / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("run", "--engine", "scripted", "--tasks", "sums", "--include_path", "mine", "--data-dir", "mine")
    run = reghar(installed, tmp_path, *words, "--samples", "1", "--budgets", "0,64", "--out", "run")
    assert run.returncode == 0, run.stderr
    assert list(json.loads((tmp_path / "run" / "report.json").read_text())["tasks"]) == ["sums"]
