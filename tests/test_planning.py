"""Planning: the two variances are recovered, and the design that is named does detect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.stored_runs import three_runs, write_data
from scipy.stats import ttest_1samp

from reghar.cli import main
from reghar.errors import InputError
from reghar.measures.planning import Components, cheapest, components


def test_components_by_hand() -> None:
    """Means 1 and 5: variance 8, less 2 / 2 within."""
    found = components(np.array([[0.0, 2.0], [4.0, 6.0]]))
    assert (found.between, found.within) == (7.0, 2.0)
    assert found.standard_error(4, 2) == pytest.approx(np.sqrt((7 + 1) / 4))
    paired = components(np.array([[0.0, 2.0], [4.0, 6.0]]), np.array([[1.0, 1.0], [5.0, 5.0]]))
    assert (paired.between, paired.within) == (0.0, 2.0)  # 0 - 1 is negative: 0


def test_components_are_unbiased() -> None:
    generator = np.random.default_rng(0)
    found = []
    for _ in range(300):
        problems = generator.normal(0, 3, (30, 1))
        found.append(components(problems + generator.normal(0, 2, (30, 4))))
    assert np.mean([one.between for one in found]) == pytest.approx(9, rel=0.05)
    assert np.mean([one.within for one in found]) == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize(("between", "within"), [(0.01, 0.1), (0.05, 0.02)])
def test_the_cheapest_design_detects_in_80_percent(between: float, within: float) -> None:
    truth = Components(between=between, within=within)
    best = cheapest(truth, 0.05)
    assert best is not None
    assert best.detectable <= 0.05
    generator = np.random.default_rng(1)
    spread = np.sqrt(between + within / best.samples)
    draws = generator.normal(0.05, spread, (best.problems, 2_000))
    assert np.mean(ttest_1samp(draws, 0).pvalue < 0.05) == pytest.approx(0.8, abs=0.04)
    # One problem fewer with these samples, or half the samples with these problems, does not.
    assert truth.detectable(best.problems - 1, best.samples) > 0.05


def test_no_spread_is_refused() -> None:
    with pytest.raises(InputError, match="1 samples each show no spread"):
        components(np.ones((5, 1)))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = three_runs(tmp_path, write_data(tmp_path / "data"))
    first, worse = str(runs["first"]), str(runs["worse"])
    capsys.readouterr()
    assert main(["power", first, "--task", "amc23", "--detect", "5"]) == 0
    printed = capsys.readouterr().out
    assert "amc23, accuracy_full, figure: standard deviation" in printed
    assert "Cheapest to detect 5 points: " in printed
    assert main(["power", first, "--baseline", worse, "--task", "amc23", "--measure", "area"]) == 0
    assert "paired difference" in capsys.readouterr().out
    for words, said in (
        ([first], "no --task is named: choose among amc23, aime24"),
        ([first, "--task", "gsm8k"], "--task gsm8k is none"),
        ([first, "--task", "amc23", "--detect", "0"], "--detect 0: give a difference above 0"),
        ([first, "--task", "amc23", "--measure", "scaling"], "'scaling' is no mean over traces"),
    ):
        assert main(["power", *words]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


def test_the_noise_of_a_pair_is_that_of_both_sides() -> None:
    """Within 1/2 and 2 (unbiased), means that differ by 0 and 4: 8 between, less 1/4 and 1."""
    one = np.array([[0.0, 1.0], [4.0, 5.0]])
    other = np.array([[0.0, 2.0], [0.0, 2.0]])
    found = components(one, other)
    assert found.within == pytest.approx(0.5 + 2)
    assert found.between == pytest.approx(8 - 0.5 / 2 - 2 / 2)
    assert found.per_cluster == 1
    assert found.standard_error(10, 5) == pytest.approx(((6.75 + 2.5 / 5) / 10) ** 0.5)
