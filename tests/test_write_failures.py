"""A disk that is full or read-only in the middle: one line, exit code 3, and nothing stored is lost."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from reghar.cli import main

RUN = Path(__file__).parent / "fixtures" / "run-1"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


@pytest.mark.parametrize(
    "code", [errno.ENOSPC, errno.EROFS, errno.EACCES], ids=["full", "read-only", "denied"]
)
@pytest.mark.parametrize("command", ["score", "report"])
def test_nothing_is_lost_when_nothing_can_be_written(
    command: str,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    shutil.copytree(RUN, run)
    before = contents(run)

    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    assert main([command, str(run)]) == 3
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert os.strerror(code) in error
    monkeypatch.undo()
    assert contents(run) == before
    assert main([command, str(run)]) == 0


def test_a_swap_that_fails_half_way_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    shutil.copytree(RUN, run)
    scores = contents(run / "scores")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self.name.startswith(".scores.new"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    assert main(["score", str(run)]) == 3
    assert contents(run / "scores") == scores
