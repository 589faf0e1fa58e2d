"""From what a model typed to one plain spelling of LaTeX, in passes that are linear in the text.

Nothing is decided here: two spellings of one thing become the same text, and what a symbol means is
left to `read`. `CLEANING` is the whole list, in the order in which it is applied.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "﹣": "-", "－": "-", "×": r"\times ",
    "✕": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "•": r"\cdot ", "÷": "/", "∕": "/",
    "⁄": "/", "√": r"\sqrt", "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ", "⩽": r"\le ", "⩾": r"\ge ",
    "≠": r"\ne ", "≈": r"\approx ", "≃": r"\approx ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ",
    "±": r"\pm ", "∓": r"\mp ", "°": r"^\circ ", "º": r"^\circ ", "′": "'", "’": "'", "∠": r"\angle ",
    "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "。": ".", "、": ",",
    "℃": r"^\circ C", "ℝ": r"\mathbb{R}", "∅": r"\emptyset ", "“": "", "”": "", "「": "", "」": "",
    "¼": r" \frac{1}{4}", "½": r" \frac{1}{2}", "¾": r" \frac{3}{4}", "⅓": r" \frac{1}{3}",
    "⅔": r" \frac{2}{3}", "⅕": r" \frac{1}{5}", "⅛": r" \frac{1}{8}", "‰": r"\text{permille}",
    "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "δ": r"\delta ", "ε": r"\epsilon ",
    "ζ": r"\zeta ", "η": r"\eta ", "θ": r"\theta ", "κ": r"\kappa ", "λ": r"\lambda ", "μ": r"\mu ",
    "ν": r"\nu ", "ξ": r"\xi ", "π": r"\pi ", "ρ": r"\rho ", "σ": r"\sigma ", "τ": r"\tau ",
    "φ": r"\phi ", "χ": r"\chi ", "ψ": r"\psi ", "ω": r"\omega ", "Δ": r"\Delta ", "Ω": r"\Omega ",
    "Σ": r"\Sigma ", "ℏ": r"\hbar ",
}  # fmt: skip
_ODD = re.compile("[^\x20-\x7e]")
_FUNCTIONS = "arcsin|arccos|arctan|sinh|cosh|tanh|sqrt|sin|cos|tan|cot|sec|csc|log|ln|exp|pi|infty|theta"

CLEANING: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # A line break of a matrix; elsewhere a backslash that was escaped twice.
        (r"\\\\(?=\s|\\|[^a-zA-Z]|$)(?:\[[^\]]{0,10}\])?", r"\\cr "),
        (r"\\\\(?=[a-zA-Z])", r"\\"),
        # Commands that only change how something looks.
        (r"\\(?:displaystyle|textstyle|scriptstyle|limits|nolimits|boldmath|hfill|centering|,$)", " "),
        (r"\\(?:left|right|middle|[bB]igg?[lrm]?)(?![a-zA-Z])\s?\.?", ""),
        (r"\\(?:mathbf|boldsymbol|bm|mathit|mathnormal|mathsf|pmb|ensuremath|underline)\s?(?=\{)", ""),
        (
            r"\\(?:textbf|textit|textrm|textnormal|textsf|texttt|emph|mbox|hbox|mathrm|operatorname\*?|rm)\s?\{",
            r"\\text{",
        ),
        (r"\{\\(?:rm|bf|it)\s", r"\\text{"),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\(?:geqslant|geq|ge)(?![a-zA-Z])", r"\\ge "),
        (r"\\(?:leqslant|leq|le)(?![a-zA-Z])", r"\\le "),
        (r"\\neq(?![a-zA-Z])", r"\\ne "),
        (r"\\lt(?![a-zA-Z])", "<"),
        (r"\\gt(?![a-zA-Z])", ">"),
        (r"\\(?:approxeq|simeq|thickapprox)(?![a-zA-Z])", r"\\approx "),
        (r"\\(?:lbrace|lbrack)(?![a-zA-Z])", r"\\{"),
        (r"\\(?:rbrace|rbrack)(?![a-zA-Z])", r"\\}"),
        (r"\\(?:colon)(?![a-zA-Z])", ":"),
        # Degrees and percent, each in one spelling.
        (r"\^?\s?\{?\s?\\(?:circ|degree)(?![a-zA-Z])\s?\}?|\\textdegree(?![a-zA-Z])", r"^\\circ "),
        (r"\\%", "%"),
        # Thousands separators that are spaces in print, then all other spaces.
        (r"\{\s?,\s?\}", ","),
        (r"\\!\s{0,4}", ""),
        (r"(?<=\d)(?:\\[,;: ]|~)(?=\d{3}(?!\d))", ""),
        (r"\\(?:[,;:> ]|quad|qquad|thinspace|enspace|hspace\{[^{}]{0,20}\})(?![a-zA-Z])|~", " "),
        # Dollar signs are either delimiters or currency: neither counts. Delimiters of formulas go.
        (r"\\?\$|\\\(|\\\)|\\\[|(?<!\\)\\\]", ""),
        (r"\{\s?([^{}]{1,60})\\choose(?![a-zA-Z])([^{}]{1,60})\}", r"\\binom{\1}{\2}"),
        # Python and plain text.
        (r"(?<![\w\\])(?:np|numpy|math|sympy|sp|torch)\.(?=[a-z])", ""),
        (r"^\s?\*\*|\*\*\s?$|`", ""),
        (r"\*\*", "^"),
        (rf"(?<![a-zA-Z\\])({_FUNCTIONS})(?![a-zA-Z])", r"\\\1 "),
        (r"(?<![a-zA-Z\\])(?:inf|infinity|Infinity|oo)(?![a-zA-Z])", r"\\infty "),
        (r"(?<![a-zA-Z\\])a(sin|cos|tan)(?![a-zA-Z])", r"\\arc\1 "),
        (r"\\sqrt\s?\(([^()]{0,200})\)", r"\\sqrt{\1}"),
        (r"(?<=[a-zA-Z})])'(?![a-zA-Z])", r"^{\\prime}"),
        (r"\\text\s?\{\s?(-?[\d.,/]{1,60})\s?\}", r"\1"),
        (r"^\s?\\text\s?\{([^{}]*\d[^{}]*)\}\s?$", r"\1"),
        (r"\s{1,4096}", " "),
    )
)
_PREAMBLE = (
    "(?:so|thus|hence|therefore|the|my|our|is|are|final|correct|answers?|result|value|solutions?|total"
    "|a total of|equals?|equal to|about|approximately|approx|roughly|around|exactly)"
)
_LEADING = re.compile(
    rf"^(?:\s|{_PREAMBLE}(?=[\s:=,.])[:,.]?|\\text\s?\{{(?:\s|{_PREAMBLE}(?![a-zA-Z])|[:=,.])*\}}"
    r"|\\(?:approx|sim|therefore|implies|Rightarrow)(?![a-zA-Z])|[=≈:])+",
    re.IGNORECASE,
)
_ENVIRONMENT = r"\begin"
_CIRCULAR = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-zA-Z])")
_DEGREES = re.compile(r"\{?(\d{1,9}(?:\.\d{1,9})?)\s?\^\\circ\s?\}?")
_TRAILING = re.compile(r"(?:\s|(?<!\\)[.,;:?])+$")


@lru_cache(maxsize=4096)
def clean(text: str) -> str:
    """One spelling of the text, printable ASCII and letters only, without surrounding punctuation."""
    text = _plain_characters(text)
    if _ENVIRONMENT in text:
        text = text.replace("\\\\", r"\cr ")
    for pattern, replacement in CLEANING:
        text = pattern.sub(replacement, text)
    if _CIRCULAR.search(text):
        text = _DEGREES.sub(r"\\frac{\1 \\pi}{180}", text)
    return _TRAILING.sub("", text).strip()


def without_preamble(text: str) -> str:
    """Cleaned text without words such as `the answer is` in front."""
    rest = _LEADING.sub("", text)
    return rest if rest else text


def excerpt(text: str, limit: int = 200) -> str:
    """The text as it may stand in a report or on a terminal: no control characters, cut at the limit."""
    kept = "".join(c if c.isprintable() else "�" for c in text[: limit + 1])
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def _plain_characters(text: str) -> str:
    """ASCII for what has an ASCII or LaTeX spelling; control and format characters dropped."""
    if text.isascii() and text.isprintable():
        return text
    text = re.sub("([⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+)", lambda m: "^{" + m[1].translate(_SUPERSCRIPTS) + "}", text)
    text = re.sub("([₀₁₂₃₄₅₆₇₈₉]+)", lambda m: "_{" + m[1].translate(_SUBSCRIPTS) + "}", text)
    text = re.sub(r"√\s?(\d{1,60}(?:\.\d{1,60})?|[a-zA-Z])", r"\\sqrt{\1}", text)
    return _ODD.sub(_replacement, text)


def _replacement(match: re.Match[str]) -> str:
    character = match[0]
    if character in _SYMBOLS:
        return _SYMBOLS[character]
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    if category[0] == "C":
        return ""
    if category == "Sc":  # a currency sign
        return ""
    plain = unicodedata.normalize("NFKC", character)
    return plain if plain.isprintable() else ""
