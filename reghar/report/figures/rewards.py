"""A reward over the length of every response, right and wrong apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reghar.grading.outcome import Outcome
from reghar.report.figures import style
from reghar.report.figures.axes import tokens

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def reward_over_length(
    axes: Axes, length: NDArray[np.int64], reward: NDArray[np.float64], right: NDArray[np.bool_], *, name: str
) -> None:
    """One point per response: `length` in tokens, `reward`, `right`, of one shape; `name` of the reward."""
    kinds = ((right, "right", "o", Outcome.CORRECT), (~right, "wrong", "x", Outcome.INCORRECT))
    for chosen, label, marker, outcome in kinds:
        if chosen.any():
            axes.plot(
                length[chosen],
                reward[chosen],
                linestyle="none",
                marker=marker,
                markersize=3,
                alpha=0.5,
                color=style.OUTCOME_COLOURS[outcome],
                label=label,
                clip_on=False,
            )
    axes.set_xlim(0, max(1, 1.05 * int(length.max(initial=1))))
    axes.xaxis.set_major_formatter(tokens)
    axes.set_xlabel("Response (tokens)")
    axes.set_ylabel(f"Reward ({name})")
