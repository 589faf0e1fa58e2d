"""What `--adapters` names: LoRA adapters of the model, a folder or a server's name each."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reghar.errors import InputError

BASE = "base"
"""Among `--adapters`: the model itself."""
_NAME = re.compile(r"[\w.-]+")
_SERVED = ("openai",)
"""Engines that know adapters by their names alone."""
_LOADING = ("vllm", "ray")
"""Engines that read an adapter's folder."""
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as the largest rank of all adapters."""


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """A LoRA adapter as the run sees it before its engine loads."""

    name: str
    """Of its run, and of the model where a server has it."""
    path: str | None
    """Folder with `adapter_config.json` and the weights; None behind a server."""
    rank: int | None
    """Of its matrices."""
    base: str | None
    """The model that it says it was trained from."""
    digest: str | None
    """SHA-256 of its weights: what the run is a run of."""


def read_adapters(entries: tuple[str, ...], engine: str) -> list[Adapter | None]:
    """What `--adapters` names, in its order, None for the base itself. Raises `InputError`."""
    if engine not in (*_SERVED, *_LOADING):
        raise InputError(f"--engine {engine} takes no LoRA adapters: give --engine vllm, ray or openai")
    read = _read_served if engine in _SERVED else _read_folder
    adapters = [None if entry == BASE else read(entry) for entry in entries]
    names = [BASE if each is None else each.name for each in adapters]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--adapters names {name!r} twice; give each a name of its own")
    return adapters


def _read_served(entry: str) -> Adapter:
    name, equals, _ = entry.partition("=")
    if equals:
        raise InputError(
            f"--adapters {entry}: a server knows its adapters by name; give {name}, as the server calls it"
        )
    return Adapter(name=_checked(name, entry), path=None, rank=None, base=None, digest=None)


def _checked(name: str, entry: str) -> str:
    if not _NAME.fullmatch(name) or name == BASE or set(name) == {"."}:
        raise InputError(
            f"--adapters takes NAME=PATH, or {BASE} for the model itself, not {entry!r}; a name is of "
            "letters, digits, '.', '_' and '-'"
        )
    return name


def _read_folder(entry: str) -> Adapter:
    name, equals, text = entry.partition("=")
    if not equals or not text:
        raise InputError(f"--adapters takes NAME=PATH, or {BASE} for the model itself, not {entry!r}")
    folder = Path(text).expanduser()
    config = _config(name, folder)
    rank = config.get("r")
    if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= RANKS[-1]:
        raise InputError(f"adapter {name!r}: its rank (r) is {str(rank)[:40]}; vLLM takes 1 to {RANKS[-1]}")
    base = config.get("base_model_name_or_path")
    return Adapter(
        name=_checked(name, entry),
        path=str(folder.resolve()),
        rank=rank,
        base=base if isinstance(base, str) and base else None,
        digest=_digest(name, folder),
    )


def _config(name: str, folder: Path) -> dict[str, Any]:
    file = folder / "adapter_config.json"
    if not file.is_file():
        raise InputError(
            f"adapter {name!r}: {str(folder)!r} has no adapter_config.json; give a folder saved by PEFT's "
            "save_pretrained"
        )
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"adapter {name!r}: {str(file)!r} cannot be read: {error}; save it again") from error
    if not isinstance(config, dict) or config.get("peft_type", "LORA") != "LORA":
        raise InputError(f"adapter {name!r}: {str(file)!r} is not of a LoRA adapter, the one kind vLLM loads")
    return config


def _digest(name: str, folder: Path) -> str:
    for file in (folder / "adapter_model.safetensors", folder / "adapter_model.bin"):
        if file.is_file():
            with file.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
    raise InputError(
        f"adapter {name!r}: {str(folder)!r} has no adapter_model.safetensors; give a folder saved by PEFT's "
        "save_pretrained"
    )
