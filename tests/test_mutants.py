"""The list of faults keeps up with the code; `make mutants` runs them."""

from pathlib import Path

import pytest
from mutants.__main__ import failing
from mutants.faults import ROOT, Fault, faults


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: fault.name)
def test_every_fault_fits_its_file(fault: Fault) -> None:
    text = (ROOT / "reghar" / fault.file).read_text(encoding="utf-8")
    assert text.count(fault.old) == 1
    compile(text.replace(fault.old, fault.new), fault.file, "exec")
    assert all((ROOT / "tests" / test).is_file() for test in fault.tests)


@pytest.mark.parametrize(("body", "fails"), [("assert True", False), ("assert False", True)])
def test_a_test_that_fails_without_any_fault_is_told_from_one_that_passes(
    tmp_path: Path, body: str, fails: bool
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_one.py").write_text(f"def test_one():\n    {body}\n")
    assert (failing(tmp_path, ["test_one.py"]) is not None) == fails


def test_a_test_file_that_is_not_there_tests_nothing(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    with pytest.raises(RuntimeError, match=r"pytest test_none.py ended with 4"):
        failing(tmp_path, ["test_none.py"])
