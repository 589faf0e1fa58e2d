"""The pool: whatever an answer does to its worker, only that answer is lost."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reghar.grading import AnswerKind, Grade, GradeRequest, GraderPool, forced_segment, natural_segment
from reghar.grading import pool as pool_module
from reghar.grading.outcome import Outcome
from reghar.prompting.thinking import text_after_thinking

ENDLESS = r"\Gamma(10^{100})"
"""An answer on which the computer algebra does not come to an end."""
HOSTILE = json.loads((Path(__file__).parent / "cases" / "hostile.json").read_text(encoding="utf-8"))


def request(gold: str, answer: str, kind: str = "math") -> GradeRequest:
    return GradeRequest(gold=(gold,), answer=answer, kind=AnswerKind(kind))


def easy(number: int) -> GradeRequest:
    """A right answer that needs no algebra."""
    return request(str(number), rf"\frac{{{2 * number}}}{{2}}")


def hard(number: int) -> GradeRequest:
    """A right answer that needs algebra."""
    return request(rf"\sqrt{{{number}}}", rf"\frac{{\sqrt{{{4 * number}}}}}{{2}}")


def text_of(case: dict[str, object]) -> str:
    if "text" in case:
        return str(case["text"])
    return f"{case['before']}{str(case['unit']) * int(str(case['times']))}{case['after']}"


@pytest.fixture(scope="module")
def pool() -> Iterator[GraderPool]:
    with GraderPool(workers=2, time_limit_s=1.0) as graders:
        yield graders


def test_verdicts_come_in_order(pool: GraderPool) -> None:
    requests = [request(str(n), str(n + n % 2)) for n in range(300)]
    outcomes = [verdict.outcome for verdict in pool.grade_all(iter(requests))]
    assert outcomes == [Outcome.INCORRECT if n % 2 else Outcome.CORRECT for n in range(300)]


def test_equal_requests_share_one_verdict(pool: GraderPool) -> None:
    first, second = pool.submit(hard(2)), pool.submit(hard(2))
    assert first.result() is second.result()
    assert pool.submit(hard(2)).result() is first.result()


def test_an_answer_in_flight_cannot_be_cancelled_under_others(pool: GraderPool) -> None:
    future = pool.submit(hard(3))
    assert not future.cancel()
    assert future.result().outcome is Outcome.CORRECT


def test_it_serves_an_event_loop(pool: GraderPool) -> None:
    async def grade_three() -> list[Grade]:
        return await asyncio.gather(*(asyncio.wrap_future(pool.submit(hard(n))) for n in (5, 6, 7)))

    assert [verdict.outcome for verdict in asyncio.run(grade_three())] == [Outcome.CORRECT] * 3


def test_submit_does_not_wait(pool: GraderPool) -> None:
    futures = [pool.submit(request(str(n), ENDLESS)) for n in (-3, -4)]
    assert not any(future.done() for future in futures)
    assert {future.result().outcome for future in futures} == {Outcome.GRADER_TIMEOUT}


def test_a_hanging_answer_is_the_only_one_lost(pool: GraderPool) -> None:
    requests = [hard(n) for n in range(20, 40)]
    requests.insert(10, request("20", ENDLESS))
    outcomes = [verdict.outcome for verdict in pool.grade_all(requests)]
    assert outcomes.pop(10) is Outcome.GRADER_TIMEOUT
    assert set(outcomes) == {Outcome.CORRECT}


def test_workers_killed_in_the_middle_lose_no_answer_but_their_own() -> None:
    """Nothing here is about time, however slow the machine."""
    killed = 0
    with GraderPool(workers=2, time_limit_s=100.0) as graders:
        futures = [graders.submit(hard(n)) for n in range(100, 220)]
        for graded in (10, 50, 90):
            futures[graded].result()
            for pid in graders.worker_pids():
                os.kill(pid, signal.SIGKILL)
                killed += 1
        outcomes = [future.result(timeout=120).outcome for future in futures]
    assert set(outcomes) <= {Outcome.CORRECT, Outcome.GRADER_ERROR}
    # An answer is given up only when two workers died on it, which the kills may happen to hit.
    assert outcomes.count(Outcome.GRADER_ERROR) <= killed // 2


def test_a_stopped_worker_is_replaced() -> None:
    with GraderPool(workers=1, time_limit_s=0.5) as graders:
        assert graders.submit(easy(1)).result().outcome is Outcome.CORRECT
        os.kill(graders.worker_pids()[0], signal.SIGSTOP)
        lost, following = graders.submit(easy(2)), graders.submit(easy(3))
        assert lost.result(timeout=60).outcome is Outcome.GRADER_TIMEOUT
        assert following.result(timeout=60).outcome is Outcome.CORRECT


def test_the_memory_limit_costs_an_answer_not_the_pool() -> None:
    """Too little for the computer algebra: what needs it cannot be graded, all else can."""
    with GraderPool(workers=1, memory_limit_bytes=50 * 2**20) as graders:
        verdicts = list(graders.grade_all([easy(1), hard(2), easy(3)]))
    assert [v.outcome for v in verdicts] == [Outcome.CORRECT, Outcome.GRADER_ERROR, Outcome.CORRECT]


def test_the_verdicts_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "REMEMBERED_VERDICTS", 10)
    with GraderPool(workers=1) as graders:
        assert all(v.outcome is Outcome.CORRECT for v in graders.grade_all(easy(n) for n in range(500)))
        assert len(graders._verdicts) == 10
        assert not graders._in_flight


@pytest.mark.timeout(50)
def test_leaving_by_an_exception_does_not_wait() -> None:
    futures = []

    def interrupted() -> None:
        with GraderPool(workers=1, time_limit_s=60.0) as graders:
            futures.append(graders.submit(request("20", ENDLESS)))
            while not graders.worker_pids():
                time.sleep(0.05)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()  # the time limit of its answer is a minute, that of this test less
    assert futures[0].result(timeout=1).outcome is Outcome.GRADER_ERROR


def test_a_closed_pool_refuses() -> None:
    graders = GraderPool(workers=1)
    graders.close()
    with pytest.raises(RuntimeError, match="closed"):
        graders.submit(easy(1))


def test_no_worker_is_started_before_there_is_work() -> None:
    with GraderPool(workers=2) as graders:
        assert graders.worker_pids() == []
        graders.submit(easy(1)).result()
        assert len(graders.worker_pids()) == 1
    assert graders.worker_pids() == []


def test_a_folder_full_of_impostors_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sympy.py").write_text("raise SystemExit")
    (tmp_path / "json.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    with GraderPool(workers=1) as graders:
        assert graders.submit(hard(11)).result().outcome is Outcome.CORRECT


@pytest.fixture(scope="module")
def hostile_outcomes(pool: GraderPool) -> dict[str, tuple[Outcome, Outcome]]:
    """For each hostile text, its outcome and that of the easy answer graded after it."""
    requests = []
    for number, case in enumerate(HOSTILE):
        requests += [request(r"\frac{x+1}{2}", text_of(case)), easy(10_000 + number)]
    verdicts = [verdict.outcome for verdict in pool.grade_all(requests)]
    pairs = zip(verdicts[::2], verdicts[1::2], strict=True)
    return {case["name"]: pair for case, pair in zip(HOSTILE, pairs, strict=True)}


@pytest.mark.parametrize("case", HOSTILE, ids=[case["name"] for case in HOSTILE])
def test_hostile_text(case: dict[str, str], hostile_outcomes: dict[str, tuple[Outcome, Outcome]]) -> None:
    outcome, following = hostile_outcomes[case["name"]]
    assert outcome is not Outcome.CORRECT
    assert following is Outcome.CORRECT
    text = text_of(case)  # type: ignore[arg-type]
    start = time.process_time()
    forced_segment(text)
    answer_text = text_after_thinking(text, ("<think>", "</think>"), open_at_start=False)
    natural_segment(answer_text, fallback="last_number")
    assert time.process_time() - start < 5.0


def test_few_hostile_texts_are_given_up(hostile_outcomes: dict[str, tuple[Outcome, Outcome]]) -> None:
    outcomes = [outcome for outcome, _ in hostile_outcomes.values()]
    assert len(outcomes) >= 100
    assert outcomes.count(Outcome.GRADER_TIMEOUT) <= 15


def test_nothing_that_was_graded_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    codes = ["__import__('os').system('touch owned')", "\\write18{touch owned}", "open('owned','w')"]
    with GraderPool(workers=1) as graders:
        list(graders.grade_all(request(r"x^2", code) for code in codes))
    assert list(tmp_path.iterdir()) == []
