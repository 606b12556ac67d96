"""Measure how far the confidences of `pair` are from the truth, on made logs whose truth is known, where most people vote once.

    python -m tests.benchmarks.calibration [--seeds 3] [--first 100] [--peers] [--worlds TEXT] [--cleanlab PYTHON]

Each world is a log of candidates with votes that `tasks.aggregate.dawid_skene` and the stage `pair` read as they read any other. The
figure is
the expected calibration error (ten bins of equal width) of the pairs that stay, mean and worst over seeds, and over votes that are right in
65, 75 and 85 % of the cases; errors follow the difficulty of an item or do not; words tell the better answer (judge) or do not (mute).
`--peers` prints crowd-kit's Dawid-Skene, MACE and GLAD beside it, of the same votes; `--cleanlab` cleanlab's consensus quality, by the
interpreter of an environment that has it. `overlap` is the share of items with a second vote.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.aggregate import dawid_skene
from tasks.common.annotator_labels import ACTS
from tasks.core import params
from tasks.core.ids import stable_id
from tasks.core.tables import VOTE
from tasks.pair import stage as pair
from tests.builders.candidates_made import candidate, frame
from tests.builders.simulated import calibration_error
from tests.conftest import ROOT

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
LEVELS = (0.65, 0.75, 0.85)  # how often one vote is right
POLAR, NOISE, SLOTS, SPOKEN = 40, 1500, 28, 6  # words that tell of quality, words that do not, words of an answer, of them telling ones


@dataclass(frozen=True)
class World:
    """A made log."""

    items: int = 3000
    right: float = 0.75  # share of votes that name the better answer
    difficulty: bool = True  # errors follow how far apart the answers are
    judge: bool = True  # words tell which answer is better
    overlap: float = 0.02  # share of items with a second vote
    votes: int = 1  # on every item
    people: int = 0  # 0: nearly everybody votes a few times
    lazy: float = 0.0  # share of people who vote at random
    hostile: float = 0.0  # and of those who say the opposite
    position: float = 0.0  # log odds of the answer shown first
    thumbs: str = ""  # "strangers" or "same": thumbs on both answers, by two people or by one
    leniency: float = 1.0  # spread of people's log odds of a thumb up
    seed: int = 0


WORLDS: dict[str, tuple[World, ...]] = {
    "3,000 votes, 2 %, judge": tuple(World(difficulty=hard) for hard in (True, False)),
    "3,000 votes, 2 %, mute": tuple(World(difficulty=hard, judge=False) for hard in (True, False)),
    "3,000 votes, 2 %, position": (World(position=0.5), World(position=0.5, judge=False)),
    "3,000 votes, none, judge": (World(overlap=0.0),),
    "3,000 votes, none, mute": (World(overlap=0.0, judge=False),),
    "20,000 votes, 2 %, judge": tuple(World(items=20_000, difficulty=hard) for hard in (True, False)),
    "20,000 votes, 2 %, mute": tuple(World(items=20_000, difficulty=hard, judge=False) for hard in (True, False)),
    "nine votes, difficulty": (World(items=600, votes=9, people=60, overlap=0.0, judge=False),),
    "two strangers' thumbs": (World(items=8000, thumbs="strangers"), World(items=8000, thumbs="strangers", judge=False)),
    "same user's thumbs": (World(items=8000, thumbs="same"), World(items=8000, thumbs="same", judge=False)),
    "panel of 60, 5 votes": (World(items=1000, votes=5, people=60, overlap=0.0, judge=False, difficulty=False),),
    "panel, lazy and hostile": (World(items=1000, votes=5, people=60, overlap=0.0, judge=False, difficulty=False, lazy=0.1, hostile=0.05),),
}


@dataclass(frozen=True)
class Log:
    """What people said: one row a vote about an item's two answers, the first of which is number 0; and the truth."""

    world: World
    margin: Floats  # of each item: how much better the first answer is; never 0
    texts: list[tuple[str, str]]
    item: Numbers  # of each vote
    person: Numbers
    first: npt.NDArray[np.bool_]  # whether the vote is for the first answer; of thumbs: whether it is up
    shown: npt.NDArray[np.bool_]  # whether the first answer was shown first
    about: Numbers  # of a thumb: the answer, 0 or 1


