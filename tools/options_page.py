"""`docs/options.md`, written from the command line's own parser: `python -m tools.options_page`."""

from __future__ import annotations

import argparse
from pathlib import Path

from reghar.cli.run import add_run_options
from reghar.run.settings import run_options

PAGE = Path(__file__).resolve().parents[1] / "docs" / "options.md"

_HEAD = """# Options of a run

Every flag of `reghar run`, with the name of its setting: that under which `run.json` stores it, and by which
`reghar.lm_eval_bridge.RegharLM` takes it (where lm-eval itself chooses the tasks and their problems). A flag
without one decides how the command goes about it, not what the run is. This page is written by
`python -m tools.options_page` from the declarations in `reghar/run/settings.py`.
"""


def page() -> str:
    """The page as it has to be."""
    parser = argparse.ArgumentParser(add_help=False)
    add_run_options(parser)
    parts = [_HEAD]
    for group in parser._action_groups:
        if group._group_actions:
            rows = "".join(_row(action) for action in group._group_actions)
            parts.append(f"## {_escaped(group.title or '')}\n\n| flag | setting | |\n|:--|:--|:--|\n{rows}")
    return "\n".join(parts)


def _row(action: argparse.Action) -> str:
    flags = ", ".join(f"`{each}{_values(action)}`" for each in action.option_strings)
    setting = f"`{action.dest}`" if action.dest in run_options() else ""
    text = (action.help or "").replace("%%", "%")
    return f"| {_escaped(flags)} | {setting} | {_escaped(text)} |\n"


def _values(action: argparse.Action) -> str:
    """What follows the flag."""
    if action.nargs == 0:
        return ""
    if action.choices is not None:
        return f" {'|'.join(action.choices)}"
    names = action.metavar or action.dest.upper()
    return f" {names if isinstance(names, str) else ' '.join(names)}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page())
