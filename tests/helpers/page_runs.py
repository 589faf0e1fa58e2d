"""Runs written by hand, with every kind of sample that the page has to show; no engine, no benchmark text."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helpers.protocols import protocol_settings, task_settings
from reghar.prompting.scripted import ByteTokenizer
from reghar.store import StoredRun, load_run
from reghar.store.manifest import write_json
from reghar.store.parts import write_part
from reghar.store.problems import write_problems
from reghar.store.tables import ANSWERS, SCORES, TRACES, schemas
from reghar.tasks import Problem

BUDGETS = (0, 64, 128, 256, 512, 1024, 2048)
MAX_TOKENS = 2500
PROBE = "\n\nOh, I suddenly got the answer to the whole problem. **Final Answer**:\n\n\\[ \\boxed{"
TASK = "sums"
KINDS = ("early", "late", "lost", "found again", "never", "loop", "open box")

STEPS = (
    "Let me write the sum as $S = \\sum_{i=1}^{n} a_i$ and look at its first terms. ",
    "Adding the tens first, we get \\(10 + 20 = 30\\), then the ones. ",
    "Wait, is that right? Let me check the carry again.\n\n",
    "So \\[ S = \\frac{n(n+1)}{2} \\] holds here as well.\n",
    "Alternatively, subtract the smaller number and add it back. ",
    "Hmm, the units digit must be even, so this agrees. ",
)


def hostile_texts() -> list[str]:
    """The grading tests' hostile corpus, and markup of our own."""
    rows = json.loads((Path(__file__).parents[1] / "cases" / "hostile.json").read_text(encoding="utf-8"))
    texts = [
        row["text"]
        if "text" in row
        else row["before"] + row["unit"] * min(row["times"], 500) + row["after"][:500]
        for row in rows
    ]
    return [
        *texts,
        "</script><script>window.hacked = 1</script>",
        '<img src=x onerror="window.hacked = 2"><svg onload="window.hacked = 3">',
        "$\\href{javascript:window.hacked=4}{x}$ $\\htmlClass{bar}{x}$ $\\includegraphics{http://example.org/a.png}$",
        "$\\rule{500em}{500em}$ $\\raisebox{-900em}{x}$ $\\kern-999em x$ \\[ \\hspace{900em} x \\]",
        "$\\def\\a{\\a\\a}\\a$ $" + "{" * 300 + "}" * 300 + "$",
        "\u202e right to left \u2066 \u0000 \u0007 \ud800 a" + "\u0301" * 500,
        "A" * 3_000,
    ]


def write_run(
    path: Path,
    *,
    seed: int = 0,
    problems: int = 6,
    samples: int = 6,
    slower: float = 1.0,
    hostile: bool = False,
    questions: Sequence[str] = (),
    repeat: int = 1,
) -> StoredRun:
    """A run of one task; `slower` stretches every trace, `repeat` lengthens it beyond its last budget."""
    draw = random.Random(seed)
    tables: dict[str, list[dict[str, Any]]] = {TRACES: [], ANSWERS: [], SCORES: []}
    asked = [
        Problem(task=TASK, id=f"sum-{i}", question=_question(i, questions), gold=(str(40 + i),), choices=())
        for i in range(problems)
    ]
    if hostile:
        bad = hostile_texts()
        asked.append(
            Problem(
                task=TASK, id="</title><b>bad", question="\n".join(bad)[:60_000], gold=(bad[0],), choices=()
            )
        )
    for problem in asked:
        bad = hostile_texts() if problem.id.startswith("<") else []
        for sample in range(samples):
            kind = KINDS[sample % len(KINDS)] if problem.id == "sum-0" else draw.choice(KINDS)
            _add_sample(tables, draw, problem, sample, kind, slower, bad, repeat)
    for table, rows in tables.items():
        write_part(path / table, 1, rows, schemas()[table])
    write_problems(path, asked)
    write_json(path / "run.json", _manifest(seed, asked, samples))
    return load_run(path)


