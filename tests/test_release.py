"""When probes are sent."""

from __future__ import annotations

import pytest

from reghar.generation.release import SCARCE, hold_probes


@pytest.mark.parametrize("in_flight", [0, 64_000, 10**9])
@pytest.mark.parametrize("kv_tokens", [None, 1, 10**9])
def test_what_the_user_names_is_done(in_flight: int, kv_tokens: int | None) -> None:
    assert hold_probes("together", kv_tokens, in_flight)
    assert not hold_probes("in-flight", kv_tokens, in_flight)


def test_probes_are_held_until_the_cache_is_scarce() -> None:
    fit = int(SCARCE * 100_000)
    assert hold_probes("auto", 100_000, fit)
    assert not hold_probes("auto", 100_000, fit + 1)


def test_a_cache_of_unknown_size_counts_as_scarce() -> None:
    assert not hold_probes("auto", None, 0)
