"""The command line: parse, call, print. Each command is one module with `add_parser`."""

from __future__ import annotations

import argparse
import os
import re
import sys
from importlib import import_module
from typing import NoReturn

from reghar import __version__
from reghar.errors import RegharError, RunInterruptedError

COMMANDS = (
    "run",
    "probe",
    "score",
    "report",
    "view",
    "compare",
    "check",
    "lm_eval",
    "reg",
    "scaling",
    "frontier",
    "budgets",
    "tasks",
    "grade",
)
"""In the order of `reghar --help`; each is a module of this package, `lm-eval` that of `lm_eval`."""

EXIT_CODES = """exit codes:
  0  done
  1  a check failed
  2  bad input, or things that must not be compared
  3  the engine or the disk failed; what was finished is stored
  130  interrupted; what was finished is stored"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other error does."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; imports nothing heavy."""
    parser = _Parser(
        prog="reghar",
        description="Accuracy at every token budget from one generation, and the reasoning efficiency gap.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"reghar {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        import_module(f"reghar.cli.{command}").add_parser(subparsers)
    return parser


def _join_negatives(words: list[str]) -> list[str]:
    """`--budgets -1,64` as `--budgets=-1,64`: argparse would take the value for an unknown option."""
    joined: list[str] = []
    for word in words:
        if joined and re.match(r"-\d", word) and re.fullmatch(r"--[\w-]+", joined[-1]):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; returns its exit code. Errors that a user can mend are one line, no traceback."""
    words = _join_negatives(sys.argv[1:] if arguments is None else arguments)
    parsed = make_parser().parse_args(words)
    parsed.command_line = words
    try:
        code: int = parsed.handler(parsed)
        sys.stdout.flush()
    except RunInterruptedError:
        sys.stderr.write("reghar: interrupted\n")
        return RunInterruptedError.exit_code
    except RegharError as error:
        sys.stderr.write(f"reghar: error: {' '.join(str(error).split())}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("reghar: interrupted\n")
        return 130
    except BrokenPipeError:
        # The reader (`head`, a pager) has gone; silence the flush at exit as well.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
