"""The readers: each knows its own records only, reads them exactly, and gives a reason for what it cannot read."""

from __future__ import annotations

import copy
import html
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.common.raw_files.files import Unreadable
from tasks.common.vocabulary import kinds
from tasks.ingest.formats import FORMATS, feedback_lines, recognise
from tasks.ingest.formats.message_trees import BEYOND, depths
from tasks.ingest.formats.parsed import Message, moment
from tests.builders.format_examples import example, read_all

TURN = ("conversation_id", "turn_id", "parent_id", "role", "content", "model", "status")
ACT = ("conversation_id", "kind", "turn_id", "value", "better", "worse", "text", "label", "scale_min", "scale_max", "shown_first")


@pytest.mark.parametrize("name", FORMATS)
def test_a_record_is_recognised_by_its_own_format_only(name: str) -> None:
    for record in example(name)["records"]:
        assert [other for other, known in FORMATS.items() if known.recognise(record)] == [name]
        assert recognise(record) == name


@pytest.mark.parametrize("name", FORMATS)
def test_the_example_reads_as_written_beside_it(name: str) -> None:
    expected = example(name)
    turns, votes, _ = read_all(name, *expected["records"])
    assert sorted(([row[key] for key in TURN] for row in turns), key=str) == expected["turns"]
    assert sorted(([row[key] for key in ACT] for row in votes), key=str) == expected["feedback"]
    assert all(row["parent_id"] is None or row["position"] > 0 for row in turns)


def paths(value: object, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above] + [path for key, item in inner for path in paths(item, (*above, key))]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damage_to_a_record_makes_a_reader_crash(name: str, data: st.DataObject) -> None:
    record = copy.deepcopy(data.draw(st.sampled_from(example(name)["records"])))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(paths(record)[1:]))
        at = record
        for key in path[:-1]:
            at = at[key]
        if data.draw(st.booleans()) and isinstance(at, dict):
            del at[path[-1]]
        else:
            at[path[-1]] = data.draw(JUNK)
        if len(paths(record)) < 2:
            break
    known = recognise(record)
    if known is None:
        return
    try:
        turns, votes, _ = read_all(known, record)
    except Unreadable:
        return
    assert all(isinstance(row["content"], str) and row["turn_id"] for row in turns)
    assert all(row["kind"] and len(row["feedback_id"]) == 16 for row in votes)


def two(chosen: str, rejected: str) -> dict[str, str]:
    return {"chosen": "\n\nHuman: Hi\n\nAssistant:" + chosen, "rejected": "\n\nHuman: Hi\n\nAssistant:" + rejected}


