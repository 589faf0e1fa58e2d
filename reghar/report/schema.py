"""What `report.json` holds: the stable schema of a report, described field by field in `docs/report.md`.

The same stored scores give a byte-identical file: no time of writing, no machine, no path in it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from reghar.errors import InputError, first_problem, not_json
from reghar.frontiers.choose import FrontierRecord
from reghar.measures.catalogue import IntervalKind, Measure, rounded
from reghar.protocol import Protocol

REPORT_SCHEMA: Literal["reghar.report/1"] = "reghar.report/1"

INCOMPLETE = "incomplete: "
"""Begins the note of an incomplete run that says what is missing and how to get it."""

Rounded = Annotated[float, AfterValidator(rounded)]
"""As it is written: 12 significant digits, see `rounded`."""
Fraction = Annotated[float, Field(ge=0, le=1), AfterValidator(rounded)]
Count = Annotated[int, Field(ge=0)]
Budgets = tuple[Count, ...]


class _ReportRecord(BaseModel):
    """Frozen; a field that the schema does not know is an error, so that a typing mistake cannot hide, and
    "yes" is no truth value."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class CurveRecord(_ReportRecord):
    """Accuracy by budget (definitions: The curve), B points."""

    budgets: Budgets
    """Tokens, strictly increasing."""
    accuracy: tuple[Fraction, ...]
    low: tuple[Fraction, ...] | None
    """Lower end of the pointwise 95% interval; null without an interval (fewer than 2 problems)."""
    high: tuple[Fraction, ...] | None
    band_low: tuple[Fraction, ...] | None = None
    """Lower end of the band that holds the whole curve with 95% at once; null where `low` is, and in
    reports written before it was there."""
    band_high: tuple[Fraction, ...] | None = None

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        for series in (self.accuracy, self.low, self.high, self.band_low, self.band_high):
            if series is not None and len(series) != len(self.budgets):
                raise ValueError(f"{len(series)} points for {len(self.budgets)} budgets")
        if any(b <= a for a, b in zip(self.budgets, self.budgets[1:], strict=False)):
            raise ValueError("budgets are not strictly increasing")
        return self


class FrontierCurveRecord(_ReportRecord):
    """The frontier's accuracy at the run's own budgets."""

    accuracy: tuple[Fraction, ...]
    interpolated: bool
    """True where a budget of the run is none of the frontier's."""
    reg_error: Rounded | None = None
    """Standard error of the area under it, tokens, from the samples behind it; null where problems are
    drawn together with the run's, and in reports written before it was there."""


class GraderFailures(_ReportRecord):
    """The curve if every answer that could not be graded were right; if all were wrong, it is `curve`."""

    count: Count
    """Answers that ended as `grader_timeout` or `grader_error`, over all budgets."""
    accuracy_if_right: tuple[Fraction, ...]
    """Accuracy by budget, B points."""


class SettingRecord(_ReportRecord):
    """One setting of a control method (definitions: s1's measures)."""

    name: str
    minimum: Count | None
    """Thinking tokens asked for at least; null for no such bound."""
    maximum: Count | None
    """Thinking tokens asked for at most."""
    tokens: Rounded
    """Thinking tokens used on average (t_a); response tokens where no trace has a thinking block."""
    tokens_low: Rounded | None
    """Ends of the 95% interval; null where there is none."""
    tokens_high: Rounded | None
    accuracy: Fraction
    """f_a, as a fraction."""
    low: Fraction | None
    high: Fraction | None
    obeyed: bool | None
    """Whether `tokens` lies within the bounds; null where the setting has none."""
    within: Fraction | None
    """The share of samples within the bounds."""
    tokens_quantiles: tuple[Rounded, ...]
    """Of the thinking tokens of single samples: 5, 25, 50, 75 and 95%."""
    answer_tokens: Rounded | None
    """Response tokens outside the thinking on average; null where answers were forced or none thinks."""
    answer_quantiles: tuple[Rounded, ...] | None
    unfinished: Fraction
    """The share of traces that hit `max_tokens`."""


class MethodRecord(_ReportRecord):
    """One method of test-time control on one task (definitions: s1's measures; Test-time control)."""

    method: str
    """`force`, `tokens`, ...; each string of `wait` is one; ` + force` with budget forcing on top."""
    settings: tuple[SettingRecord, ...]
    """s1's set A."""
    reference: SettingRecord | None
    """The plain evaluation beside A; null where it is a member of A, or its curve is the method."""
    measures: tuple[Measure, ...]
    """`control`, `scaling`, `scaling_per_1000`, `performance`."""
    pairs_left_out: Count
    """Pairs of settings without a slope."""

    def measure(self, name: str) -> Measure | None:
        """The measure of that name; None where there is none."""
        return _find(self.measures, name)


class EfficiencyRecord(_ReportRecord):
    """Per-trace efficiency (definitions: Efficiency of single traces): means over problems."""

    first_correct: Rounded | None
    """First budget with a correct answer, tokens."""
    settled: Rounded | None
    """First budget from which on every answer is correct, tokens."""
    flips: Rounded | None
    """How often a correct answer was lost and found again."""
    overthought: Fraction | None
    """Share of traces that were right earlier and are wrong at the end."""
    wasted_tokens: Rounded | None
    """Response tokens after the settled budget."""
    outcome_efficiency: Fraction | None
    """Share of the response that the first correct answer needed."""
    never_correct: Fraction | None
    """Share of traces that are right at no budget."""
    traces: dict[str, Count] = {}
    """By the names above: how many traces have the figure; empty in reports written before it was there."""
    intervals: dict[str, tuple[Rounded, Rounded] | None] = {}
    """By the names above: the 95% interval over problems; null for fewer than 2 problems that have it."""


