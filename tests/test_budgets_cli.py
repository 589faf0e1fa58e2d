"""`reghar budgets`: the choice, its coefficients and error, and minimal budgets by problem."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.page_runs import write_run

from reghar.cli import main
from reghar.cli.budgets import coefficients


def test_coefficients_make_the_trapezoid_sum() -> None:
    assert coefficients((0, 2, 6, 16)) == [1, 3, 7, 5]
    assert sum(coefficients((0, 1024, 4096, 16384))) == 16384


def test_the_oracle_on_a_published_frontier(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["budgets", "--strategy", "oracle", "--n", "5", "--frontier", "Qwen3-4B"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("--budgets 0,")
    assert lines[-2].count(",") == 6
    assert float(lines[-1].split()[-1].rstrip("%")) < 0.4  # REG section 5.2


def test_exponential_budgets_need_no_frontier(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["budgets", "--n", "4"]) == 0
    assert "--budgets 0,1024,2048,4096,8192,16384" in capsys.readouterr().out


def test_minimal_budgets_by_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed in (("one", 0), ("two", 3)):
        write_run(tmp_path / name, seed=seed, problems=3)
    assert main(["budgets", "--per-question", str(tmp_path / "one"), str(tmp_path / "two")]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["task", "problem", "minimal_budget"]
    assert [row[1] for row in rows[1:]] == ["sum-0", "sum-1", "sum-2"]
    assert all(int(row[2]) in (64, 128, 256, 512, 1024, 2048) for row in rows[1:])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--strategy", "oracle"], "name one with --frontier"),
        (["--n", "0"], "--n must be at least 1, not 0"),
        (["--l-min", "9", "--l-max", "4"], "must lie between"),
        (["--figure", "x"], "name one with --frontier"),
    ],
)
def test_bad_choices_are_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["budgets", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_the_figure_has_as_many_budgets_as_a_short_frontier_allows(tmp_path: Path) -> None:
    """The published grid has 7 budgets between 1,024 and 8,192, fewer than the figure's usual 10."""
    words = ["--frontier", "Qwen3-4B", "--task", "aime24", "--l-max", "8192", "--n", "3"]
    assert main(["budgets", *words, "--figure", str(tmp_path / "errors")]) == 0
    assert (tmp_path / "errors.png").stat().st_size > 5_000