LINES = [{"role": "user", "content": "Hi"}]
UNREADABLE = [
    ("hh", two(" same", " same "), "identical_pair"),
    ("hh", two(" yes", ""), "empty_answer"),
    ("hh", two(" a\n\nHuman: b\n\nAssistant: c", " A\n\nHuman: b\n\nAssistant: d"), "prompts_differ"),
    ("hh", two(" a\n\nHuman: b", " a\n\nHuman: c"), "no_answer"),
    ("jsonl", {"id": "c", "messages": []}, "no_messages"),
    ("jsonl", {"id": None, "messages": LINES}, "no_id"),
    ("jsonl", {"id": "c", "messages": [{"role": "narrator", "content": ""}]}, "unknown_role"),
    ("jsonl", {"id": "c", "messages": [{"role": "user"}]}, "no_content"),
    ("jsonl", {"id": "c", "messages": [{"role": "user", "content": 7}]}, "bad_content"),
    ("jsonl", {"id": "c", "messages": [{"id": "a", **LINES[0]}, {"id": "a", **LINES[0]}]}, "duplicate_id"),
    ("jsonl", {"id": "c", "messages": [{"id": "a", "parent_id": "b", **LINES[0]}, {"id": "b", "parent_id": "a", **LINES[0]}]}, "cycle"),
    ("jsonl", {"conversation_id": "c", "kind": "applause", "message_index": 1}, "unknown_kind"),
    ("jsonl", {"conversation_id": "c", "kind": "copy", "message_index": 1, "annotator_kind": "cat"}, "unknown_annotator"),
    ("openwebui", {"id": "c", "user_id": "shared-1", "chat": {"history": {}}}, "shared_copy"),
    ("openwebui", {"id": "c", "meta": {"internal": True}, "chat": {"history": {}}}, "internal_chat"),
    ("openwebui", {"id": "c", "chat": "{"}, "not_json"),
    ("openwebui", {"type": "rating", "data": {"rating": 1}, "meta": {"chat_id": "c"}}, "no_target"),
    ("arena", {"tstamp": 1, "type": "share", "states": []}, "not_a_vote"),
    ("arena", {"tstamp": 1, "type": "leftvote", "states": []}, "no_states"),
    ("oasst", {"message_tree_id": "t", "prompt": {"message_id": "t", "role": "prompter", "review_result": False}}, "failed_review"),
    ("sharegpt", {"conversations": [{"from": "human", "value": "x"}, 3]}, "no_messages"),
    ("openai", {"messages": [3]}, "bad_message"),
    ("chatgpt", {"title": "x", "create_time": 1, "current_node": "n", "mapping": None}, "no_messages"),
    ("chatgpt", {"conversation_id": None, "message_id": "m", "rating": "thumbsUp"}, "no_id"),
    ("librechat", {"conversationId": "c", "messages": []}, "no_messages"),
    ("claude", {"uuid": "c", "chat_messages": []}, "no_messages"),
    ("claude", {"uuid": None, "chat_messages": [{"sender": "human"}]}, "no_id"),
    ("claude", {"uuid": "c", "chat_messages": [{"sender": "human", "text": "Hi"}]}, "bad_message"),
    ("openai", {"messages": LINES, "chosen": 3, "rejected": "x"}, "bad_message"),
    ("openai", {"messages": LINES, "chosen": [], "rejected": "x"}, "empty_answer"),
]


@pytest.mark.parametrize(("name", "record", "reason"), UNREADABLE)
def test_what_cannot_be_read_says_why(name: str, record: dict[str, Any], reason: str) -> None:
    assert recognise(record) == name
    with pytest.raises(Unreadable) as error:
        read_all(name, record)
    assert error.value.fault.reason == reason


WORDS = ["Poor", "Not Good", "Good"]
SAID: list[tuple[dict[str, Any], tuple[Any, ...]]] = [  # what a line of feedback says: value, scale and label
    ({"kind": "thumb", "value": 1}, (1.0, -1.0, 1.0, None)),
    ({"kind": "thumbs", "value": "Thumbs_Down"}, (-1.0, -1.0, 1.0, "Thumbs_Down")),
    ({"kind": "thumb", "value": False}, (-1.0, -1.0, 1.0, "false")),
    ({"kind": "thumb", "value": 0, "scale": [0, 1]}, (0.0, 0.0, 1.0, None)),
    ({"kind": "thumb", "value": 0}, (0.0, -1.0, 1.0, None)),
    ({"kind": "thumb", "value": "sideways"}, (None, -1.0, 1.0, "sideways")),
    ({"kind": "thumb"}, (None, -1.0, 1.0, None)),
    ({"kind": "rating", "value": 4}, (4.0, 1.0, 5.0, None)),
    ({"kind": "rating", "value": 10}, (10.0, 1.0, 5.0, None)),
    ({"kind": "rating", "value": "4"}, (4.0, 1.0, 5.0, None)),
    ({"kind": "rating", "value": 1, "scale": [5, 1]}, (1.0, 5.0, 1.0, None)),
    ({"kind": "rating", "value": -2, "scale": [-3, 3]}, (-2.0, -3.0, 3.0, None)),
    ({"kind": "rating", "value": 4, "scale": "stars"}, (4.0, None, None, None)),
    ({"kind": "rating", "value": 4, "scale": [1, 2, 3, 4]}, (4.0, None, None, None)),
    ({"kind": "rating", "value": "Not good", "scale": WORDS}, (1.0, 0.0, 2.0, "Not good")),
    ({"kind": "rating", "value": "Splendid", "scale": WORDS}, (None, 0.0, 2.0, "Splendid")),
    ({"kind": "rating", "value": 2, "scale": WORDS}, (None, 0.0, 2.0, "2")),
    ({"kind": "rating", "value": "", "scale": WORDS}, (None, 0.0, 2.0, None)),
    ({"kind": "rating", "value": "Good"}, (None, None, None, "Good")),
    ({"kind": "rating", "value": "Good", "scale": ["Good", "good"]}, (None, None, None, "Good")),
    ({"kind": "rating", "value": "N/A", "scale": [1, 5]}, (None, 1.0, 5.0, "N/A")),
    ({"kind": "ranking", "value": 2, "scale": [3, 0]}, (2.0, 3.0, 0.0, None)),
    ({"kind": "ranking", "value": -1}, (-1.0, None, None, None)),
    ({"kind": "choice"}, (1.0, None, None, None)),
    ({"kind": "choice", "value": 0}, (0.0, None, None, None)),
    ({"kind": "choice", "value": "both bad"}, (-1.0, None, None, "both bad")),
    ({"kind": "choice", "value": "left"}, (None, None, None, "left")),
    ({"kind": "correction", "text": "So."}, (None, None, None, None)),
    ({"kind": "share"}, (None, None, None, None)),
]


