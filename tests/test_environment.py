"""Where an engine ran is recorded, read again, and told where compared runs differ in it."""

from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import pytest

from reghar.compare.check import check
from reghar.compare.environments import environment_notes
from reghar.compare.evidence import load_given
from reghar.compare.gates import gates_from_flags
from reghar.compare.sides import Side, load_sides
from reghar.compare.table import compare
from reghar.engines.base import EngineInfo
from reghar.engines.environment import Environment, engine_variables, engine_versions
from reghar.store.manifest import EngineRecord, Session

RUN = Path(__file__).resolve().parents[1] / "results" / "reference" / "terse"


def test_variables_are_vllms_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VLLM_API_KEY", "VLLM_SOME_TOKEN", "VLLM_PASSWORD", "OTHER"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("VLLM_PLUGIN", "sk-0123456789")
    monkeypatch.setenv("VLLM_MIRROR", "https://me:word@example.org/wheels")
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "INFO")
    found = engine_variables()
    assert found["VLLM_LOGGING_LEVEL"] == "INFO"
    assert not {"VLLM_PLUGIN", "VLLM_MIRROR"} & set(found), "by their values"
    assert not {"VLLM_API_KEY", "VLLM_SOME_TOKEN", "VLLM_PASSWORD", "OTHER"} & set(found)


def test_what_an_engine_tells_is_read_again_as_it_was_written() -> None:
    environment = Environment(
        gpus=("A", "A"), dtype="bfloat16", versions=engine_versions(), variables={"VLLM_X": "1"}
    )
    info = EngineInfo(
        name="vllm", version="1", host="A", arguments={}, kv_caches=(5, None), environment=environment
    )
    record = EngineRecord.model_validate(asdict(info))
    again = EngineRecord.model_validate_json(record.model_dump_json())
    assert again == record
    assert again.environment is not None
    assert again.environment.versions["torch"] == version("torch")
    assert (again.environment.gpus, again.environment.dtype) == (("A", "A"), "bfloat16")
    assert again.kv_caches == (5, None)


def side(label: str, *engines: EngineRecord) -> Side:
    """The reference run as if these engines had worked at it."""
    (run,) = load_sides([f"{label}={RUN}"])[0].runs
    sessions = tuple(Session(engine=engine) for engine in engines)
    return Side(label=label, runs=(replace(run, manifest=run.manifest.with_fields(sessions=sessions)),))


def engine(version: str = "0.32", **told: str | None) -> EngineRecord:
    environment = Environment(**({"dtype": "float32"} | told))
    return EngineRecord.model_validate(
        asdict(EngineInfo(name="vllm", version=version, host="h", arguments={}, environment=environment))
    )


def test_equal_engines_need_no_note() -> None:
    assert environment_notes([side("a", engine()), side("b", engine(), engine())]) == []


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (engine(dtype="bfloat16"), "dtype: a float32, b bfloat16;"),
        (engine(quantization="fp8"), "quantization: a none, b fp8;"),
        (engine("0.33"), "version: a vllm 0.32, b vllm 0.33;"),
    ],
)
def test_what_differs_is_told(other: EngineRecord, words: str) -> None:
    (note,) = environment_notes([side("a", engine()), side("b", other)])
    assert words in note


def test_an_engine_that_changed_within_a_run_is_told() -> None:
    (note,) = environment_notes([side("a", engine()), side("b", engine(), engine(dtype="bfloat16"))])
    assert "b bfloat16 and float32" in note


def test_who_does_not_say_differs_from_none() -> None:
    silent = EngineRecord(name="vllm", version="0.32", host="served")
    assert environment_notes([side("a", engine()), side("b", silent), side("c", engine(dtype=None))]) == []


def test_comparisons_and_checks_say_it() -> None:
    sides = [side("a", engine()), side("b", engine(dtype="bfloat16"))]
    found = compare(sides, baseline=sides[0])
    assert any("differ in dtype" in note for note in found.notes)
    given = [replace(load_given(RUN), side=one) for one in sides]
    checked = check(given[1], given[0], gates_from_flags(["mean_length"], None, [], None))
    assert any("differ in dtype" in note for note in checked.notes)
