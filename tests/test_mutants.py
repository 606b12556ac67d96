"""Claims about the faults that the mutation run puts into the code."""

from __future__ import annotations

import pytest

from tests.benchmarks.mutants import mutants


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("return a < 3", ["return None", "a <= 3", "4"]),
        ("return pc.greater(a, a)", ["return None", "pc.greater_equal"]),
        ("return not a and a", ["return None", "not a or a", "a"]),
        ("a += 1", ["pass", "2"]),
        ("f(a)", ["pass"]),
        ("raise UserError('x', 1)", []),
        ("warnings.warn(f'{a + 1} rows', stacklevel=2)", []),
        ("'a docstring'", []),
        ("b: dict[str, int] = a['é'] | a", ["a['é'] & a", "'éX'"]),
    ],
)
def test_what_becomes_of_a_statement(line: str, becomes: list[str]) -> None:
    source = f"def é(a, b=1):\n    {line}\n"
    found = mutants(source)
    assert sorted(one.becomes for one in found) == sorted(becomes)
    for one in found:
        compile(one.source, "mutant", "exec")
        assert one.source != source
        assert (one.line, one.function) == (2, "é")


def test_faults_lie_in_functions_and_methods_only() -> None:
    assert mutants("A = 1 < 2\nclass B:\n    c = 3\n") == []
    (fault,) = mutants("class B:\n    def c(self):\n        if self.d:\n            self.d = 5\n")
    assert (fault.function, fault.line, fault.becomes) == ("B.c", 4, "6")