@pytest.mark.parametrize(("line", "said"), SAID)
def test_a_line_of_feedback_keeps_its_words_its_value_and_its_scale(line: dict[str, Any], said: tuple[Any, ...]) -> None:
    _, (act,), notes = read_all("jsonl", {"conversation_id": "c", "message_index": 1, "better": "a", "worse": "b", **line})
    assert tuple(act[name] for name in ("value", "scale_min", "scale_max", "label")) == said
    assert notes == []


@pytest.mark.parametrize(
    "target", [{}, {"message_index": -1}, {"message_index": True}, {"message_index": 10**9}, {"message_id": ""}, {"message_id": [3]}]
)
def test_a_line_that_names_no_message_is_still_an_act(target: dict[str, Any]) -> None:
    _, (act,), _ = read_all("jsonl", {"conversation_id": "c", "kind": "thumb", "value": 1, **target})
    assert act["turn_id"] is None


def test_a_choice_says_which_answer_was_shown_first() -> None:
    line = {"conversation_id": "c", "kind": "choice", "better": "a", "worse": "b"}
    shown = [read_all("jsonl", line | more)[1][0]["shown_first"] for more in ({}, {"shown_first": "b"}, {"first": "a"})]
    assert shown == [None, "b", "a"]


CORRUPT: list[tuple[str, dict[str, Any], str, str | None]] = [  # values that no reader knows: the act stays, with its words
    ("chatgpt", {"conversation_id": "c", "message_id": "m", "rating": "so so"}, "thumb", "so so"),
    ("librechat", {"conversationId": "c", "messageId": "m", "isCreatedByUser": False, "feedback": {"rating": "meh"}}, "thumb", "meh"),
    ("openwebui", {"type": "rating", "data": {"rating": "fine"}, "meta": {"chat_id": "c", "message_id": "m"}}, "thumb", "fine"),
    ("openwebui", {"type": "rating", "data": {"details": {"rating": "ten"}}, "meta": {"chat_id": "c", "message_id": "m"}}, "rating", "ten"),
    ("arena", {"winner": "model_c", "conversation_a": ["x"], "conversation_b": ["y"]}, "choice", "model_c"),
]


@pytest.mark.parametrize(("name", "record", "kind", "label"), CORRUPT)
def test_an_act_whose_value_no_reader_knows_keeps_its_words(name: str, record: dict[str, Any], kind: str, label: str) -> None:
    for side in ("conversation_a", "conversation_b"):
        if side in record:
            record = record | {side: [*LINES, {"role": "assistant", "content": record[side][0]}]}
    _, (act,), _ = read_all(name, record)
    assert (act["kind"], act["value"], act["label"]) == (kind, None, label)


def test_readers_and_rules_know_the_same_kinds() -> None:
    read = set(feedback_lines.KINDS.values())
    assert read == set(kinds.GIVEN)
    assert read <= {*kinds.VOTED, *kinds.SILENT}


