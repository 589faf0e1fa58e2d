"""Reads one task YAML the way lm-eval 0.4.13 does: `include:` and `!function module.name`.

Functions stay references until they are needed, so that listing tasks runs no code.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from reghar.errors import InputError


@dataclass(frozen=True, kw_only=True)
class FunctionReference:
    """A function named in a YAML: `!function module.name`."""

    name: str
    """`module.name`; the module is a file beside the YAML or else an importable one."""
    folder: Path
    """The folder of the YAML."""

    def resolve(self) -> Callable[..., Any]:
        """The function itself. Raises InputError where the module or the name does not exist."""
        module_name, _, function = self.name.rpartition(".")
        if not module_name:
            raise InputError(
                f"!function {self.name!r} in {self.folder} names no module: write module.function"
            )
        beside = self.folder / f"{module_name.replace('.', '/')}.py"
        try:
            module = _load_file(beside) if beside.is_file() else importlib.import_module(module_name)
            found = getattr(module, function)
        except (ImportError, AttributeError, SyntaxError) as error:
            raise InputError(f"!function {self.name!r} in {self.folder} cannot be loaded: {error}") from error
        if not callable(found):
            raise InputError(f"!function {self.name!r} in {self.folder} is not a function")
        return found  # type: ignore[no-any-return]


def _load_file(path: Path) -> ModuleType:
    """The module in a file beside a YAML, loaded once and registered so that its objects can be pickled."""
    name = str(path.resolve().with_suffix(""))
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


# The C parser where PyYAML has it, as in lm-eval: a folder of its tasks holds ten thousand files.
_SafeLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_config(path: Path, including: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The mapping in a task YAML, the files that it includes merged under it (its own keys win).

    Raises InputError, one line, where a file is missing, not UTF-8, not YAML, no mapping, or includes itself.
    """
    path = path.resolve()
    if path in including:
        raise InputError(f"the task file {path} includes itself: remove the include")
    config = _parse(path)
    included = config.pop("include", [])
    merged: dict[str, Any] = {}
    for name in included if isinstance(included, list) else [included]:
        merged.update(read_config(path.parent / str(name), (*including, path)))
    return {**merged, **config}


def _parse(path: Path) -> dict[str, Any]:
    class Loader(_SafeLoader):  # type: ignore[misc,valid-type]
        """A loader of its own for each file, since `!function` depends on the file's folder."""

    def function(loader: yaml.SafeLoader, node: yaml.Node) -> FunctionReference:
        if not isinstance(node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(
                None, None, "!function needs module.name", node.start_mark
            )
        return FunctionReference(name=str(loader.construct_scalar(node)), folder=path.parent)

    Loader.add_constructor("!function", function)
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise InputError(f"the task file {path} is not valid YAML: {_one_line(error)}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"the task file {path} is not UTF-8 (byte {error.start}): save it as UTF-8"
        ) from error
    except OSError as error:
        raise InputError(f"the task file {path} cannot be read: {error.strerror}") from error
    if not isinstance(config, dict):
        raise InputError(f"the task file {path} holds no mapping: begin it with `task: NAME`")
    return config


def _one_line(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem or error.context} (line {error.problem_mark.line + 1})"
    return " ".join(str(error).split())
