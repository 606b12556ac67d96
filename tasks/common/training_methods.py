"""Which way of training the release has enough data for: DPO, KTO, or a reward model with PPO.

In: the released tables. Out: `Choice`: what there is to train on, what each method needs and has, the weights that KTO needs, and the
label noise that the pairs' confidence implies. Only the train split counts, and variants and repeats do not: they are no evidence.

How much is enough is a parameter (`release.methods`), since no number holds for every model and task; the sources of ours stand there.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from tasks.common.vocabulary.splits import TRAIN
from tasks.core.params import StageParams

# TRL wants desirable weight x count : undesirable weight x count between these; in the middle, rounding leads out of neither end.
KTO_RANGE = (1.0, 4 / 3)
KTO_AIM = math.sqrt(KTO_RANGE[0] * KTO_RANGE[1])
MOST_SMOOTHING = 0.49  # at a half, pairs would say nothing


class Needs(StageParams):
    """Least numbers of training rows."""

    dpo_pairs: int = Field(ge=1)
    kto_examples: int = Field(ge=1)
    kto_rarer: int = Field(ge=1)  # of the rarer label
    reward_pairs: int = Field(ge=1)
    ppo_prompts: int = Field(ge=1)


@dataclass(frozen=True)
class Need:
    """One thing that a method needs."""

    what: str  # such as pairs
    has: int  # training rows that there are
    needs: int  # training rows that are enough (`release.methods`)


@dataclass(frozen=True)
class Method:
    """A method, and whether the release has enough for it."""

    title: str  # its name
    enough: bool  # whether there is enough of everything that it needs
    needs: tuple[Need, ...]  # what it needs


@dataclass(frozen=True)
class Weights:
    """What TRL's KTOConfig needs for so many liked and disliked answers; no weights where one label is missing."""

    desirable: int  # liked answers for training
    undesirable: int  # disliked answers for training
    ratio: float | None  # desirable : undesirable
    desirable_weight: float | None  # of each liked answer
    undesirable_weight: float | None  # of each disliked answer


@dataclass(frozen=True)
class Choice:
    """What there is, and what it is enough for."""

    evidence: dict[str, int]  # training rows that feedback of people gave: paired, ranked among them, unpaired, prompt_only
    methods: dict[str, Method]  # by name: dpo, kto, ppo
    advice: str | None  # the first method that has enough
    kto: Weights  # of liked and disliked answers
    label_noise: float | None  # 1 - mean confidence: the share of pairs expected to be the wrong way round
    label_smoothing: float | None  # for DPO: label noise, below one half

    def document(self) -> dict[str, Any]:
        """As `methods.json` holds it."""
        return asdict(self)

    def verdict(self) -> str:
        """The advice in words."""
        if self.advice:
            others = [method.title for name, method in self.methods.items() if method.enough and name != self.advice]
            also = f"; also enough for {' and '.join(others)}" if others else ""
            return f"Enough for {self.methods[self.advice].title}{also}."
        nearest = max(self.methods.values(), key=lambda method: min(need.has / need.needs for need in method.needs))
        lacks = [f"{need.has:,} of {need.needs:,} {need.what}" for need in nearest.needs if need.has < need.needs]
        return f"Not enough for any method; nearest is {nearest.title}, with {' and '.join(lacks)}."


def choose(tables: dict[str, pa.Table], needs: Needs) -> Choice:
    """Hold the training rows that people's feedback gave against what each method needs."""
    pairs, unpaired, prompts = (_written(tables[name]) for name in ("pairs", "unpaired", "prompts"))
    liked = int(pc.sum(unpaired["label"].cast(pa.int64())).as_py() or 0)
    kto = weights(liked, len(unpaired) - liked)
    methods = {
        "dpo": _method("DPO", Need("pairs", len(pairs), needs.dpo_pairs)),
        "kto": _method(
            "KTO",
            Need("liked or disliked answers", len(unpaired), needs.kto_examples),
            Need("of the rarer label", min(kto.desirable, kto.undesirable), needs.kto_rarer),
        ),
        "ppo": _method(
            "a reward model and PPO",
            Need("pairs", len(pairs), needs.reward_pairs),
            Need("prompts", len(prompts), needs.ppo_prompts),
        ),
    }
    sure = pc.mean(pairs["confidence"]).as_py()
    noise = None if sure is None else round(1 - sure, 4)
    return Choice(
        evidence=_evidence(pairs, unpaired, prompts),
        methods=methods,
        advice=next((name for name, method in methods.items() if method.enough), None),
        kto=kto,
        label_noise=noise,
        label_smoothing=None if noise is None else min(noise, MOST_SMOOTHING),
    )


def weights(desirable: int, undesirable: int) -> Weights:
    """The rarer label's weight is raised until weight x count stands as KTO wants it; within its range nothing is weighed."""
    if not (desirable and undesirable):
        return Weights(desirable, undesirable, None, None, None)
    ratio = desirable / undesirable
    low, high = KTO_RANGE
    more_liked = round(KTO_AIM / ratio, 2) if ratio < low else 1.0
    more_disliked = round(ratio / KTO_AIM, 2) if ratio > high else 1.0
    return Weights(desirable, undesirable, round(ratio, 4), more_liked, more_disliked)


def _method(title: str, *needs: Need) -> Method:
    return Method(title, all(need.has >= need.needs for need in needs), needs)


def _written(rows: pa.Table) -> pa.Table:
    """Training rows as people gave them."""
    train = rows.filter(pc.equal(rows["split"], pa.scalar(TRAIN)))
    return train.filter(pc.is_null(train["augmented_from"])) if "augmented_from" in train.column_names else train


def _evidence(pairs: pa.Table, unpaired: pa.Table, prompts: pa.Table) -> dict[str, int]:
    """Training rows by what trainers need: pairs, those of them from rankings, single answers, and prompts with neither."""
    used = pc.unique(pa.chunked_array([*pairs["prompt_id"].chunks, *unpaired["prompt_id"].chunks], pairs["prompt_id"].type))
    return {
        "paired": len(pairs),
        "ranked": int(pc.sum(pc.equal(pairs["recipe"], pa.scalar("ranking")).cast(pa.int64())).as_py() or 0),
        "unpaired": len(unpaired),
        "prompt_only": len(prompts.filter(pc.invert(pc.is_in(prompts["prompt_id"], value_set=used)))),
    }
