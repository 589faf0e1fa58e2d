"""Clusters: problems of one source are drawn together, wherever problems are drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.outcome_arrays import outcomes_of, random_outcomes
from helpers.protocols import protocol_settings
from helpers.stored_runs import harder, write_data, write_run

from reghar.cli import main
from reghar.compare.balanced import balanced_cells
from reghar.compare.evidence import StoredSide
from reghar.compare.gates import Gate
from reghar.compare.measured import Bootstrap
from reghar.compare.sides import only_problems
from reghar.compare.verdicts import verdicts
from reghar.errors import InputError
from reghar.frontiers.choose import FrontierChoice
from reghar.frontiers.frontier import FrontierSource, TaskFrontier
from reghar.lm_eval_bridge.figures import _accuracy_errors
from reghar.measures.allocation import allocation_of
from reghar.measures.bootstrap import bootstrap_problems
from reghar.measures.build_frontier import RunOutcomes, build
from reghar.measures.clusters import Clusters, joined_clusters, shared_clusters
from reghar.measures.draws import drawn_values
from reghar.measures.efficiency import efficiency_means
from reghar.measures.estimate import Difference, sign_flips
from reghar.measures.oracle import regret_of
from reghar.measures.paired import difference
from reghar.measures.planning import cheapest, components, contributions
from reghar.measures.policies import Answers, fixed, points_of, saving_of, unbounded
from reghar.measures.scaling import rejection
from reghar.measures.scaling_of_run import _rejection_rows, _rows
from reghar.measures.sequential import accuracy_width, narrowest_width
from reghar.measures.serving import paired_columns
from reghar.measures.task import task_measures
from reghar.protocol import Protocol
from reghar.store import load_run
from reghar.store.outcomes import TaskOutcomes
from reghar.tasks import load_problems
from reghar.tasks.task import read_task

BUDGETS = [0, 256, 512, 1024]
REPLICATES = 400
ALONE = random_outcomes(12, 4, BUDGETS, seed=3)
OTHER = random_outcomes(12, 4, BUDGETS, seed=4, skill=0.2)


def copied(outcomes: TaskOutcomes, times: int = 3) -> TaskOutcomes:
    """Every problem `times` over, the copies in one cluster."""
    rows = np.repeat(np.arange(len(outcomes.problems)), times)
    arrays = {
        name: getattr(outcomes, name)[rows]
        for name in (
            *("outcome", "full", "length", "thinking_length", "finished", "looped", "thought"),
            *("thinking_opened", "thinking_closed"),
        )
    }
    ids = tuple(f"{outcomes.problems[row]}-{i}" for i, row in enumerate(rows))
    return replace(outcomes, problems=ids, clusters=tuple(outcomes.problems[row] for row in rows), **arrays)


def frontier_of(*runs: TaskOutcomes) -> TaskFrontier:
    named = [
        RunOutcomes(
            name=f"r{i}",
            model="m",
            digest="d",
            protocol=Protocol.from_dict(protocol_settings()),
            outcomes={run.task: run},
        )
        for i, run in enumerate(runs)
    ]
    source = FrontierSource(citation="tests", address="nowhere", date="2025")
    return build(named, base_model="b", source=source).task(runs[0].task)


def measured_intervals(one: TaskOutcomes, other: TaskOutcomes) -> object:
    """Every measure with its interval, the curve's intervals and band; REG drawn with the frontier."""
    found = task_measures(one, frontier_of(one, other), replicates=REPLICATES)
    ends = {measure.name: (measure.value, measure.low, measure.high) for measure in found.measures}
    assert found.low is not None
    assert found.band is not None
    return [ends, found.low.tolist(), [end.tolist() for end in found.band]]


def differences(one: TaskOutcomes, other: TaskOutcomes) -> object:
    sides = [[task_measures(side, None, replicates=REPLICATES)] for side in (one, other)]
    found = [difference(name, *sides) for name in ("area", "mean_length", "mean_length_correct")]
    return [[d.value, d.low, d.high, d.p_value, d.detectable] for d in found if d is not None]


def few_differences(one: TaskOutcomes, other: TaskOutcomes) -> object:
    """Four clusters of a dozen problems: Student's t, and all signs flipped."""
    ids = [list(dict.fromkeys(side.problems)) for side in (one, other)]
    wanted = [one for one in ids[0] if one.split("-")[1] in ("0", "1", "2", "3")]
    return differences(only_problems(one, wanted), only_problems(other, wanted))


