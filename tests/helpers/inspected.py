"""Exports a run where inspect_ai is installed, and reads the log with inspect_ai's own reader.

`python -m helpers.inspected RUN FILE`; prints JSON, a list of what every log holds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from reghar.cli import main


def read(file: Path) -> dict[str, Any]:
    from inspect_ai.log import read_eval_log

    log = read_eval_log(str(file))
    return {
        "file": file.name,
        "status": log.status,
        "task": log.eval.dataset.name,
        "model": log.eval.model,
        "epochs": log.eval.config.epochs,
        "digest": log.eval.metadata["digest"],
        "metrics": {
            score.name: {name: metric.value for name, metric in score.metrics.items()}
            for score in log.results.scores
        },
        "samples": [
            {
                "id": sample.id,
                "epoch": sample.epoch,
                "input": sample.input,
                "target": sample.target,
                "completion": sample.output.completion,
                "stop": sample.output.stop_reason,
                "tokens": sample.output.usage.output_tokens,
                "full": sample.scores["full"].value,
                "answer": sample.scores["full"].answer,
                "by_budget": sample.scores["by_budget"].value,
            }
            for sample in log.samples
        ],
    }


if __name__ == "__main__":
    run, file = sys.argv[1], Path(sys.argv[2])
    if code := main(["export", run, "--inspect", str(file)]):
        sys.exit(code)
    print(json.dumps([read(one) for one in sorted(file.parent.glob(f"*{file.suffix}"))]))  # noqa: T201
