"""Our verdicts beside math-verify's, called directly: every disagreement is of a kind that is explained."""

import json
import logging
from pathlib import Path

from math_verify import parse, verify

CASES = json.loads((Path(__file__).parent / "cases" / "grading.json").read_text(encoding="utf-8"))
EXPLAINED = json.loads((Path(__file__).parent / "cases" / "disagreements.json").read_text(encoding="utf-8"))


def math_verify_says(case: dict[str, object]) -> bool:
    """math-verify as a user calls it."""
    gold = case["gold"]
    golds = ", ".join(gold) if isinstance(gold, list) else str(gold)
    answer = str(case["answer"])
    text = {"natural": answer, "forced": r"\boxed{" + answer}.get(
        str(case.get("form")), rf"\boxed{{{answer}}}"
    )
    return bool(verify(parse("$" + golds.replace("$", "") + "$"), parse(text)))


def test_every_disagreement_is_marked_and_explained() -> None:
    """The expected outcomes hold for our grader (test_grading); where math-verify differs, a row says so."""
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    compared = [case for case in CASES if case["kind"] != "choice"]
    differing = {
        case["name"] for case in compared if math_verify_says(case) != (case["expected"] == "correct")
    }
    assert differing == {case["name"] for case in CASES if case.get("math_verify_wrong")}
    assert differing == set(EXPLAINED)
    assert all(EXPLAINED.values())
    assert len(differing) < 0.3 * len(compared)
