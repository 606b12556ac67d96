"""The gate: checks flat tables against their suites with Great Expectations and writes the Data Docs.

In: Arrow tables of flat, derived columns (never raw text) and suites. Out: which rows break which row rule, which rules
of a table are broken, and a folder of HTML pages. The context is ephemeral, so that nothing is shared between
runs, and results hold only counts and row numbers, never values.
"""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from expectations import pages
from expectations.rules import Rule, Suite, percent
from tasks.common.arrays import Mask, first_reason
from tasks.core import telemetry  # noqa: F401  (before Great Expectations: switches its usage reports off)
from tasks.core.errors import UserError

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
    from great_expectations.data_context.store.store import DataDocsSiteConfigTypedDict
    from great_expectations.datasource.fluent.interfaces import Batch
    from great_expectations.datasource.fluent.pandas_datasource import PandasDatasource
    from great_expectations.expectations.expectation import Expectation
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from pandas.api.extensions import ExtensionDtype

SITE = "gate"


class SuiteError(Exception):
    """A rule could not be checked (no such column, wrong type): a bug, not a fault of the data."""


@dataclass(frozen=True)
class Outcome:
    """A broken rule."""

    suite: str
    rule: str
    found: str
    expected: str


@dataclass
class Gate:
    """One run of the gate for one stage; collects broken rules until `enforce` is called."""

    stage: str
    broken: list[Outcome] = field(default_factory=list)
    judged: list[pages.Judged] = field(default_factory=list)
    _context: EphemeralDataContext | None = None

    def rows(self, suite: Suite, table: pa.Table) -> dict[str, npt.NDArray[np.int64]]:
        """Row numbers that break each row rule, in the order of the rules; without warnings."""
        rules = {name: rule for name, rule in suite.rows.items() if rule.severity == "critical"}
        results = self._batch(suite.name, table).validate(
            self._suite(Suite(suite.name, rules, {})), result_format={"result_format": "COMPLETE", "exclude_unexpected_values": True}
        )
        results_by_rule = {_rule(result): result for result in _judged(results.results)}
        return {name: np.asarray(results_by_rule[name].result.get("unexpected_index_list") or [], dtype=np.int64) for name in rules}

    def check(self, suite: Suite, table: pa.Table) -> None:
        """Check a table against its whole suite; broken rules are kept for `enforce`, those of severity "warning" only reported."""
        gx, context = _gx(), self.context()
        definition = context.validation_definitions.add(
            gx.ValidationDefinition(name=suite.name, data=self._definition(suite.name), suite=context.suites.add(self._suite(suite)))
        )
        checkpoint = gx.Checkpoint(
            name=suite.name,
            validation_definitions=[definition],
            result_format={"result_format": "SUMMARY", "exclude_unexpected_values": True},
        )
        result = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": to_pandas(table)})
        logging.captureWarnings(False)  # importing Great Expectations redirects all warnings to its log, where they are lost
        (run,) = result.run_results.values()
        results = {_rule(entry): entry for entry in _judged(run.results)}
        verdicts = tuple(_verdict(name, rule, suite, results[name]) for name, rule in {**suite.rows, **suite.table}.items())
        self.judged.append(pages.Judged(suite.name, len(table), verdicts))
        for verdict in verdicts:
            if verdict.state == "warning":
                warnings.warn(f"{suite.name}: rule {verdict.rule}: found {verdict.found}; expected {verdict.expected}", stacklevel=2)
            elif verdict.state == "broken":
                self.broken.append(Outcome(suite.name, verdict.rule, verdict.found, verdict.expected))

    def publish(self, folder: Path) -> None:
        """Write the Data Docs of all suites checked so far into `folder`, readable from disk without network access."""
        context = self.context()
        backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())}
        index = {"class_name": "DefaultSiteIndexBuilder"}
        site = {"class_name": "SiteBuilder", "store_backend": backend, "site_index_builder": index}
        context.add_data_docs_site(
            SITE, cast("DataDocsSiteConfigTypedDict", {**site, "show_how_to_buttons": False, "show_cta_footer": False})
        )
        context.build_data_docs([SITE])
        pages.make_local(folder)
        pages.write_index(folder, self.stage, self.judged)

    def enforce(self, folder: Path) -> None:
        """Raise a UserError for the first broken rule, with the Data Docs page that `publish` wrote to `folder`."""
        if not self.broken:
            return
        first, *others = self.broken
        where = f"{self.stage}: {first.suite}: rule {first.rule}"
        more = f" ({len(others)} more broken: {', '.join(other.rule for other in others)})" if others else ""
        page = pages.of_suite(folder, first.suite)
        raise UserError(where, first.found, first.expected, f"see {page}{more}, then correct the logs or the bounds in params.yaml")

    def context(self) -> EphemeralDataContext:
        """The ephemeral Great Expectations context of this run."""
        if self._context is None:
            context: EphemeralDataContext = _gx().get_context(mode="ephemeral")
            context.variables.progress_bars = {"globally": False, "metric_calculations": False}  # type: ignore[assignment]  # read as a dict
            context.delete_data_docs_site("local_site")
            context.data_sources.add_pandas(self.stage)
            self._context = context
        return self._context

    def _definition(self, name: str) -> BatchDefinition[Any]:
        source = cast("PandasDatasource", self.context().data_sources.get(self.stage))
        try:
            definition: BatchDefinition[Any] = source.get_asset(name).get_batch_definition("all")
        except LookupError:
            definition = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        return definition

    def _batch(self, name: str, table: pa.Table) -> Batch:
        return self._definition(name).get_batch({"dataframe": to_pandas(table)})

    def _suite(self, suite: Suite) -> ExpectationSuite:
        rows = {name: _tolerant(rule, suite.tolerance) for name, rule in suite.rows.items()}
        expectations = [_expectation(*item) for item in {**rows, **suite.table}.items()]
        made: ExpectationSuite = _gx().ExpectationSuite(name=suite.name, expectations=expectations)
        return made


