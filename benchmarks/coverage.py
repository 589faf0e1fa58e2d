"""How often the intervals are right: coverage, mean width, false alarms and power, in simulation.

    python benchmarks/coverage.py                 # the tables of docs/statistics.md, some minutes on one core
    python benchmarks/coverage.py --simulations 100

*Old* is what stood here before: percentiles with Hesterberg's expansion for everything, problems drawn
under a frontier that stands still, and a gate that called worse whatever excluded 0 and passed the
tolerance. *New* is what the package does.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from reghar.compare.gates import Gate
from reghar.compare.verdicts import Evidence, decide
from reghar.frontiers.frontier import TaskFrontier
from reghar.measures import bootstrap, reg
from reghar.measures.estimate import Difference, Estimate, percentiles
from reghar.measures.paired import difference
from reghar.measures.sequential import next_samples
from reghar.measures.task import TaskMeasures, task_measures
from reghar.run.samples import FIRST_SAMPLES
from reghar.store.outcomes import TaskOutcomes

Array = NDArray[np.float64]

DIFFICULTIES = {"Beta(0.6, 0.5)": (0.6, 0.5), "Beta(0.15, 0.15)": (0.15, 0.15), "97% right": (9.7, 0.3)}
PROBLEMS = (5, 10, 30, 40, 272)
SAMPLES = (1, 4, 8, 32)
REPLICATES = 1_000
MOST = 256
"""Samples at which adding ends."""
GRID = (0, 256, 512, 1024, 2048, 4096, 8192, 16384)


def shares(simulations: int) -> Iterator[tuple[str, ...]]:
    """Coverage of an accuracy, in %: problems drawn (old, new), samples drawn (old, new)."""
    for name, (a, b) in DIFFICULTIES.items():
        for problems in PROBLEMS:
            for samples in SAMPLES:
                generator = np.random.default_rng([problems, samples])
                chance = generator.beta(a, b, (problems, simulations))
                right = generator.binomial(samples, chance)
                over_problems = _problem_draws(right / samples)
                covered = [_covers(one, a / (a + b)) for one in over_problems]
                cells = [f"{100 * share:.1f}" for share in np.mean(covered, axis=0)]
                if samples >= 4:
                    over_samples = _sample_draws(right, samples)
                    truths = chance.mean(axis=0)
                    covered = [_covers(one, t) for one, t in zip(over_samples, truths, strict=True)]
                    cells += [f"{100 * share:.1f}" for share in np.mean(covered, axis=0)]
                else:
                    cells += ["", ""]
                yield (name, str(problems), str(samples), *cells)


def _problem_draws(means: Array) -> Iterator[Estimate]:
    """One estimate a simulation; (P, simulations)."""
    problems = len(means)
    draws = bootstrap.bootstrap_problems(means, seed=0, task="coverage", replicates=REPLICATES)
    for mean, replicates in zip(means.mean(axis=0), np.ascontiguousarray(draws.T), strict=True):
        yield Estimate(
            value=float(mean),
            replicates=replicates,
            expansion=bootstrap.problem_expansion(problems),
            units=problems,
            drawn="problems",
            share=True,
        )


def _sample_draws(right: NDArray[np.int64], samples: int) -> Iterator[Estimate]:
    """Samples drawn within problems: as many rights as n draws from a problem's share of rights give."""
    problems = len(right)
    generator = np.random.default_rng(1)
    for column in right.T:
        drawn = generator.binomial(samples, column / samples, (REPLICATES, problems))
        yield Estimate(
            value=float(column.mean() / samples),
            replicates=drawn.sum(axis=1) / (problems * samples),
            expansion=bootstrap.sample_expansion(problems, samples),
            units=problems,
            drawn="samples",
            share=True,
        )


def stopped(simulations: int) -> Iterator[tuple[str, ...]]:
    """Samples added until the interval is narrower than a width: coverage in %, mean samples, mean width."""
    for name, (a, b) in DIFFICULTIES.items():
        for problems, width in ((5, 20), (30, 10), (30, 5), (272, 2)):
            generator = np.random.default_rng([problems, width])
            ends = [_stopped(generator, generator.beta(a, b, problems), width) for _ in range(simulations)]
            covered, samples, reached, narrow = np.mean(ends, axis=0)
            cells = (f"{100 * covered:.1f}", f"{samples:.1f}", f"{reached:.1f}", f"{100 * narrow:.0f}")
            yield (name, str(problems), str(width), *cells)


