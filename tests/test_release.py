"""Stage release: what the gate lets through, and that others can read what it writes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tasks.common.redaction import redact
from tasks.core import engine, ids, manifest, params, pipeline, shell, table_io, visible
from tasks.core.errors import UserError
from tasks.core.ledger import ids_of, reconcile
from tasks.core.tables import TABLES, Agreement, Annotators, Candidates, Files, Pairs, Prompts, Selection, Table, Unpaired, Votes
from tasks.release import column_docs, dataset_card, gate_columns, redaction_notice, summary
from tasks.release import files as layout
from tasks.release import stage as release
from tasks.release.summary import Options, Sources
from tests.builders import hostile

ROOT = Path(__file__).parent.parent
STAGE_PARAMS = params.load(ROOT / "params.yaml", "release", release.Params)
REDACTED: dict[str, Any] = {"kinds": ["email", "key"], "names": None}
PROVENANCE = {"params": {"release": "0"}, "redacted": REDACTED, "versions": {"daft": "0"}}
LEDGERS = {"ingest": {"turns": {"in": 0, "made": 9, "kept": 8, "dropped": 1, "reasons": {"repeated": 1}}}}
CERTIFICATE = {
    "shared": {"prompts": 0, "first_user_turns": 0},
    "boilerplate": {"answers": {"shared": 3, "rule": "answers more than 20 prompts"}},
    "highest_similarity": {"similarity": 0.41, "held_out": {"id": "e1"}, "train": {"id": "e2"}},
    "search": {"recall_at": {"0.30": 0.9976}, "compared": 1234},
    "characters": {"held_out_at_least_threshold": 7, "threshold": 0.8, "same": 0},
    "moved": {"checked": 4321, "moved": 0},
    "not_seen": ["the same question in other words"],
}
SPLITS = ("train", "validation", "test")
Rows = list[dict[str, Any]]


def message(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]


def pair(number: int, split: str, **more: object) -> dict[str, Any]:
    row = {
        "pair_id": ids.stable_id("pair", str(number)), "prompt_id": f"p{number}", "prompt": message("user", f"Question {number}? <b>&"),
        "chosen": message("assistant", f"Good answer {number}."), "rejected": message("assistant", f"Bad {number}."), "recipe": "choice",
        "margin": 1.0, "confidence": 0.75, "evidence": 1, "language": "en", "topic": "billing", "source": "jsonl",
        "cluster_id": f"p{number}", "split": split, "weight": 1.0, "conversations": [f"jsonl:{number}"], "origins": [f"f:{number}:-1"],
    }  # fmt: skip
    return {**row, **more}


def made_tables(pairs: Rows | None = None, unpaired: Rows | None = None, prompts: Rows | None = None) -> dict[str, pa.Table]:
    made = [pair(number, SPLITS[number % 3]) for number in range(12)] if pairs is None else pairs
    shared = ("prompt_id", "prompt", "language", "topic", "source", "split", "origins")
    if unpaired is None:
        unpaired = [
            {
                **{key: row[key] for key in shared},
                "example_id": f"e{row['pair_id']}",
                "completion": row["chosen"],
                "label": True,
                "evidence": 1,
                "weight": 1.0,
            }
            for row in made
        ]
    prompts = [{key: row[key] for key in shared} for row in made] if prompts is None else prompts
    rows = {"pairs": (Pairs, made), "unpaired": (Unpaired, unpaired), "prompts": (Prompts, prompts)}
    return {name: engine.sort(pa.Table.from_pylist(entries, schema=table.schema()), table.KEY) for name, (table, entries) in rows.items()}


def raw_files() -> pa.Table:
    rows = [{"file": "f", "name": "chats.jsonl", "bytes": 10, "format": "jsonl", "records": 12, "quarantined": 0}]
    return pa.Table.from_pylist(rows, schema=Files.schema())


def rendered(tables: dict[str, pa.Table], about: dict[str, pa.Table] | None = None) -> dict[str, bytes]:
    accounts = [reconcile("release", name, rows, ids_of(name, rows)) for name, rows in tables.items()]
    ledgers = {**LEDGERS, "release": {account.table: account.entry() for account in accounts}}
    sources = Sources(tables, about or {}, raw_files(), ledgers, CERTIFICATE)
    asked = Options(examples=STAGE_PARAMS.examples, bias=STAGE_PARAMS.bias, methods=STAGE_PARAMS.methods, probe=STAGE_PARAMS.probe)
    return release.render(sources, summary.summarize(sources, asked), STAGE_PARAMS, PROVENANCE)


def write(files: dict[str, bytes], folder: Path) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(rendered(made_tables()), tmp_path_factory.mktemp("release"))


def test_no_id_of_a_conversation_stands_in_a_release_and_equal_ids_have_equal_digests() -> None:
    names = ("jsonl:conv-jane-doe-1988", "jsonl:conv-bob", "jsonl:conv-jane-doe-1988")
    rows = [pair(number, "train", conversations=[names[number % 3], names[1]]) for number in range(12)]
    files = rendered(made_tables(rows))
    told = [
        data + json.dumps(pq.read_table(pa.BufferReader(data)).to_pylist()).encode() if data[:4] == b"PAR1" else data
        for data in files.values()
    ]
    assert not any(b"conv-" in data for data in told)
    lists = cast("list[list[str]]", pq.read_table(pa.BufferReader(files["preference/train-00000.parquet"]))["conversations"].to_pylist())
    assert [len(set(listed)) for listed in sorted(lists)] == [1] * 4 + [2] * 8
    assert len({name for listed in lists for name in listed}) == 2


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, str], Any]:
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    import datasets

    datasets.disable_progress_bars()
    return lambda folder, config: datasets.load_dataset(str(folder), config, cache_dir=str(tmp_path / "cache"))


def test_card_and_report_say_first_what_redaction_left(made: Path) -> None:
    notice = redaction_notice.notice(REDACTED)
    assert notice.startswith("Not redacted: names of people, places, postal addresses, birthdays, passwords,")
    assert notice.endswith("Placeholders stand for keys and e-mail addresses.")
    card_text, page = ((made / name).read_text(encoding="utf-8") for name in ("README.md", "report.html"))
    assert notice in card_text[: card_text.index("| config |")]
    assert notice in page[: page.index("<h2>")]


@pytest.mark.parametrize(
    ("kinds", "model", "stays", "gone"),
    [
        (
            list(redaction_notice.KINDS),
            "",
            "names of people, places, postal addresses, birthdays and anything",
            "stand for keys, passwords",
        ),
        (["url"], "m", "names of people, places and addresses that its model missed, birthdays, keys", "found them and links."),
        ([], "", "birthdays, keys", "Nothing was replaced"),
    ],
)
def test_what_redaction_left_follows_the_parameters(kinds: list[str], model: str, stays: str, gone: str) -> None:
    about = redaction_notice.manifest_entry({"redact": kinds, "names": {"model": model, "digest": "d", "probability": 0.1}})
    assert stays in redaction_notice.notice(about)
    assert gone in redaction_notice.notice(about)


def test_every_kind_that_can_be_redacted_has_words() -> None:
    assert set(redaction_notice.KINDS) == set(redact.KINDS)


# The gate: one row of pairs changed, and the rule that must break.
BAD_PAIRS: dict[str, dict[str, Any]] = {
    "unknown_split": {"split": "dev"},
    "no_prompt": {"prompt": []},
    "prompt_end": {"prompt": message("assistant", "Hello")},
    "prompt_in_two_splits": {"prompt": message("user", "QUESTION  1? <b>&")},
    "no_answer": {"chosen": message("assistant", " \n")},
    "not_an_answer": {"rejected": message("user", "Bad 0.")},
    "equal_sides": {"rejected": message("assistant", "Good answer 0. \n")},
    "margin": {"margin": 0.0},
    "confidence": {"confidence": 0.5},
    "weight": {"weight": 0.0},
    "copied_key": {"pair_id": ids.stable_id("pair", "1")},
}


def broken(tables: dict[str, pa.Table], settings: release.Params = STAGE_PARAMS) -> set[str]:
    return {outcome.rule for outcome in release.check_gate(tables, settings).broken}


def test_gate_lets_a_good_release_through() -> None:
    assert broken(made_tables()) == set()


@pytest.mark.parametrize("rule", BAD_PAIRS)
def test_gate_stops_a_bad_pair(rule: str) -> None:
    rows = [pair(number, SPLITS[number % 3]) for number in range(12)]
    rows[0] |= BAD_PAIRS[rule]
    assert rule in broken({**made_tables(), "pairs": made_tables(rows)["pairs"]})


def test_gate_stops_reversed_and_repeated_pairs_but_not_repeats_that_name_their_parent() -> None:
    rows = [pair(number, SPLITS[number % 3]) for number in range(6)]
    again = {**rows[0], "pair_id": "again"}
    back = {**rows[0], "pair_id": "back", "chosen": rows[0]["rejected"], "rejected": rows[0]["chosen"]}
    parent = {**again, "augmented_from": "p0", "augmenter": "repeat"}
    flags = {
        name: gate_columns.flatten(made_tables([*rows, row]))["pairs"]
        for name, row in (("again", again), ("back", back), ("parent", parent))
    }  # fmt: skip
    assert flags["again"]["not_repeated"].to_pylist().count(False) == 1
    assert flags["back"]["not_reversed"].to_pylist().count(False) == 2
    assert flags["parent"]["not_repeated"].to_pylist().count(False) == 0


def test_gate_stops_changed_rows_outside_train_empty_splits_and_too_few_rows() -> None:
    rows = [pair(0, "train"), pair(1, "validation", augmented_from="p9", augmenter="swap")]
    result = broken(made_tables(rows), STAGE_PARAMS.model_copy(update={"min_pairs": 5, "required_from": 1}))
    assert {"changed_outside_train", "empty_split", "too_few"} <= result


def test_a_prompt_of_one_table_may_not_lie_in_another_split_of_another_table() -> None:
    tables = made_tables()
    moved = made_tables([pair(0, "test")])["prompts"]
    assert "prompt_in_two_splits" in broken({**tables, "prompts": moved})


# The files.


CALLS = '[{"function": {"arguments": {"city": "Bergen"}, "name": "rain"}, "id": "c1", "type": "function"}]'
CALLING = [
    {"role": "user", "content": "Will it rain?"},
    {"role": "assistant", "content": "", "tool_calls": CALLS},
    {"role": "tool", "content": "12 mm"},
]


@pytest.mark.parametrize("calls", [False, True])
def test_datasets_loads_all_configs_with_the_columns_the_card_says(calls: bool, tmp_path: Path, load: Callable[[Path, str], Any]) -> None:
    rows = [pair(number, SPLITS[number % 3]) for number in range(12)]
    rows[0] |= {"prompt": CALLING} if calls else {}
    made = write(rendered(made_tables(rows)), tmp_path / "release")
    head = yaml.safe_load((made / "README.md").read_text().split("---")[1])
    for info in head["dataset_info"]:
        result = load(made, info["config_name"])
        assert set(result["train"][0]["prompt"][0]) == {"role", "content", *["tool_calls"] * calls}
        assert {split: len(result[split]) for split in result} == {split["name"]: split["num_examples"] for split in info["splits"]}
        assert list(result["train"].features) == [feature["name"] for feature in info["features"]]
        assert result["train"].features._to_yaml_list() == info["features"]


def test_trl_takes_every_config_as_conversational(made: Path, load: Callable[[Path, str], Any]) -> None:
    from trl.data_utils import is_conversational, maybe_extract_prompt, maybe_unpair_preference_dataset

    for name, config in layout.CONFIGS.items():
        row = load(made, name)["train"][0]
        assert is_conversational({column: row[column] for column in config.shape if column != "label"})
    pairs = load(made, "preference")["train"]
    assert maybe_extract_prompt(pairs[0]) == pairs[0]
    assert len(maybe_unpair_preference_dataset(pairs)) == 2 * len(pairs)


@pytest.mark.parametrize("empty", ["preference", "unpaired", "prompts"])
def test_a_table_without_rows_is_no_config_and_the_others_load(empty: str, tmp_path: Path, load: Callable[[Path, str], Any]) -> None:
    tables = made_tables()
    table = layout.CONFIGS[empty].table
    folder = write(rendered({**tables, table: tables[table].slice(0, 0)}), tmp_path / "release")
    for name in layout.CONFIGS:
        if name == empty:
            with pytest.raises(ValueError, match="BuilderConfig"):
                load(folder, name)
        else:
            assert set(load(folder, name)) == set(SPLITS)


def test_a_split_without_rows_has_a_file_and_the_others_load(tmp_path: Path, load: Callable[[Path, str], Any]) -> None:
    folder = write(rendered(made_tables([pair(number, "train") for number in range(4)])), tmp_path / "release")
    assert set(load(folder, "preference")) == {"train"}
    assert pq.read_table(folder / "preference/test-00000.parquet").num_rows == 0


def test_preference_has_no_column_that_a_trainer_takes_for_something_else(made: Path) -> None:
    columns = set(pq.read_schema(made / "preference/train-00000.parquet").names)
    misread = {"messages", "prompt_ids", "chosen_ids", "rejected_ids", "label", "completion", "text", "tools", "images", "split"}
    assert not columns & (misread | {"ref_chosen_logps", "ref_rejected_logps"})


def test_the_same_rows_in_another_order_give_the_same_bytes() -> None:
    rows = [pair(number, SPLITS[number % 3]) for number in range(12)]
    assert rendered(made_tables(rows)) == rendered(made_tables(rows[::-1]))


def test_manifest_lists_every_file_and_verify_finds_any_change(made: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(made, tmp_path / "release")
    manifest.verify(folder)
    document = manifest.load(folder)
    assert document["raw"][0]["name"] == "chats.jsonl"
    assert document["files"]["preference/train-00000.parquet"]["rows"] == 4
    (folder / "metrics.json").write_text("{}")
    with pytest.raises(UserError, match=r"metrics\.json: found sha256"):
        manifest.verify(folder)
    (folder / "metrics.json").unlink()
    with pytest.raises(UserError, match=r"metrics\.json: found no such file"):
        manifest.verify(folder)
    shutil.copy(made / "metrics.json", folder)
    (folder / "extra.txt").write_text("x")
    with pytest.raises(UserError, match=r"extra\.txt: found a file that is not in the manifest"):
        manifest.verify(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"files": {"a": {}}}'])
def test_a_file_that_is_no_manifest_is_reported(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected the manifest of a release"):
        manifest.verify(tmp_path)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match="expected the manifest of a release"):
        manifest.verify(tmp_path)


def test_metrics_are_flat_numbers(made: Path) -> None:
    result = json.loads((made / "metrics.json").read_text())
    assert all(isinstance(value, int | float) for value in result.values())
    assert (result["pairs_train"], result["unpaired"], result["kept_share_ingest"]) == (4, 12, round(8 / 9, 4))


class Links(HTMLParser):
    """Collects what a page would fetch, and which tags it opens."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data", "srcset")]


