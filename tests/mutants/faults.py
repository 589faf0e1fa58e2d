"""The list of faults, and one of them put into a copy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One text of a file of the package that a wrong one replaces."""

    name: str
    file: str
    """Below `reghar/`."""
    old: str
    """Stands in the file exactly once."""
    new: str
    tests: tuple[str, ...]
    """Files of `tests/`, one of which must fail."""

    def put_into(self, tree: Path) -> None:
        """Raises ValueError where the text does not stand in the file exactly once."""
        path = tree / "reghar" / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.old!r} stands {text.count(self.old)} times in {self.file}")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


def faults() -> list[Fault]:
    """All of `faults.txt`; `\\n` there is a line's end."""
    rows = (Path(__file__).parent / "faults.txt").read_text(encoding="utf-8").splitlines()
    found = []
    for row in rows:
        if not row.startswith("#"):
            name, file, old, new, tests = row.replace("\\n", "\n").split(" | ")
            found.append(Fault(name=name, file=file, old=old, new=new, tests=tuple(tests.split())))
    return found
