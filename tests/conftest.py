"""Fixtures that several test modules share."""

import os
from collections import Counter
from pathlib import Path

import pytest
from helpers.needs import missing

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def benchmark_data() -> Path:
    """The folder with the problems of the benchmarks, a `<task>.jsonl[.gz]` each.

    They are not part of the repository. Where `REGHAR_TEST_DATA` is `none`, nobody expects them and
    their tests are skipped in CI too.
    """
    folder = Path(os.environ.get("REGHAR_TEST_DATA") or ROOT.parent / "shared" / "data")
    if str(folder) == "none":
        pytest.skip("REGHAR_TEST_DATA is none: no benchmark problems here")
    if not folder.is_dir():
        missing(f"no benchmark problems in {folder}: put <task>.jsonl files there, or set REGHAR_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def published() -> Path:
    """Figures and strings that papers printed; their sources are in its README."""
    return ROOT / "tests" / "published"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line a reason, however many tests it skips; `addopts` leaves pytest's own lines out."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2] for report in skipped)
    for reason, tests in reasons.items():
        terminalreporter.write_line(f"{tests} {reason[0].lower()}{reason[1:]}")
