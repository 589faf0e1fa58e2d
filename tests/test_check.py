"""`reghar check`: worse fails, noise does not, and what cannot be judged is refused."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers.outcome_arrays import random_outcomes
from helpers.stored_runs import BUDGETS, CORRECT, TASKS, harder, resampled, three_runs, write_data, write_run
from scipy.special import ndtr

from reghar.cli import main
from reghar.compare.evidence import ReportSide, StoredSide
from reghar.compare.evidence import _mean as mean_of_tasks
from reghar.compare.gates import Gate, gates_from_flags
from reghar.compare.measured import Bootstrap
from reghar.compare.unpaired import independent_difference
from reghar.compare.verdicts import Evidence, decide, gather, verdicts
from reghar.errors import InputError
from reghar.frontiers.choose import FrontierChoice
from reghar.frontiers.frontier import Frontier, FrontierSource, TaskFrontier, points_sha256, write_frontier
from reghar.measures.bootstrap import problem_expansion
from reghar.measures.catalogue import Measure, rounded
from reghar.measures.estimate import Difference, Estimate
from reghar.report.schema import Report
from reghar.store import StoredRun, load_run

PAIRS = 1000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return three_runs(tmp_path_factory.mktemp("runs"), data)


def checked(*words: object) -> int:
    return main(["check", *map(str, words)])


def test_two_seeds_of_one_model_pass(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(runs["first"], "--baseline", runs["second"], "--tolerance", 60) == 0
    printed = capsys.readouterr().out
    assert "reg on average: not worse: " in printed
    assert "paired by problem; about problems like these (whole problems drawn)." in printed
    assert checked(runs["second"], "--baseline", runs["first"], "--tolerance", 60) == 0


def test_what_nothing_tolerates_stays_undecided_and_says_what_would_decide(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (runs["first"], "--baseline", runs["second"], "--junit", tmp_path / "x.xml")
    assert checked(*words) == 4
    printed = capsys.readouterr().out
    assert "reg on average: UNDECIDED: " in printed
    assert "UNDECIDED (1 of 1 gates)" in printed
    needed = re.search(r"If the difference stays, about ([0-9,]+) problems would decide \(now 70\)", printed)
    assert needed is not None
    assert int(needed[1].replace(",", "")) > 70
    assert ElementTree.parse(tmp_path / "x.xml").getroot().get("failures") == "1"  # noqa: S314  written above
    assert checked(*words, "--undecided", "pass") == 0
    assert "which passes here" in capsys.readouterr().out
    assert ElementTree.parse(tmp_path / "x.xml").getroot().get("failures") == "0"  # noqa: S314  written above
    # As many problems as were named, with the same difference and spread, do decide.
    assert checked(*words, "--interval", "samples") in (1, 4)
    assert "samples per problem would decide (now 8)" in capsys.readouterr().out


def test_enough_problems_decide() -> None:
    """Twice the limits' distance away nothing is undecided; the number named is just enough."""
    outcomes, other = (random_outcomes(40, 8, [0, 64, 128, 256], seed=seed) for seed in (0, 1))
    (verdict,) = verdicts([Gate(measure="accuracy", tolerance=0.02)], side(outcomes), side(other))
    assert verdict.state == "undecided"
    needed = verdict.units_to_decide
    assert needed is not None
    for count, state in ((needed * 0.9, "undecided"), (needed * 1.1, "decided")):
        narrower = np.sqrt(40 / count)
        noise = verdict.evidence.difference.noise
        assert isinstance(noise, Estimate)
        replicates = noise.value + (noise.replicates - noise.value) * narrower
        shrunk = Difference.of(replace(noise, replicates=replicates))
        (again,) = decide([replace(verdict.evidence, difference=shrunk)])
        assert (again.state == "undecided") == (state == "undecided"), count


