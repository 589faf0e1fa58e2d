"""Reports: the schema, what a person reads, what the terminal shows, ranking, hostile names."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.protocols import protocol_settings, task_settings

from reghar.errors import InputError
from reghar.measures.catalogue import MEASURES, Measure
from reghar.report import terminal
from reghar.report.markdown import report_markdown
from reghar.report.ranking import rank, ranking_markdown
from reghar.report.schema import Report
from reghar.report.text import escaped, measured, model_name, number, printable
from reghar.report.verdict import verdict
from reghar.report.write import WrittenReport

HOSTILE = "<script>alert(1)</script> [x](javascript:alert(1)) | `a` **b** $c$ \x1b[31mred\x07 \u202eevil\nhttp://e.vil"


def _measure(
    name: str, value: float | None, unit: str = "tokens", better: bool | None = False
) -> dict[str, Any]:
    interval = {"low": None, "high": None} if value is None else {"low": 0.9 * value, "high": 1.1 * value}
    return {"name": name, "value": value, "unit": unit, "higher_is_better": better, **interval}


def _measures(reg: float | None) -> list[dict[str, Any]]:
    return [
        _measure("reg", reg),
        _measure("reg_up_to_1024", reg),
        _measure("area", 300.0, better=True),
        _measure("accuracy_at_l_max", 0.5, "fraction", better=True),
        _measure("accuracy_full", 0.6, "fraction", better=True),
        _measure("mean_length", 700.0, better=None),
    ]


WRITTEN = WrittenReport(
    page=Path("results/run/report.md"),
    pictures=(Path("results/run/curves.png"), Path("results/run/control.png")),
)


def make_report(
    *, model: str = "a/model", task: str = "aime24", reg: float = 80.0, complete: bool = True
) -> Report:
    frontier = {"accuracy": [0.2, 0.4, 0.6], "interpolated": False}
    outcomes = {
        "correct": [4, 12, 20],
        "incorrect": [36, 26, 19],
        "no_answer": [0, 0, 0],
        "grader_timeout": [0, 1, 1],
        "missing": [0, 1, 0] if not complete else [0, 0, 0],
    }
    curve = {
        "budgets": [0, 512, 1024],
        "accuracy": [0.1, 0.3, 0.5],
        "low": [0.0, 0.2, 0.4],
        "high": [0.2, 0.4, 0.6],
    }
    return Report.parse(
        {
            "schema": "reghar.report/1",
            "model": model,
            "digest": "d" * 64,
            "protocol": protocol_settings({task: task_settings([str(i) for i in range(100)])}),
            "complete": complete,
            "frontier": {
                "name": "Qwen3-4B",
                "base_model": "Qwen3-4B",
                "source": "arXiv 2506.07104",
                "chosen": "named",
                "protocol": "unverified",
                "unknown": ["grader"],
            },
            "interval": {"kind": "problems", "replicates": 1000, "seed": 0},
            "tasks": {
                task: {
                    "problems": 10,
                    "samples": 4,
                    "missing": 0 if complete else 1,
                    "curve": curve,
                    "frontier": frontier,
                    "outcomes": outcomes,
                    "full_outcomes": {"correct": 24, "incorrect": 16},
                    "grader_failures": {"count": 2, "accuracy_if_right": [0.1, 0.325, 0.525]},
                    "measures": _measures(reg),
                    "notes": ["a note"],
                }
            },
            "average": {
                "curve": {**curve, "low": None, "high": None},
                "frontier": frontier,
                "measures": _measures(reg),
            },
            "cost": {"trace_tokens": 28000, "probe_prompt_tokens_cached_share": 0.93, "seconds": None},
            "notes": [],
        },
        origin="test",
    )


def test_reading_is_the_inverse_of_writing(tmp_path: Path) -> None:
    report = make_report(model=HOSTILE)
    (tmp_path / "report.json").write_text(report.to_json(), encoding="utf-8")
    assert Report.read(tmp_path) == report
    assert Report.read(tmp_path / "report.json").to_json() == report.to_json()


def test_the_json_has_the_documented_fields() -> None:
    content = json.loads(make_report().to_json())
    assert content["schema"] == "reghar.report/1"
    task = content["tasks"]["aime24"]
    assert task["curve"].keys() == {*("budgets", "accuracy", "low", "high", "band_low", "band_high")}
    assert task["measures"][0].keys() == {
        *("name", "value", "unit", "higher_is_better", "low", "high", "drawn")
    }
    assert content["average"]["measures"][0]["name"] == "reg"


def test_every_field_stands_in_the_documentation() -> None:
    documented = (Path(__file__).parents[1] / "docs" / "report.md").read_text(encoding="utf-8")
    schema = Report.model_json_schema(by_alias=True)
    fields = {*schema["properties"]}
    for definition in schema["$defs"].values():
        fields |= {*definition["properties"]}
    assert {field for field in fields if f"`{field}`" not in documented} == set()


def test_every_measure_stands_in_the_documentation() -> None:
    documented = (Path(__file__).parents[1] / "docs" / "report.md").read_text(encoding="utf-8")
    assert {name for name in MEASURES if f"`{name}`" not in documented} == set()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(schema="reghar.report/9"), "has schema 'reghar.report/9'"),
        (lambda c: c.pop("model"), "it lacks model"),
        (lambda c: c["tasks"]["aime24"]["curve"]["accuracy"].append(0.5), "4 points for 3 budgets"),
        (lambda c: c["tasks"]["aime24"]["curve"]["accuracy"].__setitem__(0, 1.5), "less than or equal to 1"),
        (lambda c: c["tasks"]["aime24"]["curve"].update(budgets=[0, 0, 1]), "not strictly increasing"),
        (lambda c: c["tasks"]["aime24"]["outcomes"].update(correct=[1]), "another length"),
        (lambda c: c["tasks"]["aime24"].update(surprise=1), "surprise"),
    ],
)
def test_a_wrong_report_is_refused_in_one_line(tmp_path: Path, change: Any, message: str) -> None:
    content = json.loads(make_report().to_json())
    change(content)
    file = tmp_path / "report.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError) as error:
        Report.read(file)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot read"), ("{", "not JSON"), ("[]", "schema None")]
)
def test_no_report_is_refused_in_one_line(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "report.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        Report.read(file)


def test_the_verdict_comes_first_and_says_what_reg_means() -> None:
    page = report_markdown(make_report()).splitlines()
    assert page[0] == "# model"
    assert page[2].startswith(
        "REG is 80.0 tokens (95% interval 72.0 to 88.0) on aime24, against the frontier"
    )
    # 80 tokens over 1,024 budgets are 7.8 points of accuracy.
    assert "7.8 points below the best known" in page[2]


def changed_report(change: Callable[[dict[str, Any]], object]) -> Report:
    content = json.loads(make_report().to_json())
    change(content)
    return Report.parse(content, origin="test")


def drawn_over(content: dict[str, Any], drawn: str) -> None:
    """REG's question, and standard errors of the frontier: 30 tokens of the task, 12 on average."""
    for part, error in ((content["tasks"]["aime24"], 30.0), (content["average"], 12.0)):
        part["measures"][0]["drawn"] = drawn
        part["frontier"]["reg_error"] = error


