"""Data Docs that a browser can open from disk: without the scripts, fonts and images that the pages load from other hosts.

No request leaves the machine when a page is viewed. Great Expectations fills its index by such a script, so the index is our own: broken
rules first, then each suite with all its rules and links to the pages of Great Expectations.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from tasks.core.errors import UserError

STYLE = """<style>
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem }
table { border-collapse: collapse; margin: .5rem 0; width: 100% }
td, th { border-bottom: 1px solid #8884; padding: .35rem .6rem; text-align: left; vertical-align: top }
ul { padding-left: 1.2rem }
.hide, .modal, .cooltip .top, .sticky-top, .card:has(.btn-group), [data-toggle=collapse] { display: none }
.fa-check-circle::before { content: "✓ holds"; font-style: normal }
.fa-times::before { content: "✗ broken"; font-style: normal }
.fa-exclamation-triangle::before { content: "! warning"; font-style: normal }
form, input, .breadcrumb, .btn-group { display: none }
.holds, .badge-success, .text-success { color: #1a7f37 }
.warning { color: #9a6700 }
.broken, .badge-danger, .text-danger { color: #cf222e }
.number { text-align: right; white-space: nowrap }
.rules td:nth-child(2) { white-space: nowrap }
@media (max-width: 40rem) {
  .suites td, .suites th { padding: .35rem .2rem; font-size: 13px }
  .suites td:first-child { overflow-wrap: anywhere }
  .rules thead { display: none }
  .rules tr { display: block; border-bottom: 1px solid #8884; padding: .4rem 0 }
  .rules td { display: block; border: 0; padding: .05rem 0; overflow-wrap: anywhere }
  .rules td[data-says]:not(:empty)::before { content: attr(data-says) ": "; opacity: .7 }
}
.alert { border-left: 4px solid #8888; padding: .3rem .8rem }
</style>
</head>"""
# Everything that a browser would load from another host.
FETCHED = re.compile(
    r"<script\b[^>]*\bsrc\s*=\s*[\"']https?:[^>]*>\s*</script>|<link\b[^>]*\bhref\s*=\s*[\"']https?:[^>]*>|<img\b[^>]*\bsrc\s*=\s*[\"']https?:[^>]*>",
    re.IGNORECASE,
)
# The remaining scripts would fail without their libraries; the footer offers a newsletter.
SCRIPT = re.compile(r"<script\b[^>]*>.*?</script>", re.IGNORECASE | re.DOTALL)
FOOTER = re.compile(r"<footer\b.*?</footer>", re.IGNORECASE | re.DOTALL)
ICON = re.compile(r"\bhref=\"(?:\.\./)+static/")  # a page of a validation lies one folder deeper than its link to the icon says
State = Literal["holds", "drops rows", "warning", "broken"]
MARKS: dict[State, str] = {"holds": "✓", "drops rows": "✓", "warning": "!", "broken": "✗"}
TITLES: dict[str, State] = {"Broken": "broken", "Warnings": "warning"}


@dataclass(frozen=True)
class Verdict:
    """The verdict on one rule."""

    rule: str
    state: State  # "drops rows": rows that break it were dropped, few enough for the table to pass
    found: str
    expected: str


@dataclass(frozen=True)
class Judged:
    """The verdicts of one suite on its table."""

    suite: str
    rows: int
    verdicts: tuple[Verdict, ...]

    def of(self, *states: State) -> list[Verdict]:
        """The verdicts of these kinds."""
        return [verdict for verdict in self.verdicts if verdict.state in states]


def write_index(folder: Path, stage: str, judged: Sequence[Judged]) -> None:
    """Write the index of the site in `folder`: broken rules, the results of each suite, and links to details."""
    broken = sum(len(suite.of("broken")) for suite in judged)
    verdict = f'<p class="broken">✗ {_count(broken, "rule")} broken: the pipeline stopped here</p>'
    parts = [verdict if broken else '<p class="holds">✓ All required rules hold</p>', _overview(folder, judged)]
    for title, state in TITLES.items():
        if chosen := [(f"{suite.suite}: {verdict.rule}", verdict) for suite in judged for verdict in suite.of(state)]:
            parts += [f"<h2>{title}</h2>", _rules(chosen)]
    for suite in judged:
        parts += [f'<h2 id="{escape(suite.suite)}">{escape(suite.suite)}</h2>', f"<p>{_links(folder, suite)}</p>"]
        parts.append(_rules([(verdict.rule, verdict) for verdict in suite.verdicts]))
    head = f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Checks of {escape(stage)}</title>'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    page = f"{head}{view}\n{STYLE}\n<body>\n<h1>Checks of {escape(stage)}</h1>\n" + "\n".join(parts) + "\n</body></html>\n"
    (folder / "index.html").write_text(page, encoding="utf-8")


def _overview(folder: Path, judged: Sequence[Judged]) -> str:
    """One line per suite: its rows, and how many of its rules hold."""
    heads = ("suite", "", "rows", "rules", "hold", "warn", "broken")
    lines = []
    for suite in judged:
        state: State = "broken" if suite.of("broken") else "warning" if suite.of("warning") else "holds"
        rules = (len(suite.verdicts), len(suite.of("holds", "drops rows")), len(suite.of("warning")), len(suite.of("broken")))
        cells = [f'<td class="number">{number:,}</td>' for number in (suite.rows, *rules)]
        name = f'<td><a href="#{escape(suite.suite)}">{escape(suite.suite)}</a></td><td class="{state}">{MARKS[state]} {state}</td>'
        lines.append(f"<tr>{name}{''.join(cells)}</tr>")
    head, body = _heads(heads, numbers=2), "".join(lines)
    return f'<table class="suites"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _heads(words: Sequence[str], numbers: int) -> str:
    return "".join(f'<th class="number">{word}</th>' if place >= numbers else f"<th>{word}</th>" for place, word in enumerate(words))


def _links(folder: Path, suite: Judged) -> str:
    """Links to Great Expectations' pages on the suite."""
    pages = {"every result": of_suite(folder, suite.suite), "the rules": folder / "expectations" / f"{suite.suite}.html"}
    return " · ".join(f'<a href="{quote(str(page.relative_to(folder)))}">{words}</a>' for words, page in pages.items())


def _rules(verdicts: Sequence[tuple[str, Verdict]]) -> str:
    """One line per rule, under the given name."""
    lines = "".join(
        f'<tr><td><b>{escape(name)}</b></td><td class="{verdict.state.split()[0]}">{MARKS[verdict.state]} {verdict.state}</td>'
        f'<td data-says="found">{escape(verdict.found)}</td><td data-says="expected">{escape(verdict.expected)}</td></tr>'
        for name, verdict in verdicts
    )
    heads = _heads(("rule", "verdict", "found", "expected"), numbers=4)
    return f'<table class="rules"><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>'


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def make_local(folder: Path) -> None:
    """Make every page of the site in `folder` self-contained."""
    for path in sorted(folder.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        for pattern in (FETCHED, SCRIPT, FOOTER):
            text = pattern.sub("", text)
        up = "../" * (len(path.relative_to(folder).parts) - 1)
        text = ICON.sub(f'href="{up}static/', text)
        text = text.replace("</head>", STYLE, 1).replace("<body>", f'<body>\n<p><a href="{up}index.html">← all checks</a></p>', 1)
        path.write_text(text, encoding="utf-8")


def of_suite(folder: Path, suite: str) -> Path:
    """The page with the last verdict on a suite."""
    validations = sorted((folder / "validations" / suite).rglob("*.html"))
    if not validations:
        raise UserError(str(folder), f"no page for the suite {suite}", "the Data Docs of the last run", "run the stage again")
    return validations[-1]
