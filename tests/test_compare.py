"""compare: both models on the same unseen pairs, each by its own tokenizer; nothing is scored where nothing has to be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tasks.common import champion as names
from tasks.core.errors import UserError
from tests.builders import champions, training
from tests.builders.champions import changed, crown
from tests.builders.training import digests, tiny
from trainer.evaluation.quality import Answer
from trainer.models import training_context
from trainer.promotion import facts, outcome, writing


def small(**other: object) -> Any:
    """The stage's own parameters, made small; tiny models write little, so length says nothing here."""
    given = {"resamples": 200, "generations__prompts": 8, "generations__max_new_tokens": 24, "worse__length_ratio": 50.0}
    return tiny(names.COMPARE, **(given | other))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return champions.trained(tmp_path_factory.mktemp("compared"))


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "data", tmp_path / "data")
    return tmp_path


def compare(root: Path, **other: object) -> dict[str, Any]:
    """What one run of the stage says."""
    folder = root / "data/comparison"
    shutil.rmtree(folder, ignore_errors=True)
    training.run(root, names.COMPARE, small(**other))
    document: dict[str, Any] = json.loads((folder / names.COMPARISON).read_text())
    return document


def candidate(root: Path, folder: Path) -> None:
    """Let this be the new model."""
    shutil.rmtree(root / "data/models/candidate")
    shutil.copytree(folder, root / "data/models/candidate")


def test_the_first_model_is_held_against_nothing_and_its_facts_are_noted(root: Path) -> None:
    told = compare(root)
    assert (told["outcome"], told["champion"], "accuracy" in told) == (outcome.FIRST, None, False)
    assert told["challenger"]["digest"] == facts.digest(root / "data/models/candidate")
    assert json.loads((root / "data/comparison/metrics.json").read_text()) == {"pairs": 0}


def test_the_same_model_again_is_not_scored(root: Path) -> None:
    crown(root, root / "data/models/candidate")
    assert compare(root)["outcome"] == outcome.SAME


def test_a_model_that_learned_is_better_than_one_that_did_not_and_twice_the_same_bytes(root: Path) -> None:
    crown(root, root / "data/models/start")
    told = compare(root)
    assert (told["outcome"], told["stands"], told["pairs"], told["groups"]) == (outcome.MEASURED, "better", 40, 40)
    assert told["accuracy"]["challenger"]["accuracy"] > 0.8
    assert told["accuracy"]["champion"]["accuracy"] == 0.5, "an untrained model gained on no answer"
    assert told["difference"]["low"] > 0
    assert told["writing"]["prompts"] == 8
    before = digests(root / "data/comparison")
    compare(root)
    assert digests(root / "data/comparison") == before


def test_a_model_that_did_not_learn_is_worse_than_one_that_did(root: Path) -> None:
    crown(root, root / "data/models/policy")
    candidate(root, root / "data/models/start")
    told = compare(root, generations__prompts=0)
    assert told["stands"] == "worse"
    assert told["writing"] == {"prompts": 0, "worse": []}


def test_a_model_that_differs_by_noise_is_not_told_apart(root: Path) -> None:
    def shaken(model: Any) -> None:
        torch.manual_seed(1)
        for weight in model.parameters():
            weight.data += 1e-3 * torch.randn_like(weight)

    crown(root, changed(root / "data/models/policy", root / "shaken", shaken))
    told = compare(root, generations__prompts=0)
    assert told["stands"] == "not told apart"
    assert told["p"] > 0.05
    assert told["difference"]["low"] <= 0 <= told["difference"]["high"]


def test_a_model_that_prefers_better_and_goes_round_writes_worse(root: Path) -> None:
    def sharpened(model: Any) -> None:
        model.model.norm.weight.data *= 8  # nearly the likeliest token each time: tiny models then go round

    crown(root, root / "data/models/start")
    candidate(root, changed(root / "data/models/policy", root / "sharp", sharpened))
    told = compare(root, generations__max_new_tokens=48)
    assert told["stands"] == "better"
    assert any("go round in circles (champion 0 %" in line for line in told["writing"]["worse"])


