"""Gathering prompts and splitting them: `split`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from pairwright._clean import chats_of
from pairwright._defaults import Params, settings
from pairwright._read import Source
from pairwright._tables import Result, Rows, Step, frames, step_of
from tasks.aggregate import stage as aggregate
from tasks.core.errors import UserError
from tasks.split import stage as stage


@dataclass(frozen=True, repr=False)
class Split(Result):
    """Prompts with their answers and votes, each in train, validation or test.

    Attributes
    ----------
    candidates : pyarrow.Table
        One row a distinct prompt, with its answers (`responses`), `votes`, `cluster_id` and `split`.
    annotators : pyarrow.Table
        One row an annotator and kind of act: how far their acts can be trusted.
    agreement : pyarrow.Table
        One row a kind of act: how far annotators agree.
    """

    _salt: str = field(default="", compare=False)

    @property
    def candidates(self) -> pa.Table:
        """One row a distinct prompt."""
        return self.steps[-1].kept["candidates"]

    @property
    def annotators(self) -> pa.Table:
        """One row an annotator and kind of act."""
        return self.steps[-2].kept["annotators"]

    @property
    def agreement(self) -> pa.Table:
        """One row a kind of act."""
        return self.steps[-2].kept["agreement"]


def split(source: Source | Result, feedback: Rows | None = None, *, params: Params | None = None, **own: object) -> Split:
    """Gather, for each distinct prompt, its answers and votes, and split prompts into train, validation and test so that nothing crosses.

    Runs the stages `validate`, `aggregate` and `split`. Prompts that are near-equal, open alike, or share a conversation, a user or a long
    answer go to one split. A prompt's place depends on its text alone, so the same logs split the same way again.

    Parameters
    ----------
    source : Deduplicated, Cleaned, Logs, logs as `read_logs` takes them, or turns
        Turns (with `feedback` beside them) are rows with the columns of `Logs.turns`, as a list of dicts, pandas or Arrow.
    feedback : list of dicts, pandas.DataFrame or pyarrow.Table, optional
        Rows with the columns of `Logs.feedback`, where `source` are turns.
    params : mapping, optional
        Other parameters than the shipped ones, by stage, as in `params.yaml`; those of `validate` and `aggregate` count too.
    **own
        Parameters of the stage `split` by name, for instance `train`, `validation` and `test` (shares whose sum is 1).

    Returns
    -------
    Split
        `candidates`, `annotators`, `agreement`; `dropped` says which turns, votes and prompts went, at which stage and why.

    Raises
    ------
    UserError
        Where more turns or votes break rules than the bounds of `validate` allow, and for bad rows and parameters.

    Examples
    --------
    >>> import pairwright
    >>> chats = [[{"role": "user", "content": f"How many legs has {animal}?"}, {"role": "assistant", "content": "Count them."}]
    ...          for animal in ("a spider", "an old grey donkey", "the fastest of all lobsters")]
    >>> parts = pairwright.split([{"messages": chat} for chat in chats])
    >>> sorted(parts.candidates["split"].to_pylist())
    ['test', 'train', 'validation']
    """
    rules = settings("split", stage.Params, params, own)
    tables, key = chats_of(source, feedback, "split", None, params)
    judged = _validated(tables, params)
    gathered = aggregate.run(frames(judged.kept), settings("aggregate", aggregate.Params, params))
    made = step_of("aggregate", gathered, judged.kept, aggregate.WRITES)
    given = {"candidates": made.kept["candidates"]}
    return Split((judged, made, step_of("split", stage.run(frames(given), rules), given, stage.WRITES)), key)


def _validated(tables: Mapping[str, pa.Table], params: Params | None) -> Step:
    """The stage `validate`; a UserError for the first rule of a table that is broken."""
    from tasks.validate import stage as validate  # Great Expectations takes two seconds to import

    bounds = settings("validate", validate.Params, params)
    if not len(tables["turns"]):
        return Step("validate", tables, {}, {})
    judged = validate.judge(frames(tables), bounds)
    if judged.gate.broken:
        first = judged.gate.broken[0]
        remedy = f"mend the logs, or pass other bounds: params={{'validate': {{{first.suite!r}: ...}}}}"
        raise UserError(f"split: {first.suite}: rule {first.rule}", first.found, first.expected, remedy)
    return step_of("validate", dict(judged.tables), tables, validate.WRITES)
