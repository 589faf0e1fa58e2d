"""All sides against the baseline, task by task and on average: what REG table 1 holds, with its doubt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reghar.compare.balanced import BALANCED_LENGTH, balanced_cells
from reghar.compare.cell import Cell
from reghar.compare.environments import environment_notes
from reghar.compare.lengths import length_cells, pooled_cells
from reghar.compare.measured import (
    Bootstrap,
    MeasuredSide,
    measure_side,
    outcomes_of_sides,
    paired,
    same_grid,
    shared_reference,
)
from reghar.compare.published import NOTE, PublishedRow, published_rows
from reghar.compare.seeds import SeedCell, SeedSide, seed_cells
from reghar.compare.sides import Side, require_comparable, shared_problems
from reghar.errors import InputError
from reghar.frontiers.choose import FrontierChoice
from reghar.measures.catalogue import MEASURES
from reghar.measures.paired import CurveDifference, curve_difference
from reghar.measures.reg import change
from reghar.measures.training_seeds import FEWEST
from reghar.protocol import BudgetCounts

SHOWN = ("accuracy_full", "mean_length", "reg", "accuracy_at_l_max")
"""Measures that are compared: those of REG table 1, and accuracy at L_max."""
AVERAGE = "average"
"""What the row of plain means over tasks is called."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Every side in figures, and its difference from the baseline."""

    sides: tuple[str, ...]
    """Labels, in the order given."""
    baseline: str
    """One of them."""
    tasks: tuple[str, ...]
    """Row groups: the tasks, and `AVERAGE` where there are several."""
    measures: tuple[str, ...]
    cells: tuple[Cell, ...]
    """Task by task, side by side, measure by measure; then lengths against the baseline's, and averages that
    weigh every sample the same."""
    frontier: str | None
    """Name of the frontier; None where REG itself is unknown and only its differences are."""
    counts: BudgetCounts
    """Which tokens the budgets count."""
    bootstrap: Bootstrap
    notes: tuple[str, ...]
    curves: Mapping[tuple[str, str], CurveDifference]
    """(Task or `AVERAGE`, side) to its accuracy minus the baseline's at every budget, where that exists."""
    seeds: tuple[SeedCell, ...] = ()
    """Intervals over training seeds, of sides with enough of them."""
    published: tuple[PublishedRow, ...] = ()
    """A paper's methods on the same tasks."""

    def cell(self, task: str, side: str, measure: str) -> Cell:
        """One figure; KeyError where there is none."""
        return {(c.task, c.side, c.measure): c for c in self.cells}[task, side, measure]


def compare(
    sides: Sequence[Side],
    *,
    baseline: Side,
    frontier: str | None = None,
    bootstrap: Bootstrap | None = None,
    allowed: Sequence[str] = (),
    balanced: float | None = None,
    published: str | None = None,
) -> Comparison:
    """Compares `sides`, of which `baseline` is one.

    `frontier` as for `reghar report`, None for the baseline's own; `allowed` names settings in which
    protocols may differ; `balanced` adds lengths on the problems that every side solves with more than
    that accuracy; `published` is the base model whose published methods stand under the runs. Raises
    InputError for fewer than two sides, incomplete runs, unequal protocols, and where nothing is published.
    """
    if len(sides) < 2:
        raise InputError("a comparison needs two runs at least: reghar compare RUN RUN")
    bootstrap = bootstrap or Bootstrap()
    notes = require_comparable(sides, baseline, allowed)
    problems = shared_problems([baseline, *sides])
    papers = () if published is None else published_rows(published, list(problems), average=AVERAGE)
    reference = _reference(sides, baseline, frontier, problems)
    if published is not None and reference.record is not None and reference.record.name != published:
        raise InputError(
            f"--published {published}: the runs' REG is against the frontier {reference.record.name}; "
            f"add --frontier {published}, or name that model with --published"
        )
    found = outcomes_of_sides(sides, problems)
    outcomes = {side.label: one for side, one in zip(sides, found, strict=True)}
    measured = {label: measure_side(label, one, reference, bootstrap) for label, one in outcomes.items()}
    against = measured[baseline.label]
    groups = (*problems, AVERAGE) if len(problems) > 1 else tuple(problems)
    cells = [cell for task in groups for side in measured.values() for cell in _cells(task, side, against)]
    others = [side for side in measured.values() if side is not against]
    curves = {(task, side.label): _curve(task, side, against) for task in groups for side in others}
    cells += [cell for side in others for cell in length_cells(side, against, average=AVERAGE)]
    if len(problems) > 1:
        cells += [cell for side in measured.values() for cell in pooled_cells(side, against, SHOWN)]
    by_seed = [SeedSide(side=s, measured=measured[s.label], problems=problems) for s in sides]
    seeds = seed_cells(by_seed, by_seed[sides.index(baseline)], SHOWN, average=AVERAGE)
    measures: tuple[str, ...] = SHOWN
    if balanced is not None:
        lengths, told = balanced_cells(
            outcomes, baseline.label, threshold=balanced, draw=bootstrap, average=AVERAGE
        )
        cells += lengths
        notes += told
        measures += (BALANCED_LENGTH,) if lengths else ()
    return Comparison(
        sides=tuple(measured),
        baseline=baseline.label,
        tasks=groups,
        measures=measures,
        cells=tuple(cells),
        frontier=reference.record.name if reference.record is not None else None,
        counts=baseline.protocol.budget_counts,
        bootstrap=bootstrap,
        notes=(
            *notes,
            *environment_notes(sides),
            *_notes(sides, reference, measured),
            *_published_notes(papers),
        ),
        curves={key: one for key, one in curves.items() if one is not None},
        seeds=tuple(seeds),
        published=papers,
    )


