"""MLflow: https://mlflow.org/docs. Where records go is `MLFLOW_TRACKING_URI`'s to say."""

from __future__ import annotations

from typing import Any

from reghar.trackers.record import Record

_TAG = "reghar.name"


def send(record: Record, project: str, step: int | None) -> None:
    """Metrics, tags, tables and pictures; at a step into the run of that name, if there is one."""
    import mlflow

    mlflow.set_experiment(project)
    folder = "" if step is None else f"step-{step}/"
    with mlflow.start_run(**_run(mlflow, record.name, step)):
        mlflow.set_tags({f"reghar.{name}": str(value) for name, value in record.about.items()})
        mlflow.log_metrics({_legal(name): value for name, value in record.figures.items()}, step=step)
        for name, table in record.tables.items():
            mlflow.log_table(table.frame, f"{folder}{name}.json")
        for file in record.pictures.values():
            mlflow.log_artifact(str(file), folder.rstrip("/") or None)


def _run(mlflow: Any, name: str, step: int | None) -> dict[str, Any]:
    """What `start_run` takes: the stored run of that name, or a new one."""
    if step is not None:
        found = mlflow.search_runs(filter_string=f"tags.`{_TAG}` = '{_quoted(name)}'", output_format="list")
        if found:
            return {"run_id": found[0].info.run_id}
    return {"run_name": name, "tags": {_TAG: name}}


def _quoted(name: str) -> str:
    return name.replace("'", " ")


def _legal(name: str) -> str:
    """A metric's name in the characters that MLflow takes."""
    return "".join(one if one.isalnum() or one in "_-. /:" else "-" for one in name)
