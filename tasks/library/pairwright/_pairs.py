"""From candidates to preferences: `build_pairs`, and all steps in one call: `pairs`."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairwright._clean import clean
from pairwright._dedupe import deduplicate
from pairwright._defaults import Params, settings
from pairwright._read import Logs, Source, read_logs
from pairwright._split import Split, split
from pairwright._tables import Result, frames, is_table, step_of, table_of
from tasks.common.vocabulary.splits import SPLITS
from tasks.core.errors import UserError, one_of
from tasks.core.ids import stable_id
from tasks.core.tables import Candidates
from tasks.pair import stage as stage
from tasks.pair.vote_counts import MICRO, weights_of

SAYS = {1: "for", 0: "tied", -1: "against"}
SIDES = ("chosen", "rejected")


@dataclass(frozen=True)
class Support:
    """One act behind a pair.

    Attributes
    ----------
    feedback_id, kind, annotator, annotator_kind : str
        The act, and who did it (salted hash, or None).
    says : {"for", "against", "tied"} or None
        What it says of the preference; None for ratings and places in a ranking, which say it only together with others.
    about : {"chosen", "rejected"} or None
        The answer that it is about; None where it is about both.
    value : float or None
        Thumb -1 or 1, rating 0..1, place in a ranking from 0, choice 1, 0 or -1.
    reliability : float
        How often such acts of this annotator are right: estimated, else as the recipe assumes.
    weight : float or None
        What it adds to the log odds of its side: log(reliability / (1 - reliability)), at least 0. None for ratings, whose mean counts.
    origin : str
        The raw record: "file:record:position".
    """

    feedback_id: str
    kind: str
    annotator: str | None
    annotator_kind: str
    says: str | None
    about: str | None
    value: float | None
    reliability: float
    weight: float | None
    origin: str


@dataclass(frozen=True)
class Explanation:
    """Which acts stand behind a pair, and what came of them.

    Attributes
    ----------
    pair_id, recipe : str
        The pair, and the recipe that made it.
    dropped : str or None
        Why it is no pair after all; None for one that is kept.
    confidence : float
        Probability that the preference is right, in (0.5, 1].
    basis : {"assumed", "overlap", "words"}
        What it rests on: "assumed" where the weights of the votes add up to its log odds; else it is estimated from what several people
        judged, or from that and from what words say of such answers.
    votes : tuple of Support
        The acts, by id.
    """

    pair_id: str
    recipe: str
    dropped: str | None
    confidence: float
    basis: str
    votes: tuple[Support, ...]

    def __str__(self) -> str:
        fate = f"dropped: {self.dropped}" if self.dropped else "kept"
        lines = [f"{self.pair_id}: {self.recipe}, {fate}, confidence {self.confidence:.2f} ({self.basis})"]
        return "\n".join(lines + [_line(vote) for vote in self.votes])


def _line(vote: Support) -> str:
    value = "" if vote.value is None else f" {vote.value:g}"
    about = f" about the {vote.about} answer" if vote.about else ""
    weight = "in the mean" if vote.weight is None else f"weight {vote.weight:.2f}"
    return (
        f"  {vote.says or '-':7} {vote.kind}{value}{about}, reliability {vote.reliability:.2f}, {weight}, by {vote.annotator or 'somebody'}"
    )


@dataclass(frozen=True, repr=False)
class Pairs(Result):
    """Preferences, and what else training can take from the votes.

    Attributes
    ----------
    pairs : pyarrow.Table
        One row a preference: `prompt`, `chosen` and `rejected` as lists of messages, `confidence`, `split`, the `votes` behind it.
    unpaired : pyarrow.Table
        One row an answer that people called good or bad, for KTO.
    prompts : pyarrow.Table
        One row a prompt to practise on, for PPO.
    votes : pyarrow.Table
        One row a vote that stands behind a pair or an unpaired answer.
    calibration : pyarrow.Table
        One row a recipe: how often its acts are right, and how that is known.
    """

    parts: Split | None
    _candidates: pa.Table = field(repr=False, compare=False)
    _params: stage.Params = field(repr=False, compare=False)

    @property
    def pairs(self) -> pa.Table:
        """One row a preference."""
        return self.steps[-1].kept["pairs"]

    @property
    def unpaired(self) -> pa.Table:
        """One row an answer that people called good or bad."""
        return self.steps[-1].kept["unpaired"]

    @property
    def prompts(self) -> pa.Table:
        """One row a prompt."""
        return self.steps[-1].kept["prompts"]

    @property
    def votes(self) -> pa.Table:
        """One row a vote in use."""
        return self.steps[-1].kept["votes"]

    @property
    def calibration(self) -> pa.Table:
        """One row a recipe."""
        return self.steps[-1].kept["calibration"]

    def explain(self, pair_id: str) -> Explanation:
        """Which acts stand behind a pair, or behind one that was proposed and dropped, and with which weight.

        Parameters
        ----------
        pair_id : str
            Of `pairs`, or of the dropped rows of pairs.

        Raises
        ------
        UserError
            For an id that is no pair's.
        """
        row = self._row(pair_id)
        prompt = self._candidates.filter(pc.equal(self._candidates["prompt_id"], row["augmented_from"] or row["prompt_id"])).to_pylist()[0]
        sides = _answers(row, prompt)
        assumed = getattr(self._params, row["recipe"]).reliability
        votes = [_support(vote, sides, assumed) for vote in prompt["votes"] if vote["feedback_id"] in set(row["votes"])]
        return Explanation(pair_id, row["recipe"], row.get("dropped"), row["confidence"], row["confidence_basis"], tuple(votes))

    def for_trainers(self, split: str) -> pa.Table:
        """The pairs of a split as TRL and `datasets` read them: as the release has them, without what no log has (tools and their calls).

        Parameters
        ----------
        split : {"train", "validation", "test"}
            Which pairs.

        Raises
        ------
        UserError
            For another name of a split.
        """
        from tasks.release import files

        if split not in SPLITS:
            raise UserError("for_trainers", repr(split), one_of(SPLITS), "correct the name of the split")
        rows = files.as_trainers_read(
            self.pairs.filter(pc.equal(self.pairs["split"], pa.scalar(split))), files.optional_fields({"pairs": self.pairs})
        )
        return files.portable(rows.drop_columns(["split"]))

    def _row(self, pair_id: str) -> dict[str, Any]:
        for rows in (self.pairs, self.steps[-1].dropped.get("pairs", self.pairs)):
            if found := rows.filter(pc.equal(rows["pair_id"], pa.scalar(pair_id))).slice(0, 1).to_pylist():
                return dict(found[0])
        raise UserError(
            f"explain: {pair_id}", "no pair of that id", "a pair_id of `pairs`, or of `dropped_rows('pairs')`", "copy one from there"
        )

    def rethreshold(self, confidence: float) -> Pairs:
        """The result with another lowest confidence, in 0.5..1: the stage run again over the same candidates.

        Raises
        ------
        UserError
            For a confidence outside of these bounds.
        """
        own = {**self._params.model_dump(), "confidence": {**self._params.confidence.model_dump(), "min": confidence}}
        return _built(self._candidates, settings("pair", stage.Params, None, own), self.parts)


def _answers(row: dict[str, Any], prompt: dict[str, Any]) -> dict[str, str]:
    """Side by response_id: the two answers that the pair's id was made of."""
    contents = [row[side][0]["content"] for side in SIDES]
    ids = [[answer["response_id"] for answer in prompt["responses"] if answer["content"] == content] for content in contents]
    ends = ([], ["models"])[row["annotators"] == "models"]
    made = (pair for pair in itertools.product(*ids) if stable_id(row["prompt_id"], *pair, row["recipe"], *ends) == row["pair_id"])
    return dict(zip(next(made, (ids[0] or [""])[:1] + (ids[1] or [""])[:1]), SIDES, strict=True))


