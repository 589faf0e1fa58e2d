"""Every code block of the README and the pages under docs/ and tasks/ is run as it is written.

A block that needs more than a machine without a GPU and a network stands below a comment that says so,
`<!-- not run: needs ... -->`. Its commands are still parsed and its imports made, so that no flag and no
module in it is unknown. The workflow and the gate file of docs/ci.md are run by `test_action.py`.
"""

from __future__ import annotations

import ast
import gzip
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from reghar import demo
from reghar.cli import main, make_parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += [ROOT / "tasks" / "README.md", ROOT / "results" / "README.md"]
NOT_RUN = re.compile(r"<!-- not run: needs [\w ,-]+ -->")
PROGRAMS = {"reghar", "lm_eval", "make", "pip", "python", "vllm", "export", "mkdir", "srun"}
GRID = "0,64,128,256,512,1024,2048,4096"


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block of a page."""

    where: str
    language: str
    runs: bool
    """False below a comment that says what it needs."""
    text: str

    @property
    def kind(self) -> str:
        """`python`, `shell`, or empty for what is no code of ours."""
        if self.language in ("python", "bash", "sh"):
            return "python" if self.language == "python" else "shell"
        return "shell" if not self.language and self.text.split()[0] in PROGRAMS else ""


def blocks() -> list[Block]:
    """All of them; a page that opens a block and never closes it would lose what follows."""
    found: list[Block] = []
    for page in PAGES:
        last, opened, inside = "", 0, list[str]()
        language, runs = "", True
        for number, line in enumerate(page.read_text().splitlines(), 1):
            if line.startswith("```") and not opened:
                opened, language, runs, inside = number, line[3:].strip(), not NOT_RUN.fullmatch(last), []
            elif line.startswith("```"):
                where = f"{page.relative_to(ROOT)}:{opened}"
                found.append(Block(where=where, language=language, runs=runs, text="\n".join(inside) + "\n"))
                opened = 0
            elif opened:
                inside.append(line)
            last = line if line.strip() else last
        assert not opened, f"{page.name}: the block of line {opened} is never closed"
    return found


BLOCKS = [block for block in blocks() if block.kind]


def of(kind: str, *, runs: bool) -> list[object]:
    """The blocks of a kind as parameters of a test."""
    return [pytest.param(b, id=b.where) for b in BLOCKS if b.kind == kind and b.runs == runs]


def rows(count: int) -> str:
    """Problems with the answer 42, which the scripted engine finds."""
    row = {"problem": "6 x 7?", "answer": "42"}
    return "".join(f"{json.dumps({'id': f'p{i}', **row})}\n" for i in range(count))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which everything lies that the pages name."""
    folder = tmp_path_factory.mktemp("documents")
    for name in ("benchmarks", "tasks", "frontiers"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "results" / "reference", folder / "results" / "reference")
    for name in ("MODEL", "M", "my-finetune"):
        (folder / name).symlink_to(demo.MODELS["terse"])
    for name in ("DIR", "D"):
        (folder / name).mkdir()
        for task, count in {"aime24": 30, "amc23": 40, "math500": 5, "gsm8k": 5, "own": 8}.items():
            (folder / name / f"{task}.jsonl").write_text(rows(count))
    (folder / "own.yaml").write_text("task: own\nmetadata: {answer: {kind: integer}}\n")
    with gzip.open(folder / "train.jsonl.gz", "wt") as file:
        file.write(json.dumps({"question": "How many sides has a square?"}) + "\n")
    command = ["run", "--engine", "scripted", "--data-dir", str(folder / "DIR"), "--budgets", GRID]
    command += ["--max-tokens", "4096", "--samples", "8", "--include-path", str(folder)]
    runs = {
        "results/base": "aime24,amc23",
        "results/new": "aime24,amc23",
        "runs/base": "own",
        "runs/plp": "own",
    }
    for seed, (name, tasks) in enumerate(runs.items()):
        known = ["--frontier", "Qwen3-4B"] if tasks != "own" else ["--frontier", "none"]
        words = [*command, *known, "--tasks", tasks, "--seed", str(seed), "--out", str(folder / name)]
        assert main(words) == 0
    first = ("RUN", "results/seed1", "results/my-run", "results/reference/run")
    copies = dict.fromkeys(first, "results/base") | {
        "results/seed2": "results/new",
        "runs/train": "runs/base",
    }
    for copy, name in copies.items():
        shutil.copytree(folder / name, folder / copy)
    return folder


def environment(place: Path) -> dict[str, str]:
    """The commands of the environment under test, no network, no window."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {
        **os.environ,
        "PATH": path,
        "MPLBACKEND": "agg",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(place / "hf"),
    }


SHELL = """
set -e
reghar() {  # a verdict is no failure
    command reghar "$@" || { code=$?; [ "$1" = check ] && [ $code = 1 -o $code = 4 ] || return $code; }
}
"""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("block", of("shell", runs=True))
def test_commands_run(block: Block, place: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", SHELL + block.text], cwd=place, env=environment(place), capture_output=True, text=True
    )
    assert done.returncode == 0, f"{block.where}: {done.stderr[-2000:]}"


@pytest.mark.parametrize("block", of("python", runs=True))
def test_python_runs(block: Block, place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block.text], cwd=place, env=environment(place), capture_output=True, text=True
    )
    assert done.returncode == 0, f"{block.where}: {done.stderr[-2000:]}"


@pytest.mark.parametrize("block", of("shell", runs=False))
def test_commands_that_are_not_run_are_understood(block: Block) -> None:
    joined = re.sub(r"\\\n\s*", " ", block.text)
    for line in joined.splitlines():
        line = re.sub(r"\[(--[^]]*)\]", r"\1", line)  # what may be left out
        words = shlex.split(line, comments=True)
        if "reghar" in words and not line.lstrip().startswith("#"):
            make_parser().parse_args(words[words.index("reghar") + 1 :])


@pytest.mark.parametrize("block", of("python", runs=False))
def test_imports_of_python_that_is_not_run_can_be_made(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


def test_a_task_of_ones_own(place: Path) -> None:
    """The YAML and the rows of tasks/README.md, asked as that page says."""
    mine = [block for block in blocks() if block.where.startswith("tasks/README.md")]
    (yaml,) = (b.text for b in mine if b.language == "yaml" and b.text.startswith("task:"))
    (data,) = (block.text for block in mine if block.language == "json")
    folder = place / "mine"
    folder.mkdir()
    (folder / "sums.yaml").write_text(yaml)
    named = re.search(r"data_files: ([\w.-]+)", yaml)
    assert named is not None
    (folder / named[1]).write_text(data)
    words = [
        "run",
        "--engine",
        "scripted",
        "--tasks",
        "sums",
        "--include-path",
        str(folder),
        "--samples",
        "1",
    ]
    words += ["--budgets", "0,64", "--max-tokens", "128", "--frontier", "none", "--out", str(place / "sums")]
    assert main(words) == 0
    assert json.loads((place / "sums" / "report.json").read_text())["complete"]


def test_blocks_are_found() -> None:
    """The rule itself: enough is run that a page with another habit would be seen."""
    assert {"README.md", "docs/ci.md", "docs/page.md"} <= {
        b.where.partition(":")[0] for b in BLOCKS if b.runs
    }
