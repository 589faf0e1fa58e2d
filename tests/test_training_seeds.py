"""Intervals over training seeds: by hand, in simulation, and as `reghar compare` shows them."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.stored_runs import TASKS, write_data, write_run

from reghar.cli import main
from reghar.compare import render
from reghar.compare.measured import Bootstrap
from reghar.compare.sides import load_sides
from reghar.compare.table import Comparison, compare
from reghar.errors import InputError
from reghar.frontiers.frontier import FrontierSource, write_frontier
from reghar.measures.build_frontier import RunOutcomes, build
from reghar.measures.training_seeds import Mean, over_answers, over_seeds, subtracted
from reghar.store import load_run

QUICK = Bootstrap(replicates=200)
T_2 = 4.3026527
"""97.5% of Student's t with 2 degrees of freedom."""


def test_three_seeds_by_hand() -> None:
    found = over_seeds(np.array([0.5, 0.6, 0.7]))
    assert (found.value, found.variance, found.df) == (pytest.approx(0.6), pytest.approx(0.01 / 3), 2)
    reach = T_2 * 0.1 / 3**0.5
    assert found.interval() == (pytest.approx(0.6 - reach), pytest.approx(0.6 + reach))
    # As a share it stays within 0..1, and three models that are always right are no certainty.
    assert over_seeds(np.array([0.8, 0.9, 1.0])).share_interval(40)[1] == 1.0
    sure = over_seeds(np.ones(3))
    assert sure.interval() == (1.0, 1.0)
    assert sure.share_interval(40) == (pytest.approx(40 / (40 + 1.959964**2)), 1.0)


def test_two_methods_by_hand() -> None:
    """Welch: variances 1/3 and 4/3 of means of three, so (5/3)^2 / ((1/9 + 16/9) / 2) = 50/17 degrees."""
    found = subtracted(over_seeds(np.array([11.0, 12, 13])), over_seeds(np.array([4.0, 6, 8])))
    assert found.value == 6
    assert found.variance == pytest.approx(5 / 3)
    assert found.df == pytest.approx(50 / 17)
    assert found.p_value() == pytest.approx(0.0196, abs=5e-4)
    low, high = found.interval()
    assert (low, high) == (pytest.approx(6 - 4.155, abs=0.005), pytest.approx(6 + 4.155, abs=0.005))
    # No spread at all: equal is equal, and what is not is not, but for the trace that was not drawn.
    same, other = over_seeds(np.full(3, 0.5)), over_seeds(np.full(3, 0.25))
    assert subtracted(same, same).p_value() == 1
    assert subtracted(same, other).p_value() == 0
    assert subtracted(same, other, least=0.25).variance == 0.0625


def test_answers_of_models_at_hand_by_hand() -> None:
    """Two tasks; within variances 1/2 and 0 of 2 samples: 1/4 over 4 traces and 2^2 for the mean of tasks."""
    found = over_answers([np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([[3.0, 3.0]])])
    assert found is not None
    assert found.value == pytest.approx((0.75 + 3) / 2)
    assert found.variance == pytest.approx(0.25 / 4 / 4)
    assert found.df == pytest.approx(2)
    assert over_answers([np.ones((3, 1))]) is None


@pytest.mark.parametrize("seeds", [3, 4, 8])
def test_interval_and_p_value_never_disagree(seeds: int) -> None:
    generator = np.random.default_rng(seeds)
    for _ in range(300):
        found = over_seeds(generator.normal(0.9, 1, seeds))
        low, high = found.interval()
        assert (low > 0 or high < 0) == (found.p_value() < 0.05)