def _reference(
    sides: Sequence[Side], baseline: Side, spec: str | None, problems: dict[str, tuple[str, ...]]
) -> FrontierChoice:
    """The shared frontier, without tasks of which only some problems are compared: that gap is not REG."""
    reference = shared_reference(sides, baseline, spec)
    whole = {
        task: frontier
        for task, frontier in reference.tasks.items()
        if task in problems and len(problems[task]) == len(baseline.protocol.tasks[task].problem_ids)
    }
    return FrontierChoice(
        record=reference.record if whole else None,
        tasks=whole,
        notes=reference.notes,
        task_notes=reference.task_notes,
    )


def _cells(task: str, side: MeasuredSide, baseline: MeasuredSide) -> Iterator[Cell]:
    of = None if task == AVERAGE else task
    ours, theirs = side.figures(of), baseline.figures(of)
    against = side is not baseline
    for name in SHOWN:
        value = ours[name].value if name in ours else None
        base = theirs[name].value if name in theirs else None
        # The area between a curve and its frontier is another measure on another grid (definitions: REG).
        judged = against and (name != "reg" or same_grid(side.of(of), baseline.of(of)))
        yield Cell(
            task=task,
            side=side.label,
            measure=name,
            unit=MEASURES[name][0],
            higher_is_better=MEASURES[name][1],
            value=value,
            change=relative_change(value, base) if judged else None,
            difference=paired(name, side, baseline, of) if judged else None,
        )


def _curve(task: str, side: MeasuredSide, baseline: MeasuredSide) -> CurveDifference | None:
    of = None if task == AVERAGE else task
    return curve_difference(side.of(of), baseline.of(of))


def relative_change(value: float | None, base: float | None) -> float | None:
    """Against the baseline, as a fraction of it; for the average row give the averages (REG table 1).

    None where a figure is missing or the baseline is not above 0 (definitions: REG).
    """
    return None if value is None or base is None else change(value, base).relative


def _published_notes(papers: Sequence[PublishedRow]) -> Iterator[str]:
    if papers:
        yield f"published rows are of arXiv 2506.07104: {NOTE}; they have no intervals"
        yield f"their REG change is against the paper's {papers[0].baseline}, not against the baseline here"


def _notes(
    sides: Sequence[Side], reference: FrontierChoice, measured: dict[str, MeasuredSide]
) -> Iterator[str]:
    yield from reference.notes
    for task, lines in reference.task_notes.items():
        yield from (f"{task}: {line}" for line in lines)
    if reference.record is None:
        yield "without a frontier REG is unknown; its differences are those of the areas under the curves"
    elif reference.record.unknown:
        yield f"the frontier's protocol is {reference.record.protocol}: {'; '.join(reference.record.unknown)}"
    reported = [side.label for side in sides if not side.protocol.cuts_responses]
    if reported:
        yield (
            f"lengths of {' and '.join(reported)} are tokens as its server reports them: tokenizers differ, "
            "so equal texts may have unequal lengths"
        )
    for side in sides:
        if len(side.runs) > 1:
            enough = len(side.runs) >= FEWEST
            where = "those stand under 'Over training seeds'" if enough else f"those need {FEWEST} runs"
            yield (
                f"{side.label} is the mean over {len(side.runs)} runs: its other intervals speak of these "
                f"trained models, not of further training seeds; {where}"
            )
    told: list[str] = []
    for side_measured in measured.values():
        for task_measured in side_measured.tasks:
            grid = () if task_measured.reg is None else task_measured.reg.notes
            told += [f"{task_measured.task}: {note}" for note in grid]
            told += [f"{task_measured.task}: {note}" for note in task_measured.notes if "intervals" in note]
    yield from dict.fromkeys(told)
