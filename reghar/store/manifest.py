"""`run.json`: what a run was asked, by which versions on which machine, and when it worked at it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from reghar.errors import InputError, first_problem, not_json
from reghar.protocol import Protocol
from reghar.store.parts import write_aside

MANIFEST = "run.json"
MANIFEST_SCHEMA: Final = 1


class _ManifestRecord(BaseModel):
    """Frozen; "3" is no number. What another version wrote beside the known fields is kept, and written
    again as it was."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


class EnvironmentRecord(_ManifestRecord):
    """Where the engine of a session ran; None, or nothing, where that could not be told."""

    gpus: tuple[str, ...] = ()
    driver: str | None = None
    cuda: str | None = None
    attention_backend: str | None = None
    dtype: str | None = None
    """Of weights and activations."""
    quantization: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    """vLLM, torch and transformers."""
    variables: dict[str, str] = Field(default_factory=dict)
    """`VLLM_*` in the environment."""


class EngineRecord(_ManifestRecord):
    """The engine of a session."""

    name: str
    version: str
    host: str
    """Where it ran: an accelerator, `cpu`, or the servers' addresses."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """All that it was started with."""
    kv_caches: tuple[int | None, ...] | None = None
    """Tokens that each of its KV caches holds."""
    batches: tuple[int, ...] | None = None
    """Traces that one of them may have in flight."""
    environment: EnvironmentRecord | None = None
    """None in runs of versions that did not record it."""


class Session(_ManifestRecord):
    """One time that an engine worked at the run."""

    start: str | None = None
    """UTC, ISO 8601, as every time here."""
    end: str | None = None
    seconds: float | None = None
    """From the engine's start to its end."""
    engine_start_seconds: float | None = None
    engine: EngineRecord | None = None
    concurrency: int | None = None
    """Traces in flight at a time; with `ray`, on each replica. Where the run chose it, its last choice, over
    all engines."""
    restarts: tuple[str, ...] | None = None
    """Why the engine was started again, once for each time."""
    spent: float | None = None
    """What a chat server had cost the whole run by then, in the currency of its prices."""


class AdapterRecord(_ManifestRecord):
    """The LoRA adapter that a run is a run of."""

    name: str
    path: str | None = None
    """Folder; None behind a server."""
    rank: int | None = None
    base: str | None = None
    """The model that it says it was trained from."""
    digest: str | None = None
    """SHA-256 of its weights."""


class Manifest(_ManifestRecord):
    """`run.json`. A field that is None was not written by the version that made the run, or has no value."""

    schema_: int = Field(default=MANIFEST_SCHEMA, alias="schema")
    model: str
    """As the user gave it."""
    revision: str | None = None
    adapter: AdapterRecord | None = None
    """None where the model itself was run."""
    seed: int | None = None
    digest: str
    """Of the protocol."""
    protocol: Protocol
    settings: dict[str, Any] = Field(default_factory=dict)
    """What the run was started with: the fields of `reghar.run.settings.RunSettings`."""
    frontier: str = "auto"
    """What it is measured against where nothing else is asked for."""
    interval: Literal["problems", "samples"] = "problems"
    """What its intervals are over where nothing else is asked for."""
    clusters: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Task to the cluster of each of its problems, in the protocol's order; only tasks that declare some.
    No part of the protocol: what is measured is the same, only what intervals draw together is not."""
    notes: tuple[str, ...] = ()
    """What a reader of the run has to know."""
    versions: dict[str, str] | None = None
    """Packages."""
    git: dict[str, Any] | None = None
    """Commit and dirtiness of the harness's checkout; None outside a checkout."""
    host: dict[str, str] | None = None
    sessions: tuple[Session, ...] = ()
    start: str | None = None
    end: str | None = None
    """None until every score is stored."""

    @model_validator(mode="after")
    def _clusters_fit(self) -> Manifest:
        for task, names in self.clusters.items():
            planned = self.protocol.tasks.get(task)
            if planned is None or len(planned.problem_ids) != len(names):
                count = 0 if planned is None else len(planned.problem_ids)
                raise ValueError(f"clusters of {task}: {len(names)} names for {count} problems")
        return self

    def as_dict(self) -> dict[str, Any]:
        """The content of the file: only what was written or set."""
        return self.model_dump(by_alias=True, exclude_unset=True)

    def with_fields(self, **fields: Any) -> Manifest:
        """The same with other values of some fields."""
        return self.model_copy(update=fields)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes JSON that appears whole or not at all; NaN is refused, since JSON has none."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_aside(path, lambda file: file.write(text.encode()))


def read_manifest(path: Path) -> Manifest:
    """`run.json` of a run's folder. Raises `InputError` with one line."""
    file = path / MANIFEST
    if not path.is_dir():
        raise InputError(f"run folder {str(path)!r} does not exist; give a folder that `reghar run` wrote")
    if not file.is_file():
        raise InputError(f"{str(path)!r} is not a run folder: it has no run.json")
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text)
        found = content.get("schema", MANIFEST_SCHEMA) if isinstance(content, dict) else MANIFEST_SCHEMA
        if found == MANIFEST_SCHEMA and not isinstance(found, bool):
            return Manifest.model_validate_json(text)
        problem = f"its schema is {ascii(found)[:60]}, and this version of reghar reads {MANIFEST_SCHEMA}"
    except ValidationError as error:
        problem = first_problem(error)
    except (OSError, ValueError, RecursionError) as error:
        problem = not_json(error)
    raise InputError(f"{str(file)!r} is not a run's manifest: {problem}; restore it or run again")


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Replaces `run.json` of a run's folder."""
    write_json(path / MANIFEST, manifest.as_dict())
