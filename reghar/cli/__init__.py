"""The command line: parse, call, print. Each command is one module with `add_parser`."""

from __future__ import annotations

import argparse
import errno
import re
import sys
from importlib import import_module
from typing import NoReturn

from reghar import __version__
from reghar.cli import streams
from reghar.errors import InputError, RegharError, RunInterruptedError
from reghar.terminal import printable, shortened

GROUPS = {
    "measure": ("run", "probe", "score", "report", "view", "lm_eval", "reg", "scaling", "judge", "grade"),
    "compare": ("compare", "check", "power"),
    "serve": ("recommend", "policies"),
    "train": ("reward", "export"),
    "data": ("frontier", "tasks", "budgets", "contamination"),
}
"""Commands by what somebody wants, in the order of `reghar --help`. Each is a module of this package."""

COMMANDS = tuple(command for group in GROUPS.values() for command in group)

EXIT_CODES = """exit codes:
  0    done
  1    a check failed
  2    bad input, or things that must not be compared
  3    the engine, the disk or a tracker failed; what was finished is stored
  4    a check is undecided
  70   an error of reghar itself; --debug shows where
  130  interrupted; what was finished is stored
  141  whoever read the output has gone"""

_INTERNAL = 70  # EX_SOFTWARE: 1 is a check's verdict, and must not be what Python gives a traceback
_READER_GONE = 141  # as a shell says it of a program that died of SIGPIPE


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other error does."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Shows the commands in groups where argparse would list them all in one."""

    def _format_action(self, action: argparse.Action) -> str:
        if not isinstance(action, argparse._SubParsersAction):
            return super()._format_action(action)
        lines = {choice.dest: choice for choice in action._get_subactions()}
        text = []
        for group, commands in GROUPS.items():
            text.append(f"  {group}:\n")
            self._indent()
            text += [super(_Help, self)._format_action(lines[_word(command)]) for command in commands]
            self._dedent()
        return "".join(text)


def _word(command: str) -> str:
    """A command as it is typed."""
    return command.replace("_", "-")


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; imports nothing heavy."""
    parser = _Parser(
        prog="reghar",
        description="Accuracy at every token budget from one generation, and the reasoning efficiency gap.",
        epilog=EXIT_CODES,
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"reghar {__version__}")
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error of reghar itself"
    )
    subparsers = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=_Parser
    )
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


def _refuse_unknown(words: list[str]) -> None:
    """Says which command was meant; argparse would list them all."""
    known = [_word(command) for command in COMMANDS]
    first = next((word for word in words if not word.startswith("-")), None)
    if first is None or first in known:
        return
    from difflib import get_close_matches

    near = get_close_matches(first.lower(), known, n=1, cutoff=0.5)
    meant = f"did you mean `reghar {near[0]}`?" if near else "see reghar --help"
    raise InputError(f"there is no command {first!r}: {meant}")


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; returns its exit code. Errors that a user can mend are one line, no traceback."""
    streams.prepare()
    words = _join_negatives(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    code: int | None = None
    try:
        _refuse_unknown(words)
        parsed = make_parser().parse_args(words)
        parsed.command_line = words
        code = parsed.handler(parsed)
        sys.stdout.flush()
        assert code is not None  # noqa: S101 - every handler returns one
    except (RunInterruptedError, KeyboardInterrupt):
        return _say("reghar: interrupted", RunInterruptedError.exit_code)
    except RegharError as error:
        return _say(f"reghar: error: {printable(' '.join(str(error).split()))}", error.exit_code)
    except BrokenPipeError:
        streams.abandon(sys.stdout)
        return _READER_GONE if code is None else code
    except Exception as error:
        if debug:
            raise
        if _is_full(error):
            streams.abandon(sys.stdout)
            return _say("reghar: error: cannot write to standard output: no space left on device", 3)
        what = printable(" ".join(f"{type(error).__name__}: {error}".split()))
        return _say(
            f"reghar: internal error: {shortened(what, 300)}; the same command with --debug shows where; "
            f"please report it to {_issues()}",
            _INTERNAL,
        )
    return code


def _issues() -> str:
    """Where errors of reghar itself are reported: the address that the installed package names."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        addresses = metadata("reghar").get_all("Project-URL") or []
    except PackageNotFoundError:
        addresses = []
    named = dict(str(one).split(", ", 1) for one in addresses)
    return named.get("Issues", "the issues of the repository that this copy is from")


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None


def _say(line: str, code: int) -> int:
    """One line to standard error, which may be gone too; returns the exit code."""
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except OSError:
        streams.abandon(sys.stderr)
    return code