@pytest.mark.parametrize(("winner", "value", "better"), [("model_a", 1.0, "a"), ("model_b", 1.0, "b"), ("tie", 0.0, "a")])
def test_the_answer_of_model_a_stood_left(winner: str, value: float, better: str) -> None:
    sides = {f"conversation_{side}": [*LINES, {"role": "assistant", "content": side}] for side in "ab"}
    _, (act,), _ = read_all("arena", {"winner": winner, **sides})
    assert (act["value"], act["better"][0], act["shown_first"][0], act["label"]) == (value, better, "a", winner)


def test_preference_lines_do_not_say_what_was_shown_first() -> None:
    messages = {"input": {"messages": LINES}}
    line = messages | {f"{side}_output": [{"role": "assistant", "content": side}] for side in ("preferred", "non_preferred")}
    for name, record in (("hh", two(" a", " b")), ("openai", line)):
        assert [act["shown_first"] for act in read_all(name, record)[1]] == [None]


def test_a_deleted_message_of_a_tree_stays_without_its_text_and_notes_tell_of_emojis_on_questions() -> None:
    answer = {"message_id": "a", "text": "secret", "role": "assistant", "deleted": True, "emojis": {"+1": 1, "red_flag": 1}}
    below = {"message_id": "b", "text": "And?", "role": "prompter", "emojis": {"-1": 2}}
    tree = {"message_id": "t", "text": "Hi", "role": "prompter", "replies": [answer | {"replies": [below]}]}
    turns, votes, notes = read_all("oasst", {"message_tree_id": "t", "prompt": tree})
    assert [(turn["turn_id"], turn["content"], turn["status"]) for turn in turns] == [
        ("t", "Hi", ""),
        ("a", "", "deleted"),
        ("b", "And?", ""),
    ]
    assert sorted((act["kind"], act["turn_id"], act["label"]) for act in votes) == [("report", "a", "red_flag"), ("thumb", "a", "+1")]
    assert notes == ["not_an_answer"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-01T00:00:00Z", 1767225600000000),
        ("2026-01-01 00:00:00.5", 1767225600500000),
        ("2026-01-01T01:00:00+01:00", 1767225600000000),
        (1767225600, 1767225600000000),
        (1767225600.25, 1767225600250000),
        (1767225600000, 1767225600000000),
        (1767225600000000, 1767225600000000),
        (1767225600000000000, 1767225600000000),
        ("1767225600", 1767225600000000),
        ({"$date": "2026-01-01T00:00:00Z"}, 1767225600000000),
        ({"$date": {"$numberLong": "1767225600000"}}, 1767225600000000),
    ],
)
def test_a_time_is_reported_by_its_size_or_shape(value: object, expected: int) -> None:
    assert moment(value) == expected


@pytest.mark.parametrize("value", [None, True, 0, -5, "soon", "", float("nan"), float("inf"), 10**400, 253402300800, "9999-12-31", [], {}])
def test_an_impossible_time_is_null(value: object) -> None:
    assert moment(value) is None


def test_a_feedback_row_and_the_note_on_the_message_are_one_act() -> None:
    chat = example("openwebui")["records"][0]
    row = {
        "id": "fb-1",
        "user_id": "u-9",
        "type": "rating",
        "data": {"rating": 1},
        "meta": {"chat_id": "c", "message_id": "a2"},
        "snapshot": None,
        "created_at": 1760000030,
    }
    _, votes, _ = read_all("openwebui", chat, row)
    assert len({act["feedback_id"] for act in votes if act["kind"] == "thumb" and act["turn_id"] == "a2"}) == 1


@pytest.mark.parametrize(
    ("before", "after", "is_edit"),
    [
        ("The sum is 4.", "The sum is 5.", True),
        ("The sum is 4.", "The sum is 4.\n_By AI_", False),
        ("[x] Hi there", "Hi there", False),
    ],
)
def test_only_a_rewritten_answer_counts_as_an_edit(before: str, after: str, is_edit: bool) -> None:
    nodes = {
        "q": {"role": "user", "content": "?", "parentId": None},
        "a": {"role": "assistant", "content": after, "originalContent": before, "parentId": "q"},
    }
    turns, votes, _ = read_all("openwebui", {"id": "c", "chat": {"history": {"messages": nodes}}})
    assert [act["text"] for act in votes if act["kind"] == "edit"] == ([after] if is_edit else [])
    assert next(turn["content"] for turn in turns if turn["turn_id"] == "a") == (before if is_edit else after)


