"""reghar: accuracy at every token budget from one generation, and the reasoning efficiency gap (REG)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reghar.api import load

__all__ = ["__version__", "load"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # `import reghar` stays light: what it offers is imported when it is first used.
    if name == "load":
        from reghar.api import load

        return load
    raise AttributeError(f"module 'reghar' has no attribute {name!r}")