def _encoded(text: str) -> list[int]:
    """As `ByteTokenizer.encode_text`, in linear time."""
    specials = ("<eos>", "<think>", "</think>")
    parts = re.split("(<eos>|<think>|</think>)", text)
    return [
        token
        for part in parts
        for token in (
            [specials.index(part)] if part in specials else [b + 3 for b in part.encode("utf-8", "replace")]
        )
    ]


def _question(i: int, questions: Sequence[str]) -> str:
    return (
        questions[i % len(questions)]
        if questions
        else f"What is ${20 + i} + 20$? Answer with $\\boxed{{n}}$."
    )


def _add_sample(
    tables: dict[str, list[dict[str, Any]]],
    draw: random.Random,
    problem: Problem,
    sample: int,
    kind: str,
    slower: float,
    bad: list[str],
    repeat: int,
) -> None:
    tokenizer = ByteTokenizer()
    words = "".join(draw.choice(STEPS) for _ in range(int(draw.randrange(6, 26) * slower) * repeat))
    if bad:
        words = "\n\n".join(bad[sample::6])
    finished = kind not in ("loop",) and not bad
    text = "<think>\n" + (words if finished or bad else (words * 9)[:MAX_TOKENS])
    if finished:
        text += f"</think>\n\nThe answer is $\\boxed{{{problem.gold[0] if kind != 'lost' else 7}}}$."
    ids = _encoded(text)
    text = tokenizer.decode(ids)
    end = ids.index(2) if 2 in ids and not bad else None
    key = {"task": problem.task, "problem": problem.id, "sample": sample}
    tables[TRACES].append(
        key
        | {"seed": 1, "prompt_tokens": 30, "length": len(ids), "finished": finished, "looped": kind == "loop"}
        | {"thinking_length": (len(ids) if end is None else end) - 1, "thinking_opened": False}
        | {"thinking_start": 1, "thinking_end": end, "text": text, "token_ids": ids}
    )
    for at, budget in enumerate((*(b for b in BUDGETS if b < len(ids)), None)):
        outcome = _outcome(kind, at, budget, finished=finished)
        answer = (
            problem.gold[0]
            if outcome == "correct"
            else None
            if outcome == "no_answer"
            else str(draw.randrange(39))
        )
        if bad:
            answer = bad[(at + sample) % len(bad)][:3000]
        tables[ANSWERS].append(
            key
            | {"budget": budget, "forced": budget is not None, "seed": 1, "prompt_tokens": 40}
            | {"cached_tokens": 30, "dropped_tokens": 0, "text": f"{answer}}} \\]", "token_ids": [5, 6]}
        )
        tables[SCORES].append(key | {"budget": budget, "outcome": outcome, "answer": answer})


def _outcome(kind: str, at: int, budget: int | None, *, finished: bool) -> str:
    if budget is None:
        return "no_answer" if not finished else "incorrect" if kind == "lost" else "correct"
    right = {
        "early": at >= 1,
        "late": at >= 4,
        "lost": 1 <= at <= 3,
        "found again": at in (1, 2) or at >= 4,
        "never": False,
        "loop": False,
        "open box": False,
    }[kind]
    if right:
        return "correct"
    return (
        {"open box": "unterminated", "loop": "no_answer"}.get(kind, "incorrect") if at != 2 else "incorrect"
    )


def _manifest(seed: int, problems: list[Problem], samples: int) -> dict[str, Any]:
    probe = {"name": "reo-rl", "text": PROBE, "temperature": 0.6, "max_answer_tokens": 64}
    task = task_settings([problem.id for problem in problems], samples=samples)
    return {
        "model": "scripted",
        "revision": None,
        "seed": seed,
        "digest": "0" * 64,
        "protocol": protocol_settings({TASK: task}, BUDGETS, probe=probe),
        "frontier": "none",
        "interval": "problems",
        "notes": [],
        "sessions": [{"seconds": 2.0}],
    }
