"""The README says what the code does: its tree, its help block and its words are checked here."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reghar.cli import COMMANDS, EXIT_CODES, make_parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def block(after: str) -> str:
    """The first fenced block after a line that starts with `after`."""
    rest = README[README.index(f"\n{after}") :]
    found = re.search(r"```\n(.*?)```", rest, re.DOTALL)
    assert found is not None
    return found[1]


def test_help_is_quoted_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert make_parser().format_help() in README


def test_the_tree_names_every_module_and_nothing_else() -> None:
    listed = set(re.findall(r"^  ([\w.]+/?)\s", block("### The tree"), re.MULTILINE))
    package = ROOT / "reghar"
    modules = {p.name for p in package.glob("*.py")}
    folders = {f"{p.name}/" for p in package.iterdir() if (p / "__init__.py").exists()}
    assert listed == modules | folders


def test_every_command_is_in_the_table() -> None:
    for command in COMMANDS:
        assert f"`reghar {command.replace('_', '-')}" in README, command


def test_exit_codes_are_those_of_the_command_line() -> None:
    for code in re.findall(r"^  (\d+)", EXIT_CODES, re.MULTILINE):
        assert re.search(rf"\b{code} ", README[README.index("### Exit codes") :][:400])


def test_words_are_those_of_the_specification(shared: Path) -> None:
    vocabulary = (shared / "SPEC.md").read_text().split("## 1.")[1].split("## 2.")[0]
    words = {w for row in re.findall(r"^\| ([\w@ ]+) \|", vocabulary, re.MULTILINE) for w in [row.strip()]}
    mine = README[README.index("### Words") : README.index("### The tree")]
    for word in words - {"term"}:
        assert re.search(rf"^\| {re.escape(word)} \|", mine, re.MULTILINE), word


def test_make_has_the_two_commands() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
        assert f"make {target}" in README


def test_the_notebook_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = re.search(r"### In a notebook\n\n```python\n(.*?)```", README, re.DOTALL)
    assert example is not None
    (tmp_path / "results").symlink_to(ROOT / "results")
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-c", example[1]], check=True, env={**os.environ, "MPLBACKEND": "agg"})
    assert (tmp_path / "ladder.png").stat().st_size > 10_000