def spread(right: float) -> float:
    """The standard deviation of margins with which votes of log odds |margin| are right so often."""
    z = np.abs((np.arange(20_001) - 10_000) / 1_800)
    mass = np.exp(-z * z / 2)
    low, high = 0.01, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        told = float((mass / (1 + np.exp(-middle * z))).sum() / mass.sum())
        low, high = (middle, high) if told < right else (low, middle)
    return low


def make(world: World) -> Log:
    """The log of a world; the same for the same world."""
    random = np.random.default_rng([world.seed, world.items, int(world.right * 100)])
    quality = random.normal(size=(world.items, 2))
    scale = spread(world.right) / np.sqrt(2)
    margin = (quality[:, 0] - quality[:, 1]) * scale
    texts = words(random, quality if world.judge else np.zeros_like(quality))
    second = random.random(world.items) < world.overlap
    count = np.full(world.items, world.votes) + second
    item = np.repeat(np.arange(world.items), count)
    people = world.people or max(2, world.items // 2)
    place = np.arange(len(item)) - np.repeat(np.cumsum(count) - count, count)
    person = (random.integers(0, people, world.items)[item] + place * (1 + people // 11)) % people
    shown = (random.random(world.items) < 0.5)[item]
    if world.thumbs:
        return thumbs(world, random, quality * scale, texts)
    flat = np.log(world.right / (1 - world.right))
    odds = margin[item] if world.difficulty else np.sign(margin[item]) * flat
    odds = odds + world.position * np.where(shown, 1, -1)
    kind = random.random(people)
    odds = np.where((kind < world.lazy)[person], 0.0, np.where((kind > 1 - world.hostile)[person], -odds, odds))
    first = random.random(len(item)) < 1 / (1 + np.exp(-odds))
    return Log(world, margin, texts, item, person, first, shown, np.zeros(len(item), np.int64))


def thumbs(world: World, random: np.random.Generator, worth: Floats, texts: list[tuple[str, str]]) -> Log:
    """A thumb on each answer, more lenient people giving more thumbs up; some answers have a second one."""
    again = random.random((world.items, 2)) < world.overlap
    item = np.concatenate([np.repeat(np.arange(world.items), 2), *(np.flatnonzero(again[:, side]) for side in (0, 1))])
    about = np.concatenate([np.tile([0, 1], world.items), *(np.full(int(again[:, side].sum()), side) for side in (0, 1))])
    people = max(2, world.items // 2)
    person = random.integers(0, people, len(item))
    if world.thumbs == "same":
        person[1 : 2 * world.items : 2] = person[0 : 2 * world.items : 2]
    odds = worth[item, about] * np.sqrt(2) + world.leniency * random.normal(size=people)[person]
    up = random.random(len(item)) < 1 / (1 + np.exp(-odds))
    return Log(world, worth[:, 0] - worth[:, 1], texts, item, person, up, np.ones(len(item), bool), about)


def words(random: np.random.Generator, quality: Floats) -> list[tuple[str, str]]:
    """Two answers an item; a few of their words are the likelier of the good list the better the answer is."""
    noise = np.minimum(random.zipf(1.3, (*quality.shape, SLOTS)) - 1, NOISE - 1)
    good = random.random((*quality.shape, SPOKEN)) < 1 / (1 + np.exp(-quality[..., None]))
    telling = random.integers(0, POLAR, good.shape)
    telling = np.where(good, telling, POLAR + telling)
    spoken = [f"g{word}" for word in range(POLAR)] + [f"b{word}" for word in range(POLAR)]

    def text(row: int, side: int) -> str:
        return " ".join([*(f"n{word}" for word in noise[row, side]), *(spoken[word] for word in telling[row, side]), f"u{row}{side}"])

    return [(text(row, 0), text(row, 1)) for row in range(len(quality))]


def candidates(log: Log) -> list[dict[str, Any]]:
    """The log as rows of Candidates, each vote with its annotator's reliability where `aggregate` estimates it."""
    rows = [
        candidate(f"Question {row}?", answers=list(texts), conversations=[f"c{row}"], users=[], parts=[], votes=[])
        for row, texts in enumerate(log.texts)
    ]
    ids: list[list[str]] = [[stable_id(row["prompt_id"], text) for text in texts] for row, texts in zip(rows, log.texts, strict=True)]
    known = reliability(log, [row["prompt_id"] for row in rows], ids)
    for number, (item, person, first, shown, about) in enumerate(
        zip(*(values.tolist() for values in (log.item, log.person, log.first, log.shown, log.about)), strict=True)
    ):
        one, other = ids[item]
        vote: dict[str, Any] = dict.fromkeys(VOTE.names) | {
            "feedback_id": f"f{number:08d}",
            "annotator": f"p{person:06d}",
            "annotator_kind": "person",
            "group": f"f{number:08d}",
            "conversation": f"c{item}",
            "origin": f"file:{number}:0",
            "reliability": known.get(f"p{person:06d}"),
        }
        if log.world.thumbs:
            vote |= {"kind": "thumb", "response_id": ids[item][about], "value": 1.0 if first else -1.0}
        else:
            vote |= {"kind": "choice", "value": 1.0, "shown_first": one if shown else other}
            vote |= {"better": one if first else other, "worse": other if first else one}
        rows[item]["votes"].append(vote)
    return rows


def reliability(log: Log, prompts: list[str], ids: list[list[str]]) -> dict[str, float]:
    """What `aggregate` finds of each annotator."""
    count = len(log.item)
    columns: dict[str, Any] = {name: pa.nulls(count, ACTS.field(name).type) for name in ACTS.names}
    columns["annotator_kind"] = pa.array(["person"] * count)
    columns["annotator"] = pa.array([f"p{person:06d}" for person in log.person])
    columns["prompt_id"] = pa.array([prompts[item] for item in log.item])
    if log.world.thumbs:
        columns |= {"kind": pa.array(["thumb"] * count), "grade": pa.array(np.where(log.first, 1.0, -1.0))}
        columns["response_id"] = pa.array([ids[item][about] for item, about in zip(log.item, log.about, strict=True)])
    else:
        columns |= {"kind": pa.array(["choice"] * count), "grade": pa.array(np.ones(count))}
        sides = [(ids[item] if first else ids[item][::-1]) for item, first in zip(log.item, log.first, strict=True)]
        columns |= {"better_id": pa.array([side[0] for side in sides]), "worse_id": pa.array([side[1] for side in sides])}
    table = pa.table(columns).select(ACTS.names).cast(ACTS)
    found = dawid_skene.find(table, settings("aggregate").consensus).annotators
    names, reliability = cast("list[str]", found["annotator"].to_pylist()), cast("list[float]", found["reliability"].to_pylist())
    return dict(zip(names, reliability, strict=True))


def settings(stage: str) -> Any:
    """The stage's parameters as they ship."""
    from tasks.aggregate import stage as aggregate

    return params.load(ROOT / "params.yaml", stage, {"aggregate": aggregate, "pair": pair}[stage].Params)


def stated(log: Log) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Confidence of each pair that stays, and whether it is right, by the stage `pair`."""
    rows = candidates(log)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = pair.run({"candidates": frame(rows)}, settings("pair"))["pairs"].to_arrow()
    made = made.filter(pc.is_null(made["dropped"]))
    better = {
        row["prompt_id"]: texts[0] if margin > 0 else texts[1]
        for row, texts, margin in zip(rows, log.texts, log.margin.tolist(), strict=True)
    }
    told = [messages[0]["content"] for messages in cast("list[list[dict[str, str]]]", made["chosen"].to_pylist())]
    right = np.array([better[name] == text for name, text in zip(made["prompt_id"].to_pylist(), told, strict=True)])
    return np.asarray(made["confidence"].to_numpy()), right


def peers(log: Log) -> dict[str, tuple[Floats, npt.NDArray[np.bool_]]]:
    """The same by crowd-kit, of votes for one of two answers. Thumbs are no such votes."""
    import crowdkit.aggregation as crowdkit
    import pandas as pd

    votes = pd.DataFrame({"task": log.item, "worker": log.person, "label": np.where(log.first, 1, 0)})
    found = {}
    for name, model in {
        "DS": crowdkit.DawidSkene(n_iter=50),
        "MACE": crowdkit.MACE(n_restarts=3, n_iter=30),
        "GLAD": crowdkit.GLAD(n_iter=30),
    }.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            told = model.fit(votes)
            proba = getattr(told, "probas_", None)
            proba = told.fit_predict_proba(votes) if proba is None else proba  # type: ignore[attr-defined]  # whoever keeps none has it
        one = proba.sort_index()[1].to_numpy()
        found[name] = (np.maximum(one, 1 - one), (one > 0.5) == (log.margin[proba.sort_index().index] > 0))
    return found


def cleanlab(log: Log, python: str) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The same by cleanlab's consensus quality, with the out-of-fold probabilities of a judge of words."""
    from tasks.common import tfidf_bradley_terry

    one, other = ([texts[side] for texts in log.texts] for side in (0, 1))
    rows = tfidf_bradley_terry.count(tfidf_bradley_terry.vocabulary([*one, *other]), [""] * len(one), one, other)
    lead = np.bincount(log.item, np.where(log.first, 1, -1), len(log.texts))
    margins = np.zeros(len(lead))
    for fold in range(5):
        held = np.arange(len(lead)) % 5 == fold
        taught = np.flatnonzero(~held & (lead != 0))
        turned = rows.turned(lead < 0)
        margins[held] = tfidf_bradley_terry.learn(turned.take(taught), np.ones(len(taught))).margins(rows.take(np.flatnonzero(held)))
    given = {
        "item": log.item.tolist(),
        "person": log.person.tolist(),
        "label": log.first.astype(int).tolist(),
        "p": (1 / (1 + np.exp(-margins))).tolist(),
    }
    script = (
        "import json,sys,numpy as np,pandas as pd\n"
        "from cleanlab.multiannotator import get_label_quality_multiannotator as q\n"
        "g=json.load(sys.stdin);p=np.array(g.pop('p'))\n"
        "t=pd.DataFrame(g).pivot_table(index='item',columns='person',values='label',aggfunc='first')\n"
        "r=q(t,np.stack([1-p,p],1),verbose=False)['label_quality']\n"
        "print(json.dumps([r['consensus_label'].tolist(),r['consensus_quality_score'].tolist()]))"
    )
    done = subprocess.run([python, "-W", "ignore", "-c", script], input=json.dumps(given), capture_output=True, text=True, check=True)
    label, quality = (np.array(values) for values in json.loads(done.stdout.strip().splitlines()[-1]))
    return np.maximum(quality, 0.5), (label > 0.5) == (log.margin > 0)


def measured(world: World, options: argparse.Namespace) -> Iterator[tuple[str, float]]:
    """Names of methods, and their errors."""
    log = make(world)
    yield "pair", calibration_error(*stated(log))
    if options.peers and not world.thumbs:
        yield from ((name, calibration_error(*told)) for name, told in peers(log).items())
    if options.cleanlab and not world.thumbs and world.items <= 5000:
        yield "cleanlab", calibration_error(*cleanlab(log, options.cleanlab))


def main(options: argparse.Namespace) -> None:
    """Print one line a world and method."""
    sys.stdout.write(f"{'world':<28}{'method':<10}{'ECE mean':>9}{'worst':>8}{'runs':>6}\n")
    for name, worlds in WORLDS.items():
        if options.worlds not in name:
            continue
        errors: dict[str, list[float]] = {}
        for seed in range(options.first, options.first + options.seeds):
            for world in worlds:
                for right in LEVELS:
                    for method, error in measured(replace(world, right=right, seed=seed), options):
                        errors.setdefault(method, []).append(error)
        for method, found in errors.items():
            sys.stdout.write(f"{name:<28}{method:<10}{np.mean(found):>9.3f}{max(found):>8.3f}{len(found):>6}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.calibration", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each world")
    parser.add_argument("--first", type=int, default=100, help="the first seed")
    parser.add_argument("--worlds", default="", help="only worlds with this in their name")
    parser.add_argument("--peers", action="store_true", help="crowd-kit beside it")
    parser.add_argument("--cleanlab", default="", help="interpreter that has cleanlab")
    main(parser.parse_args())