def frontiers(one: TaskOutcomes, other: TaskOutcomes) -> object:
    found = frontier_of(one, other)
    return [found.accuracy, found.low, found.high, found.cross_fitted]


def plans(one: TaskOutcomes, other: TaskOutcomes) -> object:
    """Designs of the same number of clusters."""
    sides = [contributions(side, "accuracy_full") for side in (one, other)]
    found = components(*sides, clusters=Clusters.of(one))
    problems = 12 * found.per_cluster
    best = cheapest(found, 0.2)
    assert best is not None
    return [found.standard_error(int(problems), 4), found.detectable(int(problems), 4)]


def spent_more(one: TaskOutcomes, _: TaskOutcomes) -> object:
    limited = rejection(one.length, one.full_correct, [300, 700])
    rows = _rejection_rows(limited, 0, one) + _rows(
        (1,), one.budgets, one.correct.mean(axis=1)[:, None], one.budgets.astype(float), 0, one
    )
    return [[row["accuracy"], row["low"], row["high"]] for row in rows]


def stopped(one: TaskOutcomes, _: TaskOutcomes) -> object:
    groups = np.where(one.correct > 0, 0, 1)
    answers = Answers(outcomes=one, groups=groups, tokens=np.full(groups.shape, 10))
    clusters = Clusters.of(one)
    options: dict[str, Any] = {"task": one.task, "clusters": clusters, "replicates": REPLICATES}
    rules = [fixed(answers, 512), fixed(answers, 1024)]
    saving = saving_of(rules, unbounded(answers), margin=0.3, **options)
    points = points_of(rules, **options)
    return [
        *[[point.accuracy, point.low, point.high] for point in points],
        [saving.tokens_low, saving.tokens_high, saving.difference_low, saving.difference_high],
    ]


def balanced(one: TaskOutcomes, other: TaskOutcomes) -> object:
    cells, _ = balanced_cells(
        {"one": [one], "other": [other]},
        "other",
        threshold=0.2,
        draw=Bootstrap(replicates=REPLICATES),
        average="average",
    )
    found = next(cell.difference for cell in cells if cell.side == "one")
    assert found is not None
    return [found.value, found.low, found.high, found.p_value]


def gated(one: TaskOutcomes, other: TaskOutcomes) -> object:
    draw = Bootstrap(replicates=REPLICATES)
    sources = [
        StoredSide(label=label, outcomes=(side,), reference=FrontierChoice(), bootstrap=draw)
        for label, side in (("one", one), ("other", other))
    ]
    gates = [Gate(measure="reg", tolerance=20), Gate(measure="mean_length", tolerance=5)]
    found = verdicts(gates, *sources)
    return [[v.state, v.p_worse, v.p_not_worse, *v.limits, v.detectable] for v in found]


def served(one: TaskOutcomes, _: TaskOutcomes) -> object:
    """The paired differences of every budget; what a bound stands away at least is a matter of answers."""
    found = paired_columns(
        (one.correct - one.full_correct[..., None]).mean(axis=1),
        np.zeros(len(BUDGETS), dtype=bool),
        0.01,
        task=one.task,
        samples=4,
        clusters=Clusters.of(one),
        seed=0,
        replicates=REPLICATES,
    )
    return [paired.estimate.interval() for paired in found]


FIGURES: list[Callable[[TaskOutcomes, TaskOutcomes], object]] = [
    measured_intervals,
    differences,
    few_differences,
    frontiers,
    plans,
    spent_more,
    stopped,
    balanced,
    gated,
    lambda one, _: [
        vars(mean) for mean in efficiency_means(one, seed=0, replicates=REPLICATES).values() if mean
    ],
    lambda one, _: [vars(regret) for regret in regret_of(one, replicates=REPLICATES)],
    lambda one, _: [
        [figure.value, figure.low, figure.high]
        for figure in (
            allocation_of(one, replicates=REPLICATES).overthinking_tax,
            *allocation_of(one, replicates=REPLICATES).starvation,
        )
    ],
    served,
    lambda one, _: accuracy_width(one, "problems"),
    lambda one, _: _accuracy_errors(one, "problems"),
]
"""What is drawn over problems, as nested lists of figures."""


