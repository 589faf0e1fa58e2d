"""Greedy traces and probes of one model on one started engine, three ways; prints them as JSON.

    python tests/greedy_probes.py MODEL BUDGETS

`in_flight`: probes beside the running traces. `after`: the same probes on the stored traces, with an
emptied cache. `anew`: every trace generated anew under max_tokens = L + 1, cut to L, then probed.
`test_zoo.py` runs this in a process of its own, because vLLM's processes outlive a test's warnings.
"""

import asyncio
import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from reghar.engines.vllm import VllmEngine
from reghar.generation.jobs import Activity, Job, JobResult
from reghar.generation.records import ForcedAnswer
from reghar.generation.schedule import Schedule
from reghar.prompting.probes import make_probe
from reghar.prompting.prompts import PromptFormat
from reghar.prompting.thinking import find_delimiters
from reghar.prompting.tokenizer import load_model
from reghar.protocol import SamplingProtocol
from reghar.tasks import load_problems, load_task

MAX_TOKENS = 640


def key(answer: ForcedAnswer) -> str:
    return f"{answer.problem}@{answer.budget}"


async def run(schedule: Schedule, jobs: Iterable[Job]) -> list[JobResult]:
    done: list[JobResult] = []
    await schedule.run(jobs, 64, done.append)
    return done


def forced(done: list[JobResult]) -> dict[str, str | None]:
    return {key(a): a.text for d in done for a in d.answers if a.forced}


async def measure(engine: VllmEngine, model: Any, budgets: tuple[int, ...]) -> dict[str, Any]:
    greedy = SamplingProtocol(temperature=0.0, top_p=1.0, top_k=0, min_p=0.0, max_tokens=MAX_TOKENS)
    schedule = Schedule(
        engine=engine,
        model=model,
        prompt=PromptFormat(tokenizer=model.tokenizer),
        delimiters=find_delimiters(model.tokenizer),
        sampling=greedy,
        budget_counts="response",
        probe=make_probe(None, None, None),
        probe_temperature=0.0,
        run_seed=0,
        activities={"ladder": Activity()},
    )
    problems = load_problems(load_task("ladder"))
    first = await run(schedule, (Job(problem=p, sample=0, budgets=budgets) for p in problems))
    traces = {d.trace.problem: d.trace for d in first}
    cached = schedule.activities["ladder"].cached_tokens / schedule.activities["ladder"].probe_prompt_tokens

    await engine._engine.reset_prefix_cache()
    stored = (Job(problem=p, sample=0, budgets=budgets, trace=traces[p.id]) for p in problems)
    after = await run(schedule, stored)

    anew: dict[str, str | None] = {}
    cut_traces: dict[str, list[int]] = {}
    for budget in budgets:
        longer = [p for p in problems if len(traces[p.id].token_ids) > budget]
        short = replace(schedule, sampling=replace(greedy, max_tokens=budget + 1))
        again = await run(short, (Job(problem=p, sample=0, budgets=(budget,)) for p in longer))
        anew |= {k: v for k, v in forced(again).items() if k.endswith(f"@{budget}")}
        cut_traces |= {f"{d.trace.problem}@{budget}": list(d.trace.token_ids[:budget]) for d in again}
    await engine.close()
    return {
        "cached": cached,
        "scored": [
            (each.answer_logprob, each.answer_tokens_scored, len(each.token_ids))
            for one in first
            for each in one.answers
            if each.forced
        ],
        "traces": {name: list(trace.token_ids) for name, trace in traces.items()},
        "in_flight": forced(first),
        "after": forced(after),
        "anew": anew,
        "cut_traces": cut_traces,
    }


def main() -> None:
    model = load_model(sys.argv[1])
    engine = VllmEngine(model.path, revision=None, max_model_len=1024, max_num_seqs=128, seed=0, arguments={})
    engine.start()
    budgets = tuple(int(b) for b in sys.argv[2].split(","))
    sys.stdout.write(json.dumps(asyncio.run(measure(engine, model, budgets))) + "\n")


if __name__ == "__main__":
    main()