def about() -> dict[str, pa.Table]:
    """What is told of the people behind the release, one row or two of each."""
    chats = {"users": 5, "judged_users": 2, "answers": 90, "judged": 9, "acts": 10, "ups": 7, "downs": 3, "signals": 0}
    rows: dict[type[Table], Rows] = {
        Selection: [
            {"dimension": dimension, "value": value, **chats} for dimension, value in (("all", ""), ("model", "<m1>"), ("model", "m2"))
        ],
        Agreement: [
            {"kind": "choice", "annotator_kind": "person", "votes": 40, "items": 20, "shared_items": 9, "alpha": 0.41, "spammers": 1}
        ],
        Annotators: [
            {"annotator": name, "annotator_kind": "person", "kind": "choice", "votes": 20, "reliability": sure, "spammer": False}
            for name, sure in (("a", 0.7), ("b", 0.8), ("c", 0.9))
        ],
        Votes: [
            {"feedback_id": f"{n}", "prompt_id": f"p{n}", "kind": "choice", "value": 1.0, "better": "a", "worse": "b", "shown_first": "a"}
            for n in range(99)
        ],
    }
    return {table.__name__.lower(): pa.Table.from_pylist(made, schema=table.schema()) for table, made in rows.items()}


def test_report_card_and_files_tell_of_bias_people_and_training() -> None:
    rows = [
        pair(n, SPLITS[n % 3], chosen_model="m1", rejected_model="m2", chosen=message("assistant", "**Long** answer." * 9))
        for n in range(60)
    ]
    files = rendered(made_tables(rows), about())
    page = files["report.html"].decode()
    for words in (
        "outside the band",
        "shown first",
        "0.41",
        "&lt;m1&gt;",
        "similarity 0.41",
        "99.76 % of",
        "7 held-out prompts share at least 80% of their character n-grams with a training prompt",
        "4,321 prompts were compared with their split in earlier releases: 0 moved",
        "the same question in other words",
        "more than 20 prompts",
        "Models by preference",
        "Not enough for any",
    ):
        assert words in page
    assert "Significantly outside 45 to 55 %: length, bold." in files["README.md"].decode()
    bias = json.loads(files["bias.json"])
    assert (bias["features"]["length"]["share"], bias["features"]["length"]["marked"]) == (1.0, True)
    assert (bias["position"]["share"], bias["position"]["marked"]) == (1.0, True)
    assert json.loads(files["methods.json"])["methods"]["dpo"] == {
        "title": "DPO", "enough": False, "needs": [{"what": "pairs", "has": 20, "needs": STAGE_PARAMS.methods.dpo_pairs}],
    }  # fmt: skip
    assert {"longer_chosen": 1.0, "shown_first_won": 1.0, "length_alone": 1.0}.items() <= json.loads(files["metrics.json"]).items()


