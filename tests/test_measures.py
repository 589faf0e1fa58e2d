"""From outcomes to named measures: by hand, against the frontier, with intervals, averaged, compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.outcome_arrays import outcomes_of, random_outcomes

from reghar.budgets import REG_GRID
from reghar.errors import InputError
from reghar.frontiers.frontier import TaskFrontier, load_frontier
from reghar.grading.outcome import OUTCOMES, Outcome
from reghar.measures.catalogue import MEASURES
from reghar.measures.paired import curve_difference, difference
from reghar.measures.reg import reg
from reghar.measures.task import average_measures, task_measures
from reghar.store.outcomes import MISSING

BUDGETS = [0, 256, 512, 1024, 2048]
FRONTIER = TaskFrontier(budgets=tuple(BUDGETS), accuracy=(0.1, 0.4, 0.6, 0.8, 0.8), samples=4, problems=20)


def test_names_units_and_directions() -> None:
    outcomes = random_outcomes(20, 4, BUDGETS)
    measured = task_measures(replace(outcomes, thinking_opened=outcomes.thought), FRONTIER, replicates=200)
    names = [name for name in MEASURES if name != "reg_cross_fitted"]  # published frontiers have none
    assert [measure.name for measure in measured.measures] == names
    for measure in measured.measures:
        assert (measure.unit, measure.higher_is_better) == MEASURES[measure.name]


def test_plain_means() -> None:
    outcomes = outcomes_of(
        [[[0, 0, 1], [0, 0, 0]], [[1, 1, 1], [0, 1, 1]]], [0, 256, 512], lengths=[[500, 900], [100, 300]]
    )
    outcomes = replace(
        outcomes,
        finished=np.array([[True, False], [True, True]]),
        looped=np.array([[False, True], [False, False]]),
        thinking_closed=np.array([[True, False], [True, False]]),
        thinking_length=np.array([[400, 900], [80, 200]]),
    )
    measured = task_measures(outcomes, None, replicates=200)
    value = {measure.name: measure.value for measure in measured.measures}
    assert value["accuracy_at_l_max"] == value["accuracy_full"] == 0.75
    assert value["mean_length"] == 450
    assert value["mean_length_correct"] == pytest.approx((500 + 100 + 300) / 3)
    assert value["mean_thinking_length"] == 395
    assert value["thinking_share"] == pytest.approx(395 / 450)
    assert value["share_unfinished"] == value["share_looped"] == 0.25
    assert value["share_thinking"] == 1
    assert value["share_thinking_unclosed"] == 0.5
    assert value["area"] == pytest.approx(256 * (0.25 + 0.5) / 2 + 256 * (0.5 + 0.75) / 2)
    assert "reg" not in value
    assert "share_answered_inside" not in value, "no prompt opened a block"
    opened = replace(outcomes, thinking_opened=outcomes.thought)
    inside = {m.name: m.value for m in task_measures(opened, None, replicates=200).measures}
    assert inside["share_answered_inside"] == 0.25, "of two unclosed, the finished one"
    assert measured.outcomes["correct"] == [1, 2, 3]
    assert measured.full_outcomes["incorrect"] == 1


def test_s1_by_hand() -> None:
    outcomes = outcomes_of([[[0, 0, 1], [0, 1, 1]]] * 2, [0, 256, 512], lengths=[[300, 600]] * 2)
    measured = task_measures(outcomes, None, replicates=50)
    t_256, t_512 = 256, (300 + 512) / 2
    assert measured.measure("control").value == 100
    assert measured.measure("performance").value == 100
    assert measured.measure("scaling").value == pytest.approx(50 / np.log2(t_512 / t_256))
    assert measured.measure("scaling_per_1000").value == pytest.approx(50 / (t_512 - t_256) * 1000)


def test_s1_counts_thinking_tokens() -> None:
    """As above, with 100 of the 300 tokens of a response in its answer, and 50 of the 600."""
    outcomes = outcomes_of(
        [[[0, 0, 1], [0, 1, 1]]] * 2, [0, 256, 512], lengths=[[300, 600]] * 2, thinking=[[200, 550]] * 2
    )
    measured = task_measures(outcomes, None, replicates=50)
    t_256, t_512 = (200 + 256) / 2, (200 + 512) / 2
    assert measured.measure("scaling").value == pytest.approx(50 / np.log2(t_512 / t_256))
    assert measured.measure("mean_thinking_length").value == 375
    assert measured.measure("mean_length").value == 450


def test_the_curves_intervals_are_those_of_its_points() -> None:
    measured = task_measures(random_outcomes(20, 4, BUDGETS), None, replicates=300)
    at_end = measured.measure("accuracy_at_l_max")
    assert measured.low is not None
    assert measured.high is not None
    assert (measured.low[-1], measured.high[-1]) == (pytest.approx(at_end.low), pytest.approx(at_end.high))
    for column in range(len(BUDGETS)):
        cut = replace(
            random_outcomes(20, 4, BUDGETS),
            budgets=np.array(BUDGETS[: column + 1]),
            outcome=random_outcomes(20, 4, BUDGETS).outcome[..., : column + 1],
        )
        point = task_measures(cut, None, replicates=300).measure("accuracy_at_l_max")
        ends = measured.low[column], measured.high[column]
        assert ends == (pytest.approx(point.low), pytest.approx(point.high))
        assert measured.band is not None
        assert measured.band[0][column] < ends[0] or ends[0] == 0
        assert measured.band[1][column] > ends[1]


def test_the_best_accuracy_of_all_right_is_no_certainty() -> None:
    """Wilson's interval of 40 of 40, as for the accuracy itself; Control of `force` is 100 for certain."""
    right = outcomes_of(np.ones((40, 2, 3)), [0, 256, 512])
    measured = task_measures(right, None, replicates=200)
    least = 40 / (40 + 1.959964**2)
    for name, whole in (("accuracy_full", 1), ("performance", 100)):
        found = measured.measure(name)
        assert (found.value, found.low, found.high) == (whole, pytest.approx(whole * least), whole)
    control = measured.measure("control")
    assert (control.value, control.low, control.high) == (100, 100, 100)
    average = {
        measure.name: measure
        for measure in average_measures(
            [measured, task_measures(replace(right, task="amc23"), None, replicates=200)]
        )
    }
    assert average["performance"].low == pytest.approx(100 * least)
    # With a task of 10 problems the average is no surer than that task.
    fewer = task_measures(outcomes_of(np.ones((10, 2, 3)), [0, 256, 512], task="amc23"), None, replicates=200)
    both = {measure.name: measure for measure in average_measures([measured, fewer])}
    assert both["accuracy_full"].low == pytest.approx(10 / (10 + 1.959964**2))


