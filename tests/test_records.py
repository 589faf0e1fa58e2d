from hypothesis import given
from hypothesis import strategies as st

from reghar.generation.records import LOOP_REPEATS, LOOP_TOKENS, Trace, TraceKey, ends_in_loop, trace_seed


def test_seed_depends_on_everything_and_on_nothing_else() -> None:
    key = TraceKey("aime24", "p1", 0)
    base = trace_seed(0, key)
    assert base == trace_seed(0, TraceKey("aime24", "p1", 0, setting=""))
    others = [
        TraceKey("aime25", "p1", 0),
        TraceKey("aime24", "p2", 0),
        TraceKey("aime24", "p1", 1),
        key.at("x"),
    ]
    assert len({base, trace_seed(1, key), *(trace_seed(0, other) for other in others)}) == 6
    assert trace_seed(0, TraceKey("a", "bc", 0)) != trace_seed(0, TraceKey("ab", "c", 0))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.lists(st.integers(10, 19), max_size=30))
def test_a_repeated_block_is_a_loop(block: list[int], before: list[int]) -> None:
    repeats = max(LOOP_REPEATS, -(-LOOP_TOKENS // len(block)))
    assert ends_in_loop(before + block * repeats)
    assert ends_in_loop(before + block * repeats + block[:1])


def test_what_is_no_loop() -> None:
    assert not ends_in_loop([])
    assert not ends_in_loop(list(range(1000)))
    assert not ends_in_loop([1] * (LOOP_TOKENS - 1))
    assert not ends_in_loop([*([7] * 200), 1, 2, 3])
    assert not ends_in_loop(list(range(100)) * 2)


def test_thinking_length() -> None:
    def trace(start: int | None, end: int | None) -> Trace:
        return Trace(
            task="t",
            problem="p",
            sample=0,
            seed=0,
            prompt_tokens=1,
            token_ids=tuple(range(10)),
            text="",
            finished=True,
            thinking_opened=False,
            thinking_start=start,
            thinking_end=end,
            looped=False,
        )

    assert trace(None, None).thinking_length == 0
    assert trace(2, None).thinking_length == 8
    assert trace(2, 6).thinking_length == 4


def test_three_repeats_are_a_loop_and_two_are_not() -> None:
    from reghar.generation.records import ends_in_loop

    assert ends_in_loop([*range(100, 150), *[*range(16)] * 3])
    assert not ends_in_loop([*range(100, 150), *[*range(24)] * 2])