def test_the_card_says_what_every_column_means(made: Path) -> None:
    card_text = (made / "README.md").read_text()
    for name, config in layout.CONFIGS.items():
        columns = [column for column in TABLES[config.table].names() if column != "split"]
        assert set(columns) == set(column_docs.COLUMNS[name])
        assert all(f"| `{column}` | {column_docs.COLUMNS[name][column]} |" in card_text for column in columns)


def test_report_is_one_file_that_fetches_nothing_and_escapes_what_people_wrote(made: Path) -> None:
    page = (made / "report.html").read_text()
    links = Links()
    links.feed(page)
    assert links.fetched == []
    assert not re.search(r"url\(|@import", page)
    assert not {"script", "link", "img", "iframe", "b>"} & set(links.tags)
    assert "Question 0? &lt;b&gt;&amp;" in page
    assert "repeated 1" in page


def test_another_check_of_the_release_passes(made: Path, shared_data: Path, tmp_path: Path) -> None:
    check = shared_data.parent / "checks" / "verify_release.py"
    if not check.is_file():
        pytest.skip(f"needs {check}")
    done = subprocess.run(
        [sys.executable, str(check), str(made)], capture_output=True, text=True, env={"HF_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    )
    assert done.returncode == 0, done.stdout + done.stderr


@given(st.lists(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(max_size=6)), max_size=3), max_size=5))
def test_words_and_ends_follow_the_messages(lists: list[list[tuple[str, str]]]) -> None:
    column = pa.chunked_array(
        [pa.array([[{"role": r, "content": c} for r, c in one] for one in lists], Pairs.schema().field("prompt").type)]
    )
    assert gate_columns.ends(column, "last").to_pylist() == [one[-1][0] if one else "" for one in lists]
    assert gate_columns.ends(column, "first").to_pylist() == [one[0][0] if one else "" for one in lists]
    words = cast("list[str]", gate_columns.words(column).to_pylist())
    assert [text.count(":") for text in words] == [sum(1 + c.count(":") for _, c in one) for one in lists]


