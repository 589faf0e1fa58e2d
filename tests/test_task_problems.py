"""Problems: from a data folder, the hub, a local file, a function; and all that may be wrong with them."""

import gzip
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from reghar.errors import InputError
from reghar.tasks import Problem, Task, load_problems, load_task, problems_digest
from reghar.tasks.documents import choice_order

COUNTS = {
    "aime24": 30,
    "aime25": 30,
    "amc23": 40,
    "math500": 500,
    "minerva_math": 272,
    "gpqa_diamond": 198,
    "gsm8k": 1319,
    "olympiadbench": 675,
}
INSTRUCTION = "\n\nPlease reason step by step, and put your final answer within \\boxed{}."
ROW = {"id": "one", "problem": "What is 1 + 1?", "answer": "2"}

Write = Callable[..., Path]


@pytest.fixture
def rows(tmp_path: Path) -> Write:
    """Writes rows (or text) as a task's data file; returns the folder."""

    def write(*content: Mapping[str, Any] | str, task: str = "aime24") -> Path:
        lines = (line if isinstance(line, str) else json.dumps(line) for line in content)
        (tmp_path / f"{task}.jsonl").write_text("\n".join(lines), encoding="utf-8")
        return tmp_path

    return write


def user_task(folder: Path, text: str) -> Task:
    """A task of a user's own, `mine`, from the text of its YAML."""
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    return load_task("mine", [folder])


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_real_data(name: str, benchmark_data: Path) -> None:
    problems = load_problems(load_task(name), benchmark_data)
    assert len(problems) == COUNTS[name]
    assert len({problem.id for problem in problems}) == COUNTS[name]
    assert all(problem.task == name and len(problem.gold) == 1 for problem in problems)
    assert all(r"\boxed{}" in problem.question for problem in problems)
    if name in ("aime24", "aime25", "amc23", "gsm8k"):
        assert all(str(int(problem.gold[0])) == problem.gold[0] for problem in problems)


def test_question_is_the_problem_and_the_instruction(benchmark_data: Path) -> None:
    first = json.loads((benchmark_data / "amc23.jsonl").read_text(encoding="utf-8").splitlines()[0])
    [problem] = load_problems(load_task("amc23"), benchmark_data, limit=1)
    assert problem.question == first["problem"] + INSTRUCTION
    assert (problem.id, problem.gold) == (first["id"], (first["answer"],))


def test_limit_takes_the_first(benchmark_data: Path) -> None:
    task = load_task("aime25")
    assert load_problems(task, benchmark_data, limit=3) == load_problems(task, benchmark_data)[:3]
    assert len(load_problems(task, benchmark_data, limit=1000)) == 30
    with pytest.raises(InputError, match="--limit is 0"):
        load_problems(task, benchmark_data, limit=0)


@pytest.mark.parametrize(
    ("written", "gold"),
    [
        ("073", "73"),
        (73, "73"),
        ("27.0", "27"),
        (27.0, "27"),
        ("-0", "0"),
        ("000", "0"),
        ("+5", "5"),
        ("-012", "-12"),
    ],
)
def test_integers_have_one_form(rows: Write, written: object, gold: str) -> None:
    [problem] = load_problems(load_task("aime24"), rows({**ROW, "answer": written}))
    assert problem.gold == (gold,)


