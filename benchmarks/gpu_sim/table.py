"""Scenarios, the policies that are compared on them, and the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gpu_sim.client import ANSWER_TOKENS, Outcome, Policy, simulate
from gpu_sim.lengths import Kind, draw_lengths
from gpu_sim.prices import H100, L4, QWEN3_4B, R1_1B5, RTX_4090, Card, Model, Prices, blocks, seconds

PROBLEMS = 30
DEFAULT = "auto, late"
"""The row of the run's defaults, with probes that reach the engine some steps late, as they do."""
SHORT_ANSWERS = (3, 7)
"""GSM8K's numbers have 3.3 digits on average, the brace included; the engine adds some before it is told."""
LARGEST_CAPTURED = 512
"""vLLM's largest CUDA graph by default, requests."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A model on a card, with traces of some kind."""

    model: Model
    card: Card
    kind: Kind
    samples: int
    """A problem; there are `PROBLEMS`."""
    plain: tuple[int, ...]
    """Concurrencies of plain generation; its best is the reference."""
    concurrency: int
    """A good one, for the policies that do not choose their own."""


SCENARIOS: Mapping[str, Scenario] = {
    "4b-h100-aime": Scenario(
        model=QWEN3_4B, card=H100, kind="aime", samples=16, plain=(64, 96, 128), concurrency=96
    ),
    "4b-24g-aime": Scenario(
        model=QWEN3_4B, card=RTX_4090, kind="aime", samples=8, plain=(16, 64, 192), concurrency=64
    ),
    "1b5-h100-aime": Scenario(
        model=R1_1B5, card=H100, kind="aime", samples=16, plain=(64, 192, 256), concurrency=256
    ),
    "1b5-24g-aime": Scenario(
        model=R1_1B5, card=RTX_4090, kind="aime", samples=8, plain=(64, 96, 128), concurrency=96
    ),
    "4b-h100-gsm8k": Scenario(
        model=QWEN3_4B, card=H100, kind="gsm8k", samples=32, plain=(64, 256, 480), concurrency=480
    ),
    "4b-24g-gsm8k": Scenario(
        model=QWEN3_4B, card=RTX_4090, kind="gsm8k", samples=32, plain=(64, 112, 128, 256), concurrency=112
    ),
    "1b5-h100-gsm8k": Scenario(
        model=R1_1B5, card=H100, kind="gsm8k", samples=32, plain=(64, 256, 480), concurrency=480
    ),
    "1b5-24g-gsm8k": Scenario(
        model=R1_1B5, card=RTX_4090, kind="gsm8k", samples=32, plain=(64, 256, 384), concurrency=384
    ),
}

