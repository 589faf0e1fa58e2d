"""Training sequences for the demo's models: whole responses, and responses cut anywhere and probed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from reghar.demo.ladder import Ladder
from tools.train_demo import prompts
from tools.train_demo.reasoning import AGAIN, END_THINK, REASONERS, THINK

P_WHOLE, P_WAIT = 0.55, 0.05
"""Share of responses left whole, and of those that are told to wait; the others are cut and probed."""

P_EARLY, EARLY = 0.15, 8
"""Share of the cuts that fall on the first tokens, where the value is still the start, and their number."""

ANSWER_WEIGHT, RESULT_WEIGHT, TURN_WEIGHT = 3.0, 2.0, 6.0
"""Weights in the loss of a probed answer's tokens, of each step's result, and of the token that ends the
thinking or goes on with it: there are few of them."""


@dataclass(kw_only=True)
class Example:
    """One sequence, with the weight of each token in the loss (0: given, not learned)."""

    ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def add(self, ids: list[int], weight: float | list[float]) -> None:
        """Appends tokens, all of one weight or each of its own."""
        self.ids += ids
        self.weights += weight if isinstance(weight, list) else [weight] * len(ids)


class Writer:
    """Writes examples of one way to reason, in tokens."""

    def __init__(self, name: str, tokenizer: Any, seed: int) -> None:
        """`name`: one of `REASONERS`."""
        self._reason = REASONERS[name]
        self.tokenizer = tokenizer
        self._random = random.Random(seed)
        self._known: dict[str, list[int]] = {}
        self._end = [tokenizer.eos_token_id]

    def ids(self, text: str) -> list[int]:
        """Token ids of a text; short texts are remembered."""
        ids = self._known.get(text)
        if ids is None:
            ids = self._known[text] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def prompt(self, question: str) -> list[int]:
        """Token ids of the templated prompt, up to where the model starts to write."""
        text = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
        )
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def example(self, ladder: Ladder) -> Example:
        """One sequence for this problem: whole, told to wait, or cut at a random token and probed."""
        example = Example()
        example.add(self.prompt(self._question(ladder)), 0.0)
        pieces = self._reason(ladder, self._random)
        response: list[int] = []
        weights: list[float] = []
        reached = [ladder.start]
        for text, value in pieces:
            tokens = self.ids(text)
            response += tokens
            weights += [RESULT_WEIGHT if text == str(value) else 1.0] * len(tokens)
            if text.startswith((AGAIN, END_THINK)):
                weights[-len(tokens)] = TURN_WEIGHT
            reached += [value] * len(tokens)
        ended = END_THINK in pieces[-1].text
        kind = self._random.random()
        if kind < P_WHOLE or (kind < P_WHOLE + P_WAIT and not ended):
            example.add(response, weights)
            example.add(self._end if ended else [], 1.0)
        elif kind < P_WHOLE + P_WAIT:
            last = len(self.ids(pieces[-1].text))
            example.add(response[:-last], weights[:-last])
            for _ in range(self._random.randint(1, 3)):
                example.add(self.ids(self._random.choice(prompts.WAITS)), 0.0)
                example.add(self.ids(f", still {reached[-1]}.\n"), 1.0)
            example.add(self.ids(pieces[-1].text) + self._end, 1.0)
        else:
            last = EARLY if self._random.random() < P_EARLY else len(response)
            cut = self._random.randint(0, last)
            example.add(response[:cut], weights[:cut])
            self._probe(example, response[:cut], reached[cut])
        return example

    def _probe(self, example: Example, response: list[int], value: int) -> None:
        opened = self.ids(THINK)[0] in response and self.ids(END_THINK)[0] not in response
        close = self._random.choice(prompts.CLOSINGS) if opened else ""
        kind = self._random.random()
        answer = f"{value}}}"
        if kind < 0.65:
            probe = prompts.PROBES["reo-rl"]
        elif kind < 0.8:
            probe = prompts.PROBES["final-answer"]
        elif kind < 0.9 or not opened:
            probe = close + self._random.choice((prompts.BOX, prompts.BOX.strip()))
        else:
            probe = close
            answer = ("" if close.endswith("\n\n") else "\n\n") + f"The answer is \\boxed{{{value}}}."
        example.add(self.ids(probe), 0.0)
        example.add(self.ids(answer) + self._end, ANSWER_WEIGHT)

    def _question(self, ladder: Ladder) -> str:
        kind = self._random.random()
        question = ladder.problem
        if kind < 0.1:
            return question
        question += ("\n" if kind < 0.2 else "\n\n") + prompts.INSTRUCTION
        if kind > 0.9:
            question += "\n\n" + self._random.choice(prompts.CONTROL)
        return question


def batches(
    writer: Writer, ladders: Iterator[Ladder], tokens: int, seed: int, pool: int = 1024
) -> Iterator[list[Example]]:
    """Endless batches of examples of like length, at most `tokens` padded tokens each."""
    generator = random.Random(seed)
    while True:
        examples = sorted((writer.example(next(ladders)) for _ in range(pool)), key=lambda e: len(e.ids))
        made: list[list[Example]] = [[]]
        for example in examples:
            if made[-1] and (len(made[-1]) + 1) * len(example.ids) > tokens:
                made.append([])
            made[-1].append(example)
        generator.shuffle(made)
        yield from made
