"""README and docs say what the code does: tree, layers, help, exit codes and words are checked here."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from reghar.cli import COMMANDS, make_parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


def block(page: str, heading: str) -> str:
    """The first fenced block under a heading."""
    found = re.search(r"```\n(.*?)```", page[page.index(f"\n{heading}\n") :], re.DOTALL)
    assert found is not None
    return found[1]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_help_and_exit_codes_are_quoted_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert make_parser().format_help() in (ROOT / "docs" / "cli.md").read_text()


def test_the_tree_names_every_module_and_nothing_else() -> None:
    listed = re.findall(r"^  ([\w.]+/?)\s", block(ARCHITECTURE, "## The tree"), re.MULTILINE)
    package = ROOT / "reghar"
    modules = {p.name for p in package.glob("*.py")}
    folders = {f"{p.name}/" for p in package.iterdir() if (p / "__init__.py").exists()}
    assert sorted(listed) == sorted(modules | folders), "each once"


def test_the_layers_are_those_that_are_held() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    assert block(ARCHITECTURE, "## Layers").splitlines() == [
        layer.replace("reghar.", "") for layer in contract["layers"]
    ]


def test_every_command_is_in_the_table() -> None:
    for command in COMMANDS:
        assert f"`reghar {command.replace('_', '-')}" in README, command


def test_every_link_in_the_repository_leads_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "tasks").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:|mailto:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_page_is_in_the_site() -> None:
    site = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert f"- {page.name}\n" in site, page.name


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
