"""Fixtures that several test modules share."""

from pathlib import Path

import pytest
from helpers.needs import missing


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the specification, the published figures and the benchmark data."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        missing(f"needs the reference data in {folder}")
    return folder
