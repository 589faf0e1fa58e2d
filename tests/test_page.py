"""The page in a real browser: navigation, filters, deep links, hostile text, dark mode, narrow width."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.browser import Browser, chromium
from helpers.page_runs import BUDGETS, TASK, write_run

from reghar.report.build import build_report
from reghar.report.page.build import PageRun, index
from reghar.report.page.write import write_page

DEEP = f"#task={TASK}&problem=sum-0&sample=2&budget=256"
BAD = f"#task={TASK}&problem=%3C%2Ftitle%3E%3Cb%3Ebad"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[PageRun]:
    folder = tmp_path_factory.mktemp("runs")
    stored = [
        write_run(folder / "one", hostile=True),
        write_run(folder / "two", hostile=True, seed=3, slower=1.5),
    ]
    return [PageRun(run=run, report=build_report(run, replicates=50)) for run in stored]


@pytest.fixture(scope="module")
def page(runs: list[PageRun], tmp_path_factory: pytest.TempPathFactory) -> str:
    written = write_page(runs, tmp_path_factory.mktemp("page"))
    assert written.has_texts
    assert written.size == written.path.stat().st_size < 3_000_000
    return written.path.as_uri()


@pytest.fixture(scope="module")
def shared_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def browser(shared_browser: Browser) -> Iterator[Browser]:
    shared_browser.media()
    shared_browser.complaints()
    shared_browser.requests()
    yield shared_browser
    assert shared_browser.complaints() == []
    outside = {url for url in shared_browser.requests() if not url.startswith(("file:", "data:", "about:"))}
    assert outside == set()


def test_summary_names_the_verdict_the_figures_and_the_budget_to_serve_with(
    browser: Browser, page: str
) -> None:
    browser.open(page)
    assert browser.text(".lead").startswith("Accuracy at the largest budget")
    assert "problems × samples" in browser.text("thead")
    served = browser.text(".serve summary")
    assert "Which budget to serve with?" in served
    assert "None can be recommended: not even the largest budget" in served
    assert len(browser.run("return document.querySelectorAll('.chart .line')")) == 3  # and their difference
    gaps = [float(text.replace(",", "")) for text in browser.texts(".problems td:nth-child(2)")]
    assert len(gaps) == 7
    assert gaps == sorted(gaps, reverse=True)


def test_hover_reads_the_values(browser: Browser, page: str) -> None:
    browser.open(page)
    browser.run("document.querySelector('.chart').focus()")
    assert browser.text(".values").startswith("2,048 tokens")
    browser.press("\ue012")  # left
    assert browser.text(".values").startswith("1,024 tokens")


def test_bands_are_drawn_named_and_read(browser: Browser, page: str, runs: list[PageRun]) -> None:
    browser.open(page)
    content = index(runs, served=False)
    assert len(browser.run("return document.querySelectorAll('.chart')")) == 2
    legends = browser.texts(".legend.bands")
    assert len(legends) == 2
    for legend in legends:
        assert "95% interval of each point" in legend
        assert "95% band: holds the whole curve at once" in legend
    paths = "return [...document.querySelectorAll('.chart .band.KIND')].map(p => p.getAttribute('d'))"
    whole, each = (browser.run(paths.replace("KIND", kind)) for kind in ("whole", "each"))
    assert len(whole) == len(each) == 3  # two curves and their difference
    assert set(whole).isdisjoint(each)
    curve = content["runs"][0]["tasks"][TASK]["report"]["curve"]
    read = browser.text(".values")
    ends = f"whole curve: {100 * curve['band_low'][-1]:.1f}%, {100 * curve['band_high'][-1]:.1f}%"
    assert ends in read
    (difference,) = content["differences"][TASK]
    assert difference["run"] == 1
    curves = [run["tasks"][TASK]["report"]["curve"]["accuracy"] for run in content["runs"]]
    wanted = [b - a for a, b in zip(*curves, strict=True)]
    assert difference["values"] == pytest.approx(wanted)
    signed = [f"{100 * value:+.1f}".replace("-", "−") for value in (wanted[-1], difference["bandLow"][-1])]
    shown = browser.texts(".values")[1]
    assert all(text.replace("+0.0", "0.0") in shown for text in signed)
    grid = "[...document.querySelectorAll('.chart')[1].querySelectorAll('.grid')]"
    heights = browser.run(f"return {grid}.map(line => +line.getAttribute('y1'))")
    assert heights == sorted(heights, reverse=True)  # from the lowest value up


def test_keyboard_goes_from_the_summary_to_a_trace_and_back(browser: Browser, page: str) -> None:
    browser.open(page + "#sort=order")
    browser.press("j", "\ue007")  # the first row, Enter
    assert "problem=sum-0" in browser.driver.current_url
    browser.press("j", "\ue007")
    assert "sample=0" in browser.driver.current_url
    assert browser.text(".why").startswith("✓ correct")
    browser.press("\ue012")  # from the whole trace to the largest budget
    assert f"budget={BUDGETS[-1]}" in browser.driver.current_url
    browser.press("j")
    assert "sample=1" in browser.driver.current_url
    browser.press("n")
    assert "problem=sum-0" not in browser.driver.current_url
    browser.press("u", "u")
    assert "problem=" not in browser.driver.current_url


def test_the_next_problem_is_the_next_of_the_filtered_list(browser: Browser, page: str) -> None:
    browser.open(page + "#sort=order&only=no_answer")
    listed = browser.texts(".problems tbody b")
    assert len(listed) < 7
    browser.press("j", "\ue007")
    walked = []
    for _ in listed:
        walked.append(browser.run("return new URLSearchParams(location.hash.slice(1)).get('problem')"))
        browser.press("n")
    assert walked == listed


def test_leaving_a_problem_comes_back_to_its_row_and_filter(browser: Browser, page: str) -> None:
    browser.media(height=300)
    browser.open(page + "#sort=order&find=24")
    name = browser.texts(".problems tbody b")[-1]
    for leave in (lambda: browser.press("u"), lambda: browser.driver.back()):
        browser.run("[...document.querySelectorAll('.row a')].at(-1).click()")
        browser.settle()
        leave()
        browser.settle()
        assert "find=24" in browser.driver.current_url
        assert browser.run("return document.querySelector('.row.chosen').dataset.name") == name
        top = browser.run("return document.querySelector('.row.chosen').getBoundingClientRect().top")
        assert 0 < top < 300


def test_percentages_round_as_the_report_does(browser: Browser, page: str) -> None:
    browser.open(page)
    values = [0.9925, 0.9975, 0.5, 0.12345, 0.005, 0.0625, 1.0, 0.3335, 1 / 3]
    source = browser.run(
        "return [...document.scripts].map((s) => s.textContent).find((t) => t.includes('function fixed'))"
    )
    function = source[source.index("function fixed") : source.index("const percent")]
    shown = browser.run(f"{function}; return {values}.map((v) => fixed(100 * v, 1))")
    assert shown == [f"{100 * value:.1f}" for value in values]


def test_the_sign_of_a_sample_is_that_of_the_largest_budget(browser: Browser, page: str) -> None:
    browser.open(page + f"#task={TASK}&problem=sum-0")
    assert browser.texts(".samples .end.hint") == [f"at {BUDGETS[-1]:,}, length"]


def test_help_lists_the_keys(browser: Browser, page: str) -> None:
    browser.open(page)
    browser.press("?")
    assert browser.run("return document.getElementById('help').open")
    assert "smaller, larger budget" in browser.text("#help")


def test_a_deep_link_opens_the_trace_with_its_cut(browser: Browser, page: str) -> None:
    browser.open(page + DEEP)
    assert "Cut at 256 tokens; the probe made the model answer 40, equal to the gold 40." in browser.text(
        ".why"
    )
    before = browser.run("return document.querySelector('.body').firstChild.textContent")
    assert before.startswith("<think>")
    assert browser.text(".cut .label") == "cut at 256 tokens"
    assert browser.text(".probe").startswith("Oh, I suddenly got the answer")
    assert browser.text(".forced") == "40} \\]"
    assert "overthought" in browser.text(".trace > .hint")


def test_the_cut_is_after_exactly_the_budget(browser: Browser, page: str) -> None:
    browser.open(page + DEEP)
    browser.press("m")  # as written
    shown = browser.run(
        "const cut = document.getElementById('cut'); let text = '';"
        "for (const node of cut.parentNode.childNodes) { if (node === cut) break; text += node.textContent; }"
        "return text"
    )
    # A token a byte, but for the one that opens the thinking.
    assert len(shown) == 256 - 1 + len("<think>")


def test_why_a_sample_counted_as_wrong(browser: Browser, page: str) -> None:
    browser.open(page + DEEP.replace("budget=256", "budget=full"))
    assert browser.text(".why").startswith("✗ incorrect")
    assert "The whole trace answers" in browser.text(".why")
    browser.open(page + DEEP.replace("sample=2", "sample=5").replace("256", "512"))
    assert browser.text(".why").startswith("∅ no answer")


def test_filters_leave_what_they_name(browser: Browser, page: str) -> None:
    browser.open(page + f"#task={TASK}&problem=sum-0")
    assert len(browser.texts(".row.sample")) == 6
    browser.press("o")
    lost = browser.texts(".row.sample")
    assert len(lost) == 1
    assert "overthought" in lost[0]
    browser.open(page + f"#task={TASK}&problem=sum-0&only=no_answer")
    assert len(browser.texts(".row.sample")) == 1
    browser.open(page + "#find=24+%2B+20")
    assert browser.texts(".problems tbody b") == ["sum-4"]


def test_search_marks_the_words_in_a_trace(browser: Browser, page: str) -> None:
    browser.open(page + DEEP + "&text=FINAL+nothing")
    assert browser.text("#hits") == "0 found"
    browser.open(page + DEEP + "&text=the+answer+is")
    assert browser.texts("mark") == ["The answer is"]


def test_formulas_are_rendered(browser: Browser, page: str) -> None:
    browser.open(page + DEEP)
    assert browser.run("return document.querySelectorAll('.question-box .katex').length") == 2
    assert browser.run("return document.fonts.check('16px KaTeX_Math')")


def test_two_runs_stand_side_by_side(browser: Browser, page: str) -> None:
    browser.open(page + f"#task={TASK}&problem=sum-0&vs=1")
    assert len(browser.texts(".columns > .samples")) == 2
    browser.open(page + DEEP + "&vs=1")
    assert len(browser.texts(".columns .why")) == 2


def test_an_address_that_names_nothing_says_so(browser: Browser, page: str) -> None:
    browser.open(page + "#task=constructor&problem=nowhere&sample=99&run=7&budget=x")
    assert "holds no" in browser.text(".warning")
    assert browser.text(".problems")


@pytest.mark.parametrize("place", ["", BAD, *(f"{BAD}&sample={i}&budget=512" for i in range(6))])
def test_hostile_text_runs_nothing_and_breaks_no_layout(browser: Browser, page: str, place: str) -> None:
    for width in (1200, 390):
        browser.media(width=width)
        browser.open(page + place)
        assert browser.run("return window.hacked ?? null") is None
        assert browser.run("return document.querySelectorAll('main img, main script, main b b').length") == 0
        assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth")
        assert browser.run("return document.getElementById('bar').getBoundingClientRect().height") < 120
        assert browser.text(".warning") == ""


@pytest.mark.parametrize("place", ["", f"#task={TASK}&problem=sum-0&vs=1", DEEP])
def test_dark_and_narrow(browser: Browser, page: str, place: str) -> None:
    browser.media(scheme="dark", width=390)
    browser.open(page + place)
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 27)"
    assert browser.run("return document.documentElement.scrollWidth <= window.innerWidth")
