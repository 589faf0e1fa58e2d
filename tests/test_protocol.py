from reghar.protocol import differences, digest


def test_digest_ignores_the_order_of_keys_and_nothing_else() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 1.5})
    assert digest({"a": [1, 2]}) != digest({"a": [2, 1]})


def test_every_difference_is_named() -> None:
    one = {"sampling": {"top_p": 0.95, "top_k": 0}, "budgets": [0, 64], "grader": "1"}
    other = {"sampling": {"top_p": 1.0, "top_k": 0}, "budgets": [0, 128], "version": 2, "grader": "1"}
    assert differences(one, other) == [
        "budgets: [0, 64] != [0, 128]",
        "sampling.top_p: 0.95 != 1.0",
        "version: null != 2",
    ]
    assert differences(one, one) == []


def test_long_values_are_shortened() -> None:
    (line,) = differences({"a": "x" * 500}, {"a": "y"})
    assert len(line) < 100


def test_long_lists_that_part_late_are_told_apart() -> None:
    ids = [f"problem-{i}" for i in range(60)]
    [line] = differences({"ids": ids}, {"ids": ids[:50]})
    assert line == "ids: 60 entries != 50 entries, of which the first 50 are equal"
    [line] = differences({"ids": ids}, {"ids": [*ids[:40], "other", *ids[41:]]})
    assert line == 'ids: 60 entries != 60 entries; entry 41 is "problem-40" != "other"'