def flat(value: object) -> list[float]:
    """The numbers and words in nested lists and mappings, in order; counts of traces are left out."""
    if isinstance(value, dict):
        return [one for key, part in value.items() if key != "traces" for one in flat(part)]
    if isinstance(value, list | tuple):
        return [one for part in value for one in flat(part)]
    return [value]  # type: ignore[list-item]


@pytest.mark.parametrize("figures", FIGURES)
def test_copies_of_a_problem_in_one_cluster_add_nothing(
    figures: Callable[[TaskOutcomes, TaskOutcomes], object],
) -> None:
    """A problem that stands there three times is one draw: every figure is what the single problems give."""
    single = flat(figures(ALONE, OTHER))
    threefold = flat(figures(copied(ALONE), copied(OTHER)))
    assert len(single) == len(threefold) > 0
    for one, other in zip(single, threefold, strict=True):
        exact = other is None or isinstance(other, str)
        assert one == (other if exact else pytest.approx(other, rel=1e-9, abs=1e-12, nan_ok=True))
    # And where the copies count as problems of their own, the same figures say more than is known.
    uncounted = flat(figures(replace(copied(ALONE), clusters=None), replace(copied(OTHER), clusters=None)))
    assert uncounted != single


def test_samples_alone_cannot_narrow_what_sources_have_in_common() -> None:
    threefold = copied(ALONE)
    apart = narrowest_width(replace(threefold, clusters=None), "problems")
    assert narrowest_width(threefold, "problems") > 1.5 * apart
    assert narrowest_width(threefold, "samples") == 0


def test_the_sums_of_unequal_clusters_by_hand() -> None:
    clusters = Clusters.named(["a", "b", "a", "c", "a"])
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert clusters.index.tolist() == [0, 1, 0, 2, 0]
    assert clusters.count == 3
    assert clusters.sizes.tolist() == [3, 1, 1]
    assert clusters.sums(values).tolist() == [9, 2, 4]
    assert clusters.kept(np.array([False, True, True, False, True])).index.tolist() == [0, 1, 1]
    # Residuals of the mean 3, by cluster: 0, -1, 1; variance (0 + 1 + 1) x 3 / 2 / 5^2.
    assert float(clusters.variance(values)) == pytest.approx(2 * 1.5 / 25)
    # A cluster of three is drawn whole: of the means (9 i + 2 j + 4 k) / (3 i + j + k), i + j + k = 3.
    draws = bootstrap_problems(values[:, None], seed=0, task="t", replicates=3_000, clusters=clusters)
    expected = {
        round((9 * i + 2 * j + 4 * (3 - i - j)) / (3 * i + 3 - i), 9) for i in range(4) for j in range(4 - i)
    }
    assert {round(float(draw), 9) for draw in draws[:, 0]} == expected
    # One sign a cluster, weighed by its problems: (9 s + 2 t + 4 u) / 5.
    flips = sign_flips(values, clusters)
    assert sorted(flips[:, 0].tolist()) == sorted(
        (9 * s + 2 * t + 4 * u) / 5 for s in (1, -1) for t in (1, -1) for u in (1, -1)
    )
    assert sorted(flips[:, 1].tolist()) == [-1, -0.6, -0.6, -0.2, 0.2, 0.6, 0.6, 1]


def simulated_coverage(clustered: bool) -> float:
    """Of a 95% interval: 16 sources of 6 problems each, all as hard as their source; 4 samples."""
    generator = np.random.default_rng(16)
    sources, size, samples, truth = 16, 6, 4, 0.6 / 1.1
    clusters = Clusters.named([str(source) for source in range(sources) for _ in range(size)])
    covered = 0
    simulations = 600
    for _ in range(simulations):
        chance = np.repeat(generator.beta(0.6, 0.5, sources), size)
        means = generator.binomial(samples, chance) / samples
        draws = drawn_values(
            means[:, None],
            seed=0,
            task="t",
            replicates=400,
            clusters=clusters if clustered else Clusters.alone(len(means)),
        )
        low, high = draws.estimate(float(means.mean()), draws.means[:, 0], share=True).interval()
        covered += low <= truth <= high
    return covered / simulations


def test_coverage_where_problems_of_a_source_are_alike() -> None:
    assert 0.92 <= simulated_coverage(clustered=True) <= 0.98
    assert simulated_coverage(clustered=False) < 0.75


