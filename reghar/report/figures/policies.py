"""Pictures of stopping policies and of where tokens went (definitions: Stopping policies)."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reghar.report.figures import picture, style
from reghar.report.figures.axes import accuracy_axis, round_steps, tokens
from reghar.report.policies import BOUND
from reghar.terminal import printable, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = ("o", "s", "^", "D")
PARTS = (
    ("useful", style.BEYOND, ""),
    ("overthinking tax", style.BELOW, "////"),
    ("futility", "#BBBBBB", "...."),
)
"""The parts of a task's tokens, with colour and hatch."""


def write_policy_figures(result: dict[str, Any], folder: Path) -> list[Path]:
    """`policies`: a panel per task; `tokens`: a bar per task. Each as PNG and SVG; the files."""
    tasks = result["tasks"]
    panels = [(name, partial(draw_policies, task=one)) for name, one in tasks.items()]
    files = picture.save(panels, folder / "policies")
    went = {name: one["allocation"] for name, one in tasks.items()}
    return files + write_parts_figure(went, folder)


def write_parts_figure(went: dict[str, dict[str, Any]], folder: Path) -> list[Path]:
    """`tokens`: where every task's tokens went, by task; nothing where no trace has a token."""
    known = {name: one for name, one in went.items() if one["useful_share"] is not None}
    return picture.save([("", partial(draw_parts, went=known))], folder / "tokens") if known else []


def draw_policies(axes: Axes, task: dict[str, Any]) -> None:
    """Accuracy over mean tokens: a line for each family, the oracle allocation, and what knows the gold."""
    spent: list[float] = []
    for i, (family, points) in enumerate(task["families"].items()):
        colour, line = style.MODEL_STYLES[i % len(style.MODEL_STYLES)]
        axes.plot(
            [point["tokens"] for point in points],
            [100 * point["accuracy"] for point in points],
            color=colour,
            linestyle=line,
            marker=_MARKERS[i % len(_MARKERS)],
            markersize=3,
            label="fixed budgets" if family == "fixed" else family,
            clip_on=False,
        )
        if family == "fixed" and all(point["low"] is not None for point in points):
            axes.fill_between(
                [point["tokens"] for point in points],
                [100 * point["low"] for point in points],
                [100 * point["high"] for point in points],
                color=colour,
                alpha=0.15,
                linewidth=0,
            )
        spent += [point["tokens"] for point in points]
    if task["oracle"] is not None:
        rows = task["oracle"]
        axes.plot(
            [row["tokens"] for row in rows],
            [100 * row["accuracy"] for row in rows],
            color=style.FRONTIER,
            linestyle=(0, (5, 1.5)),
            label="oracle allocation, cross-fitted",
            clip_on=False,
        )
    spent += _draw_bound(axes, task)
    last = max(spent, default=1.0)
    axes.set_xlim(0, 1.02 * last)
    axes.set_xticks(round_steps(math.ceil(last)))
    axes.xaxis.set_major_formatter(tokens)
    axes.set_xlabel("Mean tokens, with the answers asked for")
    accuracy_axis(axes)


def _draw_bound(axes: Axes, task: dict[str, Any]) -> list[float]:
    """Unbounded thinking, and dotted from there to what a policy that knows the gold would save."""
    bound, whole = task["settled"], task["unbounded"]
    ends = [bound, whole]
    axes.plot(
        [one["tokens"] for one in ends],
        [100 * one["accuracy"] for one in ends],
        color=style.REFERENCE,
        linestyle=":",
        marker="*",
        markevery=[0],
        markersize=6,
        label=BOUND,
        clip_on=False,
    )
    axes.plot(
        [one["tokens"] for one in ends[1:]],
        [100 * one["accuracy"] for one in ends[1:]],
        color=style.REFERENCE,
        linestyle="none",
        marker="X",
        markersize=5,
        label="unbounded thinking",
        clip_on=False,
    )
    return [one["tokens"] for one in ends]


def draw_parts(axes: Axes, went: dict[str, dict[str, Any]]) -> None:
    """One stacked bar per task: useful tokens, the overthinking tax, and futile ones, in % of all."""
    places = list(range(len(went)))
    left = [0.0] * len(went)
    for label, colour, hatch in PARTS:
        shares = [100 * _share(one, label) for one in went.values()]
        axes.barh(
            places,
            shares,
            left=left,
            height=0.6,
            color=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0,
            label=label,
        )
        for place, start, share in zip(places, left, shares, strict=True):
            if share >= _ROOM:
                axes.text(
                    start + share / 2,
                    place,
                    f"{share:.0f}",
                    ha="center",
                    va="center",
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
                )
        left = [start + share for start, share in zip(left, shares, strict=True)]
    axes.set_yticks(places, [shortened(printable(name), 24) for name in went])
    # One bar or two are no wider than three.
    middle, reach = (len(went) - 1) / 2, max(len(went), 3) / 2
    axes.set_ylim(middle + reach, middle - reach)
    axes.set_xlim(0, 100)
    axes.set_xlabel("Share of all tokens (%)")


_ROOM = 6
"""Percent: a narrower part holds no number."""


def _share(one: dict[str, Any], part: str) -> float:
    if part == "useful":
        return float(one["useful_share"])
    name = {"overthinking tax": "overthinking_share", "futility": "futility_share"}[part]
    return float(one[name]["value"])
