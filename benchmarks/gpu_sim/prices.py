"""What a step costs: a roofline for the kernels, and overheads that no kernel hides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu_sim.engine import BLOCK


@dataclass(frozen=True, kw_only=True)
class Model:
    """A dense transformer in bfloat16."""

    parameters: float
    """That every token is multiplied with."""
    weight_bytes: float
    """Read in every step."""
    resident_bytes: float
    """Held in memory: more than is read where the input embedding is a table of its own."""
    layers: int
    heads: int
    """Of queries, 128 wide."""
    kv_bytes: int
    """Keys and values of one token in all layers."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """A GPU as vLLM finds it."""

    memory: float
    """Bytes for weights and KV cache: what `gpu_memory_utilization` leaves, less activations and graphs."""
    bandwidth: float
    """Bytes a second that kernels reach, 80 to 85% of the peak."""
    flops: float
    """Dense bfloat16 operations a second that matrix products reach, 60 to 70% of the peak."""
    max_num_batched_tokens: int
    """vLLM's default on such a card."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Assumptions beside the card's two speeds; each is varied in the table of sensitivities."""

    decode: float = 0.5e-3
    """Seconds a step of decoding alone spends beside its kernels, under a full CUDA graph."""
    mixed: float = 1.5e-3
    """As `decode`, for a step that reads a prompt: piecewise graphs, attention metadata, block tables."""
    mixed_layer: float = 90e-6
    """Seconds a layer that the CPU needs to launch a mixed step; the GPU cannot be faster."""
    request: float = 4e-6
    """Seconds a request: sampling with a seed of its own, its output."""
    mixed_attention: float = 1.0
    """Attention in a mixed step against the same reads in a step of decoding alone."""
    overlap: bool = True
    """Whether reading the weights and multiplying with them overlap."""
    captured: float = float("inf")
    """Requests up to which a step of decoding runs under a full CUDA graph; above, as a mixed one."""


QWEN3_4B = Model(
    parameters=4.02e9, weight_bytes=8.04e9, resident_bytes=8.04e9, layers=36, heads=32, kv_bytes=147_456
)
R1_1B5 = Model(
    parameters=1.54e9, weight_bytes=3.09e9, resident_bytes=3.55e9, layers=28, heads=12, kv_bytes=28_672
)
H100 = Card(memory=78.7e9 - 2.5e9, bandwidth=0.80 * 3.35e12, flops=0.60 * 989e12, max_num_batched_tokens=8192)
RTX_4090 = Card(
    memory=23.2e9 - 1.5e9, bandwidth=0.85 * 1.008e12, flops=0.70 * 165e12, max_num_batched_tokens=2048
)
L4 = Card(memory=22.0e9 - 1.5e9, bandwidth=0.85 * 0.300e12, flops=0.60 * 121e12, max_num_batched_tokens=2048)

ATTENTION_SHARE = 0.7
"""Of the speed of matrix products that attention reaches where it is bound by arithmetic."""


def blocks(model: Model, card: Card) -> int:
    """Blocks of KV cache that fit beside the weights."""
    return int((card.memory - model.resident_bytes) / model.kv_bytes / BLOCK)


def seconds(
    steps: NDArray[np.float64], model: Model, card: Card, prices: Prices | None = None
) -> NDArray[np.float64]:
    """Seconds of each row of `steps`, shape (rows, len(engine.COLUMNS)); a row may stand for several steps.

    max(weights read, products) + max(KV read, attention's products) + overheads.
    """
    p = prices or Prices()
    count, tokens, requests, kv_tokens, attended, mixed = steps.T
    reads = model.weight_bytes / card.bandwidth
    products = 2 * model.parameters * tokens / card.flops
    linear = np.maximum(reads, products) if p.overlap else reads + products
    attention = np.maximum(
        kv_tokens * model.kv_bytes / card.bandwidth,
        4 * model.layers * model.heads * 128 * attended / (card.flops * ATTENTION_SHARE),
    )
    kernels = linear + attention * np.where(mixed > 0, p.mixed_attention, 1)
    launched = (mixed > 0) | (requests > p.captured)
    busy = np.where(launched, np.maximum(kernels, model.layers * p.mixed_layer) + p.mixed, kernels + p.decode)
    return np.asarray(count * (busy + requests * p.request), dtype=np.float64)
