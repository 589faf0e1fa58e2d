"""What the stand-in of the hub serves: a few problems of our own in the columns, formats and revisions of
the benchmarks' real data sets, and a demo model."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from helpers.code_problems import HUMANEVAL, LIVECODEBENCH
from helpers.hub_api import Hub
from reghar import demo
from reghar.tasks import load_task

SUMS = ((3, 4), (5, 6), (2, 7))
"""What every data set asks, in its own words."""
QUESTIONS = [f"What is ${a} + {b}$?" for a, b in SUMS]
ANSWERS = [a + b for a, b in SUMS]
SOLUTIONS = [f"Adding {b} to {a} gives {a + b}." for a, b in SUMS]
MODEL = "demo-lab/terse"
LIVECODEBENCH_DATA = "livecodebench/code_generation_lite"
LIVECODEBENCH_COMMIT = "0fe84c3912ea0c4d4a78037083943e8f0c4dd505"


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def _json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


def _csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _card(*configs: tuple[str, str, str]) -> bytes:
    """A README whose head names configuration, split and file of each."""
    entries = "".join(
        f"- config_name: {name}\n  data_files:\n  - split: {split}\n    path: {path}\n"
        for name, split, path in configs
    )
    return f"---\nconfigs:\n{entries}---\n# A data set\n".encode()


def _rows(**columns: list[Any]) -> list[dict[str, Any]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def data_files() -> dict[str, dict[str, bytes]]:
    """Task -> path -> content of its data set's newest commit."""
    three: list[Any] = [""] * 3
    aime24 = _rows(
        ID=["2024-I-1", "2024-I-2", "2024-II-3"], Problem=QUESTIONS, Solution=SOLUTIONS, Answer=ANSWERS
    )
    aime25 = _rows(problem=QUESTIONS, answer=[str(a) for a in ANSWERS], id=["0", "1", "2"])
    amc23 = _rows(id=[0, 1, 2], answer=[float(a) for a in ANSWERS], url=three, question=QUESTIONS)
    math500 = _rows(
        problem=QUESTIONS,
        solution=SOLUTIONS,
        answer=[str(a) for a in ANSWERS],
        subject=["Prealgebra"] * 3,
        level=[1, 2, 3],
        unique_id=[f"test/prealgebra/{i}.json" for i in range(3)],
    )
    minerva = _rows(question=QUESTIONS, answer=[str(a) for a in ANSWERS])
    gsm8k = _rows(
        question=QUESTIONS, answer=[f"{s}\n#### {a:,}" for s, a in zip(SOLUTIONS, ANSWERS, strict=True)]
    )
    gpqa = [
        {
            "Pre-Revision Question": question,
            "Question": question,
            "Correct Answer": str(answer),
            **{f"Incorrect Answer {i}": str(answer + i) for i in (1, 2, 3)},
            "Record ID": f"rec{number}",
            "High-level domain": "Arithmetic",
        }
        for number, (question, answer) in enumerate(zip(QUESTIONS, ANSWERS, strict=True))
    ]
    olympiad = _rows(
        id=[1606, 1609, 1610],
        question=QUESTIONS,
        solution=[[s] for s in SOLUTIONS],
        final_answer=[["$7$"], ["11"], ["9", "-9"]],
        context=[None] * 3,
        is_multiple_answer=[False, False, True],
        unit=[None] * 3,
        answer_type=["Numerical"] * 3,
        subfield=["Algebra"] * 3,
    )
    maths = "OE_TO_maths_en_COMP"
    return {
        "aime24": {
            "README.md": _card(("default", "train", "aime_2024_problems.parquet")),
            "aime_2024_problems.parquet": _parquet(aime24),
        },
        "aime25": {"README.md": b"# AIME 2025\n", "test.jsonl": _json_lines(aime25)},
        "amc23": {
            "README.md": _card(("default", "test", "data/test-*")),
            "data/test-00000-of-00001.parquet": _parquet(amc23),
        },
        "math500": {"README.md": b"# MATH-500\n", "test.jsonl": _json_lines(math500)},
        "minerva_math": {"README.md": b"# Minerva\n", "test.jsonl": _json_lines(minerva)},
        "gpqa_diamond": {
            "README.md": _card(
                ("gpqa_main", "train", "gpqa_main.csv"), ("gpqa_diamond", "train", "gpqa_diamond.csv")
            ),
            "gpqa_main.csv": _csv(gpqa[:1]),
            "gpqa_diamond.csv": _csv(gpqa),
        },
        "gsm8k": {
            "README.md": _card(("main", "test", "main/test-*"), ("socratic", "test", "socratic/test-*")),
            "main/test-00000-of-00001.parquet": _parquet(gsm8k),
            "socratic/test-00000-of-00001.parquet": _parquet(gsm8k[:1]),
        },
        "humaneval": {
            "README.md": _card(("openai_humaneval", "test", "openai_humaneval/test-*")),
            "openai_humaneval/test-00000-of-00001.parquet": _parquet(HUMANEVAL),
        },
        "olympiadbench": {
            "README.md": _card((maths, "train", f"{maths}/{maths}.parquet")),
            f"{maths}/{maths}.parquet": _parquet(olympiad),
        },
    }


def make_hub() -> Hub:
    """The data sets at the revisions that the tasks pin, each followed by a newer commit whose rows
    nobody may get, and a demo model."""
    hub = Hub()
    for name, files in data_files().items():
        dataset = load_task(name).dataset
        assert dataset.path is not None
        gated = name == "gpqa_diamond"
        hub.add("datasets", dataset.path, files, commit=dataset.revision, gated=gated)
        if dataset.revision is not None:
            spoilt = {path: content.replace(b"What", b"Wrong") for path, content in files.items()}
            hub.add("datasets", dataset.path, spoilt)
    later = [{**LIVECODEBENCH[2], "question_id": str(number)} for number in range(3)]
    names = ["test.jsonl", *(f"test{number}.jsonl" for number in range(2, 7))]
    files = {name: _json_lines([row]) for name, row in zip(names, [*LIVECODEBENCH, *later], strict=True)}
    files["code_generation_lite.py"] = b"raise SystemExit('data sets run no scripts')"
    hub.add("datasets", LIVECODEBENCH_DATA, files, commit=LIVECODEBENCH_COMMIT)
    hub.add("datasets", LIVECODEBENCH_DATA, dict.fromkeys(files, b"{}"))
    hub.add("models", MODEL, model_files(demo.MODELS["terse"]))
    return hub


def model_files(folder: Path) -> dict[str, bytes]:
    """Every file of a saved model."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