def _support(vote: dict[str, Any], sides: dict[str, str], assumed: float) -> Support:
    """What a vote adds to a preference."""
    given, value = vote["reliability"], vote["value"]
    weight = int(weights_of(np.array([np.nan if given is None else given]), assumed)[0]) / MICRO
    return Support(
        feedback_id=vote["feedback_id"],
        kind=vote["kind"],
        annotator=vote["annotator"],
        annotator_kind=vote["annotator_kind"],
        says=_says(vote, sides),
        about=sides.get(vote["response_id"]),
        value=value,
        reliability=assumed if given is None else given,
        weight=None if vote["kind"] == "rating" else weight,
        origin=vote["origin"],
    )


def _says(vote: dict[str, Any], sides: dict[str, str]) -> str | None:
    value, sign = vote["value"], {"chosen": 1, "rejected": -1}
    if vote["better"] is not None:
        return SAYS[sign.get(sides.get(vote["better"], ""), 0) if value is None or value > 0 else 0]
    if vote["kind"] == "thumb":
        return SAYS[sign.get(sides.get(vote["response_id"], ""), 0) * (1 if value > 0 else -1)]
    return None


def build_pairs(source: Split | Source | Result, *, params: Params | None = None, **own: object) -> Pairs:
    """Make preferences of the votes on each prompt's answers.

    Named recipes read one kind of vote each (corrections, edits, choices, rankings, ratings, thumbs, regenerations, questions asked
    again); of proposals that contradict each other the stronger one stays. A vote of reliability a weighs log(a / (1 - a)), and the
    confidence of a pair is 1 / (1 + exp(-w)), w being the weight for it less that against it, until enough is shared to estimate it.

    Parameters
    ----------
    source : Split, candidates, or what `split` takes
        Candidates are rows with the columns of `Split.candidates`, as a list of dicts, pandas or Arrow. Logs, or turns in an earlier
        result, are split first.
    params : mapping, optional
        Other parameters than the shipped ones, by stage, as in `params.yaml`.
    **own
        Parameters of the stage `pair` by name, for instance `confidence={"min": 0.8}`, `choice={"use": False}` or
        `max_pairs_per_prompt`.

    Returns
    -------
    Pairs
        `pairs`, `unpaired`, `prompts`, `votes`; `explain(pair_id)`, `rethreshold(confidence)`.

    Raises
    ------
    UserError
        For rows without the columns of their table, and for parameters that the stage does not know.

    Examples
    --------
    >>> import pairwright
    >>> asked = {"role": "user", "content": "Who wrote Faust?"}
    >>> battle = {"question_id": "q", "model_a": "m1", "model_b": "m2", "winner": "model_a", "judge": "ann",
    ...           "conversation_a": [asked, {"role": "assistant", "content": "Goethe wrote it."}],
    ...           "conversation_b": [asked, {"role": "assistant", "content": "Schiller, surely."}]}
    >>> result = pairwright.build_pairs([battle])
    >>> [vote] = result.explain(result.pairs["pair_id"][0].as_py()).votes
    >>> vote.says, vote.kind, vote.reliability, vote.weight
    ('for', 'choice', 0.75, 1.098612)
    >>> len(result.rethreshold(0.8).pairs)
    0
    """
    chosen = settings("pair", stage.Params, params, own)
    if isinstance(source, Split):
        return _built(source.candidates, chosen, source)
    if not isinstance(source, Result) and is_table(source, Candidates):
        return _built(table_of(source, Candidates, "build_pairs"), chosen, None)
    parts = split(source, params=params)
    return _built(parts.candidates, chosen, parts)


