"""The HTML document: our script and style, KaTeX, the data in blocks; nothing is fetched from anywhere.

Everything that a model, a task or a file name wrote stands in the document as base64, which holds
no markup; the page's script puts it on screen as text. The Content-Security-Policy allows the
page's two scripts by their digests and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

STATIC = Path(__file__).with_name("static")
SCRIPTS = (
    "dom",
    "outcomes",
    "place",
    "data",
    "maths",
    "chart",
    "bars",
    "summary",
    "problem",
    "trace",
    "keys",
    "app",
)
"""Our script's files, in the order in which they are joined."""

_FONT = re.compile(r"src:url\(fonts/([\w-]+)\.woff2\)[^}]*")


def packed(content: object) -> str:
    """JSON, deflated, in base64: letters, digits, `+`, `/` and `=` alone."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # A model can spell half of a surrogate pair, which UTF-8 has not.
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 9)).decode("ascii")


def document(title: str, blocks: Mapping[str, str], *, served: bool = False) -> str:
    """The whole page. `blocks` maps an element's id to `packed` content."""
    script, katex, style = _script(), _read("katex/katex.min.js"), _style()
    data = "\n".join(
        f'<script type="text/plain" id="{html.escape(name)}">{content}</script>'
        for name, content in blocks.items()
    )
    fields = {
        "CSP": policy(served=served),
        "TITLE": html.escape(title),
        "STYLE": style,
        "DATA": data,
        "KATEX": katex,
        "SCRIPT": script,
    }
    return re.sub(r"@([A-Z]+)@", lambda field: fields[field[1]], _read("page.html"))


def policy(*, served: bool) -> str:
    """The Content-Security-Policy: two scripts and one style by digest, fonts in the file, no network."""
    scripts = " ".join(_digest(text) for text in (_read("katex/katex.min.js"), _script()))
    connect = "'self'" if served else "'none'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src {_digest(_style())}; font-src data:; "
        f"img-src data:; connect-src {connect}; base-uri 'none'; form-action 'none'"
    )


@cache
def _script() -> str:
    parts = "\n".join(_read(f"{name}.js") for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}\n}})();'


@cache
def _style() -> str:
    """Our style and KaTeX's, its fonts inside."""

    def inline(match: re.Match[str]) -> str:
        font = base64.b64encode((STATIC / "katex" / "fonts" / f"{match[1]}.woff2").read_bytes())
        return f'src:url(data:font/woff2;base64,{font.decode("ascii")}) format("woff2")'

    return _FONT.sub(inline, _read("katex/katex.min.css")) + "\n" + _read("page.css")


@cache
def _read(name: str) -> str:
    # The browser reads line ends as \n before it takes the digest.
    return (STATIC / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


def block_name(run: int, at: int) -> str:
    """The block of one problem's samples: the run's place in the page, the problem's place in the run."""
    return f"samples-{run}-{at}"