def test_the_answer_on_the_active_path_is_the_one_that_was_kept() -> None:
    chat = copy.deepcopy(example("openwebui")["records"][0])
    chat["current_message_id"] = chat["chat"]["history"]["currentId"] = "a1"
    _, votes, _ = read_all("openwebui", chat)
    assert [(act["better"], act["worse"]) for act in votes if act["kind"] == "regenerate"] == [("a1", "a2")]
    chat["chat"]["history"]["messages"]["a2"]["modelIdx"] = 1  # two models answered side by side: nobody rolled again
    _, votes, _ = read_all("openwebui", chat)
    assert [act for act in votes if act["kind"] == "regenerate"] == []


def node(parent: str | None, role: str, text: str) -> dict[str, Any]:
    return {"parent": parent, "message": {"author": {"role": role}, "content": {"content_type": "text", "parts": [text]}}}


@pytest.mark.parametrize(
    ("current", "kept"),
    [("a2", [("a2", "a1"), ("a2", "a3")]), ("q2", [("a1", "a2"), ("a1", "a3")]), ("q", []), (None, []), ("gone", [])],
)
def test_of_chatgpts_answers_side_by_side_the_one_that_was_shown_last_was_kept(current: str | None, kept: list[tuple[str, str]]) -> None:
    mapping = {"q": node(None, "user", "Rain?"), **{f"a{at}": node("q", "assistant", f"Yes, {at}.") for at in (1, 2, 3)}}
    mapping |= {"q2": node("a1", "user", "And snow?"), "t": node("q2", "tool", "called"), "b": node("t", "assistant", "No.")}
    _, votes, _ = read_all("chatgpt", {"id": "c", "mapping": mapping, "current_node": current})
    assert [(act["better"], act["worse"]) for act in votes] == kept


@pytest.mark.parametrize(("below", "kept"), [(["a2"], [("a2", "a1")]), ([], []), (["a1", "a2"], [])])
def test_of_librechats_answers_side_by_side_the_only_one_below_which_the_chat_went_on_was_kept(
    below: list[str], kept: list[tuple[str, str]]
) -> None:
    def said(turn: str, parent: str | None, user: bool) -> dict[str, Any]:
        return {"messageId": turn, "parentMessageId": parent, "isCreatedByUser": user, "text": f"text of {turn}", "user": "u1"}

    messages = [said("q", None, True), said("a1", "q", False), said("a2", "q", False), *(said(f"on {turn}", turn, True) for turn in below)]
    _, acts, _ = read_all("librechat", {"conversationId": "c", "messages": messages})
    assert [(act["better"], act["worse"]) for act in acts] == kept


def test_a_battle_with_two_histories_keeps_its_turns_but_gives_no_choice() -> None:
    longer = [{"role": role, "content": text} for role, text in (("user", "1"), ("assistant", "x"), ("user", "2"), ("assistant", "y"))]
    other = [longer[0], {"role": "assistant", "content": "z"}, *longer[2:]]
    turns, votes, notes = read_all("arena", {"winner": "model_a", "conversation_a": longer, "conversation_b": other})
    assert (len(turns), votes, notes) == (7, [], ["histories_differ"])


def test_flat_messages_find_their_tree_in_any_order_and_orphans_are_noted() -> None:
    messages = {"text": "x", "role": "prompter"}
    flat = [{"user_message_id": f"s{n}", "parent_message_id": f"s{n - 1}" if n else None, **messages} for n in range(50)]
    orphan = {"user_message_id": "o", "parent_message_id": "gone", **messages}
    turns, _, notes = read_all("oasst", *reversed(flat), orphan)
    assert {turn["turn_id"]: turn["position"] for turn in turns} == {f"s{n}": n for n in range(50)}
    assert {turn["conversation_id"] for turn in turns} == {"oasst:s0"}
    assert notes == ["missing_parent"]


