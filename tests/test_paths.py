"""Task and frontier files are found in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from reghar import paths
from reghar.errors import InputError


def test_a_checkout_reads_its_top_level() -> None:
    root = Path(paths.__file__).resolve().parents[1]
    assert paths.data_dir("frontiers") == root / "frontiers"


def test_a_wheel_reads_its_own_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "reghar" / "_data" / "frontiers"
    copy.mkdir(parents=True)
    (tmp_path / "frontiers").mkdir()  # something else that lies beside the installed package
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "reghar")
    assert paths.data_dir("frontiers") == copy


def test_a_broken_installation_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "reghar")
    with pytest.raises(InputError, match="install reghar again"):
        paths.data_dir("tasks")
