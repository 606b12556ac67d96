"""Claims about logs of other products and other spellings: each is a kind of fault that a log of somebody else may have."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from tasks.clean.failures import are_failures
from tasks.common import reasoning_marks
from tasks.common.raw_files.records import batches
from tasks.core.tables import TEXT
from tasks.ingest.formats import FORMATS, recognise, wrapped
from tasks.ingest.formats.unread_votes import VoteWatch
from tests.builders.format_examples import read_all

Row = dict[str, Any]
ASKED: Row = {"role": "user", "content": "Which river runs through Prague?"}
GOOD = "The Vltava runs through Prague, from south to north."
BAD = "The Danube, I believe, runs through it."
SAID: Row = {"role": "assistant", "content": GOOD}
OTHER: Row = {"role": "assistant", "content": BAD}


class Bytes:
    """A stream of these bytes."""

    def __init__(self, data: bytes) -> None:
        self._left = data

    def read(self, size: int, /) -> bytes:
        block, self._left = self._left[:size], self._left[size:]
        return block


def records(data: bytes) -> list[Any]:
    """The values of the records, or the reasons why there are none."""
    return [record.fault.reason if record.fault else record.value for batch in batches(Bytes(data)) for record in batch]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'{"a": 1}\r{"a": 2}\r\n{"a": 3}\n', [{"a": 1}, {"a": 2}, {"a": 3}]),  # ends of lines of three systems in one file
        (b'{"a": "one two three"} {"a": 2}\n{"a": 3}\n', [{"a": "one two three"}, {"a": 2}, {"a": 3}]),
        (b'{"a": 1}\n' + bytes(500), [{"a": 1}]),  # space that was reserved and never written
        (b'{"a": 1}\n' + bytes(3) + b'\n{"a": 2}', [{"a": 1}, {"a": 2}]),
        (b'2026-01-05T10:00:00Z INFO {"a": 1}\n', [{"a": 1}]),
    ],
)
def test_no_record_is_taken_for_what_a_log_collector_wrote_before_another(data: bytes, found: list[Any]) -> None:
    assert records(data) == found


@pytest.mark.parametrize(
    "text",
    [
        "<unused94>thought\nplan<unused95>" + GOOD,
        "<inner_thoughts>plan</inner_thoughts>\n" + GOOD,
        "[BEGIN_THOUGHT]plan[END_THOUGHT]" + GOOD,
        "&lt;think&gt;plan&lt;/think&gt;" + GOOD,
        "<details><summary>Thought for 4 seconds</summary>\nplan\n</details>\n\n" + GOOD,
        "<details open>\n<summary><b>Reasoning</b></summary>\nplan\n</details>\n\n" + GOOD,
        "```thinking\nplan\n```\n" + GOOD,
    ],
)
def test_reasoning_goes_whatever_server_spelled_it(text: str) -> None:
    left, _, kinds = reasoning_marks.take_out_all(pa.array([text], TEXT), pa.array([True]), reasoning=True)
    assert (left.to_pylist(), dict(kinds)) == ([GOOD], {"reasoning": 1})


@pytest.mark.parametrize(
    "text",
    [
        "assistant\n\n" + GOOD,
        "Assistant: " + GOOD,
        GOOD + "[EOS]",
        GOOD + "\nUser: And then?\nAssistant: Then north.",
        "[|assistant|] " + GOOD + " [|endofturn|]",
        "<s>" + GOOD + "</s>",
        GOOD + "<extra_id_1>User\nAnd then?",
        GOOD + "<reserved_106>And then?",
        GOOD + "<|im_end|",
        "[gMASK]<sop><|assistant|>\n" + GOOD,
    ],
)
def test_marks_of_other_templates_go(text: str) -> None:
    (left,) = reasoning_marks.take_out_all(pa.array([text], TEXT), pa.array([True]), reasoning=True)[0].to_pylist()
    assert left == GOOD


@pytest.mark.parametrize(
    "text",
    [
        "Here is the talk:\nUser: Hello\nAssistant: Hello!",
        "Assistant: Welcome.\nCustomer: Hello.",
        "The <s>old</s> price is gone, and <s>so am I</s>.",
        "<details><summary>More</summary>\nLonger text.\n</details>",
        "Fill in <extra_id_0> and <extra_id_1> please.",
        "The assistant\n\nknows.",
        "`<|im_end|`",
    ],
)
def test_what_only_looks_like_a_mark_stays(text: str) -> None:
    assert reasoning_marks.take_out_all(pa.array([text], TEXT), pa.array([True]), reasoning=True)[0].to_pylist() == [text]


FAILED = [
    "Error: 429 Too Many Requests",
    "anthropic.RateLimitError: Error code: 429",
    "google.api_core.exceptions.ResourceExhausted: 429 Resource has been exhausted",
    "ServiceUnavailableError: The server is overloaded or not ready yet.",
    "Failed to generate content: [503 Service Unavailable]",
    "Request failed with status code 503",
    "Ollama call failed with status code 500",
    '{"error":"model \'llama3\' not found"}',
    '{"detail": "Not Found"}',
    "I'm sorry, but an error occurred while generating a response.",
    "Sorry, I encountered an error processing your request.",
    "The model `gpt-5` does not exist or you do not have access to it.",
    "Error: model requires more system memory (5.6 GiB) than is available",
    "[GoogleGenerativeAI Error]: Error fetching",
    "Overloaded",
    None,
]
ANSWERS = [
    "Throttling: the server lets through fewer requests than come.",
    "openai.ChatCompletion.create(model=MODEL)",
    "A TypeError: you cannot add a text and a number.",
    "Sorry, I made an error in the second step: it should be 12.",
    "The connection between the two was lost in 1503.",
    '{"error": "none", "city": "Bergen"}',
    "It failed 404 times before it worked.",
    "The server was overloaded with work that day.",
    GOOD,
]


def test_failures_are_known_by_their_shape_and_answers_are_none() -> None:
    assert are_failures(pa.array(FAILED, TEXT), 400).to_pylist() == [text is not None for text in FAILED]
    assert [text for text, failed in zip(ANSWERS, are_failures(pa.array(ANSWERS, TEXT), 400).to_pylist(), strict=True) if failed] == []
    assert are_failures(pa.array([FAILED[0]], TEXT), 10).to_pylist() == [False]


CHOICES = [{"index": 0, "message": SAID, "finish_reason": "stop"}, {"index": 1, "message": OTHER}]


@pytest.mark.parametrize(
    ("name", "record", "answers"),
    [
        ("openai", {"id": "r", "request": {"messages": [ASKED]}, "response": {"model": "m", "choices": CHOICES}}, [GOOD, BAD]),
        ("openai", {"request": json.dumps({"messages": [ASKED], "model": "m"}), "response": json.dumps({"choices": CHOICES[:1]})}, [GOOD]),
        (
            "openai",
            {"body": {"messages": [ASKED], "model": "m"}, "response": {"status_code": 200, "body": {"choices": CHOICES[:1]}}},
            [GOOD],
        ),
        (
            "openai",
            {
                "request": {"messages": [ASKED], "model": "m"},
                "response": {"role": "assistant", "content": [{"type": "text", "text": GOOD}]},
            },
            [GOOD],
        ),
        ("openai", {"inputs": {"messages": [ASKED]}, "outputs": {"message": SAID}, "model": "m"}, [GOOD]),
        ("openai", {"messages": [ASKED], "choices": CHOICES, "model": "m"}, [GOOD, BAD]),
        ("openai", {"messages": [ASKED], "response": GOOD, "model": "m"}, [GOOD]),
        ("jsonl", {"id": "c", "messages": [ASKED], "completion": SAID, "model": "m"}, [GOOD]),
        ("jsonl", {"id": "c", "messages": [ASKED, SAID], "response": GOOD, "model": "m"}, [GOOD]),  # it is there already
    ],
)
def test_an_answer_beside_its_messages_is_not_lost(name: str, record: Row, answers: list[str]) -> None:
    assert recognise(record) == name
    turns, _, _ = read_all(name, record)
    assert [row["content"] for row in turns if row["role"] == "assistant"] == answers
    assert {(row["parent_id"], row["model"]) for row in turns if row["role"] == "assistant"} == {("0000", "m")}
    assert [row["content"] for row in turns if row["role"] == "user"] == [ASKED["content"]]


@pytest.mark.parametrize(
    ("record", "winner"),
    [
        ({"prompt": "Q", "response_j": GOOD, "response_k": BAD}, GOOD),
        ({"question": "Q", "chosen_response": GOOD, "rejected_response": BAD}, GOOD),
        ({"instruction": "Q", "preferred": GOOD, "dispreferred": BAD}, GOOD),
        ({"prompt": "Q", "response_0": BAD, "response_1": GOOD, "better_response_id": 1}, GOOD),
        ({"prompt": "Q", "response_0": GOOD, "response_1": BAD, "better_response_id": 0.0}, GOOD),
        ({"instruction": "Q", "input": "", "output_1": GOOD, "output_2": BAD, "preference": 1}, GOOD),
        ({"prompt": "Q", "response_a": BAD, "response_b": GOOD, "winner": "B"}, GOOD),
        ({"prompt": "Q", "response_a": BAD, "response_b": GOOD, "preference": "response_b"}, GOOD),
        ({"prompt": "Q", "response_a": GOOD, "response_b": BAD, "winner": "tie"}, None),
        ({"context": [ASKED], "response1": GOOD, "response2": BAD, "overall_preference": -2}, GOOD),
        ({"context": [ASKED], "response1": BAD, "response2": GOOD, "overall_preference": 3}, GOOD),
        ({"context": [ASKED], "response1": GOOD, "response2": BAD, "overall_preference": 0}, None),
        ({"history": "Q", "human_ref_A": GOOD, "human_ref_B": BAD, "labels": 1, "score_A": 9}, GOOD),
        ({"history": "Q", "human_ref_A": BAD, "human_ref_B": GOOD, "labels": 0}, GOOD),
        ({"prompt": "\n\nHuman: Q\n\nAssistant:", "chosen": " " + GOOD, "rejected": " " + BAD}, " " + GOOD),
    ],
)
def test_preference_lines_are_read_by_other_names_of_their_sides(record: Row, winner: str | None) -> None:
    assert recognise(record) == "preference"
    turns, (act,), notes = read_all("preference", record)
    contents = {row["turn_id"]: row["content"] for row in turns}
    assert (act["value"], contents[act["better"]] if winner else None) == (1.0 if winner else 0.0, winner)
    assert ([row["content"] for row in turns if row["role"] == "user"], notes) == ([ASKED["content"] if "context" in record else "Q"], [])


def test_a_verdict_that_names_no_side_decides_nothing_and_two_answers_without_one_are_no_preference() -> None:
    _, (act,), _ = read_all("preference", {"prompt": "Q", "response_a": GOOD, "response_b": BAD, "label": "1"})
    assert (act["value"], act["label"]) == (None, "1")
    assert recognise({"prompt": "Q", "response_a": GOOD, "response_b": BAD}) is None


def test_transcripts_that_lost_their_blank_lines_are_transcripts() -> None:
    sides = {side: f"Human: Q\nAssistant: {text}" for side, text in (("chosen", GOOD), ("rejected", BAD))}
    assert recognise(sides) == "hh"
    turns, (act,), _ = read_all("hh", sides)
    assert [row["content"] for row in turns] == ["Q", GOOD, BAD]
    assert act["better"] == turns[1]["turn_id"]


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "human", "content": ASKED["content"]}, {"type": "ai", "content": GOOD}],
        [{"type": "human", "data": {"content": ASKED["content"]}}, {"type": "ai", "data": {"content": GOOD, "type": "ai"}}],
        [
            {"lc": 1, "type": "constructor", "id": ["langchain", "schema", name], "kwargs": {"content": text}}
            for name, text in (("HumanMessage", ASKED["content"]), ("AIMessage", GOOD))
        ],
        [{"sender": "customer", "text": ASKED["content"]}, {"sender": "agent", "text": GOOD}],
        [{"author": "user", "message": ASKED["content"]}, {"author": "bot", "message": GOOD}],
    ],
)
def test_messages_are_read_by_other_names_of_role_and_content(messages: list[Row]) -> None:
    turns, _, _ = read_all("jsonl", {"id": "c", "messages": messages})
    assert [(row["role"], row["content"]) for row in turns] == [("user", ASKED["content"]), ("assistant", GOOD)]


@pytest.mark.parametrize("key", ["conversationId", "chatId", "threadId", "sessionId"])
def test_conversations_and_acts_meet_under_ids_in_camel_case(key: str) -> None:
    chat, thumb = {key: "x", "messages": [ASKED, SAID]}, {key: "x", "kind": "thumb", "message_index": 1, "value": 1}
    assert (recognise(chat), recognise(thumb)) == ("jsonl", "jsonl")
    _, (act,), notes = read_all("jsonl", chat, thumb)
    assert (act["conversation_id"], act["turn_id"], notes) == ("jsonl:x", "0001", [])


CHATS = [{"id": name, "messages": [ASKED, SAID]} for name in ("c1", "c2")]


@pytest.mark.parametrize(
    ("page", "key"),
    [
        ({"object": "list", "data": CHATS, "has_more": False}, "data"),
        ({"hits": {"total": 2, "hits": [{"_id": "1", "_source": CHATS[0]}]}}, "hits.hits"),
        ({"c1": CHATS[0], "c2": CHATS[1]}, "*"),
        ({"data": [1, 2], "other": [{"a": 1}]}, None),
        ({"id": "x", "turns": [ASKED, SAID]}, None),  # messages by another name are told, not guessed
    ],
)
def test_the_records_of_an_apis_page_are_records(page: Row, key: str | None) -> None:
    result = wrapped.listed(page)
    assert (result and result[1]) == key


def test_messages_that_went_through_a_table_are_messages() -> None:
    record = {"id": "c", "messages": json.dumps([ASKED, SAID]), "note": "[1]"}
    assert wrapped.untabled(record) == record | {"messages": [ASKED, SAID]}
    for text in ("[not] a list", json.dumps([{"a": 1}]), "[]"):
        assert wrapped.untabled({"prompt": text}) == {"prompt": text}


THOUGHT = "First the map."
FOLDED = f'<details type="reasoning" done="true"><summary>Thought for 1 second</summary>\n&gt; {THOUGHT}\n</details>\n{GOOD}'
WEBUI_ASKED: Row = ASKED | {"parentId": None}


def webui(**answer: object) -> Row:
    """An export of one question and an answer."""
    nodes = {"q": WEBUI_ASKED, "a": {"role": "assistant", "parentId": "q"} | answer}
    return {"id": "c", "chat": {"history": {"messages": nodes}}}


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("jsonl", {"id": "c", "messages": [ASKED, SAID | {"reasoning_content": THOUGHT}]}),
        ("openai", {"messages": [ASKED, SAID | {"reasoning": THOUGHT}]}),
        ("openai", {"messages": [ASKED, SAID | {"reasoning_details": [{"type": "reasoning.text", "text": THOUGHT}]}]}),
        ("openai", {"messages": [ASKED, SAID | {"content": [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": GOOD}]}]}),
        (
            "openai",
            {"messages": [ASKED, SAID | {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}, GOOD]}]},
        ),
        ("openai", {"messages": [ASKED, {"role": "assistant", "channel": "analysis", "content": THOUGHT}, SAID | {"channel": "final"}]}),
        (
            "sharegpt",
            {"conversations": [{"from": "human", "value": ASKED["content"]}, {"from": "gpt", "value": GOOD, "thinking": THOUGHT}]},
        ),
        ("preference", {"prompt": [ASKED], "completion": [SAID | {"reasoning_content": THOUGHT}], "label": True}),
        ("openwebui", webui(content=FOLDED)),
        ("openwebui", webui(content=GOOD, output=[{"type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}]}])),
        (
            "librechat",
            {
                "conversationId": "c",
                "messages": [
                    {"messageId": "q", "isCreatedByUser": True, "text": ASKED["content"]},
                    {
                        "messageId": "a",
                        "parentMessageId": "q",
                        "isCreatedByUser": False,
                        "content": [{"type": "think", "think": THOUGHT}, {"type": "text", "text": GOOD}],
                    },
                ],
            },
        ),
        (
            "claude",
            {
                "uuid": "c",
                "chat_messages": [
                    {"uuid": "q", "sender": "human", "text": ASKED["content"]},
                    {
                        "uuid": "a",
                        "sender": "assistant",
                        "content": [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": GOOD}],
                    },
                ],
            },
        ),
        (
            "chatgpt",
            {
                "conversation_id": "c",
                "mapping": {
                    "q": {
                        "parent": None,
                        "message": {"author": {"role": "user"}, "content": {"content_type": "text", "parts": [ASKED["content"]]}},
                    },
                    "t": {
                        "parent": "q",
                        "message": {
                            "author": {"role": "assistant"},
                            "content": {"content_type": "thoughts", "thoughts": [{"summary": "Maps", "content": THOUGHT}]},
                        },
                    },
                    "a": {
                        "parent": "t",
                        "message": {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": [GOOD]}},
                    },
                },
            },
        ),
    ],
)
def test_reasoning_that_a_log_keeps_apart_is_kept_apart_from_the_answer(name: str, record: Row) -> None:
    assert recognise(record) == name
    turns, _, _ = read_all(name, record)
    assert [(row["role"], row["content"], row["reasoning"]) for row in turns] == [
        ("user", ASKED["content"], None),
        ("assistant", GOOD, THOUGHT),
    ]


@pytest.mark.parametrize(
    ("vote", "said"),
    [
        ({"feedback": "thumbs_up"}, ("thumb", 1.0, None)),
        ({"vote": -1}, ("thumb", -1.0, None)),
        ({"liked": False}, ("thumb", -1.0, None)),
        ({"reaction": "👎"}, ("thumb", -1.0, None)),
        ({"feedback": {"type": "thumbs_down", "comment": "wrong"}}, ("thumb", -1.0, "wrong")),
        ({"feedback": {"score": 1}}, ("thumb", 1.0, None)),
        ({"rating": "4/5"}, ("rating", 4.0, None)),
        ({"rating": 1}, None),  # of five, or a thumb
        ({"feedback": 0}, None),
        ({"feedback": {"score": 0.4}}, None),
        ({"feedback": "see below"}, None),
    ],
)
@pytest.mark.parametrize("name", ["jsonl", "openai"])
def test_a_vote_on_its_message_is_read_where_it_leaves_no_doubt_and_reported_where_not(name: str, vote: Row, said: Any) -> None:
    record = ({"id": "c"} if name == "jsonl" else {}) | {"messages": [ASKED, SAID | vote]}
    turns, acts, _ = read_all(name, record)
    assert [(act["kind"], act["value"], act["text"], act["turn_id"]) for act in acts] == ([(*said, turns[1]["turn_id"])] if said else [])
    assert bool(VoteWatch().unread(name, FORMATS[name].read, record)) == (said is None)


@pytest.mark.parametrize(("key", "at"), [("responses", "chosen"), ("candidates", "preferred_index"), ("answers", "preferred")])
@pytest.mark.parametrize("name", ["jsonl", "openai"])
def test_the_place_of_the_chosen_answer_in_a_list_beside_the_messages_is_a_choice(name: str, key: str, at: str) -> None:
    record = ({"id": "c"} if name == "jsonl" else {}) | {"messages": [ASKED], key: [BAD, SAID, "I do not know."], at: 1}
    turns, acts, _ = read_all(name, record)
    contents = {row["turn_id"]: row["content"] for row in turns}
    assert sorted((contents[act["better"]], contents[act["worse"]]) for act in acts) == [(GOOD, "I do not know."), (GOOD, BAD)]
    outside = record | {at: 7}
    assert VoteWatch().unread(name, FORMATS[name].read, outside) == [at]


@pytest.mark.parametrize(("label", "value"), [("true", 1.0), (0, -1.0), (1.0, 1.0), ("False", -1.0)])
def test_a_label_that_went_through_a_table_is_a_thumb(label: object, value: float) -> None:
    record = {"prompt": "Q", "completion": GOOD, "label": label}
    assert recognise(record) == "preference"
    assert read_all("preference", record)[1][0]["value"] == value
    assert recognise(record | {"label": "spam"}) is None


def test_a_vote_on_what_led_to_a_tool_is_a_vote_on_the_answer_also_where_the_call_is_not_reported() -> None:
    messages = [
        ASKED | {"id": "q"},
        {"id": "a", "role": "assistant", "content": "Let me look."},
        {"id": "t", "role": "tool", "content": "x"},
    ]
    thumb = {"conversation_id": "c", "kind": "thumb", "message_id": "a", "value": 1}
    _, (act,), _ = read_all("jsonl", {"id": "c", "messages": [*messages, SAID | {"id": "b"}]}, thumb)
    assert act["turn_id"] == "b"


def test_marks_of_files_that_were_joined_and_texts_that_hold_a_record_cost_nothing() -> None:
    mark = b"\xef\xbb\xbf"
    assert records(mark + b'{"a": 1}\n' + mark + b'{"a": 2}\n') == [{"a": 1}, {"a": 2}]
    assert records(b'"{\\"a\\": 1}"\n"{\\"a\\": 2}"\n') == ['{"a": 1}', '{"a": 2}']