def test_gzip_blank_lines_and_byte_order_mark(tmp_path: Path) -> None:
    text = "﻿" + json.dumps(ROW) + "\r\n\n" + json.dumps({**ROW, "id": 2}) + "\n"
    (tmp_path / "aime24.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    assert [problem.id for problem in load_problems(load_task("aime24"), tmp_path)] == ["one", "2"]


def test_a_line_separator_inside_a_string_ends_no_line(rows: Write) -> None:
    folder = rows(json.dumps({**ROW, "problem": "a\u2028b"}, ensure_ascii=False))
    [problem] = load_problems(load_task("aime24"), folder)
    assert problem.question.startswith("a\u2028b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"aime24\.jsonl is empty"),
        (["", "  "], r"aime24\.jsonl is empty"),
        ([ROW, "{broken"], r"line 2 is not JSON"),
        (['{"id": 1, "problem": "p", "answer": NaN}'], r"line 1 is not JSON \(NaN"),
        (["[" * 100_000], r"line 1 is n"),
        (["[1, 2]"], r"line 1 is not a JSON object"),
        ([{"id": "a", "problem": "p"}], r"row 1 of task aime24 has no 'answer'"),
        ([{"id": "a", "problem": "p", "answer": None}], r"row 1 of task aime24 has no 'answer'"),
        ([{"id": "a", "problem": "p", "answer": " "}], r"row 1 of task aime24 has no 'answer'"),
        ([ROW, {"id": "a", "answer": "1"}], r"row 2 of task aime24 has no 'problem'"),
        ([{"id": "a", "problem": "", "answer": "1"}], r"row 1 of task aime24 has no 'problem'"),
        ([{"problem": "p", "answer": "1"}], r"row 1 of task aime24 has no 'id'"),
        ([{"id": "", "problem": "p", "answer": "1"}], r"row 1 of task aime24 has no 'id'"),
        ([{"id": ["a"], "problem": "p", "answer": "1"}], r"'id' that is neither text nor a number"),
        ([{**ROW, "answer": {"value": 1}}], r"'answer' that is neither text nor a number"),
        ([{**ROW, "answer": True}], r"'answer' that is neither text nor a number"),
        ([{**ROW, "answer": "73 or 74"}], r"'73 or 74', which is no integer"),
        ([{**ROW, "answer": "9" * 10_000 + "x"}], r"which is no integer"),
        ([ROW, {**ROW, "id": "two"}, ROW], r"rows 1 and 3 of task aime24 have the same id 'one'"),
        ([{**ROW, "id": 1}, {**ROW, "id": "1"}], r"rows 1 and 2 .* same id '1'"),
    ],
)
def test_bad_data_is_one_clear_line(rows: Write, content: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        load_problems(load_task("aime24"), rows(*content))
    assert "\n" not in str(error.value)
    assert "aime24.jsonl" in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("aime24.jsonl", b"\xff\xfe{}", r"aime24\.jsonl is not UTF-8"),
        ("aime24.jsonl.gz", gzip.compress(b"{}" * 1000, mtime=0)[:-12], r"not a whole gzip file"),
        ("aime24.jsonl.gz", b"no gzip at all", r"not a whole gzip file"),
        ("aime25.jsonl", b"{}", r"neither aime24\.jsonl nor aime24\.jsonl\.gz"),
    ],
)
def test_bad_files_are_one_clear_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_problems(load_task("aime24"), tmp_path)


def test_data_dir_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        load_problems(load_task("aime24"), tmp_path / "nowhere")


def test_digest_follows_id_question_gold_and_order(rows: Write) -> None:
    task = load_task("aime24")
    base = [ROW, {**ROW, "id": "two"}]

    def digest(*content: Mapping[str, Any]) -> str:
        return problems_digest(load_problems(task, rows(*content)))

    assert digest(*base) == digest(*({**row, "solution": "unused"} for row in base))
    changed = [base[::-1], base[:1]]
    changed += [
        [{**ROW, key: value}, base[1]] for key, value in (("id", "x"), ("problem", "x"), ("answer", "3"))
    ]
    assert len({digest(*base), *(digest(*content) for content in changed)}) == 1 + len(changed)


# Choices


def test_choices_are_shuffled_by_seed_and_id(benchmark_data: Path) -> None:
    """No text of the benchmark is shown when this fails: only letters and counts are compared."""
    problems = load_problems(load_task("gpqa_diamond"), benchmark_data)
    letters = Counter(problem.gold[0] for problem in problems)
    assert set(letters) == set("ABCD")
    assert min(letters.values()) > 198 / 4 * 0.6
    with gzip.open(benchmark_data / "gpqa_diamond.jsonl.gz", "rt", encoding="utf-8") as file:
        for problem, line in zip(problems, file, strict=True):
            row = json.loads(line)
            gold = problem.choices["ABCD".index(problem.gold[0])]
            right = gold == row["choices"][0].strip()
            asked = problem.question.startswith(
                row["stem"].strip() + "\n\nA. " + problem.choices[0] + "\nB. "
            )
            assert right, problem.id
            assert asked, problem.id