@pytest.mark.parametrize(
    ("value", "tolerance", "alone", "together"),
    [
        (1.8, 0.0, "undecided", "undecided"),  # worse asks for the two-sided 5% from 0 as well
        (2.1, 0.0, "worse", "undecided"),
        (4, 2.1, "worse", "undecided"),
        (4, 1.0, "worse", "worse"),
        (0, 1.9, "not worse", "undecided"),
        (0, 3.0, "not worse", "not worse"),
    ],
)
def test_both_claims_are_corrected_for_the_number_of_gates(
    value: float, tolerance: float, alone: str, together: str
) -> None:
    """Of two gates each must hold at 2.5%: 1.96 standard errors instead of 1.645."""
    noise = np.random.default_rng(0).normal(size=10_000)
    estimate = Estimate(
        value=value,
        replicates=value + noise,
        expansion=problem_expansion(4_000),
        units=4_000,
        drawn="problems",
        difference=True,
    )
    evidence = Evidence(
        gate=Gate(measure="reg", tolerance=tolerance),
        test="paired",
        value=0.0,
        base=0.0,
        unit="tokens",
        harm=1.0,
        difference=Difference.of(estimate),
        drawn="problems",
        units=4_000,
    )
    assert [one.state for one in decide([evidence])] == [alone]
    both = decide([evidence] * 2)
    assert [one.state for one in both] == [together] * 2
    # Found at Holm's smallest level with 80% power: 1.96 + 0.84 standard errors of one, 2.24 + 0.84 of two.
    error = evidence.difference.standard_error
    assert decide([evidence])[0].detectable == pytest.approx((1.96 + 0.8416) * error, rel=2e-3)
    assert both[0].detectable == pytest.approx((2.2414 + 0.8416) * error, rel=2e-3)


@pytest.mark.parametrize(("harm", "unit"), [(1.0, "tokens"), (-1.0, "fraction")])
def test_worse_means_worse_than_what_is_tolerated(harm: float, unit: str) -> None:
    """A difference that is certain, of which no more than the tolerance is: undecided, and no error."""
    scale = 1.0 if unit == "tokens" else 0.01
    noise = np.random.default_rng(0).normal(size=2_000)
    estimate = Estimate(
        value=4 * harm * scale,
        replicates=(4 * harm + noise) * scale,
        expansion=problem_expansion(400),
        units=400,
        drawn="problems",
        difference=True,
    )

    def state(tolerance: float) -> str:
        evidence = Evidence(
            gate=Gate(measure="reg", tolerance=tolerance * scale),
            test="paired",
            value=0.0,
            base=0.0,
            unit=unit,
            harm=harm,
            difference=Difference.of(estimate),
            drawn="problems",
            units=400,
            fewest=6,
        )
        (verdict,) = decide([evidence])
        assert verdict.differs
        assert verdict.worsening == pytest.approx(4 * scale)
        # One-sided 95%: 1.645 standard errors to each side.
        middle, reach = 4 * harm * scale, 1.645 * scale
        assert verdict.limits == (
            pytest.approx(middle - reach, abs=0.1 * scale),
            pytest.approx(middle + reach, abs=0.1 * scale),
        )
        return verdict.state

    tolerances = (0, 2, 3, 4, 5, 6)
    found = ["worse", "worse", "undecided", "undecided", "undecided", "not worse"]
    assert [state(tolerance) for tolerance in tolerances] == found


