"""The stored format of a run: what was written once is read by later versions, and written back as it was."""

from __future__ import annotations

import base64
import json
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reghar.cli import main
from reghar.errors import InputError
from reghar.frontiers.frontier import read_frontier
from reghar.generation.records import TraceKey
from reghar.paths import data_dir
from reghar.protocol import PLAIN, Protocol, Setting
from reghar.report.build import build_report
from reghar.report.page.build import PageRun
from reghar.report.page.view import PageServer
from reghar.report.page.write import write_page
from reghar.report.schema import Report
from reghar.store import RunFolder, load_run
from reghar.store.manifest import MANIFEST, read_manifest, write_manifest

ROOT = Path(__file__).parents[1]
STORED = Path(__file__).parent / "fixtures" / "run-1"
REFERENCE = ROOT / "results" / "reference" / "terse"
REFERENCE_DIGEST = "e5a77c07f98b50c2922d2529fca2f923f95837571dbe46646021a44733847529"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A copy of the stored run, which a test may write to."""
    return Path(shutil.copytree(STORED, tmp_path / "run"))


def manifest_with(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The run with another `run.json`."""
    content = json.loads((folder / MANIFEST).read_text())
    change(content)
    (folder / MANIFEST).write_text(json.dumps(content))
    return folder


def test_digests_stay() -> None:
    assert load_run(REFERENCE).digest == load_run(REFERENCE).protocol.digest == REFERENCE_DIGEST
    stored = load_run(STORED)
    assert stored.digest == stored.protocol.digest
    # Without what it was read from: as a run that is planned with the same settings.
    planned = Protocol(**{name: getattr(stored.protocol, name) for name in stored.protocol.as_dict()})
    assert planned.digest == stored.digest


@pytest.mark.parametrize("folder", [REFERENCE, STORED], ids=["reference", "fixture"])
def test_a_manifest_is_written_back_byte_for_byte(folder: Path, tmp_path: Path) -> None:
    manifest = read_manifest(folder)
    write_manifest(tmp_path, manifest.with_fields(notes=manifest.notes, sessions=manifest.sessions))
    assert (tmp_path / MANIFEST).read_bytes() == (folder / MANIFEST).read_bytes()


def test_a_built_frontier_is_written_back_byte_for_byte() -> None:
    file = data_dir("frontiers") / "ladder.json"
    assert read_frontier(file).to_json() == file.read_text(encoding="utf-8")


def test_every_setting_of_a_stored_run_is_read() -> None:
    run = load_run(STORED)
    assert run.complete
    assert [setting.maximum for setting in run.settings] == [64, 256]
    assert run.outcomes("amc23").correct.mean(axis=(0, 1)).tolist() == [0, 0.25, 0.375, 0.5, 0.625]
    assert run.at("64").outcomes("amc23").full_correct.mean() == 0.25
    assert run.at("256").outcomes("amc23").length[0].tolist() == [94, 424]
    assert (run.cost["traces"], run.cost["probes"], run.cost["seconds"]) == (24, 41, 0.241)


def test_a_stored_run_is_reported_compared_and_graded_again(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(run)]) == 0
    report = Report.read(run)
    assert report.protocol == load_run(run).protocol
    assert report.tasks["amc23"].curve.accuracy == (0, 0.25, 0.375, 0.5, 0.625)
    assert [method.method for method in report.tasks["amc23"].control] == [
        "force",
        "tokens",
        "tokens + force",
    ]
    other = Path(shutil.copytree(STORED, tmp_path / "other"))
    assert main(["compare", f"one={run}", f"two={other}"]) == 0
    assert main(["check", str(run), "--baseline", str(other), "--measure", "accuracy_full"]) in (0, 4)
    assert main(["score", str(run)]) == 0
    assert load_run(run).outcomes("amc23").full_correct.mean() == 0.625
    assert "Traceback" not in capsys.readouterr().err