def _stopped(generator: np.random.Generator, chance: Array, width: float) -> tuple[bool, int, float, bool]:
    """Whether the interval holds the truth, the samples at the end, its width, and if it is narrow enough."""
    samples, right = 0, np.zeros(chance.size, dtype=np.int64)
    while True:
        more = next_samples(samples, MOST) if samples else FIRST_SAMPLES
        right += generator.binomial(more - samples, chance)
        samples = more
        (estimate,) = _sample_draws(right[:, None], samples)
        low, high = estimate.interval()
        if (narrow := 100 * (high - low) < width) or samples == MOST:
            return low <= chance.mean() <= high, samples, 100 * (high - low), narrow


def _covers(estimate: Estimate, truth: float) -> tuple[bool, bool]:
    old = percentiles(estimate.replicates, estimate.expansion.tail(0.025))
    one, other = (low - 1e-12 <= truth <= high + 1e-12 for low, high in (old, estimate.interval()))
    return one, other


def traces(
    generator: np.random.Generator, chance: Array, scale: Array, samples: int, *, slower: float = 1.0
) -> TaskOutcomes:
    """A model that solves problem p with a chance, after a log-normal number of tokens."""
    times = np.exp(generator.normal(np.log(slower * scale)[:, None], 0.6, (chance.size, samples)))
    solves = generator.random(times.shape) < chance[:, None]
    right = solves[..., None] & (times[..., None] <= GRID)
    everywhere = np.ones(times.shape, dtype=bool)
    length = np.minimum(times, GRID[-1]).astype(np.int64)
    return TaskOutcomes(
        task="simulated",
        problems=tuple(map(str, range(chance.size))),
        budgets=np.array(GRID, dtype=np.int64),
        outcome=np.where(right, 0, 1).astype(np.int8),
        full=np.where(solves, 0, 1).astype(np.int8),
        length=length,
        thinking_length=length,
        finished=everywhere,
        looped=~everywhere,
        thought=everywhere,
        thinking_opened=~everywhere,
        thinking_closed=everywhere,
    )


def gaps(simulations: int) -> Iterator[tuple[str, ...]]:
    """REG at 30 x 32, the frontier random too: coverage of the true gap in %, and mean width in tokens."""
    ways: dict[str, list[tuple[bool, float]]] = {}
    many = np.random.default_rng(7)
    everyone = many.beta(0.6, 0.5, 400_000), np.exp(many.normal(7.2, 0.7, 400_000))
    whole = [_curve(everyone[0], slower * everyone[1]) for slower in (1.5, 1.0)]
    for seed in range(simulations):
        generator = np.random.default_rng([7, seed])
        chance, scale = generator.beta(0.6, 0.5, 30), np.exp(generator.normal(7.2, 0.7, 30))
        run = traces(generator, chance, scale, 32, slower=1.5)
        best = traces(generator, chance, scale, 32)
        exact = [_curve(chance, slower * scale) for slower in (1.5, 1.0)]
        truth = float(reg.area(GRID, exact[1] - exact[0]))
        beyond = float(reg.area(GRID, whole[1] - whole[0]))
        means = best.correct.mean(axis=1)
        published = TaskFrontier(
            budgets=GRID, accuracy=tuple(means.mean(axis=0).tolist()), samples=32, problems=30
        )
        rows = tuple(tuple(row) for row in means.tolist())
        joint = published.model_copy(update={"problem_ids": run.problems, "problem_accuracy": rows})
        against = task_measures(run, published, replicates=REPLICATES)
        fixed = task_measures(run, None, interval="samples", replicates=REPLICATES)
        center = against.estimates["reg"].value + against.estimates["area"].value
        for way, (low, high) in {
            "problems drawn, frontier fixed (old)": _mirrored(center, against.estimates["area"]),
            "samples drawn, frontier fixed": _mirrored(center, fixed.estimates["area"]),
            "samples drawn + frontier's error (new, published)": against.estimates["reg"].interval(),
            "problems drawn jointly (new, built here)": task_measures(run, joint, replicates=REPLICATES)
            .estimates["reg"]
            .interval(),
        }.items():
            # Problems drawn: the gap over all problems like these. Samples drawn: on this benchmark.
            gap = beyond if way.startswith("problems drawn j") else truth
            ways.setdefault(way, []).append((low <= gap <= high, high - low))
    for way, found in ways.items():
        covered, width = np.mean(found, axis=0)
        yield way, f"{100 * covered:.0f}", f"{width:,.0f}"