def test_a_single_message_whose_way_up_is_lost_stays_with_its_vote() -> None:
    message = {"conversationId": "c", "messageId": "m", "parentMessageId": "gone", "isCreatedByUser": False, "text": "So."}
    turns, votes, notes = read_all("librechat", message | {"feedback": {"rating": "thumbsUp"}})
    assert [(turn["conversation_id"], turn["turn_id"], turn["parent_id"]) for turn in turns] == [("librechat:c", "m", "gone")]
    assert [act["turn_id"] for act in votes] == ["m"]
    assert notes == ["missing_parent"]


def test_a_tree_as_deep_as_it_likes_is_no_trouble() -> None:
    messages = [Message(str(n), str(n - 1) if n else None, "user", "x") for n in reversed(range(50_000))]
    depth, notes = depths(messages)
    assert depth["49999"] == 49_999
    assert notes == []


def test_a_message_without_its_parent_is_not_taken_for_a_beginning_and_circles_are_left_out() -> None:
    messages = [Message(turn, parent, "user", "") for turn, parent in (("a", "gone"), ("b", "a"), ("c", "d"), ("d", "c"), ("e", None))]
    depth, notes = depths(messages)
    assert depth == {"a": BEYOND, "b": BEYOND + 1, "e": 0}
    assert messages[0].parent_id == "gone"
    assert [reason for reason, _ in notes] == ["missing_parent", "cycle"]


CALLING = {"id": "c1", "type": "function", "function": {"name": "rain", "arguments": '{"city": "Bergen"}'}}
CALLED = [{"function": {"arguments": {"city": "Bergen"}, "name": "rain"}, "id": "c1", "type": "function"}]
PICTURE = {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}}
ASKED = {"role": "user", "content": "Rain?"}
FOLDED = f"""<details type="tool_calls" id="c1" name="rain" arguments="{html.escape(json.dumps('{"city": "Bergen"}'))}"></details>"""


def webui(**answer: object) -> dict[str, Any]:
    nodes = {"q": ASKED | {"parentId": None}, "a": {"role": "assistant", "parentId": "q"} | answer}
    return {"id": "c", "chat": {"history": {"messages": nodes}}}


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("jsonl", {"id": "c", "messages": [ASKED, {"role": "assistant", "content": None, "tool_calls": [CALLING]}]}),
        ("jsonl", {"id": "c", "messages": [ASKED, {"role": "assistant", "tool_calls": [CALLING]}]}),
        ("openai", {"messages": [ASKED, {"role": "assistant", "content": None, "tool_calls": [CALLING]}]}),
        (
            "openai",
            {
                "messages": [
                    ASKED,
                    {
                        "role": "assistant",
                        "content": [{"type": "tool_use", "id": "c1", "name": "rain", "input": {"city": "Bergen"}}],
                    },
                ]
            },
        ),
        (
            "sharegpt",
            {
                "conversations": [
                    {"from": "human", "value": "Rain?"},
                    {"from": "function_call", "value": '{"id": "c1", "name": "rain", "arguments": {"city": "Bergen"}}'},
                ]
            },
        ),
        (
            "jsonl",
            {
                "id": "c",
                "messages": [ASKED, {"role": "tool_call", "content": '{"id": "c1", "name": "rain", "arguments": {"city": "Bergen"}}'}],
            },
        ),
        ("openwebui", webui(content="", output=[{"type": "function_call", "call_id": "c1"} | CALLING["function"]])),  # type: ignore[operator]
        ("openwebui", webui(content=FOLDED)),
        (
            "librechat",
            {
                "conversationId": "c",
                "messages": [
                    {"messageId": "q", "isCreatedByUser": True, "text": "Rain?"},
                    {
                        "messageId": "a",
                        "parentMessageId": "q",
                        "isCreatedByUser": False,
                        "text": "",
                        "content": [{"type": "tool_call", "tool_call": {"id": "c1", "name": "rain", "args": '{"city": "Bergen"}'}}],
                    },
                ],
            },
        ),
    ],
)
def test_a_message_that_only_calls_a_tool_keeps_its_call(name: str, record: dict[str, Any]) -> None:
    assert recognise(record) == name
    (asked, answer), _, _ = read_all(name, record)
    assert (answer["role"], answer["content"], json.loads(answer["tool_calls"])) == ("assistant", "", CALLED)
    assert answer["parent_id"] == asked["turn_id"]
    assert asked["tool_calls"] is None


