"""Merging copies: `deduplicate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from pairwright._clean import chats_of
from pairwright._defaults import Params, settings
from pairwright._read import Logs, Source
from pairwright._tables import Result, Rows, frames, step_of
from tasks.core.errors import UserError
from tasks.core.tables import TEXT
from tasks.dedupe import stage as stage

FIELDS: dict[str, pa.DataType] = {"conversation_id": TEXT, "copy_of": TEXT, "similarity": pa.float64(), "reason": TEXT}
COPIES = pa.schema(FIELDS)


@dataclass(frozen=True)
class Copy:
    """Why a conversation is gone."""

    conversation_id: str
    copy_of: str
    similarity: float
    reason: str


@dataclass(frozen=True, repr=False)
class Deduplicated(Logs):
    """Turns and feedback without copies.

    Attributes
    ----------
    copies : pyarrow.Table
        One row a conversation that went: `conversation_id`, `copy_of` (the one that stays), `similarity` (exact Jaccard similarity of
        their word n-grams, in 0..1) and `reason` (`exact_copy`, `near_copy` or `earlier_copy`).
    """

    _given: Mapping[str, pa.Table] = field(default_factory=dict, compare=False)
    _params: stage.Params | None = field(default=None, compare=False)

    @property
    def copies(self) -> pa.Table:
        """One row a conversation that went, by id."""
        rows = self.dropped_rows("turns")
        if not len(rows):
            return COPIES.empty_table()
        rows = rows.select(["conversation_id", "copy_of", "similarity", "dropped"]).rename_columns(COPIES.names)
        whole = rows.group_by(COPIES.names, use_threads=False).aggregate([])
        return whole.sort_by("conversation_id").cast(COPIES)

    def explain(self, conversation_id: str) -> Copy:
        """Why a conversation is gone: whose copy it is, and how like it.

        Parameters
        ----------
        conversation_id : str
            Id of a conversation that was dropped.

        Raises
        ------
        UserError
            For a conversation that stays, or that nobody knows.
        """
        rows = self.copies.filter(pc.equal(self.copies["conversation_id"], pa.scalar(conversation_id))).to_pylist()
        if not rows:
            raise UserError(
                f"explain: {conversation_id}", "no copy of that id", "the id of a conversation that was dropped", "take one of `copies`"
            )
        return Copy(**rows[0])

    def rethreshold(self, threshold: float) -> Deduplicated:
        """The result with another similarity threshold, in 0..1: the stage run again over the same rows.

        Raises
        ------
        UserError
            For a threshold outside of 0..1.
        """
        own = {**(self._params.model_dump() if self._params else {}), "threshold": threshold}
        return _deduplicated(self._given, settings("dedupe", stage.Params, None, own), self._salt)


def deduplicate(source: Source | Result, feedback: Rows | None = None, *, params: Params | None = None, **own: object) -> Deduplicated:
    """Merge exact and near copies of conversations, keeping every vote.

    Of a group of copies one conversation stays, and what people said of the others moves to it. Two conversations are copies when their
    texts are alike (Jaccard similarity of word n-grams, found by MinHash-LSH [1]_) and they are one chat question by question.

    Parameters
    ----------
    source : Cleaned, Logs, logs as `read_logs` takes them, or turns
        Turns (with `feedback` beside them) are rows with the columns of `Logs.turns`, as a list of dicts, pandas or Arrow.
    feedback : list of dicts, pandas.DataFrame or pyarrow.Table, optional
        Rows with the columns of `Logs.feedback`, where `source` are turns.
    params : mapping, optional
        Other parameters than the shipped ones, by stage, as in `params.yaml`.
    **own
        Parameters of the stage `dedupe` by name, for instance `threshold` (a similarity in 0..1) or `shingle_words`.

    Returns
    -------
    Deduplicated
        `turns`, `feedback`, `copies`; `explain(conversation_id)`, `rethreshold(threshold)`.

    Raises
    ------
    UserError
        For rows without the columns of their table, and for parameters that the stage does not know.

    References
    ----------
    .. [1] Broder, A. Z. (1997): On the resemblance and containment of documents. https://doi.org/10.1109/SEQUEN.1997.666900

    Examples
    --------
    >>> import pairwright
    >>> says = ["Name three rivers that flow through Germany, please.", "The Rhine, the Elbe and the Danube flow through Germany."]
    >>> chat = [{"role": role, "content": text} for role, text in zip(["user", "assistant"], says)]
    >>> unique = pairwright.deduplicate([{"id": "a", "messages": chat}, {"id": "b", "messages": chat}])
    >>> unique.explain("jsonl:b")
    Copy(conversation_id='jsonl:b', copy_of='jsonl:a', similarity=1.0, reason='exact_copy')
    """
    chosen = settings("dedupe", stage.Params, params, own)
    tables, key = chats_of(source, feedback, "deduplicate", None, params)
    return _deduplicated(tables, chosen, key)


def _deduplicated(tables: Mapping[str, pa.Table], params: stage.Params, key: str) -> Deduplicated:
    step = step_of("dedupe", stage.run(frames(tables), params), tables, stage.WRITES)
    return Deduplicated((step,), key, tables, params)
