"""Claims about `decontaminate`: what a benchmark's item is, which prompts hold one, and what becomes of them."""

from __future__ import annotations

import gzip
import json
import random
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core import engine, params, pipeline
from tasks.core.errors import UserError
from tasks.core.ledger import Account, ids_of, reconcile
from tasks.core.tables import TEXT, Candidates
from tasks.decontaminate import stage as decontaminate
from tasks.decontaminate import verbatim
from tasks.decontaminate.benchmarks import ITEMS, PROMPT, SOLUTION, read_items
from tasks.decontaminate.search import Search
from tasks.decontaminate.weights import shares, weights
from tasks.decontaminate.words import known, split_words, vocabulary
from tests.builders.candidates_made import candidate, frame
from tests.builders.projects import digests, make_project, run_stage
from tests.builders.real_prompts import MODEL, benchmark_items, real_prompts, same_as_self_instruct
from tests.builders.rewordings import BEYOND, KINDS, reword
from tests.builders.thesaurus import write
from tests.conftest import ROOT

PARAMS = params.load(ROOT / "params.yaml", "decontaminate", decontaminate.Params)
ITEM = "Compose an engaging travel blog post about a recent trip to Hawaii, highlighting cultural experiences and must-see attractions."
REWORDED = (
    "Could you compose a fun travel blog article about a recent holiday in Hawaii, with cultural experiences and must-see attractions?"
)
OTHER = "My printer blinks twice and refuses to wake up, what does the manual of this model say about that?"
WORD = st.sampled_from(["ant", "bee", "cat"])
TEXTS = st.lists(st.lists(WORD, min_size=1, max_size=14).map(" ".join), min_size=1, max_size=6)


def items(*texts: str) -> pa.Table:
    rows = [{"benchmark": "mt", "item": str(at), "part": PROMPT, "text": text} for at, text in enumerate(texts)]
    return pa.Table.from_pylist(rows, schema=ITEMS)


def account(rows: list[dict[str, Any]], sought: pa.Table, **changed: object) -> Account:
    """What the stage does with the candidates."""
    given = frame(rows)
    result = decontaminate.run({"candidates": given}, sought, PARAMS.model_copy(update=changed))
    return reconcile("decontaminate", "candidates", result["candidates"].to_arrow(), ids_of("candidates", given.to_arrow()))


def method(message: str, *sought: str, **changed: object) -> str | None:
    """How an item is found in the message; None when none is."""
    finds = Search(pa.array(sought, TEXT), PARAMS.model_copy(update=changed)).find(pa.array([message, OTHER], TEXT))
    return None if not len(finds) else str(finds["method"][0])


def with_model(model: object) -> decontaminate.Params:
    return PARAMS.model_copy(update={"embedding": PARAMS.embedding.model_copy(update={"model": str(model)})})


# What becomes of a prompt


def test_dropped_row_names_benchmark_item_method_and_similarity() -> None:
    result = account([candidate(ITEM), candidate(OTHER)], items("A question about nothing at all that nobody asks.", ITEM))
    (gone,) = result.dropped.to_pylist()
    assert (gone["dropped"], gone["benchmark"], gone["item"], gone["method"], gone["similarity"]) == ("benchmark", "mt", "1", "ngram", 1.0)
    assert [row["prompt"][0]["content"] for row in result.kept.to_pylist()] == [OTHER]
    assert result.kept.schema == Candidates.schema()


def test_only_the_named_splits_lose_prompts_and_the_others_are_reported() -> None:
    rows = [candidate(f"{ITEM} {split}", split=split) for split in ("train", "validation", "test")]
    assert {row["split"] for row in account(rows, items(ITEM)).dropped.to_pylist()} == {"train", "validation"}
    assert {row["split"] for row in account(rows, items(ITEM), splits=["test"]).dropped.to_pylist()} == {"test"}
    result = decontaminate.find_matches(frame(rows), items(ITEM), PARAMS)
    with pytest.warns(UserWarning, match="^1 prompts of the test split hold benchmark items; they are kept"):
        decontaminate.warn_of_kept(result, PARAMS)
    assert decontaminate.summary(items(ITEM), result) == {"mt": {"items": 1, "prompts": {"train": 1, "validation": 1, "test": 1}}}


@pytest.mark.parametrize(("role", "reasons"), [("user", {"benchmark": 1}), ("assistant", {}), ("system", {})])
def test_every_message_of_the_user_counts_and_no_other(role: str, reasons: dict[str, int]) -> None:
    turns = [{"role": role, "content": ITEM}, {"role": "user", "content": "And shorter, please."}]
    assert account([candidate("x", prompt=turns)], items(ITEM)).reasons == reasons


