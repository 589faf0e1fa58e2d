"""Start-up time of the command line beside that of a bare interpreter, in turn, as medians.

python benchmarks/startup.py
"""

import statistics
import subprocess
import sys
import time

ROUNDS = 9


def seconds(*command: str) -> float:
    """Wall-clock seconds of one process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Prints both medians and their ratio."""
    pairs = [(seconds("-m", "reghar", "--help"), seconds("-c", "pass")) for _ in range(ROUNDS)]
    help_s, bare_s = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"reghar --help {help_s:.3f} s, bare interpreter {bare_s:.3f} s, ratio {help_s / bare_s:.1f}")


if __name__ == "__main__":
    main()
