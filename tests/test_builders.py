"""Claims about the tests themselves: what two share lies in `tests/builders`, and no test module imports another."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

FILES = sorted((ROOT / "tests").rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Full names of all that a file imports, also inside functions: `from a import b` gives `a.b`."""
    found = set[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{one.name}" for one in node.names}
    return found


def test_no_module_imports_a_test_module() -> None:
    """A test module that others need cannot be moved, renamed or skipped alone."""
    wrong = {path.name: sorted(names) for path in FILES if (names := {one for one in imported(path) if one.startswith("tests.test_")})}
    assert not wrong, f"move what they share into tests/builders: {wrong}"


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "builders").glob("*.py")), ids=lambda path: path.stem)
def test_a_builder_holds_no_test_and_says_what_it_builds(path: Path) -> None:
    """Pytest collects `test_*.py` only: a test in a builder would never run."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    assert ast.get_docstring(tree)
