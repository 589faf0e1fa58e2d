"""`wait` on the real engine with an embedded model: one run, two strings."""

from __future__ import annotations

import subprocess
import sys

import pytest

from reghar.report.schema import Report
from reghar.store import StoredRun, load_run

MAX_TOKENS = 640
WAIT = ["--control", "wait", "--settings", "1", "--wait-string", "Wait", "--wait-string", "none"]

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    out = tmp_path_factory.mktemp("wait") / "run"
    words = ["run", "--model", "demo:verbose", "--tasks", "ladder", "--limit", "6", "--samples", "2"]
    words += ["--budgets", "0,64,128,256,512", "--max-tokens", str(MAX_TOKENS), "--frontier", "none"]
    words += ["--engine-arg", "max_model_len=1536", *WAIT, "--concurrency", "12", "--out", str(out)]
    # A process of its own: the engine's libraries warn, which ends a test.
    subprocess.run([sys.executable, "-m", "reghar", *words], check=True, timeout=280)
    return load_run(out)


def test_every_trace_has_its_own_first_part_as_prefix(run: StoredRun) -> None:
    plain = run.traces.set_index(["problem", "sample"])
    ended = plain["thinking_end"].notna()
    assert ended.any(), "some thinking ended, or there is nothing to test"
    for setting in run.settings:
        after = run.at(setting.name).traces.set_index(["problem", "sample"])
        assert len(after) == len(plain)
        for key, trace in plain.iterrows():
            ids, longer = list(trace["token_ids"]), list(after.loc[key, "token_ids"])
            kept = ids[: int(trace["thinking_end"])] if ended[key] else ids
            assert longer[: len(kept)] == kept
            if ended[key]:
                assert len(longer) > len(kept), "it went on"
            if ended[key] and not setting.appended:
                assert longer[len(kept)] != ids[len(kept)], "the delimiter was barred"


def test_total_tokens_are_bounded_and_force_is_obeyed(run: StoredRun) -> None:
    assert run.complete
    for name in ("", *(setting.name for setting in run.settings)):
        assert (run.at(name).traces["length"] <= MAX_TOKENS).all()
    methods = {method.method: method for method in Report.read(run.path).tasks["ladder"].control}
    control = methods["force"].measure("control")
    assert control is not None
    assert control.value == 100
    assert [setting.name for setting in methods["wait: Wait"].settings] == ["plain", "Wait x1"]
