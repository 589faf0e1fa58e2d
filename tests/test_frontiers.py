"""Frontier files: equal to the published points, found by name, refused with one line when broken."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reghar.errors import InputError
from reghar.frontiers.frontier import (
    available,
    load_frontier,
    match_frontier,
    points_sha256,
    read_frontier,
    write_frontier,
)

PUBLISHED = ("DeepSeek-R1-Distill-Qwen-1.5B", "DeepSeek-R1-Distill-Qwen-7B", "Qwen3-4B", "Qwen3-8B")


def test_every_point_is_the_published_one(published: Path) -> None:
    with (published / "frontier_points.csv").open() as file:
        rows = list(csv.DictReader(file))
    expected = {
        (row["base_model"], row["task"], int(row["budget_tokens"]), float(row["accuracy"])) for row in rows
    }
    held = {
        (model, task, budget, accuracy)
        for model in PUBLISHED
        for task, one in load_frontier(model).tasks.items()
        for budget, accuracy in zip(one.budgets, one.accuracy, strict=True)
    }
    assert held == expected
    assert len(held) == len(rows) == 768


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_say_where_they_come_from(name: str) -> None:
    frontier = load_frontier(name)
    assert frontier.protocol == "unverified"
    assert "2506.07104" in frontier.source.citation
    counts = {task: (one.problems, one.samples) for task, one in frontier.tasks.items()}
    assert counts == {"aime24": (30, 32), "aime25": (30, 32), "amc23": (40, 32), "minerva_math": (272, 32)}


def test_names_in_any_case_and_paths() -> None:
    assert load_frontier("qwen3-4b").name == "Qwen3-4B"
    assert set(PUBLISHED) <= set(available())


@pytest.mark.parametrize(
    ("model", "base"),
    [
        ("Qwen/Qwen3-4B", "Qwen3-4B"),
        ("models/deepseek-r1-distill-qwen-1.5b-reo-rl/step_100", "DeepSeek-R1-Distill-Qwen-1.5B"),
        ("me/my_Qwen3-8B_lora", "Qwen3-8B"),
        ("Qwen/Qwen3-14B", None),
        ("Qwen/Qwen3-4Bit", None),
        ("SmolLM2-135M-Instruct", None),
    ],
)
def test_auto_goes_by_the_base_models_name(model: str, base: str | None) -> None:
    found = match_frontier(model)
    assert (found and found.base_model) == base


def test_the_longest_name_wins(tmp_path: Path) -> None:
    longer = load_frontier("Qwen3-4B").model_copy(update={"base_model": "Qwen3-4B-Thinking"})
    write_frontier(longer, tmp_path / "longer.json")
    assert match_frontier("Qwen/Qwen3-4B-Thinking-2507", [tmp_path]).base_model == "Qwen3-4B-Thinking"
    assert "longer" in available([tmp_path])
    assert load_frontier("longer", [tmp_path]) == longer


def test_a_written_file_is_read_back(tmp_path: Path) -> None:
    frontier = load_frontier("Qwen3-8B")
    write_frontier(frontier, tmp_path / "sub" / "one.json")
    assert read_frontier(tmp_path / "sub" / "one.json") == frontier
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["one.json"]


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown frontier 'Qwen3-4': did you mean Qwen3-4B"):
        load_frontier("Qwen3-4")
    with pytest.raises(InputError, match=r"there are DeepSeek"):
        load_frontier("zzzzzz")
    with pytest.raises(InputError, match=r"cannot read the frontier nowhere.json: No such file"):
        load_frontier("nowhere.json")
    with pytest.raises(InputError, match=r"no task 'aime23': did you mean"):
        load_frontier("Qwen3-4B").task("aime23")


Change = Callable[[dict[str, Any]], object]

BROKEN: dict[str, tuple[Change, str]] = {
    "unknown schema": (
        lambda it: it.update(schema="reghar.frontier/9"),
        "unknown schema 'reghar.frontier/9'",
    ),
    "no schema": (lambda it: it.pop("schema"), "unknown schema None"),
    "unequal lengths": (lambda it: it["tasks"]["amc23"]["accuracy"].pop(), "tasks.amc23: unequal lengths"),
    "not increasing": (
        lambda it: it["tasks"]["amc23"]["budgets"].__setitem__(1, 0),
        "budgets are not strictly increasing: 0 follows 0",
    ),
    "percent": (lambda it: it["tasks"]["amc23"]["accuracy"].__setitem__(1, 14.5), "14.5 is outside 0..1"),
    "negative": (lambda it: it["tasks"]["amc23"]["accuracy"].__setitem__(1, -0.1), "-0.1 is outside 0..1"),
    "NaN": (lambda it: it["tasks"]["amc23"]["accuracy"].__setitem__(1, float("nan")), "nan is outside 0..1"),
    "another point": (lambda it: it["tasks"]["amc23"]["accuracy"].__setitem__(1, 0.5), "wrong checksum"),
    "text for a budget": (lambda it: it["tasks"]["amc23"]["budgets"].__setitem__(1, "64"), "valid integer"),
    "no tasks": (lambda it: it.update(tasks={}), "tasks"),
    "empty task": (lambda it: it["tasks"]["amc23"].update(budgets=[], accuracy=[]), "budgets"),
    "unknown field": (lambda it: it.update(notes="x"), "notes: Extra inputs"),
    "missing field": (lambda it: it["tasks"]["amc23"].pop("samples"), "tasks.amc23.samples: Field required"),
    "unknown protocol": (lambda it: it.update(protocol="verified"), "protocol"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_with_one_line(name: str, tmp_path: Path) -> None:
    change, says = BROKEN[name]
    content = json.loads(load_frontier("Qwen3-4B").to_json())
    change(content)
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        read_frontier(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "accuracy,1", "[" * 100_000])
def test_what_is_not_json_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"not JSON|unknown schema"):
        read_frontier(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_frontier(path)


def test_the_checksum_is_of_the_points_alone() -> None:
    frontier = load_frontier("Qwen3-4B")
    backwards = dict(reversed(frontier.tasks.items()))
    assert points_sha256(backwards) == frontier.sha256


def test_a_frontier_is_called_by_the_name_it_is_asked_for() -> None:
    assert load_frontier("ladder").name == "ladder"
    assert load_frontier("ladder").base_model == "demo"
