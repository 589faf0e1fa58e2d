"""lm-eval's task, able to take a whole curve from a model that brings one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lm_eval.api.task import ConfigurableTask

from reghar.lm_eval_bridge.figures import TaskFigure, TaskFigures
from reghar.lm_eval_bridge.hooks import problems

ERROR = "_stderr"
"""lm-eval shows the metric `x_stderr` as the standard error of `x`; for one that it cannot compute
itself it writes N/A first, which a metric of that name, coming after `x`, replaces."""


_NO_FILE = "inline"
"""lm-eval's `config_source` of a task that no YAML file describes."""


class TraceText(str):
    """A model's response that knows the figures of its task. To everyone else it is the text."""

    figures: TaskFigures
    place: int
    """Of its problem in the task."""

    def __new__(cls, text: str, figures: TaskFigures, place: int) -> TraceText:
        """`place` counts from 0."""
        trace = super().__new__(cls, text)
        trace.figures, trace.place = figures, place
        return trace


class CurveTask(ConfigurableTask):  # type: ignore[misc]
    """A task as its YAML says; with `RegharLM` it reports the run's figures instead of one accuracy.

    Named by `class: !function reghar.lm_eval_bridge.CurveTask`, as in our task files.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        """`config` is the YAML's mapping, as lm-eval hands it over."""
        super().__init__(config={key: value for key, value in (config or {}).items() if key != "class"})
        self._figures: TaskFigures | None = None

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **arguments: Any) -> None:
        """The rows of a task file as `reghar run` reads them, with its rule of grading; a function's too."""
        metadata = self.config.metadata or {}
        if metadata.get("config_source", _NO_FILE) == _NO_FILE:
            super().download(dataset_kwargs, **arguments)
        else:
            self.dataset = problems(**metadata)

    def process_results(self, doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Any]:
        """A problem's own figures where the response brings them, else as the YAML says."""
        response = results[0]
        if not isinstance(response, TraceText):
            graded: dict[str, Any] = super().process_results(doc, results)
            return graded
        self._figures = response.figures
        own = response.figures.of_problem[response.place]
        measured: dict[str, Any] = {}
        for name, figure in response.figures.total.items():
            measured[name] = own[name]
            if figure.standard_error is not None:
                measured[name + ERROR] = None
        return measured

    def aggregation(self) -> dict[str, Callable[[Sequence[Any]], Any]]:
        """How lm-eval gets from problems to a task: for a run's figures, by reading them off."""
        aggregations: dict[str, Callable[[Sequence[Any]], Any]] = dict(super().aggregation())
        for name, figure in self._total().items():
            aggregations[name] = _constant(figure.value)
            aggregations[name + ERROR] = _constant(figure.standard_error)
        return aggregations

    def higher_is_better(self) -> dict[str, bool | None]:
        """Direction by metric."""
        directions: dict[str, bool | None] = super().higher_is_better()
        return directions | {name: figure.higher_is_better for name, figure in self._total().items()}

    def _total(self) -> dict[str, TaskFigure]:
        return self._figures.total if self._figures is not None else {}


def _constant(value: float | None) -> Callable[[Sequence[Any]], float | None]:
    return lambda _: value