def test_order_of_choices_never_changes() -> None:
    assert choice_order(4, 2023, "gpqa-diamond-1") == [3, 0, 1, 2]
    assert choice_order(4, None, "gpqa-diamond-1") == [0, 1, 2, 3]
    orders = {tuple(choice_order(4, seed, "a")) for seed in range(100)}
    assert len(orders) == 24


def choice_task(folder: Path, metadata: str) -> Task:
    return user_task(folder, f"task: mine\nmetadata:\n  answer: {{kind: choice}}\n{metadata}")


def test_choices_without_a_seed_keep_their_order(tmp_path: Path, rows: Write) -> None:
    task = choice_task(tmp_path, "")
    row = {"id": 1, "problem": "Which?", "choices": ["x", "y", "z"], "answer": "b"}
    [problem] = load_problems(task, rows(row, task="mine"))
    assert problem == Problem(
        task="mine",
        id="1",
        question="Which?\n\nA. x\nB. y\nC. z" + INSTRUCTION,
        gold=("B",),
        choices=("x", "y", "z"),
    )


def test_choices_without_ids_are_shuffled_by_their_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    serve(monkeypatch, [{"problem": "Which?", "choices": ["w", "x", "y", "z"], "answer": "C"}] * 40)
    task = choice_task(tmp_path, "  shuffle_seed: 1\ndataset_path: some/set\n")
    assert {problem.gold for problem in load_problems(task)} == {("A",), ("B",), ("C",), ("D",)}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": 1, "stem": "Which?", "choices": ["x", "y"]}, "has no 'answer'"),
        ({"id": 1, "stem": "Which?", "choices": ["x", "y"], "answer": None}, "has no 'answer'"),
        ({"id": 1, "problem": "Which? A. x B. y", "answer": "A"}, "has no list of 'choices'"),
        ({"id": 1, "stem": "Which?", "choices": "x", "answer": "A"}, "has no list of 'choices'"),
        ({"id": 1, "stem": "Which?", "choices": [], "answer": "A"}, "has no list of 'choices'"),
        ({"id": 1, "choices": ["x", "y"], "answer": "A"}, "has no 'stem' and no 'problem'"),
    ],
)
def test_rows_that_a_choice_task_refuses(rows: Write, row: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"row 1 of task gpqa_diamond {message}"):
        load_problems(load_task("gpqa_diamond"), rows(row, task="gpqa_diamond"))


@pytest.mark.parametrize("answer", ["E", "AB", 3])
def test_a_choice_that_does_not_exist(tmp_path: Path, rows: Write, answer: object) -> None:
    folder = rows({"id": 1, "problem": "Which?", "choices": ["x", "y"], "answer": answer}, task="mine")
    with pytest.raises(InputError, match="give one letter of AB"):
        load_problems(choice_task(tmp_path, ""), folder)


def test_columns_of_the_hub_make_the_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"Record ID": "r1", "Question": "Which? ", "Correct Answer": "yes\n"}
    row |= {f"Incorrect Answer {i}": f"no {i}" for i in (1, 2, 3)}
    serve(monkeypatch, [row])
    [problem] = load_problems(load_task("gpqa_diamond"))
    assert problem.choices["ABCD".index(problem.gold[0])] == "yes"
    assert sorted(problem.choices) == ["no 1", "no 2", "no 3", "yes"]
    assert problem.question.startswith("Which?\n\nA. ")
    assert problem.id == "r1"


# The hub


def serve(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]]) -> list[Any]:
    """Stands in for the hub's data sets (`tests/test_hub.py` has the real client); returns the calls."""
    import datasets

    calls: list[Any] = []

    class Builder:
        def __init__(self, revision: str | None) -> None:
            self.hash = revision

        def download_and_prepare(self) -> None:
            pass

        def as_dataset(self, split: str) -> list[dict[str, Any]]:
            calls[-1][1]["split"] = split
            return rows

    def load_dataset_builder(*args: object, **kwargs: Any) -> Builder:
        calls.append((args, kwargs))
        return Builder(kwargs["revision"])

    monkeypatch.setattr("reghar.hub.hub_silence", lambda: None)
    monkeypatch.setattr(datasets, "load_dataset_builder", load_dataset_builder)
    return calls