def two_tasks(content: dict[str, Any]) -> None:
    """The second task's REG is half of the first one's."""
    other = json.loads(json.dumps(content["tasks"]["aime24"]))
    other["measures"][0].update(value=40.0, low=36.0, high=44.0)
    content["tasks"]["amc23"] = other
    content["average"]["measures"][0].update(value=60.0, low=54.0, high=66.0)


def test_the_verdict_names_the_question_and_the_frontiers_error() -> None:
    joint = verdict(changed_report(lambda content: drawn_over(content, "problems")))
    assert "The interval is about problems like these (whole problems drawn)" in joint
    assert "the frontier is drawn with the run, problem by problem" in joint
    assert "standard error" not in joint
    fixed = verdict(changed_report(lambda content: drawn_over(content, "samples")))
    assert "The interval is about this benchmark and other draws of the model (samples drawn)" in fixed
    assert "the frontier's own error, 30.0 tokens (standard error), is in it" in fixed
    assert "problem by problem" not in fixed


def test_of_several_tasks_the_verdict_is_on_their_average() -> None:
    def change(content: dict[str, Any]) -> None:
        drawn_over(content, "samples")
        two_tasks(content)

    text = verdict(changed_report(change))
    assert text.startswith("REG is 60.0 tokens (95% interval 54.0 to 66.0) averaged over 2 tasks")
    assert "5.9 points below" in text  # 60 tokens over 1,024
    assert "the frontier's own error, 12.0 tokens (standard error), is in it" in text


def test_reg_against_the_cross_fitted_frontier_stands_beside() -> None:
    fitted = _measure("reg_cross_fitted", 71.5)
    text = verdict(changed_report(lambda content: content["tasks"]["aime24"]["measures"].append(fitted)))
    assert text.startswith("REG is 80.0 tokens")
    assert "free of the upward bias of a maximum, REG is 71.5 tokens." in text
    assert "cross-fitted" not in verdict(make_report())


def test_points_are_of_the_budgets_that_were_integrated_over() -> None:
    def change(content: dict[str, Any]) -> None:
        for part in (content["tasks"]["aime24"], content["average"]):
            part["curve"]["budgets"] = [512, 768, 1024]

    text = verdict(changed_report(change))
    assert "evenly from 512 to 1,024 tokens, the accuracy is on average 15.6 points below" in text


def test_a_gap_whose_interval_holds_zero_is_not_established() -> None:
    report = make_report(reg=0.0)
    assert "a gap is not established" in verdict(report)
    assert "a gap is not established" not in verdict(make_report(reg=5.0))


def test_an_incomplete_run_says_so_first_everywhere() -> None:
    report = make_report(complete=False)
    assert verdict(report).startswith("INCOMPLETE: 1 planned answer")
    assert report_markdown(report).splitlines()[2].startswith("INCOMPLETE")
    assert "INCOMPLETE" in (terminal.summary(report, WRITTEN))