def test_a_call_without_a_name_is_none_and_one_that_is_too_deep_costs_the_record() -> None:
    message = {"role": "assistant", "content": "x"}
    (_, answer), _, _ = read_all("jsonl", {"id": "c", "messages": [ASKED, message | {"tool_calls": [{}, 3, {"function": {"name": ""}}]}]})
    assert answer["tool_calls"] is None
    deep: Any = {}
    for _ in range(300):
        deep = {"a": deep}
    with pytest.raises(Unreadable, match="bad_tool_call"):
        read_all("jsonl", {"id": "c", "messages": [ASKED, message | {"tool_calls": [{"function": {"name": "f", "arguments": deep}}]}]})


def test_what_a_tool_gave_back_inside_a_users_message_is_the_tools() -> None:
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "12 mm"}]}]}
    (_, messages), _, _ = read_all("openai", {"messages": [ASKED, result]})
    assert (messages["role"], messages["content"]) == ("tool", "12 mm")


ATTACHED: list[tuple[str, Any]] = [  # the question of a record, by format, with a picture or file
    ("jsonl", lambda item: {"id": "c", "messages": [{"role": "user", "content": [{"type": "text", "text": "Rain?"}, item]}]}),
    ("jsonl", lambda item: {"id": "c", "messages": [ASKED | {"files": [item]}]}),
    ("openai", lambda item: {"messages": [{"role": "user", "content": [{"type": "text", "text": "Rain?"}, item]}]}),
    ("openwebui", lambda item: {"id": "c", "chat": {"history": {"messages": {"q": ASKED | {"parentId": None, "files": [item]}}}}}),
    (
        "librechat",
        lambda item: {"conversationId": "c", "messages": [{"messageId": "q", "isCreatedByUser": True, "text": "Rain?", "files": [item]}]},
    ),
    (
        "chatgpt",
        lambda item: {
            "id": "c",
            "mapping": {
                "q": {
                    "message": {
                        "author": {"role": "user"},
                        "content": {"content_type": "multimodal_text", "parts": ["Rain?"]},
                        "metadata": {"attachments": [item]},
                    }
                }
            },
        },
    ),
]


