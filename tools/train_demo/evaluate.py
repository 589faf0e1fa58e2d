"""How well a demo model reasons, and what it answers when it is cut off, by plain generation in torch."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reghar.demo.ladder import Ladder
from tools.train_demo import prompts
from tools.train_demo.examples import Writer
from tools.train_demo.reasoning import last_step_token, value_reached

_BOXED = re.compile(r"\\boxed\{(\d)\}")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one evaluation found. N ladders."""

    accuracy: float
    """Share of right answers at full length, 0..1."""
    by_length: dict[int, float]
    """Number of steps -> accuracy."""
    tokens: float
    """Mean length of a response."""
    finished: float
    """Share of responses that ended by themselves."""
    probe_reached: float
    """Share of probed answers that are the value reached at the cut."""
    probe_ahead: float
    """Of the cuts before the last step is done: share of answers that are right nevertheless."""


def respond(
    model: Any,
    tokenizer: Any,
    given: Sequence[list[int]],
    most: int,
    *,
    greedy: bool = False,
    batch: int = 64,
) -> list[list[int]]:
    """Continues each sequence of token ids by at most `most` tokens; end-of-turn excluded."""
    import torch

    order = sorted(range(len(given)), key=lambda i: len(given[i]))
    responses: dict[int, list[int]] = {}
    for first in range(0, len(order), batch):
        chosen = order[first : first + batch]
        longest = max(len(given[i]) for i in chosen)
        padding = [longest - len(given[i]) for i in chosen]
        ids = torch.tensor(
            [[tokenizer.pad_token_id] * p + given[i] for i, p in zip(chosen, padding, strict=True)]
        )
        mask = torch.tensor([[0] * p + [1] * (longest - p) for p in padding])
        sampling: dict[str, Any] = (
            {"do_sample": False, "temperature": None, "top_p": None}
            if greedy
            else {"do_sample": True, "temperature": 0.6, "top_p": 0.95, "top_k": 0}
        )
        with torch.inference_mode():
            written = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=most, **sampling)
        for i, row in zip(chosen, written[:, longest:].tolist(), strict=True):
            ends = row.index(tokenizer.eos_token_id) if tokenizer.eos_token_id in row else len(row)
            responses[i] = row[: min(ends, most)]
    return [responses[i] for i in range(len(given))]


def evaluate(
    model: Any, writer: Writer, ladders: Sequence[Ladder], most: int, *, greedy: bool = False
) -> Figures:
    """Answers at full length (at most `most` tokens) and at one random cut of each response."""
    tokenizer = writer.tokenizer
    asked = [writer.prompt(f"{ladder.problem}\n\n{prompts.INSTRUCTION}") for ladder in ladders]
    responses = respond(model, tokenizer, asked, most, greedy=greedy)
    right: dict[int, list[bool]] = defaultdict(list)
    for ladder, response in zip(ladders, responses, strict=True):
        boxed = _BOXED.findall(tokenizer.decode(response))
        right[len(ladder.steps)].append(bool(boxed) and boxed[-1] == str(ladder.answer))

    generator = random.Random(0)
    cuts = [generator.randint(0, len(response)) for response in responses]
    probe = writer.ids(prompts.PROBES["reo-rl"])
    given = [
        question + response[:cut] + probe
        for question, response, cut in zip(asked, responses, cuts, strict=True)
    ]
    answers = [tokenizer.decode(a) for a in respond(model, tokenizer, given, 3, greedy=greedy)]
    reached, ahead = [], []
    for ladder, response, cut, answer in zip(ladders, responses, cuts, answers, strict=True):
        written = [tokenizer.decode([token]) for token in response[:cut]]
        value = value_reached(written, ladder)
        reached.append(answer.startswith(f"{value}}}"))
        if last_step_token(written, ladder) is None:
            ahead.append(answer.startswith(f"{ladder.answer}}}"))
    total = [r for rights in right.values() for r in rights]
    return Figures(
        accuracy=sum(total) / len(total),
        by_length={steps: sum(rights) / len(rights) for steps, rights in sorted(right.items())},
        tokens=sum(map(len, responses)) / len(responses),
        finished=sum(len(response) < most for response in responses) / len(responses),
        probe_reached=sum(reached) / len(reached),
        probe_ahead=sum(ahead) / max(1, len(ahead)),
    )