def _built(candidates: pa.Table, params: stage.Params, parts: Split | None) -> Pairs:
    given = {"candidates": candidates}
    return Pairs((step_of("pair", stage.run(frames(given), params), given, stage.WRITES),), parts, candidates, params)


def pairs(source: Source | Logs, *, salt: str | None = None, params: Params | None = None) -> Pairs:
    """All steps in one call: `read_logs`, `clean`, `deduplicate`, `split`, `build_pairs`.

    Parameters
    ----------
    source : Logs, or logs as `read_logs` takes them
        A path, a list of paths, a list of dicts, pandas or Arrow.
    salt : str, optional
        As in `read_logs`.
    params : mapping, optional
        Other parameters than the shipped ones, by stage, as in `params.yaml`.

    Returns
    -------
    Pairs
        With the rows that every step dropped in `dropped`.

    Raises
    ------
    UserError
        As the steps do.

    Examples
    --------
    >>> import pairwright
    >>> line = {"prompt": "Name a prime above ten.", "chosen": "Eleven is one.", "rejected": "Twelve is one."}
    >>> pairwright.pairs([line])
    <Pairs: 1 pairs, 1 prompts, 1 votes, 1 calibration>
    """
    logs = source if isinstance(source, Logs) else read_logs(source, salt=salt, params=params)
    cleaned = clean(logs, params=params)
    unique = deduplicate(cleaned, params=params)
    parts = split(unique, params=params)
    built = build_pairs(parts, params=params)
    return Pairs((*logs.steps, *cleaned.steps, *unique.steps, *parts.steps, *built.steps), parts, built._candidates, built._params)