def test_settings_must_be_budgets() -> None:
    outcomes = random_outcomes(4, 2, BUDGETS)
    chosen = task_measures(replace(outcomes, settings=(512,)), None, replicates=50)
    assert chosen.measure("scaling").value is None
    with pytest.raises(InputError, match="setting 100 is no budget"):
        task_measures(replace(outcomes, settings=(100,)), None)


def test_a_model_that_never_boxes_its_answer_is_said_to() -> None:
    outcomes = random_outcomes(6, 2, BUDGETS)
    silent = OUTCOMES.index(Outcome.NO_ANSWER)
    full = outcomes.full.copy()
    full.flat[:7] = silent
    measured = task_measures(replace(outcomes, full=full), None, replicates=50)
    assert any("7 of 12 whole responses have no boxed answer" in note for note in measured.notes)
    full.flat[6] = 0
    measured = task_measures(replace(outcomes, full=full), None, replicates=50)
    assert not any("boxed" in note for note in measured.notes)


def test_without_thinking_blocks_the_response_counts() -> None:
    outcomes = random_outcomes(6, 2, BUDGETS)
    nothing = np.zeros_like(outcomes.thought)
    silent = replace(outcomes, thought=nothing, thinking_length=np.zeros_like(outcomes.length))
    measured = task_measures(silent, None, replicates=50)
    through = task_measures(replace(outcomes, thinking_length=outcomes.length), None, replicates=50)
    assert measured.measure("scaling").value == through.measure("scaling").value
    shorter = task_measures(outcomes, None, replicates=50)
    assert measured.measure("scaling").value != shorter.measure("scaling").value
    assert any("no trace has a thinking block" in note for note in measured.notes)


