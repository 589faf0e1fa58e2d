"""The command line as a process: a crash is never a verdict, and no stream can make it one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reghar import cli

RUN = Path(__file__).resolve().parents[1] / "results" / "reference" / "terse"
MODULE = [sys.executable, "-m", "reghar"]


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    line = command.replace("reghar", f"{sys.executable} -m reghar", 1)
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, env={**os.environ, **environment}, timeout=120
    )


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def handler(_: object) -> int:
        raise RuntimeError("first line\nsecond \x1b[31m line")

    monkeypatch.setattr("reghar.cli.tasks._list", handler)


@pytest.mark.usefixtures("broken")
def test_an_error_of_our_own_is_one_line_and_70(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tasks", "list"]) == 70
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "RuntimeError: first line second" in error
    assert "please report it to the issues of the repository" in error
    assert "\x1b" not in error


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("words", [["--debug", "tasks", "list"], ["tasks", "list", "--debug"]])
def test_debug_shows_where(words: list[str]) -> None:
    with pytest.raises(RuntimeError):
        cli.main(words)


def test_a_full_disk_under_the_output_is_said() -> None:
    done = shell("reghar tasks list > /dev/full")
    assert done.returncode == 3
    assert done.stderr == b"reghar: error: cannot write to standard output: no space left on device\n"


def test_closed_streams_lose_nothing_but_the_output() -> None:
    for command in ("reghar tasks list >&-", "reghar tasks list 2>&-", "reghar tasks list >&- 2>&-"):
        done = shell(command)
        assert done.returncode == 0
        assert b"Traceback" not in done.stderr


def test_a_reader_that_has_gone_is_no_passed_check() -> None:
    # Many pages are more than a pipe holds, so that the writer meets the closed end.
    many = "import sys; from reghar.cli import main; "
    many += "sys.exit(max(main('frontier show Qwen3-8B'.split()) for _ in range(99)))"
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; {sys.executable} -c "{many}" | true'], capture_output=True
    )
    assert done.returncode == 141
    assert done.stderr == b""


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_any_encoding_will_do(encoding: str, tmp_path: Path) -> None:
    done = shell(f"reghar report {RUN} --out {tmp_path}", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    if encoding == "ascii":
        assert b"[-" in done.stdout
        assert b"?" not in done.stdout


@pytest.mark.parametrize(
    ("typed", "meant"), [("repot", "report"), ("chekc", "check"), ("lm_eval", "lm-eval"), ("Run", "run")]
)
def test_the_command_that_was_meant_is_named(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([typed]) == 2
    assert f"did you mean `reghar {meant}`?" in capsys.readouterr().err


def test_every_command_is_in_one_group_of_the_help() -> None:
    text = cli.make_parser().format_help()
    for command in cli.COMMANDS:
        assert len(re.findall(rf"\n    {command.replace('_', '-')}\s", text)) == 1
    modules = {path.stem for path in Path(cli.__file__).parent.glob("*.py")}
    assert modules - set(cli.COMMANDS) == {"__init__", "options", "streams", "tracking", "until_width"}
