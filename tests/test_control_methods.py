"""The set A of every control method, from outcomes by hand whose thinking is shorter than the response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pytest
from helpers.outcome_arrays import outcomes_of
from numpy.typing import NDArray

from reghar.measures.control_methods import (
    ControlMethod,
    evaluated_methods,
    method_measures,
    own_control,
    pooled,
)
from reghar.measures.curves import mean_over_problems
from reghar.protocol import Setting
from reghar.store import StoredRun
from reghar.store.outcomes import TaskOutcomes

FAR = 10**9


@dataclass(frozen=True)
class Views:
    """As much of a stored run as methods need: the outcomes of every setting."""

    by_name: Mapping[str, TaskOutcomes]
    settings: Sequence[Setting] = ()
    name: str = ""
    counted_down: Mapping[str, NDArray[np.int64]] | None = None

    def at(self, name: str) -> Views:
        return replace(self, name=name)

    def outcomes(self, _: str) -> TaskOutcomes:
        return self.by_name[self.name]

    def countdown(self, task: str) -> NDArray[np.int64]:
        known = (self.counted_down or {}).get(self.name)
        return np.full(self.outcomes(task).length.shape, FAR) if known is None else known


def view(
    thinking: Sequence[Sequence[int]], right: Sequence[Sequence[int]], budgets: Sequence[int] = (512,)
) -> TaskOutcomes:
    """Traces that think so much and answer in 50 tokens more; right or wrong at every budget alike."""
    used = np.array(thinking)
    grid = np.repeat(np.array(right)[..., None], len(budgets), axis=-1)
    return replace(outcomes_of(grid, budgets, lengths=used + 50), thinking_length=used)


def methods(
    plain: TaskOutcomes,
    settings: Sequence[tuple[Setting, TaskOutcomes]] = (),
    countdown: Mapping[str, NDArray[np.int64]] | None = None,
) -> dict[str, ControlMethod]:
    by_name = {"": plain, **{setting.name: outcomes for setting, outcomes in settings}}
    run = Views(by_name, tuple(setting for setting, _ in settings), counted_down=countdown)
    return {one.name: one for one in evaluated_methods(cast(StoredRun, run), "aime24")}


def control(method: ControlMethod) -> list[float]:
    return method.obeyed(mean_over_problems(method.values(), method.stored)).tolist()


def test_force_counts_thinking_tokens() -> None:
    plain = view([[200, 300], [600, 900]], [[0, 1], [1, 1]], (256, 512))
    force = methods(plain)["force"]
    assert [one.used.tolist() for one in force.settings] == [
        [[200, 256], [256, 256]],
        [[200, 300], [512, 512]],
    ]
    assert [one.maximum for one in force.settings] == [256, 512]
    measures, estimates = method_measures(force, task="aime24", interval="problems", seed=0, replicates=300)
    value = {one.name: one.value for one in measures}
    assert (value["control"], value["performance"]) == (100, 75)
    assert value["scaling"] == 0  # as right at 512 as at 256
    assert set(estimates) <= set(value)


def test_without_thinking_the_response_counts() -> None:
    plain = replace(view([[0, 0]], [[0, 1]], (256, 512)), thought=np.zeros((1, 2), dtype=bool))
    longer = replace(plain, length=np.array([[100, 400]]))
    assert [one.used.tolist() for one in methods(longer)["force"].settings] == [[[100, 256]], [[100, 400]]]


@pytest.mark.parametrize(
    ("bounds", "used", "obeyed"),
    [
        ({"maximum": 256}, 256, 1.0),
        ({"maximum": 256}, 257, 0.0),
        ({"maximum": 256}, 270, 0.0),
        ({"minimum": 256}, 256, 1.0),
        ({"minimum": 256}, 255, 0.0),
        ({"minimum": 256}, 240, 0.0),
        ({"minimum": 100, "maximum": 300}, 200, 1.0),
        ({"minimum": 100, "maximum": 300}, 90, 0.0),
    ],
)
def test_bounds_are_kept_to_the_token(bounds: dict[str, int], used: int, obeyed: float) -> None:
    setting = Setting(name="s", method="tokens", **bounds)
    found = methods(view([[900]], [[1]]), [(setting, view([[used]], [[1]]))])
    assert control(found["tokens"]) == [obeyed]


def test_classes_are_judged_against_no_request_and_a_tie_obeys_nothing() -> None:
    short, long = (Setting(name=name, method="class") for name in ("short", "long"))
    plain = view([[300], [500]], [[1], [0]])

    def judged(of_short: Sequence[Sequence[int]], of_long: Sequence[Sequence[int]]) -> list[float]:
        right = [[1], [0]]
        found = methods(plain, [(short, view(of_short, right)), (long, view(of_long, right))])
        assert found["class"].reference is not None
        return control(found["class"])

    assert judged([[200], [500]], [[300], [600]]) == [1, 1]
    assert judged([[300], [500]], [[500], [300]]) == [0, 0]
    assert judged([[900], [900]], [[100], [100]]) == [0, 0]


def test_forcing_on_top_cuts_at_the_limit_and_where_the_countdown_ends() -> None:
    setting = Setting(name="s", method="steps", maximum=256, countdown=True)
    own = view([[200, 900], [900, 100]], [[1, 0], [0, 1]], (256,))
    late = replace(own, full=1 - own.full)
    found = methods(
        view([[50, 50], [50, 50]], [[1, 1], [1, 1]]),
        [(setting, late)],
        {"s": np.array([[FAR, FAR], [120, FAR]])},
    )
    assert list(found) == ["force", "steps", "steps + force"]
    (plain,), (forced,) = found["steps"].settings, found["steps + force"].settings
    assert plain.used.tolist() == [[200, 900], [900, 100]]
    assert forced.used.tolist() == [[200, 256], [120, 100]]
    assert plain.correct.tolist() == [[0, 1], [1, 0]]  # the traces' own answers
    assert forced.correct.tolist() == [[1, 0], [0, 1]]  # those that were forced
    assert plain.answer is not None
    assert plain.answer.tolist() == [[50, 50], [50, 50]]
    assert forced.answer is None


def test_a_continued_trace_belongs_to_the_plain_evaluations_set() -> None:
    wait = Setting(name="w", method="wait Hmm", after="", appended="Hmm")
    hidden = Setting(name="way", method="wait Hmm", after="", counted=False)
    plain, longer = view([[100]], [[0]]), view([[400]], [[1]])
    found = methods(plain, [(wait, longer), (hidden, longer)])["wait Hmm"]
    assert [one.name for one in found.settings] == ["plain", "w"]
    assert found.reference is None
    figures = found.figures(mean_over_problems(found.values(), found.stored))
    assert float(figures["scaling"]) == pytest.approx(100 / 2)  # 100 points over two doublings
    assert np.isnan(figures["control"])  # nothing is asked for


def test_several_runs_count_with_all_their_samples() -> None:
    setting = Setting(name="s", method="tokens", maximum=250)
    parts = [methods(view([[900]], [[1]]), [(setting, view([[used]], [[0]]))]) for used in (200, 290)]
    both = pooled([part["tokens"] for part in parts])
    assert both.settings[0].used.tolist() == [[200, 290]]
    assert control(both) == [1.0]  # 245 on average
    assert both.reference is not None
    assert both.reference.used.tolist() == [[900, 900]]


def test_the_control_of_a_run_is_that_of_the_method_asked_for() -> None:
    def run(used: Sequence[int], settings: Sequence[Setting]) -> StoredRun:
        by_name = {"": view([[900]], [[1]])} | {
            setting.name: view([[tokens]], [[1]]) for setting, tokens in zip(settings, used, strict=True)
        }
        return cast(StoredRun, Views(by_name, settings))

    limits = [Setting(name=str(limit), method="tokens", maximum=limit, body="{}") for limit in (256, 512)]
    options: dict[str, Any] = {"interval": "samples", "seed": 0, "replicates": 50}
    plain = run([], [])
    clusters = next(iter(evaluated_methods(plain, "aime24"))).clusters
    found = own_control([run([300, 500], limits)], "aime24", clusters=clusters, **options)
    assert found is not None
    assert found[0].value == 50
    assert own_control([plain], "aime24", clusters=clusters, **options) is None
    # Without bounds there is none to keep.
    free = [Setting(name="w", method="wait", after="")]
    assert own_control([run([300], free)], "aime24", clusters=clusters, **options) is None
