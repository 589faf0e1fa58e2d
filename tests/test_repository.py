"""The files around the package agree with it and with each other; a public name stands for one thing."""

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

import reghar

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(line.split("==") for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line)


def test_one_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["version"] == reghar.__version__ == citation["version"]


def test_one_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["license"] == citation["license"] == "Apache-2.0"
    for name in PROJECT["license-files"]:
        assert (ROOT / name).stat().st_size > 0
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_workflows_and_forms_are_yaml(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)


@pytest.mark.parametrize("workflow", ["ci.yml", "release.yml"])
def test_workflows_run_targets_and_commands_that_exist(workflow: str) -> None:
    text = (ROOT / ".github" / "workflows" / workflow).read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"run: make (\w+)", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_development_tool_is_pinned() -> None:
    for requirement in PROJECT["optional-dependencies"]["dev"]:
        name = re.split(r"[<>=\[]", requirement)[0]
        assert name.lower() in {pin.lower() for pin in PINS}, name


def test_the_site_is_built_with_the_pinned_ruff() -> None:
    assert f"ruff=={PINS['ruff']}" in (ROOT / "docs" / "requirements.in").read_text().splitlines()


def test_the_type_marker_is_there() -> None:
    assert (ROOT / "reghar" / "py.typed").exists()


SAME_IN_EVERY_MODULE = {
    *("add_parser", "handle", "main", "DESCRIPTION"),  # of a command
    "send",  # of a tracker
    *("Array", "T"),  # short for the same type everywhere
}


def test_no_public_name_is_given_to_two_things() -> None:
    places = defaultdict(list)
    for path in sorted((ROOT / "reghar").rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            for name in _names_defined(node):
                places[name].append(str(path.relative_to(ROOT)))
    twice = {name: there for name, there in places.items() if len(there) > 1 and not name.startswith("_")}
    assert {name: there for name, there in twice.items() if name not in SAME_IN_EVERY_MODULE} == {}


def _names_defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
    return [target.id for target in targets if isinstance(target, ast.Name)]
