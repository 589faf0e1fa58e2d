"""The driver's side of a simulation: which trace starts when, and when its probes are sent."""

from __future__ import annotations

import gc
import random
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from vllm.v1.request import Request

from gpu_sim.engine import BLOCK, SimulatedEngine
from reghar.budgets import REG_GRID
from reghar.generation.concurrency import Lengths, choose_concurrency
from reghar.generation.release import hold_probes

Release = Literal["none", "in-flight", "together", "waves", "auto"]

TRACE, PROBE = 1, 0
"""Priorities: the lower one goes first."""
PROBE_TOKENS = [7] * 25
"""The text of a probe, about as long as the default one."""
PROMPT_TOKENS = (100, 200)
"""Shortest and longest prompt of a problem."""
ANSWER_TOKENS = (3, 15)
"""Shortest and longest forced answer."""
MOST_EQUAL_STEPS = 16
"""Decode steps that are taken in one call of the scheduler where nothing happens between them."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What the driver does. The defaults are plain generation."""

    concurrency: int | None = None
    """Traces in flight; None lets `choose_concurrency` say, from the lengths seen so far."""
    release: Release = "none"
    """When probes are sent: never, as the trace passes a budget, when it has ended, every `wave` steps,
    or as `hold_probes` says."""
    priority: bool = False
    """Whether probes go before traces."""
    late: int = 0
    """Steps between the token that makes a probe due and the probe's arrival in the engine."""
    wave: int = 64
    """Steps between two waves."""


@dataclass(kw_only=True)
class Outcome:
    """What a simulation gives."""

    steps: NDArray[np.float64]
    """Shape (calls of the scheduler, len(engine.COLUMNS))."""
    all_started: int
    """Row of `steps` at which the last trace started: after it the batch only drains."""
    trace_tokens: int
    preempted: int
    """Requests put back into the queue, their blocks given up."""
    dropped: int
    """Tokens whose keys and values had been computed and were given up."""
    probes: int
    probe_prompt_tokens: int
    probe_cached_tokens: int
    probe_prefix_tokens: int
    """Of the prompts of probes, those that any cache could hold: whole blocks of prompt and trace."""
    concurrency: int
    """Traces allowed in flight at the end."""


@dataclass(eq=False, slots=True)
class _Trace:
    index: int
    prompt: list[int]
    length: int
    budgets: deque[int]
    tokens: list[int] = field(default_factory=list)
    request: Request | None = None
    held: list[int] = field(default_factory=list)
    """Budgets that are passed and whose probes are not sent."""
    unanswered: int = 0
    """Probes that are sent, or on their way, and not answered."""

    @property
    def name(self) -> str:
        """Of its request."""
        return f"trace {self.index}"

    @property
    def drawn(self) -> int:
        """Tokens so far."""
        return self.length if self.request is None else int(self.request.num_output_tokens)


def simulate(
    lengths: Sequence[tuple[int, int]],
    blocks: int,
    policy: Policy,
    *,
    max_num_batched_tokens: int = 8192,
    answer_tokens: tuple[int, int] = ANSWER_TOKENS,
    most_equal_steps: int = MOST_EQUAL_STEPS,
) -> Outcome:
    """Draws traces of the given (problem, tokens) through vLLM's scheduler with `blocks` of KV cache."""
    client = _Client(lengths, blocks, policy, max_num_batched_tokens, answer_tokens)
    with _no_collection():
        while client.busy:
            client.turn(most_equal_steps)
    return client.outcome()


