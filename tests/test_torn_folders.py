"""Every command that writes into a run's folder, with any of its files damaged: command x file x damage.

Whatever the damage: a documented exit code, one line that says what is wrong, and no stored answer or
verdict less than before; what a resumed run cannot use it keeps under a hidden name.
"""

import itertools
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reghar.cli import main
from reghar.grading import Grade, GradeRequest, GraderPool
from reghar.store import load_run

TABLES = ("traces", "answers", "scores")
FILES = ("run.json", "problems.parquet", *(f"{table}/part-000001.parquet" for table in TABLES), *TABLES)
FLAGS = [
    *("--engine", "scripted", "--tasks", "ladder", "--limit", "3", "--samples", "2"),
    *("--budgets", "0,64,128", "--max-tokens", "300", "--frontier", "none"),
]


@pytest.fixture(scope="session")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of three parts."""
    folder = tmp_path_factory.mktemp("complete") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reghar.store.folder.FLUSH_TOKENS", 500)
        patch.setattr("reghar.cli.run.report_run", lambda _: 0)
        assert main(["run", *FLAGS, "--concurrency", "1", "--out", str(folder)]) == 0
    assert len(list((folder / "scores").glob("part-*.parquet"))) > 1
    assert load_run(folder).complete
    return folder


@pytest.fixture
def run(complete: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(complete, tmp_path / "run"))


class SharedPool:
    """The real graders, started once for all cases."""

    pool: ClassVar[GraderPool]

    def __init__(self, **_: object) -> None: ...

    def __enter__(self) -> GraderPool:
        return self.pool

    def __exit__(self, *_: object) -> None: ...

    def grade_all(self, requests: Iterable[GradeRequest]) -> Iterator[Grade]:
        return self.pool.grade_all(requests)

    def close(self, wait: bool = True) -> None: ...


@pytest.fixture(scope="module", autouse=True)
def _pool() -> Iterator[None]:
    with GraderPool() as pool:
        SharedPool.pool = pool
        yield


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take a second each, and are written as all other files are."""
    monkeypatch.setattr("reghar.report.write.picture.save", lambda *_: [])
    monkeypatch.setattr("reghar.run.rescore.GraderPool", SharedPool)
    monkeypatch.setattr("reghar.run.scoring.GraderPool", SharedPool)


def remove(file: Path) -> None:
    shutil.rmtree(file) if file.is_dir() else file.unlink()


def tear(file: Path) -> None:
    for one in sorted(file.iterdir())[:1] if file.is_dir() else [file]:
        one.write_bytes(one.read_bytes()[:-40])


def garble(file: Path) -> None:
    for one in sorted(file.iterdir())[:1] if file.is_dir() else [file]:
        one.write_bytes(b"\x1b[31m\xff\x00" * 500)


def other_version(file: Path) -> None:
    if file.suffix == ".json":
        file.write_text(json.dumps(json.loads(file.read_text()) | {"schema": 99}))
        return
    for one in sorted(file.iterdir())[:1] if file.is_dir() else [file]:
        pq.write_table(pa.table({"of": ["another version"]}), one)


def folder_in_its_place(file: Path) -> None:
    remove(file)
    file.mkdir()
    (file / "x").write_text("x")


def file_in_its_place(file: Path) -> None:
    remove(file)
    file.write_text("x")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "missing": remove,
    "torn": tear,
    "garbage": garble,
    "other version": other_version,
    "folder": folder_in_its_place,
    "file": file_in_its_place,
}
COMMANDS = ("score", "report", "probe", "resume")


def command(name: str, run: Path) -> list[str]:
    if name == "resume":
        return ["run", *FLAGS, "--out", str(run), "--resume"]
    if name == "probe":
        return ["probe", str(run), "--budgets", "0,32", "--out", str(run.with_name("probed"))]
    return [name, str(run)]


def expected(name: str, file: str) -> tuple[int, ...]:
    """The exit code, whatever the damage."""
    table = file.partition("/")[0]
    if file == "run.json":
        return (2,)
    if name == "resume":
        return (0, 3)
    if name == "score":
        # Verdicts can be given again; an answer that is gone cannot be graded.
        return {"traces": (0, 2), "scores": (0, 3)}.get(table, (2,))
    if name == "report":
        # A report of what is left; none where nothing is.
        return (0,) if "/" in file or file == "problems.parquet" else (0, 2)
    return (0,) if file == "problems.parquet" or table == "answers" else (2,)


def stored_rows(folder: Path) -> dict[str, set[tuple[object, ...]]]:
    """Every row that can be read, by table; hidden files count: nothing there is lost."""
    rows: dict[str, set[tuple[object, ...]]] = {}
    for table in TABLES:
        rows[table] = set()
        for part in (folder / table).glob("*part-*") if (folder / table).is_dir() else ():
            try:
                found = pq.ParquetFile(part).read().to_pylist()
            except (pa.ArrowException, OSError):
                continue
            rows[table] |= {
                (row["problem"], row["sample"], row.get("budget"), row.get("outcome"), row.get("text"))
                for row in found
                if "problem" in row
            }
    return rows


def complaint(error: str) -> list[str]:
    return [line for line in error.splitlines() if line.startswith("reghar: ")]


CASES = [
    (name, file, damage)
    for name, file, damage in itertools.product(COMMANDS, FILES, DAMAGES)
    # A folder has no bytes of its own to tear; a file is no folder already.
    if (damage != "folder" or file not in TABLES) and (damage != "file" or file in TABLES)
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("name", "file", "damage"), CASES, ids=[" | ".join(case) for case in CASES])
def test_nothing_that_was_stored_is_lost(
    name: str, file: str, damage: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    DAMAGES[damage](run / file)
    before = stored_rows(run)
    code = main(command(name, run))
    out, error = capsys.readouterr()
    assert code in expected(name, file), error
    assert len(complaint(error)) == (code != 0), error
    assert all(len(line) < 500 for line in error.splitlines())
    assert "Traceback" not in error
    assert (out + error).replace("\n", "").isprintable(), "no bytes of the file reach the terminal"
    after = stored_rows(run)
    for table in TABLES:
        assert before[table] <= after[table], f"{table} lost rows"
    if name == "resume" and code == 0:
        assert load_run(run).complete
