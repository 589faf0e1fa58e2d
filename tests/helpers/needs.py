"""What a test needs beside Python packages: its absence skips the test by hand and fails it in CI."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Ends the test. In CI (`CI` in the environment) nothing may be left out unseen."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
