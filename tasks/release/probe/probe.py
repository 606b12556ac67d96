"""What there is to learn from the pairs, found out in seconds by a judge of words, before any model is trained.

In: the table of pairs. Out: `Probed`: how often the judge is right about pairs it was not taught (beside "the longer answer wins"), which
labels it thinks are the wrong way round, how far that list can be trusted, and what more votes would bring.

Cross-validation is by groups that no fold parts (`tasks.release.probe.folds`), repeated with other folds. Suspects are told as confident
learning does (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068): by the out-of-fold probability of the label that was given, against
the mean of that probability over all pairs. A weak judge suspects many labels that are right, so the list is tried out: some labels are
turned on purpose, and it is counted how well they are found.

The judge knows words, not sense. A model may learn more than it does: what it finds is a floor, not a ceiling.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.common import tfidf_bradley_terry
from tasks.common.tfidf_bradley_terry import Numbers, Rows
from tasks.core.params import StageParams
from tasks.pair.length_matching import length
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
    max_pairs: int = Field(ge=100)  # of more, so many are drawn by hashes of their ids
    min_groups: int = Field(ge=10)  # with fewer, nothing is said
    folds: int = Field(ge=2)
    repeats: int = Field(ge=1)  # of the cross-validation, with other folds
    shares: list[float] = Field(min_length=3)  # of the pairs, for the learning curve, rising to 1
    draws: int = Field(ge=50)  # of groups, for intervals
    confidence: float = Field(gt=0.5, lt=1)  # of the intervals
    suspect: float = Field(gt=0, lt=0.5)  # probability of a label below which it may be suspected
    listed: int = Field(ge=0)  # suspects named in probe.json
    plant: float = Field(gt=0, lt=0.5)  # share of labels turned on purpose, to try the suspicion out
    embedding: str  # "" is off; or the folder of a model2vec model, or its name on the Hugging Face hub
    seed: int


@dataclass(frozen=True)
class Probed:
    """All findings."""

    pairs: int  # as people wrote them
    probed: int  # of these, those that were looked at
    groups: int
    accuracy: Accuracy
    untouched: Accuracy | None  # of pairs of validation and test alone: words had no say in which of those stay
    longer: Accuracy  # of "the longer answer wins"
    ahead: tuple[float, float, float]  # accuracy less that of "the longer answer wins", with its interval
    by: dict[str, dict[str, Accuracy]]
    curve: Curve
    suspects: Suspects
    planted: Planted

    def document(self) -> dict[str, Any]:
        """As `probe.json` holds it."""
        return asdict(self)

    def line(self) -> str:
        """The findings in one line."""
        of = "" if self.probed == self.pairs else f" (on {self.probed:,} of {self.pairs:,} pairs, drawn by their ids)"
        untouched = "" if self.untouched is None else f", in {self.untouched} of validation's and test's"
        return (
            f"probe: words tell the chosen answer in {self.accuracy} of pairs they did not learn from{of}{untouched}, "
            f"length alone in {self.longer.share:.3f}; "
            f"{self.suspects.count:,} labels suspected (of labels turned on purpose, AUC {self.planted.auc:.2f}); {self.curve.verdict}"
        )

    def nothing(self) -> bool:
        """Whether the judge may as well have guessed."""
        return min(self.accuracy.low, self.accuracy.drawn_low) <= 0.5


@dataclass(frozen=True)
class Trial:
    """The rows to judge, and the groups that no fold may part."""

    rows: Rows
    numbers: Places
    names: list[str]
    settings: Settings

    def margins(self, repeat: int, share: float, rows: Rows | None = None) -> Numbers:
        """What judges who learned from this share of the other folds say of each row."""
        given = rows or self.rows
        fold = groups.folds(self.numbers, self.names, self.settings.folds, self.settings.seed + repeat)
        found = np.zeros(len(given))
        for one in range(self.settings.folds):
            taught = self.taught(fold != one, repeat, share)
            found[fold == one] = tfidf_bradley_terry.learn(given.take(taught), np.ones(len(taught))).margins(
                given.take(np.flatnonzero(fold == one))
            )
        return found

    def taught(self, others: Places, repeat: int, share: float) -> Places:
        """The rows to learn from."""
        return groups.part(self.numbers, self.names, np.flatnonzero(others), share, self.settings.seed + repeat)


def gather(pairs: pa.Table, settings: Settings) -> Probed | None:
    """Probe the pairs that people wrote; None where the probe is off, or where too few groups say nothing."""
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
        untouched=draws.by(pc.equal(taken["split"], "train").cast(pa.large_string()), judged).get("false"),
        longer=draws.accuracy(longer),
        ahead=draws.difference(judged - longer),
        by={by: draws.by(taken[by], judged) for by in BY},
        curve=growth(right, draws, taken, len(known), settings),
        suspects=suspect_labels.suspects(taken, margins[:, -1].mean(axis=0), settings.suspect, settings.listed),
        planted=tried(trial, taken),
    )


def counted(pairs: pa.Table, embedding: str) -> Rows:
    """The pairs as the judge sees them: the last message of the prompt, and both answers."""
    embed = None
    if embedding:
        from tasks.common.embeddings import Embeddings

        embed = Embeddings(embedding, "release.probe.embedding").of
    prompts = [messages[-1]["content"] for messages in pairs["prompt"].to_pylist()]
    chosen, rejected = (["\n".join(one["content"] for one in messages) for messages in pairs[side].to_pylist()] for side in SIDES)
    return tfidf_bradley_terry.count(tfidf_bradley_terry.vocabulary([*chosen, *rejected]), prompts, chosen, rejected, embed)


def credit(margins: np.ndarray[Any, Any]) -> Numbers:
    """1 where the chosen answer is judged better, 0 where the other, a half where neither."""
    found: Numbers = (np.sign(margins) + 1) / 2
    return found


def growth(right: Numbers, draws: Draws, pairs: pa.Table, known: int, settings: Settings) -> Curve:
    """The learning curve; a judge of one fold learns from all others."""
    others = 1 - 1 / settings.folds
    sizes = [round(share * len(pairs) * others) for share in settings.shares]
    votes = max(1.0, float(pc.mean(pairs["evidence"]).as_py() or 0))
    extent = Extent(known, known * others, votes)
    return learning_curve.curve(sizes, draws.curves(right, settings.seed), right.mean(axis=(0, 2)), extent, settings.confidence)


def tried(trial: Trial, pairs: pa.Table) -> Planted:
    """Turn some labels, and look how well they are found."""
    turned = suspect_labels.drawn(pairs["pair_id"].to_pylist(), trial.settings.plant, trial.settings.seed)
    return suspect_labels.found(turned, trial.margins(0, 1.0, trial.rows.turned(turned)), trial.settings.suspect)
