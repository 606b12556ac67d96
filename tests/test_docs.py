"""Claims about the pages for people: what they link to, name and quote is there, and pictures are what their command makes.

Parameters and commands that pages name are held by `tests.test_reference`.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from docs import make_picture
from tests.conftest import ROOT

DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
WRITTEN = [name for name in NAMES if not name.startswith("docs/reference/")]  # by people; the reference is made from the code
FIGURES = (  # where figures stand with date and machine
    "docs/explanation/figures.md",
    "docs/explanation/verdict.md",
    "docs/explanation/gpu.md",
    "docs/explanation/mutation.md",
)
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
ELSEWHERE = re.compile(r"[a-z]+:|//")
OURS = ("tasks/", "trainer/", "flows/", "expectations/", "tests/", "docs/", "examples/")  # code spans that begin so are paths
MADE_UP = (
    "tasks/ingest/formats/mine.py",
    "tests/examples/mine.json",
    "tasks/NAME/",
    "tasks/common/vocabulary/reasons/NAME.py",
    "tests/test_NAME.py",
)  # that readers shall make
NUMBERS = {7: "seven", 11: "eleven"}


@cache
def tokens(page: Path) -> tuple[Token, ...]:
    """The page's tokens, with those inside of paragraphs and headings."""
    parsed = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    return tuple(inner for token in parsed for inner in (token, *(token.children or ())))


def anchors(page: Path) -> set[str]:
    """What a link may name behind `#`: the headings, spelt as the site and the forge spell them."""
    found = tokens(page)
    return {slug(found[at + 1].content) for at, token in enumerate(found) if token.type == "heading_open"}


def slug(heading: str) -> str:
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def links(page: Path) -> Iterator[str]:
    """Where the page's links and pictures lead to, those to other servers aside."""
    for token in tokens(page):
        target = token.attrs.get("href") if token.type == "link_open" else token.attrs.get("src") if token.type == "image" else None
        if target and not ELSEWHERE.match(str(target)):
            yield unquote(str(target))


def spans(page: Path) -> Iterator[str]:
    """Code inside of sentences, and each line of code blocks."""
    for token in tokens(page):
        if token.type in ("code_inline", "fence"):
            yield from token.content.splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_files_and_headings_that_are_there(name: str) -> None:
    page = ROOT / name
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{name} links to {path}, which is not there"
        assert not anchor or anchor in anchors(there), f"{name} links to {target}, which has no such heading"
        assert DOCS not in page.parents or DOCS in there.parents, f"{name} links to {path}, which is no part of the site"


@pytest.mark.parametrize("name", NAMES)
def test_files_and_modules_that_pages_name_are_there(name: str) -> None:
    for span in spans(ROOT / name):
        for path in re.findall(r"(?<![\w/.])(?:" + "|".join(OURS) + r")[\w/.-]*", span):
            assert path in MADE_UP or (ROOT / path.rstrip(".")).exists(), f"{name} names {path}, which is not there"
        for module in re.findall(r"python -m ((?:tests|docs)[\w.]*)", span):
            file = ROOT / module.replace(".", "/")
            assert file.with_suffix(".py").is_file() or (file / "__main__.py").is_file(), f"{name} runs {module}, which is not there"


@pytest.mark.parametrize("name", NAMES)
def test_targets_of_make_that_pages_name_are_there(name: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for span in spans(ROOT / name):
        if target := re.match(r"(?:\$ )?make ([a-z-]+)", span):
            assert target[1] in targets, f"{name} gives {span}"


@pytest.mark.parametrize("name", [name for name in WRITTEN if name not in FIGURES])
def test_figures_that_pages_quote_stand_on_the_page_of_figures(name: str) -> None:
    held = "".join((ROOT / page).read_text(encoding="utf-8") for page in FIGURES)
    for figure in re.findall(r"(?<![\d.,])0\.\d{3}(?!\d)", (ROOT / name).read_text(encoding="utf-8")):
        assert figure in held, f"{name} quotes {figure}, which stands on no page of figures"


def test_readme_is_read_in_one_go() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_every_page_is_in_the_navigation_and_none_twice() -> None:
    def leaves(node: object) -> Iterator[str]:
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        yield from [node] if isinstance(node, str) else (leaf for child in children for leaf in leaves(child))

    listed = list(leaves(site()["nav"]))
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")), "list the page under nav in mkdocs.yml"


def site() -> dict[str, Any]:
    """The settings of the site."""
    settings: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    return settings


def test_the_picture_of_the_path_is_what_its_command_makes() -> None:
    assert make_picture.PICTURE.read_text(encoding="utf-8") == make_picture.draw(STAGES), "run: python -m docs.make_picture"


def test_the_picture_holds_every_stage_and_reads_nothing_from_elsewhere() -> None:
    picture = make_picture.draw(STAGES)
    assert re.findall(r'class="name"[^>]*>([^<]+)', picture) == list(STAGES)
    assert re.findall(r"https?://[^\"]+", picture) == ["http://www.w3.org/2000/svg"]
    assert "<script" not in picture


def test_words_of_the_picture_stay_inside_their_boxes() -> None:
    for box in make_picture.boxes(STAGES):
        lines = textwrap.wrap(box.words, make_picture.LETTERS)
        assert 43 + 16 * (len(lines) - 1) < make_picture.HEIGHT - 10 - 14 * (1 + bool(box.reads)), f"shorten the desc of {box.name}"


def test_the_picture_s_caption_counts_the_stages() -> None:
    parts = [box.part for box in make_picture.boxes(STAGES)]
    caption = f"{NUMBERS[parts.count('dataset')]} stages make the dataset, {NUMBERS[parts.count('model')]} make the model"
    for page in (ROOT / "README.md", DOCS / "index.md"):
        assert caption in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("picture", sorted(DOCS.glob("assets/*.png")), ids=lambda path: path.name)
def test_screenshots_are_small_and_shown_somewhere(picture: Path) -> None:
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 200_000
    assert any((page.parent / link).resolve() == picture for page in PAGES for link in links(page))


def test_the_version_is_one() -> None:
    version = re.findall(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert version == [citation["version"]]
    assert f"Becomes {version[0]}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    build = pytest.importorskip("mkdocs.commands.build")
    config = pytest.importorskip("mkdocs.config")
    build.build(config.load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path), strict=True))
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(list(DOCS.rglob("*.md")))  # with the page for what is not found
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img|iframe)[^>]*src="(?:https?:)?//[^"]*', text)
        assert not re.findall(r'<link[^>]*rel="(?:stylesheet|preconnect|icon)"[^>]*href="(?:https?:)?//[^"]*', text)
