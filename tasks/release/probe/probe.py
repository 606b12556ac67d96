"""The probe: what a bag-of-words model learns from the pairs, in seconds, before any model is trained.

In: the table of pairs. Out: `Probed`: its held-out accuracy (and that of "the longer answer wins"), labels that are probably flipped,
how far that list can be trusted, and what more votes would bring.

Cross-validation keeps groups of linked pairs in one fold (`tasks.release.probe.folds`) and is repeated with other folds. Suspects are found
by confident learning (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068): the out-of-fold probability of the given label, against the
mean of that probability over all pairs. A weak model suspects many correct labels, so the list is tested: some labels are flipped on
purpose, and their detection is measured.

The probe knows words, not meaning. A model may learn more: the probe's accuracy is a lower bound, not an upper one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.common import tfidf_bradley_terry
from tasks.common.arrays import strings
from tasks.common.lengths import length
from tasks.common.tfidf_bradley_terry import Numbers, Rows
from tasks.common.vocabulary.splits import TRAIN
from tasks.core.params import StageParams
from tasks.release.probe import folds as groups
from tasks.release.probe import learning_curve, suspect_labels
from tasks.release.probe.accuracy import Accuracy, Draws
from tasks.release.probe.folds import Places
from tasks.release.probe.learning_curve import Curve, Extent
from tasks.release.probe.suspect_labels import Planted, Suspects

BY = ("recipe", "source")
SIDES = ("chosen", "rejected")


class Settings(StageParams):
    """Section `release.probe` of `params.yaml`."""

    use: bool
    max_pairs: int = Field(ge=100)  # of more pairs, this many are drawn by hashes of their ids
    min_groups: int = Field(ge=10)  # with fewer, there is no probe
    folds: int = Field(ge=2)
    repeats: int = Field(ge=1)  # of the cross-validation, with other folds
    shares: list[float] = Field(min_length=3)  # of the pairs, for the learning curve, rising to 1
    draws: int = Field(ge=50)  # of groups, for intervals
    confidence: float = Field(gt=0.5, lt=1)  # of the intervals
    suspect: float = Field(gt=0, lt=0.5)  # probability of a label below which it may be suspected
    listed: int = Field(ge=0)  # suspects named in probe.json
    plant: float = Field(gt=0, lt=0.5)  # share of labels flipped on purpose, to test the detection
    embedding: str  # "" is off; or the folder of a model2vec model, or its name on the Hugging Face hub
    seed: int


@dataclass(frozen=True)
class Probed:
    """All results of the probe."""

    pairs: int  # original pairs
    probed: int  # of these, those that were probed
    groups: int  # of pairs that share prompts or conversations
    accuracy: Accuracy  # of a judge of words about pairs that it did not learn from
    untouched: Accuracy | None  # on pairs of validation and test only, from which words drop no pairs
    longer: Accuracy  # of "the longer answer wins"
    ahead: tuple[float, float, float]  # accuracy minus that of "the longer answer wins", with its interval
    by: dict[str, dict[str, Accuracy]]  # the same by recipe and source
    curve: Curve  # what more pairs would bring
    suspects: Suspects  # labels that are probably wrong
    planted: Planted  # how far suspicion can be trusted

    def document(self) -> dict[str, object]:
        """As `probe.json` holds it."""
        return asdict(self)

    def line(self) -> str:
        """The results in one line."""
        of = "" if self.probed == self.pairs else f" (on {self.probed:,} of {self.pairs:,} pairs)"
        untouched = "" if self.untouched is None else f", {self.untouched} on validation and test"
        return (
            f"probe: held-out accuracy {self.accuracy}{of}{untouched}, "
            f"length alone {self.longer.share:.3f}; "
            f"{self.suspects.count:,} labels suspected (AUC {self.planted.auc:.2f} on flipped labels); {self.curve.verdict}"
        )

    def at_chance(self) -> bool:
        """Whether the probe is no better than chance."""
        return min(self.accuracy.low, self.accuracy.drawn_low) <= 0.5


@dataclass(frozen=True)
class Trial:
    """The rows to predict, and the groups that must stay in one fold."""

    rows: Rows
    numbers: Places
    names: list[str]
    settings: Settings

    def margins(self, repeat: int, share: float, rows: Rows | None = None) -> Numbers:
        """The out-of-fold margin of each row, from models trained on this share of the other folds."""
        given = rows or self.rows
        fold = groups.folds(self.numbers, self.names, self.settings.folds, self.settings.seed + repeat)
        margins = np.zeros(len(given))
        for one in range(self.settings.folds):
            taught = self.taught(fold != one, repeat, share)
            margins[fold == one] = tfidf_bradley_terry.learn(given.take(taught), np.ones(len(taught))).margins(
                given.take(np.flatnonzero(fold == one))
            )
        return margins

    def taught(self, others: Places, repeat: int, share: float) -> Places:
        """The rows to train on."""
        return groups.part(self.numbers, self.names, np.flatnonzero(others), share, self.settings.seed + repeat)


def run_probe(pairs: pa.Table, settings: Settings) -> Probed | None:
    """Probe the original pairs; None where the probe is off or there are too few groups."""
    known = groups.written(pairs)
    if not settings.use or len(known) < settings.min_groups:
        return None
    taken = groups.sample(known, settings.max_pairs, settings.seed)
    numbers, names = groups.groups(taken)
    if len(names) < max(settings.min_groups, settings.folds):
        return None
    trial = Trial(counted(taken, settings.embedding), numbers, names, settings)
    margins = np.array([[trial.margins(repeat, share) for share in settings.shares] for repeat in range(settings.repeats)])
    draws = Draws.make(numbers, settings.draws, settings.confidence, settings.seed)
    right, longer = credit(margins), credit(length(taken["chosen"]) - length(taken["rejected"]))
    judged = right[:, -1].mean(axis=0)
    return Probed(
        pairs=len(known),
        probed=len(taken),
        groups=len(names),
        accuracy=draws.accuracy(judged),
        untouched=draws.by(pc.equal(taken["split"], pa.scalar(TRAIN)).cast(pa.large_string()), judged).get("false"),
        longer=draws.accuracy(longer),
        ahead=draws.difference(judged - longer),
        by={by: draws.by(taken[by], judged) for by in BY},
        curve=growth(right, draws, taken, len(known), settings),
        suspects=suspect_labels.suspects(taken, margins[:, -1].mean(axis=0), settings.suspect, settings.listed),
        planted=try_suspicion(trial, taken),
    )


def counted(pairs: pa.Table, embedding: str) -> Rows:
    """The pairs as the probe sees them: the last message of the prompt, and both answers."""
    embed = None
    if embedding:
        from tasks.common.embeddings import Embeddings

        embed = Embeddings(embedding, "release.probe.embedding").of
    prompts = [messages[-1]["content"] for messages in _messages(pairs["prompt"])]
    chosen, rejected = (["\n".join(one["content"] for one in messages) for messages in _messages(pairs[side])] for side in SIDES)
    return tfidf_bradley_terry.count(tfidf_bradley_terry.vocabulary([*chosen, *rejected]), prompts, chosen, rejected, embed)


def _messages(lists: pa.ChunkedArray[Any]) -> list[list[dict[str, str]]]:
    return cast("list[list[dict[str, str]]]", lists.to_pylist())


def credit(margins: np.ndarray[Any, Any]) -> Numbers:
    """1 where the chosen answer is predicted, 0 where the rejected one, 0.5 for a tie."""
    points: Numbers = (np.sign(margins) + 1) / 2
    return points


def growth(right: Numbers, draws: Draws, pairs: pa.Table, known: int, settings: Settings) -> Curve:
    """The learning curve; the model for one fold trains on all others."""
    others = 1 - 1 / settings.folds
    sizes = [round(share * len(pairs) * others) for share in settings.shares]
    votes = max(1.0, float(pc.mean(pairs["evidence"]).as_py() or 0))
    extent = Extent(known, known * others, votes)
    return learning_curve.curve(sizes, draws.curves(right, settings.seed), right.mean(axis=(0, 2)), extent, settings.confidence)


def try_suspicion(trial: Trial, pairs: pa.Table) -> Planted:
    """Flip some labels, and measure how well they are detected."""
    turned = suspect_labels.drawn(strings(pairs["pair_id"]), trial.settings.plant, trial.settings.seed)
    return suspect_labels.detection(turned, trial.margins(0, 1.0, trial.rows.turned(turned)), trial.settings.suspect)
