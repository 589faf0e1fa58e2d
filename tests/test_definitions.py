"""docs/definitions.md defines every measure, and every reference to it from the code finds its heading."""

import re
from pathlib import Path

import pytest

from reghar.measures.catalogue import MEASURES

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "definitions.md").read_text()
HEADINGS = set(re.findall(r"^## (.+)$", PAGE, re.MULTILINE))
BETTER = {True: "higher", False: "lower", None: "–"}


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_with_its_unit_and_direction(name: str) -> None:
    unit, higher_is_better = MEASURES[name]
    assert f"| `{name}` | {unit} | {BETTER[higher_is_better]} |" in PAGE


def test_references_name_headings() -> None:
    referred = set()
    for folder in ("reghar", "tools", "benchmarks", "tests"):
        for path in {*(ROOT / folder).rglob("*.py")} - {Path(__file__)}:
            referred |= set(re.findall(r"\(definitions: ([^)]+)\)", path.read_text()))
    named = {heading for each in referred for heading in each.split("; ")}
    assert named
    assert named - HEADINGS == set()