def first_rules(rows: Mapping[str, npt.NDArray[np.int64]], length: int) -> pa.Array[Any]:
    """For each of `length` rows the first rule that it breaks, or null."""
    return first_reason(*((name, as_mask(numbers, length)) for name, numbers in rows.items()))


def as_mask(numbers: npt.NDArray[np.int64], length: int) -> Mask:
    """Row numbers as a mask."""
    mask = np.zeros(length, bool)
    mask[numbers] = True
    return mask


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """The flat table for Great Expectations: text stays in Arrow memory, row numbers are the index.

    Numbers become plain NumPy columns (integers with nulls: floats), which are checked four times as fast as nullable ones.
    """
    text = pd.StringDtype("pyarrow", na_value=np.nan)
    kinds: dict[pa.DataType, ExtensionDtype] = {pa.large_string(): text, pa.string(): text}
    frame: pd.DataFrame = table.to_pandas(types_mapper=kinds.get)
    return frame


def _gx() -> ModuleType:
    return importlib.import_module("great_expectations")  # takes seconds, so only imported where a suite runs


def _tolerant(rule: Rule, tolerance: float) -> Rule:
    return Rule(rule.expectation, {**rule.arguments, "mostly": 1 - tolerance}, rule.expected, rule.severity)


def _expectation(name: str, rule: Rule) -> Expectation:
    import great_expectations.expectations as kinds

    kind: Callable[..., Expectation] = getattr(kinds, rule.expectation)
    return kind(**rule.arguments, severity=rule.severity, meta={"rule": name}, notes=f"rule: {name}")


def _rule(result: ExpectationValidationResult) -> str:
    configuration = cast("ExpectationConfiguration", result.expectation_config)
    return str(configuration.meta["rule"])


def _judged(results: Iterable[ExpectationValidationResult]) -> list[ExpectationValidationResult]:
    """All results; raises SuiteError for an expectation that could not run."""
    for result in results:
        info = result.exception_info or {}
        errors = [info] if "raised_exception" in info else list(info.values())
        for error in errors:
            if error["raised_exception"]:
                raise SuiteError(f"rule {_rule(result)}: {error['exception_message']}")
    return list(results)


def _verdict(name: str, rule: Rule, suite: Suite, result: ExpectationValidationResult) -> pages.Verdict:
    """The verdict on a rule, in words."""
    found, expected = _words(rule, suite, result)
    if not result.success:
        return pages.Verdict(name, "warning" if rule.severity == "warning" else "broken", found, expected)
    drops = name in suite.rows and rule.severity == "critical" and result.result.get("unexpected_count", 0) > 0
    return pages.Verdict(name, "drops rows" if drops else "holds", found, expected)


def _words(rule: Rule, suite: Suite, result: ExpectationValidationResult) -> tuple[str, str]:
    """What was found and what was expected, in words, without values of the table."""
    values = result.result
    if "unexpected_count" not in values:
        return _observed(values), rule.expected
    judged = values["element_count"] - values["missing_count"]
    broken = f"{values['unexpected_count']} of {judged} rows ({percent(values['unexpected_count'] / max(judged, 1))}) breaking it"
    if _rule(result) in suite.rows and suite.tolerance:
        return broken, f"{rule.expected}, with at most {percent(suite.tolerance)} breaking it"
    return broken, rule.expected


def _observed(values: Mapping[str, Any]) -> str:
    if values.get("partial_missing_list"):
        return f"none of {', '.join(map(str, values['partial_missing_list']))}"
    mismatched = (values.get("details") or {}).get("mismatched", {})
    parts = [f"{word} {', '.join(mismatched[word])}" for word in ("missing", "unexpected") if mismatched.get(word)]
    observed = values.get("observed_value")
    return "; ".join(parts) or (", ".join(map(str, observed)) if isinstance(observed, list) else f"{observed}")