def test_null_pairs_of_clusters_are_called_different_in_a_twentieth() -> None:
    """Two runs whose differences go with the source: 9 sources of 5 problems."""
    generator = np.random.default_rng(5)
    clusters = Clusters.named([str(source) for source in range(9) for _ in range(5)])
    alarms = dict.fromkeys(("together", "alone"), 0)
    for _ in range(400):
        values = np.repeat(generator.normal(0, 0.1, 9), 5) + generator.normal(0, 0.02, 45)
        for name, drawn in (("together", clusters), ("alone", Clusters.alone(45))):
            draws = drawn_values(values[:, None], seed=0, task="t", replicates=500, clusters=drawn)
            estimate = draws.estimate(float(values.mean()), draws.means[:, 0], difference=True)
            alarms[name] += Difference.of(estimate).p_value < 0.05
    assert alarms["together"] <= 32  # 5% of 400 and 3 standard errors
    assert alarms["alone"] >= 80


def test_few_clusters_are_few_however_many_their_problems() -> None:
    outcomes = replace(
        random_outcomes(30, 4, BUDGETS), clusters=tuple("I" if i < 15 else "II" for i in range(30))
    )
    measured = task_measures(outcomes, None, replicates=300)
    assert measured.estimates["accuracy_full"].studentized
    assert any("30 problems in 2 clusters, as the task declares" in note for note in measured.notes)
    assert any("only 2 clusters of problems" in note for note in measured.notes)
    better = replace(outcomes, outcome=np.zeros_like(outcomes.outcome), full=np.zeros_like(outcomes.full))
    found = difference("accuracy_full", [task_measures(better, None, replicates=300)], [measured])
    assert found is not None
    assert found.p_value >= 0.5  # of 2^2 signs
    one = replace(outcomes, clusters=("same",) * 30)
    assert not task_measures(one, None, replicates=300).estimates
    with pytest.raises(InputError, match="all 30 problems are of one cluster"):
        components(one.full_correct, clusters=Clusters.of(one))
    # Within fixed problems clusters have no part.
    samples = [task_measures(run, None, interval="samples", replicates=300) for run in (one, outcomes)]
    assert samples[0].estimates["reg" if samples[0].has("reg") else "area"].interval() == (
        samples[1].estimates["area"].interval()
    )


def test_sides_of_unequal_clusters_draw_together_what_one_of_them_does() -> None:
    names = [("a", "a", "b", "c", "d"), ("p", "q", "q", "r", "s")]
    joined = joined_clusters([Clusters.named(one) for one in names])
    assert joined.index.tolist() == [0, 0, 0, 1, 2]
    right = np.ones((5, 2, 2))
    plain, declared = outcomes_of(right, [0, 64]), replace(outcomes_of(right, [0, 64]), clusters=names[0])
    assert [one.clusters for one in shared_clusters([plain, plain])] == [None, None]
    first, second = shared_clusters([plain, declared])
    assert first.clusters == second.clusters == ("0", "0", "1", "2", "3")
    assert only_problems(declared, [declared.problems[3], declared.problems[0]]).clusters == ("c", "a")


TASK = """task: made
dataset_path: json
dataset_kwargs: {{data_files: made.jsonl}}
metadata:
  version: 1
  answer: {{kind: integer}}
  {cluster}
"""