def test_a_champion_with_a_tokenizer_of_its_own_reads_the_pairs_by_it(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(root / "data/release", other / "data/release")
    start = training.run(other, "start", tiny("start", model__vocab_size=350, threads=1))
    crown(root, start, start)
    told = compare(root, generations__prompts=2)
    assert (told["outcome"], told["stands"], told["pairs"], told["writing"]["prompts"]) == (outcome.MEASURED, "better", 40, 2)


@pytest.mark.parametrize(("window", "some"), [(180, True), (8, False)])
def test_only_pairs_that_fit_both_windows_are_compared(root: Path, window: int, some: bool) -> None:
    narrow = changed(root / "data/models/start", root / "narrow", lambda model: None)
    said = json.loads((narrow / training_context.NAME).read_text())
    (narrow / training_context.NAME).write_text(json.dumps(said | {"max_length": window}))
    crown(root, narrow)
    told = compare(root, generations__prompts=0)
    if some:
        assert 0 < told["pairs"] < 40
        return
    why = f"no test pair fits the windows of the new model and of {champions.NAME}"
    assert (told["outcome"], told["why"], told.get("pairs", 0)) == (outcome.INCOMPARABLE, why, 0)


def test_a_champion_that_cannot_be_loaded_is_named_with_the_reason(root: Path) -> None:
    broken = changed(root / "data/models/start", root / "broken", lambda model: None)
    (broken / "model.safetensors").write_bytes(b"cut")
    folder = crown(root, broken)
    told = compare(root)
    assert told["outcome"] == outcome.INCOMPARABLE
    assert told["why"].startswith(f"{champions.NAME} cannot be asked: {folder / names.MODEL}: ")


@pytest.mark.parametrize(
    ("mine", "kind"),
    [
        ({}, outcome.MEASURED),
        ({"release": "r2"}, outcome.MEASURED),
        ({"digest": "d1"}, outcome.SAME),
        ({"erased": "e2"}, outcome.MEASURED),  # of the same release, from which nobody was to be left out
        ({"erased": "e2", "release": "r2"}, outcome.ERASED),
        ({"salt": "s2", "release": "r2"}, outcome.INCOMPARABLE),
        ({"salt": "s2"}, outcome.MEASURED),
        ({"erased": "e2", "salt": "s2", "release": "r2"}, outcome.ERASED),
    ],
)
def test_what_needs_no_figure(made: Path, mine: dict[str, str], kind: str) -> None:
    known = dict.fromkeys(facts.Named.__annotations__, "")
    model, start = made / "data/models/policy", made / "data/models/start"
    theirs = known | {"digest": facts.digest(model), "start": facts.digest(start), "release": "r1", "salt": "s1", "erased": "e1"}
    if "digest" in mine:
        mine = {"digest": theirs["digest"]}
    new = theirs | {"digest": "new"} | mine
    assert outcome.before_figures(new, facts.Champion(theirs, model, start))[0] == kind  # type: ignore[arg-type]


def test_bytes_that_are_missing_or_others_are_told_before_anything_is_loaded(root: Path) -> None:
    folder = crown(root, root / "data/models/start")
    (folder / names.MODEL / "config.json").write_text("{}")
    assert compare(root)["why"] == f"{champions.NAME} cannot be asked: its bytes are not those that were recorded ({folder / names.MODEL})"
    shutil.rmtree(folder / names.START)
    shutil.rmtree(folder / names.MODEL)
    told = compare(root)
    assert (told["outcome"], told["why"]) == (
        outcome.INCOMPARABLE,
        f"{champions.NAME} cannot be asked: its bytes are not here ({folder / names.MODEL})",
    )


def test_an_erasure_since_its_training_rules_a_champion_out_even_where_its_bytes_are_away(root: Path) -> None:
    folder = crown(root, root / "data/models/start", release="another")
    shutil.rmtree(folder / names.MODEL)
    (root / "data/erased/a9ed.txt").write_text("# a comment\nuser 0123456789abcdef 2026-11-01\n")
    told = compare(root)
    assert (told["outcome"], told["why"]) == (
        outcome.ERASED,
        f"{champions.NAME} was trained before the last erasure, so it must not be kept",
    )


def test_comments_and_order_of_tombstones_are_no_erasure(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# old\nolder 2026-01-01\nuser 0 2026-01-01\n")
    before = facts.tombstones(tmp_path)
    (tmp_path / "a.txt").write_text("# new\n\nuser 0 2026-01-01\nolder 2026-01-01\n")
    assert facts.tombstones(tmp_path) == before != ""


def test_a_broken_record_is_one_line(root: Path) -> None:
    crown(root, root / "data/models/start")
    (root / "data/champion" / names.RECORD).write_text("{}")
    with pytest.raises(UserError, match="found no such record; expected the record of a champion"):
        compare(root)


def written(ended: int, text: str = "Thank you for telling us about it.", of: int = 40) -> list[Answer]:
    """So many answers that end, of all."""
    return [Answer(list(range(12)), text, at < ended) for at in range(of)]


@pytest.mark.parametrize(
    ("challenger", "champion", "words"),
    [
        (written(40), written(40), []),
        (written(38), written(40), []),  # two of forty are chance
        (written(30), written(40), ["25 % of its answers never end (champion 0 %, chosen answers 0 %)"]),
        (written(30), written(30), []),  # no worse than the champion
        (written(36), written(38), ["10 % of its answers never end (champion 5 %, chosen answers 0 %)"]),  # first beyond the data's bound
        (written(40, "No."), written(40), ["its answers are 0.09 times as long as the chosen ones (champion 1.00)"]),
        (written(40, "No."), written(40, "N."), []),  # the champion is further away
        (written(40, " "), written(40), ["100 % of its answers are empty (champion 0 %, chosen answers 0 %)"]),
    ],
)
def test_what_is_written_worse(challenger: list[Answer], champion: list[Answer], words: list[str]) -> None:
    bounds = tiny(names.COMPARE).worse
    worse = writing.figures({"challenger": challenger, "champion": champion, "chosen": written(40)}, bounds, 0.01)["worse"]
    assert worse[: len(words)] == words
    assert bool(worse) == bool(words)