def _curve(chance: Array, scale: Array) -> Array:
    """The exact accuracy at every budget, on these problems."""
    from scipy.special import ndtr

    with np.errstate(divide="ignore"):
        reached = ndtr((np.log(GRID)[None, :] - np.log(scale)[:, None]) / 0.6)
    return np.asarray((chance[:, None] * reached).mean(axis=0))


def _mirrored(center: float, area: Estimate) -> tuple[float, float]:
    low, high = area.interval()
    return center - high, center - low


def gate(simulations: int) -> Iterator[tuple[str, ...]]:
    """Pairs with known truth, tolerance 5 points of accuracy, 8 samples: share of verdicts in %."""
    tolerance = 0.05
    for problems in (4, 10, 30, 272):
        for truth in (0.0, tolerance, 3 * tolerance):
            old, new, alarms = [], [], []
            for seed in range(simulations):
                generator = np.random.default_rng([problems, round(1000 * truth), seed])
                verdict, before = _pair(generator, problems, truth, tolerance)
                old.append(before)
                new.append(verdict)
                alarms.append(_pair_at_zero(generator, problems) if truth == 0 else False)
            states = [f"{100 * np.mean([v == state for v in new]):.1f}" for state in STATES]
            null = f"{100 * np.mean(alarms):.1f}" if truth == 0 else ""
            yield (str(problems), f"{100 * truth:.0f}", f"{100 * np.mean(old):.1f}", *states, null)


STATES = ("worse", "undecided", "not worse")


def _measured(generator: np.random.Generator, chance: Array) -> TaskMeasures:
    outcomes = traces(generator, chance, np.full(chance.size, 500.0), 8)
    return task_measures(outcomes, None, replicates=REPLICATES)


def _pair(generator: np.random.Generator, problems: int, truth: float, tolerance: float) -> tuple[str, bool]:
    chance = generator.beta(0.6, 0.5, problems)
    # Every problem loses in proportion, so that the mean over problems like these falls by `truth`.
    worse = chance * (1 - truth / (0.6 / 1.1))
    candidate, baseline = (_measured(generator, one) for one in (worse, chance))
    found = difference("accuracy_full", [candidate], [baseline])
    if found is None:
        raise RuntimeError("a simulated pair has no difference")
    return _verdict(found, tolerance), _old_worse(found, tolerance)


def _pair_at_zero(generator: np.random.Generator, problems: int) -> bool:
    """Whether a pair of equals is called worse where nothing is tolerated."""
    return _pair(generator, problems, 0.0, 0.0)[0] == "worse"


def _verdict(found: Difference, tolerance: float) -> str:
    evidence = Evidence(
        gate=Gate(measure="accuracy_full", tolerance=tolerance),
        test="paired",
        value=None,
        base=None,
        unit="fraction",
        harm=-1.0,
        difference=found,
        drawn="problems",
        units=None,
    )
    (verdict,) = decide([evidence])
    return verdict.state


def _old_worse(found: Difference, tolerance: float) -> bool:
    noise = found.noise
    if not isinstance(noise, Estimate):
        raise TypeError("a simulated difference has replicates")
    _, high = percentiles(noise.replicates, noise.expansion.tail(0.025))
    return high < 0 and found.value < -tolerance


def _print(title: str, header: Sequence[str], rows: Iterator[tuple[str, ...]]) -> None:
    print(f"\n{title}\n\n| {' | '.join(header)} |\n|:--|{'--:|' * (len(header) - 1)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    """Prints the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--simulations", type=int, default=1_000, help="of each cell (default 1000)")
    count = parser.parse_args().simulations
    tables: list[tuple[str, Sequence[str], Callable[[int], Iterator[tuple[str, ...]]], int]] = [
        (
            "REG against a frontier, 30 problems x 32 samples",
            ("Drawn", "Coverage (%)", "Mean width"),
            gaps,
            count // 2,
        ),
        (
            "A gate on accuracy, tolerance 5 points, 8 samples",
            (
                "Problems",
                "True worsening",
                "Old: worse",
                "Worse",
                "Undecided",
                "Not worse",
                "Worse at tolerance 0",
            ),
            gate,
            count // 2,
        ),
        (
            "Coverage of a nominal 95% for an accuracy",
            ("Difficulty", "Problems", "Samples", "Old", "New", "Old, samples", "New, samples"),
            shares,
            count,
        ),
        (
            "Samples added until the interval is narrower, at most 256",
            ("Difficulty", "Problems", "Width asked", "Coverage (%)", "Samples", "Width", "Reached (%)"),
            stopped,
            count,
        ),
    ]
    for title, header, rows, simulations in tables:
        _print(title, header, rows(simulations))


if __name__ == "__main__":
    main()
