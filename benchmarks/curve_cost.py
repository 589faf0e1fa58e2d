"""What a curve costs beside plain generation, measured side by side in one process on the real engine.

    python benchmarks/curve_cost.py --model FOLDER [--traces 4] [--max-tokens 2048] [--rounds 3]

(a) plain generation; (b) the curve, probes released by each policy of `--release`; (c) the same probes
after all traces ended, without reading the prefix cache; (d) a whole regeneration for every budget.
Same prompts, same seeds, the end-of-sequence token barred so that every trace has its full length.
(a) and (b) are repeated in turn and paired, because the machine drifts; (c) and (d) run once.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from plain_schedule import TASK, plain_schedule
from smollm2 import smollm2

from reghar.budgets import parse_budgets
from reghar.engines.base import Chunk, Sampling
from reghar.engines.vllm import VllmEngine
from reghar.generation.jobs import Activity, Job, JobResult
from reghar.generation.release import Release
from reghar.prompting.tokenizer import Model, load_model
from reghar.tasks import Problem

QUESTION = (
    "A train leaves at {hour} o'clock and travels {speed} kilometres an hour for {hours} hours, waits, and "
    "returns at half the speed. Reason step by step about when it is back, and check every step."
)


class FullLength(VllmEngine):
    """Never ends a trace by itself, and can ignore the prefix cache."""

    barred: tuple[int, ...] = ()
    use_cache = True
    cached_tokens = prompt_tokens = 0

    async def generate(
        self, prompt_ids: Sequence[int], sampling: Sampling, *, interval: int = 1, session: str = ""
    ) -> AsyncGenerator[Chunk, None]:
        """As the engine, with the bookkeeping of a benchmark."""
        is_trace = interval > 1
        self.prompt_tokens += len(prompt_ids)
        first = True
        stream = super().generate(
            prompt_ids,
            replace(sampling, barred=self.barred if is_trace else ()),
            interval=interval,
            session=session,
        )
        async for chunk in stream:
            if first:
                self.cached_tokens += chunk.cached_tokens or 0
                first = False
            yield chunk

    def sampling_params(self, sampling: Sampling, interval: int) -> Any:
        """As the engine, with or without the cache."""
        params = super().sampling_params(sampling, interval)
        params.skip_reading_prefix_cache = not self.use_cache
        return params


def jobs(count: int, budgets: tuple[int, ...], done: Iterable[JobResult] = ()) -> list[Job]:
    """The same problems each time, with stored traces where they are given."""
    traces = {d.trace.problem: d.trace for d in done}
    problems = [
        Problem(
            task=TASK,
            id=str(i),
            question=QUESTION.format(hour=i % 12, speed=40 + i, hours=2 + i % 5),
            gold=("1",),
            choices=(),
        )
        for i in range(count)
    ]
    return [Job(problem=p, sample=0, budgets=budgets, trace=traces.get(p.id)) for p in problems]


async def timed(
    engine: FullLength, model: Model, max_tokens: int, work: list[Job], release: Release = "auto"
) -> tuple[list[JobResult], Any]:
    """Seconds and tokens of one piece of work on a cold prefix cache."""
    await engine._engine.reset_prefix_cache()
    engine.cached_tokens = engine.prompt_tokens = 0
    activity = Activity()
    schedule = plain_schedule(engine, model, max_tokens, activity, release)
    done: list[JobResult] = []
    start = time.perf_counter()
    await schedule.run(work, len(work), done.append)
    row = {
        "seconds": time.perf_counter() - start,
        "generated": activity.tokens,
        "prompt_computed": engine.prompt_tokens - engine.cached_tokens,
        "prompt_cached": engine.cached_tokens,
    }
    return done, row


async def measure(engine: FullLength, model: Model, arguments: argparse.Namespace) -> dict[str, Any]:
    """All four ways."""
    length, count = arguments.max_tokens, arguments.traces
    budgets = tuple(b for b in parse_budgets(arguments.budgets) if b <= length)
    await timed(engine, model, 32, jobs(count, ()))  # warm up
    plain: list[Any] = []
    curves: dict[Release, list[Any]] = {release: [] for release in arguments.release}
    for _ in range(arguments.rounds):
        _, row = await timed(engine, model, length, jobs(count, ()))
        plain.append(row)
        for release, rows in curves.items():
            done, row = await timed(engine, model, length, jobs(count, budgets), release)
            rows.append(row)
    engine.use_cache = False
    _, after = await timed(engine, model, length, jobs(count, budgets, done))
    after["seconds"] += median_seconds(plain)
    engine.use_cache = True
    again: dict[str, float] = {}
    for budget in budgets if arguments.regenerate else ():
        _, row = await timed(engine, model, max(budget, 1), jobs(count, (budget,)))
        again = {key: again.get(key, 0) + value for key, value in row.items()}
    await engine.close()
    seconds = median_seconds(curves[arguments.release[0]])
    ratios: dict[str, float] = {
        f"b/a {release}": statistics.median(
            b["seconds"] / a["seconds"] for a, b in zip(plain, rows, strict=True)
        )
        for release, rows in curves.items()
    }
    ratios["c/b"] = after["seconds"] / seconds
    if again:
        ratios["d/b"] = again["seconds"] / seconds
    return {
        "budgets": len(budgets),
        "a": plain,
        "b": curves,
        "c": after,
        "d": again or None,
        "ratios": ratios,
    }


def median_seconds(rows: list[Any]) -> float:
    """Of all rounds."""
    return statistics.median(row["seconds"] for row in rows)


def main() -> None:
    """Prints every measurement and the ratios as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=None, help="default: SmolLM2-135M-Instruct in .cache/")
    parser.add_argument("--traces", type=int, default=4)
    parser.add_argument("--max-tokens", type=int, default=2048)
    parser.add_argument("--budgets", default="reg")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--release",
        nargs="+",
        choices=get_args(Release),
        default=["auto"],
        help="(b), (c) and (d) beside the first",
    )
    parser.add_argument("--regenerate", action=argparse.BooleanOptionalAction, default=True, help="(d)")
    arguments = parser.parse_args()
    model = load_model(arguments.model or str(smollm2(Path(".cache/smollm2"))))
    engine = FullLength(
        model.path,
        revision=None,
        max_model_len=arguments.max_tokens + 512,
        max_num_seqs=max(64, 4 * arguments.traces),
        seed=0,
        arguments={},
    )
    engine.start()
    eos = engine._engine.model_config.hf_config.eos_token_id
    engine.barred = tuple(eos) if isinstance(eos, list) else (eos,)
    print(json.dumps(asyncio.run(measure(engine, model, arguments)), indent=1))


if __name__ == "__main__":
    main()
