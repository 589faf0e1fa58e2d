"""Figures: they draw what they are given, with units, and are the same file for the same figures."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from reghar.measures.catalogue import Measure
from reghar.measures.curves import problem_means, stored_traces
from reghar.measures.paired import CurveDifference
from reghar.report.figures import answers, control, curves, picture, style, trade_off
from reghar.report.schema import (
    CurveRecord,
    FrontierCurveRecord,
    MethodRecord,
    SettingRecord,
)
from reghar.store.outcomes import MISSING, TaskOutcomes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BUDGETS = (0, 64, 128, 256, 512)
CURVE = CurveRecord(
    budgets=BUDGETS,
    accuracy=(0.0, 0.1, 0.3, 0.5, 0.7),
    low=(0.0, 0.05, 0.2, 0.4, 0.6),
    high=(0.1, 0.2, 0.4, 0.6, 0.8),
)
FRONTIER = FrontierCurveRecord(accuracy=(0.1, 0.2, 0.4, 0.5, 0.6), interpolated=False)


@pytest.fixture
def axes() -> Axes:
    from matplotlib.figure import Figure

    with style.styled():
        return Figure().subplots()


def _outcomes(problems: int = 5, samples: int = 3) -> TaskOutcomes:
    rng = np.random.default_rng(0)
    shape = (problems, samples)
    outcome = rng.integers(0, 3, size=(*shape, len(BUDGETS))).astype(np.int8)
    outcome[0, 0] = MISSING
    return TaskOutcomes(
        task="t",
        problems=tuple(f"p{i}" for i in range(problems)),
        budgets=np.array(BUDGETS),
        outcome=outcome,
        full=outcome[..., -1],
        length=rng.integers(1, 900, size=shape),
        thinking_length=np.zeros(shape, np.int64),
        finished=rng.random(shape) < 0.8,
        looped=np.zeros(shape, bool),
        thought=np.zeros(shape, bool),
        thinking_opened=np.zeros(shape, bool),
        thinking_closed=np.zeros(shape, bool),
    )


def test_a_curve_shows_itself_its_band_the_frontier_and_both_kinds_of_gap(axes: Axes) -> None:
    curves.curve(axes, CURVE, FRONTIER, label="m")
    labels = axes.get_legend_handles_labels()[1]
    assert set(labels) == {"gap to the frontier", "beyond the frontier", "frontier", curves.INTERVAL, "m"}
    model = axes.get_lines()[labels_of_lines(axes).index("m")]
    assert list(model.get_xdata()) == list(BUDGETS)
    assert np.allclose(model.get_ydata(), [0, 10, 30, 50, 70])
    assert axes.get_xlabel() == "Budget (response tokens)"
    assert axes.get_ylabel() == "Accuracy (%)"
    assert axes.get_title() == ""
    assert axes.get_xscale() == "linear"


def test_bands_are_named_and_hold_the_intervals(axes: Axes) -> None:
    assert CURVE.low is not None
    assert CURVE.high is not None
    wider = CURVE.model_copy(
        update={
            "band_low": tuple(max(0.0, low - 0.05) for low in CURVE.low),
            "band_high": tuple(high + 0.05 for high in CURVE.high),
        }
    )
    curves.curve(axes, wider, None)
    assert axes.get_legend_handles_labels()[1] == [curves.BAND, curves.INTERVAL, "model"]
    band, interval = (area.get_paths()[0].get_extents() for area in axes.collections)
    assert band.y1 == pytest.approx(interval.y1 + 5)


def test_a_band_alone_is_drawn(axes: Axes) -> None:
    """The average curve has no interval of each point."""
    alone = CURVE.model_copy(
        update={"low": None, "high": None, "band_low": CURVE.low, "band_high": CURVE.high}
    )
    curves.curve(axes, alone, None)
    assert axes.get_legend_handles_labels()[1] == [curves.BAND, "model"]


def test_differences_stand_around_zero(axes: Axes) -> None:
    budgets = np.array(BUDGETS)
    values = np.linspace(0.1, -0.2, len(budgets))
    found = CurveDifference(
        budgets=budgets,
        values=values,
        interval=(values - 0.1, values + 0.1),
        band=(values - 0.2, values + 0.3),
    )
    curves.draw_difference(axes, [("b minus a", found), ("c minus a", found)])
    assert axes.get_legend_handles_labels()[1] == [curves.BAND, curves.INTERVAL, "b minus a", "c minus a"]
    assert axes.get_ylabel() == "Difference of accuracy (points)"
    line = axes.get_lines()[labels_of_lines(axes).index("b minus a")]
    assert np.allclose(line.get_ydata(), 100 * values)
    extents = axes.collections[0].get_paths()[0].get_extents()
    assert (extents.y0, extents.y1) == (pytest.approx(-40), pytest.approx(40))


def labels_of_lines(axes: Axes) -> list[str]:
    return [str(line.get_label()) for line in axes.get_lines()]


def test_without_a_frontier_the_curve_stands_alone(axes: Axes) -> None:
    curves.curve(axes, CURVE, None)
    assert axes.get_legend_handles_labels()[1] == [curves.INTERVAL, "model"]


def test_the_log_axis_keeps_budget_zero(axes: Axes) -> None:
    curves.curve(axes, CURVE, FRONTIER, scale="log2")
    assert axes.get_xscale() == "symlog"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "64", "128", "256", "512"]


def test_an_overlay_tells_models_apart_by_more_than_colour(axes: Axes) -> None:
    curves.overlay(axes, [("one", CURVE), ("two", CURVE), ("three", CURVE)], FRONTIER)
    assert labels_of_lines(axes) == ["one", "two", "three", "frontier"]
    lines = axes.get_lines()
    assert len({line.get_color() for line in lines}) == 4
    assert len({str(line._unscaled_dash_pattern) for line in lines[:3]}) == 3


def test_lengths_count_every_stored_trace(axes: Axes) -> None:
    outcomes = _outcomes()
    answers.response_lengths(axes, outcomes)
    drawn = max(
        sum(bar.get_height() + bar.get_y() for bar in container.patches) for container in axes.containers
    )
    assert drawn == (outcomes.full != MISSING).sum()


def test_the_heat_map_has_a_cell_for_every_problem_and_budget(axes: Axes) -> None:
    outcomes = _outcomes()
    answers.problem_heat_map(axes, outcomes)
    image = np.asarray(axes.get_images()[0].get_array())
    assert image.shape == (5, len(BUDGETS))
    means = image.mean(axis=1)
    assert (np.diff(means) <= 0).all()
    # A trace that is not stored whole counts nowhere, neither as right nor as wrong.
    stored = stored_traces(outcomes)
    assert not stored.all()
    assert np.isclose(image.mean(), 100 * problem_means(outcomes.correct, stored).mean())


def test_files_are_the_same_for_the_same_figure(tmp_path: Path) -> None:
    panels = [(name, partial(curves.curve, curve=CURVE, frontier=FRONTIER)) for name in ("a$_$", "b", "c")]
    first = {file.name: file.read_bytes() for file in picture.save(panels, tmp_path / "curves")}
    again = {file.name: file.read_bytes() for file in picture.save(panels, tmp_path / "curves")}
    assert first.keys() == {"curves.png", "curves.svg"}
    assert first == again
    assert first["curves.png"].startswith(b"\x89PNG")
    assert b"a$_$" in first["curves.svg"]
    assert {file.name for file in tmp_path.iterdir()} == {"curves.png", "curves.svg"}


def test_a_hostile_name_stays_text_in_the_svg(tmp_path: Path) -> None:
    panel = partial(curves.curve, curve=CURVE, frontier=None, label="<script>alert(1)</script> $\\frac$")
    picture.save([("t", panel)], tmp_path / "curves", formats=["svg"])
    svg = (tmp_path / "curves.svg").read_text(encoding="utf-8")
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg


def test_a_label_is_the_models_own_name() -> None:
    reg = Measure(name="reg", value=12.5, unit="tokens", higher_is_better=False, low=10.0, high=15.0)
    assert picture.model_label("org/name/", reg) == "name, REG 12.5 [10.0, 15.0]"
    assert picture.model_label("demo:terse") == "demo:terse"


def test_the_frontier_is_drawn_alike_in_every_figure(axes: Axes) -> None:
    curves.curve(axes, CURVE, FRONTIER, label="m")
    curves.overlay(axes, [("m", CURVE)], FRONTIER)
    alone, among = [line for line in axes.get_lines() if line.get_label() == "frontier"]
    for look in ("get_color", "get_linestyle", "get_linewidth", "get_zorder"):
        assert getattr(alone, look)() == getattr(among, look)()


def test_the_legend_names_nothing_that_cannot_be_seen(axes: Axes) -> None:
    same = CurveRecord(budgets=BUDGETS, accuracy=(1.0,) * 5, low=(1.0,) * 5, high=(1.0,) * 5)
    curves.curve(axes, same, FrontierCurveRecord(accuracy=(0.999,) * 5, interpolated=False), label="m")
    assert axes.get_legend_handles_labels()[1] == ["frontier", "m"]


def test_the_scatter_has_marks_of_one_size_and_no_words_of_its_own(axes: Axes) -> None:
    trade_off.trade_off(axes, [("one, REG 107", 300.0, 0.0), ("two", 100.0, 1.0)])
    assert {size for mark in axes.collections for size in mark.get_sizes()} == {36}
    assert axes.get_legend_handles_labels()[1] == ["one, REG 107", "two"]


def test_traces_are_counted_in_whole_numbers(axes: Axes) -> None:
    answers.response_lengths(axes, _outcomes(problems=1, samples=2))
    axes.figure.canvas.draw()
    assert all(tick == int(tick) for tick in axes.get_yticks())


def test_problems_are_counted_in_round_numbers(axes: Axes) -> None:
    answers.problem_heat_map(axes, _outcomes(problems=130, samples=1))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1", "50", "100"]


def test_selection_errors_of_all_sizes_can_be_told_apart(axes: Axes) -> None:
    trade_off.draw_selection_errors(axes, {"exp": [0.2, 0.0004], "oracle": [0.1, 0.0]})
    assert axes.get_yscale() == "log"


def _setting(name: str, used: float, accuracy: float) -> SettingRecord:
    return SettingRecord(
        **{"name": name, "minimum": None, "maximum": int(name), "tokens": used, "accuracy": accuracy},
        **dict.fromkeys(("tokens_low", "tokens_high", "low", "high", "obeyed", "within"), None),
        **{"tokens_quantiles": (used,) * 5, "answer_tokens": None, "answer_quantiles": None},
        unfinished=0.0,
    )


def test_an_effort_of_0_has_its_place_and_no_mark_is_cut(axes: Axes) -> None:
    settings = tuple(_setting(*each) for each in (("0", 0.0, 0.0), ("256", 200.0, 1.0)))
    method = MethodRecord(method="effort", settings=settings, reference=None, measures=(), pairs_left_out=0)
    control.accuracy_by_tokens(axes, (method,))
    line = axes.get_lines()[0]
    assert list(line.get_xdata()) == [0.0, 200.0]
    assert axes.get_xlim()[0] == 0
    assert not line.get_clip_on()


def test_no_legend_is_wider_than_its_picture_or_hides_it(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    from reghar.report.figures.axes import shared_legend

    with style.styled():
        figure = Figure(figsize=(style.COLUMN_WIDTH, style.PANEL_HEIGHT))
        axes = figure.subplots()
        labelled = [(f"{'a-long-name-' * 6}{i}, REG 1,234 [1,200, 1,300]", CURVE) for i in range(6)]
        curves.overlay(axes, labelled, FRONTIER)
        shared_legend(figure)
        figure.savefig(tmp_path / "picture.png")
        legend = figure.legends[0].get_window_extent()
        assert legend.width <= figure.bbox.width
        assert axes.get_window_extent().height > 0.4 * style.PANEL_HEIGHT * figure.dpi
