"""Programs that a model wrote: what is graded, how it ends, and the hostile ones contained."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.needs import missing

from reghar.cli import main
from reghar.errors import InputError
from reghar.fenced import UnclosedBlockError, last_fenced_block
from reghar.grading import sandbox
from reghar.grading.code import grade_code
from reghar.grading.outcome import Outcome
from reghar.grading.sandbox import Execution, Limits, run_program
from reghar.tasks.code_tests import CodeTests, read_tests

SHORT = Limits(seconds=3.0)
DOUBLE = CodeTests(inputs=("2\n", "21\n"), outputs=("4\n", "42\n"))
CHECK = CodeTests(
    test="def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-1) == -2\n",
    entry_point="double",
)


@pytest.fixture(scope="module")
def _sandbox() -> None:
    """Skips where there is none; fails in CI."""
    try:
        sandbox.require_sandbox()
    except InputError as error:
        missing(str(error))


contained = pytest.mark.usefixtures("_sandbox")


def fenced(source: str) -> str:
    return f"Here it is:\n```python\n{source}\n```\nDone."


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("no code", None),
        ("```\na\n```", "a\n"),
        ("```py\nfirst\n```\ntext\n```python\nlast\n```", "last\n"),
        ("~~~\na\n```\nb\n~~~", "a\n```\nb\n"),
        ("````\n```\ninner\n```\n````", "```\ninner\n```\n"),
        ("inline ```code``` only", None),
        ("```\n```", ""),
    ],
)
def test_the_last_fenced_block_is_the_answer(text: str, block: str | None) -> None:
    assert last_fenced_block(text) == block


def test_a_block_that_is_not_closed() -> None:
    with pytest.raises(UnclosedBlockError):
        last_fenced_block("```\na\n```\n```python\nb")


@contained
@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (fenced("print(2 * int(input()))"), Outcome.CORRECT),
        (fenced("print(2 * int(input()), ' ')\nprint()"), Outcome.CORRECT),
        (fenced("print(4)"), Outcome.TESTS_FAILED),
        (fenced("pass"), Outcome.TESTS_FAILED),
        (fenced("print(1 / 0)"), Outcome.RUNTIME_ERROR),
        (fenced("not python"), Outcome.RUNTIME_ERROR),
        (fenced("while True: pass"), Outcome.TIME_LIMIT),
        (fenced("x = bytearray(10 << 30)"), Outcome.MEMORY_LIMIT),
        (fenced("while True: print('x' * 999)"), Outcome.RUNTIME_ERROR),
        ("print(2 * int(input()))", Outcome.NO_ANSWER),
        ("```python\nprint(2 * int(input()))", Outcome.UNTERMINATED),
    ],
)
def test_outcomes_of_pairs(text: str, outcome: Outcome) -> None:
    assert grade_code(text, DOUBLE, SHORT).outcome is outcome


@contained
@pytest.mark.parametrize(
    ("source", "outcome"),
    [
        ("def double(x): return 2 * x", Outcome.CORRECT),
        ("def double(x):\n    print('debug')\n    return x + x", Outcome.CORRECT),
        ("def double(x): return abs(2 * x)", Outcome.TESTS_FAILED),
        ("def double(x): pass", Outcome.TESTS_FAILED),
        ("def twice(x): return 2 * x", Outcome.RUNTIME_ERROR),
        ("import os\nos._exit(0)", Outcome.TESTS_FAILED),
        ("print('passed')\nraise SystemExit(0)", Outcome.TESTS_FAILED),
        ("def double(x):\n    while True: pass", Outcome.TIME_LIMIT),
    ],
)
def test_outcomes_of_a_check_function(source: str, outcome: Outcome) -> None:
    assert grade_code(fenced(source), CHECK, SHORT).outcome is outcome


def hostile(source: str, limits: Limits = SHORT) -> Execution:
    return run_program(source, b"", limits)


def attempt(code: str) -> str:
    """A program that says what became of `code`, which would be an escape."""
    body = "\n".join(f"    {line}" for line in code.split("\n"))
    outcome = "    print('ESCAPED')\nexcept OSError as error:\n    print('no', error.errno)"
    return f"import os, socket\ntry:\n{body}\n{outcome}"


@contained
class TestHostile:
    """Contained: nothing is seen, nothing is left, nothing outlives the run."""

    def test_a_fork_bomb(self) -> None:
        bomb = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
        assert hostile(bomb).timed_out
        assert not self._left("/code/main.py")

    def test_processes_are_counted(self) -> None:
        source = (
            "import os, time\nn = 0\ntry:\n    while n < 500:\n        if os.fork() == 0:\n"
            "            time.sleep(2); os._exit(0)\n        n += 1\nexcept OSError: print(n)"
        )
        assert 0 < int(hostile(source).stdout) <= SHORT.processes

    def test_endless_output(self) -> None:
        execution = hostile("while True: print('x' * 1000)")
        assert execution.overflowed
        assert len(execution.stdout) == SHORT.output

    def test_sleeping_forever_even_with_closed_outputs(self) -> None:
        start = time.monotonic()
        assert hostile("import time\ntime.sleep(1000)").timed_out
        assert hostile("import os, time\nos.close(1)\nos.close(2)\ntime.sleep(1000)").timed_out
        assert time.monotonic() - start < 60, "not the thousand seconds that it asks for"

    def test_a_process_that_leaves_its_session_dies_with_the_run(self) -> None:
        marker = f"marker-{time.time_ns()}"
        source = (
            "import os, sys, time\nif os.fork() == 0:\n    os.setsid()\n    os.close(1); os.close(2)\n"
            f"    os.execv(sys.executable, ['python', '-c', 'import time; time.sleep(99)  # {marker}'])\n"
            "print('bye')"
        )
        assert hostile(source).stdout == b"bye\n"
        assert not self._left(marker)

    @pytest.mark.parametrize("place", ["/etc/passwd", str(Path(__file__))])
    def test_no_file_of_ours_can_be_read(self, place: str) -> None:
        assert hostile(attempt(f"open({place!r}).read(1)")).stdout.startswith(b"no ")

    def test_the_home_folder_and_the_gold_are_not_there(self, tmp_path: Path) -> None:
        (tmp_path / "gold.json").write_text("42")
        for place in (Path.home(), tmp_path, Path.cwd()):
            assert hostile(attempt(f"os.listdir({str(place)!r})")).stdout.startswith(b"no ")

    def test_the_environment_is_not_ours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CHAT_KEY", "sk-secret")
        source = (
            "import glob, os\nprint(dict(os.environ))\nfor file in glob.glob('/proc/*/environ'):\n"
            "    try: print(open(file).read())\n    except OSError: pass"
        )
        printed = hostile(source).stdout
        assert b"/box" in printed
        assert b"sk-secret" not in printed

    def test_no_network_not_even_loopback(self) -> None:
        import socket

        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            connect = f"socket.create_connection(('127.0.0.1', {port}), timeout=1)"
            assert hostile(attempt(connect)).stdout.startswith(b"no ")

    def test_it_cannot_kill_its_parent(self) -> None:
        source = (
            "import os\nfor target in (1, os.getppid(), -1):\n    try: os.kill(target, 9)\n"
            "    except OSError: pass\nprint('still here')"
        )
        assert hostile(source).stdout == b"still here\n"

    def test_it_cannot_write_10_gb_anywhere(self) -> None:
        source = (
            "import os\nwritten = 0\n"
            "for folder in ('.', '/dev/shm', '/dev', '/tmp', '/', '/code', '/usr', '/run', '/var/tmp'):\n"
            "    try:\n        for i in range(160):\n"
            "            with open(f'{folder}/f{i}', 'wb') as file: written += file.write(bytes(1 << 26))\n"
            "    except OSError: pass\nprint(written)"
        )
        assert int(hostile(source).stdout) <= SHORT.files

    def _left(self, word: str) -> bool:
        """Whether a process still has a word in its command line, shortly after the end."""
        for _ in range(20):
            if not any(word in _command(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
                return False
            time.sleep(0.1)
        return True


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text(errors="replace")
    except OSError:
        return ""


def test_without_a_sandbox_nothing_runs_unless_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "bwrap" else found(name))
    sandbox.missing_sandbox.cache_clear()
    try:
        with pytest.raises(InputError, match=r"bwrap not found.*--unsafe-code"):
            grade_code(fenced("print(1)"), DOUBLE, SHORT)
        text = fenced("print(2 * int(input()))")
        assert grade_code(text, DOUBLE, SHORT, unsafe=True).outcome is Outcome.CORRECT
        assert grade_code(fenced("x = 1"), DOUBLE, SHORT, unsafe=True).outcome is Outcome.TESTS_FAILED
    finally:
        sandbox.missing_sandbox.cache_clear()


@pytest.mark.parametrize(
    "content",
    [
        None,
        {},
        {"inputs": ["1"], "outputs": []},
        {"inputs": [1], "outputs": ["1"]},
        {"test": "def check(f): pass"},
        {"test": "def check(f): pass", "entry_point": "a b"},
        {"inputs": ["1"], "outputs": ["1"], "test": "x", "entry_point": "f"},
    ],
)
def test_tests_that_are_none(content: Any) -> None:
    with pytest.raises(InputError, match="inputs"):
        read_tests(content)


@contained
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tests = tmp_path / "tests.json"
    tests.write_text(json.dumps({"inputs": list(DOUBLE.inputs), "outputs": list(DOUBLE.outputs)}))
    words = ["grade", "--kind", "code", "--tests", str(tests), "--answer"]
    assert main([*words, fenced("print(2 * int(input()))")]) == 0
    assert capsys.readouterr().out == "outcome: correct\nwhy:     2 tests passed\n"
    assert main([*words, fenced("raise ValueError('\\x1b[31mred')")]) == 0
    printed = capsys.readouterr().out
    assert "outcome: runtime_error" in printed
    assert "\x1b" not in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kind", "code", "--answer", "x"], "takes --tests FILE"),
        (["--kind", "code", "--answer", "x", "--tests", "nowhere.json"], "cannot be read"),
        (["--gold", "1", "--answer", "1", "--unsafe-code"], "belong to --kind code"),
    ],
)
def test_bad_requests(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grade", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="user ids are Linux's")
@contained
def test_it_is_nobody() -> None:
    who = subprocess.run(["id", "-u"], capture_output=True, check=True).stdout
    inside = hostile("import os\nprint(os.getuid())").stdout
    assert inside != b"0\n"
    assert who != b"0\n" or int(inside) >= 200_000