def card_page(card: str) -> str:
    """The body of a card as the Hub shows it: Markdown in which HTML counts."""
    markdown = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return str(markdown.render(card.split("---\n", 2)[2]))


def pages(names: Sequence[str]) -> tuple[dict[str, Any], Links, Links]:
    """Head and body of the card, and the report, of a release with a pair of each topic and source."""
    files = rendered(made_tables([pair(number, SPLITS[number % 3], topic=name, source=name) for number, name in enumerate(names)]))
    card, report, text = Links(), Links(), files["README.md"].decode()
    card.feed(card_page(text))
    report.feed(files["report.html"].decode())
    return yaml.safe_load(text.split("---\n", 2)[1]), card, report


def test_card_and_report_show_what_logs_call_things_and_do_nothing_else() -> None:
    head, card, report = pages(hostile.PAYLOADS)
    plain_head, plain_card, plain_report = pages([f"billing {number}" for number in range(len(hostile.PAYLOADS))])
    sizes = ("configs", "dataset_info")  # files of other bytes
    assert {key: head[key] for key in head if key not in sizes} == {key: plain_head[key] for key in head if key not in sizes}
    assert head["configs"] == plain_head["configs"]
    assert Counter(card.tags) == Counter(plain_card.tags)
    assert set(report.tags) == set(plain_report.tags)
    assert (card.fetched, report.fetched) == (plain_card.fetched, plain_report.fetched)
    told = " ".join(card.text.split())
    assert [words for words in hostile.PAYLOADS if " ".join(visible.lines(words).split()) not in told] == []
    assert sum(words in report.text for words in hostile.PAYLOADS) >= 10


