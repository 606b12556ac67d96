"""Claims about logs of other products and other spellings: each is a kind of fault that a log of somebody else may have."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from tasks.core.records import batches
from tasks.core.tables import TEXT
from tasks.formats import recognise
from tasks.text import parts
from tasks.text.failures import are_failures
from tests.test_formats import gather

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
    (left,), _, kinds = (
        part.to_pylist() if isinstance(part, pa.Array) else part
        for part in parts.take_out_all(pa.array([text], TEXT), pa.array([True]), reasoning=True)
    )
    assert (left, dict(kinds)) == (GOOD, {"reasoning": 1})


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
    (left,) = parts.take_out_all(pa.array([text], TEXT), pa.array([True]), reasoning=True)[0].to_pylist()
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
    assert parts.take_out_all(pa.array([text], TEXT), pa.array([True]), reasoning=True)[0].to_pylist() == [text]


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
    turns, _, _ = gather(name, record)
    assert [row["content"] for row in turns if row["role"] == "assistant"] == answers
    assert {(row["parent_id"], row["model"]) for row in turns if row["role"] == "assistant"} == {("0000", "m")}
    assert [row["content"] for row in turns if row["role"] == "user"] == [ASKED["content"]]
