"""Published figures beside one's own: the arithmetic of REG tables 1 and 3, and what is refused."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from helpers.stored_runs import three_runs, write_data

from reghar.cli import main
from reghar.compare.published import published_rows
from reghar.errors import InputError

TASKS = ("aime24", "aime25", "amc23", "minerva_math")


@pytest.mark.parametrize(
    ("model", "method", "percent"),
    [
        ("DeepSeek-R1-Distill-Qwen-1.5B", "REO-RL (Exp)", -57.62),
        ("DeepSeek-R1-Distill-Qwen-1.5B", "REO-RL (Q-Spec)", -73.50),
        ("DeepSeek-R1-Distill-Qwen-7B", "REO-RL (Exp)", -55.90),
        ("Qwen3-4B", "REO-RL (Exp)", -65.23),
    ],
)
def test_the_average_is_the_change_of_averages(model: str, method: str, percent: float) -> None:
    rows = {(row.task, row.method): row for row in published_rows(model, TASKS, average="average")}
    found = rows["average", method].change
    assert found is not None
    assert 100 * found == pytest.approx(percent, abs=0.005)


def test_the_data_are_the_table(published: Path) -> None:
    """Every row that checks, and no other."""
    with (published / "reg_table1_table3.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    for model in {row["base_model"] for row in table}:
        kept = {
            (row["task"], row["method"].removesuffix(", table 3")): row
            for row in table
            if row["base_model"] == model and row["row_checks"] != "no"
        }
        found = {(row.task, row.method): row for row in published_rows(model, TASKS, average="average")}
        assert found.keys() == kept.keys()
        for key, row in kept.items():
            # Printed to 0.1, the changes of an average as well.
            assert found[key].accuracy * 100 == pytest.approx(float(row["accuracy_pct"]), abs=0.11)
            assert found[key].mean_length == pytest.approx(float(row["length_tokens"]), abs=0.11)
            reg = float(row["reg_printed"] or row["reg_implied"])
            assert found[key].reg == pytest.approx(reg, abs=1.5)


def test_what_is_not_published_is_refused() -> None:
    with pytest.raises(InputError, match=r"choose among .*Qwen3-4B"):
        published_rows("Qwen2", TASKS, average="average")
    with pytest.raises(InputError, match="math500"):
        published_rows("Qwen3-4B", ["math500"], average="average")


def test_under_the_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = three_runs(tmp_path / "runs", write_data(tmp_path))
    command = ["compare", str(runs["first"]), f"other={runs['second']}", "--published", "Qwen3-8B"]
    assert main([*command, "--format", "md"]) == 0
    page = capsys.readouterr().out
    assert "| aime24 | REO-RL (Exp) (published) | 73.6 | 9,285.4 |" in page
    assert "probe sampling and grader unknown" in page
    assert main([*command, "--format", "latex"]) == 0
    body = [line for line in capsys.readouterr().out.splitlines() if "(published) &" in line]
    assert body
    assert {line.count("&") for line in body} == {12}
    assert main([*command, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    printed = [row for row in rows if row["side"] == "HGPO (published)" and row["measure"] == "reg"]
    assert {row["baseline"] for row in printed} == {"Base LRM (published)"}
    assert main([*command, "--frontier", "Qwen3-4B", "--allow", "budgets"]) == 2
    assert "frontier Qwen3-4B" in capsys.readouterr().err