class FigureRecord(_ReportRecord):
    """A mean or share with its 95% interval, null where there is none."""

    value: Rounded | None
    low: Rounded | None
    high: Rounded | None


class AllocationRecord(_ReportRecord):
    """Where a task's tokens went (definitions: Allocation of thinking)."""

    useful_share: Fraction | None
    """Of all tokens, those that are neither below; null where no trace has a token."""
    overthinking_tax: FigureRecord
    """Mean tokens after the settled budget, over traces right at the end."""
    overthinking_share: FigureRecord
    """Those tokens as a share of all."""
    futility_waste: FigureRecord
    """Mean tokens of traces that are right at no budget."""
    futility_share: FigureRecord
    """Those tokens as a share of all."""
    budgets: Budgets
    """Tokens."""
    starvation: tuple[FigureRecord, ...]
    """By budget: share of traces wrong there and right at the end."""
    harm: tuple[FigureRecord, ...]
    """By budget: share of traces right there and wrong at the end."""


class TaskReport(_ReportRecord):
    """One task of a run."""

    problems: Count
    samples: Count
    """Planned samples per problem (n of avg@n)."""
    missing: Count
    """Planned (problem, sample, budget) triples without an outcome; 0 in a complete run."""
    curve: CurveRecord
    frontier: FrontierCurveRecord | None
    """null where the task has no REG; `notes` say why."""
    outcomes: dict[str, tuple[Count, ...]]
    """Answers by outcome (definitions: Grading) by budget: its name to B counts, `missing` among them."""
    full_outcomes: dict[str, Count]
    """Whole traces by the outcome of their own answer at `max_tokens`."""
    grader_failures: GraderFailures
    measures: tuple[Measure, ...]
    efficiency: EfficiencyRecord | None = None
    """null in reports written before it was there."""
    allocation: AllocationRecord | None = None
    """null for an incomplete task, without answers at budgets, and in reports written before it was there."""
    control: tuple[MethodRecord, ...] = ()
    """Methods of test-time control, `force` first; empty where the grid holds none of its settings."""
    notes: tuple[str, ...]

    def measure(self, name: str) -> Measure | None:
        """The measure of that name; None where the task has none."""
        return _find(self.measures, name)

    @model_validator(mode="after")
    def _one_count_a_budget(self) -> Self:
        points = len(self.curve.budgets)
        series: list[tuple[Any, ...]] = [*self.outcomes.values(), self.grader_failures.accuracy_if_right]
        if self.frontier is not None:
            series.append(self.frontier.accuracy)
        if any(len(values) != points for values in series):
            raise ValueError(f"a series has another length than the curve's {points} budgets")
        return self


class Average(_ReportRecord):
    """Plain means over the tasks."""

    curve: CurveRecord
    """The task-averaged curve, without an interval: the measures have theirs."""
    frontier: FrontierCurveRecord | None
    """The task-averaged frontier; null unless every task has one."""
    measures: tuple[Measure, ...]

    def measure(self, name: str) -> Measure | None:
        """The average of that name; None where there is none."""
        return _find(self.measures, name)


class Interval(_ReportRecord):
    """How every `low` and `high` was made (definitions: Statistics)."""

    kind: IntervalKind
    """What was drawn with replacement: whole problems, or samples within fixed problems."""
    replicates: Count
    seed: int


class Report(_ReportRecord):
    """A run in figures. `Report.read` and `to_json` are inverses."""

    schema_: Literal["reghar.report/1"] = Field(default=REPORT_SCHEMA, alias="schema")
    model: str
    digest: str
    """Of the protocol: figures of runs with unequal digests must not be compared."""
    protocol: Protocol
    complete: bool
    """False while a planned (problem, sample, budget) is missing: then nothing here is final."""
    frontier: FrontierRecord | None
    interval: Interval
    tasks: dict[str, TaskReport]
    average: Average
    cost: dict[str, Rounded | int | None]
    notes: tuple[str, ...]

    def overall(self, name: str) -> Measure | None:
        """The figure over all tasks: the average, or the only task's own; None where there is none."""
        if len(self.tasks) == 1:
            return next(iter(self.tasks.values())).measure(name)
        return self.average.measure(name)

    def called(self, name: str | None) -> Report:
        """The same report with another name in the place of its model's; as it is for None."""
        return self if name is None else self.model_copy(update={"model": name})

    def to_json(self) -> str:
        """The text of `report.json`: keys in schema order, floats with 12 significant digits, no NaN."""
        content = self.model_dump(by_alias=True)
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Report:
        """The report in a file, or in the `report.json` of a run's folder.

        Raises InputError where there is none, or it is not a report of this schema.
        """
        file = path / "report.json" if path.is_dir() else path
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(
                f"cannot read the report {file}: {error.strerror}; write it with `reghar report RUN`"
            ) from error
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{file} is no report: {not_json(error)}; write it with `reghar report RUN`"
            ) from error
        return cls.parse(content, origin=str(file))

    @classmethod
    def parse(cls, content: object, *, origin: str) -> Report:
        """The report in parsed JSON; `origin` names it in the InputError for anything else."""
        found = content.get("schema") if isinstance(content, dict) else None
        if found != REPORT_SCHEMA:
            raise InputError(
                f"{origin} has schema {ascii(found)[:60]}, not {REPORT_SCHEMA!r}; "
                "write it again with `reghar report RUN`"
            )
        try:
            # As JSON: only there do lists stand for tuples where nothing else is converted.
            return cls.model_validate_json(json.dumps(content))
        except ValidationError as error:
            raise InputError(
                f"{origin} is not a valid report: {first_problem(error)}; "
                "write it again with `reghar report RUN`"
            ) from error


def _find(measures: tuple[Measure, ...], name: str) -> Measure | None:
    return next((measure for measure in measures if measure.name == name), None)
