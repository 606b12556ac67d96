"""Rules and suites as plain data, so that importing them is fast (Great Expectations takes seconds).

A rule is one expectation of Great Expectations by class name, with its arguments. A suite holds two dicts of rules
by one-word name. A ROW rule checks every row of a flat table; a row that breaks it is dropped with the rule's name as
reason, unless more than the suite's `tolerance` of all rows break it: then the table is broken. A TABLE rule checks the
table as a whole; a broken one stops the pipeline. A new rule is one line in one dict.

Expectations skip nulls: a column of a row rule is null only where the rule does not apply.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class Rule:
    """One expectation. With severity "warning" it is reported, but neither drops rows nor stops the pipeline."""

    expectation: str  # name of a class in great_expectations.expectations
    arguments: Mapping[str, object]
    expected: str  # in words, for the error
    severity: Severity = "critical"


Rules = dict[str, Rule]


@dataclass(frozen=True)
class Suite:
    """All rules of one table; the first broken row rule, in the order of `rows`, is a row's reason."""

    name: str
    rows: Rules
    table: Rules
    tolerance: float = 0.0  # share of rows that a row rule may drop before the table counts as broken


def in_range(column: str, low: float | None = None, high: float | None = None, severity: Severity = "critical") -> Rule:
    """Every value is in low..high; None leaves that side open."""
    words = f"{column} {_range(low, high)}"
    return Rule("ExpectColumnValuesToBeBetween", {"column": column, "min_value": low, "max_value": high}, words, severity)


def greater_than(column: str, low: float, high: float | None = None) -> Rule:
    """Every value is greater than `low` and at most `high`."""
    words = f"{column} above {low}" + ("" if high is None else f" and at most {high}")
    arguments = {"column": column, "min_value": low, "strict_min": True, "max_value": high}
    return Rule("ExpectColumnValuesToBeBetween", arguments, words)


def one_of(column: str, values: Collection[str]) -> Rule:
    """Every value is one of `values`."""
    return Rule("ExpectColumnValuesToBeInSet", {"column": column, "value_set": list(values)}, f"{column} one of {', '.join(values)}")


def is_true(column: str) -> Rule:
    """Every value of a column of booleans is true."""
    return Rule("ExpectColumnValuesToBeInSet", {"column": column, "value_set": [True]}, f"{column} for every row")


def is_true_for(column: str, share: float, severity: Severity = "critical") -> Rule:
    """A column of booleans is true for at least this share of the rows."""
    words = f"{column} for at least {percent(share)} of the rows"
    return Rule("ExpectColumnValuesToBeInSet", {"column": column, "value_set": [True], "mostly": share}, words, severity)


def rows_between(low: int, high: int | None = None) -> Rule:
    """The table has this many rows."""
    return Rule("ExpectTableRowCountToBeBetween", {"min_value": low, "max_value": high}, f"rows {_range(low, high)}")


def exactly(columns: Collection[str]) -> Rule:
    """The table has these columns, no more and no fewer."""
    names = sorted(columns)
    return Rule("ExpectTableColumnsToMatchSet", {"column_set": names, "exact_match": True}, f"the columns {', '.join(names)}")


def unique(*columns: str) -> Rule:
    """No two rows are equal in all of these columns."""
    if len(columns) == 1:
        return Rule("ExpectColumnValuesToBeUnique", {"column": columns[0]}, f"{columns[0]} different in every row")
    return Rule(
        "ExpectCompoundColumnsToBeUnique", {"column_list": list(columns)}, f"{' and '.join(columns)} together different in every row"
    )


def contains_all(column: str, values: Collection[str]) -> Rule:
    """Each of `values` occurs in the column."""
    words = f"{column} to hold each of {', '.join(values)}"
    return Rule("ExpectColumnDistinctValuesToContainSet", {"column": column, "value_set": list(values)}, words)


def columns_of(table: str, names: Collection[str]) -> Suite:
    """The suite for a table's column names, checked before its rows are read."""
    return Suite(f"{table}_columns", rows={}, table={"columns": exactly(names)})


def percent(share: float) -> str:
    """A share in words: 0.05 is "5 %"."""
    return f"{100 * share:.4g} %"


def _range(low: float | None, high: float | None) -> str:
    if high is None:
        return f"at least {low}"
    return f"at most {high}" if low is None else f"{low} to {high}"