def test_without_items_everything_is_kept() -> None:
    result = account([candidate(ITEM)], ITEMS.empty_table())
    assert (len(result.kept), len(result.dropped)) == (1, 0)


def test_an_answer_that_holds_a_reference_solution_drops_its_prompt() -> None:
    solution = "She sells the 9 eggs that are left for 2 dollars each, so she makes 18 dollars every day."
    sought = pa.Table.from_pylist([{"benchmark": "gsm", "item": "5", "part": SOLUTION, "text": solution}], schema=ITEMS)
    rows = [candidate(OTHER, answers=["No.", f"Let us see. {solution} #### 18"]), candidate(solution)]
    (gone,) = account(rows, sought).dropped.to_pylist()
    assert (gone["prompt"][0]["content"], gone["benchmark"], gone["item"], gone["method"]) == (OTHER, "gsm", "5", "answer")
    for changed in ({"use": False}, {"min_words": 20}):
        assert not account(rows, sought, answers=PARAMS.answers.model_copy(update=changed)).reasons


# When a message holds an item


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (ITEM, "ngram"),
        (ITEM.upper().replace(",", " -- "), "ngram"),
        (f"{OTHER} Also: {ITEM} {OTHER * 20}", "ngram"),
        (REWORDED, "reworded"),
        ("My recent trip to Hawaii was engaging", None),
        (OTHER, None),
        ("", None),
        ("!?", None),
    ],
)
def test_an_item_is_found_as_it_stands_within_more_text_and_reworded(message: str, expected: str | None) -> None:
    assert method(message, ITEM) == expected


def test_words_of_an_item_scattered_over_a_long_text_are_chance() -> None:
    words = ITEM.rstrip(".").replace(",", "").split()
    scattered = " ".join(f"{word} {OTHER}" for word in words)
    assert method(scattered, ITEM) is None
    assert method(scattered, ITEM, reworded=PARAMS.reworded.model_copy(update={"message": 0.0})) is None, "no phrase is left"


def test_the_words_of_an_item_without_its_phrases_are_chance() -> None:
    words = ITEM.split()
    mixed = " ".join([*words[:4], *words[:3:-1]])
    assert method(mixed, ITEM) is None
    assert method(mixed, ITEM, reworded=PARAMS.reworded.model_copy(update={"phrases": 0.1})) == "reworded"


def test_of_two_equal_items_the_first_is_named() -> None:
    (gone,) = account([candidate(ITEM)], items(ITEM, ITEM)).dropped.to_pylist()
    assert gone["item"] == "0"


def test_a_long_text_about_the_same_is_no_rewording() -> None:
    text = f"{REWORDED} " + " ".join(f"chapter{n} tells of harbour{n} and mountain{n}." for n in range(60))
    assert method(text, ITEM) is None
    assert method(text, ITEM, reworded=PARAMS.reworded.model_copy(update={"message": 0.0})) == "reworded"


def test_a_near_copy_is_one_by_its_n_grams() -> None:
    words = [f"word{n}" for n in range(30)]
    changed = [*words[:7], "x", *words[8:15], "y", *words[16:23], "z", *words[24:]]
    assert method(" ".join(changed), " ".join(words), reworded=PARAMS.reworded.model_copy(update={"words": 1.0})) is None
    near = PARAMS.near.model_copy(update={"threshold": 19 / 37})
    assert method(" ".join(changed), " ".join(words), near=near) == "near"


MEANT = "Where can I purchase a cheap ticket for the fast train to the big city"
PARAPHRASE = "Where can I, for an inexpensive train, to a large town, quick, buy ticket"