def test_a_bare_address_in_a_card_is_no_link_for_github() -> None:
    files = rendered(made_tables([pair(0, "train", topic="http://evil.example"), pair(1, "train", topic="www.evil.example")]))
    assert not re.search(r"https?://evil|www\.evil", files["README.md"].decode())


def test_features_of_the_card_agree_with_datasets() -> None:
    import datasets

    for table in (Pairs, Unpaired, Prompts):
        schema = layout.portable(table.schema().empty_table()).schema
        assert dataset_card.features(schema) == datasets.Features.from_arrow_schema(schema)._to_yaml_list()


# The stage as a whole, in a project of its own.

JUDGED_THEN_WARNED = """
import warnings
import pyarrow as pa
from expectations.gate import Gate
from expectations.rules import Suite, unique
from tasks.core import shell

def work():
    Gate("stage").check(Suite("t", {}, {"copied_key": unique("id")}), pa.table({"id": ["a"]}))
    warnings.warn("said after the gate")

shell.capture_warnings("stage", work)
"""


def test_what_is_said_after_the_gate_is_shown() -> None:
    done = subprocess.run([sys.executable, "-c", JUDGED_THEN_WARNED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "stage: warning: said after the gate" in done.stderr


def test_broken_gate_names_a_page_and_leaves_the_last_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(engine, "start", lambda: None)  # Daft lets a process choose its runner once
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    stage = pipeline.stage("release")
    tables = {**made_tables(), "files": raw_files()}
    sources = [{name: row.get(name) for name in Candidates.names()} for row in tables["pairs"].to_pylist()]
    tables["candidates"] = pa.Table.from_pylist(
        [row | {"votes": [], "users": [], "evidence": "choice"} for row in sources], schema=Candidates.schema()
    )
    for path in stage.data:
        if path.name in tables:
            engine.write_sorted(tables[path.name], TABLES[path.name].KEY, path, 100)
        elif path.name in TABLES:
            engine.write_sorted(TABLES[path.name].schema().empty_table(), TABLES[path.name].KEY, path, 100)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(LEDGERS["ingest"]))
    assert shell.main("tasks", ["release"], table_io.run) == 0
    before = (stage.output / "manifest.json").read_bytes()
    manifest.verify(stage.output)
    shutil.rmtree(stage.input("pairs"))
    engine.write_sorted(made_tables([pair(0, "train", margin=-1.0)])["pairs"], Pairs.KEY, stage.input("pairs"), 100)
    capsys.readouterr()
    assert shell.main("tasks", ["release"], table_io.run) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("error: release: pairs: rule margin: found 1 of 1 rows (100 %) breaking it")
    assert "\n" not in line
    page = re.search(r"see (\S+\.html)", line)
    assert page
    assert Path(page[1]).is_file()
    assert (stage.output / "manifest.json").read_bytes() == before
