from reghar.prompting.scripted import ByteTokenizer
from reghar.prompting.thinking import (
    Block,
    BlockFinder,
    find_block,
    find_delimiters,
    find_sequence,
    opened_by_prompt,
)

TOKENIZER = ByteTokenizer()
THINK = find_delimiters(TOKENIZER)


def ids(text: str) -> list[int]:
    return TOKENIZER.encode_text(text)


def test_find_sequence_skips_false_starts() -> None:
    assert find_sequence([1, 1, 2, 1, 2, 3], [1, 2, 3]) == 3
    assert find_sequence([1, 2], [1, 2, 3]) is None
    assert find_sequence([1, 2, 1, 2], [1, 2], 1) == 2
    assert find_sequence([1, 2], []) is None


def test_block_of_a_finished_response() -> None:
    block = find_block(ids("<think>ab</think>c"), THINK, opened=False)
    assert block == Block(1, 3, 4)
    assert not block.is_open


def test_block_that_the_prompt_opened() -> None:
    assert find_block(ids("ab</think>c"), THINK, opened=True) == Block(0, 2, 3)


def test_open_block_and_no_block() -> None:
    assert find_block(ids("<think>ab"), THINK, opened=False) == Block(1, None, 3)
    assert find_block(ids("ab"), THINK, opened=False) == Block(None, None, 0)
    assert find_block(ids("ab"), None, opened=True) == Block(None, None, 0)


def test_a_delimiter_quoted_in_an_answer_opens_nothing() -> None:
    response = ids("the answer mentions the tag " + "<think> again")
    assert find_block(response, THINK, opened=False).start is None


def test_is_open_at_each_cut() -> None:
    block = find_block(ids("<think>ab</think>c"), THINK, opened=False)
    assert [block.is_open_at(cut) for cut in range(6)] == [False, True, True, True, False, False]


def test_growing_response_gives_the_same_block_as_the_whole() -> None:
    given = find_delimiters(TOKENIZER, ("[[", "]]"))
    response = ids("[[ab]c]d]]e")
    finder = BlockFinder(given, opened=False)
    for length in range(len(response) + 1):
        grown = finder.find(response[:length])
        assert grown == find_block(response[:length], given, opened=False)
    assert grown == Block(2, 8, 10)


def test_opened_by_prompt() -> None:
    assert opened_by_prompt(ids("user: x assistant: <think>\n"), THINK)
    assert not opened_by_prompt(ids("user: x assistant: <think>\n\n</think>\n"), THINK)
    assert not opened_by_prompt(ids("user: x"), THINK)
    assert not opened_by_prompt(ids("<think>"), None)


def test_families_are_found_in_order_and_can_be_given() -> None:
    assert THINK is not None
    assert (THINK.open, THINK.close) == ("<think>", "</think>")
    given = find_delimiters(TOKENIZER, ("<a>", "</a>"))
    assert given is not None
    assert given.close_ids == tuple(ids("</a>"))
