"""Shared n-grams: goldens on the benchmark problems, boilerplate apart, and what a broken file is told."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reghar.cli import main
from reghar.errors import InputError
from reghar.tasks import load_task
from reghar.tasks.contamination import (
    Contamination,
    Overlap,
    Search,
    Statement,
    boilerplate_of,
    ngrams,
    words_of,
)
from reghar.tasks.problems import statements
from reghar.tasks.rows import iterate_json_lines


def problems(*texts: str, private: bool = False) -> list[Statement]:
    return [Statement(task="t", problem=str(i), text=text, private=private) for i, text in enumerate(texts)]


def search(asked: list[Statement], rows: list[str], n: int, **boilerplate: int) -> Contamination:
    looking = Search(asked, n, {ngram.replace("_", " "): count for ngram, count in boilerplate.items()})
    for number, row in enumerate(rows, 1):
        looking.add(number, row)
    return looking.result()


def only(found: Contamination) -> Overlap:
    [overlap] = found.problems
    return overlap


@pytest.mark.parametrize(
    ("task", "train", "contaminated"),
    [
        ("aime24", "aime25", 6),
        ("aime24", "amc23", 6),
        ("aime24", "math500", 6),
        ("aime24", "olympiadbench", 3),
        ("amc23", "aime24", 10),
    ],
)
def test_raw_counts_of_the_benchmarks_in_each_other(
    task: str, train: str, contaminated: int, benchmark_data: Path
) -> None:
    looking = Search(statements(load_task(task), benchmark_data), 8, {})
    for number, row in iterate_json_lines(benchmark_data / f"{train}.jsonl"):
        looking.add(number, row["problem"])
    assert sum(bool(each.contaminated) for each in looking.result().problems) == contaminated


def test_what_is_told_of_a_problem() -> None:
    text = "Find the  LARGEST prime\nbelow one hundred and say why"
    rows = [
        "nothing",
        "we find the largest prime below x",
        "one hundred and say",
        "x one hundred and say why",
    ]
    overlap = only(search(problems(text), rows, 3))
    assert overlap.ngrams == (
        "find the largest",
        "the largest prime",
        "largest prime below",
        "one hundred and",
        "hundred and say",
        "and say why",
    )
    assert overlap.matching == 6
    assert overlap.share == 6 / 8
    assert overlap.longest_run == 5
    assert overlap.rows == (2, 3, 4)
    assert overlap.contaminated is True


def test_a_copy_is_covered_whole_and_names_five_rows() -> None:
    overlap = only(search(problems("a b c d"), ["a b c d e"] * 9, 2))
    assert (overlap.share, overlap.longest_run, overlap.rows) == (1.0, 4, (1, 2, 3, 4, 5))


def test_short_problems_are_null_and_not_clean() -> None:
    found = search(problems("a b", "a b c", "x y z"), ["a b c"], 3)
    assert [each.contaminated for each in found.problems] == [None, True, False]
    assert found.problems[0].share is None


def test_boilerplate_is_listed_apart_and_not_counted() -> None:
    asked = problems("one where m and n", "two where m and n", "three where m and n", "where m and n")
    boilerplate = boilerplate_of(asked, 4)
    assert boilerplate == {"where m and n": 4}
    assert boilerplate_of(asked[:2], 4) == {}
    looking = Search(asked, 4, boilerplate)
    looking.add(7, "find k where m and n are prime")
    found = looking.result()
    assert [each.contaminated for each in found.problems] == [False, False, False, None]
    assert [(each.ngram, each.problems, each.rows) for each in found.boilerplate] == [
        ("where m and n", 4, (7,))
    ]
    raw = Search(asked, 4, {})
    raw.add(7, "find k where m and n are prime")
    assert all(each.contaminated for each in raw.result().problems)
    assert raw.result().boilerplate == ()


def test_a_phrase_repeated_within_one_problem_is_of_one_problem() -> None:
    assert boilerplate_of(problems("a b a b a b a b"), 2) == {}


def test_a_run_of_boilerplate_alone_is_no_run() -> None:
    overlap = only(search(problems("a b c d"), ["a b c", "x c d"], 2, a_b=3, b_c=3))
    assert overlap.ngrams == ("c d",)
    assert overlap.longest_run == 4, "joined to a counted one it belongs to the run"
    assert only(search(problems("a b c d"), ["a b c"], 2, a_b=3, b_c=3)).longest_run == 0


def test_private_texts_are_withheld() -> None:
    asked = problems("secret words of mine", private=True)
    found = search(asked, ["the secret words of mine"], 3, secret_words_of=3)
    assert "secret" not in repr(found)
    assert only(found).matching == 1
    assert found.boilerplate[0].ngram is None


WORDS = st.lists(st.sampled_from("abc"), max_size=14).map(" ".join)


@given(text=WORDS, rows=st.lists(WORDS, max_size=4), n=st.integers(1, 7))
def test_the_search_by_blocks_finds_what_looking_at_every_window_finds(
    text: str, rows: list[str], n: int
) -> None:
    there = {ngram for row in rows for ngram in ngrams(words_of(row), n)}
    expected = tuple(ngram for ngram in dict.fromkeys(ngrams(words_of(text), n)) if ngram in there)
    assert only(search(problems(text), rows, n)).ngrams == expected


def test_no_word_is_no_ngram() -> None:
    with pytest.raises(InputError, match="-n is 0"):
        Search([], 0, {})


class TestCommand:
    """`reghar contamination` on tasks of a folder."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "mine.yaml").write_text("task: mine\nmetadata: {private: true}\n")
        rows = [{"id": str(i), "problem": text, "answer": 1} for i, text in enumerate(["a b c d", "e f g h"])]
        (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return tmp_path

    def run(self, folder: Path, *arguments: str) -> int:
        options = ["--tasks", "mine", "--include-path", str(folder), "--data-dir", str(folder), "-n", "3"]
        return main(["contamination", "--train", str(folder / "train.jsonl"), *options, *arguments])

    def train(self, folder: Path, *lines: object) -> None:
        text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
        (folder / "train.jsonl").write_text(text)

    @pytest.mark.parametrize(("text", "code"), [("x A b  c", 1), ("x a b", 0)])
    def test_fail_is_an_exit_code(self, folder: Path, text: str, code: int) -> None:
        self.train(folder, {"question": text})
        assert self.run(folder, "--fail") == code
        assert self.run(folder) == 0

    def test_json(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.train(folder, {"text": "x"}, "", {"text": "a b c"})
        assert self.run(folder, "--json", "--field", "text") == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert found["train_rows"] == 2
        first, second = found["problems"]
        assert first == {
            "task": "mine",
            "problem": "0",
            "contaminated": True,
            "ngrams": None,
            "matching": 1,
            "share": 0.5,
            "longest_run": 3,
            "rows": [3],
        }
        assert second["contaminated"] is False
        assert "aime24" in found["notes"][0]

    def test_tables_name_problem_and_rows(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.train(folder, {"question": "a b c d"})
        assert self.run(folder) == 0
        printed = capsys.readouterr().out
        assert "contaminated problems" in printed
        assert "100%" in printed
        assert "a b c" not in printed, "the task is private"

    def test_gzip(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        packed = folder / "train.jsonl.gz"
        packed.write_bytes(gzip.compress(b'{"question": "a b c"}\n'))
        assert self.run(folder, "--fail", "--train", str(packed)) == 1
        packed.write_bytes(packed.read_bytes()[:-9])
        assert self.run(folder, "--train", str(packed)) == 2
        assert "not a whole gzip file" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("lines", "said"),
        [
            ([{"question": "a"}, '{"question": "a b'], "train.jsonl line 2 is not JSON"),
            ([{"question": "a"}, "[1]"], "line 2 is not a JSON object"),
            ([{"text": "a"}], "line 1 has no 'question': name the text with --field; it has 'text'"),
            ([{"question": 5}], "line 1 has a 'question' that is no text"),
            ([""], "train.jsonl is empty"),
        ],
        ids=["broken", "no object", "no field", "no text", "empty"],
    )
    def test_a_bad_file_ends_in_one_line(
        self, folder: Path, lines: list[object], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.train(folder, *lines)
        assert self.run(folder) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1

    @pytest.mark.parametrize(
        ("content", "said"), [(None, "cannot be read"), (b'{"question": "a"}\n\xff\n', "line 2 is not UTF-8")]
    )
    def test_a_file_that_is_no_text(
        self, folder: Path, content: bytes | None, said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        if content is not None:
            (folder / "train.jsonl").write_bytes(content)
        assert self.run(folder) == 2
        assert said in capsys.readouterr().err

    @pytest.mark.parametrize(("flags", "said"), [(["-n", "0"], "-n is 0"), (["--tasks", ","], "empty")])
    def test_bad_flags(
        self, folder: Path, flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.train(folder, {"question": "a"})
        assert self.run(folder, *flags) == 2
        assert said in capsys.readouterr().err

    def test_boilerplate_of_the_packaged_tasks(
        self, benchmark_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        phrase = "where $m$ and $n$ are relatively prime positive integers."
        (tmp_path / "train.jsonl").write_text(json.dumps({"question": f"Find m/n {phrase}"}) + "\n")
        command = ["contamination", "--train", str(tmp_path / "train.jsonl"), "--tasks", "aime24"]
        command += ["--data-dir", str(benchmark_data), "--json"]
        assert main(command) == 0
        found = json.loads(capsys.readouterr().out)
        assert not any(each["contaminated"] for each in found["problems"])
        assert any("relatively prime" in each["ngram"] for each in found["boilerplate"])
        assert main([*command, "--raw", "--fail"]) == 1

    def test_a_part_of_a_task_is_searched_only_where_it_is_named(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Else a phrase of two problems would count as one of three or more."""
        text = "a phrase of nine words that two problems share"
        rows = [{"id": f"aime25-{i}", "problem": f"{text} ({i})", "answer": i} for i in (1, 20)]
        (tmp_path / "aime25.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (tmp_path / "train.jsonl").write_text(json.dumps({"question": text}) + "\n")
        command = [
            "contamination",
            "--train",
            str(tmp_path / "train.jsonl"),
            "--data-dir",
            str(tmp_path),
            "--json",
        ]
        assert main(command) == 0
        found = json.loads(capsys.readouterr().out)
        assert [each["problem"] for each in found["problems"] if each["contaminated"]] == [
            "aime25-1",
            "aime25-20",
        ]
        assert main([*command, "--tasks", "aime25_i"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert [each["problem"] for each in found["problems"] if each["contaminated"]] == ["aime25-1"]