def test_reg_equals_the_pure_function() -> None:
    measured = task_measures(random_outcomes(20, 4, BUDGETS), FRONTIER, replicates=200)
    expected = reg(BUDGETS, measured.curve.accuracy, FRONTIER.budgets, FRONTIER.accuracy)
    assert measured.reg == expected
    for name, figure in (
        ("reg", expected.total),
        ("reg_up_to_1024", expected.up_to_1024),
        ("reg_positive", expected.positive),
        ("reg_negative", expected.negative),
        ("wasted_tokens_reading", expected.total),
    ):
        assert measured.measure(name).value == pytest.approx(figure)


def test_budgets_to_reach_the_frontiers_levels() -> None:
    outcomes = outcomes_of([[[0, 0, 1, 1, 1]]] * 2, BUDGETS)
    measured = task_measures(outcomes, FRONTIER, replicates=50)
    assert measured.measure("tokens_to_50").value == pytest.approx(256 + 256 * 0.4)
    assert measured.measure("frontier_tokens_to_50").value == pytest.approx(256)
    assert measured.measure("frontier_tokens_to_75").value == pytest.approx(512)
    never = task_measures(outcomes_of(np.zeros((2, 1, 5)), BUDGETS), FRONTIER, replicates=50)
    assert never.measure("tokens_to_25").value is None
    assert never.measure("mean_length_correct").value is None


def test_a_curve_equal_to_the_frontier_has_reg_0_on_every_published_task() -> None:
    for task, frontier in load_frontier("Qwen3-4B").tasks.items():
        grid = np.array(frontier.budgets[:32])
        right = np.zeros((frontier.problems, frontier.samples, grid.size), dtype=bool)
        flat = right.reshape(-1, grid.size)
        for column, accuracy in enumerate(frontier.accuracy[:32]):
            flat[: round(accuracy * len(flat)), column] = True
        measured = task_measures(outcomes_of(right, grid.tolist(), task=task), frontier, replicates=50)
        assert measured.measure("reg").value == pytest.approx(0, abs=1e-9)
        assert measured.measure("reg_up_to_1024").value == pytest.approx(0, abs=1e-9)


def test_intervals_hold_the_value_and_are_seeded() -> None:
    outcomes = random_outcomes(30, 4, BUDGETS)
    measured, again = (task_measures(outcomes, FRONTIER, replicates=500) for _ in range(2))
    assert measured.measures == again.measures
    assert measured.measures != task_measures(outcomes, FRONTIER, replicates=500, seed=1).measures
    for measure in measured.measures:
        if measure.low is not None and measure.high is not None and measure.value is not None:
            assert measure.low <= measure.value + 1e-9
            assert measure.value <= measure.high + 1e-9
    assert measured.low is not None
    assert measured.high is not None
    assert (measured.low <= measured.curve.accuracy).all()
    assert (measured.curve.accuracy <= measured.high).all()
    assert measured.measure("reg").low < measured.measure("reg").high
    assert measured.measure("frontier_tokens_to_50").low is None


def test_samples_within_fixed_problems_give_narrower_intervals_here() -> None:
    outcomes = random_outcomes(30, 8, BUDGETS)
    by_problem = task_measures(outcomes, FRONTIER, replicates=500).measure("area")
    by_sample = task_measures(outcomes, FRONTIER, interval="samples", replicates=500).measure("area")
    assert (by_problem.drawn, by_sample.drawn) == ("problems", "samples")
    assert by_sample.value == by_problem.value
    assert by_sample.high - by_sample.low < by_problem.high - by_problem.low


