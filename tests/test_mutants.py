"""The list of faults keeps up with the code; `make mutants` runs them."""

import pytest
from mutants.faults import ROOT, Fault, faults


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: fault.name)
def test_every_fault_fits_its_file(fault: Fault) -> None:
    text = (ROOT / "reghar" / fault.file).read_text(encoding="utf-8")
    assert text.count(fault.old) == 1
    compile(text.replace(fault.old, fault.new), fault.file, "exec")
    assert all((ROOT / "tests" / test).is_file() for test in fault.tests)
