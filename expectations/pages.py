"""Data Docs that a browser can open from disk: without the scripts, fonts and pictures that the pages fetch from elsewhere.

Nothing leaves the machine unasked, not even by looking at a page.
"""

from __future__ import annotations

import re
from pathlib import Path

from tasks.core.errors import UserError

STYLE = """<style>
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem }
table { border-collapse: collapse; margin: .5rem 0; width: 100% }
td, th { border-bottom: 1px solid #8884; padding: .35rem .6rem; text-align: left; vertical-align: top }
ul { padding-left: 1.2rem }
.hide, .collapse:not(.show), .modal, .cooltip .top, .navbar button { display: none }
.fa-check-circle::before { content: "✓ holds"; font-style: normal }
.fa-times::before { content: "✗ broken"; font-style: normal }
.fa-exclamation-triangle::before { content: "! warning"; font-style: normal }
form, input, .breadcrumb, .btn-group { display: none }
.badge-success, .text-success { color: #1a7f37 }
.badge-danger, .text-danger { color: #cf222e }
.alert { border-left: 4px solid #8888; padding: .3rem .8rem }
</style>
</head>"""
# Everything that a browser would fetch by itself from another machine.
FETCHED = re.compile(
    r"<script\b[^>]*\bsrc\s*=\s*[\"']https?:[^>]*>\s*</script>|<link\b[^>]*\bhref\s*=\s*[\"']https?:[^>]*>|<img\b[^>]*\bsrc\s*=\s*[\"']https?:[^>]*>",
    re.IGNORECASE,
)
# What is left of the scripts would only fail without the libraries they call; the footer asks for a newsletter subscription.
SCRIPT = re.compile(r"<script\b[^>]*>.*?</script>", re.IGNORECASE | re.DOTALL)
FOOTER = re.compile(r"<footer\b.*?</footer>", re.IGNORECASE | re.DOTALL)


def make_local(folder: Path) -> None:
    """Rewrite every page of the site in `folder` so that it needs nothing but itself."""
    for path in sorted(folder.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        for pattern in (FETCHED, SCRIPT, FOOTER):
            text = pattern.sub("", text)
        path.write_text(text.replace("</head>", STYLE, 1), encoding="utf-8")


def of_suite(folder: Path, suite: str) -> Path:
    """The page with the last verdict on a suite."""
    found = sorted((folder / "validations" / suite).rglob("*.html"))
    if not found:
        raise UserError(str(folder), f"no page for the suite {suite}", "the Data Docs of the last run", "run the stage again")
    return found[-1]
