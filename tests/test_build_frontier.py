"""Frontiers from runs: maximum, winner, cross-fitted estimate, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.outcome_arrays import outcomes_of, random_outcomes
from helpers.protocols import protocol_settings
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reghar.cli import main
from reghar.errors import InputError
from reghar.frontiers.frontier import FrontierSource, read_frontier, write_frontier
from reghar.measures.build_frontier import RunOutcomes, build, cross_fitted
from reghar.measures.curves import curve_of
from reghar.measures.task import task_measures
from reghar.protocol import Protocol
from reghar.store.outcomes import MISSING, TaskOutcomes

SOURCE = FrontierSource(citation="tests", address="nowhere", date="2025")
BUDGETS = [0, 256, 512, 1024]


def run_of(name: str, outcomes: TaskOutcomes, *, digest: str = "d", top_p: float = 0.95) -> RunOutcomes:
    settings = protocol_settings()
    settings["sampling"]["top_p"] = top_p
    return RunOutcomes(
        name=name,
        model=f"m-{name}",
        digest=digest,
        protocol=Protocol.from_dict(settings),
        outcomes={outcomes.task: outcomes},
    )


def test_maximum_and_winner_at_each_budget() -> None:
    early = outcomes_of([[[1, 1, 1, 1]], [[0, 0, 0, 0]]], BUDGETS)
    late = outcomes_of([[[0, 0, 1, 1]], [[0, 0, 1, 1]]], BUDGETS)
    frontier = build([run_of("early", early), run_of("late", late)], base_model="b", source=SOURCE)
    task = frontier.task("aime24")
    assert task.accuracy == (0.5, 0.5, 1, 1)
    assert task.winner == ("early", "early", "late", "late")
    assert (task.samples, task.problems) == (1, 2)
    assert frontier.protocol.digest == "d"


def test_the_file_is_valid_and_no_run_is_above_it(tmp_path: Path) -> None:
    runs = [run_of(str(seed), random_outcomes(20, 4, BUDGETS, seed=seed)) for seed in range(3)]
    write_frontier(build(runs, base_model="b", source=SOURCE), tmp_path / "f.json")
    task = read_frontier(tmp_path / "f.json").task("aime24")
    for run in runs:
        outcomes = run.outcomes["aime24"]
        assert (curve_of(outcomes).accuracy <= np.array(task.accuracy) + 1e-12).all()
        assert task_measures(outcomes, task, replicates=50).measure("reg_negative").value == pytest.approx(0)
    assert np.all(np.array(task.low) <= task.accuracy)
    assert np.all(np.array(task.accuracy) <= task.high)


def test_one_run_is_its_own_frontier() -> None:
    outcomes = random_outcomes(20, 4, BUDGETS)
    task = build([run_of("only", outcomes)], base_model="b", source=SOURCE).task("aime24")
    np.testing.assert_allclose(task.accuracy, curve_of(outcomes).accuracy)
    np.testing.assert_allclose(task.cross_fitted, task.accuracy)
    assert task_measures(outcomes, task, replicates=50).measure("reg").value == pytest.approx(0, abs=1e-9)


@given(arrays(np.float64, (3, 5, 2), elements=st.floats(0, 1)))
def test_cross_fitting_never_exceeds_the_maximum(means: np.ndarray) -> None:
    assert (cross_fitted(means, splits=5) <= means.mean(axis=1).max(axis=0) + 1e-12).all()


def test_cross_fitting_removes_the_bias_of_the_maximum() -> None:
    generator = np.random.default_rng(0)
    noise = generator.binomial(4, 0.5, size=(8, 60, 200)) / 4  # eight equal runs, truth 0.5
    assert noise.mean(axis=1).max(axis=0).mean() > 0.535
    assert cross_fitted(noise).mean() == pytest.approx(0.5, abs=0.008)


def test_unequal_protocols_are_refused_naming_the_setting() -> None:
    outcomes = random_outcomes(4, 2, BUDGETS)
    runs = [run_of("a", outcomes), run_of("b", outcomes, digest="e", top_p=1.0)]
    with pytest.raises(InputError, match=r"a and b have unequal protocols: sampling.top_p: 0.95 != 1.0"):
        build(runs, base_model="b", source=SOURCE)


def test_incomplete_missing_and_repeated_runs_are_refused() -> None:
    outcomes = random_outcomes(4, 2, BUDGETS)
    torn = replace(outcomes, full=np.full_like(outcomes.full, MISSING))
    with pytest.raises(InputError, match="8 of 8 traces are missing"):
        build([run_of("torn", torn)], base_model="b", source=SOURCE)
    with pytest.raises(InputError, match="at least one run"):
        build([], base_model="b", source=SOURCE)
    with pytest.raises(InputError, match="two runs are called 'a'"):
        build([run_of("a", outcomes), run_of("a", outcomes)], base_model="b", source=SOURCE)


def test_one_problem_has_neither_interval_nor_cross_fitted_estimate() -> None:
    task = build([run_of("a", random_outcomes(1, 2, BUDGETS))], base_model="b", source=SOURCE).task("aime24")
    assert task.low is task.high is task.cross_fitted is None


def test_the_command_builds_from_stored_runs(
    benchmark_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stored(name: str, budgets: str) -> str:
        flags = (
            f"run --engine scripted --tasks amc23 --limit 4 --samples 2 --frontier none --seed {len(name)}"
        )
        places = ["--data-dir", str(benchmark_data), "--out", str(tmp_path / name)]
        assert main([*flags.split(), "--max-tokens", "300", "--budgets", budgets, *places]) == 0
        return str(tmp_path / name)

    runs = [stored("a", "0,64,256"), stored("bb", "0,64,256"), stored("ccc", "0,64,128")]
    out = str(tmp_path / "f.json")
    assert main(["frontier", "build", *runs[:2], "-o", out, "--base-model", "toy"]) == 0
    assert "biased upward" in capsys.readouterr().out
    frontier = read_frontier(Path(out))
    assert (frontier.base_model, frontier.task("amc23").budgets) == ("toy", (0, 64, 256))
    assert set(frontier.task("amc23").winner) <= {"a", "bb"}
    assert main(["frontier", "validate", out]) == 0

    assert main(["frontier", "build", *runs, "-o", out]) == 2
    assert "unequal protocols: budgets: [0, 64, 256] != [0, 64, 128]" in capsys.readouterr().err
    assert main(["frontier", "build", str(tmp_path / "none"), "-o", out]) == 2


def test_the_interval_is_that_of_the_run_that_won() -> None:
    """A run that is always wrong stands first: the other one wins everywhere, and its interval is shown."""
    never, mostly = outcomes_of(np.zeros((12, 4, 4)), BUDGETS), random_outcomes(12, 4, BUDGETS, skill=0.6)
    mostly = replace(mostly, outcome=np.where(np.array(BUDGETS) == 0, 1, mostly.outcome).astype(np.int8))
    found = build([run_of("never", never), run_of("mostly", mostly)], base_model="b", source=SOURCE)
    task = found.task("aime24")
    assert task.low is not None
    assert task.high is not None
    assert task.accuracy[-1] > 0.4
    ends = list(zip(task.low, task.accuracy, task.high, strict=True))
    assert all(low <= accuracy <= high for low, accuracy, high in ends)
    assert task.low[-1] > 0.1
    alone = build([run_of("mostly", mostly)], base_model="b", source=SOURCE).task("aime24")
    assert (task.low[-1], task.high[-1]) == ((alone.low or ())[-1], (alone.high or ())[-1])
