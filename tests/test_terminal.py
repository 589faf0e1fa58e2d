"""Tables of the terminal: no figure is cut at any width, names stay distinct, nothing is obeyed."""

import re

import pytest

from reghar.terminal import printable, shortened, table

HEADER = ("task", "model", "REG (tokens)", "accuracy")
ROWS = (
    ("aime24", "organization/a-very-long-model-name-checkpoint-1000", "1,780 [1,702, 1,861]", "63.3%"),
    ("aime24", "organization/a-very-long-model-name-checkpoint-2000", "13.0 [−5.1, 31.2]", "63.4%"),
    None,
    ("average", "organization/a-very-long-model-name-checkpoint-3000", "896", "63.3%"),
)


@pytest.mark.parametrize("width", [None, 200, 100, 80, 60, 40, 20, 1])
def test_every_figure_stands_whole_at_every_width(width: int | None) -> None:
    text = table(HEADER, ROWS, names=2, width=width)
    for row in ROWS:
        for figure in row[2:] if row else ():
            assert re.search(rf"(?<!\S){re.escape(figure)}(?!\S)", text), (figure, text)


@pytest.mark.parametrize("width", [200, 100, 80])
def test_lines_fit_where_names_can_be_shortened(width: int) -> None:
    lines = table(HEADER, ROWS, names=2, width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0].split()[0] == "task"


def test_shortened_names_stay_distinct() -> None:
    lines = table(HEADER, ROWS, names=2, width=70).splitlines()
    assert sum("1000 " in line for line in lines) == 1
    assert sum("2000 " in line for line in lines) == 1


def test_names_that_would_become_alike_turn_the_table() -> None:
    rows = [("a" * 30 + str(i) + "b" * 30, "1.0") for i in range(3)]
    assert max(map(len, table(("model", "REG"), rows, width=30).splitlines())) == 61  # whole, in blocks


def test_a_narrow_terminal_gets_a_block_per_row() -> None:
    assert table(("task", "REG"), [("a", "1"), ("b", "2")], width=4) == "a\n  REG  1\n\nb\n  REG  2\n"


def test_without_a_terminal_no_width_is_assumed() -> None:
    assert len(table(HEADER, ROWS, names=2).splitlines()) == 6


def test_the_middle_of_a_long_name_goes() -> None:
    assert shortened("checkpoint-1000", 9) == "chec…1000"
    assert shortened("short", 9) == "short"


def test_wide_characters_keep_the_columns_straight() -> None:
    first, _, second, third = table(("task", "n"), [("数学", "1"), ("math", "2")]).splitlines()
    assert first == "task  n"
    assert second == "数学  1"
    assert third == "math  2"


def test_control_characters_are_replaced() -> None:
    assert printable("a\x1b[31mb\u202ec\nd") == "a\ufffd[31mb\ufffdc d"
    assert "\x1b" not in table(("task", "n"), [("\x1b[2J", "1")])