@pytest.mark.parametrize(
    ("name", "row", "id_", "gold"),
    [
        ("aime24", {"ID": "2024-II-4", "Problem": "Q?", "Solution": "s", "Answer": 33}, "2024-II-4", "33"),
        ("aime25", {"problem": "Q?", "answer": "70", "id": "0"}, "0", "70"),
        ("amc23", {"id": 0, "answer": "27.0", "url": "u", "question": "Q?"}, "0", "27"),
        ("math500", {"problem": "Q?", "answer": "p - q", "unique_id": "test/1.json"}, "test/1.json", "p - q"),
        ("minerva_math", {"question": "Q?", "answer": "4.5e33"}, "0", "4.5e33"),
        ("gsm8k", {"question": "Q?", "answer": "She has\n#### 70,000"}, "0", "70000"),
        ("olympiadbench", {"id": 1606, "question": "Q?", "final_answer": ["2"]}, "1606", "2"),
    ],
)
def test_rows_of_the_hub(
    monkeypatch: pytest.MonkeyPatch, name: str, row: dict[str, Any], id_: str, gold: str
) -> None:
    calls = serve(monkeypatch, [row])
    task = load_task(name)
    [problem] = load_problems(task)
    assert problem == Problem(task=name, id=id_, question="Q?" + INSTRUCTION, gold=(gold,), choices=())
    [(args, kwargs)] = calls
    assert args == (task.dataset.path, task.dataset.name)
    assert kwargs == {"split": task.dataset.split, "revision": task.dataset.revision}


def test_several_answers_must_all_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, [{"id": 1, "question": "Q?", "final_answer": ["2", "-3"]}])
    [problem] = load_problems(load_task("olympiadbench"))
    assert problem.gold == ("2", "-3")


def test_a_renamed_column_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, [{"ID": "1", "Question": "Q?", "Answer": 3}])
    with pytest.raises(
        InputError, match=r"no column 'Problem' \(metadata\.fields\.problem\); it has ID, Question"
    ):
        load_problems(load_task("aime24"))


def test_no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, [])
    with pytest.raises(InputError, match="has no rows"):
        load_problems(load_task("aime24"))


@pytest.mark.parametrize("error", [ConnectionError, FileNotFoundError, ValueError, RuntimeError])
def test_an_unreachable_hub_is_one_line_that_names_data_dir(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    import datasets

    def fail(*_: object, **__: object) -> None:
        raise error("no such\nthing")

    monkeypatch.setattr("reghar.hub.hub_silence", lambda: None)
    monkeypatch.setattr(datasets, "load_dataset_builder", fail)
    with pytest.raises(InputError, match=r"math-ai/aime25.*no such thing.*--data-dir") as caught:
        load_problems(load_task("aime25"))
    assert "\n" not in str(caught.value)


def test_without_the_package_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"reghar\[hub\].*--data-dir"):
        load_problems(load_task("aime25"))


# Tasks of a user's own

PLAIN = """
task: mine
dataset_path: json
dataset_kwargs: {data_files: mine-questions.jsonl}
doc_to_text: "Q: {{q}}\\nA:"
doc_to_target: "{{a}}"
"""


def test_local_file_beside_the_yaml(tmp_path: Path) -> None:
    (tmp_path / "mine-questions.jsonl").write_text('{"q": "1 + 1?", "a": 2}\n{"q": "2 + 2?", "a": 4}\n')
    problems = load_problems(user_task(tmp_path, PLAIN))
    assert [(p.id, p.question, p.gold) for p in problems] == [
        ("0", "Q: 1 + 1?\nA:", ("2",)),
        ("1", "Q: 2 + 2?\nA:", ("4",)),
    ]


@pytest.mark.parametrize("files", ["{test: [a.jsonl, b.json]}", "[a.jsonl, b.json]"])
def test_several_local_files(tmp_path: Path, files: str) -> None:
    (tmp_path / "a.jsonl").write_text('{"q": "1?", "a": 1}\n')
    (tmp_path / "b.json").write_text('[\n {"q": "2?", "a": 2},\n {"q": "3?", "a": 3}\n]\n')
    task = user_task(tmp_path, PLAIN.replace("mine-questions.jsonl", files))
    assert [problem.gold for problem in load_problems(task)] == [("1",), ("2",), ("3",)]


