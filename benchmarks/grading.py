"""How fast realistic forced answers are graded, against math-verify called once per (trace, budget).

    python benchmarks/grading.py [--problems 30] [--samples 32] [--budgets 32] [--tasks math500,aime24]

30 problems x 32 samples x 32 budgets: along a trace the forced answer settles on one of a few values
of its problem (the gold in several spellings, near misses, a number, an unfinished box). math-verify
is called as a user would, `verify(parse(gold), parse(answer))`, in one process; ours goes through the
worker pool, from text to verdict. Answers on which math-verify errs are listed at the end.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import resource
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from reghar.grading import AnswerKind, GradeRequest, GraderPool, forced_segment
from reghar.grading.outcome import Outcome

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def main() -> None:
    """Build the answers, grade them both ways, print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", type=int, default=30)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--budgets", type=int, default=32)
    parser.add_argument("--tasks", default="math500,aime24")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--memory", type=int, metavar="N", help="only grade N different answers; peak memory")
    options = parser.parse_args()
    if options.memory:
        report_memory(options.memory, options.workers)
        return

    golds = read_golds(options.tasks.split(","), options.problems)
    answers = [
        (gold, completion)
        for index, gold in enumerate(golds)
        for completion in completions(gold, index, options.samples, options.budgets)
    ]
    print(f"{len(answers):,} answers, {len(set(answers)):,} different; {len(golds)} problems")

    start = time.perf_counter()
    ours = grade_here(answers, options.workers)
    our_time = time.perf_counter() - start
    print(f"reghar: {our_time:.2f} s, {len(answers) / our_time:,.0f} answers/s (workers started within)")
    print(f"peak memory of the largest worker: {peak_of_children():.0f} MB")

    start = time.perf_counter()
    theirs = [math_verify_says(gold, completion) for gold, completion in answers]
    their_time = time.perf_counter() - start
    print(f"math-verify, one process: {their_time:.2f} s, {len(answers) / their_time:,.0f} answers/s")
    print(f"ratio: {their_time / our_time:.1f}")

    different = Counter(
        (gold, completion, mine)
        for (gold, completion), mine, other in zip(answers, ours, theirs, strict=True)
        if mine != other
    )
    print(f"different verdicts: {sum(different.values()):,} answers, {len(different)} different pairs")
    for (gold, completion, mine), count in different.most_common(20):
        print(
            f"  {count:5}  gold {gold!r}, answer {completion!r}: ours {'correct' if mine else 'not correct'}"
        )


def report_memory(count: int, workers: int | None) -> None:
    """Peak memory of this process and of the largest worker over `count` answers, one in 50 by algebra."""

    def requests() -> Iterator[GradeRequest]:
        for n in range(count):
            answer = rf"\sqrt{{{n}}}" if n % 50 == 0 else str(n)
            yield GradeRequest(gold=(rf"\frac{{{n}}}{{2}}",), answer=answer, kind=AnswerKind.MATH)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    with GraderPool(workers) as pool:
        outcomes = Counter(str(verdict.outcome) for verdict in pool.grade_all(requests()))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count:,} different answers in {time.perf_counter() - start:.1f} s: {dict(outcomes)}")
    print(f"this process: {before:.0f} MB before, peak {after:.0f} MB")
    print(f"largest worker: {peak_of_children():.0f} MB")


def read_golds(tasks: list[str], count: int) -> list[str]:
    """Golds of the tasks in turn, as many as asked for."""
    columns = []
    for task in tasks:
        lines = (DATA / f"{task}.jsonl").read_text(encoding="utf-8").splitlines()
        columns.append([str(json.loads(line)["answer"]) for line in lines])
    return [column[n] for n in range(count) for column in columns][:count]


def completions(gold: str, index: int, samples: int, budgets: int) -> list[str]:
    """What a model writes after the probe: guesses first, then an answer that it mostly keeps."""
    draw = random.Random(f"{gold}/{index}")
    right = [f"{gold}}}", f" {gold} }} \\]", f"{gold}}}.", f"{gold.replace('frac', 'dfrac')}}}"]
    wrong = [f"{draw.randint(-99, 999)}}}" for _ in range(8)]
    wrong.append(rf"\frac{{{draw.randint(1, 9)}}}{{{draw.randint(2, 99)}}}}}")
    wrong.append(rf"{draw.randint(2, 9)}\sqrt{{3}}}}")
    wrong += [r"\text{unclear}}", "x", f"{gold} + 1}}"]
    written = []
    for _ in range(samples):
        settles = draw.randint(0, budgets)
        final = draw.choice(right) if draw.random() < 0.6 else draw.choice(wrong)
        written += [draw.choice(wrong + right[:1]) if b < settles else final for b in range(budgets)]
    return written


def grade_here(answers: list[tuple[str, str]], workers: int | None) -> list[bool]:
    """True where our verdict is `correct`, through the pool."""
    segments = [forced_segment(completion) for _, completion in answers]
    requests = (
        GradeRequest(gold=(gold,), answer=segment.answer, kind=AnswerKind.MATH)
        for (gold, _), segment in zip(answers, segments, strict=True)
        if segment.answer is not None
    )
    with GraderPool(workers) as pool:
        verdicts = pool.grade_all(requests)
        return [
            segment.answer is not None and next(verdicts).outcome is Outcome.CORRECT for segment in segments
        ]


def math_verify_says(gold: str, completion: str) -> bool:
    """math-verify as a user calls it, on the box and what stands in it."""
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    return bool(verify(parse(f"${gold}$"), parse(f"$\\boxed{{{completion}$")))


def peak_of_children() -> float:
    """MB of the largest process that has ended among those started here."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


if __name__ == "__main__":
    main()