def test_a_manifest_without_what_older_versions_did_not_write_is_read(run: Path) -> None:
    def older(content: dict[str, Any]) -> None:
        for name in ("schema", "notes", "versions", "git", "host", "sessions", "start", "end", "interval"):
            del content[name]
        for name in ("tokens", "control", "integration", "version"):
            del content["protocol"][name]

    stored = load_run(manifest_with(run, older))
    assert (stored.protocol.tokens, stored.protocol.control.method) == ("ids", "force")
    assert stored.manifest.sessions == ()
    assert build_report(stored, frontier="none", replicates=20).tasks["amc23"].samples == 2
    assert stored.protocol.differences(load_run(STORED).protocol)[0].startswith("control: null != ")


def test_what_a_newer_version_wrote_is_kept_and_counts(run: Path) -> None:
    def newer(content: dict[str, Any]) -> None:
        content["owner"] = {"name": "somebody"}
        content["sessions"][0]["watts"] = 300.5
        content["protocol"]["sampling"]["typical_p"] = 0.5

    stored = load_run(manifest_with(run, newer))
    assert stored.protocol.digest != stored.digest
    assert stored.protocol.differences(load_run(STORED).protocol) == ["sampling.typical_p: 0.5 != null"]
    assert stored.protocol.with_grader("9").as_dict()["sampling"]["typical_p"] == 0.5
    assert stored.protocol.of_task("amc23").as_dict() == stored.protocol.as_dict()
    before = json.loads((run / MANIFEST).read_text())
    write_manifest(run, stored.manifest.with_fields(end=None))
    assert json.loads((run / MANIFEST).read_text()) == before | {"end": None}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it["protocol"].pop("probe"), "it lacks protocol.probe"),
        (lambda it: it["protocol"]["sampling"].update(top_p="much"), "protocol.sampling.top_p: .*'much'"),
        (lambda it: it["protocol"].update(budgets=[0, 64, 64]), "not strictly increasing: 64 follows 64"),
        (lambda it: it["protocol"].update(budgets=[]), "budgets must be tokens from 0 on"),
        (lambda it: it["protocol"].update(budget_counts="words"), "budget_counts: .*'words'"),
        (lambda it: it["protocol"]["control"]["settings"][0].pop("name"), "lacks .*control.settings.0.name"),
        (lambda it: it.update(interval="seeds"), "interval: .*'seeds'"),
        (lambda it: it.update(protocol=[]), r"protocol: .*\[\]"),
        (lambda it: it.pop("model"), "it lacks model"),
    ],
)
def test_a_manifest_that_cannot_be_is_one_line(
    run: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(InputError, match=f"is not a run's manifest: .*{message}") as refused:
        load_run(manifest_with(run, change))
    assert "\n" not in str(refused.value)


def test_the_view_shows_the_texts_of_the_page(run: Path) -> None:
    """Of the plain evaluation alone, though three settings of every sample are stored."""
    stored = load_run(run)
    page = PageRun(run=stored, report=build_report(stored, replicates=20))
    written = write_page([page], run).path.read_text(encoding="utf-8")
    server = PageServer([page])
    try:
        for name in server.blocks:
            (block,) = re.findall(f'id="{name}">([^<]*)<', written)
            assert server.block(name).decode() == block
            samples = json.loads(zlib.decompress(base64.b64decode(block)))
            _, task, problem = server.blocks[name]
            shown = {int(sample): content["text"] for sample, content in samples.items()}
            rows = stored.traces[(stored.traces["task"] == task) & (stored.traces["problem"] == problem)]
            assert shown == dict(zip(rows["sample"], rows["text"], strict=True))
    finally:
        server.server_close()


def test_a_trace_has_one_key_wherever_it_is_read(run: Path) -> None:
    with RunFolder(run) as folder:
        traces = {trace.key for trace in folder.traces()}
        assert (
            traces == {shape.key for shape in folder.trace_shapes()} == {k for k, _ in folder.keys("traces")}
        )
        assert {key for key, _ in folder.keys("answers")} == traces
    assert len(traces) == 24
    key = TraceKey("amc23", "sum-0", 1)
    assert key in traces
    assert key.at("64") in traces
    assert key.at("65") not in traces


def test_the_plain_evaluation_says_so() -> None:
    assert PLAIN.is_plain
    assert not Setting(name="64").is_plain