def test_local_file_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data file 'mine-questions\.jsonl' is neither beside"):
        load_problems(user_task(tmp_path, PLAIN))


def test_a_format_that_only_datasets_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "x.csv").write_text("q,a\n1?,1\n")
    task = user_task(tmp_path, PLAIN.replace("json\n", "csv\n").replace("mine-questions.jsonl", "x.csv"))
    assert [problem.gold for problem in load_problems(task)] == [("1",)]


def test_own_yaml_with_data_dir_needs_nothing_else(tmp_path: Path, rows: Write) -> None:
    [problem] = load_problems(user_task(tmp_path, "task: mine\n"), rows(ROW, task="mine"))
    assert problem == Problem(
        task="mine", id="one", question="What is 1 + 1?" + INSTRUCTION, gold=("2",), choices=()
    )


def test_a_column_that_nobody_named(tmp_path: Path, rows: Write) -> None:
    with pytest.raises(InputError, match=r"has no 'problem'; it has id, text, answer \(metadata\.fields"):
        load_problems(
            user_task(tmp_path, "task: mine\n"), rows({"id": 1, "text": "t", "answer": 1}, task="mine")
        )


def test_fields_name_columns(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"n": 7, "text": "1?", "answer": "long", "final": 1}\n')
    task = user_task(
        tmp_path,
        "task: mine\ndataset_path: json\ndataset_kwargs: {data_files: d.jsonl}\n"
        "metadata: {fields: {id: n, problem: text, answer: final}}\n",
    )
    [problem] = load_problems(task)
    assert (problem.id, problem.question, problem.gold) == ("7", "1?" + INSTRUCTION, ("1",))


def test_neither_data_nor_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no dataset_path.*--data-dir"):
        load_problems(user_task(tmp_path, "task: mine\n"))


def test_alternatives_are_refused(tmp_path: Path, rows: Write) -> None:
    task = user_task(tmp_path, 'task: mine\ndoc_to_target: "{{aliases}}"\n')
    with pytest.raises(InputError, match="several targets"):
        load_problems(task, rows({**ROW, "aliases": ["2", "two"]}, task="mine"))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{{problem", "template '{{problem' is broken"),
        ("{{problem.nothing.there}}", "does not fit the template"),
        ("{{problem | unknown}}", "is broken"),
        ("{{problem / 2}}", "does not fit the template"),
    ],
)
def test_broken_templates(tmp_path: Path, rows: Write, rule: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_problems(user_task(tmp_path, f"task: mine\ndoc_to_text: '{rule}'\n"), rows(ROW, task="mine"))


FUNCTIONS = """
CALLS = []

def rows(count, **metadata):
    CALLS.append(metadata)
    return {"test": [{"n": i} for i in range(count)], "train": []}

def wrong(**_):
    return [1, 2]

def text(row):
    return f"What is {row['n']} + 1?"

def gold(row):
    return row["n"] + 1

def odd(dataset):
    return [row for row in dataset if row["n"] % 2]
"""


def test_functions_beside_the_yaml(tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text(FUNCTIONS)
    task = user_task(
        tmp_path,
        "task: mine\ncustom_dataset: !function made.rows\nprocess_docs: !function made.odd\n"
        "doc_to_text: !function made.text\ndoc_to_target: !function made.gold\n"
        "metadata: {version: 2, count: 4}\n",
    )
    problems = load_problems(task)
    assert [(p.question, p.gold) for p in problems] == [
        ("What is 1 + 1?", ("2",)),
        ("What is 3 + 1?", ("4",)),
    ]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("made.nothing", "cannot be loaded"),
        ("nowhere_to_be_found.rows", "cannot be loaded"),
        ("rows", "names no module"),
        ("made.CALLS", "is not a function"),
        ("broken.rows", "cannot be loaded"),
        ("made.wrong", "gave no split 'test'"),
    ],
)
def test_functions_that_are_not_there(tmp_path: Path, function: str, message: str) -> None:
    (tmp_path / "made.py").write_text(FUNCTIONS)
    (tmp_path / "broken.py").write_text("def rows(:\n")
    with pytest.raises(InputError, match=message):
        load_problems(user_task(tmp_path, f"task: mine\ncustom_dataset: !function {function}\n"))