def test_the_page_tells_outcomes_failures_cost_and_unknowns() -> None:
    page = report_markdown(make_report())
    assert "| 1,024 | 50.0% | 40.0% to 60.0% | 60.0% | 20 | 19 | 1 |" in page
    assert "2 answers could not be graded" in page
    assert "52.5% instead of 50.0%" in page
    assert "| probe prompt tokens cached share | 93.0% |" in page.replace("\\_", "_")
    assert "grader" in page
    assert "unverified" in page
    assert "100 entries" in page


def test_nothing_from_outside_is_markup() -> None:
    from html import escape

    from markdown_it import MarkdownIt

    page = report_markdown(make_report(model=HOSTILE, task=HOSTILE))
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(page)
    as_itself = escape(printable(HOSTILE), quote=False)
    assert f"<h1>{escape(model_name(HOSTILE), quote=False)}</h1>" in html
    assert f'<td style="text-align:left">{as_itself}</td>' in html
    for tag in ("<script", "<a", "<strong", "http://"):
        assert tag not in html.replace(as_itself, "")
    assert "http://" not in page  # so that nothing becomes an address by itself
    for character in "\x1b\x07\u202e":
        assert character not in page


def test_the_terminal_obeys_no_name() -> None:
    shown = terminal.summary(make_report(model=HOSTILE, task="[bold]x[/bold]\x1b[2J"), WRITTEN)
    assert "\x1b" not in shown
    assert "[bold]x[/bold]" in shown


def test_the_terminal_table_has_the_figures_and_the_path() -> None:
    shown = terminal.summary(make_report(), WRITTEN)
    for text in (
        "aime24",
        "50.0%",
        "700",
        "80.0 [72.0, 88.0]",
        "results/run/report.md",
        "results/run/control.png",
    ):
        assert text in shown


def test_ranking_is_by_reg_and_puts_incomplete_runs_last() -> None:
    reports = [
        make_report(model="worse", reg=90.0),
        make_report(model="unfinished", reg=1.0, complete=False),
        make_report(model="better", reg=-10.0),
    ]
    ranked = rank(reports)
    assert [report.model for report in ranked.reports] == ["better", "worse", "unfinished"]
    page = ranking_markdown(ranked)
    assert page.index("| 1 | better") < page.index("| 2 | worse") < page.index("| incomplete | unfinished")
    assert "−10.0" in page


def test_without_reg_over_all_tasks_the_area_ranks() -> None:
    """A frontier of some tasks only gives no average REG."""

    def partly(model: str, area: float) -> Report:
        content = json.loads(make_report(model=model).to_json())
        task = content["tasks"]["aime24"]
        other = {**task, "frontier": None, "measures": [_measure("area", area, better=True)]}
        content["tasks"]["gsm8k"] = other
        content["average"]["measures"] = [_measure("area", area, better=True)]
        return Report.parse(content, origin="test")

    ranked = rank([partly("a-worse", 10.0), partly("z-better", 900.0)])
    assert ranked.measure == "area"
    assert [report.model for report in ranked.reports] == ["z-better", "a-worse"]
    assert "By area under the curve" in ranking_markdown(ranked)


def test_two_frontiers_of_one_name_are_told_apart() -> None:
    report = make_report()
    assert report.frontier is not None
    own = report.frontier.model_copy(update={"sha256": "a" * 64})
    with pytest.raises(InputError, match=r"Qwen3-4B \(points unknown\), .* Qwen3-4B \(points aaaaaaaa\)"):
        rank([report, report.model_copy(update={"frontier": own})])


def test_unequal_protocols_or_frontiers_are_not_ranked() -> None:
    report = make_report()
    other = report.model_copy(
        update={"digest": "e" * 64, "protocol": replace(report.protocol, budgets=(0, 1))}
    )
    with pytest.raises(InputError, match="budgets"):
        rank([report, other])
    assert report.frontier is not None
    elsewhere = report.model_copy(
        update={"frontier": report.frontier.model_copy(update={"name": "Qwen3-8B"})}
    )
    with pytest.raises(InputError, match="name one for all with --frontier"):
        rank([report, elsewhere])


def test_numbers_read_well() -> None:
    assert number(None, "tokens") == "–"
    assert number(0.1234, "fraction") == "12.3%"
    assert number(-1780.2, "tokens") == "−1,780"
    assert number(0.003, "share per token") == "0.003"
    assert measured(None) == "–"
    share = Measure(name="x", value=0.5, unit="fraction", higher_is_better=True, low=0.4, high=0.6)
    assert measured(share) == "50.0% [40.0, 60.0]"
    assert measured(replace(share, unit="tokens", value=900.0, high=None)) == "900 [0.4, ∞]"
    assert printable("a\x00b\nc") == "a\N{REPLACEMENT CHARACTER}b c"
    assert escaped("a_b|<c>") == "a\\_b\\|&lt;c&gt;"