class _Client:
    def __init__(
        self,
        lengths: Sequence[tuple[int, int]],
        blocks: int,
        policy: Policy,
        max_num_batched_tokens: int,
        answer_tokens: tuple[int, int],
    ) -> None:
        self.policy = policy
        self.kv_tokens = (blocks - 1) * BLOCK
        self.seen = Lengths()
        self.concurrency = policy.concurrency or choose_concurrency(self.kv_tokens, self.seen)
        self.engine = SimulatedEngine(
            blocks=blocks,
            max_num_seqs=2 * policy.concurrency if policy.concurrency else 1024,
            max_num_batched_tokens=max_num_batched_tokens,
            priority=policy.priority,
            tokens_of=self._tokens_of,
        )
        self.jobs = deque(_traces(lengths, policy.release != "none"))
        self.owners: dict[str, _Trace] = {}
        self.active: set[_Trace] = set()
        self.holding: dict[_Trace, None] = {}
        """Traces with held probes, oldest first."""
        self.tokens_in_flight = 0
        """Of running traces, their prompts included."""
        self.on_the_way: deque[tuple[int, _Trace, list[int]]] = deque()
        """(step of arrival, trace, budgets)"""
        self.answers, self.answer_tokens = random.Random(0), answer_tokens
        self.rows: list[tuple[float, ...]] = []
        self.now = self.waves = 0
        self.stable = False
        self.all_started = 0
        self.trace_tokens = self.probes = self.probe_prompt_tokens = 0
        self.probe_prefix_tokens = self.probe_cached_tokens = 0

    @property
    def busy(self) -> bool:
        """Whether anything is left to do."""
        return bool(self.jobs or self.engine.busy or self.on_the_way)

    def turn(self, most_equal_steps: int) -> None:
        """Sends what may be sent, lets the engine work, sees to what it did."""
        changed = self._arrive()
        changed |= self._start()
        changed |= self._send_wave()
        steps = 1
        if self.stable and not changed:
            steps = self.engine.equal_steps(self._most(most_equal_steps), self._until_due)
        step = self.engine.step(steps)
        self.rows.append(step.row)
        self.now += steps
        sent = False
        for name, ended in step.outputs:
            trace = self.owners[name]
            if name == trace.name:
                self.tokens_in_flight += steps
                sent |= self._pass_budgets(trace, ended)
            if ended:
                self._end(name, trace)
        self.stable = step.stable and not sent

    def outcome(self) -> Outcome:
        """Of a simulation that is over."""
        scheduler = self.engine.scheduler
        return Outcome(
            steps=np.array(self.rows, dtype=np.float64),
            all_started=self.all_started,
            trace_tokens=self.trace_tokens,
            preempted=scheduler.preempted,
            dropped=scheduler.dropped,
            probes=self.probes,
            probe_prompt_tokens=self.probe_prompt_tokens,
            probe_cached_tokens=self.probe_cached_tokens,
            probe_prefix_tokens=self.probe_prefix_tokens,
            concurrency=self.concurrency,
        )

    def _arrive(self) -> bool:
        """Probes that were on their way."""
        if self.on_the_way and not self.engine.busy:
            self.now = max(self.now, self.on_the_way[0][0])
        arrived = False
        while self.on_the_way and self.on_the_way[0][0] <= self.now:
            _, trace, budgets = self.on_the_way.popleft()
            self._add_probes(trace, budgets)
            arrived = True
        return arrived

    def _start(self) -> bool:
        started = False
        while self.jobs and len(self.active) < self.concurrency:
            trace = self.jobs.popleft()
            base = (trace.index + 1) * 40_000
            trace.tokens = list(range(base, base + trace.length))
            trace.request = self.engine.add(trace.name, trace.prompt, trace.length, TRACE)
            self.owners[trace.name] = trace
            self.active.add(trace)
            self.tokens_in_flight += len(trace.prompt)
            self.all_started = len(self.rows)
            started = True
        return started

    def _send_wave(self) -> bool:
        if self.policy.release != "waves" or self.now // self.policy.wave == self.waves:
            return False
        self.waves = self.now // self.policy.wave
        sent = bool(self.holding)
        for trace in list(self.holding):
            self._send(trace)
        return sent

    def _most(self, most: int) -> int:
        """Steps until the client itself does something."""
        if self.policy.release == "waves":
            most = min(most, self.policy.wave - self.now % self.policy.wave)
        if self.on_the_way:
            most = min(most, self.on_the_way[0][0] - self.now)
        return most

    def _until_due(self, request: Request) -> int:
        """Steps until the trace of a request has passed its next budget."""
        trace = self.owners[request.request_id]
        if request is not trace.request or not trace.budgets or self.policy.release == "together":
            return trace.length + 1
        return trace.budgets[0] + 1 - trace.drawn

    def _pass_budgets(self, trace: _Trace, ended: bool) -> bool:
        """Sends or holds the probes that became due; whether any was sent."""
        while trace.budgets and trace.budgets[0] < trace.drawn:
            trace.held.append(trace.budgets.popleft())
            self.holding[trace] = None
        if not trace.held or (not ended and self._hold()):
            return False
        self._send(trace)
        return True

    def _hold(self) -> bool:
        release = self.policy.release
        if release == "waves":
            return True
        return release != "none" and hold_probes(release, self.kv_tokens, self.tokens_in_flight)

    def _send(self, trace: _Trace) -> None:
        self.holding.pop(trace, None)
        budgets, trace.held = trace.held, []
        trace.unanswered += len(budgets)
        if self.policy.late:
            self.on_the_way.append((self.now + self.policy.late, trace, budgets))
        else:
            self._add_probes(trace, budgets)

    def _add_probes(self, trace: _Trace, budgets: list[int]) -> None:
        """The longest first: it brings back what was lost of the prefix, and all others find it."""
        for budget in sorted(budgets, reverse=True):
            name = f"probe {trace.index} {budget}"
            self.owners[name] = trace
            known = trace.prompt + trace.tokens[:budget]
            prompt = known + PROBE_TOKENS
            self.engine.add(name, prompt, self.answers.randint(*self.answer_tokens), PROBE)
            self.probes += 1
            self.probe_prompt_tokens += len(prompt)
            # At budget 0 all samples of a problem ask the same.
            self.probe_prefix_tokens += (len(known) if budget else len(prompt) - 1) // BLOCK * BLOCK

    def _end(self, name: str, trace: _Trace) -> None:
        del self.owners[name]
        if name == trace.name:
            trace.request = None
            self.tokens_in_flight -= len(trace.prompt) + trace.length
            self.trace_tokens += trace.length
            self.seen = self.seen.add(len(trace.prompt), trace.length)
            if self.policy.concurrency is None:
                self.concurrency = choose_concurrency(self.kv_tokens, self.seen)
        else:
            trace.unanswered -= 1
            self.probe_cached_tokens += self.engine.cached.pop(name)
        if trace.request is None and not trace.unanswered:
            trace.tokens = []
            self.active.discard(trace)

    def _tokens_of(self, name: str, start: int, count: int) -> list[int]:
        if name.startswith("trace"):
            return self.owners[name].tokens[start : start + count]
        return [11] * count


def _traces(lengths: Sequence[tuple[int, int]], with_probes: bool) -> Iterator[_Trace]:
    rng, prompts = random.Random(5), dict[int, list[int]]()
    for index, (problem, length) in enumerate(lengths):
        if problem not in prompts:
            first = 10**9 + problem * 1000
            prompts[problem] = list(range(first, first + rng.randint(*PROMPT_TOKENS)))
        budgets = deque(b for b in REG_GRID if b < length) if with_probes else deque[int]()
        yield _Trace(index=index, prompt=prompts[problem], length=length, budgets=budgets)


@contextmanager
def _no_collection() -> Iterator[None]:
    """The scheduler's many small objects hold no cycles worth looking for in the middle."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
