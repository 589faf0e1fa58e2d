"""When probes are sent: as their trace passes a budget, or all of a trace's together at its end.

A probe beside its trace makes a step of decoding read a prompt as well; all of a trace's together do so once.
But where the traces in flight fill the KV cache, the blocks of a trace that has ended are gone before its
probes arrive: there they must not wait. `docs/gpu.md` has the figures.
"""

from __future__ import annotations

from typing import Literal

Release = Literal["auto", "in-flight", "together"]
"""`--probe-release`: held unless the KV cache is scarce; never held; all of a trace's at its end."""

SCARCE = 0.95
"""Share of the KV cache, held by traces in flight, above which the blocks of an ended trace do not last."""


def hold_probes(release: Release, kv_tokens: int | None, tokens_in_flight: int) -> bool:
    """Whether the probes of running traces wait for the ends of their traces; ask again as traces go on.

    `kv_tokens` is the size of the engine's KV cache, None where it does not tell; `tokens_in_flight` are
    those of all traces in flight on that engine, prompts included.
    """
    if release != "auto":
        return release == "together"
    return kv_tokens is not None and tokens_in_flight <= SCARCE * kv_tokens