_BASE = Prices()
SENSITIVITIES: Mapping[str, Prices] = {
    "cheap mix": replace(_BASE, mixed=0.6e-3, mixed_layer=0),
    "dear mix": replace(_BASE, mixed=4e-3, mixed_layer=150e-6),
    "attn x1.5": replace(_BASE, mixed_attention=1.5),
    "attn x2.5": replace(_BASE, mixed_attention=2.5),
    "req 20us": replace(_BASE, request=20e-6),
    "no overlap": replace(_BASE, overlap=False),
    "graph 512": replace(_BASE, captured=LARGEST_CAPTURED),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One policy on one scenario."""

    label: str
    policy: Policy
    outcome: Outcome

    def seconds(self, model: Model, card: Card, prices: Prices = _BASE) -> float:
        """Of all steps."""
        return float(seconds(self.outcome.steps, model, card, prices).sum())

    @property
    def cached(self) -> float:
        """Share of the probes' prompt tokens that were in the cache."""
        return self.outcome.probe_cached_tokens / max(1, self.outcome.probe_prompt_tokens)

    @property
    def prefix_cached(self) -> float:
        """Share of what any cache could hold of them: all but the probe's text and the last, open block."""
        return self.outcome.probe_cached_tokens / max(1, self.outcome.probe_prefix_tokens)


def policies(scenario: Scenario) -> Iterator[tuple[str, Policy, tuple[int, int]]]:
    """(label, policy, shortest and longest answer) of the rows of a scenario."""
    for concurrency in scenario.plain:
        yield "plain", Policy(concurrency=concurrency), ANSWER_TOKENS
    good = Policy(concurrency=scenario.concurrency)
    flight, together = replace(good, release="in-flight"), replace(good, release="together")
    auto = Policy(release="auto", priority=True)
    yield "in flight, 64", Policy(concurrency=64, release="in-flight"), ANSWER_TOKENS
    if scenario.concurrency != 64:
        yield "in flight", flight, ANSWER_TOKENS
    yield "in flight, priority", replace(flight, priority=True), ANSWER_TOKENS
    yield "in flight, priority, late", replace(flight, priority=True, late=3), ANSWER_TOKENS
    yield "together", together, ANSWER_TOKENS
    yield "together, priority", replace(together, priority=True), ANSWER_TOKENS
    yield "together, priority, late", replace(together, priority=True, late=3), ANSWER_TOKENS
    yield "waves of 64 steps", replace(good, release="waves", priority=True), ANSWER_TOKENS
    yield "auto", auto, ANSWER_TOKENS
    yield "auto, late", replace(auto, late=3), ANSWER_TOKENS
    if scenario.kind == "gsm8k":
        yield "auto, late, short answers", replace(auto, late=3), SHORT_ANSWERS


def rows(scenario: Scenario, only: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of a scenario, or those with the labels `only`, simulated one after the other."""
    lengths = draw_lengths(scenario.kind, PROBLEMS, scenario.samples)
    count = blocks(scenario.model, scenario.card)
    for label, policy, answer_tokens in policies(scenario):
        if only and label not in only:
            continue
        outcome = simulate(
            lengths,
            count,
            policy,
            max_num_batched_tokens=scenario.card.max_num_batched_tokens,
            answer_tokens=answer_tokens,
        )
        yield Row(label=label, policy=policy, outcome=outcome)


def render(scenario: Scenario, results: Sequence[Row]) -> Iterator[str]:
    """The lines of a scenario's Markdown table; ratios are to plain generation at its best concurrency."""
    model, card = scenario.model, scenario.card
    columns = {name: (card, prices) for name, prices in SENSITIVITIES.items()}
    if card is RTX_4090:
        columns["L4"] = (L4, _BASE)
    best = _best(results, model, card, _BASE)
    bulk = min(
        float(seconds(row.outcome.steps, model, card)[: row.outcome.all_started].sum())
        for row in results
        if row.policy.release == "none"
    )
    bests = {name: _best(results, model, *priced) for name, priced in columns.items()}
    yield _line(
        "policy",
        "C",
        "s",
        "ratio",
        "bulk",
        "preempted",
        "recomputed",
        "cached",
        "of prefix",
        "mixed",
        "batch",
        *columns,
    )
    yield "|---|" + "---:|" * (10 + len(columns))
    for row in results:
        outcome, total = row.outcome, row.seconds(model, card)
        times = seconds(outcome.steps, model, card)
        has_probes = outcome.probes > 0
        yield _line(
            row.label,
            f"{outcome.concurrency}",
            f"{total:.1f}",
            f"{total / best:.3f}",
            f"{times[: outcome.all_started].sum() / bulk:.3f}",
            f"{outcome.preempted}",
            f"{outcome.dropped / outcome.trace_tokens:.2f}",
            f"{row.cached:.1%}" if has_probes else "",
            f"{row.prefix_cached:.1%}" if has_probes else "",
            f"{np.average(outcome.steps[:, 5], weights=outcome.steps[:, 0]):.1%}",
            f"{np.average(outcome.steps[:, 2], weights=times):.0f}",
            *(f"{row.seconds(model, *priced) / bests[name]:.3f}" for name, priced in columns.items()),
        )


def overview(results: Mapping[str, tuple[Scenario, Sequence[Row]]]) -> Iterator[str]:
    """Lines of a Markdown table with a line a scenario and a column a policy: ratios."""
    labels = list(dict.fromkeys(row.label for _, found in results.values() for row in found))
    labels.remove("plain")
    yield _line("", "plain at its best, C", *labels, "cached")
    yield "|---|" + "---:|" * (len(labels) + 2)
    for name, (scenario, found) in results.items():
        model, card = scenario.model, scenario.card
        best = _best(found, model, card, _BASE)
        ratios = {row.label: f"{row.seconds(model, card) / best:.3f}" for row in found}
        plain = min((r for r in found if r.label == "plain"), key=lambda r: r.seconds(model, card))
        cached = next((f"{row.cached:.1%}" for row in found if row.label == DEFAULT), "")
        cells = (ratios.get(label, "") for label in labels)
        yield _line(name, f"{best:.1f} s, {plain.outcome.concurrency}", *cells, cached)


def sensitivity(results: Mapping[str, tuple[Scenario, Sequence[Row]]]) -> Iterator[str]:
    """Lines of a Markdown table: the default policy's ratio under every assumption about prices."""
    yield _line("", "base", *SENSITIVITIES, "L4")
    yield "|---|" + "---:|" * (2 + len(SENSITIVITIES))
    for name, (scenario, found) in results.items():
        row = next(row for row in found if row.label == DEFAULT)
        priced = [(scenario.card, prices) for prices in (_BASE, *SENSITIVITIES.values())]
        if scenario.card is RTX_4090:
            priced.append((L4, _BASE))
        cells = [row.seconds(scenario.model, *p) / _best(found, scenario.model, *p) for p in priced]
        yield _line(name, *(f"{cell:.3f}" for cell in cells), *([] if scenario.card is RTX_4090 else [""]))


def _best(results: Iterable[Row], model: Model, card: Card, prices: Prices) -> float:
    return min(row.seconds(model, card, prices) for row in results if row.policy.release == "none")


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