@pytest.mark.parametrize(("name", "record"), ATTACHED)
def test_pictures_and_files_are_reported_apart_by_a_digest_that_does_not_name_them(name: str, record: Any) -> None:
    items = [PICTURE, PICTURE | {"detail": "low"}, {"type": "file", "id": "f1", "name": "tax.pdf"}, {"type": "file", "name": "tax.pdf"}]
    digests = []
    for item in items:
        assert recognise(record(item)) == name
        (asked,), _, _ = read_all(name, record(item))
        assert asked["content"] == "Rain?"
        (digest,) = asked["attachments"]
        digests.append(digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert not any("tax" in digest or "example" in digest for digest in digests)
    (plain,), _, _ = read_all("jsonl", {"id": "c", "messages": [ASKED]})
    assert plain["attachments"] is None


def test_a_picture_that_stands_alone_in_chatgpts_export_is_a_question() -> None:
    part = {"content_type": "image_asset_pointer", "asset_pointer": "sediment://file_1"}
    message = {"author": {"role": "user"}, "content": {"content_type": "multimodal_text", "parts": [part]}}
    answer = {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": ["A dog."]}}
    (asked, reply), _, _ = read_all("chatgpt", {"id": "c", "mapping": {"q": {"message": message}, "a": {"parent": "q", "message": answer}}})
    assert (asked["content"], len(asked["attachments"]), reply["parent_id"]) == ("", 1, "q")


ANNOTATED: list[tuple[dict[str, Any], list[tuple[Any, ...]], list[str]]] = [  # an annotation: the acts that stand, and notes
    ({"rating": 1, "details": {"rating": 9}}, [("thumb", 1.0, None), ("rating", 9.0, None)], []),
    ({"rating": 1, "reason": "not_factually_correct", "details": {"rating": 2}}, [("thumb", 1.0, None)], ["stale_rating"]),
    ({"rating": -1, "reason": "accurate_information", "details": {"rating": 9}}, [("thumb", -1.0, None)], ["stale_rating"]),
    ({"rating": "-1", "reason": "being_lazy", "details": {"rating": 5}}, [("thumb", -1.0, "being_lazy"), ("rating", 5.0, None)], []),
    ({"rating": 1, "reason": "von Hand"}, [("thumb", 1.0, "von Hand")], []),
    ({"rating": None}, [], []),
    ({"rating": 0, "details": {"rating": None}}, [], []),
    ({"rating": "none", "comment": "was good"}, [("comment", None, None)], []),
]


@pytest.mark.parametrize(("annotation", "stands", "noted"), ANNOTATED)
def test_of_a_switched_thumb_nothing_stands_that_was_said_before(
    annotation: dict[str, Any], stands: list[tuple[Any, ...]], noted: list[str]
) -> None:
    _, votes, notes = read_all("openwebui", webui(content="Yes.", annotation=annotation))
    assert [(act["kind"], act["value"], act["label"]) for act in votes] == stands
    assert notes == noted


WELL, ILL = {"role": "assistant", "content": "Yes."}, {"role": "assistant", "content": "No."}
BESIDE: list[tuple[str, dict[str, Any]]] = [  # preference sets in which Yes. is better than No.
    ("openai", {"messages": [ASKED], "chosen": WELL, "rejected": ILL}),
    ("openai", {"messages": [ASKED], "chosen": "Yes.", "rejected": "No."}),
    ("openai", {"messages": [ASKED], "chosen": [WELL], "rejected": [ILL]}),
    ("openai", {"messages": [ASKED, WELL], "chosen": [ASKED, WELL], "rejected": [ASKED, ILL]}),
    ("openai", {"messages": [ASKED, WELL], "rejected_response": "No."}),
    ("jsonl", {"id": "c", "messages": [ASKED], "chosen": WELL, "rejected": ILL}),
    ("jsonl", {"conversation_id": "c", "messages": [ASKED, WELL], "rejected_response": "No."}),
    (
        "sharegpt",
        {
            "conversations": [{"from": "human", "value": "Rain?"}],
            "chosen": {"from": "gpt", "value": "Yes."},
            "rejected": {"from": "gpt", "value": "No."},
        },
    ),
]


@pytest.mark.parametrize(("name", "record"), BESIDE)
def test_a_preference_beside_the_messages_is_read(name: str, record: dict[str, Any]) -> None:
    assert recognise(record) == name
    turns, (act,), notes = read_all(name, record)
    messages = {turn["turn_id"]: turn for turn in turns}
    assert [(turn["role"], turn["content"]) for turn in turns] == [("user", "Rain?"), ("assistant", "Yes."), ("assistant", "No.")]
    assert (act["kind"], act["value"], notes) == ("choice", 1.0, [])
    assert (messages[act["better"]]["content"], messages[act["worse"]]["content"]) == ("Yes.", "No.")


@pytest.mark.parametrize("label", [True, False])
def test_a_label_beside_messages_is_a_thumb_on_the_last_answer(label: bool) -> None:
    (_, answer), (act,), _ = read_all("openai", {"messages": [ASKED, WELL], "label": label})
    assert (act["kind"], act["value"], act["turn_id"]) == ("thumb", 1.0 if label else -1.0, answer["turn_id"])
    for record in ({"messages": [ASKED], "label": label}, {"messages": [ASKED, WELL], "label": "spam"}):
        assert read_all("openai", record)[1] == []


@pytest.mark.parametrize("key", ["conversation_id", "session_id"])
def test_a_conversation_whose_id_is_blank_is_read_as_one_without_an_id(key: str) -> None:
    record = {key: None, "messages": [ASKED, WELL]}
    assert recognise(record) == "openai"
    turns, _, _ = read_all("openai", record)
    assert [turn["content"] for turn in turns] == ["Rain?", "Yes."]
