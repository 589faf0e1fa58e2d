"""`reghar compare`: the arithmetic of REG's tables, paired differences, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.outcome_arrays import outcomes_of, random_outcomes
from helpers.stored_runs import CORRECT, TASKS, resampled, three_runs, write_data

from reghar.cli import main
from reghar.compare import render
from reghar.compare.balanced import balanced_cells, correct_lengths, solved
from reghar.compare.measured import Bootstrap, MeasuredSide, measure_side, paired
from reghar.compare.sides import Side, load_sides, only_problems, up_to_budget
from reghar.compare.table import Comparison, _cells, compare, relative_change
from reghar.errors import InputError
from reghar.frontiers.choose import FrontierChoice
from reghar.frontiers.frontier import TaskFrontier
from reghar.measures.task import task_measures
from reghar.store import load_run

QUICK = Bootstrap(replicates=500)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return three_runs(tmp_path_factory.mktemp("runs"), data)


@pytest.fixture(scope="module")
def sides(runs: dict[str, Path]) -> list[Side]:
    return load_sides([f"{name}={path}" for name, path in runs.items()])


@pytest.fixture(scope="module")
def comparison(sides: list[Side]) -> Comparison:
    return compare(sides, baseline=sides[0], bootstrap=QUICK, balanced=0.5)


def test_averages_and_changes_of_table_1(published: Path) -> None:
    """The rows `average` are plain means over tasks, and their change is the change of the averages."""
    with (published / "reg_paper_table1.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    figures = {(r["base_model"], r["method"], r["task"]): float(r["reg"]) for r in rows}
    methods = {key[:2] for key in figures}
    for model, method in methods:
        own = {key[2]: reg for key, reg in figures.items() if key[:2] == (model, method)}
        tasks = [reg for task, reg in own.items() if task != "average"]
        assert len(tasks) == 4
        # Printed figures are rounded to 0.1.
        assert np.mean(tasks) == pytest.approx(own["average"], abs=0.1001)
    model = "DeepSeek-R1-Distill-Qwen-1.5B"
    changed = relative_change(figures[model, "vanilla_rl", "average"], figures[model, "base", "average"])
    assert changed == pytest.approx((1181.9 - 1780.2) / 1780.2)
    by_task = [
        relative_change(figures[model, "vanilla_rl", task], figures[model, "base", task])
        for task in ("aime24", "aime25", "amc23", "minerva_math")
    ]
    assert changed != pytest.approx(np.mean([one for one in by_task if one is not None]), abs=0.001)
    assert relative_change(10.0, 0.0) is None
    assert relative_change(10.0, -5.0) is None
    assert relative_change(None, 5.0) is None


def test_figures_are_those_of_the_samples(comparison: Comparison, runs: dict[str, Path]) -> None:
    values = {}
    for name in ("first", "second"):
        run = load_run(runs[name])
        for task in TASKS:
            outcomes = run.outcomes(task)
            values[name, task] = outcomes.length.mean()
            assert comparison.cell(task, name, "mean_length").value == pytest.approx(outcomes.length.mean())
            accuracy = (outcomes.full == CORRECT).mean()
            assert comparison.cell(task, name, "accuracy_full").value == pytest.approx(accuracy)
    means = {name: np.mean([values[name, task] for task in TASKS]) for name in ("first", "second")}
    cell = comparison.cell("average", "second", "mean_length")
    assert cell.value == pytest.approx(means["second"])
    assert cell.change == pytest.approx(means["second"] / means["first"] - 1)
    assert cell.difference is not None
    assert cell.difference.value == pytest.approx(means["second"] - means["first"])
    assert 2.8 < cell.difference.detectable / cell.difference.standard_error < 2.9  # Student's t


def test_a_difference_of_reg_needs_no_frontier(comparison: Comparison, runs: dict[str, Path]) -> None:
    cell = comparison.cell("average", "worse", "reg")
    assert cell.value is None
    areas = {name: mean_area(runs[name]) for name in ("first", "worse")}
    assert cell.difference is not None
    assert cell.difference.value == pytest.approx(areas["first"] - areas["worse"])
    assert cell.difference.low > 0
    assert cell.difference.p_value < 0.01


def mean_area(run: Path) -> float:
    outcomes = [load_run(run).outcomes(task) for task in TASKS]
    return float(np.mean([np.trapezoid(one.correct.mean(axis=(0, 1)), one.budgets) for one in outcomes]))


def test_the_baseline_has_no_difference_and_a_run_from_itself_none(runs: dict[str, Path]) -> None:
    one, other = load_sides([f"a={runs['first']}", f"b={runs['first']}"])
    found = compare([one, other], baseline=one, bootstrap=QUICK)
    assert found.cell("amc23", "a", "reg").difference is None
    difference = found.cell("amc23", "b", "reg").difference
    assert difference is not None
    assert (difference.value, difference.low, difference.high, difference.p_value) == (0, 0, 0, 1)


def test_pairing_pays(sides: list[Side]) -> None:
    """The interval of a paired difference is narrower than that of two independent figures."""
    found = compare(sides, baseline=sides[0], bootstrap=QUICK)
    difference = found.cell("amc23", "worse", "accuracy_full").difference
    outcomes = [side.outcomes("amc23").full_correct.mean(axis=1) for side in (sides[0], sides[2])]
    independent = np.sqrt(sum(one.var(ddof=1) / one.size for one in outcomes))
    assert difference is not None
    assert difference.standard_error < independent


@pytest.mark.timeout(900)
def test_coverage_of_the_paired_interval(runs: dict[str, Path]) -> None:
    """95% intervals of paired differences hold the true one in 94 to 96% of runs (binomial error granted)."""
    rng = np.random.default_rng(3)
    stored = load_run(runs["first"]).outcomes("amc23")
    longer = replace(stored, length=stored.length + 10 * (np.arange(40)[:, None] % 7))
    expected = longer.length.mean() - stored.length.mean()
    held, trials, few = 0, 1000, Bootstrap(replicates=400)
    for _ in range(trials):
        problems = [stored.problems[i] for i in rng.integers(0, 40, 40)]
        pair = [
            measure_side("x", [resampled(only_problems(one, problems), 8, rng)], FrontierChoice(), few)
            for one in (longer, stored)
        ]
        difference = paired("mean_length", *pair, None)
        assert difference is not None
        held += difference.low <= expected <= difference.high
    # Three binomial standard errors are granted.
    assert 0.94 - 0.021 < held / trials < 0.96 + 0.021


def test_seeds_of_one_method_are_one_side(runs: dict[str, Path]) -> None:
    both, worse = load_sides([f"ours={runs['first']}+{runs['second']}", str(runs["worse"])])
    assert [run.path for run in both.runs] == [runs["first"], runs["second"]]
    assert both.outcomes("amc23").full.shape == (40, 16)
    found = compare([worse, both], baseline=worse, bootstrap=QUICK)
    singles = [load_run(runs[name]).outcomes("amc23").length.mean() for name in ("first", "second")]
    assert found.cell("amc23", "ours", "mean_length").value == pytest.approx(np.mean(singles))
    assert any("mean over 2 runs" in note for note in found.notes)


def test_names_of_sides(runs: dict[str, Path], tmp_path: Path) -> None:
    assert [side.label for side in load_sides([str(runs["first"])])] == ["scripted"]
    unnamed = load_sides([str(runs["first"]), str(runs["second"])])
    assert [side.label for side in unnamed] == ["first", "second"]
    odd = tmp_path / "a=b+c"
    odd.symlink_to(runs["first"])
    assert load_sides([str(odd)])[0].runs[0].path == odd
    assert load_sides([f"x={odd}"])[0].label == "x"
    for argument in (f"{runs['first']}+", f"={runs['first']}", f"{runs['first']}+{runs['first']}", "nowhere"):
        with pytest.raises(InputError):
            load_sides([argument])
    with pytest.raises(InputError, match="two sides are called 'a'"):
        load_sides([f"a={runs['first']}", f"a={runs['second']}"])


def test_unequal_protocols_are_refused_by_name_and_allowed_by_name(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.symlink_to(runs["second"])
    changed = tmp_path / "changed"
    changed.mkdir()
    for name in ("traces", "answers", "scores"):
        (changed / name).symlink_to(runs["second"] / name)
    manifest = json.loads((runs["second"] / "run.json").read_text())
    manifest["protocol"]["sampling"]["top_p"] = 0.5
    manifest["digest"] = "other"
    (changed / "run.json").write_text(json.dumps(manifest))
    capsys.readouterr()
    assert main(["compare", str(runs["first"]), str(changed)]) == 2
    error = capsys.readouterr().err
    assert "sampling.top_p: 0.5 != 0.95" in error
    assert error.count("\n") == 1
    for name in ("sampling.top_p", "sampling"):
        assert main(["compare", str(runs["first"]), str(changed), "--allow", name]) == 0
        assert "sampling.top_p" in capsys.readouterr().out.replace("\n", " ")
    assert main(["compare", str(runs["first"]), str(changed), "--allow", "sampling.top"]) == 2
    # Runs of one side are averaged: nothing may differ.
    seeds = f"{runs['first']}+{changed}"
    assert main(["compare", str(runs["worse"]), seeds, "--allow", "sampling"]) == 2


def test_incomplete_runs_and_lonely_runs_are_refused(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torn = tmp_path / "torn"
    torn.mkdir()
    (torn / "run.json").write_text((runs["first"] / "run.json").read_text())
    assert main(["compare", str(runs["first"]), str(torn)]) == 2
    assert "is incomplete" in capsys.readouterr().err
    assert main(["compare", str(runs["first"])]) == 2
    assert "two runs" in capsys.readouterr().err
    assert main(["compare", str(runs["first"]), str(runs["second"]), "--balanced", "1"]) == 2


def test_the_baseline_by_name_by_folder_or_added(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    named = [f"{name}={path}" for name, path in runs.items()]
    for baseline in ("second", str(runs["second"])):
        assert main(["compare", *named, "--baseline", baseline, "--format", "csv"]) == 0
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        assert {row["baseline"] for row in rows} == {"second"}
    assert main(["compare", named[0], "--baseline", str(runs["second"]), "--format", "md"]) == 0
    assert "Comparison with scripted" in capsys.readouterr().out


def test_csv_holds_every_figure_unrounded(comparison: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(render.to_csv(comparison))))
    assert len(rows) == len(comparison.cells)
    for row, cell in zip(rows, comparison.cells, strict=True):
        assert (row["task"], row["side"], row["measure"]) == (cell.task, cell.side, cell.measure)
        assert row["value"] == ("" if cell.value is None else repr(cell.value))
        found = cell.difference
        assert row["p_value"] == ("" if found is None else repr(found.p_value))
        assert row["detectable"] == ("" if found is None else repr(found.detectable))


def test_tables_hold_every_side_and_task(comparison: Comparison) -> None:
    page = render.comparison_markdown(comparison)
    for task in (*TASKS, "average"):
        for side in ("first", "second", "worse"):
            assert f"| {task} | {side} |" in page
    tex = render.latex(comparison)
    assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") == 2
    assert r"\multicolumn{4}{c}{average}" in tex
    body = [line for line in tex.splitlines() if line.startswith(("first &", "second &", "worse &"))]
    assert [line.count("&") for line in body] == [12, 12, 12]


def test_a_difference_is_side_minus_baseline_in_every_form(comparison: Comparison) -> None:
    cells = [cell for cell in comparison.cells if cell.difference is not None]
    rows = list(render.difference_rows(comparison))
    table = list(csv.DictReader(io.StringIO(render.to_csv(comparison))))
    assert len(rows) == len(cells)
    for cell, row in zip(cells, rows, strict=True):
        found = cell.difference
        assert found is not None
        scale = 100 if cell.unit == "fraction" else 1
        values = [scale * one for one in (found.value, found.low, found.high)]
        read = [float(text.replace("−", "-").replace(",", "")) for text in (row[3], *row[4].split(" to "))]
        assert read == pytest.approx(values, abs=0.051)
        key = (cell.task, cell.side, cell.measure)
        written = next(line for line in table if (line["task"], line["side"], line["measure"]) == key)
        ends = [float(written[name]) for name in ("difference", "low", "high")]
        assert ends == [found.value, found.low, found.high]
        base = comparison.cell(cell.task, comparison.baseline, cell.measure).value
        if cell.value is not None and base is not None:
            assert found.value == pytest.approx(cell.value - base, abs=1e-9)


def test_hostile_names_stay_text(sides: list[Side]) -> None:
    hostile = replace(sides[1], label="=1+1|<script>\x1b[31m_$&%")
    found = compare([sides[0], hostile], baseline=sides[0], bootstrap=QUICK)
    assert "<script>" not in render.comparison_markdown(found)
    assert "\x1b" not in render.comparison_markdown(found) + render.latex(found) + render.to_csv(found)
    assert r"\_\$\&\%" in render.latex(found)
    sides_in_csv = {row["side"] for row in csv.DictReader(io.StringIO(render.to_csv(found)))}
    assert all(not side.startswith("=") for side in sides_in_csv)


def test_balanced_lengths_by_hand(runs: dict[str, Path]) -> None:
    outcomes = {name: [load_run(runs[name]).outcomes("amc23")] for name in ("first", "second")}
    one, other = outcomes["first"][0], outcomes["second"][0]
    kept = (one.full_correct.mean(axis=1) > 0.5) & (other.full_correct.mean(axis=1) > 0.5)
    assert 0 < kept.sum() < 40
    assert (solved([one, other], 0.5) == kept).all()
    expected = np.mean([one.length[p][one.full_correct[p] == 1].mean() for p in np.flatnonzero(kept)])
    cells, notes = balanced_cells(outcomes, "first", threshold=0.5, draw=QUICK, average="average")
    assert cells[0].value == pytest.approx(expected)
    assert f"{kept.sum()} of 40 problems" in notes[0]
    difference = cells[1].difference
    assert difference is not None
    assert difference.value == pytest.approx((correct_lengths(other) - correct_lengths(one))[kept].mean())
    # Exactly the threshold is not more than it.
    half = replace(one, full=np.where(np.arange(8) < 4, CORRECT, 1).astype(np.int8)[None].repeat(40, axis=0))
    assert not solved([half], 0.5).any()
    assert balanced_cells({"a": [half]}, "a", threshold=0.5, draw=QUICK, average="average")[0] == []


def test_balanced_lengths_of_all_tasks_are_pooled() -> None:
    """One problem of 100 tokens and nine of 1,000: 910 together (REG table 2), not 550."""
    sides = {
        side: [
            outcomes_of(np.ones((count, 2, 1)), [64], task=task, lengths=np.full((count, 2), factor * length))
            for task, count, length in (("aime24", 1, 100), ("amc23", 9, 1000))
        ]
        for side, factor in (("base", 1), ("longer", 2))
    }
    cells, notes = balanced_cells(sides, "base", threshold=0.5, draw=QUICK, average="average")
    values = {(cell.task, cell.side): cell.value for cell in cells}
    assert values["average", "base"] == 910
    assert (values["aime24", "base"], values["amc23", "base"]) == (100, 1000)
    assert values["average", "longer"] == 1820
    assert any("the means of the tasks' means are base 550.0, longer 1,100.0" in note for note in notes)


def test_runs_of_unequal_samples_have_one_error_whichever_is_the_baseline() -> None:
    """Each side carries the expansion of its own n: 5000 / 2 and 20000 / 7 / 8 over 10 problems."""
    two = outcomes_of(np.ones((10, 2, 1)), [64], lengths=np.tile([100, 200], (10, 1)))
    eight = outcomes_of(np.ones((10, 8, 1)), [64], lengths=np.tile([100, 200], (10, 4)))
    draw = Bootstrap(interval="samples", replicates=10_000)
    sides = [measure_side("x", [one], FrontierChoice(), draw) for one in (two, eight)]
    for pair in (sides, sides[::-1]):
        found = paired("mean_length", pair[0], pair[1], None)
        assert found is not None
        assert found.standard_error == pytest.approx(((2500 + 20_000 / 7 / 8) / 10) ** 0.5, rel=0.02)


def test_a_run_cut_at_a_budget_has_the_accuracy_of_that_budget(runs: dict[str, Path]) -> None:
    outcomes = load_run(runs["first"]).outcomes("amc23")
    cut = up_to_budget(outcomes, 128)
    assert cut.budgets.tolist() == [0, 64, 128]
    assert (cut.correct[:, :, -1] == outcomes.correct[:, :, 2]).all()


def test_terminal_output_to_a_file(runs: dict[str, Path], tmp_path: Path) -> None:
    names = [str(runs["first"]), str(runs["worse"])]
    for form in ("terminal", "md", "csv", "latex"):
        file = tmp_path / "new" / form
        assert main(["compare", *names, "--format", form, "--interval", "samples", "--out", str(file)]) == 0
        assert "average" in file.read_text()


def test_lengths_against_the_baseline_and_both_averages(
    comparison: Comparison, runs: dict[str, Path]
) -> None:
    means = {
        name: [load_run(runs[name]).outcomes(task).length.mean() for task in TASKS]
        for name in ("first", "worse")
    }
    ratios = [ours / base for ours, base in zip(means["worse"], means["first"], strict=True)]
    for task, ratio in zip(TASKS, ratios, strict=True):
        assert comparison.cell(task, "worse", "compression").value == pytest.approx(ratio)
        assert comparison.cell(task, "worse", "token_reduction").value == pytest.approx(100 * (1 - ratio))
    whole = sum(means["worse"]) / sum(means["first"])
    shown = {
        name: comparison.cell("average", "worse", name).value
        for name in ("compression_ratio_of_averages", "compression_mean_of_ratios", "token_reduction")
    }
    assert list(shown.values()) == pytest.approx([whole, np.mean(ratios), 100 * (1 - whole)])
    page = render.comparison_markdown(comparison)
    assert f"| average, ratio of averages | worse | {whole:.3f} |" in page
    assert f"| average, mean of ratios | worse | {np.mean(ratios):.3f} |" in page
    assert all(cell.side != "first" for cell in comparison.cells if cell.measure.startswith("compression"))


def test_the_pooled_average_weighs_every_sample(comparison: Comparison, runs: dict[str, Path]) -> None:
    outcomes = [load_run(runs["second"]).outcomes(task) for task in TASKS]
    pooled = comparison.cell("average_pooled", "second", "mean_length")
    assert pooled.value == pytest.approx(np.concatenate([one.length.ravel() for one in outcomes]).mean())
    right = np.concatenate([one.full_correct.ravel() for one in outcomes]).mean()
    assert comparison.cell("average_pooled", "second", "accuracy_full").value == pytest.approx(right)
    assert pooled.difference is None
    assert "average_pooled  second" in render.comparison_terminal(comparison, None)


def test_reg_on_another_grid_is_another_measure() -> None:
    frontier = TaskFrontier(budgets=(0, 512), accuracy=(0.2, 0.9), samples=4, problems=12)
    sides = [
        MeasuredSide(
            label=label,
            tasks=(task_measures(random_outcomes(12, 4, grid, seed=4), frontier, replicates=50),),
        )
        for label, grid in (("fine", (0, 128, 256, 512)), ("coarse", (0, 256, 512)))
    ]
    cells = {cell.measure: cell for cell in _cells("aime24", *sides)}
    assert cells["reg"].value is not None
    assert (cells["reg"].change, cells["reg"].difference) == (None, None)
    assert cells["mean_length"].difference is not None
    same = {
        cell.measure: cell
        for cell in _cells("aime24", sides[0], MeasuredSide(label="b", tasks=sides[0].tasks))
    }
    assert same["reg"].difference is not None
