"""`reghar.load`: the tables, curves and REG of a stored run in a notebook."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from helpers.page_runs import BUDGETS, TASK, write_run

import reghar
from reghar.api import Run
from reghar.errors import InputError
from reghar.measures.trace_table import trace_table
from reghar.store.tables import KEY


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "run"
    write_run(folder, problems=2)
    return reghar.load(folder)


def test_traces_carry_their_efficiency(run: Run) -> None:
    first = run.traces[run.traces["problem"] == "sum-0"].set_index("sample")
    assert len(run.traces) == 12
    assert first.loc[0, ["first_correct", "settled", "flips", "overthought"]].tolist() == [64, 64, 0, 0]
    assert first.loc[0, "wasted_tokens"] == first.loc[0, "length"] - 64
    assert first.loc[0, "outcome_efficiency"] == pytest.approx(64 / first.loc[0, "length"])
    assert first.loc[2, ["first_correct", "overthought"]].tolist() == [64, 1]
    assert np.isnan(first.loc[2, "settled"])
    assert np.isnan(first.loc[5, "first_correct"])


def test_the_table_of_traces_is_the_same_without_texts(run: Run) -> None:
    table = trace_table(run.stored)
    assert "text" not in table
    traces = run.traces.sort_values(list(KEY), ignore_index=True)
    shared = [name for name in table if name in traces]
    assert {"length", "finished", "settled", "wasted_tokens"} <= set(shared)
    pd.testing.assert_frame_equal(table[shared], traces[shared], check_dtype=False)
    own = run.scores[run.scores["budget"].isna()].sort_values(list(KEY), ignore_index=True)
    assert table["outcome"].tolist() == own["outcome"].tolist()


def test_tables_curve_and_plot_agree(run: Run) -> None:
    curve = run.curve(TASK)
    assert curve.budgets.tolist() == list(BUDGETS)
    scores = run.scores[run.scores["budget"] == 0]
    assert curve.accuracy[0] == (scores["outcome"] == "correct").mean()
    axes = run.plot(TASK)
    assert axes.lines[0].get_ydata()[-1] == pytest.approx(100 * curve.accuracy[-1])
    assert set(run.answers["sample"]) == set(range(6))


def test_an_unknown_task_or_frontier_is_one_line(run: Run) -> None:
    with pytest.raises(InputError, match="has no task 'nothing'"):
        run.curve("nothing")
    with pytest.raises(InputError, match=TASK):
        run.reg(TASK, "Qwen3-4B")


def test_importing_it_is_light() -> None:
    code = "import reghar, sys; assert not {'pandas', 'numpy', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
