"""One declaration of an option: flag, setting, help, check and documentation follow from it."""

import math
from dataclasses import MISSING, fields

import pytest

from reghar.cli import main, make_parser
from reghar.cli.options import given_settings
from reghar.errors import InputError
from reghar.run.checks import check_settings
from reghar.run.options import Bounds
from reghar.run.settings import OF_A_PROBING, RunSettings, run_options
from tools.options_page import PAGE, page

REQUIRED = {"model": "m", "tasks": ("t",)}
WORDS = {
    bool: ([], True),
    int: (["3"], 3),
    float: (["0.5"], 0.5),
    str: (["x"], "x"),
    tuple[str, ...]: (["x"], ("x",)),
    tuple[str, str]: (["<a>", "</a>"], ("<a>", "</a>")),
}


@pytest.mark.parametrize("option", run_options().values(), ids=lambda option: option.flag)
def test_every_setting_is_given_by_its_flag(option) -> None:
    if option.choices:
        words, value = [option.choices[-1]], option.choices[-1]
    elif option.type in WORDS:
        words, value = WORDS[option.type]
    else:
        words, value = ["a-key=[1, null]"], {"a_key": [1, None]}
    for flag in option.flags:
        given = given_settings(make_parser().parse_args(["run", flag, *words]))
        assert given == {option.name: value}
        typed = option.words(value)
        assert given_settings(make_parser().parse_args(["run", *typed])) == given
        assert option.words(None) == []
        if option.repeated:
            twice = given_settings(make_parser().parse_args(["run", flag, *words, flag, *words]))
            assert len(twice[option.name]) == (2 if isinstance(value, tuple) else 1)
    if option.none:
        none = given_settings(make_parser().parse_args(["run", option.flag, option.none]))
        assert none == {option.name: None}
    if option.name in OF_A_PROBING:
        assert given_settings(make_parser().parse_args(["probe", "RUN", flag, *words])) == given


def test_what_is_not_given_has_the_default_of_its_declaration() -> None:
    assert given_settings(make_parser().parse_args(["run"])) == {}
    check_settings(RunSettings(**REQUIRED))
    required = {each.name for each in fields(RunSettings) if each.default is each.default_factory is MISSING}
    assert required == set(REQUIRED)


@pytest.mark.parametrize("option", run_options().values(), ids=lambda option: option.flag)
def test_no_value_outside_its_bounds(option) -> None:
    wrong = ["no choice"] if option.choices else []
    if option.bounds is not None:
        low, high = option.bounds.low, option.bounds.high
        wrong += [low if option.bounds.above else math.nextafter(low, -math.inf), math.nan, math.inf, "text"]
        wrong += [high if option.bounds.below else math.nextafter(high, math.inf)]
    for value in wrong:
        with pytest.raises(InputError, match=f"{option.flag} must be .*, not "):
            check_settings(RunSettings(**{**REQUIRED, option.name: value}))


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        (Bounds(low=0, high=2), "from 0 to 2"),
        (Bounds(low=1), "at least 1"),
        (Bounds(low=0, above=True, unit="seconds"), "above 0 seconds"),
        (Bounds(low=0, above=True, high=1), "above 0 and at most 1"),
        (Bounds(low=0, high=9, below=True), "at least 0 and below 9"),
    ],
)
def test_bounds_as_they_are_said(bounds: Bounds, text: str) -> None:
    assert str(bounds) == text


def test_the_page_of_options_is_as_the_code_declares_them() -> None:
    assert PAGE.read_text() == page(), "write it again with: python -m tools.options_page"
    for option in run_options().values():
        assert f"{option.flag}" in page()
        assert f"| `{option.name}` |" in page()


def test_a_stored_run_takes_no_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lm-eval", "--run", "somewhere", "--top-p", "0.5", "--stop", "x"]) == 2
    assert "leave out --top-p, --stop" in capsys.readouterr().err
