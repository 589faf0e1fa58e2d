from reghar.generation.response import answer_seed, cut_position
from reghar.prompting.thinking import Block

RESPONSE = list(range(10))
NONE = Block(None, None, 0)


def test_response_budgets_cut_tokens() -> None:
    assert cut_position(RESPONSE, NONE, 0, "response") == 0
    assert cut_position(RESPONSE, NONE, 9, "response") == 9
    assert cut_position(RESPONSE, NONE, 10, "response") is None, "a trace of exactly L tokens is within L"


def test_thinking_budgets_leave_the_answer_part_free() -> None:
    closed = Block(1, 6, 7)
    assert cut_position(RESPONSE, closed, 0, "thinking") == 1
    assert cut_position(RESPONSE, closed, 4, "thinking") == 5
    assert cut_position(RESPONSE, closed, 5, "thinking") is None
    assert cut_position(RESPONSE, Block(1, None, 10), 8, "thinking") == 9
    assert cut_position(RESPONSE, Block(1, None, 10), 9, "thinking") is None
    assert cut_position(RESPONSE, NONE, 0, "thinking") is None, "nothing was thought"


def test_answer_seed_depends_on_trace_and_budget() -> None:
    assert len({answer_seed(1, 0), answer_seed(1, 64), answer_seed(2, 0)}) == 3