def test_coverage_where_trainings_differ() -> None:
    """3 seeds that spread by 3 points, each with 120 traces; the baseline is one model with 120 traces."""
    generator = np.random.default_rng(0)
    trained, base, problems, samples = 0.6, 0.5, 30, 4
    held = {"mean": 0, "one baseline": 0, "two methods": 0, "answers alone": 0}
    simulations = 2_000

    def figure(share: float) -> np.ndarray:
        return generator.random((problems, samples)) < share

    for _ in range(simulations):
        ours = [figure(share) for share in generator.normal(trained, 0.03, 3)]
        theirs = [figure(share) for share in generator.normal(base, 0.03, 3)]
        means = over_seeds(np.array([one.mean() for one in ours]))
        fixed = over_answers([figure(base).astype(float)])
        others = over_seeds(np.array([one.mean() for one in theirs]))
        answers = over_answers([np.concatenate(ours, axis=1).astype(float)])
        assert fixed is not None
        assert answers is not None
        for name, found, truth in (
            ("mean", means, trained),
            ("one baseline", subtracted(means, fixed), trained - base),
            ("two methods", subtracted(means, others), trained - base),
            ("answers alone", answers, trained),
        ):
            low, high = found.interval()
            held[name] += low <= truth <= high
    shares = {name: count / simulations for name, count in held.items()}
    assert 0.935 <= shares["mean"] <= 0.965
    assert 0.935 <= shares["one baseline"] <= 0.99
    assert 0.935 <= shares["two methods"] <= 0.985
    assert shares["answers alone"] < 0.9  # what a seed changes is not in it


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five runs: seeds of one model stand for models of several training seeds."""
    folder = tmp_path_factory.mktemp("seeds")
    data = write_data(folder / "data")
    return [write_run(folder / str(seed), data, seed=seed, samples=2, limit=6) for seed in range(5)]


@pytest.fixture(scope="module")
def comparison(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """A method of three seeds against one run, with a frontier built from another."""
    named = [
        RunOutcomes(
            name=run.path.name,
            model=run.model,
            digest=run.digest,
            protocol=run.protocol,
            outcomes={task: run.outcomes(task) for task in run.tasks},
        )
        for run in [load_run(runs[4])]
    ]
    source = FrontierSource(citation="tests", address="nowhere", date="2025")
    file = tmp_path_factory.mktemp("frontier") / "own.json"
    write_frontier(build(named, base_model="own", source=source), file)
    sides = load_sides([f"base={runs[0]}", "plp=" + "+".join(map(str, runs[1:4]))])
    return compare(sides, baseline=sides[0], bootstrap=QUICK, frontier=str(file))


def by_run(runs: list[Path], measure: str, task: str) -> list[float]:
    """A measure of each run, by hand; REG as the area under the curve."""
    figures = {
        "accuracy_full": lambda one: one.full_correct.mean(),
        "mean_length": lambda one: one.length.mean(),
        "reg": lambda one: np.trapezoid(one.correct.mean(axis=(0, 1)), one.budgets),
        "accuracy_at_l_max": lambda one: one.correct[..., -1].mean(),
    }
    tasks = list(TASKS) if task == "average" else [task]
    return [float(np.mean([figures[measure](load_run(run).outcomes(t)) for t in tasks])) for run in runs]


@pytest.mark.parametrize("task", [*TASKS, "average"])
def test_every_measure_is_the_mean_over_the_runs(comparison: Comparison, runs: list[Path], task: str) -> None:
    cells = {cell.measure: cell for cell in comparison.seeds if cell.task == task}
    assert [cell.side for cell in comparison.seeds] == ["plp"] * len(comparison.seeds)
    assert list(cells) == ["accuracy_full", "mean_length", "reg", "accuracy_at_l_max"]
    for measure, cell in cells.items():
        values, (base,) = by_run(runs[1:4], measure, task), by_run(runs[:1], measure, task)
        sign = -1 if measure == "reg" else 1
        assert cell.seeds == 3
        assert cell.difference is not None
        assert cell.difference.value == pytest.approx(sign * (np.mean(values) - base))
        error = float(np.std(values, ddof=1)) / 3**0.5
        assert cell.difference.variance > error**2  # and the baseline's own answers
        assert cell.mean is not None
        assert cell.interval is not None
        assert cell.mean == pytest.approx(comparison.cell(task, "plp", measure).value)
        if cell.unit == "tokens":
            assert cell.interval == (
                pytest.approx(cell.mean - T_2 * error, rel=1e-5),
                pytest.approx(cell.mean + T_2 * error, rel=1e-5),
            )
        else:
            assert cell.interval[0] <= max(cell.mean - T_2 * error, 0) + 1e-6
            assert cell.interval[1] >= min(cell.mean + T_2 * error, 1) - 1e-6


def test_the_four_forms_name_the_question(comparison: Comparison) -> None:
    for text in (render.comparison_terminal(comparison, None), render.comparison_markdown(comparison)):
        assert "Over training seeds, and differences from base" in text
        assert "about further models trained the same way, on these problems" in text
        assert "Against base, which is no sample of trainings" in text
        assert "its other intervals speak of these trained models" in text
    table = list(csv.DictReader(render.to_csv(comparison).splitlines()))
    row = next(r for r in table if (r["task"], r["side"], r["measure"]) == ("average", "plp", "mean_length"))
    cell = next(c for c in comparison.seeds if c.key == ("average", "plp", "mean_length"))
    assert row["seeds"] == "3"
    assert cell.interval is not None
    assert cell.difference is not None
    assert (float(row["low_over_seeds"]), float(row["high_over_seeds"])) == cell.interval
    ends = float(row["difference_low_over_seeds"]), float(row["difference_high_over_seeds"])
    assert ends == cell.difference.interval()
    assert float(row["p_value_over_seeds"]) == cell.difference.p_value()
    assert next(r for r in table if r["side"] == "base")["seeds"] == ""
    assert render.latex(comparison).count(r"\begin{tabular}") == 3


def test_two_methods_and_too_few_seeds(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    one, two = ("+".join(map(str, part)) for part in (runs[:3], runs[2:]))
    assert main(["compare", f"one={one}", f"two={two}"]) == 0
    printed = capsys.readouterr().out
    assert "Differences of two methods are Welch's t over the seeds of both." in printed
    assert main(["compare", str(runs[0]), f"few={runs[1]}+{runs[2]}"]) == 0
    printed = capsys.readouterr().out
    assert "Over training seeds" not in printed
    assert "not of further training seeds; those need 3 runs" in printed
    assert main(["compare", str(runs[0]), f"few={runs[1]}+{runs[2]}", "--format", "csv"]) == 0
    assert "over_seeds" not in capsys.readouterr().out


def test_a_method_is_compared_with_a_method(runs: list[Path]) -> None:
    parts = (runs[:3], runs[2:])
    sides = load_sides(
        [f"{name}=" + "+".join(map(str, part)) for name, part in zip("ab", parts, strict=True)]
    )
    found = compare(sides, baseline=sides[0], bootstrap=QUICK)
    cell = next(c for c in found.seeds if c.key == ("average", "b", "mean_length"))
    by_hand = [over_seeds(np.array(by_run(part, "mean_length", "average"))) for part in parts]
    wanted: Mean = subtracted(by_hand[1], by_hand[0])
    assert cell.difference is not None
    assert cell.difference.value == pytest.approx(wanted.value)
    assert (cell.difference.variance, cell.difference.df) == (
        pytest.approx(wanted.variance),
        pytest.approx(wanted.df),
    )
    assert {c.difference for c in found.seeds if c.side == "a"} == {None}
    unknown = next(c for c in found.seeds if c.key == ("average", "b", "reg"))
    assert (unknown.mean, unknown.interval) == (None, None)  # without a frontier the difference alone
    assert unknown.difference is not None


def test_a_copy_of_a_run_is_no_further_seed(tmp_path: Path) -> None:
    source = Path(__file__).resolve().parents[1] / "results" / "reference" / "terse"
    for name in ("one", "two"):
        shutil.copytree(source, tmp_path / name)
    with pytest.raises(InputError, match=r"is a copy of .*: name each training seed once"):
        load_sides([f"A={tmp_path / 'one'}+{tmp_path / 'two'}"])
