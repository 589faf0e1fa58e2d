"""`make mutants`: every fault in a copy of the tree, its tests run there, survivors named."""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree, ignore_patterns

from mutants.faults import ROOT, Fault, faults

_LEFT_OUT = ignore_patterns(".*", "__pycache__", "results", "dist", "build", "site")


def found(fault: Fault) -> bool:
    """Whether a test fails on the fault. Raises RuntimeError where pytest ends otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        copytree(ROOT, tree, ignore=_LEFT_OUT)
        fault.put_into(tree)
        command = [sys.executable, "-m", "pytest", "-x", "-q", *(f"tests/{test}" for test in fault.tests)]
        environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{fault.name}: pytest ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.returncode == 1


def main(words: list[str]) -> int:
    """Tries the faults whose names hold one of the words, all without words; 1 where one survives."""
    chosen = [one for one in faults() if not words or any(word in one.name for word in words)]
    with ThreadPoolExecutor(2) as pool:
        survivors = [one for one, seen in zip(chosen, pool.map(found, chosen), strict=True) if not seen]
    for one in survivors:
        sys.stdout.write(f"survives: {one.name} ({one.file}; {' '.join(one.tests)})\n")
    sys.stdout.write(f"{len(chosen)} faults, {len(chosen) - len(survivors)} found\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
