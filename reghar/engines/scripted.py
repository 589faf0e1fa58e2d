"""A deterministic stand-in for a model: no weights, same answers in any order, on any machine.

Each "model" reasons in a known number of steps and answers rightly once it has done enough of
them, so tests of the schedule, the store and the reports know what must come out.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence

from reghar.engines.base import Chunk, EngineInfo, FinishReason, Sampling
from reghar.engines.repetition import repeats
from reghar.prompting.scripted import ByteTokenizer
from reghar.protocol import RepetitionDetection
from reghar.seeds import derive_seed


class ScriptedEngine:
    """Generates from the prompt and the seed alone.

    A prompt that opens a box is answered with a number, and closed: with `42` if the response
    before the probe holds the word `found`, else with a number drawn from the seed. One
    that opens a block of code is answered with a program that prints it. Any other prompt gets a trace:
    thinking of a drawn length in which `found` appears at a drawn place (or never), then a box, or, where
    the prompt asks for a code block, the program.
    """

    def __init__(self, *, seconds_per_chunk: float = 0.0) -> None:
        """`seconds_per_chunk` slows it down, for tests that interrupt a run."""
        self._pause = seconds_per_chunk
        self._tokenizer = ByteTokenizer()
        self.prompts: list[tuple[int, ...]] = []
        """Prompts received, in order: what tests count."""

    @property
    def info(self) -> EngineInfo:
        """See `Engine`."""
        return EngineInfo(name="scripted", version="1", host="none", arguments={})

    def start(self) -> None:
        """See `Engine`."""

    async def generate(
        self,
        prompt_ids: Sequence[int],
        sampling: Sampling,
        *,
        interval: int = 1,
        session: str = "",  # noqa: ARG002 - one server
    ) -> AsyncGenerator[Chunk, None]:
        """See `Engine`."""
        self.prompts.append(tuple(prompt_ids))
        ids = self._tokenizer.encode_text(self._response(self._tokenizer.decode(prompt_ids), sampling))
        ended: FinishReason = "stop" if len(ids) <= sampling.max_tokens else "length"
        ids = ids[: sampling.max_tokens]
        if (loop := _loop(ids[: sampling.max_tokens - 1], sampling.repetition_detection)) is not None:
            ids, ended = ids[:loop], "repetition"
        starts = range(0, max(len(ids), 1), interval)
        for start in starts:
            await asyncio.sleep(self._pause)
            yield Chunk(ids[start : start + interval], ended if start == starts[-1] else None)

    async def close(self) -> None:
        """See `Engine`."""

    def _response(self, prompt: str, sampling: Sampling) -> str:
        # Seeded from the prompt as well: another question, or another cut, is another draw.
        draw = random.Random(derive_seed(sampling.seed, prompt))
        guess = str(draw.randrange(100))
        question, _, response = prompt.rpartition("assistant: ")
        forced = "42" if "found" in response else guess
        if prompt.rstrip().endswith("\\boxed{"):
            return forced + "} \\]"
        if prompt.endswith("```python\n"):
            return f"print({forced})\n```\n\nThat is it."
        steps = [f"step {i} of the reasoning. " for i in range(draw.randrange(2, 24))]
        if draw.random() < 0.8:
            steps.insert(draw.randrange(len(steps) + 1), "found it: 42. ")
        thinking = "".join(steps)
        answer = "42" if "found" in thinking else guess
        if "code block" in question:
            return f"<think>\n{thinking}</think>\n\nSo:\n```python\nprint({answer})\n```\n"
        return f"<think>\n{thinking}</think>\n\nThe answer is \\boxed{{{answer}}}."


def _loop(ids: Sequence[int], rule: RepetitionDetection | None) -> int | None:
    """Tokens up to the first end of a loop; None where there is none."""
    if rule is None:
        return None
    return next((n for n in range(1, len(ids) + 1) if repeats(ids[:n], rule)), None)