def test_too_few_units_give_no_interval_and_say_so() -> None:
    one_problem = task_measures(random_outcomes(1, 8, BUDGETS), FRONTIER)
    assert one_problem.measure("area").low is None
    assert one_problem.measure("reg").drawn == "samples"  # a published frontier: that can be asked
    assert one_problem.low is None
    assert any("at least 2" in note for note in one_problem.notes)
    one_sample = random_outcomes(30, 1, BUDGETS)
    assert task_measures(one_sample, FRONTIER, replicates=50).measure("area").low is not None
    unsure = task_measures(one_sample, FRONTIER, replicates=50)
    assert unsure.measure("reg").low is None
    assert "no interval of REG: a bootstrap over samples needs at least 2 per problem" in unsure.notes
    by_sample = task_measures(one_sample, FRONTIER, interval="samples", replicates=50)
    assert by_sample.measure("reg").low is None


def test_an_incomplete_run_is_measured_on_what_is_there_and_says_so() -> None:
    outcomes = random_outcomes(20, 2, BUDGETS)
    outcomes.full[3, 0] = MISSING
    outcomes.full[5] = MISSING
    measured = task_measures(outcomes, FRONTIER, replicates=50)
    assert "incomplete: measured on the 37 of 40 traces" in measured.notes[0]
    assert len(measured.problems) == measured.curve.problems == 19
    assert outcomes.problems[5] not in measured.problems
    # Every budget has all answers here, the whole traces lack three.
    assert [sum(counts) for counts in zip(*measured.outcomes.values(), strict=True)] == [40] * len(BUDGETS)
    assert sum(measured.full_outcomes.values()) == 37


def test_ungraded_answers_bound_the_accuracy() -> None:
    outcomes = outcomes_of(np.zeros((2, 2, 2)), [0, 64])
    outcomes.outcome[0, 0, -1] = 4
    outcomes.full[0] = 5
    measured = task_measures(outcomes, None, replicates=50)
    assert measured.measure("accuracy_at_l_max").value == 0
    assert measured.measure("accuracy_at_l_max_if_ungraded_right").value == 0.25
    assert measured.measure("accuracy_full_if_ungraded_right").value == 0.5


def test_one_budget_has_no_reg_and_says_so() -> None:
    measured = task_measures(outcomes_of(np.ones((3, 1, 1)), [256]), FRONTIER, replicates=50)
    assert all(not measure.name.startswith("reg") for measure in measured.measures)
    assert any("at least two budgets" in note for note in measured.notes)


def test_averages_are_plain_means_with_independent_draws() -> None:
    tasks = [
        task_measures(random_outcomes(30, 4, BUDGETS, task=task, seed=seed), FRONTIER, replicates=2_000)
        for seed, task in enumerate(("a", "b", "c", "d"))
    ]
    averages = {measure.name: measure for measure in average_measures(tasks)}
    regs = [task.measure("reg") for task in tasks]
    assert averages["reg"].value == pytest.approx(np.mean([one.value for one in regs]))
    half_widths = [(one.high - one.low) / 2 for one in regs]
    expected = np.sqrt(np.sum(np.square(half_widths))) / 4
    assert (averages["reg"].high - averages["reg"].low) / 2 == pytest.approx(expected, rel=0.1)


def test_an_average_needs_every_task() -> None:
    never = task_measures(outcomes_of(np.zeros((4, 1, 5)), BUDGETS, task="a"), FRONTIER, replicates=50)
    some = task_measures(random_outcomes(4, 4, BUDGETS, task="b"), FRONTIER, replicates=50)
    averages = {measure.name: measure for measure in average_measures([never, some])}
    assert averages["tokens_to_25"].value is None
    without = task_measures(random_outcomes(4, 4, BUDGETS, task="b"), None, replicates=50)
    assert "reg" not in {measure.name for measure in average_measures([never, without])}


