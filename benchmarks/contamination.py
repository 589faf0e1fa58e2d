"""A million training rows against every packaged task: seconds and memory.

    python benchmarks/contamination.py --data-dir DIR [--rows 1000000] [--words 80]

Rows are drawn word by word from the benchmarks' own words, as often as they stand there, which is harder
than real text: no row fails to look like mathematics. One row in a thousand begins with a problem. The
search runs in a process of its own, as `reghar contamination` does. Asked for: at most 60 s and 2 GB.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from reghar.errors import InputError
from reghar.tasks import list_tasks
from reghar.tasks.problems import statements


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--words", type=int, default=80)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        train = Path(folder) / "train.jsonl"
        write_rows(train, problem_texts(arguments.data_dir), arguments.rows, arguments.words)
        size = train.stat().st_size / 2**20
        command = [sys.executable, "-m", "reghar", "contamination", "--train", str(train)]
        command += ["--data-dir", str(arguments.data_dir), "--json"]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
    gigabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"{arguments.rows:,} rows, {size:.0f} MiB: {seconds:.1f} s and {gigabytes:.2f} GiB")
    if seconds > 60 or gigabytes > 2:
        print("slower or larger than 60 s and 2 GB")
        return 1
    return 0


def problem_texts(data_dir: Path) -> list[str]:
    """The problems of every packaged task that `data_dir` has."""
    texts: list[str] = []
    for task in list_tasks():
        try:
            texts += [statement.text for statement in statements(task, data_dir)]
        except InputError as error:
            print(f"left out: {error}")
    return texts


def write_rows(path: Path, texts: list[str], rows: int, words: int) -> None:
    """The synthetic training file, from a fixed seed."""
    rng = random.Random(0)
    vocabulary = [word for text in texts for word in text.split()]
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            text = " ".join(rng.choices(vocabulary, k=words))
            if number % 1000 == 0:
                text = f"{rng.choice(texts)} {text}"
            file.write(json.dumps({"question": text}) + "\n")


if __name__ == "__main__":
    sys.exit(main())
