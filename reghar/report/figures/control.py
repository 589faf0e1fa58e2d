"""Pictures of test-time control: accuracy over thinking tokens, requested against real length, effort."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reghar.measures.control_methods import thinks
from reghar.measures.curves import stored_traces
from reghar.prompting.control import METHOD_DEFAULTS
from reghar.protocol import Setting
from reghar.report.figures import picture, style
from reghar.report.figures.axes import accuracy_axis, log2_axis
from reghar.report.schema import MethodRecord, Report, SettingRecord
from reghar.store import StoredRun
from reghar.terminal import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASE_EFFORT = str(METHOD_DEFAULTS["effort"][1])
"""256: the effort that CRE-SFT's figure compares the others with."""


def write_control_figures(report: Report, run: StoredRun, folder: Path) -> list[Path]:
    """`control`, and where the methods have them `requested` and `effort`, as PNG and SVG; the files."""
    drawings: dict[str, list[picture.Panel]] = {"control": [], "requested": [], "effort": []}
    for task, one in report.tasks.items():
        if one.control:
            drawings["control"].append((task, partial(accuracy_by_tokens, methods=one.control)))
        drawings["requested"] += [(task, draw) for draw in _requested(run, task)]
        efforts = next((method for method in one.control if method.method == "effort"), None)
        if efforts is not None and any(setting.name == BASE_EFFORT for setting in efforts.settings):
            drawings["effort"].append((task, partial(change_by_effort, method=efforts)))
    return [
        file for stem, panels in drawings.items() if panels for file in picture.save(panels, folder / stem)
    ]


def accuracy_by_tokens(axes: Axes, methods: tuple[MethodRecord, ...]) -> None:
    """One line per method: accuracy over the thinking tokens that its settings used (s1 figures 1, 4, 7)."""
    for i, method in enumerate(methods):
        settings = sorted(method.settings, key=lambda one: one.tokens)
        colour, line = style.MODEL_STYLES[i % len(style.MODEL_STYLES)]
        axes.errorbar(
            [setting.tokens for setting in settings],
            [100 * setting.accuracy for setting in settings],
            yerr=_errors(settings),
            color=colour,
            linestyle=line,
            marker="o",
            markersize=3,
            elinewidth=0.6,
            clip_on=False,
            label=printable(method.method),
        )
    log2_axis(
        axes,
        [setting.tokens for method in methods for setting in method.settings],
        "Thinking tokens used (mean)",
    )
    accuracy_axis(axes)


def _errors(settings: list[SettingRecord]) -> NDArray[np.float64] | None:
    """Shape (2, A): from the accuracy down and up to its interval's ends, in points."""
    if any(setting.low is None or setting.high is None for setting in settings) or not settings:
        return None
    ends = np.array([(one.accuracy - (one.low or 0), (one.high or 0) - one.accuracy) for one in settings])
    points: NDArray[np.float64] = np.maximum(100 * ends.T, 0)
    return points


def _requested(run: StoredRun, task: str) -> list[Callable[[Axes], None]]:
    """What draws requested against real length, where settings ask for a number of tokens, 0 included."""
    asking = [setting for setting in run.settings if setting.maximum is not None]
    if not asking:
        return []
    return [partial(requested_length, run=run, task=task, settings=asking)]


def requested_length(axes: Axes, run: StoredRun, task: str, settings: list[Setting]) -> None:
    """One point per sample: thinking tokens asked for and used, with the diagonal (CRE-SFT's figure)."""
    thinking = thinks(run, task)
    # Points of one setting are spread sideways, or they would cover each other.
    spread = np.random.default_rng(0)
    asked_all, used_all, means = [], [], []
    for setting in settings:
        outcomes = run.at(setting.name).outcomes(task)
        used = (outcomes.thinking_length if thinking else outcomes.length)[stored_traces(outcomes)]
        if not used.size:
            continue
        asked = float(setting.maximum or 0)
        asked_all.append(asked * 2 ** spread.uniform(-0.2, 0.2, used.size))
        used_all.append(used)
        means.append((asked, float(used.mean())))
    if not asked_all:
        return
    asked_points, used_points = np.concatenate(asked_all), np.concatenate(used_all)
    axes.plot(
        asked_points,
        used_points,
        color=style.CURVE,
        linestyle="none",
        marker=".",
        markersize=2,
        alpha=0.4,
        clip_on=False,
        label="one sample",
    )
    axes.plot(
        *zip(*means, strict=True), color=style.BELOW, marker="D", markersize=4, label="mean", clip_on=False
    )
    ends = [float(asked_points.min()), float(asked_points.max())]
    axes.plot(ends, ends, color=style.REFERENCE, linestyle=(0, (4, 1.5)), label="as asked for")
    log2_axis(axes, asked_points.tolist(), "Thinking tokens asked for (at most)")
    least = min((value for value in used_points.tolist() if value > 0), default=1.0)
    axes.set_yscale("symlog", base=2, linthresh=least)  # a sample may use no thinking at all
    axes.set_ylabel("Thinking tokens used")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def change_by_effort(axes: Axes, method: MethodRecord) -> None:
    """Accuracy at every effort less that at effort 256, in points."""
    base = next(setting.accuracy for setting in method.settings if setting.name == BASE_EFFORT)
    names = [setting.name for setting in method.settings]
    changes = [100 * (setting.accuracy - base) for setting in method.settings]
    places = range(len(names))
    axes.bar(
        places,
        changes,
        color=[style.BEYOND if change >= 0 else style.BELOW for change in changes],
        width=0.7,
    )
    axes.axhline(0, color=style.FRONTIER, linewidth=0.8)
    axes.set_xticks(list(places), [f"{int(name):,}" for name in names], rotation=45)
    axes.set_xlabel("reasoning_effort")
    axes.set_ylabel(f"Accuracy less that at {BASE_EFFORT} (points)")
    widest = max(1.0, *(abs(change) for change in changes))
    axes.set_ylim(-1.1 * widest, 1.1 * widest)
