"""Claims about the split's certificate: it sees whatever lies in two splits, and finds the prompts that are most alike."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tasks.common.similarity import Near, digests
from tasks.common.similarity.minhash import signatures
from tasks.common.similarity.near_copies import jaccard
from tasks.common.similarity.ngrams import folded
from tasks.core.errors import UserError
from tasks.core.params import load
from tasks.core.tables import Candidates, Common, Pairs, Places, Prompts, Unpaired
from tasks.release import character_search, embedding_search, nearest_prompts, split_certificate
from tasks.release import stage as release
from tasks.split import stage as split
from tests.builders.split_runs import text
from tests.conftest import ROOT

Row = dict[str, Any]
SPLIT = load(ROOT / "params.yaml", "split", split.Params)
RELEASE = load(ROOT / "params.yaml", "release", release.Params)
SEARCH = RELEASE.search
SPLITS = ("train", "validation", "test")
KEYS = ("prompts", "prompt_clusters", "users", "conversations", "first_user_turns", "answers", "augmentation_parents")
LONG = "This answer is longer than what models say to anybody. " * 5


def messages(*contents: str) -> list[Row]:
    return [{"role": ("user", "assistant")[place % 2], "content": content} for place, content in enumerate(contents)]


def made(count: int = 9) -> tuple[list[Row], list[Row]]:
    """Candidates of `count` people in three splits, and a pair of each."""
    candidates, pairs = [], []
    for number in range(count):
        chain: Row = {"prompt_id": f"p{number}", "prompt": messages(text(number)), "split": SPLITS[number % 3], "cluster_id": f"p{number}"}
        chain |= {"conversations": [f"c{number}"], "augmented_from": None}
        candidates.append(chain | {"users": [f"u{number}"]})
        sides = {side: [{"role": "assistant", "content": f"{side} {number} {LONG}"}] for side in ("chosen", "rejected")}
        pairs.append(chain | sides | {"pair_id": f"pair{number}"})
    return candidates, pairs


def certified(
    candidates: list[Row], pairs: list[Row], common: Sequence[Row] = (), unpaired: Sequence[Row] = (), places: Sequence[Row] = ()
) -> Row:
    """The certificate of these rows; `places` are those of earlier releases."""
    rows = {"pairs": (Pairs, pairs), "unpaired": (Unpaired, list(unpaired)), "prompts": (Prompts, [])}
    tables = {name: pa.Table.from_pylist(entries, schema=table.schema()) for name, (table, entries) in rows.items()}
    sources = pa.Table.from_pylist(candidates, schema=Candidates.schema()).select(split_certificate.SOURCES)
    met = pa.Table.from_pylist(list(common), schema=Common.schema())
    known = pa.Table.from_pylist(list(places), schema=Places.schema())
    proof = split_certificate.Proof(sources, met, known, SPLIT, SEARCH, RELEASE.characters, RELEASE.meaning)
    return split_certificate.certify(tables, proof)


def test_rows_that_share_nothing_are_certified() -> None:
    result = certified(*made())
    assert result["shared"] == dict.fromkeys(KEYS, 0)
    assert result["checked"] == dict.fromkeys(KEYS, 9) | {"answers": 18, "augmentation_parents": 0}
    assert result["rows"] == {"pairs": dict.fromkeys(SPLITS, 3)}


def share_prompt(candidates: list[Row], pairs: list[Row]) -> None:
    pairs[1]["prompt"] = messages(text(0).upper())


def share_cluster(candidates: list[Row], pairs: list[Row]) -> None:
    candidates[1]["cluster_id"] = "p0"


def share_user(candidates: list[Row], pairs: list[Row]) -> None:
    candidates[1]["users"] = ["u0", "u1"]


def share_conversation(candidates: list[Row], pairs: list[Row]) -> None:
    candidates[1]["conversations"] = ["c0", "c1"]


def share_opening(candidates: list[Row], pairs: list[Row]) -> None:
    for number in (0, 1):
        pairs[number]["prompt"] = messages("We begin with the same words", f"answer {number}", text(100 + number))


def share_answer(candidates: list[Row], pairs: list[Row]) -> None:
    pairs[1]["rejected"] = pairs[0]["chosen"]


def part_from_parent(candidates: list[Row], pairs: list[Row]) -> None:
    candidates[1]["augmented_from"] = "p3"


@pytest.mark.parametrize(
    ("key", "share"),
    list(
        zip(
            KEYS,
            (share_prompt, share_cluster, share_user, share_conversation, share_opening, share_answer, part_from_parent),
            strict=True,
        )
    ),
)
def test_what_lies_in_two_splits_stops_the_release(key: str, share: Callable[[list[Row], list[Row]], None]) -> None:
    candidates, pairs = made()
    share(candidates, pairs)
    with pytest.raises(UserError, match=rf"split_certificate.json: found 1 {key.replace('_', ' ')} in two splits.*p(air)?[03] \(train\)"):
        certified(candidates, pairs)


def test_variant_beside_its_parent_is_certified() -> None:
    candidates, pairs = made()
    candidates[3]["augmented_from"] = "p0"
    assert certified(candidates, pairs)["checked"]["augmentation_parents"] == 1


def test_tables_are_looked_at_together() -> None:
    candidates, pairs = made()
    liked = {name: pairs[0][name] for name in ("prompt_id", "prompt")} | {
        "split": "test",
        "completion": messages("", LONG)[1:],
        "example_id": "e",
    }
    with pytest.raises(UserError, match=r"1 prompts in two splits, one of them in the rows e \(test\), pair0 \(train\)"):
        certified(candidates, pairs, unpaired=[liked])


def test_boilerplate_is_counted_apart() -> None:
    candidates, pairs = made()
    for row in pairs:
        row["prompt"] = messages("Hi", "Hello!", row["prompt"][0]["content"])
        row["chosen"] = [{"role": "assistant", "content": LONG}]
        row["rejected"] = [{"role": "assistant", "content": "No."}]
    for row in candidates:
        row["users"] = [*row["users"], "hub"]
    kinds = {"first_user_turn": "hi", "answer": LONG, "user": "hub"}
    common = [{"kind": kind, "digest": int(digests(pa.array([value]))[0]), "met": 99, "prompt_id": "p0"} for kind, value in kinds.items()]
    result = certified(candidates, pairs, common)
    assert result["shared"] == dict.fromkeys(KEYS, 0)
    assert {key: entry["shared"] for key, entry in result["boilerplate"].items()} == {
        "first_user_turns": 1,
        "answers": 1,
        "users": 1,
        "short_answers": 1,
    }
    assert result["boilerplate"]["answers"]["rule"] == f"answers more than {SPLIT.popular} prompts (split.popular)"
    with pytest.raises(UserError, match="1 first user turns in two splits"):
        certified(candidates, pairs, common[1:])
    with pytest.raises(UserError, match="1 users in two splits"):
        certified(candidates, pairs, common[:2])


def test_a_prompt_without_a_candidate_is_refused() -> None:
    candidates, pairs = made()
    with pytest.raises(UserError, match="row pair8, whose prompt is not a candidate"):
        certified(candidates[:-1], pairs)


def test_the_most_alike_prompts_of_two_sides_are_found() -> None:
    candidates, pairs = made(60)
    base = "how do I reset the password of my account when the old mail address is gone"
    pairs[10]["prompt"], pairs[12]["prompt"] = messages(base), messages(f"{base} and nobody answers the phone here")
    pairs[15]["prompt"] = messages(base + " for good")  # train as well: no couple of two sides
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = certified(candidates, pairs)["highest_similarity"]
    assert result["held_out"] == {"table": "pairs", "split": "validation", "id": "pair10"}
    assert result["train"]["id"] == "pair15"
    assert [str(one.message) for one in caught] == [f"similar prompts in two splits ({result['similarity']}): pair10 in pairs, pair15"]


def test_nothing_held_out_nothing_alike() -> None:
    candidates, pairs = made(1)
    assert certified(candidates, pairs)["highest_similarity"] is None


@settings(max_examples=25, deadline=None)
@given(some.lists(some.tuples(some.lists(some.sampled_from("abcdef"), max_size=9), some.booleans()), min_size=2, max_size=60))
def test_search_finds_the_couples_above_the_threshold(rows: list[tuple[list[str], bool]]) -> None:
    """Against all couples: none is missed whose similarity is well above what the search is set to find."""
    texts = folded(pa.array([" ".join(words) for words, _ in rows], pa.large_string()))
    train = np.array([side for _, side in rows])
    search = Near(shingle_words=1, threshold=0.3, bands=128, rows=1, largest_bucket=1000, seed=1)
    left, right, cut = nearest_prompts.candidate_pairs(signatures(texts, search), train, search.largest_bucket)
    assert not cut
    assert not train[left].any()
    assert train[right].all()
    every = np.array([(one, other) for one in np.flatnonzero(~train) for other in np.flatnonzero(train)], np.int64).reshape(-1, 2)
    spoken = np.array([bool(words) for words, _ in rows])
    every = every[spoken[every].all(axis=1)]
    exact = jaccard(texts, every[:, 0], every[:, 1], 1)
    result = jaccard(texts, left, right, 1)
    assert result.max(initial=0) == exact[exact > 0.3].max(initial=0) or exact.max(initial=0) <= 0.3


def test_stated_recall_is_the_formula() -> None:
    search = SEARCH.model_copy(update={"bands": 10, "rows": 2})
    assert nearest_prompts.recall_at(0.5, search) == pytest.approx(1 - 0.75**10)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("Please, how long do moths live???", True),
        ("how long do MOTHS live - thanks", True),
        ("How long dó moths live", True),
        ("how long do moths liv in the wild", False),
        ("what do badgers eat all winter", False),
    ],
)
def test_the_search_by_letters_sees_what_signs_accents_and_courtesies_hide(other: str, same: bool) -> None:
    candidates, pairs = made(30)
    pairs[3]["prompt"], pairs[4]["prompt"] = messages("How long do moths live?"), messages(other)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = certified(candidates, pairs)["characters"]
    assert result["same"] == same
    assert [str(one.message) for one in caught if "letters" in str(one.message)] == (
        ["1 held-out prompts have the same letters as a training prompt: pair4 in pairs, pair3 in pairs"] if same else []
    )


def test_the_search_by_letters_counts_near_copies_that_words_part() -> None:
    candidates, pairs = made(30)
    pairs[3]["prompt"] = messages("My router Kestrel-4711 loses the wireless connection every evening since the latest update")
    pairs[4]["prompt"] = messages("My routers Kestrel4711 loses the wireles connections every evenings since thelatest update")
    result = certified(candidates, pairs)
    assert result["highest_similarity"] is None or result["highest_similarity"]["similarity"] < 0.3, "word n-grams see nothing"
    near = result["characters"]["highest_similarity"]
    assert (near["held_out"]["id"], near["train"]["id"]) == ("pair4", "pair3")
    assert near["similarity"] > 0.45
    assert result["not_seen"][0].startswith("the same question in other words")


@settings(max_examples=25, deadline=None)
@given(some.lists(some.tuples(some.text("abcdeé ?", max_size=12), some.booleans()), min_size=2, max_size=40))
def test_the_search_by_letters_finds_the_most_alike_couple(rows: list[tuple[str, bool]]) -> None:
    search = RELEASE.characters.model_copy(update={"gram": 2, "bands": 200, "rows": 1, "largest_bucket": 1000})
    table = pa.table({name: [f"{place}"] * len(rows) for place, name in enumerate(("table", "id"))})
    table = table.append_column("split", pa.array(["train" if side else "test" for _, side in rows]))
    turns = cast("pa.LargeListArray[Any]", pa.array([[turn] for turn, _ in rows], pa.large_list(pa.large_string())))
    result = character_search.search_by_characters(table, turns, (), search)
    texts = [character_search.normalized(turn, ()) for turn, _ in rows]
    held, train = ({text for text, (_, side) in zip(texts, rows, strict=True) if text and side == wanted} for wanted in (False, True))
    exact = max((character_search.similarity(one, other, 2) for one in held for other in train), default=0.0)
    similarity = result["highest_similarity"]["similarity"] if result["highest_similarity"] else 0.0
    assert similarity == pytest.approx(exact, abs=1e-4) or exact < 0.1
    assert result["same"] == len(held & train)


def test_a_prompt_that_lies_elsewhere_than_before_stops_the_release() -> None:
    candidates, pairs = made()
    here = [{"prompt_id": f"p{number}", "place": SPLITS[number % 3]} for number in range(9)]
    assert certified(candidates, pairs, places=here)["moved"] == {"checked": 9, "moved": 0}
    assert certified(candidates, pairs, places=here[:4])["moved"] == {"checked": 4, "moved": 0}
    here[4]["place"] = "train"
    with pytest.raises(UserError, match=r"found 1 prompts in another split than in an earlier release, one of them p4 \(now validation\)"):
        certified(candidates, pairs, places=here)


def test_embeddings_are_asked_only_where_a_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Toy:
        """A model that knows one word."""

        def __init__(self, model: str, parameter: str) -> None:
            assert (model, parameter) == ("toy", "release.meaning.model")

        def of(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
            return np.array([[1.0, 0.0] if "car" in text or "automobile" in text else [0.0, 1.0] for text in texts], np.float32)

    candidates, pairs = made(6)
    assert certified(candidates, pairs)["meaning"] is None
    monkeypatch.setattr(embedding_search, "Embeddings", Toy)
    rows = pa.table({"table": ["pairs"] * 4, "id": list("abcd"), "split": ["train", "test", "train", "test"]})
    said = [["my car"], ["the automobile"], ["nothing"], ["my car again"]]
    user_turns = cast("pa.LargeListArray[Any]", pa.array(said, pa.large_list(pa.large_string())))
    result = embedding_search.search_by_embeddings(rows, user_turns, embedding_search.Search(model="toy", threshold=0.9))
    assert result == {
        "model": "toy",
        "threshold": 0.9,
        "held_out_at_least_threshold": 2,
        "highest_similarity": {
            "similarity": 1.0,
            "held_out": {"table": "pairs", "split": "test", "id": "b"},
            "train": {"table": "pairs", "split": "train", "id": "a"},
        },
    }