def made(folder: Path, cluster: str) -> Path:
    """A task with its data; 12 problems of the sources I, II and III."""
    folder.mkdir(exist_ok=True)
    rows = [
        {"id": f"2024-{'I' * (1 + i % 3)}-{i}", "problem": f"6 x 7? ({i})", "answer": "42", "source": i % 2}
        for i in range(12)
    ]
    (folder / "made.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / "made.yaml").write_text(TASK.format(cluster=cluster))
    return folder


@pytest.mark.parametrize(
    ("cluster", "names"),
    [
        ("cluster: source", ["0", "1", "0", "1"]),
        ("""cluster: "{{ id.split('-')[1] }}\"""", ["I", "II", "III", "I"]),
        ("", [None] * 4),
    ],
)
def test_a_task_names_the_source_of_its_problems(
    tmp_path: Path, cluster: str, names: list[str | None]
) -> None:
    folder = made(tmp_path, cluster)
    problems = load_problems(read_task(folder / "made.yaml"), folder, 4)
    assert [problem.cluster for problem in problems] == names


@pytest.mark.parametrize(
    ("cluster", "says"),
    [
        ("cluster: nothing", "row 1 of task made has no 'nothing'"),
        ("cluster: [source]", "metadata.cluster: Input should be a valid string"),
        ('cluster: "{{ id[:0] }}"', "row 1 of task made has no 'cluster'"),
    ],
)
def test_a_source_that_is_none(tmp_path: Path, cluster: str, says: str) -> None:
    with pytest.raises(InputError, match=says.replace("[", r"\[")):
        load_problems(read_task(made(tmp_path, cluster) / "made.yaml"), tmp_path)


def ran(folder: Path, out: Path, *words: str) -> dict[str, Any]:
    command = ["run", "--engine", "scripted", "--tasks", "made", "--include-path", str(folder)]
    command += ["--data-dir", str(folder), "--samples", "2", "--budgets", "0,64,512", "--max-tokens", "700"]
    assert main([*command, "--frontier", "none", "--out", str(out), *words]) == 0
    manifest: dict[str, Any] = json.loads((out / "run.json").read_text())
    return manifest


def test_clusters_are_stored_with_the_run_and_are_no_part_of_the_protocol(tmp_path: Path) -> None:
    plain = ran(made(tmp_path / "task", ""), tmp_path / "plain")
    assert "clusters" not in plain
    assert load_run(tmp_path / "plain").outcomes("made").clusters is None
    declared = ran(made(tmp_path / "task", "cluster: source"), tmp_path / "declared")
    assert declared["clusters"] == {"made": ["0", "1"] * 6}
    assert declared["digest"] == plain["digest"]
    assert load_run(tmp_path / "declared").outcomes("made").clusters == ("0", "1") * 6
    # Declared later: the run that goes on takes them over, and nothing is generated again.
    resumed = ran(made(tmp_path / "task", "cluster: source"), tmp_path / "plain", "--resume")
    assert resumed["clusters"] == declared["clusters"]
    assert len(resumed["sessions"]) == len(plain["sessions"])
    notes = json.loads((tmp_path / "plain" / "report.json").read_text())["tasks"]["made"]["notes"]
    assert any("12 problems in 2 clusters, as the task declares" in note for note in notes)


def test_clusters_that_do_not_fit_the_problems_are_no_manifest(tmp_path: Path) -> None:
    content = ran(made(tmp_path / "task", "cluster: source"), tmp_path / "run")
    (tmp_path / "run" / "run.json").write_text(json.dumps(content | {"clusters": {"made": ["0"]}}))
    with pytest.raises(InputError, match="clusters of made: 1 names for 12 problems"):
        load_run(tmp_path / "run")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two seeds, of which one declares clusters."""
    folder = tmp_path_factory.mktemp("pair")
    data = write_data(folder / "data")
    runs = [write_run(folder / f"run{seed}", data, seed=seed, samples=4) for seed in (1, 2)]
    content = json.loads((runs[1] / "run.json").read_text())
    content["clusters"] = {"amc23": [str(i // 10) for i in range(40)]}
    (runs[1] / "run.json").write_text(json.dumps(content))
    return runs[0], runs[1]


def test_the_commands_draw_clusters(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    one, declared = map(str, pair)
    assert main(["compare", one, declared]) == 0
    assert "amc23: intervals draw the 40 problems in 4 clusters" in capsys.readouterr().out
    assert main(["check", one, "--baseline", declared, "--task", "amc23", "--measure", "accuracy"]) == 4
    found = capsys.readouterr().out
    assert "(now 40)" in found
    assert main(["power", one, "--baseline", declared, "--task", "amc23"]) == 0
    assert "clusters of 10.0 on average" in capsys.readouterr().out
    assert main(["power", one, "--task", "amc23"]) == 0
    assert "clusters" not in capsys.readouterr().out
    assert main(["recommend", declared]) == 0


def test_what_would_decide_is_at_least_six_clusters(pair: tuple[Path, Path]) -> None:
    stored = load_run(pair[1])
    one = harder(stored, "amc23")
    other = replace(one, full=np.zeros_like(one.full), outcome=np.zeros_like(one.outcome))
    sources = [
        StoredSide(
            label=label, outcomes=(side,), reference=FrontierChoice(), bootstrap=Bootstrap(replicates=500)
        )
        for label, side in (("one", one), ("other", other))
    ]
    (found,) = verdicts([Gate(measure="accuracy", tolerance=0.01)], *sources)
    assert found.state == "undecided"  # of 4 clusters nothing is ever established
    assert found.units_to_decide is not None
    assert found.units_to_decide >= 60
