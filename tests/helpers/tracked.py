"""Runs reghar commands where the trackers are installed, and reads back what a tracker then holds.

`python -m helpers.tracked TRACKER COMMANDS`, in an empty folder, `COMMANDS` being JSON: lists of words.
Prints JSON: a list of `{project, run, about, step, figures, tables, pictures}`, tables as rows by column,
pictures as sizes of files.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reghar.cli import main

Entry = dict[str, Any]
BLOCK = 32768
"""Of a `.wandb` file, which is a LevelDB log: 7 bytes before every piece of a record."""


def read_trackio() -> Iterator[Entry]:
    from trackio.sqlite_storage import SQLiteStorage as Storage

    for project in Storage.get_projects():
        for run in Storage.get_runs(project):
            for log in Storage.get_logs(project, run):
                special = {name: one for name, one in log.items() if isinstance(one, dict)}
                tables = {k: v["_value"] for k, v in special.items() if v["_type"] == "trackio.table"}
                files = {k: v["file_path"] for k, v in special.items() if v["_type"] == "trackio.image"}
                yield {
                    "project": project,
                    "run": run,
                    "about": Storage.get_run_config(project, run),
                    "step": log["step"],
                    "figures": {k: v for k, v in log.items() if isinstance(v, float | int) and k != "step"},
                    "tables": tables,
                    "pictures": {k: Path("trackio", "media", v).stat().st_size for k, v in files.items()},
                }


def read_wandb() -> Iterator[Entry]:
    import wandb

    wandb.teardown()  # its own process writes the files, and ends with this one
    for file in sorted(Path().glob("wandb/offline-run-*/*.wandb")):
        entry: Entry = {}
        for record in _wandb_records(file.read_bytes()):
            if record.HasField("run"):
                about = {one.key: json.loads(one.value_json) for one in record.run.config.update}
                entry |= {"project": record.run.project, "run": record.run.run_id, "about": about}
            elif record.HasField("metric"):
                entry["axis"] = record.metric.step_metric
            elif record.HasField("history"):
                items = {"/".join(one.nested_key) or one.key: one for one in record.history.item}
                entry["figures"] = {k: json.loads(one.value_json) for k, one in items.items()}
                entry["step"] = entry["figures"].get(entry.get("axis"))
        media = file.parent / "files" / "media"
        tables = {}
        for one in media.glob("table/*.json"):
            content = json.loads(one.read_text())
            rows = [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]
            tables[one.name.split("_")[0]] = rows
        pictures = {one.name.split("_")[0]: one.stat().st_size for one in media.glob("images/*.png")}
        yield {**entry, "tables": tables, "pictures": pictures}


def _wandb_records(data: bytes) -> Iterator[Any]:
    from wandb.proto.wandb_internal_pb2 import Record

    at, piece = 7, b""
    while at + 7 <= len(data):
        if (left := BLOCK - at % BLOCK) < 7:
            at += left
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        piece += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or its last piece
            record = Record()
            record.ParseFromString(piece)
            yield record
            piece = b""


def read_mlflow() -> Iterator[Entry]:
    import mlflow

    client = mlflow.MlflowClient()
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            history = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
            for step in sorted({point.step for points in history.values() for point in points}):
                folder = Path(client.download_artifacts(run.info.run_id, ""))
                if (at_step := folder / f"step-{step}").is_dir():
                    folder = at_step
                tables = {}
                for file in folder.glob("*.json"):
                    content = json.loads(file.read_text())
                    tables[file.stem] = [
                        dict(zip(content["columns"], row, strict=True)) for row in content["data"]
                    ]
                yield {
                    "project": experiment.name,
                    "run": run.info.run_name,
                    "about": {k.removeprefix("reghar."): v for k, v in run.data.tags.items()},
                    "step": step,
                    "figures": {
                        name: point.value
                        for name, points in history.items()
                        for point in points
                        if point.step == step
                    },
                    "tables": tables,
                    "pictures": {one.stem: one.stat().st_size for one in folder.glob("*.png")},
                }


READERS: dict[str, Callable[[], Iterator[Entry]]] = {
    "trackio": read_trackio,
    "wandb": read_wandb,
    "mlflow": read_mlflow,
}

if __name__ == "__main__":
    for command in json.loads(sys.argv[2]):
        if code := main(command):
            sys.exit(code)
    print(json.dumps(list(READERS[sys.argv[1]]())))  # noqa: T201