def test_a_worse_run_fails_and_a_better_one_passes(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(runs["worse"], "--baseline", runs["first"]) == 1
    assert "WORSE" in capsys.readouterr().out
    assert checked(runs["first"], "--baseline", runs["worse"]) == 0
    assert "not worse (better)" in capsys.readouterr().out


def test_the_figures_are_those_of_the_stored_samples(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    checked(runs["worse"], "--baseline", runs["first"], "--measure", "accuracy@256", "--task", "amc23")
    means = [
        (load_run(runs[name]).outcomes("amc23").outcome[:, :, BUDGETS.index(256)] == CORRECT).mean()
        for name in ("worse", "first")
    ]
    printed = capsys.readouterr().out
    assert f"{100 * means[0]:.1f}% against {100 * means[1]:.1f}%" in printed
    assert f"−{100 * (means[1] - means[0]):.1f} points" in printed


def test_a_tolerance_is_absolute(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    worse = ("check", str(runs["worse"]), "--baseline", str(runs["first"]))
    assert main([*worse, "--tolerance", "500"]) == 0
    assert "not worse (but for what is tolerated)" in capsys.readouterr().out
    assert main([*worse, "--tolerance", "reg=1"]) == 1
    assert main([*worse, "--measure", "accuracy", "--tolerance", "0.9"]) == 0
    assert main([*worse, "--measure", "accuracy", "--tolerance", "0.25"]) == 4
    assert main([*worse, "--measure", "accuracy"]) == 1


@pytest.mark.parametrize(
    "measure", ["reg", "accuracy", "accuracy@128", "accuracy_full", "mean_length", "control"]
)
def test_every_measure_can_be_gated(runs: dict[str, Path], measure: str) -> None:
    assert checked(runs["first"], "--baseline", runs["first"], "--measure", measure) == 0
    fails = measure not in ("mean_length", "control")
    assert checked(runs["worse"], "--baseline", runs["first"], "--measure", measure) == int(fails)


def test_longer_responses_are_worse(runs: dict[str, Path]) -> None:
    outcomes = load_run(runs["first"]).outcomes("amc23")
    longer = type(outcomes)(**{**outcomes.__dict__, "length": outcomes.length + 100})
    (verdict,) = verdicts([Gate(measure="mean_length")], side(longer), side(outcomes))
    assert verdict.state == "worse"
    assert verdict.worsening == pytest.approx(100)
    (verdict,) = verdicts([Gate(measure="mean_length")], side(outcomes), side(longer))
    assert (verdict.state, verdict.differs) == ("not worse", True)


def side(*outcomes: object, replicates: int = 1000) -> StoredSide:
    bootstrap = Bootstrap(replicates=replicates)
    return StoredSide(label="x", outcomes=outcomes, reference=FrontierChoice(), bootstrap=bootstrap)  # type: ignore[arg-type]


GATES = (
    Gate(measure="reg"),
    Gate(measure="accuracy"),
    Gate(measure="mean_length"),
    Gate(measure="accuracy_full"),
    Gate(measure="control"),
)


@pytest.mark.timeout(900)
def test_noise_alone_fails_no_more_often_than_stated(runs: dict[str, Path]) -> None:
    """Pairs of runs of one model, resampled from stored samples: at most 2.5% are called worse."""
    rng = np.random.default_rng(7)
    stored = harder(load_run(runs["first"]), "amc23")
    worse, noticed = np.zeros(2), np.zeros(2)
    for _ in range(PAIRS):
        ours, theirs = (side(resampled(stored, 8, rng), replicates=400) for _ in range(2))
        evidence = [gather(gate, ours, theirs) for gate in GATES]
        found = [decide(evidence[:1]), decide(evidence)]
        worse += [any(verdict.state == "worse" for verdict in gates) for gates in found]
        noticed += [any(verdict.differs for verdict in gates) for gates in found]
    # Both for one gate and for all of them together; three binomial standard errors are granted.
    assert (worse <= 0.025 * PAIRS + 3 * np.sqrt(0.025 * 0.975 * PAIRS)).all(), worse
    assert (noticed <= 0.05 * PAIRS + 3 * np.sqrt(0.05 * 0.95 * PAIRS)).all(), noticed
    # A test that never fires would hold these bounds as well.
    assert (noticed >= 0.01 * PAIRS).all(), noticed


def test_a_handful_of_problems_is_never_called_worse() -> None:
    """At 4 problems percentiles called 7.8% of null pairs worse."""
    found = []
    for seed in range(60):
        sources = [
            side(random_outcomes(4, 8, (0, 256, 512), seed=2 * seed + i), replicates=300) for i in range(2)
        ]
        found += [one.state for one in verdicts([Gate(measure="reg"), Gate(measure="accuracy")], *sources)]
    assert set(found) == {"undecided"}


def test_what_is_called_detectable_is_detected(runs: dict[str, Path]) -> None:
    """A true difference as large as the stated one is found in about 80% of the pairs."""
    rng = np.random.default_rng(8)
    stored = harder(load_run(runs["first"]), "amc23")
    found = 0
    for _ in range(200):
        ours, theirs = (resampled(stored, 8, rng) for _ in range(2))
        (null,) = verdicts([Gate(measure="mean_length")], side(ours), side(theirs))
        shift = round(null.evidence.difference.detectable)
        longer = type(ours)(**{**ours.__dict__, "length": ours.length + shift})
        (verdict,) = verdicts([Gate(measure="mean_length")], side(longer), side(theirs))
        found += verdict.state == "worse"
    assert 0.7 < found / 200 < 0.9


def test_several_gates_are_corrected(runs: dict[str, Path]) -> None:
    first, second = (load_run(runs[name]) for name in ("first", "second"))
    sides = [side(*(run.outcomes(task) for task in run.tasks)) for run in (first, second)]
    alone = {gate: verdicts([gate], *sides)[0].p_worse for gate in GATES}
    together = verdicts(GATES, *sides)
    smallest = min(alone.values())
    assert min(v.p_worse for v in together) == pytest.approx(min(1.0, len(GATES) * smallest))
    assert all(verdict.p_worse >= alone[verdict.gate] for verdict in together)


def test_a_report_alone_is_not_paired_and_says_so(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(runs["first"] / "report.json", tmp_path / "report.json")
    for baseline in (tmp_path / "report.json", tmp_path):
        assert checked(runs["second"], "--baseline", baseline, "--tolerance", 100) == 0
        printed = capsys.readouterr().out
        assert "unpaired" in printed
        assert "not its samples" in printed
    gates = [word for name in ("reg", "accuracy", "accuracy@256", "control") for word in ("--measure", name)]
    assert checked(runs["worse"], "--baseline", tmp_path, *gates) == 1
    assert checked(runs["worse"], "--baseline", tmp_path, "--measure", "accuracy@256", "--task", "amc23") == 1
    # A report stands for the candidate as well.
    assert checked(tmp_path / "report.json", "--baseline", runs["second"], "--tolerance", 100) == 0


def test_a_report_is_not_judged_by_another_frontier_or_interval(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(runs["first"] / "report.json", tmp_path / "report.json")
    file = frontier_file(tmp_path / "made-up.json", 0.9)
    assert checked(tmp_path / "report.json", "--frontier", file, "--max-reg", 100) == 2
    assert "write it again with `reghar report RUN --frontier" in capsys.readouterr().err
    assert checked(tmp_path / "report.json", "--frontier", "no-such", "--max-reg", 100) == 2
    assert "no-such" in capsys.readouterr().err
    assert checked(runs["second"], "--baseline", tmp_path / "report.json", "--interval", "samples") == 2
    assert "give --interval problems" in capsys.readouterr().err


def test_unpaired_difference_by_hand() -> None:
    def figure(value: float, low: float, high: float) -> Measure:
        return Measure(name="reg", value=value, unit="tokens", higher_is_better=False, low=low, high=high)

    found = independent_difference(figure(10, 7, 14), figure(4, 1, 8))
    assert found is not None
    assert (found.value, found.low) == (6, 6 - 5)  # 3, 4, 5
    assert found.high == pytest.approx(6 + 5)
    touching = independent_difference(figure(9, 6, 13), figure(4, 1, 8))
    assert touching is not None
    assert touching.low == 0
    assert touching.p_value == pytest.approx(0.05)
    assert independent_difference(figure(9, 9, 9), figure(9, 9, 9)).p_value == 1  # type: ignore[union-attr]


def test_a_lopsided_pair_by_hand() -> None:
    """Half-widths 3, 4 below and 6, 8 above: which side's end counts, the error and the levels."""
    one = Measure(name="reg", value=20.0, unit="tokens", higher_is_better=False, low=17.0, high=26.0)
    other = Measure(name="reg", value=10.0, unit="tokens", higher_is_better=False, low=2.0, high=14.0)
    found = independent_difference(one, other)
    assert found is not None
    assert (found.value, found.low, found.high) == (10, pytest.approx(10 - 5), pytest.approx(10 + 10))
    assert found.standard_error == pytest.approx((5 + 10) / 2 / 1.959964)
    assert found.detectable == pytest.approx((1.959964 + 0.841621) * found.standard_error)
    narrow = found.noise.interval(0.9)
    assert narrow == (
        pytest.approx(10 - 5 * 1.644854 / 1.959964),
        pytest.approx(10 + 10 * 1.644854 / 1.959964),
    )
    # One-sided: 2 half-widths below 10 at 0, 1 above at 20.
    assert found.noise.p_at_most(0) == pytest.approx(ndtr(-2 * 1.959964))
    assert found.noise.p_at_least(20) == pytest.approx(ndtr(-1.959964))


def test_a_mean_over_tasks_of_reported_figures_by_hand() -> None:
    tasks = [
        Measure(name="x", value=value, unit="fraction", higher_is_better=True, low=low, high=high)
        for value, low, high in ((0.5, 0.47, 0.54), (0.7, 0.66, 0.73))
    ]
    mean = mean_of_tasks(tasks)
    assert mean.value == pytest.approx(0.6)
    assert (mean.low, mean.high) == (pytest.approx(0.6 - 0.025), pytest.approx(0.6 + 0.025))


def test_a_reports_accuracy_is_read_at_the_budget_that_was_named(runs: dict[str, Path]) -> None:
    report = Report.read(runs["first"])
    reported = ReportSide(label="x", report=report)
    for column, budget in enumerate(BUDGETS):
        found = reported.figure(Gate(measure=f"accuracy@{budget}", task="amc23"))
        assert found is not None
        assert found.value == report.tasks["amc23"].curve.accuracy[column]
        low = report.tasks["amc23"].curve.low
        assert low is not None
        assert found.low == low[column]


def test_a_worse_run_is_worse_than_a_report_too(runs: dict[str, Path]) -> None:
    baseline = ReportSide(label="base", report=Report.read(runs["first"]))
    stored = [load_run(runs["worse"]).outcomes(task) for task in ("amc23", "aime24")]
    found = gather(Gate(measure="reg"), side(*stored, replicates=300), baseline)
    assert found.test == "unpaired"
    areas = [
        np.mean([np.trapezoid(one.correct.mean(axis=(0, 1)), one.budgets) for one in outcomes])
        for outcomes in (stored, [load_run(runs["first"]).outcomes(task) for task in ("amc23", "aime24")])
    ]
    assert found.worsening == pytest.approx(areas[1] - areas[0])
    assert found.worsening > 0


def frontier_file(path: Path, accuracy: float) -> Path:
    tasks = {
        task: TaskFrontier(budgets=(0, 512), accuracy=(accuracy, accuracy), samples=8, problems=count)
        for task, count in (("amc23", 40), ("aime24", 30))
    }
    source = FrontierSource(citation="made up", address="none", date="2026")
    frontier = Frontier(
        base_model="made-up", protocol="unverified", source=source, sha256=points_sha256(tasks), tasks=tasks
    )
    write_frontier(frontier, path)
    return path


def mean_area_of(run: StoredRun, task: str) -> float:
    one = run.outcomes(task)
    return float(np.trapezoid(one.correct.mean(axis=(0, 1)), one.budgets))


def test_the_limit_on_reg(runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = frontier_file(tmp_path / "made-up.json", 0.9)
    limited = (runs["first"], "--frontier", file, "--max-reg")
    assert checked(*limited, 5) == 1
    assert "against the limit of 5.0" in capsys.readouterr().out
    assert checked(*limited, 460) == 0
    assert checked(*limited, 5, "--tolerance", 460) == 0
    # A frontier of task means alone: samples are drawn, and more of them would decide.
    capsys.readouterr()
    reg = float(np.mean([0.9 * 512 - mean_area_of(load_run(runs["first"]), task) for task in TASKS]))
    assert checked(*limited, f"{reg + 0.5:.1f}") == 4
    printed = capsys.readouterr().out
    assert "about this benchmark and other draws of the model" in printed
    assert "samples per problem would decide (now 8)" in printed
    # With a frontier the sentence names both figures of REG.
    capsys.readouterr()
    assert checked(runs["worse"], "--baseline", runs["first"], "--frontier", file) == 1
    outcomes = [
        load_run(runs[name]).outcomes(task) for name in ("worse", "first") for task in ("amc23", "aime24")
    ]
    regs = [np.trapezoid(0.9 - one.correct.mean(axis=(0, 1)), one.budgets) for one in outcomes]
    printed = capsys.readouterr().out
    assert f"{rounded(np.mean(regs[:2])):.1f} against {rounded(np.mean(regs[2:])):.1f}" in printed


def test_other_grids_are_refused_with_the_setting(
    runs: dict[str, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_run(tmp_path / "other", data, seed=1, budgets=(0, 64, 512), limit=4)
    capsys.readouterr()
    assert checked(other, "--baseline", runs["first"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "budgets: [0, 64, 512] != [0, 64, 128, 256, 512]" in error
    assert checked(other, "--baseline", runs["first"] / "report.json") == 2


def test_an_incomplete_run_is_refused(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torn = tmp_path / "torn"
    shutil.copytree(runs["first"], torn)
    sorted((torn / "scores").glob("*.parquet"))[-1].unlink()
    for words in ((torn, "--baseline", runs["first"]), (runs["first"], "--baseline", torn)):
        assert checked(*words) == 2
        assert "is incomplete" in capsys.readouterr().err
    report = json.loads((runs["first"] / "report.json").read_text())
    (tmp_path / "report.json").write_text(json.dumps({**report, "complete": False}))
    assert checked(runs["first"], "--baseline", tmp_path / "report.json") == 2


def test_few_problems_are_said_beside_the_verdict(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = [write_run(tmp_path / f"few{seed}", data, seed=seed, limit=5) for seed in (1, 2)]
    assert checked(pair[0], "--baseline", pair[1]) == 4
    assert "note: amc23: only 5 problems: intervals over them are Student's t" in capsys.readouterr().out
    assert checked(pair[0], "--baseline", pair[1] / "report.json") == 4
    assert "note: amc23: only 5 problems: intervals over them are Student's t" in capsys.readouterr().out


def test_a_single_problem_cannot_be_judged(data: Path, tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", data, seed=1, limit=1)
    assert checked(one, "--baseline", one) == 2
    assert checked(one, "--baseline", one, "--interval", "samples") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--baseline", "nowhere"], "does not exist"),
        ([], "nothing to check against"),
        (["--baseline", "SELF", "--measure", "beauty"], "'beauty' cannot be gated"),
        (["--baseline", "SELF", "--measure", "accuracy@77"], "77 is no budget"),
        (["--baseline", "SELF", "--task", "gsm8k"], "no task 'gsm8k'"),
        (["--baseline", "SELF", "--tolerance", "x"], "'x' is not a number"),
        (["--baseline", "SELF", "--tolerance", "-1"], "give a number from 0 on"),
        (["--baseline", "SELF", "--tolerance", "nan"], "give a number from 0 on"),
        (["--baseline", "SELF", "--measure", "accuracy", "--tolerance", "2"], "give a fraction"),
        (
            ["--baseline", "SELF", "--measure", "reg", "--measure", "accuracy", "--tolerance", "2"],
            "for which of",
        ),
        (["--baseline", "SELF", "--tolerance", "accuracy=0.1"], "accuracy is not gated"),
        (["--max-reg", "100"], "name a frontier"),
        (["--baseline", "SELF", "--gates", "none.toml"], "cannot read the gate file"),
        (["--baseline", "SELF", "--junit", "/proc/nowhere/x.xml"], "choose another file"),
    ],
)
def test_bad_input_is_one_line(
    runs: dict[str, Path], words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(runs["first"], *(str(runs["first"]) if word == "SELF" else word for word in words)) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[check]\n", "holds no gates"),
        ("[other]\n", "holds no gates"),
        ("[check\n", "is not TOML"),
        ("[[check.gates]]\nmeasure = 'beauty'\n", "cannot be gated"),
        ("[[check.gates]]\ntask = 'amc23'\n", "needs a measure"),
        ("[[check.gates]]\nmeasure = 'reg'\ntolerance = '5'\n", "wrong type"),
        ("[[check.gates]]\nmeasure = 'reg'\ntoleranse = 5\n", "unknown key 'toleranse'"),
        ("[check]\ninterval = 'days'\n[[check.gates]]\nmeasure = 'reg'\n", "problems or samples"),
    ],
)
def test_a_broken_gate_file_is_one_line(
    runs: dict[str, Path], tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "reghar.toml"
    file.write_text(text)
    assert checked(runs["first"], "--baseline", runs["first"], "--gates", file) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "section"), [("reghar.toml", "check"), ("pyproject.toml", "tool.reghar.check")]
)
def test_gate_files_are_found_and_hold_several_gates(
    runs: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    section: str,
) -> None:
    shutil.copytree(runs["first"], tmp_path / "reference")
    (tmp_path / name).write_text(
        f'[{section}]\nbaseline = "reference"\n'
        f'[[{section}.gates]]\nmeasure = "reg"\ntolerance = 2\n'
        f'[[{section}.gates]]\nmeasure = "accuracy@512"\ntask = "amc23"\ntolerance = 0.01\n'
    )
    monkeypatch.chdir(tmp_path)
    assert checked(runs["worse"], "--junit", "out/junit.xml", "--markdown", "out/summary.md") == 1
    assert "corrected for 2 gates" in capsys.readouterr().out
    suite = ElementTree.parse(tmp_path / "out" / "junit.xml").getroot()  # noqa: S314  written above
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    assert [case.get("name") for case in suite] == ["reg", "accuracy@512"]
    assert "WORSE" in str(suite[0].find("failure").get("message"))  # type: ignore[union-attr]
    page = (tmp_path / "out" / "summary.md").read_text()
    assert "FAILED (2 of 2 gates worse)" in page
    assert page.count("| WORSE |") == 2
    assert checked(runs["first"]) == 0
    # A flag that names a gate leaves the file unread, its baseline included.
    assert checked(runs["first"], "--measure", "reg") == 2


def test_flags_to_gates() -> None:
    assert gates_from_flags([], None, [], None) == [Gate(measure="reg")]
    assert gates_from_flags([], None, ["5"], 100.0) == [Gate(measure="reg", tolerance=5.0, limit=100.0)]
    assert gates_from_flags(["reg", "accuracy"], "amc23", ["accuracy=0.1"], None) == [
        Gate(measure="reg", task="amc23"),
        Gate(measure="accuracy", task="amc23", tolerance=0.1),
    ]
    with pytest.raises(InputError, match="only reg has one"):
        Gate(measure="accuracy", limit=3.0)


def test_training_seeds_make_one_side(runs: dict[str, Path]) -> None:
    both = f"{runs['first']}+{runs['second']}"
    assert checked(both, "--baseline", runs["second"], "--tolerance", 60) == 0
    assert checked(runs["worse"], "--baseline", both) == 1


def test_reports_of_both_sides_agree_with_the_samples(runs: dict[str, Path]) -> None:
    """The unpaired test sees the same difference as the paired one."""
    report = Report.read(runs["first"])
    area = report.overall("area")
    assert area is not None
    outcomes = [load_run(runs["first"]).outcomes(task) for task in ("amc23", "aime24")]
    expected = np.mean([np.trapezoid(one.correct.mean(axis=(0, 1)), one.budgets) for one in outcomes])
    assert area.value == pytest.approx(expected)