def test_paired_differences() -> None:
    weak = [task_measures(random_outcomes(40, 8, BUDGETS), FRONTIER, replicates=2_000)]
    strong = [task_measures(random_outcomes(40, 8, BUDGETS, skill=0.3), FRONTIER, replicates=2_000)]
    better = difference("reg", strong, weak)
    assert better.value < 0
    assert better.high < 0
    assert better.p_value < 0.05
    same = difference("reg", weak, weak)
    assert (same.value, same.p_value) == (0, 1)
    assert (
        difference("tokens_to_90", [task_measures(random_outcomes(40, 8, BUDGETS), FRONTIER)], strong) is None
    )


def test_the_difference_of_two_curves_has_intervals_and_a_band() -> None:
    one, other = (random_outcomes(30, 8, BUDGETS, seed=seed, skill=seed / 5) for seed in (1, 2))
    ours, theirs = ([task_measures(side, None, replicates=1_000)] for side in (one, other))
    found = curve_difference(ours, theirs)
    assert found is not None
    assert found.values == pytest.approx(ours[0].curve.accuracy - theirs[0].curve.accuracy)
    at_end = difference("accuracy_at_l_max", ours, theirs)
    assert at_end is not None
    assert (found.interval[0][-1], found.interval[1][-1]) == (
        pytest.approx(at_end.low),
        pytest.approx(at_end.high),
    )
    assert (found.band[0] <= found.interval[0]).all()
    assert (found.band[1] >= found.interval[1]).all()
    assert found.band[1][-1] > found.interval[1][-1] + 0.005
    swapped = curve_difference(theirs, ours)
    assert swapped is not None
    assert swapped.values == pytest.approx(-found.values)
    # The mean of two tasks is narrower than either, as their draws are independent.
    more = [
        [*side, task_measures(replace(outcomes, task="amc23"), None, replicates=1_000)]
        for side, outcomes in ((ours, one), (theirs, other))
    ]
    mean = curve_difference(*more)
    assert mean is not None
    width, single = (float(b.band[1][-1] - b.band[0][-1]) for b in (mean, found))
    assert 0.6 < width / single < 0.8
    few = [[task_measures(random_outcomes(5, 4, BUDGETS, seed=s), None, replicates=50)] for s in (1, 2)]
    assert curve_difference(*few) is None  # of 5 problems nothing is ever established
    cut = replace(one, budgets=one.budgets[:-1], outcome=one.outcome[..., :-1])
    assert curve_difference([task_measures(cut, None, replicates=1_000)], theirs) is None


def test_a_band_holds_the_whole_true_difference() -> None:
    """95% of simultaneous bands hold a difference of 0 at all budgets; intervals of each point do not."""
    held = {"band": 0, "interval": 0}
    simulations = 300
    for seed in range(simulations):
        pair = (random_outcomes(30, 4, BUDGETS, seed=2 * seed + i) for i in range(2))
        found = curve_difference(*([task_measures(side, None, replicates=300)] for side in pair))
        assert found is not None
        for name, (low, high) in (("band", found.band), ("interval", found.interval)):
            held[name] += bool(((low <= 0) & (high >= 0)).all())
    assert held["band"] / simulations >= 0.93
    assert held["interval"] < held["band"]


def test_other_problems_cannot_be_compared() -> None:
    one = task_measures(random_outcomes(40, 2, BUDGETS), None, replicates=50)
    other = task_measures(random_outcomes(39, 2, BUDGETS), None, replicates=50)
    with pytest.raises(ValueError, match="same problems"):
        difference("area", [one], [other])


def test_the_papers_grid_has_7_settings_of_force() -> None:
    outcomes = random_outcomes(3, 2, REG_GRID)
    default = task_measures(outcomes, None, replicates=20).measures
    named = replace(outcomes, settings=(256, 512, 1024, 2048, 4096, 8192, 16384))
    assert default == task_measures(named, None, replicates=20).measures


@pytest.mark.parametrize(("problems", "noted"), [(9, True), (10, False)])
def test_few_problems_are_noted(problems: int, noted: bool) -> None:
    measures = task_measures(random_outcomes(problems, 4, (0, 64, 128)), None, replicates=50)
    assert any("intervals over them say little" in note for note in measures.notes) is noted
