"""What a test needs beside Python packages: its absence skips the test by hand and fails it in CI."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]


def missing(what: str) -> NoReturn:
    """Ends the test. In CI (`CI` in the environment) nothing may be left out unseen."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def trackers_python() -> Path:
    """The interpreter of the environment with the experiment trackers and inspect_ai."""
    folder = Path(sys.prefix).parent / ".venv-trackers"
    if not (folder / ".ready").is_file():
        missing("no environment with the experiment trackers: make .venv-trackers/.ready")
    return folder / "bin" / "python"
