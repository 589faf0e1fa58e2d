"""How many traces are in flight, from the KV cache, the lengths seen and the captured batches."""

from __future__ import annotations

import pytest

from reghar.engines.base import CAPTURED, EngineInfo
from reghar.generation.concurrency import (
    EXPECTED_TOKENS,
    UNKNOWN,
    Lengths,
    choose_concurrency,
    traces_in_flight,
)
from reghar.generation.load import Load


def seen(*tokens: int, prompt: int = 150) -> Lengths:
    lengths = Lengths()
    for each in tokens:
        lengths = lengths.add(prompt, each)
    return lengths


def test_a_trace_holds_half_of_its_length_and_its_prompt() -> None:
    """Many traces leave the expected ones without weight."""
    assert seen(*[8000] * 10_000).tokens_a_slot == pytest.approx(150 + 4000, rel=1e-3)


def test_before_any_trace_the_expected_length_counts() -> None:
    assert Lengths().tokens_a_slot == EXPECTED_TOKENS / 2


def test_long_traces_count_for_as_long_as_they_run() -> None:
    """A slot spends 90% of its steps on the trace of 9,000 tokens, not half of them."""
    held = (1000 * 500 + 9000 * 4500) / 10_000
    assert seen(*[1000, 9000] * 5000, prompt=0).tokens_a_slot == pytest.approx(held, rel=1e-3)


def test_order_does_not_matter() -> None:
    assert seen(100, 9000, 700) == seen(700, 100, 9000)


def test_a_cache_twice_as_large_holds_about_twice_as_many() -> None:
    lengths = seen(*[8000] * 10_000)
    small, large = (choose_concurrency(tokens, lengths) for tokens in (400_000, 800_000))
    assert (small, large) == (112, 208), "96 and 193 fill it, and a few more"


@pytest.mark.parametrize("tokens", [1, 5_000, 93_000, 462_000, 10**9])
def test_never_outside_the_captured_batches_and_never_falling_with_the_cache(tokens: int) -> None:
    lengths = seen(*[500, 9000] * 100)
    chosen = choose_concurrency(tokens, lengths)
    assert chosen in CAPTURED
    assert chosen <= choose_concurrency(2 * tokens, lengths)
    assert choose_concurrency(tokens, lengths, captured=(1, 2, 4)) == 4


def test_longer_traces_never_give_more() -> None:
    chosen = [choose_concurrency(93_000, seen(*[n] * 500)) for n in (200, 1000, 4000, 16_000, 32_768)]
    assert chosen == sorted(chosen, reverse=True)
    assert chosen[0] > chosen[-1]


def test_the_first_to_end_do_not_count_for_all() -> None:
    """They are the short ones."""
    assert choose_concurrency(93_000, seen(200)) == choose_concurrency(93_000, Lengths())


def test_without_a_size_a_fixed_number() -> None:
    assert choose_concurrency(None, seen(500)) == UNKNOWN


def test_without_captured_batches_the_default_ones() -> None:
    assert choose_concurrency(93_000, Lengths(), captured=()) == choose_concurrency(93_000, Lengths())


def engine(*kv_caches: int | None, batches: tuple[int, ...] = ()) -> EngineInfo:
    return EngineInfo(name="e", version="0", host="none", arguments={}, kv_caches=kv_caches, batches=batches)


def test_a_number_that_is_asked_for_wins() -> None:
    assert traces_in_flight(3, engine(400_000), Lengths()) == 3


def test_each_kv_cache_has_traces_of_its_own() -> None:
    small, large = (choose_concurrency(tokens, seen(5000)) for tokens in (100_000, 400_000))
    assert small != large
    assert traces_in_flight(None, engine(100_000, 400_000), seen(5000)) == small + large
    assert traces_in_flight(None, engine(100_000, None), seen(5000)) == small + UNKNOWN
    assert traces_in_flight(None, engine(400_000, 400_000, batches=(1, 2, 4)), seen(5000)) == 8


def test_all_kv_caches_hold_what_is_known_of_each() -> None:
    assert engine(100, 300).kv_tokens == 400
    assert engine(100, None).kv_tokens is None


def test_a_load_holds_what_runs_and_has_seen_what_ended() -> None:
    load = Load()
    with load.trace(100, 20) as one:
        load.grow(one, 30)
        with load.trace(7, 0) as other:
            load.grow(other, 1)
            assert load.tokens_in_flight == 158
        assert load.tokens_in_flight == 150
        assert load.seen == Lengths().add(7, 1)
    assert load.tokens_in_flight == 0
    assert load.seen == Lengths().add(7, 1).add(100, 50)


def test_a_trace_that_was_lost_has_no_length() -> None:
    load = Load()

    def lose() -> None:
        with load.trace(100, 0) as one:
            load.grow(one, 5)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        lose()
    assert (load.tokens_in_flight, load.seen) == (0, Lengths())
