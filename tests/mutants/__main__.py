"""`make mutants`: every fault in a copy of the tree, its tests run there, survivors named.

The copies are of the tree as it is at the start, and there every named test file must pass without any
fault: a fault that is "found" by a test which fails anyway is not found.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree, ignore_patterns

from mutants.faults import ROOT, Fault, faults

_LEFT_OUT = ignore_patterns(".*", "__pycache__", "results", "dist", "build", "site")
_WORKERS = 2
_HANGS = 1800
"""Seconds, far above what any test file takes: a fault that never ends is found."""


def failing(tree: Path, tests: Sequence[str]) -> str | None:
    """The end of pytest's output where one of these test files fails in the tree, None where all pass.

    Raises RuntimeError where pytest ends otherwise: then nothing was tested.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", *(f"tests/{test}" for test in tests)]
    data = ROOT.parent / "shared" / "data"
    environment = {"REGHAR_TEST_DATA": str(data) if data.is_dir() else "none"} | os.environ
    environment |= {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=_HANGS
        )
    except subprocess.TimeoutExpired:
        return "does not end"
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pytest {' '.join(tests)} ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout[-2000:] if done.returncode else None


def found(fault: Fault, snapshot: Path) -> bool:
    """Whether a named test fails on the fault, put into a copy of the snapshot."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        copytree(snapshot, tree, ignore=_LEFT_OUT)
        fault.put_into(tree)
        return failing(tree, fault.tests) is not None


def main(words: list[str]) -> int:
    """Tries the faults whose names hold one of the words, all without words; 1 where one survives, 2
    where a test fails without any fault."""
    chosen = [one for one in faults() if not words or any(word in one.name for word in words)]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(_WORKERS) as pool:
        snapshot = Path(folder) / "tree"
        copytree(ROOT, snapshot, ignore=_LEFT_OUT)
        files = sorted({test for one in chosen for test in one.tests})
        for test, output in zip(files, pool.map(lambda test: failing(snapshot, [test]), files), strict=True):
            if output is not None:
                sys.stdout.write(f"{test} fails without any fault:\n{output}\n")
                return 2
        survivors = []
        for one, seen in zip(chosen, pool.map(lambda one: found(one, snapshot), chosen), strict=True):
            if not seen:
                survivors.append(one)
                sys.stdout.write(f"survives: {one.name} ({one.file}; {' '.join(one.tests)})\n")
                sys.stdout.flush()
    sys.stdout.write(f"{len(chosen)} faults, {len(chosen) - len(survivors)} found\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
