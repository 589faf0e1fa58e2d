"""How a setting is declared: the one place from which its flag, help, check and documentation follow."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from reghar.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Which numbers a setting may be: all from `low` to `high` that are finite."""

    low: float
    high: float = math.inf
    above: bool = False
    """`low` itself is none of them."""
    below: bool = False
    """`high` itself is none of them."""
    unit: str = ""

    def __contains__(self, value: float) -> bool:
        enough = self.low < value if self.above else self.low <= value
        little = value < self.high if self.below or self.high == math.inf else value <= self.high
        return enough and little

    def __str__(self) -> str:
        if self.high == math.inf:
            text = f"above {self.low}" if self.above else f"at least {self.low}"
        elif self.above or self.below:
            low = f"above {self.low}" if self.above else f"at least {self.low}"
            text = f"{low} and {'below' if self.below else 'at most'} {self.high}"
        else:
            text = f"from {self.low} to {self.high}"
        return f"{text} {self.unit}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Option:
    """A setting as a flag."""

    name: str
    """Of the field that holds it."""
    type: Any
    """Of its value, leaving out None: `bool`, `int`, `float`, `str`, a Literal, `tuple[str, ...]`,
    `tuple[str, str]` or `dict[str, Any]`. It decides how the flag is written."""
    flags: tuple[str, ...]
    """All spellings, the usual one first."""
    group: str
    """Heading in the help."""
    help: str
    default_text: str
    """What the help calls the default; empty where there is none to speak of."""
    metavar: str | tuple[str, ...] | None
    bounds: Bounds | None
    commas: bool
    """A tuple that is written as one word, `A,B,...`."""
    none: str = ""
    """The word that stands for None, such as `auto`; empty where no word does."""

    @property
    def flag(self) -> str:
        """As messages name it."""
        return self.flags[0]

    @property
    def repeated(self) -> bool:
        """Whether the flag may stand several times, each with one entry of the value."""
        return get_origin(self.type) is dict or (self.type == tuple[str, ...] and not self.commas)

    @property
    def choices(self) -> tuple[str, ...]:
        """The only values there are; empty where there are others."""
        return get_args(self.type) if get_origin(self.type) is Literal else ()

    def describe(self, default_text: str | None = None) -> str:
        """The help with bounds and default; `default_text` is another command's default."""
        default = self.default_text if default_text is None else default_text
        notes = [str(self.bounds)] if self.bounds is not None else []
        notes += ["may be repeated"] if self.repeated else []
        notes += [f"default: {default}"] if default else []
        return f"{self.help} ({'; '.join(notes)})" if notes else self.help

    def words(self, value: Any) -> list[str]:
        """The flag as it is typed for this value; nothing for None, which no flag says."""
        if value is None or value is False:
            return []
        if value is True:
            return [self.flag]
        if isinstance(self.metavar, tuple):
            return [self.flag, *map(str, value)]
        if isinstance(value, dict):
            entries = [f"{key}={json.dumps(one)}" for key, one in value.items()]
        elif self.repeated:
            entries = list(value)
        else:
            entries = [",".join(value) if self.commas else str(value)]
        return [f"{self.flag}={entry}" for entry in entries]

    def check(self, value: Any) -> None:
        """Raises `InputError` for a value that cannot be, whatever the others are."""
        if value is None:
            return
        if self.bounds is not None and (not isinstance(value, int | float) or value not in self.bounds):
            raise InputError(f"{self.flag} must be {self.bounds}, not {value}")
        if self.choices and value not in self.choices:
            raise InputError(f"{self.flag} must be one of {', '.join(self.choices)}, not {value!r}")


def option(
    group: str,
    help: str,
    *,
    default: Any = MISSING,
    flags: tuple[str, ...] = (),
    default_text: str | None = None,
    metavar: str | tuple[str, ...] | None = None,
    bounds: Bounds | None = None,
    commas: bool = False,
    none: str = "",
) -> Any:
    """A field of a dataclass of settings, as `dataclasses.field`, with its flag.

    `flags`: where the flag is not the field's name; `default_text`: where the help calls the default
    otherwise than by its value. The rest as in `Option`.
    """
    declared = {
        "group": group,
        "help": help,
        "flags": flags,
        "default_text": default_text,
        "metavar": metavar,
        "bounds": bounds,
        "commas": commas,
        "none": none,
    }
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata={_KEY: declared})
    return field(default=default, metadata={_KEY: declared})


_KEY = "option"


@cache
def options_of(settings: type) -> Mapping[str, Option]:
    """Every option of a dataclass of settings by the name of its field, in the order of the fields."""
    types = get_type_hints(settings)
    options = {}
    for each in fields(settings):
        declared = dict(each.metadata[_KEY])
        declared["flags"] = declared["flags"] or (f"--{each.name.replace('_', '-')}",)
        if declared["default_text"] is None:
            declared["default_text"] = _default_text(each.default)
        options[each.name] = Option(name=each.name, type=_without_none(types[each.name]), **declared)
    return MappingProxyType(options)


def _default_text(default: Any) -> str:
    """A number or a word as it is; nothing where nothing is the default."""
    if default in (MISSING, None, (), False):
        return ""
    return f"{default:g}" if isinstance(default, float) else str(default)


def _without_none(hint: Any) -> Any:
    if not isinstance(hint, UnionType):
        return hint
    (only,) = (each for each in get_args(hint) if each is not NoneType)
    return only