@pytest.fixture(scope="module")
def thesaurus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has one vector for words that mean the same."""
    return write(tmp_path_factory.mktemp("model"))


def test_what_means_an_item_is_found_with_embeddings_only(thesaurus: Path) -> None:
    meant = with_model(thesaurus).embedding
    assert method(PARAPHRASE, MEANT) is None
    assert method(PARAPHRASE, MEANT, embedding=meant) == "embedding"


@pytest.mark.parametrize("guard", [{"similarity": 0.999}, {"words": 0.9}, {"message": 0.9}])
def test_each_guard_of_the_embeddings_can_keep_a_find_out(thesaurus: Path, guard: dict[str, float]) -> None:
    assert method(PARAPHRASE, MEANT, embedding=with_model(thesaurus).embedding.model_copy(update=guard)) is None


def test_an_item_shorter_than_an_n_gram_must_be_there_whole() -> None:
    short = "What's the capital of Peru?"
    assert method(f"Tell me: what’s the CAPITAL of Peru?! {OTHER}", short) == "ngram"
    assert method(f"Tell me: what is the real capital of Peru? {OTHER}", short) is None
    assert method("What's the capital of Peru?", short, min_words=6) is None, "too short to be looked for"


def test_scripts_without_spaces_are_compared_by_character() -> None:
    item = "请为一家新开的咖啡馆写一段吸引年轻顾客的广告词"
    assert method(f"你好。{item}。谢谢", item) == "ngram"
    assert method("请问明天北京的天气怎么样需要带伞吗", item) is None


@settings(max_examples=40)
@given(TEXTS, TEXTS)
def test_n_gram_shares_are_those_counted_one_by_one(messages: list[str], sought: list[str]) -> None:
    result = Search(pa.array(sought, TEXT), PARAMS.model_copy(update={"ngram": PARAMS.ngram.model_copy(update={"words": 3})}))
    finds = result.find(pa.array(messages, TEXT)).to_pylist()
    there = {row["message"]: row["similarity"] for row in finds if row["method"] == "ngram"}
    for at, message in enumerate(messages):
        highest = max(_share(message.split(), item.split(), 3) for item in sought)
        assert there.get(at, 0.0) == pytest.approx(highest if highest >= PARAMS.ngram.share else 0.0, abs=1e-6)


def _share(message: list[str], item: list[str], size: int) -> float:
    if len(item) < PARAMS.min_words:
        return 0.0
    size = min(size, len(item))
    grams = [{tuple(words[at : at + size]) for at in range(len(words) - size + 1)} for words in (message, item)]
    return len(grams[0] & grams[1]) / len(grams[1])


@settings(max_examples=40)
@given(TEXTS, TEXTS)
def test_shares_of_weight_are_those_summed_one_by_one(messages: list[str], sought: list[str]) -> None:
    words = vocabulary(pa.array(sought, TEXT))
    theirs, ours = (known(pa.array(texts, TEXT), words) for texts in (sought, messages))
    weighing = weights(len(words), theirs, ours)
    of = dict(zip(words.to_pylist(), weighing.tolist(), strict=True))
    result = Search(pa.array(sought, TEXT), PARAMS).phrases.shared(ours)
    for pair, (item_share, own) in enumerate(zip(*(part.tolist() for part in shares(ours, theirs, result, weighing)), strict=True)):
        message, item = messages[result.message[pair]].split(), set(sought[result.item[pair]].split())
        both = sum(of[word] for word in set(message) & item)
        known_words, unknown = {word for word in message if word in of}, [word for word in message if word not in of]
        assert item_share == pytest.approx(both / sum(of[word] for word in item))
        assert own == pytest.approx(both / (sum(of[word] for word in known_words) + max(of.values()) * len(unknown)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's 1,000 km -- not 12,5!", ["its", "1000", "km", "not", "12", "5"]),
        ("ＡＢＣ　naïve\u200bté", ["abc", "naïveté"]),
        ("日本go", ["日", "本", "go"]),
        ("", []),
    ],
)
def test_words_leave_out_what_does_not_count(text: str, expected: list[str]) -> None:
    assert split_words(pa.array([text], TEXT))[0].to_pylist() == expected


def test_how_many_messages_are_compared_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    messages = pa.array([reword(kind, ITEM, n) if n % 3 else f"{OTHER} {n}" for n, kind in enumerate([*KINDS, *BEYOND] * 3)], TEXT)
    whole = Search(pa.array([ITEM, OTHER], TEXT), PARAMS).find(messages)
    monkeypatch.setattr(verbatim, "CHUNK", 5)
    assert Search(pa.array([ITEM, OTHER], TEXT), PARAMS).find(messages).equals(whole)
    assert len(whole) > 20


def test_neither_the_order_of_rows_nor_of_files_changes_a_find(tmp_path: Path) -> None:
    rows = [candidate(reword("changed_words", ITEM, n) + f" {n}") for n in range(20)] + [candidate(f"{OTHER} {n}") for n in range(20)]
    texts = [ITEM, reword("shortened", ITEM, 1), reword("reordered", ITEM, 2)]
    straight, result = tmp_path / "a", []
    for folder, order in ((straight, 1), (tmp_path / "b", -1)):
        folder.mkdir()
        for name, text in list(zip("xyz", texts, strict=True))[::order]:
            (folder / f"{name}.txt").write_text(text)
        random.Random(order).shuffle(rows)
        result.append(decontaminate.find_matches(frame(rows), read_items(folder), PARAMS))
    assert result[0].equals(result[1])
    assert len(result[0]) == 20


# What a benchmark is

SOLUTIONS = {"gsm8k": ["42"], "humaneval": ["pass"], "self_instruct": ["o"], "alpaca": ["o"], "referenced": ["r1", "r2"]}
RECORDS: dict[str, tuple[Any, list[tuple[str, str]]]] = {
    "mt_bench": ({"question_id": 81, "turns": ["first", "second"]}, [("81", "first"), ("81", "second")]),
    "arena_hard": ({"uid": "u1", "prompt": "text", "cluster": "c"}, [("u1", "text")]),
    "arena_hard_turns": ({"question_id": "q", "turns": [{"content": "text"}]}, [("q", "text")]),
    "gsm8k": ({"question": "text", "answer": "42"}, [("1", "text")]),
    "humaneval": ({"task_id": "HumanEval/0", "prompt": "def f():", "canonical_solution": "pass"}, [("HumanEval/0", "def f():")]),
    "self_instruct": ({"id": "s", "instruction": "do", "instances": [{"input": "this", "output": "o"}]}, [("s", "do\nthis")]),
    "alpaca": ({"instruction": "do", "input": "", "output": "o"}, [("1", "do")]),
    "messages": ({"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]}, [("1", "u")]),
    "referenced": ({"question_id": 1, "turns": ["t1", "t2"], "reference": ["r1", "r2"]}, [("1", "t1"), ("1", "t2")]),
    "plain": ("text", [("1", "text")]),
}


@pytest.mark.parametrize(
    ("name", "ending"),
    [(name, ending) for name in RECORDS for ending in (".jsonl", ".json", ".jsonl.gz", ".parquet") if name != "plain" or ending == ".json"],
)
def test_records_of_known_benchmarks_are_read(name: str, ending: str, tmp_path: Path) -> None:
    record, expected = RECORDS[name]
    path = tmp_path / f"bench{ending}"
    if ending == ".parquet":
        pq.write_table(pa.Table.from_pylist([record]), path)
    else:
        data = json.dumps([record] if ending == ".json" else record).encode()
        path.write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    result = read_items(tmp_path).to_pylist()
    assert [(row["item"], row["text"]) for row in result if row["part"] == PROMPT] == sorted(expected)
    assert [row["text"] for row in result if row["part"] == SOLUTION] == SOLUTIONS.get(name, [])


def test_names_come_from_paths_and_lines(tmp_path: Path) -> None:
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k" / "test.jsonl").write_text('{"question": "a"}\n\n{"question": "b"}\n')
    (tmp_path / "own.v2.txt").write_text("\ufefffirst\u2028same line\n\nthird")
    (tmp_path / "wrapped.json").write_text('{"version": 1, "data": [{"question": "w"}]}')
    with zipfile.ZipFile(tmp_path / "packed.json.zip", "w") as archive:
        archive.writestr("inner.json", '[{"prompt": "z", "id": 7}]')
    (tmp_path / "README.md").write_text("What lies here.")
    result = {(row["benchmark"], row["item"]): row["text"] for row in read_items(tmp_path).to_pylist()}
    assert result == {
        ("gsm8k/test", "1"): "a",
        ("gsm8k/test", "2"): "b",
        ("own.v2", "1"): "first\u2028same line",
        ("own.v2", "3"): "third",
        ("packed", "7"): "z",
        ("wrapped", "1"): "w",
    }


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("a.jsonl", b'{"question": "x"}\n{"answer": "x", "id": 1}', "no text of an item in record 2, which has the keys answer, id"),
        ("a.jsonl", b'{"question": "x"}\n{"question": ', "record 2: "),
        ("a.json", b"[1]", "no text of an item in record 1, which has the type int"),
        ("a.json", b"", "nothing but blanks"),
        ("a.txt", b" \n", "no record"),
        ("a.txt", b"\xff\xfe", "a broken file (UnicodeDecodeError)"),
        ("a.jsonl.gz", b"\x1f\x8bnot gzip", "gzip data that ends or breaks early"),
        ("a.parquet", b"PAR1", "a broken file (ArrowInvalid)"),
    ],
)
def test_a_benchmark_that_cannot_be_read_stops_the_stage(name: str, data: bytes, found: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError) as error:
        read_items(tmp_path)
    assert found in error.value.found
    assert name in error.value.where


def test_files_of_other_names_are_reported(tmp_path: Path) -> None:
    for name in ("LICENSE", "a.csv", "README", "b.txt"):
        (tmp_path / name).write_text("text")
    with pytest.warns(UserWarning, match=r"^ignored files \(not benchmarks by their names\): LICENSE, a.csv$"):
        assert read_items(tmp_path)["benchmark"].to_pylist() == ["b"]


@pytest.mark.parametrize("model", ["/no/such/folder", "models/none/there"])
def test_a_model_that_is_not_there_is_a_mistake_of_the_parameters(model: str) -> None:
    with pytest.raises(UserError, match=r"decontaminate.embedding.model: .*found no such folder"):
        Search(pa.array([ITEM], TEXT), with_model(model))


# The stage as a whole


def project(root: Path, rows: list[dict[str, Any]]) -> Path:
    make_project(root)
    table = pa.Table.from_pylist(rows, schema=Candidates.schema())
    engine.write_sorted(table, Candidates.KEY, root / pipeline.stage("decontaminate", ROOT).input("candidates"), 10)
    return root


def test_an_empty_folder_is_reported_in_one_line_and_a_benchmark_changes_the_result(tmp_path: Path) -> None:
    root = project(tmp_path, [candidate(ITEM), candidate(OTHER)])
    stage = pipeline.stage("decontaminate", ROOT)
    output, benchmarks = root / stage.output, root / stage.input("benchmarks")
    done = run_stage(root, "decontaminate")
    assert done.stderr.splitlines() == [f"decontaminate: warning: nothing is checked: no benchmark in {stage.input('benchmarks')}"]
    assert done.stdout.splitlines() == ["decontaminate: candidates: 2 in = 2 kept + 0 dropped"]
    assert digests(output) == digests(root / "data" / "06_split"), "nothing changes"
    (benchmarks / "mine.txt").write_text(ITEM)
    done = run_stage(root, "decontaminate")
    assert (done.stderr, done.stdout) == ("", "decontaminate: candidates: 2 in = 1 kept + 1 dropped (benchmark 1)\n")
    assert json.loads((output / "benchmarks.json").read_text()) == {"mine": {"items": 1, "prompts": {"train": 1}}}
    (gone,) = pq.read_table(output / "dropped" / "candidates").to_pylist()
    assert (gone["benchmark"], gone["item"], gone["method"]) == ("mine", "1", "ngram")


# Real benchmarks among real prompts


@pytest.fixture(scope="module")
def real(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    return benchmark_items(shared_data, tmp_path_factory.mktemp("benchmarks") / "links")


@pytest.mark.parametrize("embeddings", [False, True], ids=["words", "embeddings"])
def test_planted_items_are_found_among_real_prompts_which_are_not(real: pa.Table, shared_data: Path, embeddings: bool) -> None:
    search = Search(real["text"].combine_chunks(), with_model(shared_data / MODEL) if embeddings else PARAMS)
    prompts, planted = real_prompts(shared_data), cast("list[str]", real["text"].to_pylist())[::6]
    kinds = {"verbatim": planted} | {kind: [reword(kind, text, at) for at, text in enumerate(planted)] for kind in [*KINDS, *BEYOND]}
    finds = search.find(pa.array(prompts + [text for texts in kinds.values() for text in texts], TEXT))["message"].to_numpy()
    sizes = [len(prompts), *(len(texts) for texts in kinds.values())]
    ends = [sum(sizes[: at + 1]) for at in range(len(sizes))]
    hits = [int(((finds >= end - size) & (finds < end)).sum()) for end, size in zip(ends, sizes, strict=True)]
    recall = dict(zip(kinds, (hit / size for hit, size in zip(hits[1:], sizes[1:], strict=True)), strict=True))
    assert hits[0] / len(prompts) <= 0.001
    assert recall["verbatim"] >= 0.99
    assert {kind: share for kind, share in recall.items() if kind in KINDS and share < 0.95} == {}
    assert recall["mostly_changed"] >= (0.75 if embeddings else 0.6)


def test_a_set_made_from_a_benchmark_is_found_out(real: pa.Table, shared_data: Path) -> None:
    prompts = same_as_self_instruct(shared_data)
    finds = Search(real["text"].combine_chunks(), PARAMS).find(pa.array(prompts, TEXT))
    result = Counter(real["benchmark"].take(finds["item"]).to_pylist())
    assert result["self_instruct"] >= 0.99 * len(prompts) > 100
